"""Whether a command can ask before it does something that cannot be undone."""

import sys


def somebody_to_ask() -> bool:
    """Whether standard input is a terminal; closed, Python has none at all."""
    return sys.stdin is not None and sys.stdin.isatty()
