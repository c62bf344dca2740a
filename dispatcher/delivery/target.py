"""Calling a target: one POST, what was answered, and nothing that a target does can cost more than its limits."""

import ssl
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from time import perf_counter, time
from types import MappingProxyType
from typing import NamedTuple, Self

import aiohttp
from yarl import URL

from dispatcher.delivery.connections import Address, Content, Progress, TargetConnector
from dispatcher.delivery.failures import Failure, forget_frames, of_exception, of_status, of_time_out
from dispatcher.delivery.guard import TargetGuard, literal_address
from dispatcher.delivery.masking import (
    mask_answer_headers,
    mask_bytes,
    mask_text,
    mask_url,
    secrets_of,
)
from dispatcher.delivery.signing import sign
from dispatcher.delivery.time_limit import TimeLimit
from dispatcher.events.types import EventType
from dispatcher.moments import milliseconds
from dispatcher.observability.trace_context import TRACEPARENT
from dispatcher.settings import Settings
from dispatcher.webhooks.secrets import key_of
from dispatcher.webhooks.target_headers import mask
from dispatcher.webhooks.webhook import Webhook

KEPT_OF_ANSWER = 16 * 1024
"""How many bytes of an answer are read and kept; a 2xx answer is a success once its body ended or so much was read."""

USER_AGENT = "Portal-Webhooks/1"

# Node's servers close idle connections after 5 s: one that is about to be closed must not be used again.
_KEEP_IDLE_SECONDS = 4

# Whatever is forgotten is prepared again in some microseconds.
_ADDRESSES = 10_000

_COMPRESSED = frozenset({"gzip", "x-gzip", "deflate"})


class Request(NamedTuple):
    """What is sent: the message, which attempt it is, and the rendered bytes."""

    message_id: str
    event_type: EventType
    attempt: int
    body: bytes
    traceparent: str = ""
    """Where in a trace the attempt is made, if it is in one."""


class Answer(NamedTuple):
    """What became of a call. Without ``failure`` it was a success."""

    failure: Failure | None
    duration_ms: int
    response_code: int | None = None
    retry_after: str | None = None
    request_headers: Mapping[str, str] = MappingProxyType({})
    response_headers: Mapping[str, str] = MappingProxyType({})
    response_body: bytes = b""
    response_truncated: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """Where a webhook's messages go: its URL, headers and keys, prepared once for many calls."""

    url: URL
    host: str
    shown_url: str
    headers: Mapping[str, str]
    shown_headers: Mapping[str, str]
    keys: tuple[tuple[bytes, float | None], ...]
    """Each with the time (seconds since the epoch) until which it signs, or None."""

    hidden: tuple[str, ...]
    """What may be shown nowhere."""

    as_of: int
    """When the webhook became what it is here, in milliseconds since the epoch."""

    @classmethod
    def of(cls, webhook: Webhook) -> Self:
        """Prepare a webhook's target."""
        url = URL(webhook.target_url, encoded=True)
        return cls(
            url=url,
            host=url.host or "",
            shown_url=mask_url(url),
            headers=webhook.headers,
            shown_headers=mask({name.lower(): value for name, value in webhook.headers.items()}),
            keys=tuple(
                (key_of(secret.value), secret.expires_on.timestamp() if secret.expires_on else None)
                for secret in webhook.secrets
            ),
            hidden=secrets_of(url, webhook.headers),
            as_of=milliseconds(webhook.updated_on),
        )

    def signing_keys(self, now: float) -> Sequence[bytes]:
        """The keys that sign at ``now``."""
        return [key for key, until in self.keys if until is None or now < until]


class TargetClient:
    """Makes calls, and keeps connections open between them until it is closed. Made inside a running loop.

    TLS is always verified: by ``tls``, by default with the machine's authorities. ``resolver`` looks names up, by
    default with the machine's name servers, and without threads: look-ups that hang hold up no others. One that is
    given is not closed. ``now`` gives the seconds since the epoch with which messages are signed: receivers refuse what
    is minutes off.
    """

    def __init__(
        self,
        settings: Settings,
        guard: TargetGuard,
        *,
        tls: ssl.SSLContext | None = None,
        resolver: aiohttp.abc.AbstractResolver | None = None,
        now: Callable[[], float] = time,
    ) -> None:
        self._now = now
        self._timeout = settings.request_timeout
        self._limit = TimeLimit(self._timeout.total_seconds())
        self._guard = guard
        self._proxy = URL(str(settings.egress_proxy)) if settings.egress_proxy is not None else None
        self._own_resolver = None if resolver else aiohttp.AsyncResolver()
        self._connector = TargetConnector(
            read_bufsize=KEPT_OF_ANSWER,
            limit=0,
            resolver=resolver or self._own_resolver,
            ssl=tls or True,
            keepalive_timeout=_KEEP_IDLE_SECONDS,
            # A proxy does its own look-ups and stands inside the network: what it may reach is its configuration's.
            socket_factory=None if self._proxy else self._guard.socket,
        )
        self._address = lru_cache(_ADDRESSES)(self._permitted)

    async def close(self) -> None:
        """Close all connections."""
        await self._connector.close()
        if self._own_resolver is not None:
            await self._own_resolver.close()

    def _permitted(self, url: URL) -> Address:
        """What is looked at once for many calls; what an exception keeps from being one is looked at each time.

        Raises:
            ForbiddenTarget: its host is an address, and calls to it are not permitted.
            aiohttp.InvalidURL, ValueError: it cannot be called.
        """
        self._guard.check(literal_address(url.host or ""))
        return Address(url, self._proxy)

    async def call(self, target: Target, request: Request) -> Answer:
        """POST the message once. Whatever goes wrong is in the answer; nothing is raised."""
        now = self._now()
        ours = {
            "content-type": "application/json",
            "webhook-id": request.message_id,
            "webhook-timestamp": str(int(now)),
            "webhook-signature": sign(target.signing_keys(now), request.message_id, int(now), request.body),
            "webhook-event": request.event_type.value,
            "webhook-attempt": str(request.attempt),
        }
        if request.traceparent:
            ours[TRACEPARENT] = request.traceparent
        started = perf_counter()
        progress = Progress()
        code: int | None = None
        response_headers: Mapping[str, str] = {}
        body, truncated, failure, retry_after = b"", False, None, None
        limit = self._limit.begin()
        try:
            async with limit:
                address = self._address(target.url)
                exchange = await self._connector.exchange(address, progress)
                whole = False
                try:
                    head = address.head({"user-agent": USER_AGENT, **target.headers, **ours}, len(request.body))
                    code, answered, content = await exchange.post(head, request.body)
                    response_headers = mask_answer_headers(answered.items(), target.hidden)
                    retry_after = answered.get("retry-after")
                    if not 200 <= code < 300:
                        failure = of_status(code, response_headers.get("location"))
                    body, truncated = await _read_start(content)
                    whole = not truncated and content.at_eof()
                finally:
                    if whole:
                        exchange.release()
                    else:
                        exchange.close()
            if answered.get("content-encoding", "").lower() in _COMPRESSED:
                body, truncated = _decompressed(body, truncated)
        except TimeoutError as error:
            failure = failure or of_time_out(progress, code, self._timeout)
            forget_frames(error)
        except Exception as error:  # noqa: BLE001 - whatever a target makes the client raise is the attempt's failure
            failure = failure or of_exception(error)
            forget_frames(error)
        finally:
            self._limit.end(limit)
        if failure is not None and target.hidden:
            failure = replace(failure, error=mask_text(failure.error, target.hidden))
        return Answer(
            failure=failure,
            duration_ms=round((perf_counter() - started) * 1000),
            response_code=code,
            retry_after=retry_after,
            request_headers={"user-agent": USER_AGENT, **target.shown_headers, **ours},
            response_headers=response_headers,
            response_body=mask_bytes(body, target.hidden, cut=truncated),
            response_truncated=truncated,
        )


async def _read_start(content: Content) -> tuple[bytes, bool]:
    """The first bytes of an answer, and whether there may be more."""
    chunks: list[bytes] = []
    room = KEPT_OF_ANSWER
    while room:
        chunk = await content.read(room)
        if not chunk:
            return b"".join(chunks), False
        chunks.append(chunk)
        room -= len(chunk)
    return b"".join(chunks), not content.at_eof()


def _decompressed(body: bytes, truncated: bool) -> tuple[bytes, bool]:
    """The readable start of a compressed answer, never more of it than of a plain one."""
    decompressor = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    try:
        plain = decompressor.decompress(body, KEPT_OF_ANSWER)
    except zlib.error:
        return body, truncated
    return plain, truncated or bool(decompressor.unconsumed_tail)


def retry_after_of(answer: Answer, now: float) -> timedelta | None:
    """How long a target that is overloaded (429, 503) asked to be left alone (RFC 9110, section 10.2.3).

    ``now`` is in seconds since the epoch. A value that cannot be read is no wish.
    """
    if answer.response_code not in (429, 503) or answer.retry_after is None:
        return None
    wish = answer.retry_after.strip()
    if wish.isascii() and wish.isdigit():
        return timedelta(seconds=min(int(wish.lstrip("0")[:9] or 0), 10**8))
    return _until(wish, now)


def _until(http_date: str, now: float) -> timedelta | None:
    try:
        moment = parsedate_to_datetime(http_date)
        if moment.tzinfo is None:  # as asctime() writes it; it means UTC
            moment = moment.replace(tzinfo=UTC)
        seconds = moment.timestamp() - now
    except (TypeError, ValueError, OverflowError):
        return None
    return timedelta(seconds=max(seconds, 0))
