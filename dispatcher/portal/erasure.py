"""The portal's part of erasing an organization: the commands ``erase`` of ``webhooks.commands``.

Whoever asks writes a command, so that it is not lost when nobody carries it out now, and any portal can. What is done
is told in ``webhooks.notices``. Doing it again changes nothing.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from datetime import datetime

import structlog
from aiokafka import AIOKafkaProducer, ConsumerRecord
from pydantic import ValidationError

from dispatcher.background import Background
from dispatcher.errors import DispatcherError
from dispatcher.events.resources import is_of_organization
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.compacted import read_once
from dispatcher.kafka.groups import Group
from dispatcher.kafka.in_turn import InTurn
from dispatcher.kafka.topics import Topics
from dispatcher.portal.audit import Audit, UnreadableAudit, read_audit_record
from dispatcher.portal.changes import ChangedAllTheTime, Changes
from dispatcher.recording.clickhouse import ClickHouse, QueryFailed
from dispatcher.recording.erasing import erase_forgotten, erase_organization, forget_webhooks
from dispatcher.webhooks.commands import Erase
from dispatcher.webhooks.follower import ConfigFollower
from dispatcher.webhooks.notices import ErasedOrganization, OrganizationErased
from dispatcher.webhooks.vault import UndecipherableConfig
from dispatcher.webhooks.webhook import DISPATCHER

_SWEEP_EVERY_SECONDS = 300.0
_FIRST_SWEEP_SECONDS = 30.0

log = structlog.get_logger()


class NotErased(DispatcherError):
    """Something kept an organization from being erased; it is tried again."""


@dataclass(frozen=True, slots=True)
class Erased:
    """How much there was. ``undecipherable`` are webhooks that might be of the organization, and nobody can tell."""

    webhooks: int = 0
    resources: int = 0
    messages: int = 0
    undecipherable: int = 0


class Erasure:
    """Erases organizations. ``producer`` is started and stopped by whoever made it; ``clock`` gives the time."""

    def __init__(
        self,
        clients: KafkaClients,
        topics: Topics,
        producer: AIOKafkaProducer,
        follower: ConfigFollower,
        changes: Changes,
        audit: Audit,
        clickhouse: ClickHouse,
        clock: Callable[[], datetime],
    ) -> None:
        self._clients = clients
        self._topics = topics
        self._producer = producer
        self._follower = follower
        self._changes = changes
        self._audit = audit
        self._clickhouse = clickhouse
        self._clock = clock
        self._found: dict[str, Counter[str]] = {}

    def work(self) -> InTurn:
        """The work of the group of portals; other commands are others' work, and a bad one is theirs to judge."""
        return InTurn(
            self._clients, self._producer, self._topics, Group.ERASURE, [self._topics.commands], self._carry_out
        )

    async def erase(self, organization_id: str, request: str) -> Erased:
        """Erase an organization; how much there was, with what earlier tries of this ``request`` here had found.

        The ids of its webhooks are remembered first, so that what is still reported about them is not recorded; then
        they are deleted, so that nothing more is sent; those of webhooks that somebody deleted before are remembered
        too; then what was recorded goes, and who changed what is shown no more.

        Raises:
            DispatcherError: Kafka or ClickHouse does not do it now.
        """
        found = self._found.setdefault(request, Counter())
        try:
            await self._delete_webhooks(organization_id, found)
            await forget_webhooks(self._clickhouse, await self._deleted_before(organization_id))
            erased = self._audit.erased(organization_id, DISPATCHER)
            found["resources"] += await self._delete_resources(organization_id)
            found["messages"] += await erase_organization(self._clickhouse, organization_id)
            await erase_forgotten(self._clickhouse)
            await self._audit.write(erased)
        except (ChangedAllTheTime, QueryFailed) as error:
            raise NotErased(f"{organization_id} is not erased yet: {error}") from error
        del self._found[request]
        return Erased(found["webhooks"], found["resources"], found["messages"], len(self._changes.directory.unreadable))

    async def _carry_out(self, record: ConsumerRecord) -> None:
        try:
            command = Erase.model_validate_json(record.value or b"")
        except ValidationError:
            return
        erased = await self.erase(command.organization_id, command.id)
        log.info("an organization was erased", request=command.id, **asdict(erased))
        told = OrganizationErased(
            id=command.id,
            time=self._clock(),
            data=ErasedOrganization(organization_id=command.organization_id, **asdict(erased)),
        )
        await self._producer.send_and_wait(self._topics.notices, told.encode(), key=command.organization_id.encode())

    async def _delete_webhooks(self, organization_id: str, found: Counter[str]) -> None:
        directory = self._changes.directory
        await self._follower.catch_up()
        while webhooks := [
            each for each in directory.of_organization(organization_id) if each.id not in directory.unreadable
        ]:
            await forget_webhooks(self._clickhouse, [each.id for each in webhooks])
            for webhook in webhooks:
                with contextlib.suppress(UndecipherableConfig):
                    await self._changes.delete(webhook.id, DISPATCHER, only_this=lambda _: False)
                    found["webhooks"] += 1

    async def _deleted_before(self, organization_id: str) -> Collection[str]:
        """The ids of webhooks that are gone: not of one that was made meanwhile, or that nobody can read now."""
        ids = await self._webhooks_of_the_audit(organization_id)
        await self._follower.catch_up()
        directory = self._changes.directory
        return [id for id in ids if directory.get(id) is None and not self._follower.is_unreadable(id)]

    async def _webhooks_of_the_audit(self, organization_id: str) -> Collection[str]:
        """The ids of all webhooks that the organization has had: nobody else knows those that are deleted.

        It is read anew, because what portals keep of it are the latest entries.
        """
        ids: set[str] = set()

        def apply(record: ConsumerRecord) -> None:
            with contextlib.suppress(UnreadableAudit):
                told = read_audit_record(record.value)
                if told.organization_id == organization_id and told.webhook_id:
                    ids.add(told.webhook_id)

        await read_once(self._clients, self._topics.audit, apply)
        return ids

    async def _delete_resources(self, organization_id: str) -> int:
        """Write a tombstone for each, readable or not."""
        keys: set[bytes] = set()

        def apply(record: ConsumerRecord) -> None:
            key = record.key or b""
            if record.value is not None and is_of_organization(key, record.value, organization_id):
                keys.add(key)
            else:
                keys.discard(key)

        await read_once(self._clients, self._topics.resources, apply)
        sent = [await self._producer.send(self._topics.resources, value=None, key=key) for key in sorted(keys)]
        for each in sent:
            await each
        return len(keys)


class Sweeping(Background):
    """Now and then removes what was recorded about erased webhooks by a recorder that did not know yet."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse

    async def _run(self) -> None:
        await asyncio.sleep(_FIRST_SWEEP_SECONDS)
        while True:
            try:
                if await erase_forgotten(self._clickhouse):
                    log.info("late rows about erased webhooks were removed")
            except (DispatcherError, QueryFailed) as error:
                log.warning("late rows about erased webhooks are removed later", error=str(error))
            await asyncio.sleep(_SWEEP_EVERY_SECONDS)
