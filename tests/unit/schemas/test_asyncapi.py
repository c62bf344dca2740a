import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, get_type_hints

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from dispatcher.delivery.notices import message_failed
from dispatcher.delivery.outcome import Outcome, outcome_headers
from dispatcher.delivery.record import Delivery
from dispatcher.events.types import EventType
from dispatcher.kafka.topics import load_topics
from dispatcher.observability.trace_context import TraceContext
from dispatcher.portal.ended_sessions import SessionEnd
from dispatcher.schemas.asyncapi import asyncapi_document
from dispatcher.settings import default_topics_file
from dispatcher.webhooks.change import Place
from dispatcher.webhooks.commands import Disable, Erase, Recover, RecoveredSpan, Remove
from dispatcher.webhooks.notices import webhook_disabled
from tests.support.webhooks import a_webhook

TOPICS = load_topics(default_topics_file())
DOCUMENT = asyncapi_document(TOPICS)
DELIVERY = Delivery("wh-1", "org-1", EventType.ACTIVE_ALERT, "msg_1", 1, 2, 1_700_000_000_000, 7, "ws-1", b"{}")

_REGISTRY = Registry().with_resource("urn:document", DRAFT202012.create_resource(DOCUMENT))


def _validator(schema: dict[str, Any]) -> Draft202012Validator:
    absolute = {"$ref": "urn:document" + schema["$ref"]} if "$ref" in schema else schema
    return Draft202012Validator(absolute, registry=_REGISTRY)


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for child in value.values():
            yield from _references(child)
    elif isinstance(value, list):
        for child in value:
            yield from _references(child)


def test_every_topic_has_its_channel() -> None:
    declared = {topic.name: topic.partitions for topic in TOPICS.declared}
    described = {each["address"]: each["bindings"]["kafka"]["partitions"] for each in DOCUMENT["channels"].values()}
    assert described == declared


@pytest.mark.parametrize("reference", sorted(set(_references(DOCUMENT))))
def test_every_reference_leads_somewhere(reference: str) -> None:
    place: Any = DOCUMENT
    for part in reference.removeprefix("#/").split("/"):
        place = place[part]
    assert place


def test_every_channel_is_used() -> None:
    used = {each["channel"]["$ref"].removeprefix("#/channels/") for each in DOCUMENT["operations"].values()}
    assert used == set(DOCUMENT["channels"])


@pytest.mark.parametrize("name", DOCUMENT["components"]["schemas"])
def test_schemas_are_schemas(name: str) -> None:
    Draft202012Validator.check_schema(DOCUMENT["components"]["schemas"][name])


def test_the_headers_of_deliveries() -> None:
    _check_headers("delivery", DELIVERY.headers())


def test_the_headers_of_what_is_in_a_trace() -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    traced = DELIVERY._replace(trace=TraceContext(parent, "a=1", parent))
    _check_headers("delivery", traced.headers())
    headers = outcome_headers(traced, final=True, topic="webhooks.deliveries", offset=7, called=False)
    _check_headers("attempt", headers)


def test_the_headers_of_attempts() -> None:
    _check_headers("attempt", outcome_headers(DELIVERY, final=True, topic="webhooks.deliveries", offset=7))


def test_the_headers_of_configurations() -> None:
    _check_headers("config", Place("wh-1", 2, 1).headers())


def test_outcomes_are_described_in_full() -> None:
    described = DOCUMENT["components"]["schemas"]["Outcome"]
    assert set(described["properties"]) == set(get_type_hints(Outcome))
    assert set(described["required"]) == Outcome.__required_keys__


@pytest.mark.parametrize("event_type", EventType)
def test_events_are_described(event_type: EventType) -> None:
    message = DOCUMENT["components"]["messages"][event_type.value]
    data = {"organization_id": "org-1", "operation_id": "op-1", "workspace_id": "ws-1"}
    event = {"specversion": "1.0", "id": "1", "source": "/p", "type": event_type.value, "data": data}
    validator = _validator(message["payload"])
    assert validator.is_valid(event)
    assert not validator.is_valid({**event, "data": {}})


def test_notices() -> None:
    outcome: Any = {**dict.fromkeys(get_type_hints(Outcome), "x"), "run": 1, "attempt": 8}
    failed = json.loads(message_failed(outcome, 1_700_000_000_000))
    disabled = json.loads(webhook_disabled(a_webhook(disabled_reason="the target answered 410 Gone")).encode())
    validator = _validator(DOCUMENT["components"]["messages"]["notice"]["payload"])
    for notice in (failed, disabled):
        validator.validate(notice)
        assert not validator.is_valid({**notice, "data": {}})
        assert not validator.is_valid({**notice, "type": "sunrise"})


def test_commands() -> None:
    validator = Draft202012Validator(DOCUMENT["components"]["schemas"]["Command"])
    now = datetime.now(UTC)
    for command in (
        Disable(v=1, command="disable", webhook_id="wh-1", reason="gone", time=now),
        Erase(v=1, command="erase", id="e", organization_id="org-1", time=now),
        Recover(v=1, command="recover", webhook_id="wh-1", spans=[RecoveredSpan(since=now, until=now)], time=now),
        Remove(v=1, command="remove", webhook_id="wh-1", time=now),
    ):
        validator.validate(json.loads(command.encode()))
    assert not validator.is_valid({"v": 1, "command": "erase"})


def test_ends_of_sessions() -> None:
    validator = _validator(DOCUMENT["components"]["messages"]["session_end"]["payload"])
    written = json.loads(SessionEnd(v=1, session="a", ends=datetime.now(UTC)).encode())
    validator.validate(written)
    assert not validator.is_valid({**written, "v": 2})


def _check_headers(message: str, headers: list[tuple[str, bytes]]) -> None:
    described = DOCUMENT["components"]["messages"][message]["headers"]
    written = {name: value.decode() for name, value in headers}
    Draft202012Validator(described).validate(written)
    assert set(written) in (set(described["properties"]), set(described["required"]))
