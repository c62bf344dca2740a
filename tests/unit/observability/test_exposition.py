from aiohttp import web
from aiohttp.test_utils import TestServer
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from dispatcher.observability.exposition import Exposition, merged
from tests.support.exposed import Samples, samples


def a_process(made: int) -> CollectorRegistry:
    registry = CollectorRegistry()
    Counter("made_total", "Attempts", ["status"], registry=registry).labels('odd "status"\n').inc(made)
    Gauge("in_flight", "Attempts under way", registry=registry).set(made)
    Histogram("seconds", "Durations", buckets=(1, 2), registry=registry).observe(1.5)
    return registry


def test_what_others_tell_stands_beside_with_the_name_of_the_process() -> None:
    text = merged(a_process(1), {"sender 1": generate_latest(a_process(20)).decode()})
    found = samples(text.decode())
    assert found["made_total"] == {
        frozenset({("status", 'odd "status"\n')}): 1,
        frozenset({("status", 'odd "status"\n'), ("process", "sender 1")}): 20,
    }
    assert found["seconds_bucket"][frozenset({("le", "2.0"), ("process", "sender 1")})] == 1
    assert found["seconds_sum"][frozenset({("process", "sender 1")})] == 1.5
    assert text.count(b"# TYPE made_total counter") == 1
    assert text.count(b"# TYPE seconds histogram") == 1


def test_what_only_others_have_is_told_too() -> None:
    found = samples(merged(CollectorRegistry(), {"a": generate_latest(a_process(3)).decode()}).decode())
    assert found["in_flight"] == {frozenset({("process", "a")}): 3}


async def test_a_process_that_does_not_answer_is_said_to_be_down() -> None:
    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(a_process(7)))

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    async with TestServer(app) as server:
        works, gone = str(server.make_url("/metrics")), str(server.make_url("/elsewhere"))
        text = await Exposition(lambda: {"works": works, "ended": None, "gone": gone}).text()
    found: Samples = samples(text.decode())
    assert found["in_flight"] == {frozenset({("process", "works")}): 7}
    assert found["dispatcher_process_up"] == {
        frozenset({("process", "works")}): 1,
        frozenset({("process", "ended")}): 0,
        frozenset({("process", "gone")}): 0,
    }
    assert "dispatcher_build_info" in found
