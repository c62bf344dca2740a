"""The variables that the templates of each event type may refer to, as the documentation lists them."""

from dataclasses import dataclass
from functools import cache

from dispatcher.events.models import MODELS, VARIABLE
from dispatcher.events.types import EventType


@dataclass(frozen=True, slots=True)
class Variable:
    """A template variable: its name without #, and what it stands for."""

    name: str
    caption: str


_COMMON = (
    Variable("event_type", "Event Type"),
    Variable("organization_id", "Organization Id"),
    Variable("organization_name", "Organization/Tenant name"),
    Variable("timestamp", "Event date and time (ISO 8601)"),
)
_COMMON_NAMES = frozenset(variable.name for variable in _COMMON)


@cache
def variables_of(event_type: EventType) -> tuple[Variable, ...]:
    """A type's variables: those common to all types first, then its own in the documentation's order."""
    data = MODELS[event_type].model_fields["data"].annotation
    own = [
        Variable(name, field.description or name)
        for name, field in data.model_fields.items()  # type: ignore[union-attr]
        if isinstance(field.json_schema_extra, dict) and VARIABLE in field.json_schema_extra
    ]
    return (*_COMMON, *(variable for variable in own if variable.name not in _COMMON_NAMES))


@cache
def names_of(event_type: EventType) -> frozenset[str]:
    """The names, without #, of a type's variables."""
    return frozenset(variable.name for variable in variables_of(event_type))
