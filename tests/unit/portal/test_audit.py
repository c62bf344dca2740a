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

    def read(
        self,
        id: str,
        minute: int = 0,
        *,
        action: Action = "updated",
        webhook_id: str = "wh-1",
        organization_id: str = "org-a",
    ) -> AuditRecord:
        entry = AuditEntry(id=id, time=NOON + timedelta(minutes=minute), by=Person(id="u", name="U"), action=action)
        record = AuditRecord(
            v=1, organization_id=organization_id, webhook_id=webhook_id, webhook_name="Tickets", entry=entry
        )
        self.apply(Consumed(record.encode()))
        return record

    @property
    def ids(self) -> list[str]:
        return [entry.id for entry in self.of("wh-1")]

    def changed(self, organization_id: str = "org-a") -> list[tuple[str, str]]:
        return [(each.webhook_id, each.entry.id) for each in self.of_organization(organization_id)]


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
    monkeypatch.setattr(audit, "KEPT_OF_ORGANIZATION", 3)
    monkeypatch.setattr(audit, "_REMEMBERED", 2)
    trail = Written()
    first, *_ = [trail.read(id) for id in ("a", "b")]
    trail.read("c", webhook_id="wh-2")
    assert trail.has(first)
    trail.read("d")
    assert trail.ids == ["d", "b"]
    assert trail.changed() == [("wh-1", "d"), ("wh-2", "c"), ("wh-1", "b")]
    assert not trail.has(first)


def test_tests_and_resends_push_no_change_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "KEPT_OF_WEBHOOK", 2)
    trail = Written()
    trail.read("created", 0, action="created")
    for minute, action in enumerate[Action](("tested", "resent", "recovered"), start=1):
        trail.read(action, minute, action=action)
    assert trail.ids == ["recovered", "resent", "created"]
    assert trail.changed() == [("wh-1", "created")]


def test_who_deleted_a_webhook_is_shown_in_its_organization() -> None:
    trail = Written()
    trail.read("a", 1, action="created")
    trail.read("b", 2, organization_id="org-b", webhook_id="wh-2")
    trail.read("c", 3, action="deleted")
    assert trail.ids == []
    assert trail.changed() == [("wh-1", "c"), ("wh-1", "a")]
    assert trail.changed("org-b") == [("wh-2", "b")]
    assert trail.changed("org-c") == []


def test_of_an_erased_organization_only_that_is_shown() -> None:
    trail = Written()
    trail.read("a", 1, action="created")
    trail.read("b", 2, organization_id="org-b", webhook_id="wh-2")
    trail.read("created meanwhile", 5, action="created", webhook_id="wh-3")
    trail.read("c", 4, action="deleted", webhook_id="")
    late = trail.read("a late one", 3, action="deleted")
    assert trail.changed() == [("wh-3", "created meanwhile"), ("", "c")]
    assert trail.has(late)
    assert trail.changed("org-b") == [("wh-2", "b")]
    assert trail.ids == []
    assert len(trail.of("wh-3")) == 1
