"""Signing in: by the organization's identity provider, as one of a demonstration's people, or with a token."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import jwt
import structlog
from aiohttp import web

from dispatcher.portal.api.problems import Problem
from dispatcher.portal.auth import ORGANIZATION_ADMIN, Authentication, Caller
from dispatcher.portal.pages.home import local
from dispatcher.portal.pages.oidc import CALLBACK, SIGNED_OUT, Begun, Provider, ProviderFailed
from dispatcher.portal.pages.session import Sessions
from dispatcher.portal.pages.visit import Visit
from dispatcher.portal.pages.wiring import Page

MOST_AT_ONCE = 5
"""How many tabs of a browser may be at the provider; each is a cookie that comes with every request."""

_BEGUN = "sign-in-"
_KEPT = timedelta(hours=1)
"""Who comes back too late to be signed in is still led to where they were going."""

_SIGNED_OUT = "signed-out"
_ASKED_ANEW = timedelta(days=30)
"""How long after a sign-out the provider is asked to let nobody in at this browser whom it only remembers."""

log = structlog.get_logger()


class SignIn:
    """The pages to sign in and out. ``people`` of a demonstration need no more than a click."""

    def __init__(
        self,
        sessions: Sessions,
        authentication: Authentication,
        people: Sequence[Caller],
        provider: Provider | None,
    ) -> None:
        self._sessions = sessions
        self._authentication = authentication
        self._people = people
        self._provider = provider

    def pages(self) -> Sequence[Page]:
        """What is served."""
        return (
            Page("/sign-in", get=self.show, post=self.sign_in, open=True, any_session=True),
            Page("/sign-out", post=self.sign_out, open=True),
            *(
                (
                    Page("/sign-in/provider", get=self.to_provider, open=True),
                    Page(CALLBACK, get=self.from_provider, open=True),
                )
                if self._provider
                else ()
            ),
        )

    async def show(self, visit: Visit) -> web.Response:
        """The ways to sign in; who has done so, such as in another tab, goes on."""
        onward = visit.request.query.get("next", "/")
        return self._page(visit, onward) if visit.session is None else visit.see(local(onward))

    async def sign_in(self, visit: Visit) -> web.Response:
        """Begin a session."""
        onward = local(visit.fields.get("next", "/"))
        person = next((one for one in self._people if one.id == visit.fields.get("person")), None)
        until = None
        if person is None:
            if self._provider is not None:
                raise Problem(403, "Sign in with your organization's account.")
            token = visit.fields.get("token", "").strip().removeprefix("Bearer ").strip()
            try:
                person = await self._authentication.caller(f"Bearer {token}")
            except Problem as problem:
                return self._page(visit, onward, problem)
            until = _end_of(token)
        await self._begin(visit, person, until)
        return visit.see(onward)

    async def to_provider(self, visit: Visit) -> web.Response:
        """Send the browser to the provider."""
        onward = local(visit.request.query.get("next", "/"))
        try:
            signed_out = self._sessions.kept(visit.request.cookies, _SIGNED_OUT) is not None
            url, begun = await self._the_provider.begin(onward, anew=signed_out)
        except ProviderFailed as failed:
            return self._failed(visit, failed, onward)
        response = visit.see(url)
        self._sessions.keep(response, _BEGUN + begun.state, begun.model_dump_json(), _KEPT)
        for name in self._oldest(visit.request.cookies):
            self._sessions.drop(response, name)
        return response

    async def from_provider(self, visit: Visit) -> web.Response:
        """Begin the session of whom the provider names."""
        name = _BEGUN + visit.request.query.get("state", "")
        begun = self._begun(visit.request.cookies, name)
        onward = begun.onward if begun else "/"
        try:
            person = await self._the_provider.finish(begun, visit.request.query)
        except ProviderFailed as failed:
            return self._failed(visit, failed, onward)
        await self._begin(visit, person)
        response = visit.see(onward)
        self._sessions.drop(response, name)
        self._sessions.drop(response, _SIGNED_OUT)
        return response

    async def _begin(self, visit: Visit, person: Caller, until: datetime | None = None) -> None:
        former, begun = visit.session, self._sessions.begin(person, until=until)
        if former is not None:
            self._sessions.in_pieces(begun)  # What cannot be kept does not end what is.
            await self._sessions.end(former)
        visit.session = begun

    def _begun(self, cookies: Mapping[str, str], name: str) -> Begun | None:
        content = self._sessions.kept(cookies, name)
        return Begun.model_validate_json(content) if content is not None else None

    def _oldest(self, cookies: Mapping[str, str]) -> Sequence[str]:
        """What was begun and has to make room for one more, and what nobody can read."""
        begun = [(name, self._begun(cookies, name)) for name in self._sessions.names_kept(cookies, _BEGUN)]
        latest = sorted((one.at, name) for name, one in begun if one is not None)[-(MOST_AT_ONCE - 1) :]
        return sorted({name for name, _ in begun} - {name for _, name in latest})

    @property
    def _the_provider(self) -> Provider:
        if self._provider is None:
            raise RuntimeError("these pages are not served without a provider")
        return self._provider

    def _failed(self, visit: Visit, failed: ProviderFailed, onward: str) -> web.Response:
        log.warning("signing in at the identity provider failed", reason=failed.reason, details=str(failed))
        reason = visit.gettext(failed.reason)
        text = visit.gettext("Signing in at your identity provider did not work: %(reason)s", reason=reason)
        return self._page(visit, onward, Problem(403, text))

    async def sign_out(self, visit: Visit) -> web.Response:
        """End the session."""
        session, visit.session = visit.session, None
        if session is None or await self._sessions.end(session):
            response = await self._signed_out(visit)
        else:
            text = visit.gettext(
                "You are signed out in this browser. The portal's other servers could not be told yet; that is tried "
                "again. Until then, somebody who has copied your session could still use it there."
            )
            response = self._page(visit, "/", Problem(503, text))
        self._sessions.forget(response, visit.request.cookies)
        if self._provider is not None:
            self._sessions.keep(response, _SIGNED_OUT, "", _ASKED_ANEW)
        return response

    async def _signed_out(self, visit: Visit) -> web.Response:
        # A form's answer may not lead to another site, which its Content-Security-Policy sees to; a page may.
        there = None if self._provider is None else await self._provider.sign_out_url()
        return visit.see(SIGNED_OUT) if there is None else visit.render("signed_out.html", there=there)

    def _page(self, visit: Visit, onward: str, problem: Problem | None = None) -> web.Response:
        people = [
            (one, [place.name or id for id, place in one.organizations.items() if place.role == ORGANIZATION_ADMIN])
            for one in self._people
        ]
        return visit.render(
            "sign_in.html",
            status=problem.status if problem else 200,
            people=people,
            onward=local(onward),
            provider=self._provider is not None,
            with_token=self._provider is None,
            problem=problem.details if problem else None,
        )


def _end_of(token: str) -> datetime | None:
    """When a token ends that was verified a moment ago; None: later than any date."""
    claims = jwt.decode(token, options={"verify_signature": False})
    try:
        return datetime.fromtimestamp(int(claims["exp"]), UTC)
    except (ValueError, OverflowError, OSError):
        return None
