"""Times in requests: as RFC 3339 has them, and within the calendar."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp.test_utils import make_mocked_request
from pydantic import ValidationError

from dispatcher.portal.api.attempts import AttemptsApi, HistoryQuery
from dispatcher.portal.api.operation import Call, NoBody
from dispatcher.portal.api.problems import Problem
from dispatcher.portal.api.resending import RecoverySpan
from tests.support.serving import CALLER
from tests.support.webhooks import a_webhook, named_webhooks

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)


async def asked(**query: str) -> list[datetime]:
    """The span that the log is asked for."""
    spans: list[datetime] = []

    async def history(*arguments: Any) -> list[Any]:
        spans.extend(arguments[-2:])
        return []

    log = SimpleNamespace(history=history)
    api = AttemptsApi(named_webhooks(a_webhook()), cast("Any", log), cast("Any", None), lambda: NOW, lambda: 0.0)
    path = {"organization_id": "org-contoso", "webhook_id": "wh-1"}
    request = make_mocked_request("GET", "/")
    await api.get_history(Call(CALLER, path, HistoryQuery.model_validate(query), NoBody(), b"", request))
    return spans


async def test_a_span_ends_now_and_begins_a_day_before() -> None:
    assert await asked() == [NOW.replace(day=22), NOW]


@pytest.mark.parametrize(
    "query",
    [
        {"to": "0001-01-01T00:00:00Z"},
        {"to": "0001-01-01T05:00:00+14:00"},
        {"to": "9999-12-31T23:59:59Z"},
        {"from": "0001-01-01T00:00:00Z"},
        {"from": "0001-01-01T00:00:00Z", "to": "0001-01-01T05:00:00Z"},
        {"from": "2026-11-23T10:00:00Z", "to": "2026-11-23T10:00:00Z"},
    ],
)
async def test_a_span_at_the_end_of_the_calendar_is_the_clients_mistake(query: dict[str, str]) -> None:
    with pytest.raises(Problem) as caught:
        await asked(**query)
    assert caught.value.status == 422


@pytest.mark.parametrize("since", [1_795_000_000, 1.5, True, "1795000000", "2026-11-23"])
def test_a_time_is_a_text(since: object) -> None:
    with pytest.raises(ValidationError, match="as RFC 3339 has it"):
        RecoverySpan.model_validate({"since": since})


def test_a_page_gives_a_time() -> None:
    assert RecoverySpan.model_validate({"since": NOW}).since == NOW
    assert RecoverySpan.model_validate({"since": "2026-11-23T11:00:00+01:00"}).since == NOW
