from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.events.types import EventType
from dispatcher.webhooks.directory import Directory
from dispatcher.webhooks.webhook import Webhook
from tests.support.webhooks import a_webhook

ORGANIZATION = "org-contoso"
EXECUTED = EventType.OPERATION_EXECUTED


def directory_of(*webhooks: Webhook) -> Directory:
    directory = Directory()
    for offset, webhook in enumerate(webhooks):
        assert directory.apply(offset, webhook.id, webhook, 1, 0)
    return directory


def test_knows_webhooks_by_id() -> None:
    directory = directory_of(a_webhook("a"), a_webhook("b"))
    assert directory.get("a") == a_webhook("a")
    assert directory.get("c") is None
    assert (directory.revision("a"), directory.revision("c")) == (1, 0)
    assert directory.next_offset == 2
    assert len(directory) == 2


def test_wanting_are_the_enabled_ones_of_the_organization_and_type() -> None:
    directory = directory_of(
        a_webhook("a"),
        a_webhook("b", status="disabled"),
        a_webhook("c", organization_id="org-other"),
        a_webhook("d", event_type="active_alert"),
        a_webhook("e"),
    )
    assert [webhook.id for webhook in directory.wanting(ORGANIZATION, EXECUTED)] == ["a", "e"]
    assert directory.wanting("org-unknown", EXECUTED) == ()
    assert directory.apply(5, "b", a_webhook("b"), 2, 1)
    assert directory.apply(6, "a", a_webhook("a", status="disabled"), 2, 1)
    assert directory.apply(7, "d", a_webhook("d"), 2, 1)
    assert directory.apply(8, "e", None, 2, 1)
    assert sorted(webhook.id for webhook in directory.wanting(ORGANIZATION, EXECUTED)) == ["b", "d"]
    assert directory.wanting(ORGANIZATION, EventType.ACTIVE_ALERT) == ()


def test_of_organization_are_sorted_by_creation() -> None:
    old = a_webhook("z", created_on="2020-01-01T00:00:00Z")
    directory = directory_of(a_webhook("b"), old, a_webhook("a"), a_webhook("x", organization_id="org-other"))
    assert [webhook.id for webhook in directory.of_organization(ORGANIZATION)] == ["z", "a", "b"]
    assert directory.of_organization("org-unknown") == []


def test_ignores_a_record_whose_base_is_out_of_date() -> None:
    directory = directory_of(a_webhook("a"))
    assert directory.apply(1, "a", a_webhook("a", name="first"), 2, 1)
    assert not directory.apply(2, "a", a_webhook("a", name="second"), 2, 1)
    assert not directory.apply(3, "a", None, 2, 1)
    assert directory.get("a") == a_webhook("a", name="first")
    assert [directory.ignored(offset) for offset in range(4)] == [False, False, True, True]
    assert directory.next_offset == 4


def test_resurrects_nothing() -> None:
    directory = directory_of(a_webhook("a"))
    assert directory.apply(1, "a", None, 2, 1)
    assert not directory.apply(2, "a", a_webhook("a", name="late"), 2, 1)
    assert not directory.apply(3, "a", a_webhook("a", name="again"), 1, 0)
    assert directory.get("a") is None
    assert directory.revision("a") == 2
    assert directory.of_organization(ORGANIZATION) == []


def test_a_key_first_seen_is_accepted_whatever_its_base() -> None:
    directory = Directory()
    assert directory.apply(7, "a", a_webhook("a"), 5, 4)
    assert directory.apply(9, "b", None, 3, 2)
    assert directory.get("a") == a_webhook("a")
    assert not directory.apply(10, "b", a_webhook("b"), 3, 2)


def test_a_restatement_settles_a_key() -> None:
    directory = directory_of(a_webhook("a"))
    directory.apply(1, "a", a_webhook("a", name="first"), 2, 1)
    assert directory.restatement("a") is None
    directory.apply(2, "a", a_webhook("a", name="second"), 2, 1)
    assert set(directory.unsettled) == {"a"}
    assert directory.restatement("a") == (a_webhook("a", name="first"), 2)
    assert directory.apply(3, "a", a_webhook("a", name="first"), 2, 2)
    assert directory.apply(4, "a", a_webhook("a", name="first"), 2, 2)
    assert not directory.unsettled
    assert directory.revision("a") == 2


def test_what_cannot_be_read_leaves_the_webhook_as_it_was() -> None:
    directory = directory_of(a_webhook("a"))
    assert directory.apply_unreadable(1, "a", 2, 1)
    assert directory.apply_unreadable(2, "b", 1, 0)
    assert directory.get("a") == a_webhook("a")
    assert directory.get("b") is None
    assert set(directory.unreadable) == {"a", "b"}
    assert not directory.apply_unreadable(3, "a", 2, 1)
    assert directory.restatement("a") is None
    assert directory.apply(4, "a", a_webhook("a", name="read"), 3, 2)
    assert set(directory.unreadable) == {"b"}
    assert directory.get("a") == a_webhook("a", name="read")
    directory.skip(5)
    assert directory.next_offset == 6


def test_same_as_is_the_one_that_stands_earlier_in_the_log() -> None:
    same = "https://example.com/same"
    directory = directory_of(
        a_webhook("a", target_url=same), a_webhook("b", target_url=same), a_webhook("x"), a_webhook("c")
    )
    assert directory.same_as(a_webhook("a", target_url=same)) is None
    assert directory.same_as(a_webhook("b", target_url=same)) == a_webhook("a", target_url=same)
    assert directory.same_as(a_webhook("new", target_url=same)) == a_webhook("a", target_url=same)
    assert directory.same_as(a_webhook("c", target_url=same)) == a_webhook("a", target_url=same)
    assert directory.same_as(a_webhook("new", target_url=same, organization_id="org-other")) is None
    assert directory.same_as(a_webhook("c")) is None


def test_a_new_name_does_not_make_a_configuration_later() -> None:
    same = "https://example.com/same"
    directory = directory_of(a_webhook("a", target_url=same), a_webhook("b", target_url=same))
    directory.apply(2, "a", a_webhook("a", target_url=same, name="renamed"), 2, 1)
    assert directory.same_as(a_webhook("a", target_url=same)) is None
    directory.apply(3, "a", a_webhook("a", target_url="https://example.com/else"), 3, 2)
    directory.apply(4, "a", a_webhook("a", target_url=same), 4, 3)
    assert directory.same_as(a_webhook("a", target_url=same)) == a_webhook("b", target_url=same)
    assert directory.same_as(a_webhook("b", target_url=same)) is None


def test_remembers_a_limited_number_of_ignored_records(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dispatcher.webhooks.directory._REMEMBERED", 2)
    directory = directory_of(a_webhook("a"))
    for offset in (1, 2, 3):
        directory.apply(offset, "a", None, 1, 0)
    assert [directory.ignored(offset) for offset in (1, 2, 3)] == [False, True, True]


@dataclass
class Record:
    offset: int
    key: str
    webhook: Webhook | None
    revision: int
    base: int

    def applied_to(self, directory: Directory) -> bool:
        return directory.apply(self.offset, self.key, self.webhook, self.revision, self.base)


@dataclass
class Log:
    """What portals write when each has read the log only so far; by the end every loser's record was made good."""

    records: list[Record] = field(default_factory=list)

    def append(self, key: str, webhook: Webhook | None, revision: int, base: int) -> None:
        self.records.append(Record(len(self.records), key, webhook, revision, base))

    def read(self, directory: Directory, up_to: int) -> None:
        for record in self.records[directory.next_offset : up_to]:
            record.applied_to(directory)

    def settle(self) -> None:
        directory = Directory()
        self.read(directory, len(self.records))
        while directory.unsettled:
            key = min(directory.unsettled)
            restated = directory.restatement(key)
            assert restated is not None
            self.append(key, restated[0], restated[1], restated[1])
            self.read(directory, len(self.records))

    def compacted(self, up_to: int, *, without_tombstones: bool) -> list[Record]:
        """The log once Kafka has compacted the records before ``up_to``."""
        last = {record.key: record.offset for record in self.records[:up_to]}
        return [
            record
            for record in self.records
            if record.offset >= up_to
            or (last[record.key] == record.offset and not (without_tombstones and record.webhook is None))
        ]


STEPS = st.lists(
    st.tuples(
        st.integers(0, 2),  # which portal
        st.integers(0, 6),  # how many more records it reads first
        st.sampled_from("ab"),  # which webhook
        st.sampled_from(["write", "write", "delete", "restate"]),
    ),
    max_size=30,
)


def written(steps: list[tuple[int, int, str, str]]) -> Log:
    log = Log()
    portals = [Directory() for _ in range(3)]
    for number, (portal, reads, key, what) in enumerate(steps):
        directory = portals[portal]
        log.read(directory, directory.next_offset + reads)
        base = directory.revision(key)
        if what == "restate":
            restated = directory.restatement(key)
            if restated is not None:
                log.append(key, restated[0], restated[1], restated[1])
        elif base == 0 or directory.get(key) is not None:
            webhook = a_webhook(key, name=str(number)) if what == "write" or base == 0 else None
            log.append(key, webhook, base + 1, base)
    log.settle()
    return log


def state(directory: Directory) -> dict[str, tuple[Webhook | None, int]]:
    return {key: (directory.get(key), directory.revision(key)) for key in "ab"}


@given(STEPS)
def test_the_log_alone_decides_and_each_revision_has_one_winner(steps: list[tuple[int, int, str, str]]) -> None:
    log = written(steps)
    directories = Directory(), Directory()
    winners: dict[tuple[str, int], Webhook | None] = {}
    for record in log.records:
        won = [record.applied_to(directory) for directory in directories]
        assert won[0] == won[1]
        assert won[0] == (record.base == max((r for k, r in winners if k == record.key), default=0))
        if won[0]:
            if record.revision > record.base:
                assert (record.key, record.revision) not in winners
                winners[record.key, record.revision] = record.webhook
            assert winners[record.key, record.revision] == record.webhook
    assert state(directories[0]) == state(directories[1])


@given(STEPS, st.integers(0, 40), st.booleans())
@settings(max_examples=300)
def test_compaction_changes_nothing_once_losers_are_made_good(
    steps: list[tuple[int, int, str, str]], up_to: int, without_tombstones: bool
) -> None:
    log = written(steps)
    whole, compacted = Directory(), Directory()
    for record in log.records:
        record.applied_to(whole)
    for record in log.compacted(up_to, without_tombstones=without_tombstones):
        record.applied_to(compacted)
    expected = {key: webhook for key, (webhook, _) in state(whole).items()}
    assert {key: webhook for key, (webhook, _) in state(compacted).items()} == expected
    for key, webhook in expected.items():
        assert webhook is None or compacted.revision(key) == whole.revision(key)
    assert compacted.wanting(ORGANIZATION, EXECUTED) or not whole.wanting(ORGANIZATION, EXECUTED)
