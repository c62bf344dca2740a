"""``ETag`` and ``If-Match`` (RFC 9110, section 13.1.1): two people do not overwrite each other's changes unseen.

And ``If-None-Match`` (section 13.1.2): what somebody has is not sent again.
"""

import re
from typing import Any

from aiohttp import web

from dispatcher.portal.api.operation import Call, Header
from dispatcher.portal.api.problems import Problem

IF_MATCH = "If-Match"
IF_NONE_MATCH = "If-None-Match"
ETAG_DESCRIPTION = "The webhook's revision, for If-Match"
_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\U0010ffff]*"')
_TAGS = re.compile(rf"[ \t,]*{_TAG.pattern}(?:[ \t]*,[ \t,]*{_TAG.pattern})*[ \t,]*")

_LONGEST = 1_000
IF_MATCH_HEADER = Header("An ETag: the change is made only if the webhook still has this revision", _LONGEST)
IF_NONE_MATCH_HEADER = Header("An ETag: while the webhook has this revision, the answer is 304 without it")


def etag(revision: int) -> str:
    """The entity tag of a revision."""
    return f'"{revision}"'


def is_had(request: web.Request, tag: str) -> bool:
    """Whether the client says that it has what would be answered; ``tag`` is that answer's, without its quotes."""
    return any(one.value in {tag, "*"} for one in request.if_none_match or ())


def check_if_match(call: Call[Any, Any], revision: int) -> bool:
    """Whether the request names a revision; if it does, it is the current one.

    ``*`` names none: there is a webhook, and that is all it asks. A weak tag never matches.

    Raises:
        Problem: 412, the webhook has changed since, or the header is not a list of entity tags.
    """
    if names_another(call, revision):
        raise changed_meanwhile()
    return _tags_named(call) is not None


def names_another(call: Call[Any, Any], revision: int) -> bool:
    """Whether the request names revisions, and this one is not among them.

    Raises:
        Problem: 412, the header is not a list of entity tags.
    """
    tags = _tags_named(call)
    return tags is not None and etag(revision) not in tags


def _tags_named(call: Call[Any, Any]) -> list[str] | None:
    value = call.header(IF_MATCH, limit=_LONGEST, listed=True)
    if value is None or value == "*":
        return None
    if not _TAGS.fullmatch(value):
        raise Problem(412, 'If-Match is no ETag of the webhook: send it as it came, quotes included, such as "7".')
    return _TAG.findall(value)


def changed_meanwhile() -> Problem:
    """412: somebody was faster."""
    return Problem(412, "Somebody changed the webhook meanwhile. Read it again, then make your change.")
