import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from datetime import UTC, datetime
from pathlib import Path

import orjson

from dispatcher.events.simulator.portal import Portal
from dispatcher.events.types import EventType
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.topics import Topics
from dispatcher.settings import Settings
from tests.support.kafka import consume_all

NOW = datetime(2026, 11, 23, 10, 15, tzinfo=UTC)
_SECONDS = 90


async def _start(settings: Settings, *arguments: str, kafka: str | None = None) -> Process:
    environment = {
        **os.environ,
        "DISPATCHER_KAFKA_BOOTSTRAP_SERVERS": kafka or settings.kafka_bootstrap_servers or "",
        "DISPATCHER_KAFKA_PREFIX": settings.kafka_prefix,
        "DISPATCHER_TOPICS_FILE": str(settings.topics_file),
    }
    command = [sys.executable, "-m", "dispatcher", "events", *arguments]
    return await asyncio.create_subprocess_exec(*command, env=environment, stdin=PIPE, stdout=PIPE, stderr=PIPE)


async def _run(
    settings: Settings, *arguments: str, given: bytes = b"", kafka: str | None = None
) -> tuple[int, str, str]:
    process = await _start(settings, *arguments, kafka=kafka)
    async with asyncio.timeout(_SECONDS):
        out, err = await process.communicate(given)
    return process.returncode or 0, out.decode(), err.decode()


def _lines(count: int) -> list[bytes]:
    portal = Portal(11)
    return [orjson.dumps(portal.next_event(NOW).envelope) + b"\n" for _ in range(count)]


async def test_publish_a_file(settings: Settings, topics: Topics, tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_bytes(b"".join(_lines(20)))
    assert await _run(settings, "publish", str(file)) == (0, "20 published\n", "")


async def test_publish_names_bad_lines_and_fails(settings: Settings, topics: Topics, clients: KafkaClients) -> None:
    lines = _lines(6)
    status, out, err = await _run(settings, "publish", "-", "--json", given=b"".join([*lines, b"{}\n", b"oops"]))
    assert status == 1
    assert json.loads(out) == {"published": 6, "rejected": 2, "incomplete": 0}
    first, second = err.splitlines()
    assert first.startswith("line 7: not a CloudEvents 1.0 event")
    assert second.startswith("line 8: not JSON")
    published = [record for topic in topics.events.values() for record in await consume_all(clients, topic)]
    assert sorted(record.value for record in published) == sorted(line.strip() for line in lines)


async def test_publish_names_operations_that_lose_devices(settings: Settings, topics: Topics) -> None:
    data = {"organization_id": "org-1", "operation_id": "op-1", "workspaces": [{}]}
    line = orjson.dumps({"specversion": "1.0", "id": "1", "source": "/p", "type": "operation_executed", "data": data})
    status, out, err = await _run(settings, "publish", "-", given=line)
    assert (status, out) == (0, "1 published, 1 of them incomplete\n")
    assert err.startswith("line 1: published, but incomplete: data.workspaces[0].workspace_id is missing; ")
    assert err.count("\n") == 1


async def test_publish_sends_what_arrives_before_its_input_ends(
    settings: Settings, topics: Topics, clients: KafkaClients
) -> None:
    (line,) = _lines(1)
    topic = topics.events[EventType(json.loads(line)["type"])]
    process = await _start(settings, "publish", "-")
    assert process.stdin is not None
    process.stdin.write(line)
    await process.stdin.drain()
    async with asyncio.timeout(_SECONDS):
        while not await consume_all(clients, topic):
            pass
        process.send_signal(signal.SIGINT)
        out, err = await process.communicate()
    assert (process.returncode, out, err) == (130, b"1 published\n", b"")


async def test_a_file_that_is_not_there(settings: Settings) -> None:
    status, out, err = await _run(settings, "publish", "nowhere.jsonl")
    assert (status, out) == (1, "")
    assert err == "error: nowhere.jsonl cannot be read: No such file or directory\n"


async def test_a_kafka_that_is_not_there_is_one_line(settings: Settings) -> None:
    status, out, err = await _run(settings, "publish", "-", kafka="127.0.0.1:1")
    assert (status, out) == (1, "")
    assert err.startswith("error: Kafka does not answer at 127.0.0.1:1")
    assert err.count("\n") == 1


async def test_simulate_counts_by_type(settings: Settings, topics: Topics) -> None:
    arguments = ("--rate", "1000/s", "--count", "60", "--seed", "4", "--organization", "org-contoso")
    status, out, err = await _run(settings, "simulate", *arguments, "--json")
    assert (status, err) == (0, "")
    report = json.loads(out)
    assert (report["seed"], report["published"], sum(report["by_type"].values())) == (4, 60, 60)
    assert set(report["by_type"]) == {each.value for each in EventType}


async def test_simulate_runs_until_ctrl_c(settings: Settings, topics: Topics, clients: KafkaClients) -> None:
    process = await _start(settings, "simulate", "--rate", "50/s", "--json")
    async with asyncio.timeout(_SECONDS):
        while not await consume_all(clients, topics.events[EventType.ACTIVE_ALERT]):
            pass
        process.send_signal(signal.SIGINT)
        out, err = await process.communicate()
    assert (process.returncode, err) == (0, b"")
    assert json.loads(out)["published"] > 0


async def test_a_rate_that_is_none(settings: Settings) -> None:
    status, _, err = await _run(settings, "simulate", "--rate", "fast")
    assert status == 2
    assert "'fast' is not a rate" in err
