"""Signatures of Standard Webhooks (https://www.standardwebhooks.com, specification 1.0.0, symmetric ``v1``)."""

import base64
import hmac
from collections.abc import Sequence


def sign(keys: Sequence[bytes], message_id: str, timestamp: int, body: bytes) -> str:
    """The ``webhook-signature`` header: one signature for each key, separated by spaces.

    ``timestamp`` is in seconds since the Unix epoch, as in the header ``webhook-timestamp``.
    """
    content = b"%b.%d.%b" % (message_id.encode(), timestamp, body)
    return " ".join("v1," + base64.b64encode(hmac.digest(key, content, "sha256")).decode() for key in keys)
