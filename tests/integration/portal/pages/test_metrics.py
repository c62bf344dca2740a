"""The Metrics tab of a webhook's page, and the details of an attempt, on recorded attempts."""

import re
from datetime import UTC, datetime, timedelta

import orjson
import pytest

from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.topics import Topics
from dispatcher.moments import milliseconds, moment
from dispatcher.recording.clickhouse import ClickHouse
from tests.support.clickhouse import ON_A_SERVER_TOO, insert, outcome
from tests.support.kafka import consume
from tests.support.portal import Api
from tests.support.visitor import Visitor

pytestmark = ON_A_SERVER_TOO

NOW = int(datetime.now(UTC).timestamp() * 1000)
HOSTILE = "<script>alert(1)</script>\u202egnp.exe"


@pytest.fixture
async def id(api: Api, visitor: Visitor) -> str:
    await visitor.sign_in()
    created: str = (await api.create())["id"]
    await api("POST", f"/webhooks/{created}/enable")
    return created


async def record(clickhouse: ClickHouse, id: str) -> None:
    """One message that succeeded at the second attempt, one that failed, one that waits, and the bodies of all."""
    rows = [
        outcome("msg_good", 1, "failed", at=NOW - 60_000, webhook_id=id, next_attempt_at=NOW - 55_000),
        outcome(
            "msg_good",
            2,
            "successful",
            at=NOW - 55_000,
            webhook_id=id,
            duration_ms=1234,
            request_url="https://tickets.example/hook",
            request_headers={"content-type": "application/json", "x-key": HOSTILE},
            response_headers={"server": "nginx"},
            response_body='{"ok":true,"text":"' + "<b>#</b>" + '"}',
        ),
        outcome("msg_bad", 1, "failed", at=NOW - 50_000, webhook_id=id, error="connection refused", response_code=None),
        outcome("msg_due", 1, "failed", at=NOW - 40_000, webhook_id=id, next_attempt_at=NOW + 300_000),
    ]
    await insert(clickhouse, rows)
    for message_id, body in (("msg_good", '{"n":1}'), ("msg_bad", HOSTILE), ("msg_due", "{}")):
        queued = {
            "organization_id": "org-contoso",
            "webhook_id": id,
            "event_type": "object_created",
            "message_id": message_id,
            "workspace_id": "",
            "run": 1,
            "attempt": 1,
            "message_created_on": NOW - 61_000,
            "due_at": NOW - 61_000,
            "body": body,
        }
        await clickhouse.insert("queued", orjson.dumps(queued))


async def test_the_cards_and_the_table_say_what_became_of_messages(
    visitor: Visitor, id: str, clickhouse: ClickHouse
) -> None:
    await record(clickhouse, id)
    page = await visitor.get(f"{visitor.webhooks}/{id}?tab=metrics")
    for name, figure in (
        ("Successful messages", "1"),
        ("Pending messages", "1"),
        ("Messages in progress", "0"),
        ("Failed messages", "1"),
        ("Total messages", "3"),
        ("Success rate", "50%"),
    ):
        assert f"{name} {figure}" in page.text
    assert "Status Duration (ms) Response code Executed on Actions" in page.text
    assert page.html.count("<tr data-attempt=") == 5
    assert "1,234" in page.text
    assert f'href="{visitor.webhooks}/{id}/attempts/msg_good-1-2"' in page.html
    assert "ImmediatelyAfter 1 secondAfter 2 seconds" in page.text


@pytest.mark.parametrize(
    ("status", "shown"),
    [("successful", ["msg_good-1-2"]), ("pending", ["msg_due-1-2"]), ("in_progress", [])],
)
async def test_filters_are_in_the_address(
    visitor: Visitor, id: str, clickhouse: ClickHouse, status: str, shown: list[str]
) -> None:
    await record(clickhouse, id)
    page = await visitor.get(f"{visitor.webhooks}/{id}?tab=metrics&status={status}&range=7d")
    assert [row.split('"')[0] for row in page.html.split('<tr data-attempt="')[1:]] == shown
    for label in ("All attempts", "Successful attempts", "Pending attempts", "Failed attempts", "Attempts in progress"):
        assert label in page.text
    assert f'data-status="{status}"' in page.html
    assert f"attempts.csv?status={status}" in page.html


async def test_the_table_begins_before_a_time_on_the_person_s_clock(
    visitor: Visitor, id: str, clickhouse: ClickHouse
) -> None:
    day = (datetime.now(UTC) - timedelta(days=3)).replace(hour=0, minute=0, second=0, microsecond=0)
    for hour in (8, 10, 12):
        at = milliseconds(day + timedelta(hours=hour, minutes=30))
        await insert(clickhouse, [outcome(f"msg_{hour}", 1, "successful", at=at, webhook_id=id)])
    tab = f"{visitor.webhooks}/{id}?tab=metrics"
    typed = f"{day:%Y-%m-%d}T20:00"
    page = await visitor.get(f"{tab}&status=successful&before={typed}&before_zone=Asia/Tokyo")
    assert [row.split('"')[0] for row in page.html.split('<tr data-attempt="')[1:]] == ["msg_10-1-1", "msg_8-1-1"]
    assert f'value="{typed}"' in page.html
    assert f"attempts.csv?status=successful&amp;to={day:%Y-%m-%d}T11%3A00%3A00.000Z" in page.html
    assert "data-first-page " not in page.html, "what happens now is not put above it"
    newest = page.html.split('class="pager"')[1].split('href="')[1].split('"')[0]
    assert "before" not in newest
    page = await visitor.get(f"{tab}&before=soon")
    assert "Choose a date and a time." in page.text
    assert page.html.count("<tr data-attempt=") == 3


async def test_older_attempts_are_on_pages_of_their_own(visitor: Visitor, id: str, clickhouse: ClickHouse) -> None:
    rows = [outcome(f"msg_{n:03}", 1, "successful", at=NOW - n * 1000, webhook_id=id) for n in range(60)]
    await insert(clickhouse, rows)
    page = await visitor.get(f"{visitor.webhooks}/{id}?tab=metrics")
    assert page.html.count("<tr data-attempt=") == 50
    assert "Newest" not in page.text
    older = page.html.split('class="pager"')[1].split('href="')[1].split('"')[0].replace("&amp;", "&")
    page = await visitor.get(older)
    assert page.html.count("<tr data-attempt=") == 10
    assert "Newest" in page.text
    assert "data-first-page " not in page.html
    assert (await visitor.get(f"{visitor.webhooks}/{id}?tab=metrics&cursor=nonsense")).html.count(
        "<tr data-attempt="
    ) == 50


async def test_without_attempts_it_says_what_to_do(visitor: Visitor, api: Api, id: str) -> None:
    page = await visitor.get(f"{visitor.webhooks}/{id}?tab=metrics")
    assert "No attempts yet" in page.text
    assert "Attempts appear here as they happen" in page.text
    await api("POST", f"/webhooks/{id}/disable")
    page = await visitor.get(f"{visitor.webhooks}/{id}?tab=metrics")
    assert "Enable it, and the next event of its type shows here" in page.text
    page = await visitor.get(f"{visitor.webhooks}/{id}?tab=metrics&status=failed")
    assert "No failed attempts" in page.text


async def test_the_details_show_both_sides_and_the_message_s_other_attempts(
    visitor: Visitor, id: str, clickhouse: ClickHouse
) -> None:
    await record(clickhouse, id)
    page = await visitor.get(f"{visitor.webhooks}/{id}/attempts/msg_good-1-2")
    for text in (
        "Attempt 2",
        "Successful",
        "HTTP 200",
        "1,234 ms",
        "POST https://tickets.example/hook",
        "server: nginx",
    ):
        assert text in page.text
    assert '<span class="json-key">"ok"</span>' in page.html
    assert "Attempts of this message Attempt 1" in page.text
    assert "<script>alert" not in page.html
    assert "\u202e" not in page.html
    page = await visitor.get(f"{visitor.webhooks}/{id}/attempts/msg_bad-1-1")
    assert "The connection was refused: nothing listens" in page.text
    assert "No answer came." in page.text
    page = await visitor.get(f"{visitor.webhooks}/{id}/attempts/msg_due-1-1")
    assert "due " in page.text
    assert "The message is still being sent." in page.text
    assert (await visitor.get(f"{visitor.webhooks}/{id}/attempts/msg_none-1-1")).status == 404


async def test_a_message_is_sent_again_from_the_details(
    visitor: Visitor, api: Api, id: str, clickhouse: ClickHouse, clients: KafkaClients, topics: Topics
) -> None:
    await record(clickhouse, id)
    url = f"{visitor.webhooks}/{id}/attempts/msg_bad-1-1"
    form = {"csrf": (await visitor.get(url)).csrf, "attempt": "msg_bad-1-1"}
    page = await visitor.post(f"{visitor.webhooks}/{id}/messages/msg_bad/resend", form)
    assert (page.url, "This is run 2 of it" in page.text) == (url, True)
    (queued,) = await consume(clients, topics.deliveries, 1)
    assert (dict(queued.headers)["run"], queued.value) == (b"2", HOSTILE.encode())
    page = await visitor.post(f"{visitor.webhooks}/{id}/messages/msg_bad/resend", form)
    assert "The message is still being sent. It can be sent again when it has succeeded or failed." in page.text
    await insert(clickhouse, [outcome("msg_old", 1, "failed", at=NOW - 9_000, webhook_id=id)])
    page = await visitor.post(f"{visitor.webhooks}/{id}/messages/msg_old/resend", {**form, "attempt": "msg_old-1-1"})
    assert "is not kept, after 28 days or because it was too large" in page.text
    await api("POST", f"/webhooks/{id}/disable")
    assert "Enable it to send the message again." in (await visitor.get(url)).text


async def test_a_message_that_was_too_large_is_not_offered_to_be_sent_again(
    visitor: Visitor, id: str, clickhouse: ClickHouse
) -> None:
    error = "the rendered message is 313 KiB; at most 256 KiB are sent"
    await record(clickhouse, id)
    await insert(clickhouse, [outcome("msg_large", 1, "failed", at=NOW - 9_000, webhook_id=id, error=error)])
    page = await visitor.get(f"{visitor.webhooks}/{id}/attempts/msg_large-1-1")
    assert "The body was too large to be sent, and was not kept." in page.text
    assert "no longer kept" not in page.text
    assert "/resend" not in page.html
    assert "/resend" in (await visitor.get(f"{visitor.webhooks}/{id}/attempts/msg_bad-1-1")).html


async def test_what_failed_in_a_time_of_the_person_s_zone_is_sent_again(
    visitor: Visitor, id: str, clickhouse: ClickHouse
) -> None:
    await record(clickhouse, id)
    url = f"{visitor.webhooks}/{id}"
    page = await visitor.get(f"{url}?tab=metrics&asks=recover")
    assert '<dialog id="recover" aria-labelledby="recover-title" open>' in page.html
    # Kiritimati's clock is 14 hours before UTC's.
    there = moment(NOW) + timedelta(hours=14)
    form = {"csrf": page.csrf, "zone": "Pacific/Kiritimati", "until": ""}

    async def recovered(since: datetime, **others: str) -> str:
        fields = {**form, "since": since.strftime("%Y-%m-%dT%H:%M"), **others}
        return (await visitor.post(f"{url}/recover", fields)).text

    assert "Nothing is sent again" in await recovered(there - timedelta(hours=3), until=_minutes(there, -120))
    assert "1 message that failed is sent again." in await recovered(there - timedelta(hours=1))
    again = await recovered(there - timedelta(hours=1))
    assert "What failed in that time is being sent again already." in again
    refused = await visitor.post(f"{url}/recover", {**form, "since": _minutes(there, 0), "until": _minutes(there, -9)})
    assert "Choose a time after the beginning" in refused.text
    assert f'value="{_minutes(there, -9)}"' in refused.html
    refused = await visitor.post(f"{url}/recover", {**form, "since": "yesterday"})
    assert "Choose a date and a time." in refused.text


async def test_the_page_is_there_without_clickhouse(visitor: Visitor, id: str, clickhouse: ClickHouse) -> None:
    await clickhouse.command("DROP TABLE attempt_times", {})
    page = await visitor.get(f"{visitor.webhooks}/{id}?tab=metrics")
    assert page.status == 200
    assert "How deliveries went is not available at the moment." in page.text


async def test_plots_without_script_are_a_table(visitor: Visitor, id: str, clickhouse: ClickHouse) -> None:
    await record(clickhouse, id)
    page = await visitor.get(f"{visitor.webhooks}/{id}?tab=metrics&plots=table&range=28d")
    assert "p50p95p99" in page.text


async def test_all_of_it_is_spanish_for_who_reads_spanish(visitor: Visitor, id: str, clickhouse: ClickHouse) -> None:
    await record(clickhouse, id)
    page = await visitor.get(f"{visitor.webhooks}/{id}?tab=metrics", Accept_Language="es")
    for text in ("Mensajes correctos", "Tasa de éxito", "Duración (ms)", "Todos los intentos", "Exportar como CSV"):
        assert text in page.text
    page = await visitor.get(f"{visitor.webhooks}/{id}/attempts/msg_bad-1-1", Accept_Language="es")
    assert "La conexión fue rechazada" in page.text


def _minutes(moment: datetime, after: int) -> str:
    return (moment + timedelta(minutes=after)).strftime("%Y-%m-%dT%H:%M")


async def test_the_page_is_seen_before_clickhouse_has_answered(
    visitor: Visitor, id: str, clickhouse: ClickHouse
) -> None:
    await record(clickhouse, id)
    visitor.headers["Sec-Fetch-Mode"] = "navigate"
    page = await visitor.get(f"{visitor.webhooks}/{id}?tab=metrics&status=failed")
    assert "Successful messages" in page.text
    assert "<tr data-attempt=" not in page.html
    parts = sorted(page.html.split(part)[0].count("data-deferred") for part in ("</main>",))
    assert parts == [4]
    # With script, figures and plots come together, and the attempts apart from them.
    url = f"{visitor.webhooks}/{id}?tab=metrics&status=failed"
    for name, has in {"messages": ["figures", "plots"], "attempts": ["attempts"]}.items():
        part = await visitor.get(url, X_Page_Part=name)
        assert re.findall(r'data-part="(\w+)"', part.html) == has
        assert ("<main" in part.html, part.html.count("<tr data-attempt=")) == (False, 3 * (name == "attempts"))
    # Without script, the browser goes on to the whole page by itself.
    on = page.html.split('<noscript><meta http-equiv="refresh" content="0; url=')[1].split('"')[0].replace("&amp;", "&")
    page = await visitor.get(on)
    assert page.html.count("<tr data-attempt=") == 3
    assert "data-deferred" not in page.html
