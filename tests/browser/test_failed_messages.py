"""What failed for good, in a real browser: sent again since a time that somebody chooses, and exported."""

import csv
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.topics import Topics
from dispatcher.recording.clickhouse import ClickHouse
from dispatcher.rfc3339 import rfc3339
from tests.support.browsing import WEBHOOKS, ZONE, Person, happen
from tests.support.clickhouse import insert, outcome
from tests.support.kafka import MakeTopics
from tests.support.portal import Api
from tests.support.target import Target, answer
from tests.support.waiting import eventually


@pytest.fixture
async def topics(make_topics: MakeTopics) -> Topics:
    """A single attempt: what fails has failed for good."""
    return await make_topics(("0s",))


def typed(moment: datetime) -> str:
    """As the person's clock has it, to the minute."""
    return f"{moment.astimezone(ZONE):%Y-%m-%dT%H:%M}"


async def send_again(page: Page, since: datetime, until: datetime | None = None) -> None:
    dialog = page.get_by_role("dialog", name="Recover failed messages")
    await dialog.get_by_label("Failed since").fill(typed(since))
    await dialog.get_by_label("Until (optional)").fill(typed(until) if until else "")
    await dialog.get_by_role("button", name="Recover").click()


@pytest.mark.usefixtures("delivering")
async def test_what_failed_since_a_time_is_sent_again(
    person: Person, api: Api, target: Target, clients: KafkaClients, topics: Topics
) -> None:
    webhook = (await api.create(target_url=target.url("hook", answer(503))))["id"]
    await api("POST", f"/webhooks/{webhook}/enable")
    page = person.page
    rows = page.locator("live-attempts tbody tr")
    dialog = page.get_by_role("dialog", name="Recover failed messages")
    recover = page.get_by_role("link", name="Recover failed since…")
    since = dialog.get_by_label("Failed since")
    await person.sign_in()
    before = datetime.now(ZONE)
    await page.goto(f"{WEBHOOKS}/{webhook}?tab=metrics")
    await expect(page.locator(".la-state")).to_have_text("Live")
    await happen(clients, topics, "event-1", "event-2")
    await expect(rows).to_have_count(2)
    await expect(page.locator('[data-figure="failed"]')).to_have_text("2")

    # A day ago is suggested, on the person's clock; who thinks better of it sends nothing.
    await recover.click()
    now = datetime.now(ZONE)
    day = timedelta(days=1)
    assert typed(before - day) <= await since.input_value() <= typed(now - day)
    await expect(dialog).to_contain_text("Times are those of Asia/Kabul.")
    await dialog.get_by_role("link", name="Cancel").click()
    await expect(dialog).to_have_count(0)
    await expect(recover).to_be_focused()

    # What is no span is asked for again, with what was typed; so is a beginning that is still to come.
    await recover.click()
    await send_again(page, now - timedelta(hours=1), now - timedelta(hours=2))
    await expect(dialog).to_contain_text("Choose a time after the beginning, or leave it empty.")
    await expect(since).to_have_value(typed(now - timedelta(hours=1)))
    await send_again(page, now + timedelta(days=1))
    await expect(dialog).to_contain_text("Choose a time in the past.")
    await expect(since).to_have_value(typed(now + timedelta(days=1)))

    # Nothing failed yesterday; in the last hour two did, and the target is well again.
    await send_again(page, now - timedelta(days=2), now - timedelta(days=1))
    await expect(page.get_by_role("status").first).to_contain_text("Nothing is sent again")
    await page.wait_for_load_state()
    target.url("hook")
    await recover.click()
    await send_again(page, now - timedelta(hours=1))
    await expect(page.get_by_role("status").first).to_have_text("2 messages that failed are sent again.")
    await expect(rows).to_have_count(4)
    await expect(rows.locator('[data-field="status"]')).to_have_text(["Successful", "Successful", "Failed", "Failed"])
    for figure, value in {"successful": "2", "failed": "0", "total": "2"}.items():
        await expect(page.locator(f'[data-figure="{figure}"]')).to_have_text(value)
    ids = [one.message_id for one in target.at("hook")]
    assert sorted(ids[:2]) == sorted(ids[2:])

    async def told() -> bool:
        return bool((await api("GET", f"/webhooks/{webhook}/audit")).body["items"][0]["action"] == "recovered")

    await eventually(told)


async def test_attempts_are_exported_as_the_filter_has_them(
    person: Person, api: Api, clickhouse: ClickHouse, tmp_path: Path
) -> None:
    webhook = (await api.create())["id"]
    now = datetime.now(ZONE)
    at = int(now.timestamp() * 1000)
    evil = '=HYPERLINK("https://evil.example"), "quoted"\nand a line'
    await insert(
        clickhouse,
        [
            outcome("msg_good", 1, "successful", at=at - 60_000, webhook_id=webhook, duration_ms=1234),
            outcome("msg_bad", 1, "failed", at=at, webhook_id=webhook, error=evil, response_code=None),
        ],
    )
    page = person.page
    await person.sign_in()
    exported: list[list[dict[str, str]]] = []
    for status in ("", "&status=failed"):
        await page.goto(f"{WEBHOOKS}/{webhook}?tab=metrics{status}")
        async with page.expect_download() as downloading:
            await page.get_by_role("link", name="Export as CSV").click()
        download = await downloading.value
        assert download.suggested_filename.endswith(".csv")
        path = tmp_path / "exported.csv"
        await download.save_as(path)
        with path.open(encoding="utf-8-sig", newline="") as file:
            exported.append([*csv.DictReader(file)])
    bad, good = exported[0]
    assert [one["message_id"] for one in (bad, good)] == ["msg_bad", "msg_good"]
    assert good["executed_on"] == rfc3339(now - timedelta(minutes=1))
    assert [good[name] for name in ("status", "duration_ms", "response_code", "error")] == [
        "successful",
        "1234",
        "200",
        "",
    ]
    # A spreadsheet that opens it runs no formula.
    assert (bad["response_code"], bad["error"]) == ("", f"'{evil}")
    assert exported[1] == [bad]
