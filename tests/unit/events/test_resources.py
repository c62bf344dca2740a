import json
from base64 import urlsafe_b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.events.resources import Resource, Resources, UnknownCursor, UnreadableResource, is_of_organization
from dispatcher.events.types import ResourceKind
from dispatcher.portal.api.paging import LONGEST_CURSOR


def _resource(id: str, name: str | None = None, **members: Any) -> Resource:
    about = {"organization_id": "org-1", "kind": "alert", "id": id, "name": name, "url": None, **members}
    return Resource.model_validate(about)


def _resources(*several: Resource) -> Resources:
    resources = Resources()
    for each in several:
        resources.apply(each.key, each.model_dump_json().encode())
    return resources


def _ids(resources: Resources, text: str = "", **options: Any) -> list[str]:
    return [each.id for each in resources.search("org-1", ResourceKind.ALERT, text, **options).items]


def test_keys() -> None:
    assert _resource("a/1").key == b"org-1/alert/a/1"


def test_a_record_is_of_whose_its_value_says_where_its_key_can_be_read_in_two_ways() -> None:
    mine, theirs = _resource("object/1", organization_id="x"), _resource("1", organization_id="x/alert", kind="object")
    assert mine.key == theirs.key
    for resource, other in ((mine, theirs), (theirs, mine)):
        value = resource.model_dump_json().encode()
        assert is_of_organization(resource.key, value, resource.organization_id)
        assert not is_of_organization(resource.key, value, other.organization_id)
        assert is_of_organization(resource.key, b"nonsense", resource.organization_id)
    assert not is_of_organization(b"x/other/1", b"nonsense", "x")
    assert not is_of_organization(b"xx/alert/1", b"nonsense", "x")


def test_sorted_by_name_in_whatever_case() -> None:
    assert _ids(_resources(_resource("1", "beta"), _resource("2", "Alpha"), _resource("3", "alpha"))) == ["2", "3", "1"]


def test_sorted_with_those_of_the_same_letters_whatever_their_accents() -> None:
    names = ["Zona", "Ñandú", "Ámbito", "ambito", "Nube", "Oasis", "A\u0301mbito"]
    resources = _resources(*(_resource(str(number), name) for number, name in enumerate(names)))
    found = resources.search("org-1", ResourceKind.ALERT).items
    assert [one.name for one in found] == ["A\u0301mbito", "ambito", "Ámbito", "Ñandú", "Nube", "Oasis", "Zona"]


@pytest.mark.parametrize("text", ["ambito", "ÁMBITO", "A\u0301mbito", "ñ-7", "N-7"])
def test_found_whatever_its_accents(text: str) -> None:
    assert _ids(_resources(_resource("Ñ-7", "Ámbito"), _resource("8", "Other")), text) == ["Ñ-7"]


@pytest.mark.parametrize("text", ["DISK", " disk ", "a-7"])
def test_search_in_names_and_ids(text: str) -> None:
    assert _ids(_resources(_resource("a-7", "Low disk space"), _resource("a-8", "Other")), text) == ["a-7"]


def test_another_organization_s_and_other_kinds_are_not_found() -> None:
    resources = _resources(
        _resource("1"), _resource("2", organization_id="org-2"), _resource("3", kind=ResourceKind.OBJECT)
    )
    assert _ids(resources) == ["1"]
    assert not resources.search("org-3", ResourceKind.ALERT).items


def test_a_record_replaces_and_a_tombstone_removes() -> None:
    resources = _resources(_resource("1", "Old"), _resource("1", "New"))
    assert len(resources) == 1
    found = resources.get("org-1", ResourceKind.ALERT, "1")
    assert found is not None
    assert found.name == "New"
    resources.apply(b"org-1/alert/1", None)
    resources.apply(b"org-1/alert/unknown", None)
    assert not _ids(resources)
    assert resources.get("org-1", ResourceKind.ALERT, "1") is None
    assert len(resources) == 0


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=3), max_size=30), st.integers(1, 7))
def test_pages_hold_everything_once(names: list[str], limit: int) -> None:
    _each_is_on_one_page(_resources(*(_resource(f"id-{n}", name) for n, name in enumerate(names))), limit, len(names))


def test_pages_hold_names_of_the_same_letters_once() -> None:
    names = ["Ambito", "ambito", "Ámbito", "ámbito", "A\u0301mbito"] * 3
    _each_is_on_one_page(_resources(*(_resource(f"id-{n}", name) for n, name in enumerate(names))), 2, len(names))


@pytest.mark.parametrize("character", ["x", "\x01", "倉", "😀"])
def test_pages_hold_the_longest_names_and_ids_once(character: str) -> None:
    long = character * 5_000
    names = [long, f"{long} 1", f"{long} 1", f"A{long}", "B", ""]
    several = [_resource(f"{long}{n}", name) for n, name in enumerate(names)]
    resources = _resources(*several)
    _each_is_on_one_page(resources, 1, len(names))
    assert len(_ids(resources, long)) == len(names)


def _each_is_on_one_page(resources: Resources, limit: int, many: int) -> None:
    found: list[str] = []
    cursor = None
    while True:
        page = resources.search("org-1", ResourceKind.ALERT, cursor=cursor, limit=limit)
        found += [each.id for each in page.items]
        assert len(page.items) <= limit
        cursor = page.next_cursor
        if cursor is None:
            break
        assert len(cursor) <= LONGEST_CURSOR
    assert found == _ids(resources, limit=1000)
    assert len(found) == many


def test_a_page_goes_on_after_its_last_resource_is_gone() -> None:
    resources = _resources(_resource("1", "a"), _resource("2", "b"), _resource("3", "c"))
    page = resources.search("org-1", ResourceKind.ALERT, limit=2)
    resources.apply(b"org-1/alert/2", None)
    assert _ids(resources, cursor=page.next_cursor) == ["3"]


@pytest.mark.parametrize("cursor", ["x", "é", "bnVsbA", "WzEsMl0", "W10", "/-/-", "W1tb" * 500])
def test_a_cursor_of_somebody_else(cursor: str) -> None:
    with pytest.raises(UnknownCursor, match="start again"):
        _ids(_resources(_resource("1")), cursor=cursor)


def test_a_cursor_may_hold_any_text() -> None:
    cursor = urlsafe_b64encode(json.dumps(["a", "\ud800" * 200]).encode()).decode()
    assert _ids(_resources(_resource("1", "A"), _resource("2", "B")), cursor=cursor) == ["2"]


@pytest.mark.parametrize("name", [None, ""])
def test_without_a_name_the_id_is_shown(name: str | None) -> None:
    assert _resource("Restart", name).name == "Restart"


@pytest.mark.parametrize("url", ["javascript:alert(1)", "portal.example/alerts/1", "", 7, ["https://portal.example"]])
def test_a_url_that_cannot_be_followed_is_none(url: Any) -> None:
    record = {"organization_id": "org-1", "kind": "alert", "id": "1", "name": "One", "url": url}
    resources = Resources()
    resources.apply(b"org-1/alert/1", json.dumps(record).encode())
    found = resources.get("org-1", ResourceKind.ALERT, "1")
    assert found is not None
    assert (found.name, found.url) == ("One", None)


@pytest.mark.parametrize("url", ["https://portal.example/1", "http://portal.example/1", "/alerts/1"])
def test_a_url_that_can_be_followed(url: str) -> None:
    assert _resource("1", url=url).url == url


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ({"kind": "planet"}, "kind"),
        ({"id": ""}, "id"),
        ({"organization_id": None}, "organization_id"),
        ({"id": "other"}, "the key is"),
    ],
)
def test_unreadable(members: dict[str, Any], problem: str) -> None:
    resource = {"organization_id": "org-1", "kind": "alert", "id": "1", "name": "One", "url": None, **members}
    resources = Resources()
    with pytest.raises(UnreadableResource, match=problem):
        resources.apply(b"org-1/alert/1", json.dumps(resource).encode())
    assert len(resources) == 0


def test_not_json() -> None:
    with pytest.raises(UnreadableResource):
        Resources().apply(b"k", b"{")
