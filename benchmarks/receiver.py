"""A target that answers at once and counts: `python -m benchmarks.receiver PORT`.

It reads as little of HTTP as it must, so that it takes little of the machine. The first part of a POST's path is its
group, which behaves as it was told to: ``ok`` (200), ``fail`` (503) or ``hang`` (no answer until it behaves otherwise).

GET / answers with a JSON object: what each group counted, and the receiver's own processor time and memory. GET /group
has how long the group's messages took from publication to arrival, too. PUT /group/behaviour, DELETE /group: forget.
"""

import asyncio
import json
import re
import resource
import sys
import time
from array import array
from collections import defaultdict
from typing import Any

import uvloop

_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)
_MESSAGE = re.compile(rb"\r\nwebhook-id: ([^\r]+)", re.IGNORECASE)
SENT = re.compile(rb'"sent": ?"(\d+)"')
"""When a message's event was published, in its body: see ``benchmarks.events``."""
_ANSWERS = {
    "ok": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "fail": b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\nno",
}
_HANG = "hang"


class Group:
    """What arrived for one group."""

    def __init__(self) -> None:
        self.behaviour = "ok"
        self.unanswered: list[tuple[asyncio.Transport, bytes, bytes]] = []
        self.forget()

    def forget(self) -> None:
        self.count = 0
        self.first = self.last = 0.0
        self.messages: set[int] = set()
        self.waits = array("d")

    def behave(self, behaviour: str) -> None:
        """From now on; what hangs is answered."""
        self.behaviour = behaviour
        unanswered, self.unanswered = self.unanswered, []
        for transport, head, body in unanswered:
            if not transport.is_closing():
                self._answer(transport, head, body, time.time())

    def arrived(self, head: bytes, body: bytes, transport: asyncio.Transport) -> None:
        """Count one POST, and as delivered if it is answered so."""
        self.last = now = time.time()
        if not self.count:
            self.first = now
        self.count += 1
        self._answer(transport, head, body, now)

    def _answer(self, transport: asyncio.Transport, head: bytes, body: bytes, now: float) -> None:
        if self.behaviour == _HANG:
            self.unanswered.append((transport, head, body))
            return
        if self.behaviour == "ok":
            if (message := _MESSAGE.search(head)) is not None:
                self.messages.add(hash(message[1]))
            if (sent := SENT.search(body)) is not None:
                self.waits.append(now - int(sent[1]) / 1e6)
        transport.write(_ANSWERS[self.behaviour])

    def counted(self) -> dict[str, Any]:
        return {"count": self.count, "messages": len(self.messages), "first": self.first, "last": self.last}

    def in_full(self) -> dict[str, Any]:
        waits = sorted(self.waits)
        shares = {"p50": 0.50, "p90": 0.90, "p99": 0.99, "longest": 1.0}
        return {
            **self.counted(),
            "mean": 1_000 * sum(waits) / len(waits) if waits else None,
            **{
                name: 1_000 * waits[min(int(share * len(waits)), len(waits) - 1)] if waits else None
                for name, share in shares.items()
            },
        }


class Groups(defaultdict[str, Group]):
    """All groups; what there is to ask and to tell."""

    def __init__(self) -> None:
        super().__init__(Group)

    def asked(self, method: str, path: str) -> dict[str, Any]:
        name, _, behaviour = path.strip("/").partition("/")
        if method == "PUT":
            self[name].behave(behaviour)
        elif method == "DELETE":
            self[name].forget()
        elif name:
            return self[name].in_full()
        used = resource.getrusage(resource.RUSAGE_SELF)
        return {
            "groups": {name: group.counted() for name, group in self.items()},
            "cpu_seconds": used.ru_utime + used.ru_stime,
        }


class Connection(asyncio.Protocol):
    """One connection, requests one after the other."""

    def __init__(self, groups: Groups) -> None:
        self._groups = groups
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[: end + 2]
            length = _LENGTH.search(head)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < whole:
                return
            body, self._buffer = self._buffer[end + 4 : whole], self._buffer[whole:]
            method, path, _ = head.split(b" ", 2)
            if method == b"POST":
                self._groups[path.split(b"/", 2)[1].decode()].arrived(head, body, self._transport)
            else:
                self._tell(self._groups.asked(method.decode(), path.decode()))

    def _tell(self, what: dict[str, Any]) -> None:
        body = json.dumps(what).encode()
        self._transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        )


async def serve(port: int) -> None:
    """Serve on loopback for ever."""
    groups = Groups()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(groups), "127.0.0.1", port, backlog=4_096)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
