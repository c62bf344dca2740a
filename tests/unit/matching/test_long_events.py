import asyncio
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from dispatcher.matching import long_events
from dispatcher.matching.long_events import LongEvents


def event(organization: str | None, name: str = "", size: int = 1) -> Any:
    key = None if organization is None else organization.encode()
    return SimpleNamespace(message=SimpleNamespace(key=key, value=b"x" * size, name=name))


class Matching:
    """Events that are matched until somebody ends them."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self._ends: dict[str, asyncio.Event] = {}
        self.long = LongEvents(self._match, self._go_on)

    def takes(self, event: Any) -> bool:
        """Whether it begins at once."""
        if self.long.hold_back(event):
            return False
        self.long.go_on_with(event, self._match(event.message))
        return True

    def is_full(self) -> bool:
        return self.long.full

    async def end(self, name: str) -> None:
        self._ends[name].set()
        for _ in range(3):
            await asyncio.sleep(0)

    def _match(self, message: Any) -> Iterator[None]:
        self.begun.append(message.name)
        return iter(())

    def _go_on(self, event: Any, _: Iterator[None]) -> asyncio.Task[None]:
        async def until_it_ends() -> None:
            await self._ends.setdefault(event.message.name, asyncio.Event()).wait()

        self._ends.setdefault(event.message.name, asyncio.Event())
        return asyncio.create_task(until_it_ends())


@pytest.fixture
def matching() -> Matching:
    return Matching()


async def test_an_organization_with_its_share_waits_and_nobody_else_does(matching: Matching) -> None:
    for number in range(4):
        assert matching.takes(event("floods", f"{number}"))
    assert not matching.takes(event("floods", "fifth"))
    assert not matching.takes(event("floods", "sixth"))
    assert matching.takes(event("other", "of another"))
    assert matching.takes(event(None, "of nobody"))
    await matching.end("of nobody")
    await matching.end("of another")
    assert "fifth" not in matching.begun
    await matching.end("2")
    assert matching.begun[-1] == "fifth"
    await matching.end("0")
    assert matching.begun[-1] == "sixth"
    await matching.long.give_up()


async def test_of_those_that_wait_each_organization_has_its_turn(matching: Matching) -> None:
    for organization in ("a", "b"):
        for number in range(2):
            assert matching.takes(event(organization, f"{organization}{number}"))
    for name in ("a2", "a3", "b2"):
        assert not matching.takes(event(name[0], name))
    for name in ("a0", "a1", "b0"):
        await matching.end(name)
    assert matching.begun[4:] == ["a2", "b2", "a3"]
    await matching.long.give_up()


async def test_there_is_an_end_to_what_is_taken(matching: Matching, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_events, "_BEHIND_BYTES", 100)
    for number in range(4):
        matching.takes(event("floods", f"{number}"))
    matching.takes(event("floods", "fifth", size=100))
    assert not matching.is_full()
    matching.takes(event("floods", "sixth", size=1))
    assert matching.is_full()
    waiting = asyncio.create_task(matching.long.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    await matching.end("0")
    await waiting
    for number in range(12):
        assert matching.takes(event(f"other {number}", f"other {number}"))
    assert matching.is_full()
    await matching.long.give_up()
    assert matching.begun.count("sixth") == 0
    assert not matching.is_full()
