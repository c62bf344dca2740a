from aiokafka import TopicPartition

from dispatcher.delivery.commits import Commits
from dispatcher.kafka.watermark import Watermark

BUSY, IDLE = TopicPartition("busy", 0), TopicPartition("idle", 0)
MINUTE = 60_000


def commit(commits: Commits, watermarks: dict[TopicPartition, Watermark], now: int, *, leaving: bool = False) -> object:
    offsets = commits.due(watermarks, now, leaving=leaving)
    commits.done(offsets, now)
    return offsets


def test_what_has_grown_is_committed_with_the_time_since_when_the_rest_is_worked_on() -> None:
    commits, watermark = Commits(), Watermark(10)
    assert commit(commits, {BUSY: watermark}, 1_000) == {BUSY: (10, "1000")}
    assert commit(commits, {BUSY: watermark}, 2_000) == {}
    for offset in (10, 11):
        watermark.begin(offset, 2_000 + offset)
    watermark.finish(10)
    assert commit(commits, {BUSY: watermark}, 3_000) == {BUSY: (11, "2011")}


def test_where_nothing_happens_the_time_is_noted_each_minute_and_when_it_is_left() -> None:
    commits, watermarks = Commits(), {IDLE: Watermark(0)}
    commit(commits, watermarks, 0)
    assert commit(commits, watermarks, MINUTE - 1) == {}
    assert commit(commits, watermarks, MINUTE) == {IDLE: (0, f"{MINUTE}")}
    assert commit(commits, watermarks, MINUTE + 1, leaving=True) == {IDLE: (0, f"{MINUTE + 1}")}


def test_what_the_broker_did_not_take_is_due_still() -> None:
    commits = Commits()
    watermarks = {BUSY: Watermark(5)}
    assert commits.due(watermarks, 0) == commits.due(watermarks, 1_000) | {BUSY: (5, "0")}


def test_partitions_that_changed_hands_are_committed_anew() -> None:
    commits, watermarks = Commits(), {IDLE: Watermark(0)}
    commit(commits, watermarks, 0)
    commits.forget()
    assert commit(commits, watermarks, 1) == {IDLE: (0, "1")}
