"""Changes of webhooks: written one after the other as the log has them, each with its entry of the audit."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

from dispatcher.errors import DispatcherError
from dispatcher.portal.audit import Action, Audit
from dispatcher.webhooks.directory import Directory
from dispatcher.webhooks.store import StaleRevision
from dispatcher.webhooks.webhook import Person, Webhook

_ATTEMPTS_TO_CHANGE = 20


class ChangedAllTheTime(DispatcherError):
    """Others are faster again and again; a moment later they may not be."""

    def __init__(self) -> None:
        super().__init__("others are changing the webhook all the time")


class Store(Protocol):
    """Where webhooks are written, and with each change its entry of the audit.

    Each method returns when the directory has read the change back, and it won.
    """

    async def create(self, webhook: Webhook, *, entry: bytes, instead_of: Callable[[Webhook], bool]) -> object:
        """Write a new webhook."""

    async def replace(self, webhook: Webhook, *, based_on: int, entry: bytes) -> object:
        """Write a webhook anew."""

    async def delete(self, id: str, *, based_on: int, entry: bytes) -> object:
        """Delete a webhook."""

    async def remove_unreadable(self, id: str, *, entry: bytes | None) -> bool:
        """Delete a webhook that cannot be read here; False: it can be, or there is none."""


class Changes:
    """Changes webhooks, one after the other as the log has them, and writes the audit."""

    def __init__(self, directory: Directory, store: Store, audit: Audit, clock: Callable[[], datetime]) -> None:
        self.directory = directory
        self._store = store
        self._audit = audit
        self._clock = clock

    async def create(self, webhook: Webhook, *, instead_of: Callable[[Webhook], bool] = lambda _: False) -> None:
        """Write a new webhook, unless one of ``instead_of`` is written first.

        Raises:
            SameConfiguration: another one has it.
            Preceded: one of ``instead_of`` was written first.
        """
        entry = self._audit.entry(webhook, webhook.created_by, "created")
        await self._store.create(webhook, entry=entry.encode(), instead_of=instead_of)
        await self._audit.record(entry)

    async def change(
        self,
        webhook_id: str,
        by: Person,
        action: Action,
        how: Callable[[Webhook, int], dict[str, Any]],
        *,
        only_this: Callable[[int], bool] = lambda _: False,
        reason: str | None = None,
    ) -> Webhook | None:
        """Replace members of a webhook with what ``how`` says, called with the webhook and its revision.

        When somebody else was faster it is asked again, unless ``only_this`` says that the revision mattered.
        Nothing is written where nothing would change. None: the webhook is not there any more.

        Raises:
            SameConfiguration: another webhook has it.
            StaleRevision: the revision that mattered is not the current one.
            ChangedAllTheTime: somebody else was faster so often that it was given up.
        """
        for _ in range(_ATTEMPTS_TO_CHANGE):
            webhook, revision = self.directory.get(webhook_id), self.directory.revision(webhook_id)
            if webhook is None:
                return None
            one_revision = only_this(revision)
            members = how(webhook, revision)
            changed = [name for name, value in members.items() if _differs(getattr(webhook, name), value)]
            if not changed:
                return webhook
            changes = {**members, "updated_on": self._clock(), "updated_by": by}
            replaced = webhook.model_copy(update=changes)
            entry = self._audit.entry(webhook, by, action, changed=changed, reason=reason)
            try:
                await self._store.replace(replaced, based_on=revision, entry=entry.encode())
            except StaleRevision:
                if one_revision:
                    raise
                continue
            await self._audit.record(entry)
            return self.directory.get(webhook_id) or replaced  # deleted since, but the change was made
        raise ChangedAllTheTime

    async def delete(self, webhook_id: str, by: Person, *, only_this: Callable[[int], bool]) -> None:
        """Delete a webhook; one that is gone is gone.

        Raises:
            StaleRevision: the revision that mattered is not the current one.
            ChangedAllTheTime: somebody else was faster so often that it was given up.
        """
        for _ in range(_ATTEMPTS_TO_CHANGE):
            webhook, revision = self.directory.get(webhook_id), self.directory.revision(webhook_id)
            if webhook is None:
                return
            one_revision = only_this(revision)
            entry = self._audit.entry(webhook, by, "deleted")
            try:
                await self._store.delete(webhook_id, based_on=revision, entry=entry.encode())
            except StaleRevision:
                if one_revision:
                    raise
                continue
            await self._audit.record(entry)
            return
        raise ChangedAllTheTime

    async def remove_unreadable(self, webhook_id: str, by: Person) -> bool:
        """Delete a webhook of which nobody here can read what it is now; False: it can be read, or there is none.

        The audit is told where an earlier state says whose it was.
        """
        before = self.directory.get(webhook_id)
        entry = None if before is None else self._audit.entry(before, by, "deleted")
        try:
            removed = await self._store.remove_unreadable(webhook_id, entry=None if entry is None else entry.encode())
        except StaleRevision:
            return False
        if removed and entry is not None:
            await self._audit.record(entry)
        return removed


def _differs(one: object, other: object) -> bool:
    # Python takes 1, 1.0 and True for equal, and members in another order too; people see them in a template.
    if isinstance(one, dict) and isinstance(other, dict):
        return json.dumps(one) != json.dumps(other)
    return one != other
