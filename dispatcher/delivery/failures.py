"""Why an attempt failed: a reason that machines group by, and words that a person understands."""

import errno
import socket
import ssl
from dataclasses import dataclass
from datetime import timedelta

import aiohttp

from dispatcher.delivery.guard import NOT_PERMITTED, ForbiddenTarget
from dispatcher.durations import format_duration


@dataclass(frozen=True, slots=True)
class Failure:
    """``reason`` is one of a few dozen words (a label of metrics), ``error`` one sentence."""

    reason: str
    error: str


def of_status(code: int, location: str | None) -> Failure:
    """The failure that an answer's status other than 2xx is."""
    if code == 410:
        return Failure("gone", "the target answered 410 Gone")
    if 300 <= code < 400 and location is not None:
        return Failure("redirect", f"redirect ({code}) to {_shown(location)} not followed")
    return Failure("http_status", f"the target answered {code}")


def of_exception(error: Exception, timeout: timedelta) -> Failure:
    """The failure that an exception during a call is."""
    if isinstance(error, aiohttp.ClientPayloadError):
        return Failure("broken_answer", "the answer broke off before its end")
    for cause in _chain(error):
        failure = _of_cause(cause, timeout)
        if failure is not None:
            return failure
    return Failure("broken_answer", f"the call failed: {_shown(str(error) or type(error).__name__)}")


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


def _of_cause(error: BaseException, timeout: timedelta) -> Failure | None:  # noqa: C901, PLR0911, PLR0912 - a table
    match error:
        case ForbiddenTarget():
            return Failure("forbidden_target", f"{NOT_PERMITTED}: {error.address}")
        case TimeoutError() if error.errno is None:
            return Failure("timeout", f"no complete answer within {format_duration(timeout)}")
        case ssl.SSLCertVerificationError():
            return Failure("tls", f"the certificate was not accepted: {error.verify_message}")
        case ssl.SSLError():
            return Failure("tls", f"TLS failed: {(error.reason or 'protocol error').replace('_', ' ').lower()}")
        case socket.gaierror() | aiohttp.ClientConnectorDNSError():
            return Failure("dns", "the host's name cannot be resolved")
        case ConnectionRefusedError():
            return Failure("connection_refused", "connection refused")
        case ConnectionResetError() | BrokenPipeError():
            return Failure("connection_reset", "the target reset the connection")
        case OSError() if error.errno in _UNREACHABLE:
            return Failure("unreachable", f"the target cannot be reached: {_UNREACHABLE[error.errno]}")
        case OSError() if NOT_PERMITTED in str(error):  # one of several addresses, each with an error of its own
            return Failure("forbidden_target", NOT_PERMITTED)
        case OSError() if "Multiple exceptions" in str(error):
            return Failure("unreachable", "none of the target's addresses can be reached")
        case aiohttp.ServerDisconnectedError():
            return Failure("connection_closed", "the target closed the connection without an answer")
        case aiohttp.ClientResponseError() | aiohttp.http_exceptions.HttpProcessingError():
            return Failure("broken_answer", f"the answer is not valid HTTP: {_shown(error.message)}")
        case aiohttp.InvalidURL():
            return Failure("invalid_url", "the target URL cannot be called; correct it in the webhook")
    return None


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
