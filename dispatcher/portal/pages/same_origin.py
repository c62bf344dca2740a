"""Requests that change something come from our own pages: their host, origin and the session's token say so."""

from hmac import compare_digest
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from dispatcher.dns_rebinding import asked_by_address, name_in
from dispatcher.portal.api.problems import Problem
from dispatcher.portal.pages.session import Session

CSRF_FIELD = "csrf"
CSRF_HEADER = "X-CSRF-Token"
SAFE = frozenset({hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS})

_PAGE = "This page was opened in another session. Go back, reload it, and try again."
_DRAFT = "This form was opened in another session, so nothing was saved. Open it again: what you typed comes back."


def check_host(request: web.Request, public_url: str | None) -> None:
    """Where people sign in without a secret, another site that makes its own name point here could do so too.

    Raises:
        Problem: 403.
    """
    host = request.host
    ours = public_url is not None and name_in(host) == name_in(urlsplit(public_url).netloc)
    if not ours and not asked_by_address(host):
        raise Problem(
            403,
            f"{host} is not an address of this portal. Open it by an IP address or as localhost, or set "
            "DISPATCHER_PUBLIC_URL to the URL by which people come.",
        )


def check_origin(request: web.Request, public_url: str | None) -> None:
    """The browser says where a request comes from; another site's is refused.

    Raises:
        Problem: 403.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        if site not in {"same-origin", "none"}:
            raise _foreign()
        return
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is None:
        return
    ours = {f"{request.scheme}://{request.host}"}
    if public_url is not None:
        parts = urlsplit(public_url)
        ours.add(f"{parts.scheme}://{parts.netloc}")
    if origin not in ours:
        raise _foreign()


class OtherSession(Problem):
    """403: a page of a session before was sent. ``draft``: what was typed there comes back when it is opened again."""

    def __init__(self, *, draft: bool) -> None:
        super().__init__(403, _DRAFT if draft else _PAGE)


def check_token(session: Session, given: str | None, *, draft: bool = False) -> None:
    """A form and a script repeat the session's token. ``draft``: the browser keeps what it sent from the form.

    Raises:
        OtherSession: they do not.
    """
    if given is None or not compare_digest(given.encode("utf-8", "replace"), session.csrf.encode()):
        raise OtherSession(draft=draft)


def _foreign() -> Problem:
    return Problem(403, "The request comes from another site.")
