"""Signing in: by the organization's identity provider, as one of a demonstration's people, or with a token."""

from collections.abc import Sequence
from datetime import UTC, datetime

import jwt
from aiohttp import web

from dispatcher.portal.api.problems import Problem
from dispatcher.portal.auth import ORGANIZATION_ADMIN, Authentication, Caller
from dispatcher.portal.pages.home import local
from dispatcher.portal.pages.session import Sessions
from dispatcher.portal.pages.visit import Visit
from dispatcher.portal.pages.wiring import Page


class SignIn:
    """The pages to sign in and out. ``people`` of a demonstration need no more than a click."""

    def __init__(self, sessions: Sessions, authentication: Authentication, people: Sequence[Caller]) -> None:
        self._sessions = sessions
        self._authentication = authentication
        self._people = people

    def pages(self) -> Sequence[Page]:
        """What is served."""
        return (
            Page("/sign-in", get=self.show, post=self.sign_in, open=True),
            Page("/sign-out", post=self.sign_out, open=True),
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
            token = visit.fields.get("token", "").strip().removeprefix("Bearer ").strip()
            try:
                person = await self._authentication.caller(f"Bearer {token}")
            except Problem as problem:
                return self._page(visit, onward, problem)
            until = _end_of(token)
        visit.session = self._sessions.begin(person, until=until)
        return visit.see(onward)

    async def sign_out(self, visit: Visit) -> web.Response:
        """End the session."""
        response = visit.see("/sign-in")
        self._sessions.end(response, visit.request.cookies, visit.session)
        visit.session = None
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
            provider=False,
            with_token=True,
            problem=problem.details if problem else None,
        )


def _end_of(token: str) -> datetime:
    """When a token ends that was verified a moment ago."""
    claims = jwt.decode(token, options={"verify_signature": False})
    return datetime.fromtimestamp(claims["exp"], UTC)
