"""A simulated organization: its devices, their users, and what can happen to them."""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Self
from uuid import UUID

from dispatcher.events.resources import Resource
from dispatcher.events.simulator import names
from dispatcher.events.types import ResourceKind

DEVICES = 240

_PORTAL = "https://portal.example"


def new_id(random: Random) -> str:
    """An id as Portal makes them."""
    return str(UUID(int=random.getrandbits(128), version=4))


@dataclass(frozen=True, slots=True)
class Named:
    """Something with an id and a name: a reporting group, a microservice, a flow."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who uses devices, or works in Portal."""

    id: str
    name: str
    email: str
    login: str


@dataclass(frozen=True, slots=True)
class Device:
    """A workspace."""

    id: str
    name: str
    group: Named
    last_user: User

    def variables(self) -> dict[str, str]:
        """The variables that every event about a device has."""
        return {
            "workspace_id": self.id,
            "workspace_name": self.name,
            "workspace_last_user": self.last_user.login,
            "workspace_reporting_group_id": self.group.id,
            "workspace_reporting_group_name": self.group.name,
        }


@dataclass(frozen=True, slots=True)
class AlertDefinition:
    """What an organization wants to be alerted about."""

    id: str
    name: str
    information: str
    elements: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Organization:
    """A customer of Portal's, as it is when the simulation begins."""

    id: str
    name: str
    users: tuple[User, ...]
    groups: tuple[Named, ...]
    devices: tuple[Device, ...]
    alerts: tuple[AlertDefinition, ...]
    microservices: tuple[Named, ...]
    flows: tuple[Named, ...]

    @classmethod
    def found(cls, id: str, name: str) -> Self:
        """Make up an organization: the same for the same id, so that its devices stay from one run to the next."""
        random = Random(id)  # noqa: S311 - a simulation is meant to be repeatable
        users = tuple(_users(random, id))
        groups = tuple(Named(f"rg-{number}", name) for number, name in enumerate(names.REPORTING_GROUPS, 1))
        return cls(
            id=id,
            name=name,
            users=users,
            groups=groups,
            devices=tuple(
                Device(
                    id=f"ws-{new_id(random)[:8]}-{number}",
                    name=f"{random.choice(('LT', 'LT', 'PC', 'VD'))}-{number:04}",
                    group=random.choice(groups),
                    last_user=random.choice(users),
                )
                for number in range(1, DEVICES + 1)
            ),
            alerts=tuple(
                AlertDefinition(f"alert-{number}", name, information, elements)
                for number, (name, information, elements) in enumerate(names.ALERTS, 1)
            ),
            microservices=tuple(Named(f"ms-{number}", name) for number, name in enumerate(names.MICROSERVICES, 1)),
            flows=tuple(Named(f"flow-{number}", name) for number, name in enumerate(names.FLOWS, 1)),
        )

    def resources(self) -> Iterator[Resource]:
        """Everything that people can limit a webhook to."""
        for alert in self.alerts:
            yield self._resource(ResourceKind.ALERT, alert.id, alert.name, f"alerts/{alert.id}")
        for microservice in self.microservices:
            yield self._resource(
                ResourceKind.MICROSERVICE, microservice.id, microservice.name, f"microservices/{microservice.id}"
            )
        for entity_type in names.ENTITY_TYPES:
            yield self._resource(ResourceKind.OBJECT, entity_type, entity_type, None)
        for operation_type in names.OPERATION_TYPES:
            yield self._resource(ResourceKind.OPERATION, operation_type, operation_type, None)

    def _resource(self, kind: ResourceKind, id: str, name: str, path: str | None) -> Resource:
        url = f"{_PORTAL}/{self.id}/{path}" if path else None
        return Resource(organization_id=self.id, kind=kind, id=id, name=name, url=url)


def _users(random: Random, organization_id: str) -> Iterator[User]:
    domain = f"{organization_id.removeprefix('org-')}.example"
    realm = organization_id.removeprefix("org-").upper()
    for number in range(1, 31):
        given, family = random.choice(names.GIVEN_NAMES), random.choice(names.FAMILY_NAMES)
        login = f"{_plain(given)[0]}{_plain(family)}{number}"
        yield User(f"user-{number}", f"{given} {family}", f"{login}@{domain}", f"{realm}\\{login}")


def _plain(name: str) -> str:
    """A name in the letters that logins are made of."""
    return "".join(letter for letter in unicodedata.normalize("NFD", name.lower()) if "a" <= letter <= "z")
