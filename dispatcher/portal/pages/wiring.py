"""Puts the pages beside the API into one server: sessions, the checks of every request, errors as pages."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler as ServerHandler
from multidict import MultiDict

from dispatcher.portal.api.problems import Problem
from dispatcher.portal.api.rate_limits import Policy, RateLimits
from dispatcher.portal.api.server import CallerOf, count, problem_of, unreadable_body
from dispatcher.portal.api.webhook_views import MAX_ITEMS
from dispatcher.portal.auth import Authentication, Caller
from dispatcher.portal.ended_sessions import EndedSessions
from dispatcher.portal.pages import languages
from dispatcher.portal.pages.rendering import Renderer
from dispatcher.portal.pages.same_origin import (
    CSRF_FIELD,
    CSRF_HEADER,
    SAFE,
    OtherSession,
    check_host,
    check_origin,
    check_token,
)
from dispatcher.portal.pages.security_headers import HTTPS_ONLY, security_headers
from dispatcher.portal.pages.session import Seal, Session, Sessions
from dispatcher.portal.pages.static_files import StaticFiles
from dispatcher.portal.pages.visit import LANGUAGE_COOKIE, Handler, Visit
from dispatcher.webhooks.vault import Vault

MAX_FORM_MIB = 4
"""A form holds what a body of the API does (1 MiB), and takes up to three times as much to send it."""

MAX_FORM_FIELDS = MAX_ITEMS + 1_000
"""Each item that is chosen is a field."""

_NOT_PAGES = ("/api/", "/health/", "/metrics", "/static/")


@dataclass(frozen=True, slots=True)
class Page:
    """An address and what answers there. Where the path names an organization, only its admins come in."""

    path: str
    get: Handler | None = None
    post: Handler | None = None
    open: bool = False
    """Whether people see it who did not sign in."""
    draft: bool = False
    """Whether browsers keep what they sent here until it was taken in."""
    any_session: bool = False
    """Whether what was shown before the session began, which cannot repeat its token, is taken here.

    That it comes from our own pages, its origin alone says then.
    """
    limits: tuple[Policy, ...] = ()
    """How often one person may post here, beside what everybody may do."""


class Site:
    """All pages of a portal. ``public_url`` is how people reach it, where that is not as the server sees it.

    ``limits`` are the API's: what somebody asks for by pages and by programs counts together.
    ``without_secret``: people sign in at a click, which another site must not do for them.
    """

    def __init__(
        self,
        vault: Vault,
        public_url: str | None,
        limits: RateLimits,
        ended: EndedSessions,
        clock: Callable[[], datetime],
        *,
        without_secret: bool = False,
    ) -> None:
        secure = public_url is not None and public_url.startswith("https:")
        self.sessions = Sessions(Seal(vault.derived("portal: sessions")), ended, secure=secure, clock=clock)
        self.secure = secure
        self._public_url = public_url
        self._without_secret = without_secret
        self._limits = limits
        self._static = StaticFiles()
        self._renderer = Renderer(self._static)

    def add_to(self, app: web.Application, pages: Iterable[Page]) -> None:
        """Serve these pages."""
        app.middlewares.append(self._errors_as_pages)
        if self.secure:
            app.on_response_prepare.append(_by_https_only)
        app.router.add_get("/static/{name:.+}", self._static.serve)
        for page in pages:
            if page.get is not None:
                app.router.add_get(page.path, self._bound(page, page.get))
            if page.post is not None:
                app.router.add_post(page.path, self._bound(page, page.post))

    def callers(self, authentication: Authentication) -> CallerOf:
        """Who sends requests to the API: by a bearer token, or from our pages by the session's cookie."""

        async def caller_of(request: web.Request) -> Caller:
            authorization = request.headers.get(hdrs.AUTHORIZATION)
            session = None if authorization is not None else self.sessions.read(request.cookies)
            if session is None:
                return await authentication.caller(authorization)
            self._check_host(request)
            if request.method not in SAFE:
                check_origin(request, self._public_url)
                check_token(session, request.headers.get(CSRF_HEADER))
            return session.caller

        return caller_of

    def _bound(self, page: Page, handler: Handler) -> ServerHandler:
        async def handle(request: web.Request) -> web.StreamResponse:
            session = self.sessions.read(request.cookies)
            visit = self._visit(request, session)
            try:
                response = await self._answer(page, handler, visit)
            except Exception as error:  # noqa: BLE001 - whatever went wrong, people get a page
                response = error_page(visit, problem_of(request, error), form=page.draft)
            return self._finished(visit, session, response)

        return handle

    async def _answer(self, page: Page, handler: Handler, visit: Visit) -> web.Response:
        request = visit.request
        self._check_host(request)
        if not page.open and visit.session is None:
            if request.method in SAFE:
                return visit.see(f"/sign-in?next={quote(request.path_qs, safe='')}")
            raise Problem(401, visit.gettext("Your session has ended. Sign in again."))
        if request.method not in SAFE:
            check_origin(request, self._public_url)
            # What is too long is told at its field, among all else that was typed; not to who did not sign in.
            visit.all_fields = await _fields(request if page.open else _to_be_read(request))
            visit.fields = dict(reversed(list(visit.all_fields.items())))
            if visit.session is not None and not page.any_session:
                check_token(visit.session, visit.fields.get(CSRF_FIELD), draft=page.draft)
        if visit.organization_id:
            visit.caller.require_admin(visit.organization_id)
        if visit.session is not None:
            count(request, self._limits, () if request.method in SAFE else page.limits, visit.caller)
        return await handler(visit)

    def _check_host(self, request: web.Request) -> None:
        if self._without_secret:
            check_host(request, self._public_url)

    def _visit(self, request: web.Request, session: Session | None) -> Visit:
        spoken = languages.chosen(request.cookies.get(LANGUAGE_COOKIE), request.headers.get(hdrs.ACCEPT_LANGUAGE, ""))
        return Visit(request, spoken, self._renderer, session)

    def _finished(self, visit: Visit, before: Session | None, response: web.Response) -> web.Response:
        session = visit.session
        if session is not None:
            session = self.sessions.touched(session)
            # One that another tab replaced while this was answered is not put back in the new one's place.
            if session is not before and not self.sessions.was_ended(session):
                try:
                    self.sessions.write(response, visit.request.cookies, session)
                except Problem as problem:
                    visit.session = before
                    response = error_page(visit, problem)
        for name, value in security_headers(visit.style_nonce_).items():
            response.headers.setdefault(name, value)
        response.headers.setdefault(hdrs.VARY, "Cookie, Accept-Language")
        return response

    @web.middleware
    async def _errors_as_pages(self, request: web.Request, handler: ServerHandler) -> web.StreamResponse:
        """What no page answers, such as an address that there is not, is still told to people by a page."""
        if request.path.startswith(_NOT_PAGES) or "text/html" not in request.headers.get(hdrs.ACCEPT, ""):
            return await handler(request)
        try:
            return await handler(request)
        except web.HTTPException as error:
            session = self.sessions.read(request.cookies)
            visit = self._visit(request, session)
            return self._finished(visit, session, error_page(visit, problem_of(request, error)))


async def _by_https_only(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HTTPS_ONLY)


def _to_be_read(request: web.Request) -> web.Request:
    return request.clone(client_max_size=MAX_FORM_MIB * 1024 * 1024, client_max_fields=MAX_FORM_FIELDS)


async def _fields(request: web.Request) -> MultiDict[str]:
    """What a form holds, without files."""
    try:
        form = await request.post()
    except web.HTTPRequestEntityTooLarge:
        most, fields = request.client_max_size // 1024 // 1024, request.client_max_fields
        text = f"The form is larger than {most} MiB, or has more than {fields} fields; send less."
        raise Problem(413, text) from None
    except (web.HTTPException, web.RequestPayloadError):
        raise
    except Exception as error:
        # aiohttp has an error of another kind for each thing that may be wrong with a form.
        raise unreadable_body() from error
    return MultiDict((name, value) for name, value in form.items() if isinstance(value, str))


def error_page(visit: Visit, problem: Problem, *, form: bool = False) -> web.Response:
    """The page that says what went wrong. ``form``: where a form is whose draft the browser keeps."""
    status = problem.status
    template = "no_role.html" if status == 403 and visit.session and not _is_admin_here(visit) else "error.html"
    response = visit.render(
        template, status=status, problem=problem.details, other_session=isinstance(problem, OtherSession), form=form
    )
    for name, value in problem.headers.items():
        if name.lower() != "www-authenticate":
            response.headers[name] = value
    return response


def _is_admin_here(visit: Visit) -> bool:
    ids = [id for id, _ in visit.organizations]
    return visit.organization_id in ids if visit.organization_id else bool(ids)
