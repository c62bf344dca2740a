"""What the OpenAPI document says of every operation."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from dispatcher.portal.api.apis import Apis
from dispatcher.portal.api.attempts import AttemptsApi
from dispatcher.portal.api.audit_log import AuditApi
from dispatcher.portal.api.choices import ChoicesApi
from dispatcher.portal.api.openapi import openapi_document
from dispatcher.portal.api.resending import ResendingApi
from dispatcher.portal.api.testing import TestingApi
from dispatcher.portal.api.webhooks import WebhooksApi

NOBODY = cast("Any", None)


@pytest.fixture
def operations() -> dict[str, dict[str, Any]]:
    """By method and path below the organization, such as ``GET /audit``."""

    def clock() -> datetime:
        return datetime.now(UTC)

    apis = Apis(
        ChoicesApi(NOBODY),
        WebhooksApi(NOBODY, cast("Any", SimpleNamespace(directory=None)), NOBODY, clock),
        TestingApi(NOBODY, NOBODY, NOBODY),
        AttemptsApi(NOBODY, NOBODY, NOBODY, clock, lambda: 0.0),
        AuditApi(NOBODY, NOBODY, NOBODY),
        ResendingApi(NOBODY, NOBODY, NOBODY, NOBODY, clock),
    )
    paths = openapi_document(apis.operations(), "1.0")["paths"]
    return {
        f"{method.upper()} {path.partition('{organization_id}')[2]}": described
        for path, methods in paths.items()
        for method, described in methods.items()
    }


def test_whatever_is_asked_kafka_clickhouse_or_the_keys_may_be_away(operations: dict[str, dict[str, Any]]) -> None:
    assert len(operations) > 20
    silent = [name for name, described in operations.items() if "503" not in described["responses"]]
    assert silent == []
    assert "Retry-After" in operations["POST /webhooks"]["responses"]["503"]["headers"]


def test_whatever_is_asked_a_parameter_may_be_one_that_there_is_not(operations: dict[str, dict[str, Any]]) -> None:
    assert [name for name, described in operations.items() if "422" not in described["responses"]] == []


def test_a_body_may_be_too_large_also_where_none_is_asked_for(operations: dict[str, dict[str, Any]]) -> None:
    limited = {name for name, described in operations.items() if "413" in described["responses"]}
    assert limited == {name for name in operations if not name.startswith("GET ")}
    assert {"POST /webhooks/{webhook_id}/enable", "DELETE /webhooks/{webhook_id}"} <= limited


def test_an_operation_stands_with_those_like_it(operations: dict[str, dict[str, Any]]) -> None:
    expected = {
        "GET /event-types": "Choices",
        "GET /audit": "Webhooks",
        "GET /webhooks/{webhook_id}/audit": "Webhooks",
        "GET /webhooks/{webhook_id}/attempts.csv": "Deliveries",
    }
    assert {name: operations[name]["tags"] for name in expected} == {name: [tag] for name, tag in expected.items()}


def test_what_is_left_of_the_quotas_is_told_wherever_a_request_was_counted(
    operations: dict[str, dict[str, Any]],
) -> None:
    for name, described in operations.items():
        for status, answer in described["responses"].items():
            told = {"RateLimit", "RateLimit-Policy"} <= set(answer.get("headers", ()))
            assert told == (status not in {"400", "401", "403", "431"}), (name, status)


def test_headers_that_mean_something_are_named_with_their_bounds(operations: dict[str, dict[str, Any]]) -> None:
    def header(operation: str, name: str) -> dict[str, Any]:
        [found] = [one for one in operations[operation]["parameters"] if (one["in"], one["name"]) == ("header", name)]
        return cast("dict[str, Any]", found["schema"])

    assert header("POST /webhooks", "Idempotency-Key") == {"type": "string", "minLength": 1, "maxLength": 255}
    assert header("GET /webhooks/{webhook_id}/attempts/stream", "Last-Event-ID") == {"type": "string"}
    assert header("GET /webhooks/{webhook_id}", "If-None-Match") == {"type": "string"}
    assert "ETag" in operations["GET /webhooks/{webhook_id}"]["responses"]["304"]["headers"]
    export = operations["GET /webhooks/{webhook_id}/attempts.csv"]["responses"]["200"]
    assert "Content-Disposition" in export["headers"]


def test_the_stream_s_events_are_described(operations: dict[str, dict[str, Any]]) -> None:
    stream = operations["GET /webhooks/{webhook_id}/attempts/stream"]["responses"]["200"]["content"]
    assert stream["text/event-stream"]["x-events"] == {
        "attempt": {"data": {"$ref": "#/components/schemas/AttemptView"}},
        "gap": {"data": {"$ref": "#/components/schemas/Gap"}},
    }
