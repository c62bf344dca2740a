import asyncio
from typing import Any

import pytest
from aiokafka.consumer.fetcher import Fetcher

from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.fetching import fetch_promptly
from dispatcher.kafka.topics import Topics


async def test_a_request_follows_an_answer_at_once_though_records_are_taken_out_at_the_same_time(
    clients: KafkaClients, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch = Fetcher._proc_fetch_request
    answers = asyncio.Semaphore(0)

    async def answered_while_records_are_taken_out(fetcher: Any, *request: Any) -> Any:
        result = await fetch(fetcher, *request)
        answers.release()
        fetcher._notify(fetcher._wait_consume_future)
        await asyncio.sleep(0)
        return result

    monkeypatch.setattr(Fetcher, "_proc_fetch_request", answered_while_records_are_taken_out)
    async with clients.consumer(topics.deliveries, fetch_max_wait_ms=1) as consumer:
        fetch_promptly(consumer)
        async with asyncio.timeout(5):  # without that, one in 0.2 s
            for _ in range(100):
                await answers.acquire()
