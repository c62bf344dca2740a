"""The Metrics tab in a real browser: events through Kafka, attempts as they arrive, their details, sending again."""

import re

import pytest
from playwright.async_api import expect

from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.topics import Topics
from tests.support.browsing import LOOKS, NARROW, WEBHOOKS, WIDE, Person, happen, looking, problems
from tests.support.portal import Api
from tests.support.target import Target, answer
from tests.support.waiting import eventually


@pytest.mark.usefixtures("delivering")
async def test_attempts_arrive_as_events_happen_and_are_looked_at_and_sent_again(
    person: Person, api: Api, target: Target, clients: KafkaClients, topics: Topics
) -> None:
    webhook = (await api.create(target_url=target.url("hook")))["id"]
    await api("POST", f"/webhooks/{webhook}/enable")
    page = person.page
    await person.sign_in()
    await page.goto(f"{WEBHOOKS}/{webhook}?tab=metrics")
    await expect(page.get_by_role("heading", name="No attempts yet")).to_be_visible()
    await expect(page.locator(".la-state")).to_have_text("Live")

    await happen(clients, topics, "event-1", "event-2")
    rows = page.locator("live-attempts tbody tr")
    await expect(rows).to_have_count(2)
    await expect(rows.first).to_contain_text("Successful")
    await expect(rows.first.locator('[data-field="response_code"]')).to_have_text("200")
    await expect(page.locator('[data-figure="successful"]')).to_have_text("2")
    await expect(page.locator('[data-figure="success_rate"]')).to_have_text("100%")

    await rows.first.get_by_role("link", name="Details").click()
    window = page.get_by_role("dialog")
    await expect(window.get_by_role("heading", name="Attempt 1")).to_be_visible()
    await expect(page).to_have_url(re.compile(r"/attempts/msg_\w+-1-1$"))
    await expect(window).to_contain_text(f"POST {target.base}/hook")
    await expect(window).to_contain_text("[U+202E]gnp.exe")
    await expect(window.locator("img, script")).to_have_count(0)

    await window.get_by_role("button", name="Resend").click()
    await expect(window.get_by_role("status")).to_contain_text("This is run 2 of it")
    await expect(window.get_by_role("heading", name="Sent again: run 2")).to_be_visible()
    await expect(rows).to_have_count(3)
    await page.keyboard.press("Escape")
    await expect(page).to_have_url(re.compile(r"\?tab=metrics$"))
    assert len(target.at("hook")) == 3


@pytest.mark.usefixtures("delivering")
async def test_filters_show_what_failed_and_when_it_is_tried_again(
    person: Person, api: Api, target: Target, clients: KafkaClients, topics: Topics
) -> None:
    webhook = (await api.create(target_url=target.url("bad", answer(503))))["id"]
    await api("POST", f"/webhooks/{webhook}/enable")
    await person.sign_in()
    page = person.page
    await page.goto(f"{WEBHOOKS}/{webhook}?tab=metrics")
    await expect(page.locator(".la-state")).to_have_text("Live")
    await happen(clients, topics, "event-1")
    await expect(page.locator("live-attempts tbody tr")).to_have_count(2)
    await page.get_by_role("link", name="Pending attempts").click()
    await expect(page).to_have_url(re.compile("status=pending"))
    await expect(page.locator("live-attempts tbody tr")).to_have_count(1)
    await expect(page.locator("live-attempts tbody tr")).to_contain_text("due ")
    await page.get_by_role("link", name="Failed attempts").click()
    await expect(page).to_have_url(re.compile("status=failed"))
    await page.wait_for_load_state()
    await page.locator("live-attempts tbody tr").get_by_role("link", name="Details").click()
    window = page.get_by_role("dialog")
    await expect(window.get_by_role("alert")).to_contain_text("The target answered 503.")
    await expect(window.locator(".time-line")).to_contain_text("due ")
    await expect(window.get_by_role("button", name="Resend")).to_be_disabled()


@pytest.mark.usefixtures("delivering")
@pytest.mark.parametrize(("theme", "language"), LOOKS)
async def test_axe_finds_nothing_and_nothing_overflows(
    person: Person, api: Api, target: Target, clients: KafkaClients, topics: Topics, theme: str, language: str
) -> None:
    webhook = (await api.create(target_url=target.url("hook", answer(200))))["id"]
    await api("POST", f"/webhooks/{webhook}/enable")

    async def plotted() -> bool:
        history = await api("GET", f"/webhooks/{webhook}/metrics/history")
        return any(bucket["attempts"] for bucket in history.body["items"])

    await looking(person, "system", language)
    await person.sign_in()
    page = person.page
    await page.emulate_media(color_scheme="dark" if theme == "dark" else "light", reduced_motion="reduce")
    await happen(clients, topics, "event-1")
    await page.goto(f"{WEBHOOKS}/{webhook}?tab=metrics")
    row = page.locator("live-attempts tbody tr")
    await expect(row).to_have_count(1)
    found: list[str] = []
    for size in (WIDE, NARROW):
        await page.set_viewport_size(size)
        found += await problems(person, f"metrics at {size['width']}")
        # The table's card clips what is too wide, so the page does not tell.
        export = await page.locator("a[download]").bounding_box()
        assert export is not None
        assert export["x"] + export["width"] < size["width"]
    await eventually(plotted)
    await page.reload()
    await page.locator(".dp-table summary").click()
    await expect(page.locator(".dp-scroll tbody tr").first).to_be_visible()
    found += await problems(person, "the plots as a table")
    await row.get_by_role("link").click()
    await expect(page.get_by_role("dialog").get_by_role("heading", level=1)).to_be_focused()
    found += await problems(person, "an attempt in its window")
    await page.goto(page.url)
    found += await problems(person, "an attempt's page")
    assert found == []
