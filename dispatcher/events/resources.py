"""What people choose from when they limit a webhook to some items: the records of ``portal.resources``."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from bisect import bisect_right
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from dispatcher.events.types import ResourceKind
from dispatcher.folding import folded

# Of 6 bytes at most as JSON, so many characters make a cursor of less than 2,000.
_NAME_LENGTH = 150
_ID_LENGTH = 90
_DIGEST_LENGTH = 32


class UnreadableResource(ValueError):
    """A record that is not a resource; the message says what is wrong with it."""


class UnknownCursor(ValueError):
    """A cursor that no list of resources gave."""


class Resource(BaseModel):
    """An alert, a microservice, a type of object or a type of operation of an organization.

    ``id`` is what webhooks' items are matched on. Without a name it is shown by its id; without a URL it cannot be
    looked at in Portal. What is neither an http or https URL nor a path of Portal's counts as none.
    """

    model_config = ConfigDict(frozen=True)

    organization_id: str = Field(min_length=1)
    kind: ResourceKind
    id: str = Field(min_length=1, description="What the items of webhooks are matched on")
    name: str = Field(default="", description="Shown to people; without one, the id is")
    url: str | None = Field(default=None, description="Where Portal shows it")

    @field_validator("name", mode="before")
    @classmethod
    def _no_name(cls, value: object) -> object:
        return "" if value is None else value

    @field_validator("url", mode="before")
    @classmethod
    def _can_be_followed(cls, value: object) -> object:
        return value if isinstance(value, str) and value.startswith(("https://", "http://", "/")) else None

    @model_validator(mode="after")
    def _shown_by_its_id(self) -> Self:
        return self if self.name else self.model_copy(update={"name": self.id})

    @property
    def key(self) -> bytes:
        """The key of the resource's record, ``<organization id>/<kind>/<id>``."""
        return f"{self.organization_id}/{self.kind}/{self.id}".encode()


def read_resource(key: bytes | None, value: bytes) -> Resource:
    """The resource in a record.

    Raises:
        UnreadableResource: it is not one, or its key is another's.
    """
    try:
        resource = Resource.model_validate_json(value)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc']) or 'the record'}: {problem['msg']}"
            for problem in error.errors()
        )
        raise UnreadableResource(problems) from None
    if resource.key != key:
        shown = (key or b"").decode(errors="replace")
        raise UnreadableResource(f"the key is {shown!r}, not {resource.key.decode()!r} as the value says")
    return resource


def is_of_organization(key: bytes, value: bytes, organization_id: str) -> bool:
    """Whether a record is about a resource of an organization; of one that cannot be read, whether it may be.

    Ids may hold slashes, so a key alone can be read in more than one way.
    """
    try:
        return read_resource(key, value).organization_id == organization_id
    except UnreadableResource:
        return key.startswith(tuple(f"{organization_id}/{kind}/".encode() for kind in ResourceKind))


@dataclass(frozen=True, slots=True)
class Page:
    """Some resources, and the cursor with which a search goes on after them; None when these are the last."""

    items: tuple[Resource, ...]
    next_cursor: str | None


_Position = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class _Placed:
    """A resource where it stands among the others."""

    position: _Position
    name: str
    resource: Resource

    @classmethod
    def of(cls, resource: Resource) -> Self:
        return cls(_position(resource.name, resource.id), folded(resource.name), resource)

    def holds(self, wanted: str) -> bool:
        """Whether the name or the id contains a folded text."""
        return wanted in self.name or wanted in folded(self.resource.id)


@dataclass(slots=True)
class _Shelf:
    """The resources of one kind of an organization, in the order in which they are shown."""

    by_id: dict[str, _Placed] = field(default_factory=dict)
    in_order: list[_Placed] | None = None

    def put(self, resource: Resource) -> None:
        self.by_id[resource.id] = _Placed.of(resource)
        self.in_order = None

    def remove(self, id: str) -> None:
        if self.by_id.pop(id, None) is not None:
            self.in_order = None

    def sorted(self) -> list[_Placed]:
        if self.in_order is None:
            self.in_order = sorted(self.by_id.values(), key=_where)
        return self.in_order


class Resources:
    """All resources, as the records that were applied leave them."""

    def __init__(self) -> None:
        self._shelves: dict[tuple[str, ResourceKind], _Shelf] = {}
        self._by_key: dict[bytes, Resource] = {}

    def __len__(self) -> int:
        return len(self._by_key)

    def apply(self, key: bytes | None, value: bytes | None) -> None:
        """Take over a record; without a value, the resource is gone.

        Raises:
            UnreadableResource: the record is not a resource; nothing has changed.
        """
        if value is None:
            gone = self._by_key.pop(key or b"", None)
            if gone is not None:
                self._shelves[gone.organization_id, gone.kind].remove(gone.id)
            return
        resource = read_resource(key, value)
        self._by_key[resource.key] = resource
        self._shelves.setdefault((resource.organization_id, resource.kind), _Shelf()).put(resource)

    def get(self, organization_id: str, kind: ResourceKind, id: str) -> Resource | None:
        """The resource that an item of a webhook stands for, if it is known."""
        shelf = self._shelves.get((organization_id, kind))
        placed = shelf.by_id.get(id) if shelf else None
        return placed.resource if placed else None

    def search(
        self, organization_id: str, kind: ResourceKind, text: str = "", *, cursor: str | None = None, limit: int = 50
    ) -> Page:
        """The resources whose name or id contains ``text``, whatever its case and accents, by name.

        ``cursor`` is a page's ``next_cursor``: the search goes on after it, whatever has come or gone since.

        Raises:
            UnknownCursor: the cursor is not one of ours.
        """
        after = _read_cursor(cursor) if cursor else None
        shelf = self._shelves.get((organization_id, kind))
        if shelf is None:
            return Page((), None)
        in_order = shelf.sorted()
        start = bisect_right(in_order, after, key=_where) if after else 0
        wanted = folded(text.strip())
        found: list[Resource] = []
        for placed in in_order[start:]:
            if placed.holds(wanted):
                if len(found) == limit:
                    return Page(tuple(found), _cursor(found[-1]))
                found.append(placed.resource)
        return Page(tuple(found), None)


def _position(name: str, id: str) -> _Position:
    """Where a resource stands: by how its name begins, and of those that begin alike, by its id.

    What it is made of has a bounded length and is its own beginning, so that a cursor can hold it.
    """
    beginning = name[:_NAME_LENGTH]
    return folded(beginning), beginning, id if len(id) <= _ID_LENGTH else _shortened(id)


def _shortened(id: str) -> str:
    digest = sha256(id.encode(errors="surrogatepass")).hexdigest()[:_DIGEST_LENGTH]
    return id[: _ID_LENGTH - _DIGEST_LENGTH] + digest


def _where(placed: _Placed) -> _Position:
    return placed.position


def _cursor(last: Resource) -> str:
    _, *where = _position(last.name, last.id)
    return urlsafe_b64encode(json.dumps(where, ensure_ascii=False).encode()).decode().rstrip("=")


def _read_cursor(cursor: str) -> _Position:
    try:
        name, id = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, TypeError, RecursionError):
        raise UnknownCursor("the cursor is not one that this list gave: start again without it") from None
    if not isinstance(name, str) or not isinstance(id, str):
        raise UnknownCursor("the cursor is not one that this list gave: start again without it")
    return _position(name, id)
