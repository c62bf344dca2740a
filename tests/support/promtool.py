"""Prometheus's own checker of rules, from Debian's package ``prometheus``."""

import os
import shutil

import pytest


def promtool() -> str:
    """Its path; a test that needs it is skipped where it is missing. ``PROMTOOL`` may name it."""
    found = os.environ.get("PROMTOOL") or shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is not installed; apt-get install prometheus has it, or PROMTOOL names it")
    return found
