"""The headers that an organization has its webhook send: what is accepted, and how their values are hidden."""

import re
from collections.abc import Container, Iterable, Iterator, Mapping
from itertools import islice

from dispatcher.validation import BadMembers

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
        BadMembers: some cannot; the messages name them, never their values.
    """
    _raise_if_any(_wrong(headers))
    return dict(headers)


_Wrong = tuple[tuple[str, ...], str]


def _raise_if_any(wrong: Iterable[_Wrong]) -> None:
    found = list(wrong)
    if found:
        raise BadMembers(found)


def _wrong(headers: Mapping[str, str]) -> Iterator[_Wrong]:
    if len(headers) > MAX_HEADERS:
        yield (), f"there are more than {MAX_HEADERS} headers; remove some"
    seen: set[str] = set()
    # Of those that are too many, some have to go: a body holds a hundred thousand.
    for name, value in islice(headers.items(), MAX_HEADERS):
        for detail in filter(None, (_wrong_name(name, seen), _wrong_value(name, value))):
            yield (name,), detail
        seen.add(name.lower())
    if sum(len(name) + len(value) for name, value in headers.items()) > MAX_TOTAL_LENGTH:
        yield (), f"the headers together are longer than {MAX_TOTAL_LENGTH} characters; shorten them"


def _wrong_value(name: str, value: str) -> str | None:
    if len(value) > MAX_VALUE_LENGTH:
        return f"the value of the header {name} is longer than {MAX_VALUE_LENGTH} characters"
    if value == MASK:
        return f"the value of the header {name} is masked; write the value itself"
    if not _VALUE.fullmatch(value):
        return (
            f"the value of the header {name} has other than printable ASCII characters, or spaces around it; "
            "remove them"
        )
    return None


def check_but_masked(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers of somebody who was shown masked ones: a masked value is what it was, and is checked when it is known.

    Raises:
        BadMembers: some of the others cannot be sent.
    """
    check_target_headers({name: "" if value == MASK else value for name, value in headers.items()})
    return dict(headers)


def _wrong_name(name: str, seen: Container[str]) -> str | None:
    if len(name) > MAX_NAME_LENGTH or not _TOKEN.fullmatch(name):
        shown = name[:MAX_NAME_LENGTH]
        return f"{shown!r} is not a header's name: use at most {MAX_NAME_LENGTH} letters, digits, - and the like"
    lower = name.lower()
    if lower in seen:
        return f"the header {name} is there twice (upper and lower case are the same)"
    if lower in _CONNECTION:
        return f"the header {name} is about the connection and cannot be set; remove it"
    if lower in _OURS or lower.startswith(_OUR_PREFIX):
        return f"the header {name} is set by the dispatcher; remove it"
    return None


def mask(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers with every value hidden."""
    return dict.fromkeys(headers, MASK)


def merge_masked(sent: Mapping[str, str], current: Mapping[str, str]) -> dict[str, str]:
    """The headers that somebody means who was shown masked ones: a masked value is the current one.

    Raises:
        BadMembers: masked values are sent for headers that there are none of.
    """
    values = {name.lower(): value for name, value in current.items()}
    _raise_if_any(
        ((name,), f"the value of the header {name} is masked, but there was none before; write it out")
        for name, value in sent.items()
        if value == MASK and name.lower() not in values
    )
    return {name: values[name.lower()] if value == MASK else value for name, value in sent.items()}
