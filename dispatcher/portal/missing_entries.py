"""Entries that the audit would miss because a portal died between a change and its entry, or Kafka did not take it.

What has happened is what the log says: each change in ``webhooks.config`` carries its entry. Whoever made it writes the
entry once the change counts, so that it is shown at once; a group of the portals reads the changes once more, and
writes the entries that have not come within some seconds. Both write the same one, with one id. A change that lost
against another, or that was taken back because another webhook had its configuration first, has no entry.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta

import structlog
from aiokafka import AIOKafkaProducer, ConsumerRecord

from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.groups import Group
from dispatcher.kafka.in_turn import InTurn
from dispatcher.kafka.topics import Topics
from dispatcher.moments import moment
from dispatcher.portal.audit import Audit, AuditRecord, AuditTrail, UnreadableAudit, read_audit_record
from dispatcher.webhooks.change import Place, UnreadableChange, read_entry, read_place
from dispatcher.webhooks.follower import ConfigFollower
from dispatcher.webhooks.vault import UndecipherableConfig, Vault

PATIENCE = timedelta(seconds=10)
"""How long after a change its writer may be about to write the entry, or to take the change back."""

# A group that has lost its place reads everything again, and what is this old may be in the audit no more.
_LOOKED_AT = timedelta(days=7)

_LOOK_EVERY_SECONDS = 0.1

log = structlog.get_logger()


class MissingEntries:
    """Finds and writes them. ``trail`` has read the whole audit when ``catch_up`` returns; ``clock`` gives the time."""

    def __init__(
        self,
        audit: Audit,
        trail: AuditTrail,
        catch_up: Callable[[], Awaitable[None]],
        vault: Vault,
        follower: ConfigFollower,
        clock: Callable[[], datetime],
    ) -> None:
        self._audit = audit
        self._trail = trail
        self._catch_up = catch_up
        self._vault = vault
        self._follower = follower
        self._clock = clock

    def work(self, clients: KafkaClients, producer: AIOKafkaProducer, topics: Topics) -> InTurn:
        """The work of the group."""
        return InTurn(clients, producer, topics, Group.AUDIT, [topics.config], self._see_to)

    async def _see_to(self, change: ConsumerRecord) -> None:
        found = self._entry(change)
        if found is None:
            return
        place, record = found
        await self._follower.reached(change.offset + 1)
        if self._follower.directory.ignored(change.offset) or await self._is_settled(change, place, record):
            return
        await self._audit.write(record)
        log.info(
            "an entry that the audit missed was written",
            webhook_id=place.webhook_id,
            revision=place.revision,
            entry=record.entry.id,
        )

    def _entry(self, change: ConsumerRecord) -> tuple[Place, AuditRecord] | None:
        """The entry of a change; None for what an earlier version wrote, and for what nobody has changed."""
        try:
            place, entry = read_place(change.key, change.headers), read_entry(change.headers, self._vault)
            record = None if entry is None else read_audit_record(entry)
        except (UnreadableChange, UndecipherableConfig, UnreadableAudit) as error:
            log.warning("whether the audit has a change is not known", offset=change.offset, reason=str(error))
            return None
        if record is None or self._clock() - record.entry.time > _LOOKED_AT:
            return None
        return place, record

    async def _is_settled(self, change: ConsumerRecord, place: Place, record: AuditRecord) -> bool:
        """Whether the entry is there, or is not to be, by the time at which its writer has had long enough."""
        directory = self._follower.directory

        def settled() -> bool:
            return self._trail.has(record) or directory.withdrawn(place.webhook_id, place.revision)

        age = self._clock() - moment(change.timestamp)
        with suppress(TimeoutError):
            async with asyncio.timeout(min(PATIENCE, PATIENCE - age).total_seconds()):
                while True:
                    if settled():
                        return True
                    await asyncio.sleep(_LOOK_EVERY_SECONDS)
        await self._catch_up()
        await self._follower.catch_up()
        return settled()
