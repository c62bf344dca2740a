"""A record of ``webhooks.config``: one change of one webhook.

The value is encrypted as a whole, null for a deletion; headers say where in the webhook's history it belongs. What
somebody changed carries its entry of the audit too, encrypted, in a header that an earlier version neither writes nor
reads. What the portal writes by itself, to say what stands or to take a change back, has none.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from dispatcher.kafka.headers import by_name
from dispatcher.webhooks.vault import Vault
from dispatcher.webhooks.webhook import Webhook

VERSION = b"1"

Headers = list[tuple[str, bytes]]

_NUMBER = re.compile(rb"[0-9]{1,18}")


class UnreadableChange(ValueError):
    """A record that is not a change of a format this version reads."""


class AnotherFormat(UnreadableChange):
    """A change of a numbered format that is not this version's."""


class UnreadableWebhook(ValueError):
    """A change whose place is known, but whose content this version cannot read."""


@dataclass(frozen=True, slots=True)
class Place:
    """Which webhook a record is about, the revision that it makes, and the one that its writer had seen.

    ``revision`` is ``base + 1``, or ``base`` where a writer repeats what stands. ``withdraws`` is the revision whose
    change this one takes back.
    """

    webhook_id: str
    revision: int
    base: int
    withdraws: int | None = None

    @property
    def key(self) -> bytes:
        """The record's key."""
        return self.webhook_id.encode()

    def headers(self) -> Headers:
        """The record's headers."""
        place = [("v", VERSION), ("revision", b"%d" % self.revision), ("base", b"%d" % self.base)]
        return place if self.withdraws is None else [*place, ("withdraws", b"%d" % self.withdraws)]


def read_id(key: bytes | None) -> str:
    """Which webhook a record with this key is about, whatever else it holds; empty: none."""
    try:
        return (key or b"").decode()
    except UnicodeDecodeError:
        return ""


def read_place(key: bytes | None, headers: Sequence[tuple[str, bytes | None]]) -> Place:
    """Where a record belongs.

    Raises:
        UnreadableChange: something is missing or of another format.
    """
    fields = by_name(headers)
    version = fields.get("v", b"")
    if version != VERSION:
        kind = AnotherFormat if _NUMBER.fullmatch(version) else UnreadableChange
        raise kind(f"changes of format {fields.get('v')!r} are not read by this version")
    webhook_id = read_id(key)
    if not webhook_id:
        raise UnreadableChange("a change has a webhook's id as its key")
    revision, base = (_number(fields, name) for name in ("revision", "base"))
    if revision < 1 or revision - base not in {0, 1}:
        raise UnreadableChange(f"revision {revision} does not follow from base {base}")
    withdraws = _number(fields, "withdraws") if "withdraws" in fields else None
    return Place(webhook_id, revision, base, withdraws)


def _number(fields: dict[str, bytes], name: str) -> int:
    text = fields.get(name, b"")
    if not _NUMBER.fullmatch(text):
        raise UnreadableChange(f"the header {name} is {text!r} and not a number")
    return int(text)


def entry_header(entry: bytes, vault: Vault) -> Headers:
    """The header of a change whose entry of the audit this is."""
    return [("audit", vault.encrypt(entry))]


def read_entry(headers: Sequence[tuple[str, bytes | None]], vault: Vault) -> bytes | None:
    """The entry of the audit that a record carries.

    Raises:
        UndecipherableConfig: no key decrypts it.
    """
    entry = dict(headers).get("audit")
    return None if entry is None else vault.decrypt(entry)


def write_webhook(webhook: Webhook | None, vault: Vault) -> bytes | None:
    """The record's value."""
    if webhook is None:
        return None
    content = webhook.model_dump(mode="json", exclude={"payload_template"})
    # The template goes round pydantic: it may hold lone surrogates, which only escapes can write.
    content["payload_template"] = webhook.payload_template
    return vault.encrypt(json.dumps(content, separators=(",", ":")).encode())


def read_webhook(place: Place, value: bytes | None, vault: Vault) -> Webhook | None:
    """The webhook in the value of a record at ``place``, None if the record deletes it.

    Raises:
        UndecipherableConfig: no key decrypts it.
        UnreadableWebhook: it is not a webhook as this version knows them.
    """
    if value is None:
        return None
    webhook = _parse(vault.decrypt(value))
    if webhook.id != place.webhook_id:
        raise UnreadableWebhook("another webhook's configuration")
    return webhook


def _parse(content: bytes) -> Webhook:
    try:
        return Webhook.model_validate_json(content)
    except ValidationError:
        # pydantic's fast reader refuses lone surrogates, and only a template may hold any.
        try:
            return Webhook.model_validate(json.loads(content))
        except ValidationError as error:
            fields = ", ".join(str(problem["loc"][0]) for problem in error.errors() if problem["loc"])
            raise UnreadableWebhook(f"not a webhook: {fields or 'something else'}") from None
        except ValueError:
            raise UnreadableWebhook("not JSON") from None
