"""Which statements analysts may run on the embedded engine, which runs as our user and could read our files.

The engine's own ``readonly = 1`` refuses writing and every table function that reaches a file or another server.
It does not refuse the function ``file``, the functions that ask other services, ``INTO OUTFILE`` and ``KILL QUERY``;
these are refused here, by looking at the words of a statement before the engine does.
"""

import re
from collections.abc import Iterator

_FIRST_WORDS = frozenset({"SELECT", "WITH", "FROM", "SHOW", "DESCRIBE", "DESC", "EXISTS", "EXPLAIN"})

_HARMLESS_TABLE_FUNCTIONS = frozenset(
    {
        "format",
        "generaterandom",
        "generate_series",
        "generateseries",
        "merge",
        "null",
        "numbers",
        "numbers_mt",
        "primes",
        "sqlstandardvalues",
        "values",
        "view",
        "zeros",
        "zeros_mt",
    }
)
# `file` reads any file; `eval` and `fuzzQuery` make statements out of strings, which nobody has looked at.
_FORBIDDEN_WORDS = frozenset({"file", "eval", "fuzzquery", "outfile", "python"})
_REACHES_SERVICES = re.compile(r"ai[A-Z]\w*|AI[A-Z]\w*")

_TOKEN = re.compile(
    r"""
      (?P<space>\s+)
    | (?P<comment>--[^\n]*|/\*.*?\*/)
    | (?P<string>'(?:[^'\\]|\\.|'')*')
    | (?P<quoted>`(?:[^`\\]|\\.|``)*`|"(?:[^"\\]|\\.|"")*")
    | (?P<word>[A-Za-z_]\w*)
    | (?P<number>\d\w*)
    | (?P<other>/(?!\*)|[!%&()*+,.:;<=>?@\\\[\]^{|}~-])
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)


class NotReadOnly(ValueError):
    """A statement that is not for this port; the message says why."""


def check_read_only(sql: str, table_functions: frozenset[str]) -> None:
    """Let a statement pass that only reads what is in the database.

    ``table_functions`` are the names of all that the engine has. What this function does not understand, it refuses:
    a different reading of quotes and comments than the engine's must not hide anything.

    Raises:
        NotReadOnly: it does something else.
    """
    forbidden = {name.lower() for name in table_functions} - _HARMLESS_TABLE_FUNCTIONS
    first = before = ""
    ended = False
    for kind, text in _tokens(sql):
        if ended:
            raise NotReadOnly("send one statement at a time")
        if kind == "other" and text == ";":
            ended = True
        if kind == "word" and not first:
            first = text.upper()
            if first not in _FIRST_WORDS:
                raise NotReadOnly(f"{first} is not for this port: it only answers SELECT, SHOW, DESCRIBE and EXPLAIN")
        if text == "(" and before.lower() in forbidden:
            raise NotReadOnly(f"the table function {before} is not for this port: it reaches beyond the database")
        if kind in {"word", "quoted"}:
            before = text.strip('`"')
            if before.lower() in _FORBIDDEN_WORDS or _REACHES_SERVICES.fullmatch(before):
                raise NotReadOnly(f"{before} is not for this port: it reaches beyond the database")
        else:
            before = ""
    if not first:
        raise NotReadOnly("the query is empty: send it as the parameter query or as the body")


def _tokens(sql: str) -> Iterator[tuple[str, str]]:
    """The tokens, without spaces and comments."""
    position = 0
    while position < len(sql):
        match = _TOKEN.match(sql, position)
        if match is None or match.lastgroup is None:
            found = sql[position : position + 10]
            raise NotReadOnly(f"this port does not read {found!r}: use plain quotes, names and comments")
        kind, text = match.lastgroup, match[0]
        position = match.end()
        if kind == "comment" and ("/*" in text[2:] or "\r" in text):
            raise NotReadOnly("this port does not read comments within comments, or with carriage returns")
        if kind == "quoted" and "\\" in text:
            raise NotReadOnly("this port does not read names with escapes")
        if kind not in {"space", "comment"}:
            yield kind, text
