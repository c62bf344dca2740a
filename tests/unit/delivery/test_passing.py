from dispatcher.delivery.passing import AT_ONCE, BLOCKED_SECONDS, LONGEST_BLOCKED_SECONDS, Passing

FAR = 1_000_000


def nobody(_: str) -> bool:
    return False


class Parked:
    """The records of one partition, by webhook, as a sender moves them."""

    def __init__(self, *webhooks: str) -> None:
        self.webhooks = list(webhooks)
        self.offset = 0
        self.passing: Passing[str] = Passing()
        self.now = 0.0
        self.moved = 0

    @property
    def first(self) -> str:
        return self.webhooks[self.offset]

    def go_on(self, seconds: float, room: str = "") -> str | None:
        """What a sender does in the following seconds; it ends early when the first record is of who has ``room``."""
        until = self.now + seconds
        while self.now < until:
            while self.first != room and self.passing.may_pass(
                "p", self.first, self.offset, len(self.webhooks), self.now
            ):
                self.webhooks.append(self.first)
                self.offset += 1
                self.moved += 1
            if self.first == room:
                return room
            self.now += 0.25
            while not self.passing.due("p", self.now, room.__eq__) and self.now < until:
                self.now += 0.25
        return None


def test_some_pass_after_a_while_and_then_it_is_as_before() -> None:
    passing: Passing[str] = Passing()

    def may_pass(partition: str, now: float) -> bool:
        return passing.may_pass(partition, "wh", 0, FAR, now)

    assert not may_pass("a", 0.0)
    assert not may_pass("a", BLOCKED_SECONDS / 2)
    assert not may_pass("b", BLOCKED_SECONDS), "it has only just been found blocked"
    assert [may_pass("a", BLOCKED_SECONDS) for _ in range(AT_ONCE + 1)] == [True] * AT_ONCE + [False]
    assert not passing.due("a", BLOCKED_SECONDS + 0.1, nobody)
    assert not may_pass("a", BLOCKED_SECONDS + 0.1)
    assert passing.due("a", 2 * BLOCKED_SECONDS + 0.1, nobody)
    assert may_pass("a", 2 * BLOCKED_SECONDS + 0.1)


def test_who_is_alone_is_moved_ever_more_rarely() -> None:
    lone, many = Parked("hangs"), Parked(*["hangs"] * 500)
    for parked in (lone, many):
        parked.go_on(3_600)
        before = parked.moved
        parked.go_on(3_600)
        assert parked.moved - before <= 3_600 / LONGEST_BLOCKED_SECONDS * AT_ONCE
    assert lone.moved < 300


def test_who_is_parked_behind_others_comes_up_soon() -> None:
    parked = Parked(*["hangs"] * 500)
    parked.go_on(3_600)
    parked.webhooks.append("other")
    parked.passing.parked("p", "other")
    parked.passing.parked("p", "hangs")
    assert parked.go_on(15, room="other") == "other"


def test_who_has_room_again_comes_up_soon() -> None:
    parked = Parked(*["hangs"] * 200, "other", *["hangs"] * 300)
    parked.go_on(3_600)
    assert parked.go_on(15, room="other") == "other"


def test_more_of_who_was_seen_changes_nothing() -> None:
    parked = Parked("hangs")
    parked.go_on(3_600)
    before = parked.moved
    for _ in range(100):
        parked.webhooks.append("hangs")
        parked.passing.parked("p", "hangs")
        parked.go_on(12)
    assert parked.moved - before <= 1_200 / LONGEST_BLOCKED_SECONDS * AT_ONCE
