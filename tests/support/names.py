"""Names in tests: resolvers that answer what they are told, and a name server on loopback."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from struct import pack, unpack_from
from typing import cast

from aiohttp.abc import AbstractResolver, ResolveResult


class FakeResolver(AbstractResolver):
    """Answers each look-up with the next list of addresses, and with the last one from then on."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        del family
        addresses = self._answers[min(self.asked, len(self._answers) - 1)]
        self.asked += 1
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        pass


class NameServer(asyncio.DatagramProtocol):
    """Every name is 127.0.0.1, but for those that begin with ``hangs``, which get no answer, and ``unknown``."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        labels, at = [], 12
        while data[at]:
            labels.append(data[at + 1 : at + 1 + data[at]].decode())
            at += 1 + data[at]
        name, question = ".".join(labels), data[12 : at + 5]
        self.asked.append(name)
        if name.startswith("hangs"):
            return
        if name.startswith("unknown"):
            answers, flags = b"", 0x8183
        elif unpack_from(">H", data, at + 1)[0] == 1:
            answers, flags = pack(">HHHIH4s", 0xC00C, 1, 1, 60, 4, socket.inet_aton("127.0.0.1")), 0x8180
        else:
            answers, flags = b"", 0x8180
        head = data[:2] + pack(">HHHHH", flags, 1, 1 if answers else 0, 0, 0)
        self._transport.sendto(head + question + answers, addr)


@asynccontextmanager
async def a_name_server() -> AsyncIterator[tuple[NameServer, str]]:
    """The server, and where it listens."""
    transport, server = await asyncio.get_running_loop().create_datagram_endpoint(NameServer, ("127.0.0.1", 0))
    host, port = transport.get_extra_info("sockname")
    try:
        yield server, f"{host}:{port}"
    finally:
        transport.close()
