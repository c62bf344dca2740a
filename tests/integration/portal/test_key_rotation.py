"""A new encryption key is put first."""

from cryptography.fernet import Fernet
from pydantic import SecretStr

from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.topics import Topics
from dispatcher.operations.doctor.kafka import check_webhooks
from dispatcher.portal.app import Portal
from dispatcher.recording.clickhouse import ClickHouse
from dispatcher.settings import Settings
from dispatcher.webhooks.follower import ConfigFollower
from dispatcher.webhooks.store import WebhookStore
from dispatcher.webhooks.vault import Vault
from tests.support.kafka import consume_all
from tests.support.portal import vault_of
from tests.support.waiting import eventually
from tests.support.webhooks import a_webhook


async def test_a_portal_that_starts_with_it_encrypts_anew_and_the_doctor_says_so(
    settings: Settings, clients: KafkaClients, topics: Topics, follower: ConfigFollower, clickhouse: ClickHouse
) -> None:
    assert settings.encryption_key is not None
    new = Fernet.generate_key().decode()
    keys = f"{new},{settings.encryption_key.get_secret_value()}"
    vault = Vault(keys)
    async with clients.producer(enable_idempotence=True) as producer:
        webhook = await WebhookStore(producer, topics, vault_of(settings), follower).create(a_webhook("wh-1"))
    [finding] = await check_webhooks(clients, topics, vault)
    assert (finding.level.name, finding.found) == ("NOTICE", "1 webhook of 1 can be decrypted with an old key only")

    restarted = ConfigFollower(clients, topics, vault)
    await restarted.start()
    portal = Portal(
        settings.model_copy(update={"encryption_key": SecretStr(keys)}), clients, topics, restarted, vault, clickhouse
    )
    await portal.start()
    try:
        await eventually(lambda: not restarted.outdated, timeout=30)
    finally:
        await portal.stop()
        await restarted.stop()
    assert restarted.directory.get("wh-1") == webhook
    assert restarted.directory.revision("wh-1") == 1
    for which in (vault, Vault(new)):
        [finding] = await check_webhooks(clients, topics, which)
        assert (finding.level.name, finding.found) == ("FINE", "1 webhook, all can be decrypted")
    assert not await consume_all(clients, topics.audit)
