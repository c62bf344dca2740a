"""What two looks at a cluster say about a consumer group."""

from dataclasses import replace
from datetime import timedelta

import pytest

from dispatcher.operations.consumers import Reader
from dispatcher.operations.lag import (
    GroupLag,
    Level,
    Look,
    Membership,
    PartitionLag,
    TopicLag,
    drain_seconds,
    group_lag,
    rate,
    worst_first,
)

TOPIC = "webhooks.deliveries"
RETRY = "webhooks.retry.5m"
NOW = 1_000_000_000.0
STABLE = Membership("Stable", 1, {(TOPIC, 0): "a", (TOPIC, 1): "a", (RETRY, 0): "a"})


def reader(*topics: str, name: str = "sender") -> Reader:
    return Reader(name, name, f"webhooks.{name}", topics)


def look(at: float, end: int, committed: int | None, *, begin: int = 0, ready: int | None = None) -> Look:
    place = (TOPIC, 0) if ready is None else (RETRY, 0)
    return Look(
        at,
        {} if committed is None else {place: committed},
        {place: begin},
        {place: end},
        {place: end if ready is None else ready},
    )


def one(first: Look, second: Look, *, stamp: int | None = None, membership: Membership = STABLE) -> TopicLag:
    ((topic, partition),) = second.ends
    stamps = {} if stamp is None else {(topic, partition): stamp}
    delays = {RETRY: timedelta(minutes=5)}
    [found] = group_lag(reader(topic), membership, (first, second), stamps, delays, NOW).topics
    return found


@pytest.mark.parametrize(
    ("behind", "arriving", "done", "expected"),
    [
        (0, 5.0, 0.0, 0.0),
        (100, 0.0, 50.0, 2.0),
        (100, 30.0, 50.0, 5.0),
        (1, 5.0, 5.0, None),
        (1, 0.0, 0.0, None),
        (3, 0.1 * 3, 0.3, None),
        (3, 0.3, 0.1 * 3, None),
    ],
)
def test_time_to_drain(behind: int, arriving: float, done: float, expected: float | None) -> None:
    assert drain_seconds(behind, arriving, done) == expected


def test_an_offset_that_was_set_back_is_no_negative_rate() -> None:
    assert rate(100, 40, 2.0) == 0.0
    assert rate(40, 100, 2.0) == 30.0


def test_what_waits_how_long_and_until_when() -> None:
    topic = one(look(10.0, 1_000, 500), look(12.0, 1_200, 900), stamp=round(NOW) - 42_000)
    assert topic.total.lag == topic.total.behind == 300
    assert topic.total.oldest == 42.0
    assert (topic.total.arriving, topic.total.done) == (100.0, 200.0)
    assert topic.total.drains_in == 3.0
    assert topic.verdict == (Level.NOTICE, "is catching up")


def test_a_group_that_has_committed_nothing_begins_with_the_oldest_record() -> None:
    topic = one(look(0.0, 70, None, begin=20), look(2.0, 70, None, begin=20))
    assert topic.total.lag == 50
    assert topic.total.lost == 0


def test_what_retention_removed_unread_is_lost() -> None:
    topic = one(look(0.0, 70, 5, begin=20), look(2.0, 70, 5, begin=20))
    assert (topic.total.lag, topic.total.lost) == (50, 15)
    assert topic.verdict == (Level.PROBLEM, "15 lost: retention removed them before they were read")


def test_a_retry_topic_counts_as_waiting_only_what_is_due() -> None:
    overdue = one(
        look(0.0, 100, 10, ready=20), look(2.0, 100, 12, ready=24), stamp=round(NOW) - 5 * 60_000 - 2_000
    ).total
    assert (overdue.lag, overdue.not_due, overdue.behind) == (88, 76, 12)
    assert overdue.oldest == 2.0
    assert (overdue.arriving, overdue.done) == (2.0, 1.0)


def test_a_retry_topic_in_which_nothing_is_due_is_fine() -> None:
    topic = one(look(0.0, 100, 10, ready=5), look(2.0, 100, 10, ready=5), stamp=round(NOW) - 60_000)
    assert (topic.total.behind, topic.total.not_due, topic.total.oldest) == (0, 90, None)
    assert topic.verdict[0] is Level.FINE


def test_a_partition_that_nobody_has_is_told() -> None:
    some = Membership("Stable", 1, {(TOPIC, 0): "a"})
    place = {(TOPIC, 0): 10, (TOPIC, 1): 10}
    quiet = Look(0.0, place, dict.fromkeys(place, 0), place, place)
    [topic] = group_lag(reader(TOPIC), some, (quiet, quiet), {}, {}, NOW).topics
    assert topic.verdict == (Level.NOTICE, "partition 1 of 2 unassigned")
    waiting = Look(0.0, {(TOPIC, 0): 10}, dict.fromkeys(place, 0), place, place)
    [topic] = group_lag(reader(TOPIC), some, (waiting, waiting), {}, {}, NOW).topics
    assert topic.verdict == (Level.PROBLEM, "partition 1 of 2 unassigned")


def test_a_group_without_members_is_a_warning_and_a_problem_where_something_waits() -> None:
    nobody = Membership("Empty", 0, {})

    def group(end: int) -> GroupLag:
        looks = (look(0.0, end, 10), look(2.0, end, 10))
        return group_lag(reader(TOPIC), nobody, looks, {}, {}, NOW)

    assert group(10).verdict == (Level.NOTICE, "no members: start `dispatcher run sender`")
    assert group(11).verdict[0] is Level.PROBLEM


@pytest.mark.parametrize(
    ("done", "words"), [((0, 0), "stands still"), ((0, 10), "falls behind"), ((0, 30), "is catching up")]
)
def test_whether_it_gets_better(done: tuple[int, int], words: str) -> None:
    topic = one(look(0.0, 1_000, done[0]), look(1.0, 1_020, done[1]), stamp=round(NOW) - 60_000)
    assert topic.verdict[1] == words


def test_a_group_whose_records_take_long_has_more_patience() -> None:
    looks = (look(0.0, 11, 10), look(2.0, 11, 10))

    def verdict(minutes: int) -> tuple[Level, str]:
        slow = replace(reader(TOPIC), patience=600.0)
        stamps = {(TOPIC, 0): round(NOW) - minutes * 60_000}
        [topic] = group_lag(slow, STABLE, looks, stamps, {}, NOW).topics
        return topic.verdict

    assert verdict(9) == (Level.FINE, "fine")
    assert verdict(11) == (Level.PROBLEM, "stands still")


def test_one_stuck_partition_shows_although_the_others_are_quick() -> None:
    fine = PartitionLag(0, 5, 5, 0, 0, 0, None, 100.0, 100.0, "a")
    stuck = PartitionLag(1, 5, 9, 4, 0, 0, 300.0, 0.0, 0.0, "a")
    assert TopicLag(TOPIC, (fine, stuck), 1, None, 30.0).verdict == (Level.PROBLEM, "nothing done in partition 1 of 2")


def test_a_group_that_gives_out_its_partitions_says_so() -> None:
    rebalancing = Membership("PreparingRebalance", 2, {})
    assert group_lag(reader(), rebalancing, (look(0.0, 1, 1), look(1.0, 1, 1)), {}, {}, NOW).verdict == (
        Level.NOTICE,
        "rebalancing",
    )


def test_the_worst_comes_first() -> None:
    def group(name: str, end: int, membership: Membership) -> GroupLag:
        looks = (look(0.0, end, 10), look(2.0, end, 10))
        return group_lag(reader(TOPIC, name=name), membership, looks, {}, {}, NOW)

    nobody = Membership("Empty", 0, {})
    groups = [group("idle", 10, STABLE), group("gone", 10, nobody), group("waits", 500, nobody)]
    assert [each.reader.name for each in worst_first(groups)] == ["waits", "gone", "idle"]
