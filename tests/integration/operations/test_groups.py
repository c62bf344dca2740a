"""The groups that running roles join are those that `dispatcher lag` looks at, with the topics that they read."""

import asyncio
from pathlib import Path

from dispatcher.kafka.administration import connected
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.groups import Group
from dispatcher.kafka.topics import Topics
from dispatcher.operations.lag_meter import LagMeter
from dispatcher.settings import Settings
from tests.support.clickhouse import a_database
from tests.support.clickhouse_server import a_clickhouse_server
from tests.support.dispatcher import DISPATCHER, environment
from tests.support.waiting import eventually

ROLES = ("matcher", "sender", "relay", "recorder", "portal")


async def test_lag_looks_at_what_the_roles_read(
    clients: KafkaClients, topics: Topics, settings: Settings, tmp_path: Path
) -> None:
    assert settings.encryption_key is not None
    assert settings.auth_secret is not None
    meter = LagMeter(clients, topics, seconds=0.01)

    async def as_known() -> bool:
        for group in (await meter.measure()).groups:
            assert {topic for topic, _ in group.membership.assigned} == set(group.reader.topics), group.reader.name
        return True

    with a_clickhouse_server((tmp_path / "clickhouse").resolve()) as server:
        await server.ready()
        env = environment(
            KAFKA_BOOTSTRAP_SERVERS=settings.kafka_bootstrap_servers,
            KAFKA_PREFIX=settings.kafka_prefix,
            TOPICS_FILE=settings.topics_file,
            ENCRYPTION_KEY=settings.encryption_key.get_secret_value(),
            AUTH_SECRET=settings.auth_secret.get_secret_value(),
            CLICKHOUSE_URL=f"{server.url}/{a_database()}",
            HTTP_PORT=0,
        )
        process = await asyncio.create_subprocess_exec(DISPATCHER, "run", *ROLES, env=env, cwd=tmp_path)
        try:
            await eventually(as_known, timeout=60, every=0.5, what="every group reads what is known of it")
            async with connected(clients) as admin:
                on_the_cluster = {name for name, _ in await admin.list_consumer_groups()}
        finally:
            process.terminate()
            await process.wait()
    ours = {name for name in on_the_cluster if name.startswith(settings.kafka_prefix)}
    assert ours == {topics.group(group) for group in Group if group is not Group.DEAD_LETTERS}
