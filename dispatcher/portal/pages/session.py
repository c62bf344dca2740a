"""Sessions of people: who signed in, sealed into a cookie, so that any portal with the same keys can read it.

A service provider's people may be admins of hundreds of organizations, which one cookie cannot hold: what is sealed is
compressed and cut into as many cookies as it takes.
"""

import zlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from secrets import token_urlsafe
from typing import Literal

from aiohttp import web
from cryptography.fernet import InvalidToken, MultiFernet
from pydantic import BaseModel, ConfigDict, ValidationError

from dispatcher.portal.api.problems import Problem
from dispatcher.portal.auth import Caller
from dispatcher.portal.ended_sessions import LONGEST_SESSION, EndedSessions

IDLE = timedelta(hours=1)
"""A session ends when no page was asked for so long."""

_TOUCH_AFTER = timedelta(minutes=1)
PIECE = 3_800
MOST_PIECES = 12
"""With names and attributes 48 KB, which an ingress has to let through: docs/operations.md, and the chart's values."""

_MOST_BYTES = 1024 * 1024


class Flash(BaseModel):
    """Something to say on the next page, once.

    A ``secret`` is a signing secret that is not shown again. It waits for the page of the webhook that it belongs to.
    ``shown``: it was said on a page that is followed, and is for what a browser without script shows instead of it.
    """

    model_config = ConfigDict(frozen=True)

    kind: Literal["success", "error", "secret"]
    text: str
    webhook_id: str | None = None
    shown: bool = False


class Written(BaseModel):
    """At which revision a webhook was once somebody had changed it. Another portal may not have read of that yet."""

    model_config = ConfigDict(frozen=True)

    webhook_id: str
    revision: int


class Session(BaseModel):
    """Somebody who signed in. Times are aware and in UTC."""

    model_config = ConfigDict(frozen=True)

    id: str
    caller: Caller
    csrf: str
    started: datetime
    used: datetime
    ends: datetime
    flashes: tuple[Flash, ...] = ()
    written: Written | None = None
    """What the person changed last."""


class Seal:
    """Encrypts what a browser keeps for us.

    How long it is, compressed, tells who watches the line of a secret beside a text that they choose, guess by guess.
    Nobody gets to guess: organizations and names are the identity provider's, what else a session says takes our own
    forms to change, and where a sign-in that was begun leads on to, which a link may name, stands beside secrets that
    are new each time.
    """

    def __init__(self, fernet: MultiFernet) -> None:
        self._fernet = fernet

    def close(self, content: bytes) -> str:
        """The content, compressed and encrypted."""
        return self._fernet.encrypt(zlib.compress(content)).decode("ascii")

    def open(self, sealed: str) -> bytes | None:
        """The content; None when it is not ours or was tampered with."""
        try:
            compressed = self._fernet.decrypt(sealed)
        except (InvalidToken, ValueError):
            return None
        return zlib.decompressobj().decompress(compressed, _MOST_BYTES)


class Sessions:
    """Begins, reads, writes and ends sessions. ``secure``: people come by https, and the cookies only so."""

    def __init__(self, seal: Seal, ended: EndedSessions, *, secure: bool, clock: Callable[[], datetime]) -> None:
        self._seal = seal
        self._ended = ended
        self._secure = secure
        self._clock = clock
        self._name = "__Host-portal" if secure else "portal"

    def begin(self, caller: Caller, *, until: datetime | None = None) -> Session:
        """A new session, at most up to ``until``."""
        now = self._clock()
        ends = now + LONGEST_SESSION
        return Session(
            id=token_urlsafe(12),
            caller=caller,
            csrf=token_urlsafe(24),
            started=now,
            used=now,
            ends=ends if until is None else min(ends, until),
        )

    def read(self, cookies: Mapping[str, str]) -> Session | None:
        """The session that these cookies hold, if it has not ended."""
        pieces: list[str] = []
        while len(pieces) < MOST_PIECES and (piece := cookies.get(self._piece(len(pieces)))) is not None:
            pieces.append(piece)
        content = self._seal.open("".join(pieces)) if pieces else None
        if content is None:
            return None
        try:
            session = Session.model_validate_json(content)
        except ValidationError:
            return None
        now = self._clock()
        over = now >= session.ends or now - session.used >= IDLE or self.was_ended(session)
        return None if over else session

    def write(self, response: web.StreamResponse, cookies: Mapping[str, str], session: Session) -> None:
        """Keep the session in the browser, instead of what its ``cookies`` hold.

        Raises:
            Problem: 413, the person is in more organizations than a browser can keep.
        """
        pieces = self.in_pieces(session)
        for number, piece in enumerate(pieces):
            self._set(response, self._piece(number), piece)
        self.forget(response, cookies, from_piece=len(pieces))

    def in_pieces(self, session: Session) -> Sequence[str]:
        """What the browser would keep.

        Raises:
            Problem: 413, the person is in more organizations than it can.
        """
        sealed = self._seal.close(session.model_dump_json(by_alias=True).encode())
        pieces = [sealed[start : start + PIECE] for start in range(0, len(sealed), PIECE)]
        if len(pieces) > MOST_PIECES:
            raise Problem(413, "You are in more organizations than a browser can keep; use the API with a token.")
        return pieces

    def touched(self, session: Session) -> Session:
        """The session, used now; the same object when that was noted a moment ago."""
        now = self._clock()
        return session.model_copy(update={"used": now}) if now - session.used >= _TOUCH_AFTER else session

    def was_ended(self, session: Session) -> bool:
        """Whether somebody ended the session, so that it is taken no more."""
        return session.id in self._ended

    async def end(self, session: Session) -> bool:
        """Take the session no more, even if somebody kept the cookies; whether that is certain at every portal."""
        return await self._ended.add(session.id, session.ends)

    def forget(self, response: web.StreamResponse, cookies: Mapping[str, str], *, from_piece: int = 0) -> None:
        """Let the browser forget the session, or what it holds of it ``from_piece`` on."""
        for number in range(from_piece, MOST_PIECES):
            if self._piece(number) in cookies:
                response.del_cookie(self._piece(number), path="/", secure=self._secure, httponly=True, samesite="Lax")

    def keep(self, response: web.StreamResponse, name: str, content: str, lifetime: timedelta) -> None:
        """Keep something else in the browser for a while, sealed."""
        response.set_cookie(
            f"{self._name}-{name}",
            self._seal.close(content.encode()),
            max_age=int(lifetime.total_seconds()),
            path="/",
            secure=self._secure,
            httponly=True,
            samesite="Lax",
        )

    def kept(self, cookies: Mapping[str, str], name: str) -> str | None:
        """What was kept, if it is there and ours."""
        sealed = cookies.get(f"{self._name}-{name}")
        content = self._seal.open(sealed) if sealed else None
        return None if content is None else content.decode()

    def names_kept(self, cookies: Mapping[str, str], prefix: str) -> list[str]:
        """The names of what is kept that begin so."""
        own = f"{self._name}-"
        return [name.removeprefix(own) for name in cookies if name.startswith(own + prefix)]

    def drop(self, response: web.StreamResponse, name: str) -> None:
        """Keep it no longer."""
        response.del_cookie(f"{self._name}-{name}", path="/", secure=self._secure, httponly=True, samesite="Lax")

    def _piece(self, number: int) -> str:
        return f"{self._name}-{number}" if number else self._name

    def _set(self, response: web.StreamResponse, name: str, value: str) -> None:
        response.set_cookie(name, value, path="/", secure=self._secure, httponly=True, samesite="Lax")
