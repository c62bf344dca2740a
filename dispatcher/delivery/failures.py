"""Why an attempt failed: a reason that machines group by, and words that a person understands."""

import errno
import re
import socket
import ssl
from dataclasses import dataclass
from datetime import timedelta

import aiodns
import aiohttp
from aiohttp import http_exceptions

from dispatcher.delivery.connections import RECEIVED_AT_MOST, EndlessAnswer, Progress
from dispatcher.delivery.guard import NOT_PERMITTED, ForbiddenTarget
from dispatcher.durations import format_duration


@dataclass(frozen=True, slots=True)
class Failure:
    """``reason`` is one of a few dozen words (a label of metrics), ``error`` one sentence."""

    reason: str
    error: str


MAX_BODY_BYTES = 256 * 1024
"""The largest rendered body that is sent."""

TOO_LARGE = "too_large"
"""The reason of a message that failed because its body would not be sent."""


def of_size(size: int) -> Failure:
    """The failure that a rendered body of so many bytes is, more than ``MAX_BODY_BYTES``."""
    error = f"the rendered message is {-(-size // 1024)} KiB; at most {MAX_BODY_BYTES // 1024} KiB are sent"
    return Failure(TOO_LARGE, error)


def of_status(code: int, location: str | None) -> Failure:
    """The failure that an answer's status other than 2xx is."""
    if code == 410:
        return Failure("gone", "the target answered 410 Gone")
    if 300 <= code < 400 and location is not None:
        return Failure("redirect", f"redirect ({code}) to {_shown(location)} not followed")
    return Failure("http_status", f"the target answered {code}")


def of_time_out(progress: Progress, code: int | None, timeout: timedelta) -> Failure:
    """The failure that the end of an attempt's time is; ``code`` is None while no answer's headers have come."""
    if not progress.connected:
        missing = "no connection"
    elif code is not None:
        missing = f"the target answered {code}, but its answer did not end"
    elif progress.answered:
        missing = "the target began to answer, but its answer's headers did not end"
    else:
        missing = "no answer"
    amount, unit = re.findall(r"\d+|\D+", format_duration(timeout))
    return Failure("timeout", f"{missing} within {amount} {unit}")


def of_exception(error: Exception) -> Failure:
    """The failure that an exception during a call is."""
    if isinstance(error, aiohttp.ClientPayloadError):
        return Failure("broken_answer", "the answer broke off before its end")
    for cause in _chain(error):
        failure = _of_name_resolution(cause) or _of_tls(cause) or _of_connection(cause) or _of_answer(cause)
        if failure is not None:
            return _at_the_proxy(failure) if isinstance(error, aiohttp.ClientProxyConnectionError) else failure
    return Failure("broken_answer", f"the call failed: {_shown(str(error) or type(error).__name__)}")


def forget_frames(error: BaseException) -> None:
    """Let go of the frames in which an exception, and what it was made of, were raised.

    aiohttp's frames hold the exceptions that hold them. Nothing but the garbage collector would free those cycles, and
    of a target that refuses there are hundreds a second, fifty objects each.
    """
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is not None and each.__traceback__ is not None:
            each.__traceback__ = None
            waiting += [each.__cause__, each.__context__, getattr(each, "os_error", None)]


def _at_the_proxy(failure: Failure) -> Failure:
    return Failure("proxy", f"the egress proxy cannot be used: {failure.error}")


def _chain(error: BaseException | None) -> list[BaseException]:
    """The exception and what it was made of, the innermost first."""
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        if isinstance(error, aiohttp.ClientConnectorError) and error.os_error is not None:
            error = error.os_error
        else:
            error = error.__cause__ or error.__context__
    return found[::-1]


def _of_name_resolution(error: BaseException) -> Failure | None:
    match error:
        case aiodns.error.DNSError() if error.args[:1] == (aiodns.error.ARES_ETIMEOUT,):
            return Failure("dns", "no name server answered when the host's name was looked up")
        case aiodns.error.DNSError() | socket.gaierror() | aiohttp.ClientConnectorDNSError():
            return Failure("dns", "the host's name cannot be resolved")
    return None


def _of_tls(error: BaseException) -> Failure | None:
    match error:
        case ssl.SSLCertVerificationError():
            words = _CERTIFICATE.get(error.verify_code, f"certificate not accepted: {error.verify_message}")
            return Failure("tls", words)
        case ssl.SSLError():
            reason = error.reason or "protocol error"
            return Failure("tls", _TLS.get(reason, f"TLS failed: {reason.replace('_', ' ').lower()}"))
    return None


def _of_connection(error: BaseException) -> Failure | None:  # noqa: PLR0911 - a table
    match error:
        case ForbiddenTarget(address=None):
            return Failure("forbidden_target", NOT_PERMITTED)
        case ForbiddenTarget():
            return Failure("forbidden_target", f"{NOT_PERMITTED}: {error.address}")
        case ConnectionRefusedError():
            return Failure("connection_refused", "connection refused")
        case ConnectionResetError() | BrokenPipeError() | ConnectionAbortedError():
            return Failure("connection_reset", "the target reset the connection")
        case OSError() if error.errno in _UNREACHABLE:
            return Failure("unreachable", f"the target cannot be reached: {_UNREACHABLE[error.errno]}")
        case OSError() if NOT_PERMITTED in str(error):  # one of several addresses, each with an error of its own
            return Failure("forbidden_target", NOT_PERMITTED)
        case OSError() if "Multiple exceptions" in str(error):
            return Failure("unreachable", "none of the target's addresses can be reached")
    return None


def _of_answer(error: BaseException) -> Failure | None:  # noqa: PLR0911 - a table
    match error:
        case EndlessAnswer():
            size = f"{RECEIVED_AT_MOST // 1024} KiB"
            return Failure("broken_answer", f"the target sent more than {size} that are no answer")
        case aiohttp.ServerDisconnectedError():
            return Failure("connection_closed", "the target closed the connection without an answer")
        case aiohttp.ClientHttpProxyError():
            return Failure("proxy", f"the egress proxy refused to connect: it answered {error.status}")
        case http_exceptions.LineTooLong():
            return Failure("broken_answer", "the answer is not valid HTTP: a header, or its first line, is too long")
        case aiohttp.ClientResponseError() | http_exceptions.HttpProcessingError():
            if _TLS_ALERT in error.message:
                return Failure("broken_answer", "the target speaks TLS: its URL starts with https://")
            return Failure("broken_answer", f"the answer is not valid HTTP: {_without_marker(error.message)}")
        case aiohttp.InvalidURL():
            return Failure("invalid_url", "the target URL cannot be called; correct it in the webhook")
    return None


def _without_marker(message: str) -> str:
    """What an HTTP parser says, without the line under it that points at the place."""
    return _shown(" ".join(line for line in message.splitlines() if line.strip() != "^"))


# By X509_V_ERR of OpenSSL.
_CERTIFICATE = {
    9: "certificate not valid yet",
    10: "certificate expired",
    18: "certificate self-signed: it is not trusted",
    19: "certificate of an authority that is not trusted",
    20: "certificate of an issuer that is not trusted, or the target does not send the whole chain",
    21: "certificate of an issuer that is not trusted, or the target does not send the whole chain",
    62: "certificate for another host",
    64: "certificate for another address",
}

_NOT_TLS = "the target does not speak TLS: its URL starts with http://, or its port is another"
_OLD_TLS = "the target speaks only versions of TLS that are too old: it needs TLS 1.2 or newer"
_TLS = {
    "WRONG_VERSION_NUMBER": _NOT_TLS,
    "RECORD_LAYER_FAILURE": _NOT_TLS,
    "PACKET_LENGTH_TOO_LONG": _NOT_TLS,
    "HTTP_REQUEST": _NOT_TLS,
    "UNSUPPORTED_PROTOCOL": _OLD_TLS,
    "TLSV1_ALERT_PROTOCOL_VERSION": _OLD_TLS,
    "UNEXPECTED_EOF_WHILE_READING": "the target closed the connection during the TLS handshake",
}
_TLS_ALERT = r"b'\x15\x03"

_UNREACHABLE = {
    errno.ENETUNREACH: "no route to its network",
    errno.EHOSTUNREACH: "no route to the host",
    errno.ETIMEDOUT: "connecting timed out",
    errno.EADDRNOTAVAIL: "no local port or address is free",
}


def _shown(text: str) -> str:
    """Somebody else's text on one line, of a bounded length."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text[:400]).split())
    return line if len(line) <= 200 else line[:199] + "…"
