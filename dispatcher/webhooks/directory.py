"""The directory of webhooks: what reading ``webhooks.config`` in order comes to.

Every reader decides by the same rule who of several writers won, from the log alone. A record carries its revision and
the revision that its writer had seen. It counts if nothing newer than that had been read before it, and is ignored
otherwise. A writer whose record was ignored writes the state that stands once more (a restatement: revision and base
both the current revision), so that the last record of a key is always the winner's, and compaction, which keeps only
that one, cannot bring the loser back.

Compaction leaves holes in the history of records older than the topic's ``min.compaction.lag.ms``, so a key that is
read for the first time is accepted whatever its base, and so is a base that is newer than anything read. Two things
follow. A loser's record that its writer never made good, because it died, must be made good by another portal within
that time: see ``unsettled``. And an edit that was held back for longer than ``delete.retention.ms`` (a day) after the
webhook was deleted would bring it back.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TypeVar

from dispatcher.events.types import EventType
from dispatcher.webhooks.configuration import same_configuration
from dispatcher.webhooks.webhook import Webhook

_REMEMBERED = 10_000

_Thing = TypeVar("_Thing")


@dataclass(slots=True)
class _Entry:
    webhook: Webhook | None
    revision: int
    configured_at: int
    """The offset of the record that gave it the configuration which it still has."""
    first_told_at: int
    """The offset of the first record of it that was read."""
    unreadable: bool = False


class Directory:
    """Every webhook, by id, by organization, and by what it wants to hear of."""

    def __init__(self) -> None:
        self.next_offset = 0
        """The position in ``webhooks.config`` up to which the directory has read."""
        self._entries: dict[str, _Entry] = {}
        self._by_organization: defaultdict[str, dict[str, Webhook]] = defaultdict(dict)
        self._wanting: defaultdict[tuple[str, EventType], dict[str, Webhook]] = defaultdict(dict)
        self._wanting_in_order: dict[tuple[str, EventType], tuple[Webhook, ...]] = {}
        self._ignored: dict[int, None] = {}
        self._withdrawn: dict[tuple[str, int], None] = {}
        self._unsettled: set[str] = set()
        self._unreadable: set[str] = set()

    def apply(self, offset: int, key: str, webhook: Webhook | None, revision: int, base: int) -> bool:
        """Take in the next record, None for a deletion; whether it counts."""
        entry = self._accept(offset, key, revision, base)
        if entry is None:
            return False
        before = entry.webhook
        if webhook is None or before is None or not same_configuration(before, webhook):
            entry.configured_at = offset
        entry.webhook = webhook
        entry.unreadable = False
        self._unreadable.discard(key)
        if before is not None:
            self._remove(before, stays=webhook)
        if webhook is not None:
            self._index(webhook)
        return True

    def apply_unreadable(self, offset: int, key: str, revision: int, base: int) -> bool:
        """Take in the next record although nobody here can read its value: the webhook stays as it was."""
        entry = self._accept(offset, key, revision, base)
        if entry is None:
            return False
        entry.unreadable = True
        self._unreadable.add(key)
        return True

    def withdraw(self, key: str, revision: int) -> None:
        """Note that the record just read took back the change that had made ``revision``."""
        _remember(self._withdrawn, (key, revision))

    def skip(self, offset: int) -> None:
        """Pass over a record that says nothing."""
        self.next_offset = offset + 1

    def get(self, id: str) -> Webhook | None:
        """The webhook, unless there is none or it was deleted."""
        entry = self._entries.get(id)
        return None if entry is None else entry.webhook

    def revision(self, id: str) -> int:
        """The current revision, a deletion's included; 0 when nothing is known of it."""
        entry = self._entries.get(id)
        return 0 if entry is None else entry.revision

    def wanting(self, organization_id: str, event_type: EventType) -> Sequence[Webhook]:
        """The enabled webhooks of an organization for a type of event."""
        key = organization_id, event_type
        known = self._wanting_in_order.get(key)
        if known is None:
            if key not in self._wanting:
                return ()
            known = self._wanting_in_order[key] = tuple(self._wanting[key].values())
        return known

    def of_organization(self, organization_id: str) -> list[Webhook]:
        """The webhooks of an organization, the oldest first."""
        webhooks = self._by_organization.get(organization_id, {}).values()
        return sorted(webhooks, key=lambda webhook: (webhook.created_on, webhook.id))

    def same_as(self, webhook: Webhook) -> Webhook | None:
        """The webhook of the organization that had this configuration first, if it is another one.

        Who was first is the log's order. A webhook that does not have this configuration yet comes after all that do.
        """
        own = self._entries.get(webhook.id)
        has_it = own is not None and own.webhook is not None and same_configuration(own.webhook, webhook)
        before = own.configured_at if own is not None and has_it else self.next_offset
        others = (
            (self._entries[other.id].configured_at, other)
            for other in self._by_organization.get(webhook.organization_id, {}).values()
            if other.id != webhook.id and same_configuration(other, webhook)
        )
        first = min(others, key=lambda found: found[0], default=None)
        return first[1] if first is not None and first[0] < before else None

    def told_before(self, webhook: Webhook, others: Callable[[Webhook], bool]) -> bool:
        """Whether another of the organization's webhooks, which is still there, came before this one in the log."""
        own = self._entries[webhook.id].first_told_at
        return any(
            self._entries[other.id].first_told_at < own and others(other)
            for other in self._by_organization.get(webhook.organization_id, {}).values()
        )

    def ignored(self, offset: int) -> bool:
        """Whether the record at an offset, read a moment ago, did not count."""
        return offset in self._ignored

    def withdrawn(self, key: str, revision: int) -> bool:
        """Whether a change, made a moment ago, was taken back because another webhook had its configuration first."""
        return (key, revision) in self._withdrawn

    def restatement(self, key: str) -> tuple[Webhook | None, int] | None:
        """What stands, to be written once more, when the last record of a key did not count."""
        entry = self._entries[key] if key in self._unsettled else None
        return None if entry is None or entry.unreadable else (entry.webhook, entry.revision)

    @property
    def unsettled(self) -> Collection[str]:
        """Keys whose last record did not count, so that compaction would make it the only one."""
        return self._unsettled

    @property
    def unreadable(self) -> Collection[str]:
        """Keys whose last record could not be decrypted or read here; each stands as it was before that record."""
        return self._unreadable

    def __len__(self) -> int:
        return sum(len(webhooks) for webhooks in self._by_organization.values())

    def _accept(self, offset: int, key: str, revision: int, base: int) -> _Entry | None:
        self.next_offset = offset + 1
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = _Entry(None, revision, offset, offset)
            return entry
        if base < entry.revision:
            self._unsettled.add(key)
            _remember(self._ignored, offset)
            return None
        entry.revision = revision
        self._unsettled.discard(key)
        return entry

    def _index(self, webhook: Webhook) -> None:
        self._by_organization[webhook.organization_id][webhook.id] = webhook
        if webhook.enabled:
            wanted = webhook.organization_id, webhook.event_type
            self._wanting[wanted][webhook.id] = webhook
            self._wanting_in_order.pop(wanted, None)

    def _remove(self, webhook: Webhook, *, stays: Webhook | None) -> None:
        wanted = webhook.organization_id, webhook.event_type
        if self._wanting[wanted].pop(webhook.id, None) is not None:
            self._wanting_in_order.pop(wanted, None)
        if not self._wanting[wanted]:
            del self._wanting[wanted]
        if stays is None or stays.organization_id != webhook.organization_id:
            del self._by_organization[webhook.organization_id][webhook.id]
            if not self._by_organization[webhook.organization_id]:
                del self._by_organization[webhook.organization_id]


def _remember(lately: dict[_Thing, None], thing: _Thing) -> None:
    lately[thing] = None
    if len(lately) > _REMEMBERED:
        del lately[next(iter(lately))]
