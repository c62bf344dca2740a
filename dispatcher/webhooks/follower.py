"""Follows ``webhooks.config``, and keeps the directory of webhooks up to date."""

from collections.abc import Callable, Sequence

import structlog
from aiokafka import ConsumerRecord

from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.compacted import CompactedTopic
from dispatcher.kafka.topics import Topics
from dispatcher.observability.metrics import show_unreadable
from dispatcher.webhooks.change import (
    AnotherFormat,
    UnreadableChange,
    UnreadableWebhook,
    read_id,
    read_place,
    read_webhook,
)
from dispatcher.webhooks.directory import Directory
from dispatcher.webhooks.vault import UndecipherableConfig, Vault
from dispatcher.webhooks.webhook import Webhook

Subscriber = Callable[[str, Webhook | None], None]
"""Called with a webhook's id and what it is now, None once it is deleted; returns at once and raises nothing."""

log = structlog.get_logger()


class ConfigFollower:
    """The directory, and what keeps it up to date; one serves all roles of a process."""

    def __init__(self, clients: KafkaClients, topics: Topics, vault: Vault) -> None:
        self.directory = Directory()
        self.outdated: dict[str, bytes] = {}
        """By webhook, what the topic holds of it where another key than the first is needed to read it."""
        self._unplaced: dict[str, bool] = {}
        """Of which the last record tells this version nothing, and whether it is a change of another format."""
        self._unknown: Sequence[str] = ()
        self._unknown_at = 0
        self._vault = vault
        self._topic = CompactedTopic(clients, topics.config, self._apply)
        self._subscribers: dict[object, Subscriber] = {}

    @property
    def unreadable(self) -> set[str]:
        """The webhooks of which nobody here can read what they are now."""
        return {*self.directory.unreadable, *self._unplaced}

    def is_unreadable(self, webhook_id: str) -> bool:
        """Whether this webhook is one of those; what is no change of any format makes none of a known one."""
        if webhook_id in self.directory.unreadable:
            return True
        of_another_format = self._unplaced.get(webhook_id)
        return of_another_format or (of_another_format is not None and self.directory.get(webhook_id) is None)

    @property
    def unknown(self) -> Sequence[str]:
        """Those of them that may want events of which the directory tells nothing.

        Nothing is known of these from before, or only that they were disabled, or deleted. A record that is no change
        of any format is nobody's webhook.
        """
        directory = self.directory
        if self._unknown_at != directory.next_offset:
            of_another_format = (id for id, is_one in self._unplaced.items() if is_one)
            may_be = {*directory.unreadable, *of_another_format}
            self._unknown = [id for id in may_be if (known := directory.get(id)) is None or not known.enabled]
            self._unknown_at = directory.next_offset
        return self._unknown

    async def start(self) -> None:
        """Return when the directory knows everything that was written before the call; it follows what comes.

        Raises:
            KafkaUnavailable: no broker answers.
            ConfigurationError: the topic does not exist.
        """
        await self._topic.start()
        show_unreadable(lambda: len(self.unreadable))
        if unreadable := self.unreadable:
            log.error(
                "webhooks cannot be decrypted or read; see what `dispatcher doctor` says", webhooks=len(unreadable)
            )

    async def reached(self, offset: int) -> None:
        """Return when the directory has read every record before ``offset``.

        Raises:
            NoLongerFollowing: the follower ended before.
        """
        await self._topic.reached(offset)

    async def catch_up(self) -> None:
        """Return when the directory has read everything that was written before the call, by whichever portal.

        Raises:
            KafkaUnavailable: no broker answers.
            NoLongerFollowing: the follower ended before.
        """
        await self._topic.catch_up()

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Tell ``subscriber`` of every change from now on; call what is returned to end that."""
        ticket = object()
        self._subscribers[ticket] = subscriber
        return lambda: self._subscribers.pop(ticket, None) and None

    async def wait(self) -> None:
        """Run until the follower ends; raise what ended it, unless that was ``stop``."""
        await self._topic.wait()

    async def stop(self) -> None:
        """Stop following; the directory stays as it is."""
        await self._topic.stop()

    def _apply(self, record: ConsumerRecord) -> None:
        try:
            place = read_place(record.key, record.headers)
        except UnreadableChange as error:
            self.directory.skip(record.offset)
            if webhook_id := read_id(record.key):
                self._unplaced[webhook_id] = isinstance(error, AnotherFormat) and record.value is not None
            _report(record, error)
            return
        try:
            webhook = read_webhook(place, record.value, self._vault)
        except (UndecipherableConfig, UnreadableWebhook) as error:
            if self.directory.apply_unreadable(record.offset, place.webhook_id, place.revision, place.base):
                self.outdated.pop(place.webhook_id, None)
                self._unplaced.pop(place.webhook_id, None)
            _report(record, error)
            return
        if self.directory.apply(record.offset, place.webhook_id, webhook, place.revision, place.base):
            self._unplaced.pop(place.webhook_id, None)
            if record.value is None or self._vault.is_current(record.value):
                self.outdated.pop(place.webhook_id, None)
            else:
                self.outdated[place.webhook_id] = record.value
            if place.withdraws is not None:
                self.directory.withdraw(place.webhook_id, place.withdraws)
            for subscriber in tuple(self._subscribers.values()):
                subscriber(place.webhook_id, webhook)


def _report(record: ConsumerRecord, error: Exception) -> None:
    key = (record.key or b"").decode(errors="replace")
    log.warning("a webhook's configuration cannot be read", webhook_id=key, offset=record.offset, reason=str(error))
