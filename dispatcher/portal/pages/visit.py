"""One request for a page: who asks, in which language, and how it is answered. What a page's handler is given."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from secrets import token_urlsafe
from typing import Any, Literal, TypeVar
from urllib.parse import quote, urlencode

from aiohttp import hdrs, web
from multidict import MultiDict
from pydantic import BaseModel, ValidationError

from dispatcher.folding import folded
from dispatcher.portal.api.operation import Body, Call, NoBody, NoQuery, Query
from dispatcher.portal.api.problems import errors_in_body, errors_in_query, invalid
from dispatcher.portal.auth import ORGANIZATION_ADMIN, Caller
from dispatcher.portal.pages.languages import Language
from dispatcher.portal.pages.rendering import Renderer
from dispatcher.portal.pages.session import Flash, Session

THEME_COOKIE = "theme"
LANGUAGE_COOKIE = "language"
PART_HEADER = "X-Page-Part"
"""Whoever asks with this header, as the page's script does, gets what follows the page under this name, and no more."""

# By the first they say how they ask (Fetch Metadata), but not over http to other machines; by the second that https is
# welcome.
_OF_BROWSERS = ("Sec-Fetch-Mode", "Upgrade-Insecure-Requests")

THEMES = ("system", "light", "dark")

M = TypeVar("M", bound=BaseModel)
Q = TypeVar("Q", bound=Query)
B = TypeVar("B", bound=Body)


@dataclass(slots=True)
class Visit:
    """A request for a page. ``session`` is None on the pages that people see before they sign in."""

    request: web.Request
    language: Language
    renderer: Renderer
    session: Session | None
    fields: Mapping[str, str] = field(default_factory=dict)
    """What a form holds, its first value of each name; ``all_fields`` has all."""
    all_fields: MultiDict[str] = field(default_factory=MultiDict)
    style_nonce_: str | None = None
    followed: bool = False
    """Whether parts of the page are asked for once it is there."""

    @property
    def caller(self) -> Caller:
        """Who signed in."""
        if self.session is None:
            raise RuntimeError("nobody signed in")
        return self.session.caller

    @property
    def organization_id(self) -> str:
        """The organization in the path, of which the caller is an admin; empty on pages that are of none."""
        return self.request.match_info.get("organization_id", "")

    @property
    def organizations(self) -> list[tuple[str, str]]:
        """Ids and names of the organizations whose webhooks the caller may configure, by name."""
        if self.session is None:
            return []
        admin = (
            (id, membership.name or id)
            for id, membership in self.caller.organizations.items()
            if membership.role == ORGANIZATION_ADMIN
        )
        return sorted(admin, key=lambda one: (folded(one[1]), one[0]))

    @property
    def home_url(self) -> str:
        """Where the way out of a page leads: the overview of its organization, if the caller may see that."""
        known = self.organization_id in dict(self.organizations)
        return self.organization_url() if known else "/"

    @property
    def theme(self) -> str:
        """``system``, ``light`` or ``dark``."""
        return theme_of(self.request)

    def gettext(self, text: str, **values: object) -> str:
        """The text in the person's language; ``%(name)s`` stands for a value."""
        translated = self.language.gettext(text)
        return translated % values if values else translated

    def call(
        self, query: Q | None = None, body: B | None = None, *, headers: Mapping[str, str] | None = None
    ) -> Call[Any, Any]:
        """The call of an operation of the API that stands for this request; the path's names are the API's."""
        return Call(
            self.caller,
            self.request.match_info,
            query or NoQuery(),
            body or NoBody(),
            b"",
            self.request,
            headers or {},
        )

    def organization_url(self, *path: str, **query: str) -> str:
        """An address under the organization's webhooks, such as ``organization_url("new")``."""
        return webhooks_url(self.organization_id, *path, **query)

    @property
    def whole(self) -> bool:
        """Whether what takes ClickHouse a while is asked for too; else it follows the page, which is seen at once.

        It follows in browsers, and not where scripts are switched off.
        """
        headers = self.request.headers
        browser = any(name in headers for name in _OF_BROWSERS)
        return PART_HEADER not in headers and ("whole" in self.request.query or not browser)

    def only(self, part: str) -> bool:
        """Whether this alone, of what follows the page, is asked for."""
        return self.request.headers.get(PART_HEADER) == part

    @property
    def audit_url(self) -> str:
        """The address of the organization's audit."""
        return f"/organizations/{quote(self.organization_id, safe='')}/audit"

    def here(self, **changes: str | None) -> str:
        """This page's address with other query parameters; None removes one."""
        query = {name: value for name, value in self.request.query.items() if value and name != "whole"}
        for name, value in changes.items():
            if value is None:
                query.pop(name, None)
            else:
                query[name] = value
        return self.request.rel_url.raw_path + (f"?{urlencode(query)}" if query else "")

    def flash(self, kind: Literal["success", "error"], text: str) -> None:
        """Say something on the next page that is shown."""
        if self.session is not None:
            self._keep(*self.session.flashes, Flash(kind=kind, text=text))

    def show_secret(self, webhook_id: str, secret: str) -> None:
        """Show a new signing secret of a webhook when its page is shown next, instead of one that nobody has seen."""
        if self.session is not None:
            others = (one for one in self.session.flashes if one.kind != "secret" or one.webhook_id != webhook_id)
            self._keep(*others, Flash(kind="secret", text=secret, webhook_id=webhook_id))

    def _says(self, flash: Flash, secret_of: str | None) -> bool:
        if PART_HEADER in self.request.headers:
            return False
        if flash.kind == "secret":
            return _is_of(flash, secret_of)
        return self.whole or not flash.shown

    def _keep(self, *flashes: Flash) -> None:
        if self.session is not None:
            self.session = self.session.model_copy(update={"flashes": flashes})

    def style_nonce(self) -> str:
        """For the style elements of an editor that makes its own: lets this page have them."""
        self.style_nonce_ = self.style_nonce_ or token_urlsafe(16)
        return self.style_nonce_

    def render(self, template: str, *, status: int = 200, secret_of: str | None = None, **context: Any) -> web.Response:
        """The page that a template makes, ``visit`` among what it knows.

        It shows the secret of the webhook ``secret_of``, if one waits to be shown.
        """
        waiting = self.session.flashes if self.session is not None else ()
        flashes = tuple(one for one in waiting if self._says(one, secret_of))
        left = tuple(one for one in waiting if one not in flashes and not one.shown)
        if self.followed:
            # A browser without script goes on from here at once, to the same page as a whole.
            left += tuple(one.model_copy(update={"shown": True}) for one in flashes)
        if left != waiting:
            self._keep(*left)
        html = self.renderer.render(self.language.code, template, {"visit": self, "flashes": flashes, **context})
        return web.Response(
            body=html.encode("utf-8", "replace"), status=status, content_type="text/html", charset="utf-8"
        )

    def see(self, url: str) -> web.Response:
        """Send the browser to another page, which it asks for by GET."""
        return web.Response(status=303, headers={hdrs.LOCATION: url})


Handler = Callable[[Visit], Awaitable[web.Response]]


def _is_of(secret: Flash, webhook_id: str | None) -> bool:
    # A portal of the version before says of no secret whose it is.
    return webhook_id is not None and secret.webhook_id in {webhook_id, None}


def theme_of(request: web.Request) -> str:
    """The theme that somebody chose: ``system``, ``light`` or ``dark``."""
    chosen = request.cookies.get(THEME_COOKIE, "")
    return chosen if chosen in THEMES else THEMES[0]


def webhooks_url(organization_id: str, *path: str, **query: str) -> str:
    """An address under an organization's webhooks."""
    parts = "".join(f"/{quote(part, safe='')}" for part in path)
    asked = f"?{urlencode(query)}" if query else ""
    return f"/organizations/{quote(organization_id, safe='')}/webhooks{parts}{asked}"


def body_of(model: type[M], members: object) -> M:
    """The body of a call, checked as the API checks it.

    Raises:
        Problem: 422 that names every bad member.
    """
    try:
        return model.model_validate(members)
    except ValidationError as error:
        raise invalid(errors_in_body(error)) from None


def query_of(model: type[M], parameters: Mapping[str, str]) -> M:
    """The query of a call, checked as the API checks it; parameters without a value count as absent.

    Raises:
        Problem: 422 that names every bad parameter.
    """
    try:
        return model.model_validate({name: value for name, value in parameters.items() if value})
    except ValidationError as error:
        raise invalid(errors_in_query(error)) from None
