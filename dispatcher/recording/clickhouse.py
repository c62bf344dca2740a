"""ClickHouse as the recorder and the portal use it: the embedded engine and a server behind one asynchronous face.

clickhouse-connect's clients are synchronous. Inserts have a thread and a client of their own and reads a few others,
so that neither the event loop nor a read waits for an insert.
"""

import asyncio
import functools
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import unquote, urlsplit

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import (
    ClickHouseError,
    NotSupportedError,
    ProgrammingError,
    StreamFailureError,
)

from dispatcher.errors import ClickHouseUnavailable, ConfigurationError
from dispatcher.observability.metrics import CLICKHOUSE_READ_FAILURES, FAILED, TIMED_OUT
from dispatcher.recording import clustering
from dispatcher.recording.connections import Connections

T = TypeVar("T")

DEFAULT_DATABASE = "webhooks"
ACCESS_DENIED = 497
"""The code of what a user has no grant for."""

_CONNECT_SECONDS = 5
_SERVER_SECONDS = 25
_CLIENT_SECONDS = 30
"""Longer than the server's limit, so that a slow statement ends with the server's own words where possible."""
_UPKEEP_SECONDS = 600
"""How long what nobody waits for may take: the hour of a webhook that had millions of messages is one statement."""
_ENDS_SECONDS = 5
"""How much later an answer that does come has to have ended."""

_EMBEDDED_READERS = 2
_SERVER_READERS = 4

# Rows that ClickHouse cannot read, by the codes of its errors. Whatever else goes wrong may be right the next time:
# a schema that does not fit must not turn every record into a dead letter.
_ROW_CODES = frozenset(
    {6, 25, 26, 27, 33, 38, 41, 69, 70, 72, 73, 117, 128, 130, 131, 190, 306, 321, 349, 407, 432, 469, 691}
)
_SYSTEMS_WORDS = re.compile(r"\[Errno -?\d+\] ([^\"')]+)")
_CODE = re.compile(r"\bCode: (\d+)")
_UNKNOWN_DATABASE = 81
_OF_A_MISSING_SCHEMA = frozenset({16, 47, 60, _UNKNOWN_DATABASE})
"""Codes for columns, identifiers, tables and databases that are not there."""
_TIMEOUT_CODES = frozenset({159, 209})
_OF_A_BUSY_SERVER = frozenset({*_TIMEOUT_CODES, 202, 210, 241, 252, 279, 439})
"""Codes for too many queries or parts, too little memory, no thread, servers that do not answer: later it may do it."""
_NOT_LET_IN = frozenset({192, 193, 194, 516})
"""Codes for users that there are not, and wrong passwords."""


class RejectedRows(ValueError):
    """ClickHouse cannot read one of the rows of an insert; the message says why, in its words."""


class QueryFailed(RuntimeError):
    """ClickHouse answers, and refuses a statement."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class ClickHouseTimedOut(ClickHouseUnavailable):
    """ClickHouse did not answer in time, or said that it needed too long."""


class SchemaMissing(QueryFailed, ClickHouseUnavailable):
    """ClickHouse answers, and lacks a table that this version asks: its migrations have not been applied yet."""


@dataclass(frozen=True, slots=True)
class ClickHouseUrl:
    """Where ClickHouse is: ``chdb:///<directory>`` or ``http(s)://user:password@host:port/database``."""

    shown: str
    path: Path | None
    connection: Mapping[str, Any]
    database: str

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read a ``DISPATCHER_CLICKHOUSE_URL``.

        Raises:
            ConfigurationError: it is neither of the two forms.
        """
        if url.startswith("chdb://"):
            directory = re.sub(r"^/+", "/", url.removeprefix("chdb://"))
            if directory in {"", "/"}:
                raise ConfigurationError("DISPATCHER_CLICKHOUSE_URL: chdb:/// needs a directory, chdb:////path/to/it")
            path = Path(directory)
            return cls(f"chdb://{path}", path, {}, DEFAULT_DATABASE)
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ConfigurationError(
                "DISPATCHER_CLICKHOUSE_URL is not http(s)://user:password@host:port/database or chdb:///<directory>"
            )
        secure = parts.scheme == "https"
        port = port or (8443 if secure else 8123)
        connection = {
            "host": parts.hostname,
            "port": port,
            "secure": secure,
            "username": unquote(parts.username or "default"),
            "password": unquote(parts.password or ""),
        }
        database = unquote(parts.path.strip("/")) or DEFAULT_DATABASE
        return cls(f"{parts.scheme}://{parts.hostname}:{port}/{database}", None, connection, database)

    @property
    def embedded(self) -> bool:
        """Whether this is the embedded engine, which one process holds at a time."""
        return self.path is not None


class ClickHouse:
    """One database on a server or in the embedded engine; safe to share between roles of a process.

    Nothing connects before the first call. Every call may raise ClickHouseUnavailable when nothing answers in time,
    QueryFailed when the statement is refused, and SchemaMissing, which is both, when migrations are to be applied.
    ``patience`` is how many seconds a statement may take, 25 unless told otherwise, and for upkeep 600 at least.
    """

    def __init__(
        self, url: str, *, database: str | None = None, cluster: str | None = None, patience: int | None = None
    ) -> None:
        self.url = ClickHouseUrl.parse(url)
        self.cluster = cluster
        """The cluster that the tables are spread over; None: a single server."""
        if cluster is not None and self.url.embedded:
            raise ConfigurationError("DISPATCHER_CLICKHOUSE_CLUSTER needs a server in DISPATCHER_CLICKHOUSE_URL")
        self._settings = {**_SETTINGS, **({} if cluster is None else _CLUSTER_SETTINGS)}
        self.database = database or self.url.database
        readers = _EMBEDDED_READERS if self.url.embedded else _SERVER_READERS
        usual = patience or _SERVER_SECONDS
        self._writer = _Threads(1, "clickhouse-insert", functools.partial(self._connect, usual))
        self._readers = _Threads(readers, "clickhouse-read", functools.partial(self._connect, usual))
        upkeep = max(usual, _UPKEEP_SECONDS)
        # The client has the server say that it goes on more often than that, but where it is asked for longer ones:
        # what is between them may take a connection that is silent for a minute for a dead one.
        self._upkeep = _Threads(
            1, "clickhouse-upkeep", functools.partial(self._connect, upkeep, silent_seconds=_CLIENT_SECONDS)
        )

    async def insert(
        self, table: str, rows: bytes, *, row_format: str = "JSONEachRow", columns: Sequence[str] = ()
    ) -> None:
        """Insert rows that are prepared in one of ClickHouse's formats.

        ``columns`` are for formats that do not name them. Where a connection goes, the client itself tries once more.

        Raises:
            RejectedRows: one of the rows cannot be read; rows of the same call may have been written or not.
            ClickHouseUnavailable: nothing answers, or not in time; all, some or none of the rows were written.
        """

        def call(client: Client) -> None:
            client.raw_insert(table, columns or None, rows, _INSERT_SETTINGS, row_format)

        try:
            await self._writer.run(functools.partial(self._translated, call))
        except QueryFailed as error:
            if error.code in _ROW_CODES:
                raise RejectedRows(str(error)) from None
            raise ClickHouseUnavailable(f"ClickHouse at {self.url.shown} does not take rows: {error}") from None

    async def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """The rows of a query; ``{name:Type}`` in it is replaced by the server with ``parameters[name]``."""

        def call(client: Client) -> list[dict[str, Any]]:
            return list(client.query(sql, parameters=dict(parameters or {})).named_results())

        try:
            return await self._readers.run(functools.partial(self._translated, call))
        except (ClickHouseUnavailable, QueryFailed) as error:
            reason = TIMED_OUT if isinstance(error, ClickHouseTimedOut) else FAILED
            CLICKHOUSE_READ_FAILURES.labels(reason).inc()
            raise

    async def command(self, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Run a statement whose answer does not matter."""

        def call(client: Client) -> None:
            client.command(sql, parameters=dict(parameters or {}))

        await self._writer.run(functools.partial(self._translated, call))

    async def maintain(self, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Run a statement that nobody waits for, beside inserts and reads; it may take minutes."""

        def call(client: Client) -> None:
            client.command(sql, parameters=dict(parameters or {}))

        await self._upkeep.run(functools.partial(self._translated, call))

    async def create_database(self) -> None:
        """Create the database if it is missing and the user may."""

        def call() -> None:
            with self._translating():
                connected = self._client(None, _SERVER_SECONDS)
                client = connected.client
                try:
                    known = client.query(
                        "SELECT count() FROM system.databases WHERE name = {name:String}",
                        parameters={"name": self.database},
                    ).result_rows[0][0]
                    if not known:
                        where = "" if self.cluster is None else f" ON CLUSTER {clustering.quoted(self.cluster)}"
                        client.command(f"CREATE DATABASE IF NOT EXISTS {_quoted(self.database)}{where}")
                finally:
                    connected.close()

        try:
            await asyncio.to_thread(call)
        except QueryFailed as error:
            if error.code != ACCESS_DENIED:
                raise
            raise ConfigurationError(
                f"the ClickHouse user may not create the database {self.database}; create it, or grant CREATE DATABASE"
            ) from None

    async def close(self) -> None:
        """Let what is running end, but for a server's upkeep, and let go of the engine or the connections."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._upkeep.cut()
        all_threads = self._writer, self._readers, self._upkeep
        for threads in all_threads:
            threads.end()
        for threads in all_threads:
            threads.disconnect()

    def _connect(self, patience: int, *, silent_seconds: int | None = None) -> "_Connected":
        try:
            with self._translating():
                return self._client(self.database, patience, silent_seconds)
        except QueryFailed as error:
            if error.code != _UNKNOWN_DATABASE:
                raise
            raise SchemaMissing(
                f"ClickHouse at {self.url.shown} has no database {self.database} yet: start a recorder, which makes it",
                error.code,
            ) from None

    def _client(self, database: str | None, patience: int, silent_seconds: int | None = None) -> "_Connected":
        settings = {**self._settings, "max_execution_time": patience}
        client_seconds = _CLIENT_SECONDS + patience - _SERVER_SECONDS
        if self.url.path is not None:
            self.url.path.mkdir(parents=True, exist_ok=True)
            try:
                return _Connected(
                    clickhouse_connect.get_client(
                        interface="chdb",
                        path=str(self.url.path),
                        database=database,
                        settings=settings,
                    ),
                    client_seconds,
                )
            except (ProgrammingError, NotSupportedError) as error:
                raise ClickHouseUnavailable(self._unavailable(" ".join(str(error).split()))) from None
        to = self.url.connection
        connections = Connections("https" if to["secure"] else "http", to["host"], to["port"])
        connect = functools.partial(
            clickhouse_connect.get_client,
            **to,
            pool_mgr=connections.manager,
            database=database or "default",
            connect_timeout=_CONNECT_SECONDS,
            send_receive_timeout=silent_seconds or client_seconds,
            autogenerate_session_id=False,
            compress="lz4",
        )
        with connections.within(_CLIENT_SECONDS + _ENDS_SECONDS):
            try:
                client = connect(settings=settings)
            except ProgrammingError:
                # Somebody who may only read may not choose settings either; the server has limits of its own for them.
                client = connect()
        return _Connected(client, client_seconds, connections)

    def _translated(self, call: Callable[[Client], T], connected: "_Connected") -> T:
        connections = connected.connections
        ends = connected.seconds + _ENDS_SECONDS
        ending = connections.within(ends) if connections is not None else nullcontext()
        with self._translating(), ending:
            return call(connected.client)

    @contextmanager
    def _translating(self) -> Iterator[None]:
        try:
            yield
        except (ClickHouseError, StreamFailureError, OSError) as error:
            text = " ".join(str(error).split())
            found = _CODE.search(text)
            if found is None:
                raise _kind(error)(self._unavailable(text)) from None
            code = int(found[1])
            if code in _NOT_LET_IN:
                raise ClickHouseUnavailable(
                    f"ClickHouse at {self.url.shown} does not let {self.url.connection.get('username')} in "
                    f"({text[:300]}): correct the user and the password in DISPATCHER_CLICKHOUSE_URL"
                ) from None
            if code in _OF_A_BUSY_SERVER:
                raise (ClickHouseTimedOut if code in _TIMEOUT_CODES else ClickHouseUnavailable)(
                    f"ClickHouse at {self.url.shown} cannot do this now ({text[:300]}): look at its load, or wait"
                ) from None
            raise (SchemaMissing if code in _OF_A_MISSING_SCHEMA else QueryFailed)(text[:1000], code) from None

    def _unavailable(self, text: str) -> str:
        if self.url.embedded:
            return (
                f"the embedded ClickHouse at {self.url.shown} cannot be used ({text[:300]}): one process holds it at a "
                "time, so stop the other `dispatcher up`, or set DISPATCHER_CLICKHOUSE_HTTP_PORT to where it answers"
            )
        # The client says it in hundreds of characters of its own.
        said = _SYSTEMS_WORDS.search(text)
        return (
            f"ClickHouse does not answer at {self.url.shown} ({said[1] if said else text[:300]}): start it, or correct "
            "DISPATCHER_CLICKHOUSE_URL"
        )


# Rows are made so that inserting them again changes nothing; ClickHouse's own deduplication would only drop rows.
_INSERT_SETTINGS = {
    "async_insert": 0,
    "insert_deduplicate": 0,
    "deduplicate_blocks_in_dependent_materialized_views": 0,
    "input_format_skip_unknown_fields": 1,
    "input_format_null_as_default": 0,
    "max_partitions_per_insert_block": 1000,
    # A tenth of an insert: whoever reads merges rows of one key in any case, as those of two inserts are apart for a
    # while; and expressions of so few rows are compiled for nothing.
    "optimize_on_insert": 0,
    "compile_expressions": 0,
}


# After an upgrade a statement may list the hours of 13 months.
_SETTINGS = {"max_query_size": 4 * 1024 * 1024}

# An insert is done when the shards have it; and a webhook's rows of all tables lie on the same one.
_CLUSTER_SETTINGS = {"distributed_foreground_insert": 1, "distributed_product_mode": "local"}


@dataclass(frozen=True, slots=True)
class _Connected:
    """A client, and its connections where it is of a server."""

    client: Client
    seconds: int
    """How long its answers may take to begin."""
    connections: Connections | None = None

    def close(self) -> None:
        self.client.close()
        if self.connections is not None:
            self.connections.close()


class _Threads:
    """Threads, each with a client of its own."""

    def __init__(self, threads: int, name: str, connect: Callable[[], _Connected]) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._local = threading.local()
        self._connect = connect
        self._opened: list[_Connected] = []

    async def run(self, call: Callable[[_Connected], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._call, call)

    def _call(self, call: Callable[[_Connected], T]) -> T:
        connected: _Connected | None = getattr(self._local, "connected", None)
        if connected is None:
            connected = self._local.connected = self._connect()
            self._opened.append(connected)
        return call(connected)

    def cut(self) -> None:
        """Have no answer of a server waited for any more: who does is told that it did not come in time."""
        for connected in self._opened:
            if connected.connections is not None:
                connected.connections.cut()

    def end(self) -> None:
        """Let what is running end."""
        self._executor.shutdown(wait=True)

    def disconnect(self) -> None:
        """Let go of the clients."""
        opened, self._opened = self._opened, []
        for connected in opened:
            connected.close()


def _kind(error: BaseException) -> type[ClickHouseUnavailable]:
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, TimeoutError):
        cause = cause.__cause__ or cause.__context__
    return ClickHouseUnavailable if cause is None else ClickHouseTimedOut


def _quoted(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"
