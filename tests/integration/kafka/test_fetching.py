import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import Fetcher

from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.fetching import fetch_evenly, fetch_promptly
from dispatcher.kafka.topics import Topics


async def test_a_request_follows_an_answer_at_once_though_records_are_taken_out_at_the_same_time(
    clients: KafkaClients, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch = Fetcher._proc_fetch_request
    answers = asyncio.Semaphore(0)

    async def answered_while_records_are_taken_out(self: Any, *request: Any) -> Any:
        result = await fetch(self, *request)
        answers.release()
        self._notify(self._wait_consume_future)
        await asyncio.sleep(0)
        return result

    monkeypatch.setattr(Fetcher, "_proc_fetch_request", answered_while_records_are_taken_out)
    async with clients.consumer(topics.deliveries, fetch_max_wait_ms=1) as consumer:
        fetch_promptly(consumer)
        async with asyncio.timeout(5):  # without that, one in 0.2 s
            for _ in range(100):
                await answers.acquire()


async def test_what_nobody_minds_has_the_room_that_is_left(
    clients: KafkaClients, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bulk_first(partitions: list[Any]) -> None:
        partitions.sort(key=lambda each: each[0].topic != topics.bulk)

    monkeypatch.setattr(fetcher, "random", SimpleNamespace(shuffle=bulk_first))
    wanted, much = 20, 2_000
    async with clients.producer() as producer:
        for number in range(much):
            await producer.send(topics.bulk, b"x" * 1_000, partition=number % 2)
        for number in range(wanted):
            await producer.send(topics.deliveries, b"x", partition=number % 2)
    async with clients.consumer() as consumer:
        tps = [TopicPartition(topic, number) for topic in (topics.bulk, topics.deliveries) for number in range(2)]
        fetch_evenly(consumer, last=[topics.bulk])
        consumer.assign(tps)
        await consumer.seek_to_beginning(*tps)
        answer = await consumer.getmany(timeout_ms=10_000)
        assert sum(len(records) for tp, records in answer.items() if tp.topic == topics.deliveries) == wanted
        assert 0 < sum(len(records) for tp, records in answer.items() if tp.topic == topics.bulk) < 300

        async with asyncio.timeout(20):
            left = much + wanted - sum(map(len, answer.values()))
            while left:
                left -= sum(map(len, (await consumer.getmany(timeout_ms=1_000)).values()))
