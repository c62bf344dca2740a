"""``ETag`` and ``If-Match``: two people who change one webhook do not overwrite each other unseen."""

from typing import Any

from dispatcher.portal.api.operation import Call
from dispatcher.portal.api.problems import BadField, Problem, invalid

IF_MATCH = "If-Match"
ETAG_DESCRIPTION = "The webhook's revision, for If-Match"
IF_MATCH_DESCRIPTION = "An ETag: the change is made only if the webhook still has this revision"


def etag(revision: int) -> str:
    """The entity tag of a revision."""
    return f'"{revision}"'


def check_if_match(call: Call[Any, Any], revision: int) -> bool:
    """Whether the request names a revision; if it does, it is the current one.

    Raises:
        Problem: 412, the webhook has changed since; 422, the header is not a list of entity tags.
    """
    value = call.header(IF_MATCH, limit=1_000)
    if value is None:
        return False
    if value == "*":
        return False
    tags = [tag.strip() for tag in value.split(",")]
    if not all(tag.removeprefix("W/").startswith('"') and tag.endswith('"') and len(tag) > 1 for tag in tags):
        raise invalid([BadField(field=IF_MATCH, detail='send the ETag as it came, quotes included: "7"')])
    if etag(revision) not in tags:
        raise changed_meanwhile()
    return True


def changed_meanwhile() -> Problem:
    """412: somebody was faster."""
    return Problem(412, "Somebody changed the webhook meanwhile. Read it again, then make your change.")
