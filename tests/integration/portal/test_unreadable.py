"""Webhooks whose key is lost are deleted by a running portal, and no others."""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE

import pytest
from cryptography.fernet import Fernet

from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.topics import Topics
from dispatcher.moments import moment
from dispatcher.settings import PREFIX, Settings
from dispatcher.webhooks.change import Place, write_webhook
from dispatcher.webhooks.commands import Remove
from dispatcher.webhooks.follower import ConfigFollower
from dispatcher.webhooks.removal import NotRemoved, NotUnreadable, looking
from dispatcher.webhooks.vault import Vault
from tests.support.kafka import consume_all
from tests.support.portal import Api, vault_of
from tests.support.webhooks import a_webhook


async def write(clients: KafkaClients, topics: Topics, place: Place, vault: Vault, name: str = "lost") -> None:
    async with clients.producer() as producer:
        value = write_webhook(a_webhook(place.webhook_id, name=name), vault)
        await producer.send_and_wait(topics.config, value, key=place.key, headers=place.headers())


def lost() -> Vault:
    return Vault(Fernet.generate_key().decode())


async def command(settings: Settings, *arguments: str) -> tuple[int | None, str, str]:
    """In a process of its own: the portal in this one writes its logs to the standard output."""
    assert settings.encryption_key is not None
    environment = {
        **os.environ,
        f"{PREFIX}KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers or "",
        f"{PREFIX}KAFKA_PREFIX": settings.kafka_prefix,
        f"{PREFIX}TOPICS_FILE": str(settings.topics_file),
        f"{PREFIX}ENCRYPTION_KEY": settings.encryption_key.get_secret_value(),
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "dispatcher", "webhooks", "remove", *arguments),
        stdin=DEVNULL, stdout=PIPE, stderr=PIPE, env=environment,
    )  # fmt: skip
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_they_are_deleted_and_nothing_else(
    api: Api, clients: KafkaClients, topics: Topics, follower: ConfigFollower, settings: Settings
) -> None:
    ours = (await api.create())["id"]
    await write(clients, topics, Place("wh-lost", 7, 6), lost())
    # Its earlier state can be read, so that the audit is told whose it was.
    await write(clients, topics, Place("wh-half", 1, 0), vault_of(settings))
    await write(clients, topics, Place("wh-half", 2, 1), lost())
    async with clients.producer() as producer:
        await producer.send_and_wait(topics.config, b"of tomorrow", key=b"wh-new", headers=[("v", b"2")])
        # The portal has the last word.
        asked = Remove(v=1, command="remove", webhook_id=ours, time=moment(0))
        await producer.send_and_wait(topics.commands, asked.encode(), key=ours.encode())
    await follower.catch_up()
    assert follower.unreadable == {"wh-lost", "wh-half", "wh-new"}

    async with looking(clients, topics, vault_of(settings)) as removal:
        assert set(removal.unreadable) == {"wh-lost", "wh-half", "wh-new"}
        with pytest.raises(NotUnreadable, match="can be read"):
            removal.check([ours])
        with pytest.raises(NotUnreadable, match="no webhook wh-9"):
            removal.check(["wh-9"])
        await removal.remove(["wh-lost"], within=20)
    status, out, err = await command(settings, "--unreadable")
    assert (status, out) == (2, "")
    assert "--yes" in err
    assert await command(settings, "--unreadable", "--yes") == (0, "2 webhooks removed.\n", "")
    status, out, _ = await command(settings, "--unreadable", "--json")
    assert (status, out) == (0, '{\n  "removed": []\n}\n')

    await follower.catch_up()
    assert follower.unreadable == set()
    last = {record.key.decode(): record.value for record in await consume_all(clients, topics.config)}
    assert [last[id] for id in ("wh-lost", "wh-half", "wh-new")] == [None] * 3
    assert last[ours] is not None
    assert [each["id"] for each in (await api("GET", "/webhooks")).body["items"]] == [ours]
    deleted = [each for each in (await api("GET", "/audit")).body["items"] if each["action"] == "deleted"]
    assert [each["webhook"]["id"] for each in deleted] == ["wh-half"]


async def test_without_a_portal_the_request_stands(clients: KafkaClients, topics: Topics, settings: Settings) -> None:
    await write(clients, topics, Place("wh-lost", 1, 0), lost())
    async with looking(clients, topics, vault_of(settings)) as removal:
        with pytest.raises(NotRemoved, match=r"1 of 1 .*stays in .*webhooks\.commands"):
            await removal.remove(["wh-lost"], within=0.2)
    assert len(await consume_all(clients, topics.commands)) == 1
