"""Connections to targets: aiohttp's pool and parser, without its session.

A session makes a request, a response and a dozen objects more for each call, which costs three times of what the call
itself does. What is left of it here is what a POST needs: the head, the body, the answer.

aiohttp bounds a header and how many there are, but not interim answers (1xx), the extensions of chunks, or anything
else that is received without becoming part of an answer: a target that sends these without end would keep the event
loop busy until the time-out. It takes what an idle connection received for the answer to the next request, and does not
tell whoever reads a body that what follows it cannot be parsed. An answer is lost to it if it cannot parse what came in
one piece with it.
"""

import asyncio
import re
import select
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Protocol, cast

import aiohttp
from aiohttp import ClientRequest, ClientTimeout
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.connector import Connection
from aiohttp.helpers import _EXC_SENTINEL, set_exception
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDictProxy
from yarl import URL

RECEIVED_AT_MOST = 512 * 1024
"""How many bytes may arrive for one request; whoever reads an answer stops long before."""

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_BLANK_LINE = re.compile(rb"(?:\A|\n)\r?\n")

# Interim answers, and the one that they lead to: who sends thousands at once is not worth as many calls of the parser.
_HEADS_APART = 8

# Whoever calls has a time-out for the whole of it.
_NO_TIMEOUT = ClientTimeout(total=None)


class EndlessAnswer(aiohttp.ClientError):
    """A target sent more than is ever needed, and still no answer."""


class Content(Protocol):
    """The body of an answer, as it arrives."""

    async def read(self, n: int = -1) -> bytes:
        """So many bytes at most, as soon as there are some; none: it has ended."""

    def at_eof(self) -> bool:
        """Whether all of it has been read."""


@dataclass(slots=True)
class Progress:
    """How far a call has come."""

    connected: bool = False
    answered: bool = False
    """Whether a byte of an answer has arrived."""


class _Request(ClientRequest):
    @cached_property
    def connection_key(self) -> ConnectionKey:  # aiohttp makes it for each call
        return super().connection_key


class Address:
    """What all requests to a URL have in common. Made inside a running loop.

    Raises:
        aiohttp.InvalidURL: it has no host.
        ValueError: it has a control character in it.
    """

    def __init__(self, url: URL, proxy: URL | None) -> None:
        self.request = _Request("POST", url, proxy=proxy, loop=asyncio.get_running_loop())
        """What the pool finds or opens connections by."""
        to_proxy = proxy is not None and not self.request.is_ssl()
        line = f"POST {url if to_proxy else url.raw_path_qs} HTTP/1.1"
        self._start = _joined([line, f"host: {self.request.headers['host']}"])

    def head(self, headers: Mapping[str, str], length: int) -> bytes:
        """The request up to its body.

        Raises:
            ValueError: a header has a line break, or another control character, in it.
        """
        if (credentials := self.request.headers.get("proxy-authorization")) is not None:  # since it was connected
            headers = {"proxy-authorization": credentials, **headers}
        lines = _joined([f"{name}: {value}" for name, value in headers.items()])
        return f"{self._start}\r\n{lines}\r\ncontent-length: {length}\r\n\r\n".encode()


def _joined(lines: Sequence[str]) -> str:
    # Most have nothing but what can be printed, which is told faster.
    if not (text := "".join(lines)).isprintable() and _CONTROL.search(text):
        raise ValueError("a header has a line break or another control character in it")
    return "\r\n".join(lines)


class Exchange:
    """A request on a connection of its own, and its answer; closed in the end, or released when all of it was read."""

    def __init__(self, connection: Connection, handler: "_LimitedHandler") -> None:
        self._connection = connection
        self._handler = handler

    async def post(self, head: bytes, body: bytes) -> tuple[int, CIMultiDictProxy[str], Content]:
        """Send a request; the status and the headers of its answer, and its body to be read."""
        handler = self._handler
        if handler.transport is not None:
            handler.transport.write(head + body)
        while True:
            message, content = await handler.read()
            if not 100 <= message.code < 200 or message.code == 101:
                return message.code, message.headers, content

    def release(self) -> None:
        """The answer was read to its end: the connection may serve others."""
        self._connection.release()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class TargetConnector(aiohttp.TCPConnector):
    """Opens connections whose answers are limited, and which tell the call that uses them how far it has come."""

    def __init__(self, *, read_bufsize: int, **options: Any) -> None:
        super().__init__(**options)
        self._read_bufsize = read_bufsize
        self._factory = partial(_LimitedHandler, loop=self._loop)  # type: ignore[assignment]  # partial is invariant

    async def exchange(self, address: Address, progress: Progress) -> Exchange:
        """A connection that nobody else uses: one that was kept open, or a new one.

        What the server of a kept one closed, or wrote to without being asked, is not used again: of what would be
        written to it, nobody knew whether it arrived.
        """
        while True:
            connection = await self.connect(address.request, [], _NO_TIMEOUT)
            handler = cast("_LimitedHandler", connection.protocol)
            if handler.begin(progress):
                handler.expect_answer(self._read_bufsize)
                return Exchange(connection, handler)
            connection.close()


class _LimitedHandler(ResponseHandler):
    _progress: Progress | None = None
    _received = 0
    _first = b""
    """The first piece of an answer while it is being parsed."""
    _poll: "select.poll | None" = None

    def begin(self, progress: Progress) -> bool:
        """Whether a request may be written, and tell ``progress`` of it."""
        reused = self._progress is not None
        if reused and (self.transport is None or self._buffer or self._is_readable(self.transport)):
            return False
        self._progress = progress
        self._received = 0
        progress.connected = True
        return True

    def expect_answer(self, read_bufsize: int) -> None:
        """Parse what comes as an answer with a parser of its own."""
        self.set_response_params(read_until_eof=True, auto_decompress=False, read_bufsize=read_bufsize)

    def _is_readable(self, transport: asyncio.BaseTransport) -> bool:
        """Whether something waits in the kernel, the connection's end among it, that the event loop has not seen."""
        if self._poll is None:
            self._poll = select.poll()
            self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(self._poll.poll(0))

    def data_received(self, data: bytes) -> None:
        if self._progress is not None:
            self._progress.answered = True
        self._received += len(data)
        if self._received > RECEIVED_AT_MOST:
            self.set_exception(EndlessAnswer())
            if self.transport is not None:
                self.transport.abort()
            return
        if self._received > len(data):
            self._parse_apart(data)
        else:
            self._first = data
            super().data_received(data)
            self._first = b""

    def _parse_apart(self, data: bytes) -> None:
        """Parse what came, heads before what follows them."""
        heads = _HEADS_APART
        while (
            heads and (self._payload is None or self._payload.is_eof()) and 0 < (end := _end_of_head(data)) < len(data)
        ):
            super().data_received(data[:end])
            if self._exception is not None:
                return
            data = data[end:]
            heads -= 1
        super().data_received(data)

    def set_exception(self, exc: BaseException, exc_cause: BaseException = _EXC_SENTINEL) -> None:
        if self._first and isinstance(exc, HttpProcessingError):
            # The parser dropped what it had parsed before the error. All answers could be parsed like that; those that
            # are as they should be are spared the 1.5 µs.
            first, self._first = self._first, b""
            self.expect_answer(self._read_bufsize)
            self._parse_apart(first)
            return
        payload = self._payload
        if payload is not None and not payload.is_eof() and payload.exception() is None:
            set_exception(payload, exc, exc_cause)
        self._parser = None  # at the connection's end it would take another error for the body's
        super().set_exception(exc, exc_cause)


def _end_of_head(data: bytes) -> int:
    """How many bytes of ``data`` belong to a head that ends in it; 0 where none does."""
    if data[:1] > b"\r" and (at := data.find(b"\r\n\r\n")) >= 0:
        return at + 4
    # Lines may end in a line feed alone, and a head may have come up to its last one before.
    found = _BLANK_LINE.search(data)
    return 0 if found is None else found.end()
