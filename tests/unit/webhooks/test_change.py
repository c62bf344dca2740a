import pytest
from cryptography.fernet import Fernet

from dispatcher.webhooks.change import (
    Place,
    UnreadableChange,
    UnreadableWebhook,
    entry_header,
    read_entry,
    read_place,
    read_webhook,
    write_webhook,
)
from dispatcher.webhooks.vault import UndecipherableConfig, Vault
from tests.support.webhooks import a_webhook

VAULT = Vault(Fernet.generate_key().decode())
PLACE = Place("wh-1", 3, 2)


def test_reads_back_the_place() -> None:
    assert read_place(PLACE.key, PLACE.headers()) == PLACE
    withdrawing = Place("wh-1", 3, 2, withdraws=2)
    assert read_place(withdrawing.key, withdrawing.headers()) == withdrawing
    repeated = Place("wh-1", 3, 3)
    assert read_place(repeated.key, [*repeated.headers(), ("traceparent", b"x")]) == repeated


@pytest.mark.parametrize(
    ("key", "headers", "words"),
    [
        (None, PLACE.headers(), "as its key"),
        (b"", PLACE.headers(), "as its key"),
        (b"\xff", PLACE.headers(), "as its key"),
        (b"wh-1", [], "format None"),
        (b"wh-1", [("v", b"2"), *PLACE.headers()[1:]], "format b'2'"),
        (b"wh-1", PLACE.headers()[:2], "header base"),
        (b"wh-1", [("v", b"1"), ("revision", b"x"), ("base", b"1")], "header revision"),
        (b"wh-1", [*PLACE.headers(), ("withdraws", b"x")], "header withdraws"),
        (b"wh-1", [("v", None), *PLACE.headers()[1:]], "format None"),
        (b"wh-1", [("v", b"1"), ("revision", None), ("base", b"1")], "header revision"),
        (b"wh-1", Place("wh-1", 3, 1).headers(), "does not follow"),
        (b"wh-1", Place("wh-1", 1, 2).headers(), "does not follow"),
        (b"wh-1", Place("wh-1", 0, 0).headers(), "does not follow"),
    ],
)
def test_refuses_other_records(key: bytes | None, headers: list[tuple[str, bytes | None]], words: str) -> None:
    with pytest.raises(UnreadableChange, match=words):
        read_place(key, headers)


@pytest.mark.parametrize(
    "webhook",
    [
        None,
        a_webhook(),
        a_webhook(payload_template={"\ud83d": [10**40, 1e300, 0.1, True, None, "\x00é", {}], "": "#x"}),
        a_webhook(items={"ids": ["b", "a"]}, headers={"X": "y"}, rate_limit=2.5, disabled_reason="410"),
        a_webhook(secrets=[{"value": "a"}, {"value": "b", "expires_on": "2026-11-23T10:15:00.120Z"}]),
    ],
)
def test_reads_back_the_webhook(webhook: object) -> None:
    value = write_webhook(webhook, VAULT)  # type: ignore[arg-type]
    assert read_webhook(PLACE, value, VAULT) == webhook


def test_reads_back_the_entry_of_the_audit() -> None:
    headers = [*PLACE.headers(), *entry_header(b"who", VAULT)]
    assert read_place(PLACE.key, headers) == PLACE
    assert read_entry(headers, VAULT) == b"who"
    assert read_entry(PLACE.headers(), VAULT) is None
    assert all(b"who" not in value for _, value in headers)
    with pytest.raises(UndecipherableConfig):
        read_entry(headers, Vault(Fernet.generate_key().decode()))


def test_nothing_of_a_webhook_can_be_read_without_the_key() -> None:
    value = write_webhook(a_webhook(), VAULT)
    assert value is not None
    assert b"example.com" not in value
    with pytest.raises(UndecipherableConfig):
        read_webhook(PLACE, value, Vault(Fernet.generate_key().decode()))


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b"[]", b'"x"', b"\xff", b'{"id": "wh-1", "name": 3}'])
def test_refuses_what_is_no_webhook(content: bytes) -> None:
    with pytest.raises(UnreadableWebhook):
        read_webhook(PLACE, VAULT.encrypt(content), VAULT)


def test_refuses_another_webhook() -> None:
    with pytest.raises(UnreadableWebhook, match="another"):
        read_webhook(PLACE, write_webhook(a_webhook("wh-2"), VAULT), VAULT)
