"""How often one may ask, on the pages and by programs; time passes when a test lets it."""

from collections.abc import Callable

import pytest

from tests.support.portal import Api
from tests.support.visitor import Visitor


class Clock:
    """Seconds."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def monotonic(clock: Clock) -> Callable[[], float]:
    return clock


async def test_pages_count_with_the_api_and_tests_by_the_button_with_those_by_a_program(
    visitor: Visitor, api: Api, clock: Clock
) -> None:
    await visitor.sign_in()
    webhook = (await api.create(target_url="http://169.254.1.1/"))["id"]
    url = f"{visitor.webhooks}/{webhook}"
    page = await visitor.get(url)
    assert (await api("GET", "/webhooks")).headers["RateLimit-Policy"] == page.headers["RateLimit-Policy"]
    for _ in range(58):
        assert (await api("POST", f"/webhooks/{webhook}/test")).status == 200
    for status in (200, 200, 429):
        shown = await visitor.post(f"{url}/test", {"csrf": page.csrf})
        assert shown.status == status
    assert "That was more than 60 requests in 60 seconds." in shown.text
    assert shown.headers["Retry-After"] == "1"
    assert (await visitor.get(url)).status == 200
    clock.now += 1
    assert [(await visitor.post(f"{url}/test", {"csrf": page.csrf})).status for _ in range(2)] == [200, 429]
