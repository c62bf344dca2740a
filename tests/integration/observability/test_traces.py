"""A trace from Portal's event to the target's request: through matcher, sender and relay on a real Kafka."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import structlog
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from dispatcher.delivery.relay import Relay
from dispatcher.delivery.sender import Sender
from dispatcher.events.types import EventType
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.topics import Topics
from dispatcher.matching.matcher import Matcher
from dispatcher.observability.tracing import Tracing, otlp_tracing
from dispatcher.settings import Settings
from tests.support.delivering import Delivering
from tests.support.kafka import consume
from tests.support.matching import an_event
from tests.support.target import Target, a_target, fail_first
from tests.support.waiting import eventually
from tests.support.web_server import listening

TRACE = "0af7651916cd43dd8448eb211c80319c"
ORIGIN = f"00-{TRACE}-b7ad6b7169203331-01"
ALERTS = EventType.ACTIVE_ALERT


@pytest.fixture
async def target() -> AsyncIterator[Target]:
    async with a_target() as target:
        yield target


@pytest.fixture
async def delivering(settings: Settings, clients: KafkaClients, topics: Topics) -> AsyncIterator[Delivering]:
    networks = Settings(allowed_target_networks="127.0.0.0/8").allowed_target_networks
    settings = settings.model_copy(update={"allowed_target_networks": networks})
    async with AsyncExitStack() as stack:
        delivering = Delivering(settings, clients, topics, stack)
        await delivering.start()
        yield delivering


@asynccontextmanager
async def roles(delivering: Delivering, tracing: Tracing | None) -> AsyncIterator[None]:
    clients, topics, follower = delivering.clients, delivering.topics, delivering.follower
    async with AsyncExitStack() as stack:
        for role in (
            Matcher(clients, topics, follower, tracing=tracing),
            Sender(delivering.settings, clients, topics, follower, tracing=tracing),
            Relay(clients, topics),
        ):
            await role.start()
            stack.push_async_callback(role.stop)
        yield


async def publish(
    delivering: Delivering, headers: Sequence[tuple[str, bytes]] = (), id: str = "event-1", **members: object
) -> None:
    value = json.dumps({**json.loads(an_event(ALERTS, id=id)), **members}).encode()
    async with delivering.clients.producer() as producer:
        await producer.send_and_wait(
            delivering.topics.events[ALERTS], value, key=b"org-contoso", headers=list(headers) or None
        )


async def test_one_trace_has_the_matching_and_every_attempt(delivering: Delivering, target: Target) -> None:
    await delivering.webhook("wh", target.url("in?token=s3cret", fail_first(1)), headers={"X-Key": "k3y"})
    target.behaviours["/in"] = fail_first(1)
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    async with roles(delivering, Tracing(provider)):
        await publish(delivering, traceparent=ORIGIN, tracestate="portal=1")
        await eventually(lambda: len(target.received) == 2)
        await delivering.outcomes(2)
        spans: Sequence[ReadableSpan] = await eventually(lambda: _spans(exporter, 3))
    (matching,) = [span for span in spans if span.name == "match"]
    failed, successful = sorted(
        (span for span in spans if span.name == "attempt"), key=lambda span: span.start_time or 0
    )
    assert {f"{span.context.trace_id:032x}" for span in spans} == {TRACE}
    assert matching.parent is not None
    assert f"{matching.parent.span_id:016x}" == ORIGIN.split("-")[2]
    assert matching.attributes is not None
    assert matching.attributes["dispatcher.messages"] == 1
    assert {span.parent.span_id for span in (failed, successful) if span.parent} == {matching.context.span_id}
    assert failed.attributes is not None
    assert successful.attributes is not None
    assert [
        (each["dispatcher.attempt"], each["http.response.status_code"])
        for each in (failed.attributes, successful.attributes)
    ] == [(1, 500), (2, 200)]
    assert failed.kind is SpanKind.CLIENT
    assert (failed.status.status_code, failed.status.description) == (StatusCode.ERROR, "the target answered 500")
    assert failed.attributes["error.type"] == "http_status"
    assert successful.status.status_code is StatusCode.UNSET
    assert not failed.links
    assert [link.context.span_id for link in successful.links] == [failed.context.span_id]
    told = "".join(span.to_json() for span in spans)
    assert "s3cret" not in told
    assert "k3y" not in told
    assert [each.headers["traceparent"] for each in target.received] == [
        f"00-{TRACE}-{span.context.span_id:016x}-01" for span in (failed, successful)
    ]
    assert all("tracestate" not in each.headers for each in target.received)


async def test_a_context_is_passed_on_as_it_came_where_nothing_is_exported(
    delivering: Delivering, target: Target
) -> None:
    await delivering.webhook("wh", target.url("in", fail_first(1)))
    with structlog.testing.capture_logs() as logs:
        async with roles(delivering, None):
            await publish(delivering, traceparent=ORIGIN, tracestate="portal=1")
            await eventually(lambda: len(target.received) == 2)
            records = await consume(delivering.clients, delivering.topics.attempts, 2)
    assert {each.headers["traceparent"] for each in target.received} == {ORIGIN}
    for record in records:
        headers = dict(record.headers)
        assert (headers["traceparent"], headers["tracestate"]) == (ORIGIN.encode(), b"portal=1")
    (line,) = [each for each in logs if each["event"] == "attempt failed"]
    assert (line["trace_id"], line["webhook_id"]) == (TRACE, "wh")
    message_id = target.received[0].message_id
    assert line["message_id"] == message_id
    assert [each for each in logs if message_id in map(str, each.values())] == [line], "the second attempt succeeded"


async def test_the_records_header_is_nearer_than_the_event_and_what_is_malformed_is_none(
    delivering: Delivering, target: Target
) -> None:
    await delivering.webhook("wh", target.url("in"))
    nearer = ORIGIN.replace("b7ad", "aaaa")
    async with roles(delivering, None):
        await publish(delivering, [("traceparent", nearer.encode())], traceparent=ORIGIN)
        await eventually(lambda: len(target.received) == 1)
        await publish(delivering, [("traceparent", b"\xff")], id="event-2", traceparent=["no", "context"])
        await eventually(lambda: len(target.received) == 2)
        await publish(delivering, [("traceparent", b"00-no-context")], id="event-3", traceparent=ORIGIN)
        await eventually(lambda: len(target.received) == 3)
    assert [each.headers.get("traceparent") for each in target.received] == [nearer, None, ORIGIN]


async def test_spans_go_to_a_collector_by_otlp(
    delivering: Delivering, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    received = ExportTraceServiceRequest()

    async def traces(request: web.Request) -> web.Response:
        received.MergeFrom(ExportTraceServiceRequest.FromString(await request.read()))
        return web.Response(content_type="application/x-protobuf")

    await delivering.webhook("wh", target.url("in"))
    async with collector(traces) as endpoint:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
        tracing = otlp_tracing({})
        async with roles(delivering, tracing):
            await publish(delivering)
            await delivering.outcomes(1)
        await tracing.close()
    # In one export, or in two where five seconds lie between the spans.
    for each in received.resource_spans:
        attributes = {attribute.key: attribute.value.string_value for attribute in each.resource.attributes}
        assert attributes["service.name"] == "portal-webhook-dispatcher"
    spans = [span for each in received.resource_spans for scope in each.scope_spans for span in scope.spans]
    assert sorted(span.name for span in spans) == ["attempt", "match"]
    assert len({span.trace_id for span in spans}) == 1


async def test_a_collector_that_hangs_keeps_nothing_from_ending(
    delivering: Delivering, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, over = asyncio.Event(), asyncio.Event()

    async def hang(_: web.Request) -> web.Response:
        reached.set()
        await over.wait()
        return web.Response()

    await delivering.webhook("wh", target.url("in"))
    async with collector(hang) as endpoint:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "300")
        tracing = otlp_tracing({})
        async with roles(delivering, tracing):
            await publish(delivering)
            await delivering.outcomes(1)
        async with asyncio.timeout(30):
            await tracing.close()
        assert reached.is_set()
        over.set()


@asynccontextmanager
async def collector(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/v1/traces", handler)
    async with listening(web.AppRunner(app)) as url:
        yield url


def _spans(exporter: InMemorySpanExporter, count: int) -> Sequence[ReadableSpan]:
    spans = exporter.get_finished_spans()
    return spans if len(spans) >= count else ()
