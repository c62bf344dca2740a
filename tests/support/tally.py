"""Targets on loopback that take little of the machine: they count calls by message and attempt, and when each came.

Each path behaves in its own way. As little of HTTP is read as must be, because the receiver shares two cores with what
it measures.
"""

import asyncio
import re
import socket
import struct
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_MESSAGE = re.compile(rb"\r\nwebhook-id: *([^\r]+)", re.IGNORECASE)
_ATTEMPT = re.compile(rb"\r\nwebhook-attempt: *(\d+)", re.IGNORECASE)
_NUMBER = re.compile(rb'"number": *"([^"]*)"')

TEMPLATE = {"number": "#alert_name"}
"""The payload template of webhooks whose calls are counted."""

Message = tuple[str, str]
"""A webhook's path and the number of the event: what is one message, however it is sent."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request, at ``at`` of the monotonic clock."""

    at: float
    path: str
    number: str
    message_id: str
    attempt: int

    @property
    def message(self) -> Message:
        return self.path, self.number


@dataclass
class Tally:
    """What arrived."""

    base: str = ""
    behaviours: "dict[str, Behaviour]" = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    arrived: dict[Message, float] = field(default_factory=dict)
    """When each message came first."""
    open_connections: int = 0
    unanswered: Counter[str] = field(default_factory=Counter)
    """Calls that wait for their answer, by path."""
    most_unanswered: Counter[str] = field(default_factory=Counter)

    def url(self, path: str, behaviour: "Behaviour") -> str:
        """The URL of a path that behaves so."""
        self.behaviours[path] = behaviour
        return f"{self.base}/{path}"

    def attempts(self) -> dict[Message, list[int]]:
        """The attempts of each message in the order of their arrival."""
        attempts: defaultdict[Message, list[int]] = defaultdict(list)
        for call in self.calls:
            attempts[call.message].append(call.attempt)
        return attempts

    def made_more_than_once(self) -> Counter[tuple[Message, int]]:
        """How often too often an attempt was made, where it was."""
        counted = by_attempt(self.calls)
        return Counter({attempt: times - 1 for attempt, times in counted.items() if times > 1})

    def ids_that_changed(self) -> list[Message]:
        """Messages whose calls did not all carry the same id."""
        ids: defaultdict[Message, set[str]] = defaultdict(set)
        for call in self.calls:
            ids[call.message].add(call.message_id)
        return [message for message, different in ids.items() if len(different) > 1]

    def take(self, call: Call) -> None:
        """Count a call."""
        self.calls.append(call)
        self.arrived.setdefault(call.message, call.at)
        self.unanswered[call.path] += 1
        self.most_unanswered[call.path] = max(self.most_unanswered[call.path], self.unanswered[call.path])


def by_attempt(calls: Iterable[Call]) -> Counter[tuple[Message, int]]:
    """How many calls there are of each attempt."""
    return Counter((call.message, call.attempt) for call in calls)


class Connection(asyncio.Protocol):
    """One connection, requests one after the other."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._buffer = b""
        self._open: list[str] = []
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._tally.open_connections += 1

    def connection_lost(self, _: Exception | None) -> None:
        self._tally.open_connections -= 1
        self._tally.unanswered.subtract(self._open)
        self._open.clear()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[: end + 2]
            length = _LENGTH.search(head)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < whole:
                return
            body, self._buffer = self._buffer[end + 4 : whole], self._buffer[whole:]
            self._receive(head, body)

    def _receive(self, head: bytes, body: bytes) -> None:
        path = head.split(b" ", 2)[1].decode().lstrip("/")
        number, message, attempt = _NUMBER.search(body), _MESSAGE.search(head), _ATTEMPT.search(head)
        assert number is not None
        assert message is not None
        assert attempt is not None
        call = Call(monotonic(), path, number[1].decode(), message[1].decode(), int(attempt[1]))
        self._tally.take(call)
        self._open.append(path)
        self._tally.behaviours[path](self, call)

    def answer(self, status: int = 200) -> None:
        """Answer the oldest call that waits."""
        if self._open:
            self._tally.unanswered[self._open.pop(0)] -= 1
            self._transport.write(b"HTTP/1.1 %d Status\r\nContent-Length: 2\r\n\r\nok" % status)

    def drip(self) -> None:
        """Answer with a byte a second, without end."""
        self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        self._drop()

    def reset(self) -> None:
        """Break the connection off."""
        raw: socket.socket = self._transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def _drop(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(b".")
            asyncio.get_running_loop().call_later(1, self._drop)


Behaviour = Callable[[Connection, Call], None]


def ok(connection: Connection, _: Call) -> None:
    """200 at once."""
    connection.answer()


def after(seconds: float, status: int = 200) -> Behaviour:
    """The answer comes late."""

    def behave(connection: Connection, _: Call) -> None:
        asyncio.get_running_loop().call_later(seconds, connection.answer, status)

    return behave


def fail_first(times: int, status: int = 500) -> Behaviour:
    """A failure for the first attempts of each message, and 200 from then on."""

    def behave(connection: Connection, call: Call) -> None:
        connection.answer(status if call.attempt <= times else 200)

    return behave


def always(status: int) -> Behaviour:
    """The same status for everything."""

    def behave(connection: Connection, _: Call) -> None:
        connection.answer(status)

    return behave


def hang(_connection: Connection, _call: Call) -> None:
    """No answer."""


def drip(connection: Connection, _: Call) -> None:
    """A byte a second, without end."""
    connection.drip()


def reset(connection: Connection, _: Call) -> None:
    """The connection breaks off."""
    connection.reset()


@asynccontextmanager
async def a_tally() -> AsyncIterator[Tally]:
    """Listens on loopback."""
    tally = Tally()
    connections: set[Connection] = set()

    def connect() -> Connection:
        connection = Connection(tally)
        connections.add(connection)
        return connection

    server = await asyncio.get_running_loop().create_server(connect, "127.0.0.1", 0, backlog=4_096)
    tally.base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield tally
    finally:
        server.close()
        for connection in connections:
            connection._transport.abort()
        await server.wait_closed()
