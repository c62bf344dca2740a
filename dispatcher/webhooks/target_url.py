"""The URL that a webhook calls: what is accepted, and how it is written.

Where it leads is not checked here but when it is called: names change their addresses.
"""

import re
from ipaddress import AddressValueError, IPv6Address
from urllib.parse import SplitResult, quote, urlsplit

import idna

MAX_LENGTH = 2048

_UNSEEN = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202f\u2060\ufeff\ud800-\udfff]")
_HOST = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\.?", re.ASCII)
_IN_BRACKETS = re.compile(r"\[[^\[\]]*:[^\[\]]*\](:[0-9]*)?")
_NOT_SPLIT = "the URL's host or port is not valid; write it as https://host:port/path"
_DEFAULT_PORTS = {"http": 80, "https": 443}

# Everything that has a meaning in a URL, and % so that what is encoded already stays as it is.
_LEFT_ALONE = "%/:?@!$&'()*+,;=-._~[]"


def check_target_url(text: str) -> str:
    """The URL as it is to be called: in ASCII, what was percent-encoded untouched.

    Raises:
        ValueError: it is no URL that a webhook can call; the message says why.
    """
    if len(text) > MAX_LENGTH:
        raise ValueError(f"the URL is longer than {MAX_LENGTH} characters")
    if _UNSEEN.search(text) or "\\" in text:
        raise ValueError("the URL contains spaces, backslashes or invisible characters; remove them")
    if "#" in text:
        raise ValueError("the URL has a fragment (#…), which is never sent; remove it")
    parts, port = _split(text)
    if parts.scheme not in {"http", "https"} or not text[len(parts.scheme) :].startswith("://"):
        raise ValueError("the URL starts with https:// or http://")
    if "@" in parts.netloc:
        raise ValueError("the URL contains credentials; send them in a header instead")
    if not parts.hostname:
        raise ValueError("the URL has no host")
    if port == 0 or parts.netloc.endswith(":"):
        raise ValueError("the URL's port is a number between 1 and 65535")
    host = _host(parts.hostname)
    authority = host if port is None else f"{host}:{port}"
    query = f"?{quote(parts.query, safe=_LEFT_ALONE)}" if "?" in text else ""
    url = f"{parts.scheme}://{authority}{quote(parts.path, safe=_LEFT_ALONE)}{query}"
    if len(url) > MAX_LENGTH:
        raise ValueError(f"the URL is longer than {MAX_LENGTH} characters once it is percent-encoded")
    return url


def _split(text: str) -> tuple[SplitResult, int | None]:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError(_NOT_SPLIT) from None
    if "[" in parts.netloc and not _IN_BRACKETS.fullmatch(parts.netloc.rpartition("@")[2]):
        raise ValueError(_NOT_SPLIT)
    return parts, port


def same_target(one: str, other: str) -> bool:
    """Whether two URLs, as ``check_target_url`` returns them, lead to the same request of the same server."""
    return one == other or _as_requested(one) == _as_requested(other)


def _as_requested(url: str) -> tuple[str, str | None, int | None, str, bool, str]:
    parts = urlsplit(url)
    port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    return parts.scheme, parts.hostname, port, parts.path or "/", "?" in url, parts.query


def _host(name: str) -> str:
    if ":" in name:
        try:
            address = IPv6Address(name)
        except AddressValueError:
            raise ValueError("the URL's host is not a valid IPv6 address") from None
        if address.scope_id is not None:
            raise ValueError("the URL's IPv6 address has a zone (%…), which means nothing here; remove it")
        return f"[{address}]"
    try:
        host = name if name.isascii() else idna.encode(name, uts46=True).decode()
    except UnicodeError:
        raise ValueError("the URL's host is not a valid internationalized name") from None
    if len(host) > 253 or not _HOST.fullmatch(host) or any(len(label) > 63 for label in host.split(".")):
        raise ValueError("the URL's host is not a valid name or address")
    return host
