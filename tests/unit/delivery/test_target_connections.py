"""Connections that are kept: what may go wrong between one call and the next is not the next call's failure."""

import asyncio
import select
import socket
import threading

from aiohttp.client_proto import ResponseHandler

from dispatcher.delivery.target import TargetClient
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
            await eventually(lambda: not any(idle.is_connected() for idle in idle_connections(client)), every=0)


async def test_an_idle_connection_that_died_just_now_costs_no_attempt() -> None:
    """The event loop has not seen yet that the server closed it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        requests: list[bytes] = []
        closed = threading.Event()

        def serve() -> None:
            for _ in range(2):
                connection, _ = server.accept()
                requests.append(connection.recv(65_536))
                connection.sendall(OK)
                closed.wait()
                connection.close()

        serving = threading.Thread(target=serve)
        serving.start()
        async with calling() as client:
            target = target_at(f"http://127.0.0.1:{server.getsockname()[1]}/")
            assert (await client.call(target, REQUEST)).failure is None
            closed.set()
            poll = select.poll()
            (idle,) = idle_connections(client)
            assert idle.transport is not None
            poll.register(idle.transport.get_extra_info("socket").fileno(), select.POLLIN)
            assert poll.poll(5_000)
            answer = await client.call(target, REQUEST)
        serving.join()
    assert (answer.failure, answer.response_body) == (None, b"ok")
    assert len(requests) == 2


async def test_a_request_that_was_sent_is_not_sent_again_by_itself() -> None:
    """The target may have the message: what repeats it is the schedule, and it shows as an attempt."""
    requests: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await request_from(reader))
        writer.write(OK)
        requests.append(await request_from(reader))

    async with listening(handler) as listener, calling() as client:
        target = target_at(listener.url)
        assert (await client.call(target, REQUEST)).failure is None
        assert failure_of(await client.call(target, REQUEST)) == (
            "connection_closed",
            "the target closed the connection without an answer",
        )
        assert (await client.call(target, REQUEST)).failure is None
        assert (len(requests), listener.connections) == (3, 2)


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
        await eventually(lambda: any(idle._buffer for idle in idle_connections(client)))
        answer = await client.call(target, REQUEST)
        assert (answer.failure, answer.response_body) == (None, b"ok")
        assert listener.connections == 2


def idle_connections(client: TargetClient) -> list[ResponseHandler]:
    return [handler for connections in client._connector._conns.values() for handler, _ in connections]


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
        answers = [await client.call(target, REQUEST) for _ in range(10)]
    assert {(answer.failure, answer.response_code, answer.response_body) for answer in answers} == {(None, 200, b"ok")}
