"""What an Organization Admin does with a webhook from its first day to its last, in one go and in a real browser."""

import json
import re
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Page, expect

from dispatcher.delivery.relay import Relay
from dispatcher.events.examples import example_templates
from dispatcher.events.types import EventType
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.topics import Topics
from tests.support.browsing import Person, fill, open_form
from tests.support.kafka import MakeTopics
from tests.support.matching import an_event, publish
from tests.support.portal import Api
from tests.support.target import Target, fail_first


@pytest.fixture
async def topics(make_topics: MakeTopics) -> Topics:
    """Four attempts, in place of the eight of the schedule that organizations have."""
    return await make_topics(("0s", "1s", "1s", "1s"))


@pytest.fixture
async def retrying(clients: KafkaClients, topics: Topics) -> AsyncIterator[None]:
    """What failed comes again."""
    relay = Relay(clients, topics)
    await relay.start()
    yield
    await relay.stop()


async def said(page: Page, text: str) -> None:
    await expect(page.get_by_role("status").first).to_have_text(text)


@pytest.mark.usefixtures("delivering", "retrying")
async def test_a_webhook_from_its_creation_to_its_end(
    person: Person, api: Api, target: Target, clients: KafkaClients, topics: Topics
) -> None:
    page = person.page
    main = page.get_by_role("main")
    status = page.locator(".page-head .badge")
    figures = {key: page.locator(f'[data-figure="{key}"]') for key in ("successful", "failed", "total", "success_rate")}
    rows = page.locator("live-attempts tbody tr")
    window = page.get_by_role("dialog")
    slack = example_templates(EventType.EXECUTED_MICROSERVICE)["Slack"]

    event = an_event(
        EventType.EXECUTED_MICROSERVICE, microservice_name='Clean "temporary" files', operation_result="Completed"
    )

    # Sign in, and create it from the Slack example.
    await person.sign_in()
    await open_form(page)
    await fill(page, "To Slack", target.url("slack", fail_first(3)))
    await page.get_by_label("Event Type").select_option(label="Executed microservice")
    await page.get_by_label("Send webhook for all microservices").check()
    await page.get_by_role("button", name="Slack").click()
    await page.locator(".save-bar").get_by_role("button", name="Save").click()
    await expect(page.get_by_text("Copy the signing secret now")).to_be_visible()
    await expect(status).to_have_text("Disabled")

    # Test it: the template arrives with nothing replaced, although it is disabled, and it shows that the target fails.
    await main.get_by_role("button", name="Test").click()
    await expect(page.locator("#test .card-head")).to_contain_text("HTTP 500")
    assert json.loads(target.at("slack")[-1].body) == slack
    target.url("slack")
    await main.get_by_role("button", name="Test").click()
    await expect(page.locator("#test .card-head")).to_contain_text("Successful")

    # Enable it.
    await main.get_by_role("button", name="Enable").click()
    await said(page, "The webhook is enabled.")
    await expect(status).to_have_text("Enabled")

    # Attempts arrive as they happen: three fail, the fourth succeeds, and that is a single message.
    target.url("slack", fail_first(3))
    await page.get_by_role("link", name="Metrics").click()
    await expect(page.locator(".la-state")).to_have_text("Live")
    await expect(page.get_by_role("heading", name="No attempts yet")).to_be_visible()
    await publish(clients, topics.events[EventType.EXECUTED_MICROSERVICE], [event])
    await expect(rows.locator('[data-field="response_code"]')).to_have_text(["200", "500", "500", "500"])
    await expect(rows.locator('[data-field="status"]')).to_have_text(["Successful", "Failed", "Failed", "Failed"])
    for key, value in {"successful": "1", "failed": "0", "total": "1", "success_rate": "100%"}.items():
        await expect(figures[key]).to_have_text(value)
    sent = target.at("slack")[2:]
    assert [one.attempt for one in sent] == [1, 2, 3, 4]
    assert {json.loads(one.body)["blocks"][0]["fields"][0]["text"] for one in sent} == {
        '*Microservicio:*\nClean "temporary" files'
    }

    # The details window, and sending the message again.
    target.url("slack")
    await rows.last.get_by_role("link", name="Details").click()
    await expect(window.get_by_role("heading", name="Attempt 1")).to_be_visible()
    await expect(window.get_by_role("alert")).to_contain_text("The target answered 500.")
    await expect(window.locator(".time-line li")).to_have_count(4)
    await window.get_by_role("button", name="Resend").click()
    await expect(window.get_by_role("status")).to_contain_text("This is run 2 of it")
    await expect(window.get_by_role("heading", name="Sent again: run 2")).to_be_visible()
    await expect(rows).to_have_count(5)
    await page.keyboard.press("Escape")
    await expect(rows.first).to_contain_text("Successful")
    await expect(figures["total"]).to_have_text("1")
    assert target.at("slack")[-1].message_id == sent[0].message_id

    # Disable and delete it.
    await main.get_by_role("button", name="Disable").click()
    await said(page, "The webhook is disabled.")
    await expect(status).to_have_text("Disabled")
    await main.get_by_role("link", name="Delete").click()
    await expect(window).to_contain_text("It can not be undone.")
    await window.get_by_role("button", name="Delete").click()
    await said(page, "The webhook is deleted.")
    await expect(page).to_have_url(re.compile("/webhooks$"))
    await expect(page.get_by_role("heading", name="No webhooks yet")).to_be_visible()
    assert (await api("GET", "/webhooks")).body["items"] == []
