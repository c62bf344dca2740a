"""Connections that are kept: what may go wrong between one call and the next is not the next call's failure."""

import asyncio

from tests.support.raw_target import (
    OK,
    REQUEST,
    calling,
    failure_of,
    listening,
    request_from,
    target_at,
)
from tests.support.waiting import eventually


async def test_calls_share_a_connection() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await request_from(reader)
            writer.write(OK)

    async with listening(handler) as listener, calling() as client:
        target = target_at(listener.url)
        for _ in range(5):
            assert (await client.call(target, REQUEST)).failure is None
        assert listener.connections == 1


async def test_a_server_that_closes_after_each_answer_costs_no_attempt() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_from(reader)
        writer.write(OK)  # and closes, without having said so

    async with listening(handler) as listener, calling() as client:
        target = target_at(listener.url)
        for _ in range(20):
            assert (await client.call(target, REQUEST)).failure is None


async def test_an_idle_connection_that_dies_as_it_is_used_again_costs_no_attempt() -> None:
    requests: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await request_from(reader))
        writer.write(OK)
        await reader.read(1)  # the next request has begun: its connection is gone without a word
        writer.transport.abort()

    async with listening(handler) as listener, calling() as client:
        target = target_at(listener.url)
        for _ in range(5):
            answer = await client.call(target, REQUEST)
            assert (answer.failure, answer.response_body) == (None, b"ok")
        assert len(requests) == 5


async def test_a_new_connection_that_dies_is_a_failure_and_is_not_called_again() -> None:
    async def handler(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await request_from(reader)

    async with listening(handler) as listener, calling() as client:
        assert failure_of(await client.call(target_at(listener.url), REQUEST))[0] == "connection_closed"
        assert listener.connections == 1


async def test_an_answer_that_has_begun_is_not_asked_for_again() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_from(reader)
        writer.write(OK)
        await request_from(reader)
        writer.write(b"HTTP/1.1 2")

    async with listening(handler) as listener, calling() as client:
        target = target_at(listener.url)
        assert (await client.call(target, REQUEST)).failure is None
        assert failure_of(await client.call(target, REQUEST))[0] == "connection_closed"
        assert listener.connections == 1


async def test_a_dead_connection_and_a_dead_server_are_a_failure_within_the_time() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_from(reader)
        if listener.connections > 1:
            await reader.read()
        writer.write(OK)
        await reader.read(1)
        writer.transport.abort()

    async with listening(handler) as listener, calling(timeout="400ms") as client:
        target = target_at(listener.url)
        assert (await client.call(target, REQUEST)).failure is None
        answer = await client.call(target, REQUEST)
        assert failure_of(answer) == ("timeout", "no answer within 400 ms")
        assert answer.duration_ms < 1_500


async def test_what_nobody_asked_for_is_no_answer_to_the_next_call() -> None:
    unasked = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_from(reader)
        writer.write(OK)
        await unasked.wait()
        writer.write(b"HTTP/1.1 500 Nobody asked\r\nContent-Length: 0\r\n\r\n")
        await reader.read()

    async with listening(handler) as listener, calling() as client:
        target = target_at(listener.url)
        assert (await client.call(target, REQUEST)).failure is None
        unasked.set()
        await eventually(lambda: received(client) > 0)
        answer = await client.call(target, REQUEST)
        assert (answer.failure, answer.response_body) == (None, b"ok")
        assert listener.connections == 2


def received(client: object) -> int:
    """Messages that wait in idle connections."""
    (connections,) = client._session.connector._conns.values()  # type: ignore[attr-defined]
    return sum(len(handler._buffer) for handler, _ in connections)


async def test_garbage_after_an_answer_is_not_part_of_the_next_one() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_from(reader)
        writer.write(OK)
        await writer.drain()
        await asyncio.sleep(0)
        writer.write(b"garbage" * 100)
        await reader.read()

    async with listening(handler) as listener, calling() as client:
        target = target_at(listener.url)
        codes = {(await client.call(target, REQUEST)).response_code for _ in range(10)}
        # Garbage that comes in one packet with the answer makes that answer unreadable; none makes another wrong.
        assert codes <= {200, None}
