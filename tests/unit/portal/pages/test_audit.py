"""The pages of the audit: from the newest entries to older ones and back, and what of a recovery is told."""

import asyncio
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast
from unittest.mock import AsyncMock

import pytest

from dispatcher.errors import KafkaUnavailable
from dispatcher.events.resources import Resources
from dispatcher.portal.api import reading_on
from dispatcher.portal.api.audit_log import AuditApi
from dispatcher.portal.api.choices import ChoicesApi
from dispatcher.portal.api.named_webhooks import NamedWebhooks
from dispatcher.portal.api.webhooks import WebhooksApi
from dispatcher.portal.audit import Action, Audit, AuditEntry, AuditRecord, AuditTrail
from dispatcher.portal.changes import Changes
from dispatcher.portal.pages.audit import AuditPages
from dispatcher.portal.pages.webhook import WebhookPage
from dispatcher.webhooks.directory import Directory
from dispatcher.webhooks.webhook import Person
from tests.support.visits import NOW, a_visit, html_of
from tests.support.webhooks import a_webhook

ADA = Person(id="u-1", name="Ada")
PAGER = re.compile(r'<a class="button button-small" href="([^"]+)"><svg.*?</svg>(\w+)</a>')


@dataclass
class Consumed:
    value: bytes
    offset: int = 0


class Portal:
    """The tab of ``wh-1``."""

    def __init__(self) -> None:
        directory = Directory()
        directory.apply(0, "wh-1", a_webhook(), 1, 0)
        named = NamedWebhooks(directory, AsyncMock())
        changes = Changes(directory, cast("Any", None), cast("Any", None), lambda: NOW)
        webhooks = WebhooksApi(named, changes, cast("Any", None), lambda: NOW)
        self.trail = AuditTrail()
        self.catch_up = AsyncMock()
        pages = AuditPages(AuditApi(named, self.trail, self.catch_up), webhooks)
        apis: Any = AsyncMock(webhooks=webhooks, choices=ChoicesApi(Resources()))
        self._tab = WebhookPage(apis, [pages.tab()])
        self._organization = pages

    def read(
        self, id: str, minute: int, action: Action = "updated", *, webhook_name: str = "Tickets", by: Person = ADA
    ) -> None:
        entry = AuditEntry(id=id, time=NOW + timedelta(minutes=minute), by=by, action=action)
        self.read_record(
            AuditRecord(v=1, organization_id="org-contoso", webhook_id="wh-1", webhook_name=webhook_name, entry=entry)
        )

    def read_record(self, record: AuditRecord) -> None:
        self.trail.apply(cast("Any", Consumed(record.encode())))

    async def tab(self, query: str = "", code: str = "en") -> str:
        path = f"/organizations/org-contoso/webhooks/wh-1?tab=audit{query}"
        visit = a_visit(path, organization_id="org-contoso", webhook_id="wh-1", code=code)
        return html_of(await self._tab.show(visit))

    async def organization(self, query: str = "") -> str:
        visit = a_visit(f"/organizations/org-contoso/audit{query}", organization_id="org-contoso")
        return html_of(await self._organization.show(visit))


@pytest.fixture
def portal() -> Portal:
    portal = Portal()
    for number in range(120):
        portal.read(f"aud_{number}", number)
    return portal


async def test_older_pages_lead_back_to_the_newest(portal: Portal) -> None:
    first = await portal.tab()
    [(older, word)] = PAGER.findall(first)
    assert word == "Older"
    second = await portal.tab(older.partition("tab=audit")[2].replace("&amp;", "&"))
    (newest, back), (_, onward) = PAGER.findall(second)
    assert (newest, back, onward) == ("/organizations/org-contoso/webhooks/wh-1?tab=audit", "Newest", "Older")
    assert second != first


@pytest.mark.parametrize("cursor", ["nonsense", "WzAsImF1ZF9nb25lIl0", "WzAsImF1ZF8wIl0"])
async def test_a_link_to_what_is_no_longer_kept_leads_to_the_newest(portal: Portal, cursor: str) -> None:
    assert rows(await portal.organization(f"?cursor={cursor}")) == rows(await portal.organization())
    assert rows(await portal.tab(f"&cursor={cursor}")) == rows(await portal.tab())


def rows(page: str) -> list[str]:
    found = re.findall(r'<td data-label="When".*?<time datetime="([^"]+)"', page)
    assert found
    return found


async def test_of_a_recovery_it_is_told_how_much_was_sent_again_and_since_when(portal: Portal) -> None:
    audit = Audit(AsyncMock(), "audit", lambda: NOW + timedelta(days=1))
    hour = timedelta(hours=1)
    for messages, until in ((1, None), (12_345, NOW + hour)):
        record = audit.entry(a_webhook(), ADA, "recovered", messages=messages, since=NOW, until=until)
        portal.read_record(record)
    portal.read("of the version before", 24 * 60 + 1, "recovered")
    english, spanish = [re.sub(r"<[^>]+>", "", await portal.tab(code=code)) for code in ("en", "es")]
    assert "1 message that failed since Nov 24, 2026" in english
    assert "12,345 messages that failed between Nov 24, 2026" in english
    assert "12.345 mensajes que fallaron entre " in spanish
    assert english.count("Failed messages sent again") == 3


async def _never() -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("away", [KafkaUnavailable("no broker answers"), _never])
async def test_what_is_known_is_shown_while_kafka_is_away(
    portal: Portal, monkeypatch: pytest.MonkeyPatch, away: Any
) -> None:
    known = rows(await portal.tab()), rows(await portal.organization())
    monkeypatch.setattr(reading_on, "_SECONDS", 0.05)
    portal.catch_up.side_effect = away
    async with asyncio.timeout(5):
        assert (rows(await portal.tab()), rows(await portal.organization())) == known


async def test_people_of_one_name_are_told_apart_and_nothing_is_said_twice(portal: Portal) -> None:
    for number, id in enumerate(("u-<1>", "u-2", "grace")):
        portal.read(f"by {id}", 200 + number, by=Person(id=id, name="Grace"))
    for page in (await portal.tab(), await portal.tab(code="es"), await portal.organization()):
        who = re.findall(r'<td data-label="(?:Who|Quién)">(.*?)</td>', page)[:3]
        assert [re.sub(r"<[^>]+>", "", one) for one in who] == ["Grace", "GraceID: u-2", "GraceID: u-&lt;1&gt;"]
