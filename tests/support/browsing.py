"""Somebody with a browser, and what they do on the pages."""

from collections.abc import Collection
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, ViewportSize, expect

from dispatcher.events.types import EventType
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.topics import Topics
from tests.support.matching import an_event, publish

WEBHOOKS = "/organizations/org-contoso/webhooks"
LOOKS = [("light", "en"), ("dark", "es")]
"""Every page in both themes, and in both languages."""

NARROW = ViewportSize(width=400, height=900)
WIDE = ViewportSize(width=1400, height=900)

URL = "https://hooks.slack.example/services/T0/B0"
HOSTILE = "<img src=x onerror=alert(1)>\u202egnp.exe"

ADA = "demo-ada"
PRIYA = "demo-priya"
TOM = "demo-tom"

ZONE = ZoneInfo("Asia/Kabul")
"""Where everybody is: four and a half hours from UTC, in summer too."""


@dataclass
class Person:
    """Somebody with a browser window; what goes wrong in its pages is in ``errors``."""

    page: Page
    url: str
    errors: list[str]

    async def sign_in(self, person: str = ADA) -> None:
        """As one of the demonstration's people, from the first page, until the next one's scripts have run."""
        await self.page.goto("/")
        await self.page.locator(f'button[value="{person}"]').click()
        await self.page.wait_for_load_state()


async def looking(person: Person, theme: str, language: str) -> None:
    """The person has chosen a theme and a language."""
    chosen = {"theme": theme, "language": language}
    await person.page.context.add_cookies(
        [{"name": name, "value": value, "url": person.url} for name, value in chosen.items()]
    )


async def problems(person: Person, where: str, *, but: Collection[str] = ()) -> list[str]:
    """What axe finds, but for these rules of a page that others have made, and whether it is wider than its window."""
    results = (await Axe().run(person.page, options={"resultTypes": ["violations"]})).response["violations"]
    found = [
        f"{where}: {one['id']} {[node['target'] for node in one['nodes']]}" for one in results if one["id"] not in but
    ]
    if await person.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
        found.append(f"{where}: wider than the window")
    return found


async def open_form(page: Page) -> None:
    await page.get_by_role("link", name="New", exact=True).click()
    await expect(page.locator("json-editor[data-ready]")).to_be_visible()
    await expect(page.locator("resource-picker[data-ready]")).to_be_visible()


async def fill(page: Page, name: str, url: str = URL) -> None:
    await page.get_by_label("Name", exact=True).fill(name)
    await page.get_by_label("Target URL").fill(url)


async def happen(clients: KafkaClients, topics: Topics, *ids: str) -> None:
    events = [an_event(EventType.ACTIVE_ALERT, id, alert_id="alert-1", alert_name=HOSTILE) for id in ids]
    await publish(clients, topics.events[EventType.ACTIVE_ALERT], events)
