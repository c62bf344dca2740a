import asyncio
import gc
import weakref
from time import monotonic

import pytest

from dispatcher.delivery.time_limit import TimeLimit


async def limited(limit: TimeLimit, seconds: float) -> str:
    """What becomes of something that takes so long."""
    timeout = limit.begin()
    try:
        async with timeout:
            await asyncio.sleep(seconds)
    except TimeoutError:
        return "too long"
    finally:
        limit.end(timeout)
    return "in time"


async def test_each_has_its_own_time_from_its_beginning_on() -> None:
    limit, began, ended = TimeLimit(0.2), list[float](), list[float]()

    async def one() -> None:
        began.append(monotonic())
        assert await limited(limit, 60) == "too long"
        ended.append(monotonic())

    async def later(seconds: float) -> None:
        await asyncio.sleep(seconds)
        await one()

    assert await limited(limit, 0) == "in time"
    await asyncio.gather(*(later(number * 0.05) for number in range(4)), *(limited(limit, 0.02) for _ in range(20)))
    for start, end in zip(began, ended, strict=True):
        assert 0.19 <= end - start < 2


async def test_one_timer_serves_all_and_nothing_is_kept_of_what_has_ended() -> None:
    loop, set_ = asyncio.get_running_loop(), list[float]()
    limit = TimeLimit(60)

    def call_at(when: float, *_: object) -> object:
        set_.append(when)
        return object()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "call_at", call_at, raising=False)
        timeouts = [limit.begin() for _ in range(100)]
    assert len(set_) == 1
    left = weakref.WeakSet(timeouts)
    for timeout in timeouts:
        limit.end(timeout)
    timeouts.clear()
    del timeout
    gc.collect()
    assert not left


async def test_who_is_cancelled_is_cancelled_and_later_ones_still_have_their_limit() -> None:
    limit = TimeLimit(0.1)
    task = asyncio.create_task(limited(limit, 60))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await limited(limit, 60) == "too long"


async def test_who_is_cancelled_as_the_time_ends_is_cancelled() -> None:
    limit = TimeLimit(0.05)

    async def cancelled_meanwhile() -> None:
        timeout = limit.begin()
        try:
            async with timeout:
                try:
                    await asyncio.sleep(60)
                finally:
                    assert timeout.expired()
                    task.cancel()
        finally:
            limit.end(timeout)

    task = asyncio.create_task(cancelled_meanwhile())
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_limit_that_has_expired_does_not_reach_what_its_task_does_next() -> None:
    limit = TimeLimit(0.05)

    async def two() -> list[str]:
        return [await limited(limit, 60), await limited(limit, 0.01), await limited(limit, 60)]

    assert await two() == ["too long", "in time", "too long"]
    assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]
