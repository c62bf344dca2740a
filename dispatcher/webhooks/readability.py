"""Which webhooks these keys and this version can read, for whoever looks at ``webhooks.config`` from outside."""

from collections.abc import Sequence

from aiokafka import ConsumerRecord

from dispatcher.webhooks.change import UnreadableChange, UnreadableWebhook, read_id, read_place, read_webhook
from dispatcher.webhooks.vault import UndecipherableConfig, Vault


class Readability:
    """What the last record of each webhook comes to. Records that are no webhook's are the dead letters' concern."""

    def __init__(self, vault: Vault) -> None:
        self.states: dict[str, Exception | None] = {}
        """Of each webhook that is not deleted, why it cannot be read."""
        self.outdated: set[str] = set()
        """Those that another key than the first is needed for."""
        self._vault = vault

    def apply(self, record: ConsumerRecord) -> None:
        """Take in the next record."""
        webhook_id = read_id(record.key)
        if not webhook_id:
            return
        self.outdated.discard(webhook_id)
        try:
            webhook = read_webhook(read_place(record.key, record.headers), record.value, self._vault)
        except (UndecipherableConfig, UnreadableChange, UnreadableWebhook) as error:
            self.states[webhook_id] = error
            return
        if webhook is None:
            self.states.pop(webhook_id, None)
        else:
            self.states[webhook_id] = None
            if not self._vault.is_current(record.value):
                self.outdated.add(webhook_id)

    @property
    def undecipherable(self) -> Sequence[str]:
        """Those that no key decrypts."""
        return [id for id, state in self.states.items() if isinstance(state, UndecipherableConfig)]

    @property
    def of_another_version(self) -> Sequence[str]:
        """Those that this version does not understand."""
        return [
            id for id, state in self.states.items() if state is not None and not isinstance(state, UndecipherableConfig)
        ]
