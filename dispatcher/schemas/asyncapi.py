"""The AsyncAPI 3 document of every topic: keys, headers and values."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_type_hints

from pydantic import BaseModel, create_model
from pydantic.json_schema import models_json_schema

from dispatcher.delivery.outcome import Outcome
from dispatcher.events.models import MODELS
from dispatcher.events.resources import Resource
from dispatcher.events.types import DESCRIPTIONS, EventType
from dispatcher.kafka.topics import Topic, Topics
from dispatcher.portal.audit import AuditEntry
from dispatcher.portal.ended_sessions import SessionEnd
from dispatcher.schemas.plain import PlainJsonSchema
from dispatcher.webhooks.notices import NOTICES

Document = dict[str, Any]

_SCHEMA = "#/components/schemas/{model}"

_NUMBER = "^[0-9]+$"
_MILLISECONDS = "milliseconds since the Unix epoch"

_WEBHOOK = "The webhook's id"


def _outcome_model() -> type[BaseModel]:
    """The typed dictionary that senders write, as a model that can be described."""
    members: dict[str, Any] = {
        name: (hint, ... if name in Outcome.__required_keys__ else None)
        for name, hint in get_type_hints(Outcome).items()
    }
    return create_model("Outcome", __doc__=Outcome.__doc__, **members)


def _text(description: str) -> Document:
    return {"type": "string", "description": description}


def _number(description: str) -> Document:
    return {"type": "string", "pattern": _NUMBER, "description": description}


def _headers(properties: Mapping[str, Document], required: Sequence[str] | None = None) -> Document:
    return {
        "type": "object",
        "required": list(properties if required is None else required),
        "properties": dict(properties),
    }


_VERSION = {"type": "string", "const": "1", "description": "The format's version"}

_TRACE_HEADERS = {
    "traceparent": _text("Where in a W3C trace the message is; absent where it is in none"),
    "tracestate": _text("What tracing systems add to it; may be absent"),
    "previous-traceparent": _text("The span of the attempt before, where spans are exported; absent otherwise"),
}


def _headers_in_traces(properties: Mapping[str, Document]) -> Document:
    return _headers({**properties, **_TRACE_HEADERS}, list(properties))


_DELIVERY_HEADERS = _headers_in_traces(
    {
        "v": _VERSION,
        "message": _text("The message's id, which targets get as webhook-id"),
        "run": _number("1 for the first run of a message, one more for each resend"),
        "attempt": _number("Which attempt of the run is to be made: 1, 2, …"),
        "event": {"type": "string", "enum": [event_type.value for event_type in EventType]},
        "organization": _text("The organization's id"),
        "created": _number(f"When the message came to be, in {_MILLISECONDS}"),
        "config": _number("The position in webhooks.config that the matcher had read"),
        "workspace": _text("The device's id, empty where there is none"),
    }
)

_OUTCOME_HEADERS = {
    "v": _VERSION,
    "message": _text("The message's id"),
    "run": _number("The run"),
    "attempt": _number("The attempt"),
    "final": {"type": "string", "enum": ["0", "1"], "description": "0 while the attempt is being executed"},
    "topic": _text("Where the attempt's delivery was read"),
    "offset": _number("The delivery's offset there; its partition is this record's"),
}
_CALLED = {
    "type": "string",
    "const": "0",
    "description": "The webhook was disabled at its first attempt; otherwise absent",
}
_ATTEMPT_HEADERS = _headers({**_OUTCOME_HEADERS, "called": _CALLED, **_TRACE_HEADERS}, list(_OUTCOME_HEADERS))

_CONFIG_HEADERS = _headers(
    {
        "v": _VERSION,
        "revision": _number("The webhook's revision that this record makes"),
        "base": _number("The revision that its writer had seen; a record with another one than the current is ignored"),
        "withdraws": _number("The revision whose change this record takes back; absent otherwise"),
        "audit": _text("The change's entry of the audit, encrypted; absent where nobody changed anything"),
    },
    ["v", "revision", "base"],
)

_DEAD_LETTER_HEADERS = _headers(
    {
        "dead-letter-reason": _text("Why the record could not be understood"),
        "dead-letter-topic": _text("Where it was read"),
        "dead-letter-partition": _number("The partition there"),
        "dead-letter-offset": _number("The offset there"),
        "dead-letter-time": _number(f"The record's time there, in {_MILLISECONDS}"),
        "dead-letter-omitted": _text("What of the record was not kept here, such as its value; absent otherwise"),
    },
    ["dead-letter-reason", "dead-letter-topic", "dead-letter-partition", "dead-letter-offset", "dead-letter-time"],
)

_ASKED_AT = {"type": "integer", "description": f"When it was asked for, in {_MILLISECONDS}"}

_COMMAND = {
    "title": "Command",
    "oneOf": [
        {
            "type": "object",
            "description": "Disable a webhook",
            "required": ["v", "command", "webhook_id", "reason", "time"],
            "properties": {
                "v": {"const": 1},
                "command": {"const": "disable"},
                "webhook_id": {"type": "string"},
                "reason": {"type": "string", "description": "What people are shown as the reason"},
                "time": {
                    "type": "integer",
                    "description": f"As of when, in {_MILLISECONDS}: one that was changed later is left alone",
                },
            },
        },
        {
            "type": "object",
            "description": "Erase an organization",
            "required": ["v", "command", "id", "organization_id", "time"],
            "properties": {
                "v": {"const": 1},
                "command": {"const": "erase"},
                "id": {"type": "string", "description": "The id of the notice that will tell what was done"},
                "organization_id": {"type": "string"},
                "time": _ASKED_AT,
            },
        },
        {
            "type": "object",
            "description": "Delete a webhook that the portal cannot read; one that it can read stays",
            "required": ["v", "command", "webhook_id", "time"],
            "properties": {
                "v": {"const": 1},
                "command": {"const": "remove"},
                "webhook_id": {"type": "string", "minLength": 1},
                "time": _ASKED_AT,
            },
        },
        {
            "type": "object",
            "description": "Send again what failed at a webhook",
            "required": ["v", "command", "webhook_id", "spans", "time"],
            "properties": {
                "v": {"const": 1},
                "command": {"const": "recover"},
                "webhook_id": {"type": "string"},
                "spans": {
                    "type": "array",
                    "description": "When it failed: from one moment up to another",
                    "items": {
                        "type": "object",
                        "required": ["since", "until"],
                        "properties": {
                            "since": {"type": "integer", "description": f"In {_MILLISECONDS}"},
                            "until": {"type": "integer", "description": f"In {_MILLISECONDS}"},
                        },
                    },
                },
                "time": _ASKED_AT,
            },
        },
    ],
}

_NOTICE = {"title": "Notice", "oneOf": [{"$ref": _SCHEMA.format(model=each.__name__)} for each in NOTICES]}

_AUDIT_RECORD = {
    "type": "object",
    "title": "AuditRecord",
    "required": ["v", "organization_id", "webhook_id", "webhook_name", "entry"],
    "properties": {
        "v": {"const": 1},
        "organization_id": {"type": "string"},
        "webhook_id": {"type": "string", "description": "Empty where all of the organization is deleted"},
        "webhook_name": {"type": "string", "description": "Before the change"},
        "entry": {"$ref": _SCHEMA.format(model="AuditEntry")},
    },
}

_WRITTEN_SCHEMAS = {"Command": _COMMAND, "Notice": _NOTICE, "AuditRecord": _AUDIT_RECORD}


def _payload(schema: str) -> Document:
    return {"$ref": _SCHEMA.format(model=schema)}


def _message(
    title: str, payload: Document, key: str, headers: Document | None = None, content_type: str = "application/json"
) -> Document:
    return {
        "title": title,
        **({"headers": headers} if headers else {}),
        "payload": payload,
        "contentType": content_type,
        "bindings": {"kafka": {"key": {"type": "string", "description": key}}},
    }


def _messages() -> dict[str, Document]:
    return {
        **{
            event_type.value: _message(
                DESCRIPTIONS[event_type].display_name, _payload(model.__name__), "The organization's id"
            )
            for event_type, model in MODELS.items()
        },
        "resource": _message("What people choose from", _payload("Resource"), "<organization id>/<kind>/<id>"),
        "config": _message(
            "A webhook's configuration; null: deleted",
            {"type": ["string", "null"], "description": "A Fernet token: the configuration as JSON, encrypted"},
            _WEBHOOK,
            _CONFIG_HEADERS,
            content_type="application/octet-stream",
        ),
        "command": _message(
            "Asks the portal to disable a webhook, or to erase an organization",
            _payload("Command"),
            "The webhook's or the organization's id",
        ),
        "delivery": _message(
            "An attempt to make",
            {"type": "object", "description": "The rendered body, as it is sent and signed"},
            _WEBHOOK,
            _DELIVERY_HEADERS,
        ),
        "attempt": _message("What became of an attempt", _payload("Outcome"), _WEBHOOK, _ATTEMPT_HEADERS),
        "notice": _message(
            "A message failed for good, a webhook was disabled, or an organization was erased",
            _payload("Notice"),
            "The webhook's or the organization's id",
        ),
        "audit": _message("Who changed what", _payload("AuditRecord"), "The webhook's or the organization's id"),
        "session_end": _message("A session that somebody ended", _payload("SessionEnd"), "The session's id"),
        "dead_letter": _message(
            "A record that could not be understood, with its own headers and these; or, with the header "
            "dead-letter-replayed alone, the offsets here of those that were sent again",
            {"description": "The value as it came; or offsets in this partition, separated by commas"},
            "As it came",
            _DEAD_LETTER_HEADERS,
            content_type="application/octet-stream",
        ),
    }


def _contents(topics: Topics) -> Iterator[tuple[str, str, str]]:
    """Each topic's name, its message, and what it is for."""
    for event_type, name in topics.events.items():
        yield name, event_type.value, f"{DESCRIPTIONS[event_type].display_name}: what Portal publishes"
    yield topics.resources, "resource", "What people choose from when they limit a webhook to some items"
    yield topics.config, "config", "Each webhook's configuration; written by the portal only"
    yield topics.commands, "command", "What other roles ask the portal to do"
    yield topics.deliveries, "delivery", "Attempts to make now"
    yield topics.bulk, "delivery", "Attempts to make now of webhooks that have many at once"
    yield topics.parked, "delivery", "Attempts set aside so that a slow webhook holds up no other"
    for name in topics.retry.values():
        yield name, "delivery", "Attempts to make when the topic's delay is over"
    yield topics.attempts, "attempt", "What became of each attempt"
    yield topics.notices, "notice", "For operators' own systems"
    yield topics.audit, "audit", "Who changed what"
    yield topics.dead_letter, "dead_letter", "Records that could not be understood"
    yield topics.sessions, "session_end", "Sessions that people ended by signing out; from portal to portal"


_FROM_OUTSIDE = frozenset({"resource", *(event_type.value for event_type in EventType)})
_FOR_OUTSIDE = frozenset({"notice", "audit", "dead_letter"})


def _channel(topic: Topic, message: str, description: str) -> Document:
    config = topic.config
    of_topic: Document = {"cleanup.policy": [config["cleanup.policy"]]}
    if "retention.ms" in config:
        of_topic["retention.ms"] = int(config["retention.ms"])
    of_topic["max.message.bytes"] = int(config["max.message.bytes"])
    return {
        "address": topic.name,
        "description": description,
        "messages": {message: {"$ref": f"#/components/messages/{message}"}},
        "bindings": {"kafka": {"topic": topic.name, "partitions": topic.partitions, "topicConfiguration": of_topic}},
    }


def _operations(channel: str, message: str) -> Iterator[tuple[str, Document]]:
    about = {
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{message}"}],
    }
    name = channel.replace(".", "_").replace("-", "_")
    if message not in _FROM_OUTSIDE:
        yield f"send_{name}", {"action": "send", **about}
    if message not in _FOR_OUTSIDE:
        yield f"receive_{name}", {"action": "receive", **about}


def asyncapi_document(topics: Topics) -> Document:
    """The document of the topics as they are declared."""
    declared = {topic.name: topic for topic in topics.declared}
    contents = list(_contents(topics))
    read: list[type[BaseModel]] = [*MODELS.values(), Resource, _outcome_model(), AuditEntry, SessionEnd]
    _, described = models_json_schema(
        # What is only written has every member: one with a default is no less there.
        [*((model, "validation") for model in read), *((model, "serialization") for model in NOTICES)],
        ref_template=_SCHEMA,
        schema_generator=PlainJsonSchema,
    )
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Portal webhook dispatcher",
            "version": "1",
            "description": "What the dispatcher reads from Kafka and writes to it. Headers are UTF-8 text.",
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/json",
        "channels": {name: _channel(declared[name], message, description) for name, message, description in contents},
        "operations": dict(operation for name, message, _ in contents for operation in _operations(name, message)),
        "components": {"messages": _messages(), "schemas": {**described["$defs"], **_WRITTEN_SCHEMAS}},
    }
