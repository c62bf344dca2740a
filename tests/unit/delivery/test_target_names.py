"""Names of targets: what they lead to is looked at when a connection is made, and looking them up holds up nobody."""

import asyncio
import socket

import aiohttp
import pytest

from dispatcher.delivery.target import Request
from dispatcher.events.types import EventType
from dispatcher.webhooks.target_url import check_target_url
from tests.support.names import FakeResolver, a_name_server
from tests.support.raw_target import (
    ELSEWHERE,
    OK,
    REQUEST,
    answering,
    call,
    calling,
    failure_of,
    listening,
    target_at,
)

FORBIDDEN = "calls to addresses that are not public are not permitted"
PUBLIC = "203.0.113.1"  # documentation: permitted in these tests by setting, and nobody answers there


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.0.0.1.", "127.1", "0x7f.1", "0x7f000001", "0177.0.0.1", "2130706433", "017700000001"),
        *("localhost", "LocalHost", "localhost.", "x.localhost", "0", "0.0.0.0", "0x0"),
        *("[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:7f00:1]"),
        *("①②⑦.⓪.⓪.①", "127。0。0。1", "localhost", "ⓛocalhost", "127.0.0.1", "0x7f.1"),
    ],
)
async def test_no_spelling_of_this_machine_reaches_it(host: str) -> None:
    async with listening(answering(OK)) as target:
        url = check_target_url(f"http://{host}:{target.port}/")
        answer = await call(url, allowed=ELSEWHERE)
    reason, error = failure_of(answer)
    assert reason == "forbidden_target"
    assert error.startswith(f"{FORBIDDEN}: ")
    assert target.connections == 0


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1@example.com/", "http://a:b@127.0.0.1/", "http://[fe80::1%25lo]/", "http://[fe80::1%lo]/"],
)
def test_urls_that_hide_where_they_lead_are_not_accepted(url: str) -> None:
    with pytest.raises(ValueError, match=r"credentials|zone|not valid"):
        check_target_url(url)


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["127.0.0.1", "10.0.0.1", "::1"],
        ["169.254.169.254", "fd00:ec2::254"],
        ["64:ff9b::7f00:1"],
        ["fe80::1%lo"],
    ],
    ids=",".join,
)
async def test_a_name_is_refused_for_the_addresses_that_it_has(addresses: list[str]) -> None:
    answer = await call("http://two.example:9/", allowed="192.168.0.0/16", resolver=FakeResolver(addresses))
    assert failure_of(answer) == ("forbidden_target", FORBIDDEN)


async def test_of_several_addresses_only_those_permitted_are_called() -> None:
    async with listening(answering(OK)) as target:
        url = f"http://mixed.example:{target.port}/"
        both = await call(url, allowed="127.0.0.0/8", resolver=FakeResolver(["::1", "10.0.0.1", "127.0.0.1"]))
    assert both.failure is None


async def test_a_name_that_changes_between_look_ups_gains_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    connected: list[str] = []
    loop = asyncio.get_running_loop()

    async def no_network(sock: socket.socket, address: tuple[str, int]) -> None:
        connected.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(loop, "sock_connect", no_network)
    async with listening(answering(OK)) as target:
        resolver = FakeResolver([PUBLIC], ["127.0.0.1"])
        url = f"http://rebound.example:{target.port}/"
        async with calling(allowed=f"{PUBLIC}/32", resolver=resolver) as client:
            first = await client.call(target_at(url), REQUEST)
            client._connector.clear_dns_cache()
            second = await client.call(target_at(url), REQUEST)
    assert failure_of(first) == ("connection_refused", "connection refused")
    assert failure_of(second) == ("forbidden_target", FORBIDDEN)
    assert resolver.asked == 2
    assert connected == [PUBLIC]
    assert target.connections == 0


async def test_names_that_do_not_resolve() -> None:
    async with a_name_server() as (_, server):
        patient, hasty = (aiohttp.AsyncResolver(nameservers=[server], timeout=t, tries=1) for t in (10, 0.1))
        unknown = await call("http://unknown.example/", resolver=patient)
        silent = await call("http://hangs.example/", resolver=hasty)
        await patient.close()
        await hasty.close()
    assert failure_of(unknown) == ("dns", "the host's name cannot be resolved")
    assert failure_of(silent) == ("dns", "no name server answered when the host's name was looked up")


async def test_look_ups_that_hang_hold_up_no_other_target() -> None:
    """A hundred at once: threads for look-ups, as asyncio has them, would all be taken."""
    async with a_name_server() as (server, address), listening(answering(OK)) as listener:
        resolver = aiohttp.AsyncResolver(nameservers=[address], timeout=60, tries=1)
        async with calling(timeout="20s", resolver=resolver) as client:
            hanging = [
                asyncio.create_task(client.call(target_at(f"http://hangs-{number}.example/"), REQUEST))
                for number in range(100)
            ]
            await asyncio.sleep(0)
            for number in range(20):
                url = f"http://answers-{number}.example:{listener.port}/"
                request = Request(f"msg_{number}", EventType.ACTIVE_ALERT, 1, REQUEST.body)
                answer = await client.call(target_at(url), request)
                assert answer.failure is None
                assert answer.duration_ms < 2_000
            assert not any(task.done() for task in hanging)
            assert sum(name.startswith("hangs") for name in server.asked) >= 100
            for task in hanging:
                task.cancel()
            await asyncio.gather(*hanging, return_exceptions=True)
        await resolver.close()


async def test_a_look_up_that_hangs_ends_at_the_time_out() -> None:
    async with a_name_server() as (_, address):
        resolver = aiohttp.AsyncResolver(nameservers=[address], timeout=60, tries=1)
        answer = await call("http://hangs.example/", timeout="300ms", resolver=resolver)
        await resolver.close()
    assert failure_of(answer) == ("timeout", "no connection within 300 ms")
    assert answer.duration_ms < 1_500
