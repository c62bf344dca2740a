"""Signatures of Standard Webhooks (https://www.standardwebhooks.com, specification 1.0.0, symmetric ``v1``)."""

import base64
import hmac
from collections.abc import Sequence

PREFIX = "whsec_"


def key_of(secret: str) -> bytes:
    """The key in ``whsec_<base64>``.

    Raises:
        ValueError: the secret is not of that form.
    """
    if not secret.startswith(PREFIX):
        raise ValueError(f"a signing secret starts with {PREFIX}")
    return base64.b64decode(secret.removeprefix(PREFIX), validate=True)


def sign(keys: Sequence[bytes], message_id: str, timestamp: int, body: bytes) -> str:
    """The ``webhook-signature`` header: one signature for each key, separated by spaces.

    ``timestamp`` is in seconds since the Unix epoch, as in the header ``webhook-timestamp``.
    """
    content = b"%b.%d.%b" % (message_id.encode(), timestamp, body)
    return " ".join("v1," + base64.b64encode(hmac.digest(key, content, "sha256")).decode() for key in keys)
