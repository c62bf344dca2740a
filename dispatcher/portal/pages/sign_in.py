"""Signing in: by the organization's identity provider, as one of a demonstration's people, or with a token."""

from collections.abc import Sequence
from datetime import UTC, datetime

import jwt
import structlog
from aiohttp import web

from dispatcher.portal.api.problems import Problem
from dispatcher.portal.auth import ORGANIZATION_ADMIN, Authentication, Caller
from dispatcher.portal.pages.home import local
from dispatcher.portal.pages.oidc import CALLBACK, LONGEST_SIGN_IN, Begun, Provider, ProviderFailed
from dispatcher.portal.pages.session import Sessions
from dispatcher.portal.pages.visit import Visit
from dispatcher.portal.pages.wiring import Page

_BEGUN = "sign-in"

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
            Page("/sign-in", get=self.show, post=self.sign_in, open=True),
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
        """The ways to sign in."""
        return self._page(visit, visit.request.query.get("next", "/"))

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
        visit.session = self._sessions.begin(person, until=until)
        return visit.see(onward)

    async def to_provider(self, visit: Visit) -> web.Response:
        """Send the browser to the provider."""
        try:
            url, begun = await self._the_provider.begin(local(visit.request.query.get("next", "/")))
        except ProviderFailed as failed:
            return self._failed(visit, failed)
        response = visit.see(url)
        self._sessions.keep(response, _BEGUN, begun.model_dump_json(), LONGEST_SIGN_IN)
        return response

    async def from_provider(self, visit: Visit) -> web.Response:
        """Begin the session of whom the provider names."""
        content = self._sessions.kept(visit.request.cookies, _BEGUN)
        begun = Begun.model_validate_json(content) if content is not None else None
        try:
            person = await self._the_provider.finish(begun, visit.request.query)
        except ProviderFailed as failed:
            return self._failed(visit, failed)
        visit.session = self._sessions.begin(person)
        response = visit.see(begun.onward if begun else "/")
        self._sessions.drop(response, _BEGUN)
        return response

    @property
    def _the_provider(self) -> Provider:
        if self._provider is None:
            raise RuntimeError("these pages are not served without a provider")
        return self._provider

    def _failed(self, visit: Visit, failed: ProviderFailed) -> web.Response:
        log.warning("signing in at the identity provider failed", reason=failed.reason, details=str(failed))
        reason = visit.gettext(failed.reason)
        text = visit.gettext("Signing in at your identity provider did not work: %(reason)s", reason=reason)
        return self._page(visit, "/", Problem(403, text))

    async def sign_out(self, visit: Visit) -> web.Response:
        """End the session."""
        session, visit.session = visit.session, None
        if session is None or await self._sessions.end(session):
            response = visit.see("/sign-in")
        else:
            text = visit.gettext(
                "You are signed out in this browser. The portal's other servers could not be told yet; that is tried "
                "again. Until then, somebody who has copied your session could still use it there."
            )
            response = self._page(visit, "/", Problem(503, text))
        self._sessions.forget(response, visit.request.cookies)
        return response

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


def _end_of(token: str) -> datetime:
    """When a token ends that was verified a moment ago."""
    claims = jwt.decode(token, options={"verify_signature": False})
    return datetime.fromtimestamp(claims["exp"], UTC)
