from typing import Any

import pytest

from dispatcher.webhooks.configuration import same_configuration
from tests.support.webhooks import a_webhook


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    url = "https://example.com/"
    webhooks = (a_webhook("1", **{"target_url": url, **one}), a_webhook("2", **{"target_url": url, **other}))
    answers = {same_configuration(*webhooks), same_configuration(*reversed(webhooks))}
    assert len(answers) == 1
    return answers.pop()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1, "b": {"c": [1, 2], "d": None}}, {"b": {"d": None, "c": [1, 2]}, "a": 1}),
        ({"a": 1}, {"a": 1.0}),
        ({"a": 0}, {"a": -0.0}),
        ({"a": 10**22}, {"a": 1e22}),
        ({"a": "\ud83d"}, {"a": "\ud83d"}),
    ],
)
def test_templates_are_compared_as_json_values(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert same({"payload_template": one}, {"payload_template": other})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1}, {"a": True}),
        ({"a": 0}, {"a": False}),
        ({"a": 1.0}, {"a": True}),
        ({"a": 1}, {"a": "1"}),
        ({"a": None}, {}),
        ({"a": [1, 2]}, {"a": [2, 1]}),
        ({"a": 1}, {"a": 1.5}),
        ({"a": 2**53}, {"a": 2**53 + 1}),
        ({"a": {}}, {"a": []}),
    ],
)
def test_other_json_values_are_other_templates(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert not same({"payload_template": one}, {"payload_template": other})


def test_items_are_a_set() -> None:
    assert same({"items": {"ids": ["a", "b"]}}, {"items": {"ids": ["b", "a", "b"]}})
    assert not same({"items": {"ids": ["a"]}}, {"items": {"ids": ["a", "b"]}})
    assert not same({"items": {"ids": ["a"]}}, {"items": {"all": True}})


@pytest.mark.parametrize("url", ["https://example.com", "https://example.com:443/"])
def test_targets_are_compared_as_they_are_called(url: str) -> None:
    assert same({"target_url": "https://example.com/"}, {"target_url": url})


def test_names_headers_and_status_do_not_count() -> None:
    assert same({}, {"name": "Other", "headers": {"x": "y"}, "status": "disabled", "rate_limit": 5})


@pytest.mark.parametrize("other", [{"event_type": "active_alert"}, {"target_url": "https://example.com/other"}])
def test_event_type_and_target_count(other: dict[str, Any]) -> None:
    assert not same({}, other)
