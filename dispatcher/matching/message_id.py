"""Message ids: the same for the same happening, however often and by whichever way Portal publishes it.

An id is ``msg_`` and 32 hexadecimal digits of a hash. It has no dot, which separates the parts of what is signed.
"""

from hashlib import blake2b

_DIGEST_BYTES = 16


def message_of_event(webhook_id: str, source: str, event_id: str) -> str:
    """The id of a webhook's message about an event; CloudEvents' ``source`` and ``id`` together are unique."""
    return _message_id(b"event", webhook_id, source, event_id)


def message_of_device(webhook_id: str, organization_id: str, operation_id: str, workspace_id: str) -> str:
    """The id of a webhook's message about an operation on one device.

    Neither the event's ``source`` nor its ``id`` is part of it: the device may arrive inside the operation's event
    and in an event of its own.
    """
    return _message_id(b"device", webhook_id, organization_id, operation_id, workspace_id)


def _message_id(kind: bytes, *parts: str) -> str:
    digest = blake2b(digest_size=_DIGEST_BYTES, person=kind)
    for part in parts:
        encoded = part.encode(errors="surrogatepass")
        digest.update(b"%d:%b" % (len(encoded), encoded))
    return f"msg_{digest.hexdigest()}"
