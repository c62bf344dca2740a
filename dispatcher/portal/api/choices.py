"""What people choose from: event types with their variables, and the resources of an organization."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, Field

from dispatcher.events.examples import example_template
from dispatcher.events.resources import Resources, UnknownCursor
from dispatcher.events.types import DESCRIPTIONS, EventType, ResourceKind
from dispatcher.events.variables import variables_of
from dispatcher.portal.api.operation import ORGANIZATION, Answer, AnyOperation, Call, NoBody, NoQuery, Operation, Query
from dispatcher.portal.api.paging import DEFAULT_LIMIT, Cursor, Limit, bad_cursor


class VariableView(BaseModel):
    """A template variable: its name without #."""

    name: str
    caption: str


class EventTypeView(BaseModel):
    """A type of event, and what its templates may refer to."""

    event_type: EventType
    display_name: str
    resource_kind: ResourceKind
    variables: list[VariableView]
    example_template: dict[str, Any]


class EventTypeList(BaseModel):
    """All types of events."""

    items: list[EventTypeView]


class ResourceQuery(Query):
    """What to choose from."""

    event_type: EventType
    search: Annotated[str, Field(max_length=200, description="Part of the name or the id")] = ""
    limit: Limit = DEFAULT_LIMIT
    cursor: Cursor | None = None


class ResourceView(BaseModel):
    """An alert, a microservice, a type of object or a type of operation."""

    id: str
    name: str
    url: str | None


class ResourceList(BaseModel):
    """A page of resources, sorted by name."""

    items: list[ResourceView]
    next_cursor: str | None


class ChoicesApi:
    """The operations that read what there is to choose from."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    def operations(self) -> Sequence[AnyOperation]:
        """What is served."""
        return (
            Operation(
                "GET",
                f"{ORGANIZATION}/event-types",
                "List the types of events and their variables",
                self.list_event_types,
                NoQuery,
                NoBody,
                EventTypeList,
            ),
            Operation(
                "GET",
                f"{ORGANIZATION}/resources",
                "Search what a webhook of an event type can be limited to",
                self.list_resources,
                ResourceQuery,
                NoBody,
                ResourceList,
            ),
        )

    async def list_event_types(self, call: Call[NoQuery, NoBody]) -> Answer[EventTypeList]:  # noqa: ARG002 - all alike
        """All types of events."""
        return Answer(EventTypeList(items=[_event_type(event_type) for event_type in EventType]))

    async def list_resources(self, call: Call[ResourceQuery, NoBody]) -> Answer[ResourceList]:
        """A page of the resources that match."""
        query = call.query
        kind = DESCRIPTIONS[query.event_type].resource_kind
        try:
            page = self._resources.search(
                call.organization_id, kind, query.search, cursor=query.cursor, limit=query.limit
            )
        except UnknownCursor:
            raise bad_cursor() from None
        return Answer(
            ResourceList(
                items=[ResourceView(id=one.id, name=one.name, url=one.url) for one in page.items],
                next_cursor=page.next_cursor,
            )
        )

    def chosen(self, organization_id: str, event_type: EventType, ids: Sequence[str]) -> list[ResourceView]:
        """What a webhook was limited to, in that order; what is not known any more is shown by its id."""
        kind = DESCRIPTIONS[event_type].resource_kind
        found = ((id, self._resources.get(organization_id, kind, id)) for id in ids)
        return [
            ResourceView(id=id, name=one.name, url=one.url) if one else ResourceView(id=id, name=id, url=None)
            for id, one in found
        ]

    def is_known(self, organization_id: str, event_type: EventType, id: str) -> bool:
        """Whether there still is what a webhook was limited to."""
        return self._resources.get(organization_id, DESCRIPTIONS[event_type].resource_kind, id) is not None


def _event_type(event_type: EventType) -> EventTypeView:
    about = DESCRIPTIONS[event_type]
    return EventTypeView(
        event_type=event_type,
        display_name=about.display_name,
        resource_kind=about.resource_kind,
        variables=[VariableView(name=one.name, caption=one.caption) for one in variables_of(event_type)],
        example_template=example_template(event_type),
    )
