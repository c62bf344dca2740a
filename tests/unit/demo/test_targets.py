import asyncio
from pathlib import Path
from random import Random

import aiohttp
import pytest

from dispatcher.demo.targets import Targets
from dispatcher.errors import ConfigurationError


async def answer(url: str) -> int:
    async with aiohttp.ClientSession() as session, session.post(url, json={}) as response:
        return response.status


async def test_each_behaves_as_it_is_called(tmp_path: Path) -> None:
    targets = Targets(tmp_path / "targets.json", Random(1))
    at = await targets.start()
    try:
        assert await answer(at.well) == 200
        assert {await answer(at.badly) for _ in range(40)} == {200, 500, 503}
        assert await answer(at.slowly) == 200
        assert await answer(at.gone) == 410
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await answer(at.hanging)
        with pytest.raises(aiohttp.ClientConnectorError):
            await answer(at.nobody)
        waiting = asyncio.create_task(answer(at.hanging))
        targets.let_go()
        assert await waiting == 503
    finally:
        await targets.stop()


async def test_addresses_stay_the_same(tmp_path: Path) -> None:
    first = Targets(tmp_path / "data" / "targets.json", Random(1))
    before = await first.start()
    await first.stop()
    second = Targets(tmp_path / "data" / "targets.json", Random(2))
    assert await second.start() == before
    await second.stop()


async def test_a_port_that_somebody_took_is_an_error_that_names_it(tmp_path: Path) -> None:
    first = Targets(tmp_path / "targets.json", Random(1))
    at = await first.start()
    second = Targets(tmp_path / "targets.json", Random(1))
    with pytest.raises(ConfigurationError, match=f"port {at.listening}"):
        await second.start()
    await first.stop()
