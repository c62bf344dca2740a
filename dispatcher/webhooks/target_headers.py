"""The headers that an organization has its webhook send: what is accepted, and how their values are hidden."""

import re
from collections.abc import Mapping

MAX_HEADERS = 32
MAX_NAME_LENGTH = 128
MAX_VALUE_LENGTH = 4096
MAX_TOTAL_LENGTH = 8192
"""Names and values together, in characters: what servers commonly take is not much more."""

MASK = "••••••"
"""Stands for every value that is shown; no value can be equal to it, because values are ASCII."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_VALUE = re.compile(r"([!-~]([\t -~]*[!-~])?)?", re.ASCII)

_CONNECTION = frozenset(
    {
        "connection",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_OURS = frozenset(
    {"accept-encoding", "content-encoding", "content-length", "content-type", "host", "traceparent", "user-agent"}
)
_OUR_PREFIX = "webhook-"


def check_target_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers that can be sent with every attempt, as they came.

    Raises:
        ValueError: one cannot; the message names it, never its value.
    """
    if len(headers) > MAX_HEADERS:
        raise ValueError(f"there are more than {MAX_HEADERS} headers; remove some")
    seen: set[str] = set()
    for name, value in headers.items():
        _check_name(name)
        if name.lower() in seen:
            raise ValueError(f"the header {name} is there twice (upper and lower case are the same)")
        seen.add(name.lower())
        if len(value) > MAX_VALUE_LENGTH:
            raise ValueError(f"the value of the header {name} is longer than {MAX_VALUE_LENGTH} characters")
        if value == MASK:
            raise ValueError(f"the value of the header {name} is masked; write the value itself")
        if not _VALUE.fullmatch(value):
            raise ValueError(
                f"the value of the header {name} has other than printable ASCII characters, "
                "or spaces around it; remove them"
            )
    if sum(len(name) + len(value) for name, value in headers.items()) > MAX_TOTAL_LENGTH:
        raise ValueError(f"the headers together are longer than {MAX_TOTAL_LENGTH} characters; shorten them")
    return dict(headers)


def check_but_masked(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers of somebody who was shown masked ones: a masked value is what it was, and is checked when it is known.

    Raises:
        ValueError: one of the others cannot be sent.
    """
    check_target_headers({name: "" if value == MASK else value for name, value in headers.items()})
    return dict(headers)


def _check_name(name: str) -> None:
    if len(name) > MAX_NAME_LENGTH or not _TOKEN.fullmatch(name):
        shown = name[:MAX_NAME_LENGTH]
        raise ValueError(
            f"{shown!r} is not a header's name: use at most {MAX_NAME_LENGTH} letters, digits, - and the like"
        )
    lower = name.lower()
    if lower in _CONNECTION:
        raise ValueError(f"the header {name} is about the connection and cannot be set; remove it")
    if lower in _OURS or lower.startswith(_OUR_PREFIX):
        raise ValueError(f"the header {name} is set by the dispatcher; remove it")


def mask(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers with every value hidden."""
    return dict.fromkeys(headers, MASK)


def merge_masked(sent: Mapping[str, str], current: Mapping[str, str]) -> dict[str, str]:
    """The headers that somebody means who was shown masked ones: a masked value is the current one.

    Raises:
        ValueError: a masked value is sent for a header that there is none of.
    """
    values = {name.lower(): value for name, value in current.items()}
    merged = dict(sent)
    for name, value in sent.items():
        if value == MASK:
            if name.lower() not in values:
                raise ValueError(f"the value of the header {name} is masked, but there was none before; write it out")
            merged[name] = values[name.lower()]
    return merged
