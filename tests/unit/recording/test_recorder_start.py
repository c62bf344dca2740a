"""A recorder whose start is given up leaves nothing behind."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import AsyncMock, Mock

import pytest

from dispatcher.errors import ClickHouseUnavailable
from dispatcher.recording.recorder import Recorder


async def test_a_start_that_is_cancelled_stops_what_it_began() -> None:
    joining = asyncio.Event()

    async def join() -> None:
        joining.set()
        await asyncio.Event().wait()

    consumer = Mock(start=join, stop=AsyncMock())
    producer = Mock(start=AsyncMock(), stop=AsyncMock())
    clients = Mock(consumer=Mock(return_value=consumer), producer=Mock(return_value=producer))
    away = SimpleNamespace(
        query=AsyncMock(side_effect=ClickHouseUnavailable("away")), url=SimpleNamespace(embedded=False)
    )
    recorder = Recorder(clients, Mock(), cast("Any", away))
    starting = asyncio.create_task(recorder.start())
    await joining.wait()
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    consumer.stop.assert_awaited_once()
    producer.stop.assert_awaited_once()
