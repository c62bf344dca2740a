import asyncio

import pytest

from dispatcher.portal.api.idempotency import IdempotencyKeys
from dispatcher.portal.api.problems import Problem


class Work:
    def __init__(self) -> None:
        self.done = 0
        self.now = 0.0
        self.keys: IdempotencyKeys[int] = IdempotencyKeys(lambda: self.now)

    async def ask(self, key: str = "k", body: bytes = b"b", *, fail: bool = False) -> int:
        async def do() -> int:
            await asyncio.sleep(0)
            if fail:
                raise RuntimeError
            self.done += 1
            return self.done

        return await self.keys.once((key,), body, do)


async def test_does_it_once() -> None:
    work = Work()
    assert await asyncio.gather(*(work.ask() for _ in range(3))) == [1, 1, 1]
    assert await work.ask("other") == 2
    with pytest.raises(Problem) as caught:
        await work.ask(body=b"another")
    assert caught.value.status == 422
    work.now += 24 * 3600
    assert await work.ask(body=b"another") == 3


async def test_a_failure_is_not_kept() -> None:
    work = Work()
    failed, *others = await asyncio.gather(work.ask(fail=True), work.ask(), work.ask(), return_exceptions=True)
    assert isinstance(failed, RuntimeError)
    assert others == [1, 1]


async def test_large_requests_are_known_for_less_long() -> None:
    work = Work()
    large = b"b" * (1024 * 1024)
    for key in range(70):
        await work.ask(str(key), large)
    assert await work.ask("69", large) == 70
    assert await work.ask("0", large) == 71, "64 MiB of later requests have come"
