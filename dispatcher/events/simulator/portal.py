"""Portal as the dispatcher sees it: what happens in its organizations, as the events that it publishes."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from dispatcher.events.resources import Resource
from dispatcher.events.simulator import names, operations
from dispatcher.events.simulator.organization import Named, Organization, new_id
from dispatcher.events.types import EventType
from dispatcher.rfc3339 import rfc3339

DEFAULT_ORGANIZATIONS: Mapping[str, str] = {
    "org-contoso": "Contoso",
    "org-fabrikam": "Fabrikam",
    "org-northwind": "Northwind",
}
"""Organization id → name."""

_OBJECT_EVENTS = {
    "Creation": EventType.OBJECT_CREATED,
    "Modification": EventType.OBJECT_MODIFIED,
    "Deletion": EventType.OBJECT_DELETED,
}


@dataclass(frozen=True, slots=True)
class Published:
    """An event of Portal's: its type, whose it is, and the CloudEvents envelope with everything in it."""

    event_type: EventType
    organization_id: str
    envelope: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Happened:
    """What is to be published when its turn comes."""

    id: str
    event_type: EventType
    organization: Organization
    source: str
    data: Mapping[str, Any]

    def told(self, now: datetime) -> Published:
        envelope = {
            "specversion": "1.0",
            "id": self.id,
            "source": f"/portal/{self.source}",
            "type": self.event_type.value,
            "time": rfc3339(now),
            "datacontenttype": "application/json",
            "data": {
                "organization_id": self.organization.id,
                "organization_name": self.organization.name,
                **self.data,
            },
        }
        return Published(self.event_type, self.organization.id, envelope)


_Happening = Callable[[Organization, datetime], list[_Happened]]


class _Objects:
    """The objects that an organization has made during the simulation; only these are deleted again."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._made: dict[str, list[Named]] = {entity_type: [] for entity_type in names.ENTITY_TYPES}
        self._number = 0

    def act(self, action: str, entity_type: str, organization: Organization) -> Named:
        made = self._made[entity_type]
        if action == "Deletion" and made:
            return made.pop(self._random.randrange(len(made)))
        if action == "Modification":
            return self._random.choice([*made, *_existing(organization, entity_type)])
        self._number += 1
        created = Named(new_id(self._random), f"{entity_type} {self._number}")
        if action == "Creation":
            made.append(created)
        return created


def _existing(organization: Organization, entity_type: str) -> list[Named]:
    return {
        "Workspace": [Named(device.id, device.name) for device in organization.devices[:20]],
        "Reporting group": list(organization.groups),
        "User": [Named(user.id, user.name) for user in organization.users],
        "Flow": list(organization.flows),
        "Microservice": list(organization.microservices),
    }[entity_type]


class Portal:
    """What happens in some organizations, one event after the other.

    The same seed and organizations give the same events, ids included; all times in them are relative to the clock
    value that each is asked for with. Something that happens may give several events: they follow each other. Every
    type has come after at most a few dozen events.
    """

    def __init__(self, seed: int, organizations: Mapping[str, str] = DEFAULT_ORGANIZATIONS) -> None:
        self.organizations = tuple(Organization.found(id, name) for id, name in organizations.items())
        self._random = Random(seed)  # noqa: S311 - a simulation is meant to be repeatable
        self._objects = {organization.id: _Objects(self._random) for organization in self.organizations}
        self._to_tell: deque[_Happened] = deque()
        happenings: Mapping[_Happening, int] = {
            self._alert: 30,
            lambda organization, _: self._object("Creation", organization): 9,
            lambda organization, _: self._object("Modification", organization): 14,
            lambda organization, _: self._object("Deletion", organization): 7,
            self._simple_operation: 14,
            self._operation_device_by_device: 6,
            self._microservice: 12,
            self._flow: 5,
            self._remote_assistance: 3,
        }
        self._happenings = tuple(happenings)
        self._weights = tuple(happenings.values())
        self._not_yet_seen = list(self._happenings)
        self._random.shuffle(self._not_yet_seen)

    def resources(self) -> Iterator[Resource]:
        """Everything that people can limit a webhook to."""
        for organization in self.organizations:
            yield from organization.resources()

    def next_event(self, now: datetime) -> Published:
        """The next event that Portal publishes, at ``now``."""
        if not self._to_tell:
            organization = self._random.choice(self.organizations)
            happening = (
                self._not_yet_seen.pop()
                if self._not_yet_seen
                else self._random.choices(self._happenings, self._weights)[0]
            )
            self._to_tell.extend(happening(organization, now))
        return self._to_tell.popleft().told(now)

    def _event(
        self, event_type: EventType, organization: Organization, source: str, data: Mapping[str, Any]
    ) -> _Happened:
        return _Happened(new_id(self._random), event_type, organization, source, data)

    def _alert(self, organization: Organization, now: datetime) -> list[_Happened]:
        alert = self._random.choice(organization.alerts)
        device = self._random.choice(organization.devices)
        data = {
            "alert_id": alert.id,
            "alert_name": alert.name,
            "alert_information": alert.information,
            "alert_start": rfc3339(now - timedelta(seconds=self._random.uniform(1, 120))),
            "alert_element": self._random.choice(alert.elements),
            **device.variables(),
        }
        return [self._event(EventType.ACTIVE_ALERT, organization, "alerts", data)]

    def _object(self, action: str, organization: Organization) -> list[_Happened]:
        entity_type = self._random.choice(names.ENTITY_TYPES)
        entity = self._objects[organization.id].act(action, entity_type, organization)
        user = self._random.choice(organization.users)
        data = {
            "entity_type": entity_type,
            "entity_name": entity.name,
            "entity_id": entity.id,
            "action": action,
            "triggered_by_name": user.name,
            "triggered_by_email": user.email,
            "triggered_by_id": user.id,
        }
        return [self._event(_OBJECT_EVENTS[action], organization, "objects", data)]

    def _simple_operation(self, organization: Organization, now: datetime) -> list[_Happened]:
        return [self._executed(organization, operations.simple_operation(self._random, organization, now))]

    def _flow(self, organization: Organization, now: datetime) -> list[_Happened]:
        return [self._executed(organization, operations.flow(self._random, organization, now))]

    def _remote_assistance(self, organization: Organization, now: datetime) -> list[_Happened]:
        return [self._executed(organization, operations.remote_assistance(self._random, organization, now))]

    def _microservice(self, organization: Organization, now: datetime) -> list[_Happened]:
        operation = operations.microservice(self._random, organization, now)
        executed = [
            self._event(EventType.EXECUTED_MICROSERVICE, organization, "microservices", data)
            for data in operation.as_executed_microservice()
        ]
        return [*executed, self._executed(organization, operation)]

    def _operation_device_by_device(self, organization: Organization, now: datetime) -> list[_Happened]:
        """An event a device instead of, or as well as, the whole operation's."""
        operation = operations.flow(self._random, organization, now)
        devices = [
            self._event(EventType.OPERATION_EXECUTED_IN_WORKSPACE, organization, "operations", data)
            for data in operation.as_executed_in_workspaces()
        ]
        return [*devices, self._executed(organization, operation)] if self._random.random() < 0.5 else devices

    def _executed(self, organization: Organization, operation: operations.Operation) -> _Happened:
        data = operation.as_operation_executed()
        return self._event(EventType.OPERATION_EXECUTED, organization, "operations", data)
