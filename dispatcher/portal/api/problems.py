"""What the API says when it cannot do what it was asked: RFC 9457 problem details that name every bad field."""

import json
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dispatcher.validation import BadMembers

CONTENT_TYPE = "application/problem+json"

_LISTED_AT_MOST = 1_000
_LISTED_OF_A_MEMBER = 100
_READ_AT_MOST = 20_000
"""So many errors are read in a few hundredths of a second, in which others wait."""


class BadField(BaseModel):
    """One thing that is wrong: which member, parameter or header, and what to put there."""

    field: str = Field(description="The member of the body (dots between levels), the parameter or the header")
    detail: str
    pointer: str | None = Field(default=None, description="For a member of the body: its JSON Pointer, as a fragment")


class OtherWebhook(BaseModel):
    """The webhook that stands in the way."""

    id: str
    name: str


class ProblemDetails(BaseModel):
    """An error, as RFC 9457 describes it."""

    model_config = ConfigDict(title="Problem")

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[BadField] | None = None
    webhook: OtherWebhook | None = None


class Problem(Exception):
    """Ends a request with an error answer."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Iterable[BadField] = (),
        webhook: OtherWebhook | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = dict(headers or {})
        self.details = ProblemDetails(
            title=title_of(status), status=status, detail=detail, errors=list(errors) or None, webhook=webhook
        )

    def response(self) -> web.Response:
        """The answer. Its text is ASCII: what it repeats may be a header's, with bytes that no encoding has."""
        text = json.dumps(self.details.model_dump(exclude_none=True), separators=(",", ":"))
        return web.Response(
            body=text.encode("ascii"),
            status=self.status,
            content_type=CONTENT_TYPE,
            headers=self.headers,
        )


def title_of(status: int) -> str:
    """The title that ``about:blank`` prescribes: the status's own name."""
    return HTTPStatus(status).phrase


def bad_member(path: Iterable[str | int], detail: str) -> BadField:
    """What is wrong with a member of the body."""
    parts = [str(part) for part in path]
    escaped = (part.replace("~", "~0").replace("/", "~1") for part in parts)
    return BadField(
        field=".".join(parts) or "body", detail=detail, pointer="#" + "".join(f"/{part}" for part in escaped)
    )


def invalid(errors: Iterable[BadField]) -> Problem:
    """422: some of what was sent cannot be."""
    found = list(errors)
    named = ", ".join(dict.fromkeys(error.field for error in found))
    return Problem(422, f"Correct {named} and send the request again.", errors=found)


def bad_members(path: Iterable[str | int], error: ValueError) -> list[BadField]:
    """What is wrong with a member of the body, or with what is in it, as our own validators say."""
    parts = list(path)
    wrong = error.wrong if isinstance(error, BadMembers) else [((), str(error))]
    return [bad_member([*parts, *further], detail) for further, detail in wrong]


def errors_in_body(error: ValidationError) -> list[BadField]:
    """Every bad member of a body.

    Of members with a great many errors, and of a great many that are no members at all, only how many there are: to
    list them would keep everybody else waiting.
    """
    if error.error_count() > _READ_AT_MOST:
        return [_many((), error.error_count())]
    found = error.errors(include_url=False, include_context=True, include_input=False)
    if len(found) <= _LISTED_AT_MOST:
        return _each(found)
    by_member = _by_member(found)
    if len(by_member) > _LISTED_AT_MOST:
        by_member = _by_member(found, unknown_together=True)
    return [
        bad
        for path, ones in by_member.items()
        for bad in (_each(ones) if len(ones) <= _LISTED_OF_A_MEMBER else [_many(path, len(ones))])
    ]


def _by_member(found: Iterable[Any], *, unknown_together: bool = False) -> Mapping[tuple[str | int, ...], list[Any]]:
    by_member: dict[tuple[str | int, ...], list[Any]] = {}
    for one in found:
        together = unknown_together and one["type"] == "extra_forbidden" and len(_location(one)) == 1
        by_member.setdefault(() if together else _location(one)[:1], []).append(one)
    return by_member


def _each(found: Iterable[Any]) -> list[BadField]:
    return [bad for one in found for bad in _bad_members(one)]


def _bad_members(error: Any) -> list[BadField]:
    if error["type"] == "value_error":
        return bad_members(_location(error), error["ctx"]["error"])
    return [bad_member(_location(error), _detail(error))]


def _many(path: Iterable[str | int], count: int) -> BadField:
    return bad_member(path, f"has {count:,} members or items that cannot be; see /api/docs")


def errors_in_query(error: ValidationError) -> list[BadField]:
    """Every bad parameter of a query."""
    return [
        BadField(field=".".join(str(part) for part in _location(one)[:1]) or "query", detail=_detail(one))
        for one in error.errors(include_url=False, include_context=True)
    ]


def _location(error: Any) -> tuple[str | int, ...]:
    return tuple(error["loc"])


def _detail(error: Any) -> str:
    match error["type"]:
        case "extra_forbidden":
            return "is not a member of this request; leave it out"
        case "missing":
            return "is missing"
        case "value_error":
            return str(error["ctx"]["error"])
        case _:
            return str(error["msg"])
