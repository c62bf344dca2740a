import asyncio
import random
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import Fetcher

from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.fetch_session import FetchSession, Step, Wanted
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
        async with asyncio.timeout(15):  # without that, one in 0.2 s
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


def disturb(
    consumer: Any, tps: list[TopicPartition], following: Counter[TopicPartition], chance: random.Random
) -> None:
    """Perhaps seek back, pause, resume, or break the connections."""
    match chance.randrange(8):
        case 0:
            tp = chance.choice(tps)
            following[tp] = chance.randint(0, following[tp])
            consumer.seek(tp, following[tp])
        case 1:
            consumer.pause(*chance.sample(tps, len(tps) // 3))
        case 2:
            consumer.resume(*consumer.paused())
        case 3:
            for connection in list(consumer._client._conns.values()):
                connection.close()


async def test_in_a_session_nothing_is_missed_nor_taken_twice_whatever_is_sought_paused_or_broken(
    clients: KafkaClients, topics: Topics
) -> None:
    chance, written, following = random.Random(7), Counter[TopicPartition](), Counter[TopicPartition]()

    async def take(consumer: Any, timeout_ms: int) -> None:
        for tp, records in (await consumer.getmany(timeout_ms=timeout_ms, max_records=5)).items():
            assert [each.offset - following[tp] for each in records] == list(range(len(records))), tp
            following[tp] += len(records)

    async with clients.producer() as producer, clients.consumer() as consumer:
        tps = [
            TopicPartition(topic, number)
            for topic in (topics.deliveries, topics.attempts, topics.bulk)
            for number in await producer.partitions_for(topic)
        ]
        fetch_promptly(consumer)
        fetch_evenly(consumer)
        consumer.assign(tps)
        await consumer.seek_to_beginning(*tps)
        for _ in range(150):
            for tp in chance.sample(tps, 3):
                await producer.send_and_wait(tp.topic, b"x" * chance.randint(1, 2_000), partition=tp.partition)
                written[tp] += 1
            await take(consumer, chance.choice([0, 0, 50]))
            disturb(consumer, tps, following, chance)
        consumer.resume(*consumer.paused())
        async with asyncio.timeout(20):
            while following != written:
                await take(consumer, 200)


async def test_a_session_that_the_broker_has_forgotten_is_begun_again(
    clients: KafkaClients, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask, steps = FetchSession.ask, list[Step]()

    def ask_in_another_s_session(self: FetchSession, wanted: Wanted) -> Step:
        step = ask(self, wanted)
        if len(steps) == 3:
            step = replace(step, id=step.id + 1_000_000)
        steps.append(step)
        return step

    monkeypatch.setattr(FetchSession, "ask", ask_in_another_s_session)
    async with clients.producer() as producer, clients.consumer(topics.deliveries, fetch_max_wait_ms=20) as consumer:
        fetch_evenly(consumer)
        async with asyncio.timeout(20):
            while len(steps) < 6:
                await consumer.getmany(timeout_ms=20)
            await producer.send_and_wait(topics.deliveries, b"x", partition=0)
            assert (await consumer.getone()).value == b"x"
    assert [step.epoch for step in steps[:6]] == [0, 1, 2, 3, 0, 1]
    assert [len(step.changed) for step in steps[1:3]] == [0, 0]
