"""What the API says while ClickHouse lacks this version's tables."""

from aiohttp.test_utils import make_mocked_request

from dispatcher.portal.api.server import problem_of
from dispatcher.recording.clickhouse import QueryFailed, SchemaMissing


def test_it_is_for_later_and_says_who_makes_them() -> None:
    request = make_mocked_request("GET", "/api/v1/organizations/o/webhooks/w/metrics")
    problem = problem_of(request, SchemaMissing("Code: 60. Unknown table", 60))
    assert problem.status == 503
    assert "a recorder's start makes them" in problem.details.detail
    assert problem_of(request, QueryFailed("Code: 62. Syntax error", 62)).status == 500
