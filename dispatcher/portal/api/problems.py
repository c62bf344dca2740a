"""What the API says when it cannot do what it was asked: RFC 9457 problem details that name every bad field."""

import json
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

CONTENT_TYPE = "application/problem+json"

_LISTED_AT_MOST = 1_000


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


def errors_in_body(error: ValidationError) -> list[BadField]:
    """Every bad member of a body, unless there are so many that to list them would keep everybody else waiting."""
    if error.error_count() > _LISTED_AT_MOST:
        return [bad_member((), f"has {error.error_count():,} members or items that cannot be; see /api/docs")]
    return [bad_member(_location(one), _detail(one)) for one in error.errors(include_url=False, include_context=True)]


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
