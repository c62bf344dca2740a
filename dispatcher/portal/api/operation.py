"""What an operation of the API is: declared once, and both the server and the OpenAPI document follow from it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict

from dispatcher.portal.api.problems import BadField, Problem, invalid
from dispatcher.portal.api.rate_limits import Policy
from dispatcher.portal.auth import Caller

API = "/api/v1"
ORGANIZATION = API + "/organizations/{organization_id}"


class Body(BaseModel):
    """A request's body: a JSON object with these members and no others, each of its own type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Query(BaseModel):
    """A request's query: these parameters and no others."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NoQuery(Query):
    """An operation without parameters."""


class NoBody(Body):
    """An operation without a body."""


class NoAnswer(BaseModel):
    """An answer without a body."""


Q = TypeVar("Q", bound=Query)
B = TypeVar("B", bound=Body)
A = TypeVar("A", bound=BaseModel)


async def _let_in() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Call(Generic[Q, B]):
    """One request: who asks, about what, and with which parameters and body."""

    caller: Caller
    path: Mapping[str, str]
    query: Q
    body: B
    raw_body: bytes
    request: web.Request
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers that stand for the request's own: a page says in a form what a program says in a header."""
    still_let_in: Callable[[], Awaitable[bool]] = _let_in
    """Whether the request would be let in now: a long answer outlives the token or the session that it began with."""

    @property
    def organization_id(self) -> str:
        """The organization in the path, of which the caller is an admin."""
        return self.path["organization_id"]

    def header(self, name: str, *, limit: int, listed: bool = False) -> str | None:
        """A header of the request, without spaces around it. One that holds a list may be there on several lines.

        Raises:
            Problem: it is longer than ``limit`` characters, empty, or there more than once.
        """
        values = [self.headers[name]] if name in self.headers else self.request.headers.getall(name, [])
        if listed and values:
            values = [", ".join(values)]
        if not values:
            return None
        value = values[0].strip()
        if len(values) > 1 or not 0 < len(value) <= limit:
            raise invalid([BadField(field=name, detail=f"give it once, with 1 to {limit} characters")])
        return value


@dataclass(frozen=True, slots=True)
class Answer(Generic[A]):
    """What a request is answered with."""

    body: A
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Header:
    """A header of requests that means something; how long it may be, where that is bounded."""

    description: str
    max_length: int | None = None


@dataclass(frozen=True, slots=True)
class Operation(Generic[Q, B, A]):
    """A method and a path, what may be sent there, and what comes back."""

    method: str
    path: str
    summary: str
    handler: Callable[[Call[Q, B]], Awaitable[Answer[A]]]
    query: type[Q]
    body: type[B]
    answer: type[A]
    status: int = 200
    problems: tuple[int, ...] = ()
    request_headers: Mapping[str, Header] = field(default_factory=dict)
    response_headers: Mapping[str, str] = field(default_factory=dict)
    limits: tuple[Policy, ...] = ()
    """What holds for this operation beside what holds for everything."""
    also_wrong: "Callable[[Call[Q, NoBody], Mapping[str, Any]], Awaitable[list[BadField]]] | None" = None
    """What else is wrong with a body that is refused, where that follows from what there is. Of a body that is not
    refused, the handler tells it."""


@dataclass(frozen=True, slots=True)
class StreamedOperation(Generic[Q]):
    """An operation that writes its answer bit by bit."""

    path: str
    summary: str
    handler: Callable[[Call[Q, NoBody]], Awaitable[web.StreamResponse]]
    query: type[Q]
    media_type: str
    problems: tuple[int, ...] = ()
    request_headers: Mapping[str, Header] = field(default_factory=dict)
    response_headers: Mapping[str, str] = field(default_factory=dict)
    events: Mapping[str, type[BaseModel]] = field(default_factory=dict)
    """What the data of each kind of event is, where the answer is made of events."""
    method: str = "GET"
    limits: tuple[Policy, ...] = ()


AnyOperation = Operation[Any, Any, Any] | StreamedOperation[Any]


def not_found(what: str) -> Problem:
    """404, the same whether there is none or it is another organization's."""
    return Problem(404, f"There is no such {what} in this organization.")
