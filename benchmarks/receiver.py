"""A target that answers 200 at once and counts: `python -m benchmarks.receiver PORT`.

It reads as little of HTTP as it must, so that it takes little of the machine. GET answers with a JSON object: how many
POSTs came, when the first and the last of them did (seconds since the epoch), and how many different message ids.
"""

import asyncio
import json
import re
import sys
from time import time

import uvloop

_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)
_MESSAGE = re.compile(rb"\r\nwebhook-id: ([^\r]+)", re.IGNORECASE)
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Counter:
    """What arrived."""

    def __init__(self) -> None:
        self.count = 0
        self.first = 0.0
        self.last = 0.0
        self.messages: set[bytes] = set()

    def arrived(self, head: bytes) -> None:
        """Count one POST."""
        self.last = time()
        if not self.count:
            self.first = self.last
        self.count += 1
        if (message := _MESSAGE.search(head)) is not None:
            self.messages.add(message[1])

    def answer(self) -> bytes:
        """The answer to GET; counting begins anew."""
        state = {"count": self.count, "first": self.first, "last": self.last, "messages": len(self.messages)}
        body = json.dumps(state).encode()
        return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


class Connection(asyncio.Protocol):
    """One connection, requests one after the other."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
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
            self._buffer = self._buffer[whole:]
            if head.startswith(b"GET"):
                self._transport.write(self._counter.answer())
            else:
                self._counter.arrived(head)
                self._transport.write(_OK)


async def serve(port: int) -> None:
    """Serve on loopback for ever."""
    counter = Counter()
    server = await asyncio.get_running_loop().create_server(lambda: Connection(counter), "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
