from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from dispatcher.errors import ConfigurationError
from dispatcher.local_secrets import AUTH_SECRET_FILE, ENCRYPTION_KEY_FILE, local_secrets
from dispatcher.settings import Settings, load_settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(data_dir=tmp_path / "data")


def test_makes_them_once(settings: Settings) -> None:
    assert local_secrets(settings, generate=False).auth_secret is None
    made = local_secrets(settings, generate=True)
    assert local_secrets(settings, generate=True) == local_secrets(settings, generate=False) == made
    assert made.encryption_key is not None
    Fernet(made.encryption_key.get_secret_value())
    assert made.applied_to(settings).auth_secret == made.auth_secret
    names = sorted(path.name for path in settings.data_dir.iterdir())
    assert names == [AUTH_SECRET_FILE, ENCRYPTION_KEY_FILE]
    assert {path.stat().st_mode & 0o777 for path in settings.data_dir.iterdir()} == {0o600}


def test_what_is_configured_comes_first(settings: Settings) -> None:
    secret = SecretStr("s" * 32)
    configured = settings.model_copy(update={"auth_secret": secret, "encryption_key": secret})
    assert local_secrets(configured, generate=True).auth_secret is secret
    assert not settings.data_dir.exists()


def test_a_provider_s_keys_need_no_secret(settings: Settings) -> None:
    with_keys = settings.model_copy(update={"auth_jwks_url": "https://id.example/jwks"})
    assert local_secrets(with_keys, generate=True).auth_secret is None


def test_says_what_is_wrong(settings: Settings, tmp_path: Path) -> None:
    settings.data_dir.mkdir()
    (settings.data_dir / AUTH_SECRET_FILE).write_text("short")
    with pytest.raises(ConfigurationError, match="32 bytes"):
        local_secrets(settings, generate=True)
    (settings.data_dir / AUTH_SECRET_FILE).write_bytes(b"\xff" * 32)
    with pytest.raises(ConfigurationError, match="auth_secret is not UTF-8: put back"):
        local_secrets(settings, generate=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="DISPATCHER_DATA_DIR"):
        local_secrets(settings.model_copy(update={"data_dir": tmp_path / "file" / "data"}), generate=True)
