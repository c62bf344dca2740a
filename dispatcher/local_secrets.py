"""The secrets that ``up`` generates into ``DATA_DIR`` where none are configured, readable by their owner only."""

import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography.fernet import Fernet
from pydantic import SecretStr

from dispatcher.errors import ConfigurationError
from dispatcher.settings import Settings

AUTH_SECRET_FILE = "auth_secret"  # noqa: S105 the name of the file, not what it holds
ENCRYPTION_KEY_FILE = "encryption_key"

_PUT_BACK = "put back what was there, or remove the file and what it protected"


@dataclass(frozen=True, slots=True)
class LocalSecrets:
    """What verifies bearer tokens and what encrypts ``webhooks.config``; None: neither configured nor generated."""

    auth_secret: SecretStr | None
    encryption_key: SecretStr | None

    def applied_to(self, settings: Settings) -> Settings:
        """The settings with these secrets."""
        return settings.model_copy(update={"auth_secret": self.auth_secret, "encryption_key": self.encryption_key})


def local_secrets(settings: Settings, *, generate: bool) -> LocalSecrets:
    """The configured secrets, else those in ``DATA_DIR``; with ``generate``, what is still missing is made there.

    No secret for tokens is looked for where a JWKS verifies them.

    Raises:
        ConfigurationError: ``DATA_DIR`` cannot be read or written, or holds what is no secret.
    """
    try:
        auth_secret = settings.auth_secret
        if auth_secret is None and settings.auth_jwks_url is None:
            auth_secret = _kept(settings.data_dir / AUTH_SECRET_FILE, generate, lambda: secrets.token_urlsafe(48))
        encryption_key = settings.encryption_key or _kept(
            settings.data_dir / ENCRYPTION_KEY_FILE, generate, lambda: Fernet.generate_key().decode()
        )
    except OSError as error:
        raise ConfigurationError(
            f"DISPATCHER_DATA_DIR: {error.filename or settings.data_dir}: {error.strerror}; "
            "name a directory there that this user may read and write"
        ) from error
    return LocalSecrets(auth_secret, encryption_key)


def _kept(path: Path, generate: bool, new: Callable[[], str]) -> SecretStr | None:
    if not path.exists():
        if not generate:
            return None
        _write_once(path, new())
    try:
        text = path.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is not UTF-8: {_PUT_BACK}") from None
    if len(text.encode()) < 32:
        raise ConfigurationError(f"{path} holds less than 32 bytes: {_PUT_BACK}")
    return SecretStr(text)


def _write_once(path: Path, text: str) -> None:
    """Write the file whole or not at all; one that somebody else wrote first stays."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return
    finally:
        draft.unlink(missing_ok=True)
