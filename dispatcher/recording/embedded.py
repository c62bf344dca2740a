"""Sessions of the embedded engine, one for each statement that comes through the HTTP port."""

import re
import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import chdb

from dispatcher.recording.read_only import NotReadOnly, check_read_only

# Analysts share the process with the recorder and the portal: a query ends before it takes these from them.
_LIMITS = {"max_execution_time": "60", "max_memory_usage": "4000000000", "max_result_bytes": "1000000000"}

_CODE = re.compile(r"\bCode: (\d+)")
_SETTING_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_LAST_FORMAT = re.compile(r"\bFORMAT\s+(\w+)\s*;?\s*\Z", re.IGNORECASE | re.ASCII)
_INSERT = re.compile(rb"\s*(INSERT\s+INTO\s.*?)\s+FORMAT\s+(\w+)[ \t]*\n?", re.IGNORECASE | re.DOTALL)
_FIRST_WORD = re.compile(rb"\s*INSERT\b", re.IGNORECASE)


class Refused(RuntimeError):
    """The engine did not run a statement; the message is its own."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        found = _CODE.search(message)
        self.code = int(found[1]) if found else 1002


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement as the HTTP protocol brings it, in two parts that belong together."""

    sql: bytes
    body: bytes = b""
    database: str | None = None
    format: str = "TabSeparated"
    parameters: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the engine answered, in ``format``."""

    body: bytes
    format: str
    timezone: str
    query_id: str
    read_rows: int = 0
    read_bytes: int = 0
    written_rows: int = 0
    elapsed_ns: int = 0


class EmbeddedSessions:
    """Runs statements on the engine at ``path``, each in a session of its own. Synchronous; for any thread."""

    def __init__(self, path: Path, database: str, *, writable: bool = False) -> None:
        self._path = path
        self._database = database
        self._writable = writable
        self._held: Any = None
        self._table_functions: frozenset[str] = frozenset()
        self._timezone = "UTC"

    def open(self) -> None:
        """Hold the engine, so that it does not start and stop with each statement."""
        self._held = self._connect()
        names = self._held.query("SELECT name FROM system.table_functions", "TSVRaw").bytes()
        self._table_functions = frozenset(names.decode().split())
        self._timezone = self._held.query("SELECT timezone()", "TSVRaw").bytes().decode().strip()

    def close(self) -> None:
        """Let go of the engine."""
        if self._held is not None:
            self._held.close()
            self._held = None

    def answer(self, statement: Statement) -> Answer:
        """Run a statement.

        Raises:
            NotReadOnly: it is not one for analysts.
            Refused: the engine does not run it.
        """
        session = self._connect()
        try:
            return self._answer(session, statement)
        except RuntimeError as error:
            if isinstance(error, Refused):
                raise
            raise Refused(_engine_words(str(error))) from None
        finally:
            session.close()

    def _answer(self, session: Any, statement: Statement) -> Answer:
        if self._writable and _FIRST_WORD.match(statement.sql or statement.body):
            self._prepare(session, statement)
            return self._inserted(session, statement)
        text = _text(b"\n".join(part for part in (statement.sql, statement.body) if part))
        if not self._writable:
            check_read_only(text, self._table_functions)
        self._prepare(session, statement)
        if not self._writable:
            session.query("SET readonly = 1")
        result = session.query(text, statement.format, params=dict(statement.parameters) or None)
        named = _LAST_FORMAT.search(text)
        return Answer(
            body=result.bytes() or b"",
            format=named[1] if named else statement.format,
            timezone=self._timezone,
            query_id=secrets.token_hex(8),
            read_rows=int(result.rows_read()),
            read_bytes=int(result.bytes_read()),
            elapsed_ns=int(result.elapsed() * 1e9),
        )

    def _inserted(self, session: Any, statement: Statement) -> Answer:
        written = 0
        whole = b"\n".join(part for part in (statement.sql, statement.body) if part)
        found = _INSERT.match(whole)
        if found is None:
            session.query(_text(whole), params=dict(statement.parameters) or None)
        else:
            # Not chDB's send_insert: it does not check a table's constraints.
            with tempfile.NamedTemporaryFile(suffix=".rows") as rows:
                rows.write(whole[found.end() :])
                rows.flush()
                result = session.query(f"{_text(found[1])} FROM INFILE {_literal(rows.name)} FORMAT {_text(found[2])}")
            written = int(result.rows_read())
        return Answer(b"", statement.format, self._timezone, secrets.token_hex(8), written_rows=written)

    def _prepare(self, session: Any, statement: Statement) -> None:
        for name, value in {**_LIMITS, **statement.settings}.items():
            if not _SETTING_NAME.fullmatch(name):
                raise Refused(f"Code: 115. DB::Exception: {name!r} is not the name of a setting (UNKNOWN_SETTING)")
            if name != "readonly":
                session.query(f"SET {name} = {_literal(value)}")
        try:
            session.query(f"USE {_identifier(statement.database or self._database)}")
        except RuntimeError:
            # The recorder has not made ours yet; one that was asked for by name has to be there.
            if statement.database is not None:
                raise

    def _connect(self) -> Any:
        self._path.mkdir(parents=True, exist_ok=True)
        # chDB compares paths as they are spelled, and clickhouse-connect resolves them first.
        return chdb.connect(str(self._path.resolve()))


def _text(statement: bytes) -> str:
    try:
        return statement.decode()
    except UnicodeDecodeError:
        raise NotReadOnly("the query is not UTF-8") from None


def _literal(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _identifier(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"


def _engine_words(message: str) -> str:
    return message[max(message.find("Code: "), 0) :].strip()
