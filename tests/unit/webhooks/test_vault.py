import pytest
from cryptography.fernet import Fernet

from dispatcher.errors import ConfigurationError
from dispatcher.webhooks.vault import UndecipherableConfig, Vault

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))


def test_decrypts_what_it_encrypted() -> None:
    vault = Vault(NEW)
    token = vault.encrypt(b"secret")
    assert b"secret" not in token
    assert vault.decrypt(token) == b"secret"


def test_first_key_encrypts_and_all_decrypt() -> None:
    both = Vault(f" {NEW} , {OLD},")
    assert both.decrypt(Vault(OLD).encrypt(b"before")) == b"before"
    assert Vault(NEW).decrypt(both.encrypt(b"after")) == b"after"


def test_knows_what_needs_another_key_than_the_first() -> None:
    both = Vault(f"{NEW},{OLD}")
    assert both.is_current(Vault(NEW).encrypt(b"after"))
    assert not both.is_current(Vault(OLD).encrypt(b"before"))


@pytest.mark.parametrize(
    "token",
    [b"", b"gAAAAA", Vault(OLD).encrypt(b"x"), Vault(NEW).encrypt(b"x")[:-4] + b"AAAA"],
    ids=["empty", "cut", "another key's", "changed"],
)
def test_says_what_to_do_about_what_it_cannot_decrypt(token: bytes) -> None:
    with pytest.raises(UndecipherableConfig, match="DISPATCHER_ENCRYPTION_KEY"):
        Vault(NEW).decrypt(token)


@pytest.mark.parametrize(
    "keys",
    ["", " , ", "short", "schlüssel", f"{NEW},{OLD[:-2]}"],
    ids=["none", "empty ones", "short", "not ASCII", "the second is cut"],
)
def test_a_bad_key_is_one_clear_error_that_does_not_show_it(keys: str) -> None:
    with pytest.raises(ConfigurationError, match=r"DISPATCHER_ENCRYPTION_KEY.*make one with") as caught:
        Vault(keys)
    assert OLD[:-2] not in str(caught.value)
