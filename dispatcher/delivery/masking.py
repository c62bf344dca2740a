"""What of a request and its answer may be shown and stored: secret values are masked."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence

from yarl import URL

from dispatcher.webhooks.target_headers import MASK

_SECRET_SEGMENT = re.compile(r"[^/]{20,}")
_TELLS_OF_A_SECRET = re.compile(
    r"access|auth|bearer|code|cookie|credential|hmac|key|otp|pass|pin|pwd|secret|sign|token", re.IGNORECASE
)
_MASK_BYTES = MASK.encode()
_SECRET_ANSWER_HEADERS = frozenset({"set-cookie", "www-authenticate", "authorization", "proxy-authenticate"})


def mask_url(url: URL, *, whole_path: bool = False) -> str:
    """The URL without the values of its query, and without path segments and names long enough to be tokens.

    The URLs of Slack and Microsoft Teams are secrets: whoever knows them can post. ``whole_path``: the path stays.
    """
    path = url.raw_path if whole_path else _SECRET_SEGMENT.sub(MASK, url.raw_path)
    names = ((_SECRET_SEGMENT.sub(MASK, name), equals) for name, equals, _ in _query(url))
    query = "&".join(f"{name}={MASK}" if equals else name for name, equals in names)
    return f"{url.scheme}://{url.raw_authority}{path}" + (f"?{query}" if query else "")


def secrets_of(url: URL, headers: Mapping[str, str]) -> tuple[str, ...]:
    """What must not be shown of a webhook's URL and headers, wherever it turns up: targets echo what they are sent.

    Values of a few characters are left out, and short words and numbers where the header's name tells of no secret:
    they would mask what has nothing to do with them.
    """
    parts = [piece for value in headers.values() for piece in value.split() if len(piece) >= 8]
    values = [value for name, value in headers.items() if len(value) >= 4 and not _is_a_word(name, value)]
    # Both as they are sent, which is how a redirect repeats them, and as whoever reads them understands them.
    queried = {*url.query.values(), *(value for _, _, value in _query(url))}
    bare = [name for name, _, _ in _query(url) if _SECRET_SEGMENT.fullmatch(name)]
    tokens = _SECRET_SEGMENT.findall(url.raw_path) + bare + [value for value in queried if len(value) >= 8]
    written = {
        spelling
        for secret in (*values, *parts, *tokens)
        for spelling in (secret, json.dumps(secret)[1:-1], secret.replace("/", "\\/"))
    }
    return tuple(sorted(written, key=len, reverse=True))


def mask_text(text: str, secrets: Sequence[str]) -> str:
    """The text with every occurrence of a secret masked."""
    for secret in secrets:
        text = text.replace(secret, MASK)
    return text


def mask_bytes(content: bytes, secrets: Sequence[str], *, cut: bool) -> bytes:
    """The content with every occurrence of a secret masked; where it was cut, also one that begins at its end."""
    for secret in map(str.encode, secrets):
        content = content.replace(secret, _MASK_BYTES)
        begun = (secret[:length] for length in range(len(secret) - 1, 3, -1)) if cut else ()
        for start in begun:
            content = content.removesuffix(start)
    return content


def mask_answer_headers(
    headers: Iterable[tuple[str, str]], secrets: Sequence[str] = (), limit: int = 16 * 1024
) -> dict[str, str]:
    """An answer's headers, names in lower case, repeated ones joined, cut after ``limit`` characters in all.

    Bytes that are no UTF-8, which aiohttp hands on as lone surrogates that nothing can write, are replaced.
    """
    shown: dict[str, str] = {}
    for name, value in headers:
        limit -= len(name) + len(value)
        if limit < 0:
            break
        lower = name.lower()
        valid = value if value.isascii() else value.encode(errors="surrogateescape").decode(errors="replace")
        visible = MASK if lower in _SECRET_ANSWER_HEADERS else mask_text(valid, secrets)
        shown[lower] = f"{shown[lower]}, {visible}" if lower in shown else visible
    return shown


def _query(url: URL) -> list[tuple[str, str, str]]:
    """The parts of the query as they are sent: name, equals sign and value, the latter two empty for a bare name."""
    return [part.partition("=") for part in url.raw_query_string.split("&") if part]


def _is_a_word(name: str, value: str) -> bool:
    return len(value) < 8 and (value.isalpha() or value.isdecimal()) and not _TELLS_OF_A_SECRET.search(name)
