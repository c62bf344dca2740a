"""Encryption of what ``webhooks.config`` holds: headers, secrets, and URLs that are secrets themselves."""

from base64 import urlsafe_b64decode, urlsafe_b64encode

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from dispatcher.errors import ConfigurationError

HOW_TO_MAKE_A_KEY = 'python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"'


class UndecipherableConfig(Exception):
    """None of the keys decrypts a record of ``webhooks.config``."""


class Vault:
    """Encrypts with the first of several Fernet keys, decrypts with any of them.

    Raises:
        ConfigurationError: there is no key, or one is not a Fernet key.
    """

    def __init__(self, keys: str) -> None:
        fernets = []
        self._keys = [part.strip() for part in keys.split(",") if part.strip()]
        for number, key in enumerate(self._keys, start=1):
            try:
                fernets.append(Fernet(key))
            except ValueError:
                # The key itself stays out of the message: it may be right but for one character.
                raise ConfigurationError(
                    f"DISPATCHER_ENCRYPTION_KEY: key {number} is not a Fernet key (32 bytes in URL-safe base64); "
                    f"make one with {HOW_TO_MAKE_A_KEY}"
                ) from None
        if not fernets:
            raise ConfigurationError(f"DISPATCHER_ENCRYPTION_KEY holds no key; make one with {HOW_TO_MAKE_A_KEY}")
        self._first = fernets[0]
        self._fernet = MultiFernet(fernets)

    def derived(self, purpose: str) -> MultiFernet:
        """Keys for another purpose, which follow from these and do not give them away (HKDF, RFC 5869)."""
        return MultiFernet([_derived(key, purpose) for key in self._keys])

    def encrypt(self, content: bytes) -> bytes:
        """Encrypt with the first key."""
        return self._fernet.encrypt(content)

    def is_current(self, token: bytes) -> bool:
        """Whether the first key decrypts it, so that no other is needed for it."""
        try:
            self._first.decrypt(token)
        except InvalidToken:
            return False
        return True

    def decrypt(self, token: bytes) -> bytes:
        """Decrypt with whichever key fits.

        Raises:
            UndecipherableConfig: none fits, or the token was tampered with.
        """
        try:
            return self._fernet.decrypt(token)
        except InvalidToken:
            raise UndecipherableConfig(
                "no key of DISPATCHER_ENCRYPTION_KEY decrypts it; add the key that it was written with after the first"
            ) from None


def _derived(key: str, purpose: str) -> Fernet:
    derivation = HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose.encode())
    return Fernet(urlsafe_b64encode(derivation.derive(urlsafe_b64decode(key))))
