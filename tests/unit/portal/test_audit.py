"""What is shown of the audit."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from dispatcher.portal import audit
from dispatcher.portal.audit import Action, AuditEntry, AuditRecord, AuditTrail
from dispatcher.webhooks.webhook import Person

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@dataclass
class Consumed:
    value: bytes
    offset: int = 0


class Written(AuditTrail):
    """A trail that has read what is given to it, as Kafka has it."""

    def read(self, id: str, minute: int = 0, *, action: Action = "updated", webhook_id: str = "wh-1") -> AuditRecord:
        entry = AuditEntry(id=id, time=NOON + timedelta(minutes=minute), by=Person(id="u", name="U"), action=action)
        record = AuditRecord(v=1, organization_id="org-a", webhook_id=webhook_id, webhook_name="Tickets", entry=entry)
        self.apply(Consumed(record.encode()))
        return record

    @property
    def ids(self) -> list[str]:
        return [entry.id for entry in self.of("wh-1")]


def test_an_entry_that_was_written_twice_is_shown_once() -> None:
    trail = Written()
    for id in ("a", "b", "a"):
        record = trail.read(id)
    assert trail.ids == ["b", "a"]
    assert trail.has(record)


def test_an_entry_that_was_missing_stands_where_it_belongs() -> None:
    trail = Written()
    for id, minute in (("a", 1), ("c", 3), ("d", 3), ("b", 2)):
        trail.read(id, minute)
    assert trail.ids == ["d", "c", "b", "a"]


def test_what_became_of_a_deleted_webhook_is_known_for_a_while() -> None:
    trail = Written()
    changed, deleted = trail.read("a"), trail.read("b", action="deleted")
    assert trail.ids == []
    assert trail.has(changed)
    assert trail.has(deleted)
    trail.read("a")
    assert trail.ids == []


def test_only_the_latest_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "KEPT_OF_WEBHOOK", 2)
    monkeypatch.setattr(audit, "_REMEMBERED", 2)
    trail = Written()
    first, *_ = [trail.read(id) for id in ("a", "b")]
    trail.read("c", webhook_id="wh-2")
    assert trail.has(first)
    trail.read("d")
    assert trail.ids == ["d", "b"]
    assert not trail.has(first)
