"""What a sender sends is accepted by the official library, before, during and after a rotation of the secret."""

from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from dispatcher.webhooks.secrets import new_secret, rotate
from dispatcher.webhooks.webhook import SigningSecret
from tests.support.delivering import Delivering
from tests.support.target import Target
from tests.support.waiting import eventually

OLD, NEW = new_secret(), new_secret()


@pytest.mark.parametrize(
    ("rotated", "accepted", "refused", "signatures"),
    [
        (None, [OLD], [NEW], 1),
        (timedelta(), [OLD, NEW], [], 2),
        (timedelta(hours=23, minutes=59), [OLD, NEW], [], 2),
        (timedelta(hours=24, seconds=1), [NEW], [OLD], 1),
    ],
    ids=["before", "just rotated", "a minute before the end", "after"],
)
async def test_a_rotation(
    delivering: Delivering,
    target: Target,
    rotated: timedelta | None,
    accepted: list[str],
    refused: list[str],
    signatures: int,
) -> None:
    secrets: tuple[SigningSecret, ...] = (SigningSecret(value=OLD),)
    if rotated is not None:
        secrets = rotate(secrets, datetime.now(UTC) - rotated, lambda: NEW)
    await delivering.webhook(
        "wh", target.url("in"), secrets=secrets, headers={"Authorization": "Basic aXRzbTpzM2NyZXQ="}
    )
    await delivering.sender()
    await delivering.deliver("wh", "msg_1")
    received = (await eventually(lambda: target.received))[0]
    headers = {name.lower(): value for name, value in received.headers.items()}
    assert len(headers["webhook-signature"].split()) == signatures
    assert headers["authorization"] == "Basic aXRzbTpzM2NyZXQ="
    for secret in accepted:
        assert Verifier(secret).verify(received.body, headers) == {"number": 0}
    for secret in refused:
        with pytest.raises(WebhookVerificationError):
            Verifier(secret).verify(received.body, headers)
    with pytest.raises(WebhookVerificationError):
        Verifier(accepted[0]).verify(received.body + b" ", headers)
