"""What a portal reads and cannot understand becomes one dead letter, however often it is read."""

from functools import partial

from cryptography.fernet import Fernet

from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.dead_letter_box import DeadLetterBox, Letter, Selection
from dispatcher.kafka.topics import Topics
from dispatcher.portal.app import Portal
from dispatcher.recording.clickhouse import ClickHouse
from dispatcher.settings import Settings
from dispatcher.webhooks.change import Place, write_webhook
from dispatcher.webhooks.follower import ConfigFollower
from dispatcher.webhooks.vault import Vault
from tests.support.clickhouse import ON_A_SERVER_TOO
from tests.support.portal import vault_of
from tests.support.waiting import eventually
from tests.support.webhooks import a_webhook

pytestmark = ON_A_SERVER_TOO

RESOURCE = b'{"organization_id": "org-contoso", "kind": "alert", "id": "alert-1", "name": "Disk"}'


async def write_what_cannot_be_read(clients: KafkaClients, topics: Topics, settings: Settings) -> None:
    place = Place("wh-1", 1, 0)
    another_key = Vault(Fernet.generate_key().decode())
    async with clients.producer() as producer:
        for topic, key, value, headers in (
            (topics.resources, b"org-contoso/alert/alert-1", RESOURCE, []),
            (topics.resources, b"org-contoso/alert/alert-2", RESOURCE, []),
            (topics.resources, b"org-contoso/alert/gone", None, []),
            (topics.config, b"wh-1", write_webhook(a_webhook(), another_key), place.headers()),
            (topics.config, b"wh-2", write_webhook(a_webhook("wh-9"), vault_of(settings)), place.headers()),
            (topics.config, b"wh-3", b"nonsense", []),
            (topics.config, b"wh-4", b"nonsense", [("v", b"1"), ("revision", None), ("base", None)]),
            (topics.audit, b"wh-1", b'{"v": 2}', []),
            (topics.sessions, b"s-1", b"nonsense", []),
            (topics.commands, b"wh-1", b'{"v": 1, "command": "sing"}', []),
        ):
            await producer.send_and_wait(topic, value, key=key, headers=headers)


async def test_each_unreadable_record_is_one_dead_letter_however_often_portals_start(
    settings: Settings, clients: KafkaClients, topics: Topics, follower: ConfigFollower, clickhouse: ClickHouse
) -> None:
    await write_what_cannot_be_read(clients, topics, settings)
    box = DeadLetterBox(clients, topics)

    async def letters() -> list[Letter]:
        found = await box.letters(Selection())
        assert len(found) >= 8
        return found

    for _ in range(2):
        portal = Portal(settings, clients, topics, follower, vault_of(settings), clickhouse)
        await portal.start()
        found = await eventually(letters)
        # Behind what was inspected already: when it is there, the rest was not set aside again.
        async with clients.producer() as producer:
            await producer.send_and_wait(topics.audit, b"last", key=b"wh")
        await eventually(partial(_more_than, box, len(found)))
        await portal.stop()
    found = await box.letters(Selection())
    assert sorted((each.origin.topic, each.reason, each.omitted) for each in found if each.origin) == sorted(
        [
            (
                topics.resources,
                "the key is 'org-contoso/alert/alert-2', not 'org-contoso/alert/alert-1' as the value says",
                "",
            ),
            (
                topics.config,
                "no key of DISPATCHER_ENCRYPTION_KEY decrypts it; add the key that it was written with after the first",
                "value",
            ),
            (topics.config, "another webhook's configuration", "value"),
            (topics.config, "changes of format None are not read by this version", "value"),
            (topics.config, "the header revision is b'' and not a number", "value"),
            (
                topics.audit,
                "not an entry of the audit of this version: v, organization_id, webhook_id, webhook_name, entry",
                "",
            ),
            (topics.sessions, "not the end of a session of this version: the record", ""),
            (topics.commands, "not a command of this version: the record", ""),
            *[(topics.audit, "not an entry of the audit of this version: the record", "")] * 2,
        ]
    )


async def _more_than(box: DeadLetterBox, count: int) -> bool:
    return len(await box.letters(Selection())) > count
