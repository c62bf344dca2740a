"""The embedded broker's life, with real brokers of its own: each costs some seconds, so each test goes a long way."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from dispatcher.errors import EmbeddedKafkaError
from dispatcher.kafka.administration import apply
from dispatcher.kafka.clients import MAX_RECORD_BYTES, KafkaClients
from dispatcher.kafka.embedded import EmbeddedKafka, running_servers
from dispatcher.kafka.plan import CreateTopic, Plan
from dispatcher.settings import load_settings
from tests.support.kafka import consume_all
from tests.support.waiting import eventually

UNCLEAN = "Kafka was not stopped cleanly the last time: it looks through its data"

REPOSITORY = Path(__file__).parents[3]

ANOTHER_PROGRAM = """
import asyncio, sys
from pathlib import Path
from dispatcher.kafka.embedded import EmbeddedKafka

async def main():
    broker = EmbeddedKafka(Path(sys.argv[1]))
    await broker.start()
    print("ready", flush=True)
    await broker.wait()

asyncio.run(main())
"""


@asynccontextmanager
async def a_broker(
    data_dir: Path, say: Callable[[str], None] = lambda _: None
) -> AsyncIterator[tuple[EmbeddedKafka, str]]:
    broker = EmbeddedKafka(data_dir, say=say)
    servers = await broker.start()
    try:
        yield broker, servers
    finally:
        await broker.stop()


def holders(data_dir: Path) -> list[int]:
    """The process that started a broker, and the broker's."""
    return [int(word) for word in (data_dir / "kafka" / "lock").read_text().split()]


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def parent_of(process: int) -> int:
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.mark.timeout(240)
async def test_data_outlives_a_kill_and_a_restart_even_when_the_port_is_taken(tmp_path: Path) -> None:
    largest = b"x" * (MAX_RECORD_BYTES - 100)
    assert running_servers(tmp_path) is None
    said: list[str] = []
    async with a_broker(tmp_path, said.append) as (broker, servers):
        assert UNCLEAN not in said
        clients = KafkaClients(load_settings(), servers)
        assert running_servers(tmp_path) == servers
        with pytest.raises(EmbeddedKafkaError, match=f"is used by another dispatcher, process {os.getpid()}"):
            await EmbeddedKafka(tmp_path).start()
        config = {"max.message.bytes": str(MAX_RECORD_BYTES)}
        await apply(clients, Plan((CreateTopic("kept", 1, 1, config),), ()))
        async with clients.producer() as producer:
            await producer.send_and_wait("kept", largest)
        waiting = asyncio.create_task(broker.wait())
        os.kill(holders(tmp_path)[1], signal.SIGKILL)
        with pytest.raises(EmbeddedKafkaError, match="ended by itself"):
            await asyncio.wait_for(waiting, 10)
    assert running_servers(tmp_path) is None

    with socket.socket() as somebody_else:
        host, _, port = servers.partition(":")
        somebody_else.bind((host, int(port)))
        somebody_else.listen()
        async with a_broker(tmp_path, said.append) as (_, elsewhere):
            assert UNCLEAN in said
            assert elsewhere != servers
            assert running_servers(tmp_path) == elsewhere
            records = await consume_all(KafkaClients(load_settings(), elsewhere), "kept")
            assert [record.value for record in records] == [largest]


@pytest.mark.timeout(240)
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds processes in /proc")
async def test_the_broker_dies_with_a_program_or_a_guardian_that_is_killed(tmp_path: Path) -> None:
    leave_half_written(tmp_path / "kafka")
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", ANOTHER_PROGRAM, str(tmp_path)),
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=asyncio.subprocess.PIPE,
    )
    assert program.stdout is not None
    assert (await program.stdout.readline()).startswith((b"ready", b"20"))
    await eventually(lambda: len(holders(tmp_path)) == 2)
    with pytest.raises(EmbeddedKafkaError, match=f"is used by another dispatcher, process {program.pid}"):
        await EmbeddedKafka(tmp_path).start()
    broker = holders(tmp_path)[1]
    assert is_alive(broker)
    os.kill(broker, signal.SIGSTOP)  # It does not end before somebody waits for that.
    program.kill()
    await program.communicate()
    said: list[str] = []

    def say(line: str) -> None:
        if not said:
            os.kill(broker, signal.SIGCONT)
        said.append(line)

    # While the broker of the killed program still ends; its lock and its ports are left behind.
    async with a_broker(tmp_path, say) as (_, servers):
        assert said[0] == "Waiting for the Kafka of an earlier run to end"
        assert UNCLEAN not in said
        assert not is_alive(broker)
        assert running_servers(tmp_path) == servers
        _, broker = holders(tmp_path)
        os.kill(parent_of(broker), signal.SIGKILL)
    await eventually(lambda: not is_alive(broker) or not Path(f"/proc/{broker}/exe").exists())


def leave_half_written(directory: Path) -> None:
    """What a crash in the middle of the very first start leaves, with a lock of processes that are gone."""
    (directory / "formatting").mkdir(parents=True)
    (directory / "formatting" / "bootstrap.checkpoint").write_bytes(b"half")
    (directory / "data").mkdir()
    (directory / "data" / ".lock").touch()
    (directory / "ports.json").write_text('{"broker": 1')
    (directory / "lock").write_text("4194304 4194305\n")


async def test_data_without_its_identity_is_not_overwritten(tmp_path: Path) -> None:
    partition = tmp_path / "kafka" / "data" / "webhooks.config-0"
    partition.mkdir(parents=True)
    with pytest.raises(EmbeddedKafkaError, match=r"holds data but its meta\.properties is missing or broken: put"):
        await EmbeddedKafka(tmp_path).start()
    assert partition.is_dir()


async def test_a_data_directory_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddedKafkaError, match="set DISPATCHER_DATA_DIR"):
        await EmbeddedKafka(tmp_path / "file").start()


def test_stopping_what_was_not_started_does_nothing(tmp_path: Path) -> None:
    asyncio.run(EmbeddedKafka(tmp_path).stop())
    assert list(tmp_path.iterdir()) == []
