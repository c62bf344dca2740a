"""Signatures of Standard Webhooks (https://www.standardwebhooks.com, specification 1.0.0, symmetric ``v1``)."""

import base64
import hashlib
from collections.abc import Sequence
from functools import lru_cache

_BLOCK_BYTES = 64
_INNER, _OUTER = (bytes(byte ^ pad for byte in range(256)) for pad in (0x36, 0x5C))
_KEYS = 10_000
"""As many as there are webhooks that are called again and again; each takes half a KiB."""


def sign(keys: Sequence[bytes], message_id: str, timestamp: int, body: bytes) -> str:
    """The ``webhook-signature`` header: one signature for each key, separated by spaces.

    ``timestamp`` is in seconds since the Unix epoch, as in the header ``webhook-timestamp``.
    """
    content = b"%b.%d.%b" % (message_id.encode(), timestamp, body)
    return " ".join(["v1," + base64.b64encode(_hmac_sha256(key, content)).decode() for key in keys])


def _hmac_sha256(key: bytes, content: bytes) -> bytes:
    """RFC 2104. ``hmac.digest`` prepares the key and looks SHA-256 up each time, which takes longer than to hash."""
    keyed_inner, keyed_outer = _keyed(key)
    inner, outer = keyed_inner.copy(), keyed_outer.copy()
    inner.update(content)
    outer.update(inner.digest())
    return outer.digest()


@lru_cache(_KEYS)
def _keyed(key: bytes) -> tuple["hashlib._Hash", "hashlib._Hash"]:
    if len(key) > _BLOCK_BYTES:
        key = hashlib.sha256(key).digest()
    block = key.ljust(_BLOCK_BYTES, b"\0")
    return hashlib.sha256(block.translate(_INNER)), hashlib.sha256(block.translate(_OUTER))
