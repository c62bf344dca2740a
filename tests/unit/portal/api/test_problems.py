import json
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from dispatcher.portal.api.problems import OtherWebhook, Problem, bad_member, errors_in_body, invalid
from dispatcher.validation import BadMembers


class Inner(BaseModel):
    n: int


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    inner: list[Inner]

    @field_validator("name")
    @classmethod
    def _check(cls, value: str) -> str:
        raise ValueError(f"choose another name than {value}")


def test_names_every_bad_member() -> None:
    with pytest.raises(ValidationError) as caught:
        Model.model_validate({"name": "x", "inner": [{"n": 1}, {}], "a/b~": 1})
    problem = invalid(errors_in_body(caught.value))
    assert problem.response().content_type == "application/problem+json"
    body = json.loads(problem.response().body)  # type: ignore[arg-type]
    assert (body["type"], body["status"]) == ("about:blank", 422)
    assert {(error["field"], error["pointer"]) for error in body["errors"]} == {
        ("name", "#/name"),
        ("inner.1.n", "#/inner/1/n"),
        ("a/b~", "#/a~1b~0"),
    }
    details = {error["field"]: error["detail"] for error in body["errors"]}
    assert details["name"] == "choose another name than x"
    assert details["inner.1.n"] == "is missing"


def test_names_the_other_webhook() -> None:
    body = json.loads(Problem(409, "Same.", webhook=OtherWebhook(id="wh_1", name="One")).response().body)  # type: ignore[arg-type]
    assert body == {
        "type": "about:blank",
        "title": "Conflict",
        "status": 409,
        "detail": "Same.",
        "webhook": {"id": "wh_1", "name": "One"},
    }


def test_the_body_itself_is_a_member() -> None:
    assert bad_member((), "is not an object").model_dump() == {
        "field": "body",
        "detail": "is not an object",
        "pointer": "#",
    }


def _wrong(members: dict[str, Any]) -> list[tuple[str, str]]:
    with pytest.raises(ValidationError) as caught:
        Model.model_validate(members)
    return [(error.field, error.detail) for error in errors_in_body(caught.value)]


def test_of_thousands_of_bad_items_every_member_is_named() -> None:
    many = "has 2,000 members or items that cannot be; see /api/docs"
    assert _wrong({"name": "x", "inner": [{}] * 2_000, "a": 1}) == [
        ("name", "choose another name than x"),
        ("inner", many),
        ("a", "is not a member of this request; leave it out"),
    ]
    assert _wrong({"inner": [], **{f"m{number}": 1 for number in range(2_000)}}) == [
        ("name", "is missing"),
        ("body", many),
    ]
    assert [field for field, _ in _wrong({"inner": [{}, {}], **{f"m{number}": 1 for number in range(999)}})][:3] == [
        "name",
        "inner.0.n",
        "inner.1.n",
    ]


def test_ever_more_bad_members_are_counted_and_not_named() -> None:
    ((field, detail),) = _wrong({f"m{number}": 1 for number in range(20_000)})
    assert field == "body"
    assert detail.startswith("has 20,002 members or items that cannot be")


def test_what_a_validator_of_ours_finds_in_a_member_is_named_there() -> None:
    class Colours(BaseModel):
        colours: dict[str, str]

        @field_validator("colours")
        @classmethod
        def _check(cls, value: dict[str, str]) -> dict[str, str]:
            raise BadMembers([((name,), f"{name} is no colour") for name in value] + [((), "these are too few")])

    with pytest.raises(ValidationError) as caught:
        Colours.model_validate({"colours": {"a/b": "", "c": ""}})
    assert [(error.field, error.pointer, error.detail) for error in errors_in_body(caught.value)] == [
        ("colours.a/b", "#/colours/a~1b", "a/b is no colour"),
        ("colours.c", "#/colours/c", "c is no colour"),
        ("colours", "#/colours", "these are too few"),
    ]


def test_what_it_repeats_may_have_bytes_that_no_encoding_has() -> None:
    body = Problem(403, "a\udcff is not an address of this portal.").response().body
    assert json.loads(body)["detail"] == "a\udcff is not an address of this portal."  # type: ignore[arg-type]
