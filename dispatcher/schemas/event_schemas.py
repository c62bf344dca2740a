"""A JSON Schema (2020-12) for each event type."""

from typing import Any

from dispatcher.events.models import MODELS
from dispatcher.events.types import DESCRIPTIONS, EventType
from dispatcher.schemas.plain import PlainJsonSchema

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def event_schema(event_type: EventType) -> dict[str, Any]:
    """The schema of a type's events; members that it does not describe are allowed, and ignored."""
    schema = MODELS[event_type].model_json_schema(schema_generator=PlainJsonSchema)
    return {"$schema": DIALECT, **schema, "title": DESCRIPTIONS[event_type].display_name}
