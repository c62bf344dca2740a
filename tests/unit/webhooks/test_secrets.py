import base64
from datetime import UTC, datetime, timedelta

import pytest
import standardwebhooks

from dispatcher.webhooks.secrets import MAX_SECRETS, OVERLAP, TooManySecrets, key_of, new_secret, rotate
from dispatcher.webhooks.webhook import SigningSecret

NOW = datetime(2026, 11, 23, 10, 15, tzinfo=UTC)


def test_a_new_secret_is_one_of_standard_webhooks() -> None:
    assert new_secret(lambda count: b"k" * count) == "whsec_" + base64.b64encode(b"k" * 32).decode()
    assert new_secret() != new_secret()
    assert standardwebhooks.Webhook(new_secret())


def test_key_is_what_stands_behind_the_prefix() -> None:
    assert key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw") == base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")


@pytest.mark.parametrize(
    "secret",
    ["", "whsec_", "whsec_short", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_é" + "A" * 31, "whsec_" + "A" * 96],
)
def test_refuses_other_secrets(secret: str) -> None:
    with pytest.raises(ValueError, match="24 to 64 bytes"):
        key_of(secret)


def test_the_old_secret_signs_too_for_a_day() -> None:
    after = rotate((SigningSecret(value="old"),), NOW, lambda: "new")
    assert after == (SigningSecret(value="new"), SigningSecret(value="old", expires_on=NOW + OVERLAP))
    assert timedelta(hours=24) == OVERLAP


def test_expired_secrets_go() -> None:
    secrets: tuple[SigningSecret, ...] = (SigningSecret(value="0"),)
    for hour in range(1, 4):
        secrets = rotate(secrets, NOW + timedelta(hours=hour), lambda hour=hour: str(hour))  # type: ignore[misc]
    assert [secret.value for secret in secrets] == ["3", "2", "1", "0"]
    later = rotate(secrets, NOW + timedelta(hours=26), lambda: "4")
    assert [secret.value for secret in later] == ["4", "3", "2"]
    assert [secret.expires_on is None for secret in later] == [True, False, False]


def test_no_secret_ends_early_however_often_it_is_rotated() -> None:
    secrets: tuple[SigningSecret, ...] = (SigningSecret(value="0"),)
    for minute in range(1, MAX_SECRETS):
        secrets = rotate(secrets, NOW + timedelta(minutes=minute))
    assert len(secrets) == MAX_SECRETS
    with pytest.raises(TooManySecrets) as refused:
        rotate(secrets, NOW + timedelta(hours=1))
    assert refused.value.until == NOW + timedelta(minutes=1) + OVERLAP
    assert len(rotate(secrets, refused.value.until)) == MAX_SECRETS
