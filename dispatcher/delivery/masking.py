"""What of a request and its answer may be shown and stored: secret values are masked."""

import re
from collections.abc import Iterable, Mapping

from yarl import URL

from dispatcher.webhooks.target_headers import MASK

_SECRET_SEGMENT = re.compile(r"[^/]{20,}")
_SECRET_ANSWER_HEADERS = frozenset({"set-cookie", "www-authenticate", "authorization", "proxy-authenticate"})


def mask_url(url: URL) -> str:
    """The URL without the values of its query and without path segments long enough to be tokens.

    The URLs of Slack and Microsoft Teams are secrets: whoever knows them can post.
    """
    path = _SECRET_SEGMENT.sub(MASK, url.raw_path)
    query = "&".join(f"{name}={MASK}" for name in url.query)
    return f"{url.scheme}://{url.raw_authority}{path}" + (f"?{query}" if query else "")


def mask_headers(headers: Iterable[tuple[str, str]], secret: Mapping[str, str]) -> dict[str, str]:
    """The headers, names in lower case, with the values of those named in ``secret`` masked."""
    names = {name.lower() for name in secret}
    return {name.lower(): MASK if name.lower() in names else value for name, value in headers}


def mask_answer_headers(headers: Iterable[tuple[str, str]], limit: int = 16 * 1024) -> dict[str, str]:
    """An answer's headers, names in lower case, repeated ones joined, cut after ``limit`` characters in all."""
    shown: dict[str, str] = {}
    for name, value in headers:
        limit -= len(name) + len(value)
        if limit < 0:
            break
        lower = name.lower()
        visible = MASK if lower in _SECRET_ANSWER_HEADERS else value
        shown[lower] = f"{shown[lower]}, {visible}" if lower in shown else visible
    return shown
