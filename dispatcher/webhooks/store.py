"""The portal's writing side of ``webhooks.config``: nothing has happened until it is read back from the log.

Several portals may write at once. Each writes what it means with the revision that it saw, waits until its own
directory has read the record, and thereby knows whether it won. A loser leaves the log as if it had not been there.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from aiokafka import AIOKafkaProducer

from dispatcher.kafka.topics import Topics
from dispatcher.webhooks.change import Place, entry_header, write_webhook
from dispatcher.webhooks.configuration import same_configuration
from dispatcher.webhooks.follower import ConfigFollower
from dispatcher.webhooks.vault import UndecipherableConfig, Vault
from dispatcher.webhooks.webhook import Webhook

_Result = TypeVar("_Result")

_CONFIGURATION = {"event_type", "target_url", "items", "payload_template"}


class StaleRevision(Exception):
    """Somebody else changed the webhook first; ``current`` is what it is now, None if it was deleted."""

    def __init__(self, revision: int, current: Webhook | None) -> None:
        super().__init__(f"the webhook has changed in the meantime: its revision is {revision}")
        self.revision = revision
        self.current = current


class SameConfiguration(Exception):
    """Another webhook of the organization, ``other``, has the same event type, target URL, items and template."""

    def __init__(self, other: Webhook) -> None:
        super().__init__(f"the webhook {other.name!r} ({other.id}) has the same configuration")
        self.other = other


class Preceded(Exception):
    """Of several webhooks of which there may be one, another stands first in the log."""


FIRST_REVISION = 1


class WebhookStore:
    """Creates, replaces and deletes webhooks.

    ``producer`` is idempotent (``clients.producer(enable_idempotence=True)``): a record that a retry wrote twice would
    lose against itself. An ``entry`` of the audit goes with its change in one record, for whoever finds it missing.
    Each method raises what the producer does when Kafka does not answer; whether the change was made is unknown then.
    A method that has begun to write ends what it has to, though its caller be cancelled.
    """

    def __init__(self, producer: AIOKafkaProducer, topics: Topics, vault: Vault, follower: ConfigFollower) -> None:
        self._producer = producer
        self._topic = topics.config
        self._vault = vault
        self._follower = follower
        self._directory = follower.directory
        self._writing: set[asyncio.Task[Any]] = set()

    async def create(
        self, webhook: Webhook, *, entry: bytes | None = None, instead_of: Callable[[Webhook], bool] = lambda _: False
    ) -> Webhook:
        """Write a webhook with a new id, of which there may be one or those ``instead_of``; at ``FIRST_REVISION``.

        Raises:
            SameConfiguration: another has its configuration, or got it at the same time and stands first in the log.
            Preceded: one of ``instead_of`` was written at the same time and stands first in the log.
            StaleRevision: the id is taken.
        """
        self._expect(webhook.id, 0)
        return await self._uninterrupted(self._put(webhook, 0, entry, instead_of))

    async def replace(self, webhook: Webhook, based_on: int, *, entry: bytes | None = None) -> Webhook:
        """Write what has become of a webhook that was read at revision ``based_on``; its revision is one more.

        Raises:
            StaleRevision: it was changed or deleted in the meantime.
            SameConfiguration: its configuration is a new one for it, and another has it.
            UndecipherableConfig: what would be replaced cannot be read here.
        """
        await self._expect_existing(webhook.id, based_on)
        return await self._uninterrupted(self._put(webhook, based_on, entry))

    async def delete(self, webhook_id: str, based_on: int, *, entry: bytes | None = None) -> None:
        """Delete a webhook that was read at revision ``based_on``.

        Raises:
            StaleRevision: it was changed or deleted in the meantime.
            UndecipherableConfig: what would be deleted cannot be read here.
        """
        await self._expect_existing(webhook_id, based_on)
        place = Place(webhook_id, based_on + 1, based_on)
        await self._uninterrupted(self._write(None, place, entry))

    async def remove_unreadable(self, webhook_id: str, *, entry: bytes | None = None) -> bool:
        """Delete a webhook that cannot be read here; False: it can be, or there is none.

        Raises:
            StaleRevision: somebody who can read it has changed it in the meantime.
        """
        await self._follower.catch_up()
        if webhook_id not in self._follower.unreadable:
            return False
        standing = self._directory.revision(webhook_id)
        await self._uninterrupted(self._write(None, Place(webhook_id, standing + 1, standing), entry))
        return True

    async def repair(self) -> int:
        """Make good what writers left behind that died after they had lost; how many webhooks that were.

        To be run by every portal at its start and every few minutes, well within ``min.compaction.lag.ms``: after
        that, compaction may leave the loser's record as the only one.
        """
        left_behind = tuple(self._directory.unsettled)
        for webhook_id in left_behind:
            await self._uninterrupted(self._settle(webhook_id))
        return len(left_behind)

    async def encrypt_anew(self) -> int:
        """Have what an old key encrypted encrypted with the first; how many webhooks that were.

        Each is said once more as it stands, byte for byte; somebody's change in the meantime is encrypted so anyway.
        """
        outdated = tuple(self._follower.outdated)
        for webhook_id in outdated:
            await self._uninterrupted(self._encrypt_anew(webhook_id))
        return len(outdated)

    async def _encrypt_anew(self, webhook_id: str) -> None:
        while (value := self._follower.outdated.get(webhook_id)) is not None:
            standing = self._directory.revision(webhook_id)
            anew = self._vault.encrypt(self._vault.decrypt(value))
            if self._directory.ignored(await self._append(anew, Place(webhook_id, standing, standing))):
                await self._settle(webhook_id)

    async def _put(
        self,
        webhook: Webhook,
        base: int,
        entry: bytes | None,
        instead_of: Callable[[Webhook], bool] = lambda _: False,
    ) -> Webhook:
        before, place = self._directory.get(webhook.id), Place(webhook.id, base + 1, base)
        if before is not None and same_configuration(before, webhook):
            await self._write(webhook, place, entry)
            return webhook
        self._refuse_same(webhook)
        await self._write(webhook, place, entry)
        try:
            self._refuse_same(webhook)
            self._refuse_later(webhook, instead_of)
        except (SameConfiguration, Preceded):
            await self._withdraw(webhook, base + 1, before)
            raise
        return webhook

    def _refuse_same(self, webhook: Webhook) -> None:
        other = self._directory.same_as(webhook)
        if other is not None:
            raise SameConfiguration(other)

    def _refuse_later(self, webhook: Webhook, instead_of: Callable[[Webhook], bool]) -> None:
        if self._directory.told_before(webhook, instead_of):
            raise Preceded

    async def _withdraw(self, webhook: Webhook, revision: int, before: Webhook | None) -> None:
        """Take back what was written as ``revision``: the webhook is as it was before, or deleted if it is new."""
        while (current := self._directory.get(webhook.id)) is not None and same_configuration(current, webhook):
            standing = self._directory.revision(webhook.id)
            after = before
            if before is not None and standing != revision:
                # Somebody has changed something else since, such as the name: that stays.
                after = current.model_copy(update={name: getattr(before, name) for name in _CONFIGURATION})
            with suppress(StaleRevision):
                await self._write(after, Place(webhook.id, standing + 1, standing, withdraws=revision))
                return

    async def _write(self, webhook: Webhook | None, place: Place, entry: bytes | None = None) -> None:
        offset = await self._append(write_webhook(webhook, self._vault), place, entry)
        if self._directory.ignored(offset):
            await self._settle(place.webhook_id)
            raise StaleRevision(self._directory.revision(place.webhook_id), self._directory.get(place.webhook_id))

    async def _settle(self, webhook_id: str) -> None:
        # The last record of a key is all that compaction leaves of it: it must say what stands.
        while (restated := self._directory.restatement(webhook_id)) is not None:
            webhook, revision = restated
            await self._append(write_webhook(webhook, self._vault), Place(webhook_id, revision, revision))

    async def _append(self, value: bytes | None, place: Place, entry: bytes | None = None) -> int:
        """Write a record; return its offset once the own directory has read it."""
        headers = place.headers() if entry is None else [*place.headers(), *entry_header(entry, self._vault)]
        sent = await self._producer.send_and_wait(self._topic, value, place.key, headers=headers)
        offset = int(sent.offset)
        await self._follower.reached(offset + 1)
        return offset

    async def _expect_existing(self, webhook_id: str, based_on: int) -> None:
        if based_on > self._directory.revision(webhook_id):
            # Another portal is ahead, and its answer was quicker here than its record.
            await self._follower.catch_up()
        if webhook_id in self._directory.unreadable:
            raise UndecipherableConfig(
                f"the webhook {webhook_id} cannot be changed: no key of DISPATCHER_ENCRYPTION_KEY decrypts it, "
                "or a newer version wrote it"
            )
        self._expect(webhook_id, based_on)
        if self._directory.get(webhook_id) is None:
            raise StaleRevision(based_on, None)

    def _expect(self, webhook_id: str, based_on: int) -> None:
        revision = self._directory.revision(webhook_id)
        if revision != based_on:
            raise StaleRevision(revision, self._directory.get(webhook_id))

    async def _uninterrupted(self, writing: Coroutine[Any, Any, _Result]) -> _Result:
        task = asyncio.create_task(writing)
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)
        return await asyncio.shield(task)
