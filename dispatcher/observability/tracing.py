"""Spans by OpenTelemetry: one for the matching of each event and one for each attempt, exported by OTLP over HTTP.

Imported only where an exporter is configured, by the standard variables: without them nothing of this costs anything.
"""

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Final, Protocol, TypeVar

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from dispatcher.delivery.outcome import Outcome
from dispatcher.delivery.record import Delivery
from dispatcher.errors import ConfigurationError
from dispatcher.events.event import Event
from dispatcher.observability.trace_context import TraceContext

SERVICE: Final = "portal-webhook-dispatcher"

_FLUSH_SECONDS = 2.0
_LOOK_SECONDS = 0.02

T = TypeVar("T")


class Place(Protocol):
    """Where a record stands."""

    topic: str
    partition: int
    offset: int


class AttemptSpan:
    """The span of an attempt; ``delivery`` is what is being attempted."""

    def __init__(self, span: Span, delivery: Delivery) -> None:
        self._span = span
        self._delivery = delivery
        self.traceparent = _traceparent(span.get_span_context())

    @property
    def following(self) -> TraceContext:
        """The context of the attempt that may follow: beside this one, linked to it."""
        trace = self._delivery.trace or TraceContext(self.traceparent)
        return trace._replace(previous=self.traceparent)

    def end(self, outcome: Outcome | None) -> None:
        """Tell what became of it; None: it was given up, and somebody else makes it."""
        span = self._span
        if outcome is None:
            span.set_status(Status(StatusCode.ERROR, "given up"))
        elif span.is_recording():
            if outcome["target_host"]:
                span.set_attribute("server.address", outcome["target_host"])
            if "request_url" in outcome:
                span.set_attribute("url.full", outcome["request_url"])
            if outcome["response_code"] is not None:
                span.set_attribute("http.response.status_code", outcome["response_code"])
            if outcome["status"] == "failed":
                span.set_attribute("error.type", outcome["reason"])
                span.set_status(Status(StatusCode.ERROR, outcome["error"]))
        span.end()


class Tracing:
    """Makes spans; ``provider`` decides which are recorded, and where they go."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("dispatcher")

    def matching(self, event: Event, place: Place, results: Iterator[T]) -> Iterator[T]:
        """The ``results`` of matching an event, in a span, of which the messages are part."""
        span = self._tracer.start_span(
            "match",
            _parent(event.trace),
            SpanKind.CONSUMER,
            {
                "messaging.system": "kafka",
                "messaging.destination.name": place.topic,
                "messaging.destination.partition.id": str(place.partition),
                "messaging.kafka.offset": place.offset,
                "cloudevents.event_id": event.id,
                "cloudevents.event_source": event.source,
                "cloudevents.event_type": event.type.value,
                "dispatcher.organization_id": event.organization_id,
            },
        )
        event.trace = TraceContext(_traceparent(span.get_span_context()), event.trace.state if event.trace else "")
        messages = 0
        try:
            for result in results:
                messages += 1
                yield result
        except Exception as error:
            span.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise
        finally:
            span.set_attribute("dispatcher.messages", messages)
            span.end()

    def attempt(self, delivery: Delivery) -> AttemptSpan:
        """Begin the span of an attempt; whoever begins it ends it."""
        trace = delivery.trace
        previous = _span_context(trace.previous) if trace is not None and trace.previous else None
        span = self._tracer.start_span(
            "attempt",
            _parent(trace),
            SpanKind.CLIENT,
            {
                "http.request.method": "POST",
                "cloudevents.event_type": delivery.event_type.value,
                "dispatcher.organization_id": delivery.organization_id,
                "dispatcher.webhook_id": delivery.webhook_id,
                "dispatcher.message_id": delivery.message_id,
                "dispatcher.run": delivery.run,
                "dispatcher.attempt": delivery.attempt,
            },
            [Link(previous, {"dispatcher.attempt": delivery.attempt - 1})] if previous is not None else (),
        )
        return AttemptSpan(span, delivery)

    async def close(self) -> None:
        """Export what waits, within two seconds: a collector that is away must not keep the process from ending."""
        ending = threading.Thread(target=self._provider.shutdown, name="last spans", daemon=True)
        ending.start()
        with suppress(TimeoutError):
            async with asyncio.timeout(_FLUSH_SECONDS):
                # Not by an event: a thread that is left behind must not call into a loop that has ended.
                while ending.is_alive():  # noqa: ASYNC110
                    await asyncio.sleep(_LOOK_SECONDS)


def otlp_tracing(environment: Mapping[str, str]) -> Tracing:
    """Tracing to where the standard variables of OpenTelemetry say, which its SDK reads from the process's own.

    Raises:
        ConfigurationError: they ask for what there is not, or cannot be read.
    """
    for name in ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        if environment.get(name, "http/protobuf").strip() not in {"", "http/protobuf"}:
            raise ConfigurationError(f"{name} is {environment[name]!r}; spans are exported by http/protobuf only")
    try:
        # What is passed wins over what the variables say, so it is passed only where they do not.
        named = environment.get("OTEL_SERVICE_NAME") or SERVICE_NAME in environment.get("OTEL_RESOURCE_ATTRIBUTES", "")
        resource = Resource.create(None if named else {SERVICE_NAME: SERVICE})
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    except ValueError as error:
        raise ConfigurationError(f"the variables OTEL_… cannot be used: {error}") from error
    return Tracing(provider)


def _parent(trace: TraceContext | None) -> Context | None:
    context = _span_context(trace.parent, trace.state) if trace is not None else None
    return set_span_in_context(NonRecordingSpan(context)) if context is not None else None


def _span_context(traceparent: str, state: str = "") -> SpanContext:
    _, trace_id, span_id, flags = traceparent.split("-")
    return SpanContext(
        int(trace_id, 16),
        int(span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(int(flags, 16)),
        trace_state=TraceState.from_header([state]) if state else None,
    )


def _traceparent(context: SpanContext) -> str:
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
