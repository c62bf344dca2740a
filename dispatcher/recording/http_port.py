"""SQL over ClickHouse's HTTP protocol on loopback, in front of the embedded engine that this process holds.

Good enough for curl, clickhouse-connect and Grafana's plug-in. It only reads: each request has a session of its own
whose last setting is ``readonly = 1``, and what that leaves open is refused before. Sessions, compressed answers,
users and external data are not served: the parameters that ask for them are accepted and have no effect.
"""

import asyncio
import functools
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from aiohttp import web

from dispatcher.dns_rebinding import asked_by_address
from dispatcher.errors import ConfigurationError
from dispatcher.recording.beside import HOST
from dispatcher.recording.clickhouse import ClickHouse
from dispatcher.recording.embedded import Answer, EmbeddedSessions, Refused, Statement
from dispatcher.recording.read_only import NotReadOnly

T = TypeVar("T")

_THREADS = 2
_MOST_BYTES_OF_A_REQUEST = 64 * 1024 * 1024
_STOP_SECONDS = 2.0

# What the protocol itself consumes; every other parameter is a setting of the query.
_OF_THE_PROTOCOL = frozenset(
    {
        "buffer_size",
        "client_protocol_version",
        "compress",
        "database",
        "decompress",
        "default_format",
        "enable_http_compression",
        "http_headers_progress_interval_ms",
        "password",
        "query",
        "query_id",
        "quota_key",
        "role",
        "send_progress_in_http_headers",
        "session_check",
        "session_id",
        "session_timeout",
        "stacktrace",
        "user",
        "wait_end_of_query",
    }
)

_DECODED = frozenset({"identity", "gzip", "deflate"})
"""Encodings of a request's body that aiohttp has undone already."""

_READONLY = 164
_STATUS_OF_CODE = {36: 400, 46: 404, 47: 404, 60: 404, 62: 400, 81: 404, 115: 404, 159: 408, _READONLY: 403, 497: 403}


class HttpPort:
    """The port, from ``start`` to ``stop``. ``writable`` is for tests that drive a real client through inserts."""

    def __init__(self, clickhouse: ClickHouse, port: int = 8123, *, writable: bool = False) -> None:
        if clickhouse.url.path is None:
            raise ValueError("only the embedded engine needs this port; a server has its own")
        self._sessions = EmbeddedSessions(clickhouse.url.path, clickhouse.database, writable=writable)
        self._asked_port = port
        self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="clickhouse-http")
        self._runner: web.AppRunner | None = None

    @property
    def port(self) -> int:
        """The port that is listened on."""
        if self._runner is None or not self._runner.addresses:
            raise RuntimeError("the port is not open; start it first")
        return int(self._runner.addresses[0][1])

    async def start(self) -> None:
        """Listen.

        Raises:
            ConfigurationError: another program has the port.
        """
        await self._in_thread(self._sessions.open)
        app = web.Application(client_max_size=_MOST_BYTES_OF_A_REQUEST)
        app.router.add_get("/ping", self._ping)
        app.router.add_route("GET", "/", self._handle)
        app.router.add_route("POST", "/", self._handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_STOP_SECONDS)
        await runner.setup()
        try:
            await web.TCPSite(runner, HOST, self._asked_port).start()
        except OSError as error:
            await runner.cleanup()
            await self.stop()
            raise cannot_listen(HOST, self._asked_port, error) from error
        self._runner = runner

    async def stop(self) -> None:
        """Close the port, and let what is running end."""
        if self._runner is not None:
            await self._runner.cleanup()
        await asyncio.to_thread(self._executor.shutdown)
        self._sessions.close()

    async def _ping(self, _: web.Request) -> web.Response:
        return web.Response(text="Ok.\n")

    async def _handle(self, request: web.Request) -> web.Response:
        if not asked_by_address(request.host):
            return _failed(f"{request.host} is not an address of this port", 0, 403)
        try:
            statement = await _statement(request)
            if statement is None:
                return web.Response(text="Ok.\n")
            answer = await self._in_thread(functools.partial(self._sessions.answer, statement))
        except NotReadOnly as error:
            return _failed(f"Code: {_READONLY}. DB::Exception: {error} (READONLY)", _READONLY, 403)
        except Refused as error:
            return _failed(str(error), error.code, _STATUS_OF_CODE.get(error.code, 500))
        return _answered(answer)

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, call)


def cannot_listen(host: str, port: int, error: OSError) -> ConfigurationError:
    """The error to show when the port cannot be had."""
    return ConfigurationError(
        f"DISPATCHER_CLICKHOUSE_HTTP_PORT: {host}:{port} cannot be listened on ({os.strerror(error.errno or 0)}); "
        "choose another port, or 0 for none"
    )


async def _statement(request: web.Request) -> Statement | None:
    """What is asked for: the parameter ``query`` followed by the body; None where there is neither.

    Raises:
        Refused: the body is not one that this port reads.
    """
    encoding = request.headers.get("Content-Encoding", "identity")
    if encoding not in _DECODED:
        raise Refused(f"Code: 344. DB::Exception: this port does not read {encoding}, send the body as it is")
    given = dict(request.query)
    body = b""
    if request.content_type == "multipart/form-data":
        # How clients send parameters that are too long for an address.
        given |= await _fields(request)
    else:
        body = await request.read()
    text = given.get("query", "")
    if not text and not body:
        return None
    return Statement(
        sql=text.encode(),
        body=body,
        database=given.get("database") or request.headers.get("X-ClickHouse-Database"),
        format=given.get("default_format") or request.headers.get("X-ClickHouse-Format") or "TabSeparated",
        parameters={name.removeprefix("param_"): value for name, value in given.items() if _is_parameter(name)},
        settings={
            name: value for name, value in given.items() if name not in _OF_THE_PROTOCOL and not _is_parameter(name)
        },
    )


async def _fields(request: web.Request) -> dict[str, str]:
    fields: dict[str, str] = {}
    for name, value in (await request.post()).items():
        if not isinstance(value, str):
            raise Refused(f"Code: 48. DB::Exception: this port takes no external data, and {name} is such")
        fields[name] = value
    return fields


def _is_parameter(name: str) -> bool:
    return name.startswith("param_")


def _answered(answer: Answer) -> web.Response:
    summary = {
        "read_rows": str(answer.read_rows),
        "read_bytes": str(answer.read_bytes),
        "written_rows": str(answer.written_rows),
        "elapsed_ns": str(answer.elapsed_ns),
    }
    headers = {
        "X-ClickHouse-Format": answer.format,
        "X-ClickHouse-Timezone": answer.timezone,
        "X-ClickHouse-Query-Id": answer.query_id,
        "X-ClickHouse-Summary": json.dumps(summary, separators=(",", ":")),
    }
    return web.Response(body=answer.body, headers=headers, content_type=_content_type(answer.format))


def _content_type(of_format: str) -> str:
    if of_format.startswith("JSON"):
        return "application/x-ndjson" if "EachRow" in of_format else "application/json"
    return "text/plain" if of_format.startswith(("TabSeparated", "TSV", "Pretty")) else "application/octet-stream"


def _failed(message: str, code: int, status: int) -> web.Response:
    return web.Response(text=f"{message}\n", status=status, headers={"X-ClickHouse-Exception-Code": str(code)})
