"""A browser, and a portal for it to look at: Debian's Chromium, driven by Playwright, on real Kafka and ClickHouse."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import aiohttp
import pytest
from playwright.async_api import Browser, async_playwright, expect

from dispatcher.delivery.sender import Sender
from dispatcher.demo.people import demo_people
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.topics import Topics
from dispatcher.matching.matcher import Matcher
from dispatcher.portal.app import Portal
from dispatcher.recording.clickhouse import ClickHouse
from dispatcher.recording.recorder import Recorder
from dispatcher.settings import Settings
from dispatcher.webhooks.follower import ConfigFollower
from tests.integration.conftest import clickhouse_url, engine, unused_databases
from tests.integration.portal.conftest import clickhouse, follower, settings
from tests.support.browsing import ZONE, Person
from tests.support.portal import Api, a_token, vault_of
from tests.support.target import Target, a_target
from tools.pictures import browser_program

__all__ = ["clickhouse", "clickhouse_url", "engine", "follower", "settings", "unused_databases"]

expect.set_options(timeout=45_000)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The program."""
    return browser_program() or pytest.skip(
        "no Chrome or Chromium is installed: apt-get install chromium-headless-shell, or the like"
    )


@pytest.fixture
async def portal(
    settings: Settings,
    clients: KafkaClients,
    topics: Topics,
    follower: ConfigFollower,
    clickhouse: ClickHouse,
) -> AsyncIterator[Portal]:
    """With the demonstration's people, without its events."""
    portal = Portal(settings, clients, topics, follower, vault_of(settings), clickhouse, people=demo_people())
    await portal.start()
    yield portal
    await portal.stop()


@pytest.fixture
async def api(portal: Portal, settings: Settings) -> AsyncIterator[Api]:
    """Asks the portal's API as an admin of Contoso."""
    async with aiohttp.ClientSession(base_url=portal.url) as session:
        yield Api(session, a_token(settings))


@pytest.fixture
async def target() -> AsyncIterator[Target]:
    async with a_target() as target:
        yield target


@pytest.fixture
async def delivering(
    settings: Settings, clients: KafkaClients, topics: Topics, follower: ConfigFollower, clickhouse: ClickHouse
) -> AsyncIterator[None]:
    """Everything between an event and what the portal reads, but for the relay: what fails waits."""
    async with AsyncExitStack() as stack:
        for role in (
            Recorder(clients, topics, clickhouse),
            Sender(settings, clients, topics, follower),
            Matcher(clients, topics, follower),
        ):
            await role.start()
            stack.push_async_callback(role.stop)
        yield


@pytest.fixture(scope="module")
async def browser(chromium: str) -> AsyncIterator[Browser]:
    """A browser of the module's own, in which each test has a context of its own: starting one costs two seconds."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        await browser.close()


@pytest.fixture
async def person(browser: Browser, portal: Portal) -> AsyncIterator[Person]:
    """Somebody who has not signed in yet. No script may fail, and nothing may be refused by the page's policy."""
    context = await browser.new_context(
        base_url=portal.url, viewport={"width": 1400, "height": 900}, locale="en-US", timezone_id=ZONE.key
    )
    page = await context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    yield Person(page, portal.url, errors)
    await context.close()
    # The browser's own words for an answer above 399, which tests may provoke.
    assert [error for error in errors if "Failed to load resource" not in error] == []
