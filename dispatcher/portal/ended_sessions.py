"""Sessions that people ended by signing out, told from one portal to all others through ``webhooks.sessions``.

A session is in its cookie alone, so whoever copied the cookie has the session. Every portal reads which ones are over
from the topic's beginning and refuses them; each is forgotten when it would have ended by itself.
"""

import asyncio
import heapq
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Literal

import orjson
import structlog
from aiokafka import AIOKafkaProducer, ConsumerRecord
from aiokafka.errors import KafkaError
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from dispatcher.validation import members_of

LONGEST_SESSION = timedelta(hours=8)
"""A session ends so long after it began, whatever is done in it."""

PATIENCE_SECONDS = 5.0
"""How long somebody who signs out waits for Kafka."""

_AGAIN_AFTER_SECONDS = 1.0

log = structlog.get_logger()


class SessionEnd(BaseModel):
    """That somebody signed out. A session's id is no secret: it is taken from sealed cookies only."""

    model_config = ConfigDict(frozen=True)

    v: Literal[1]
    session: str = Field(description="The session's id")
    ends: AwareDatetime = Field(description="When the session would have ended by itself")

    def encode(self) -> bytes:
        """The record's value."""
        return orjson.dumps(self.model_dump())


class UnreadableSessionEnd(ValueError):
    """A record that is no end of a session of a format this version reads."""


def read_session_end(value: bytes | None) -> SessionEnd:
    """The end of a session with this value.

    Raises:
        UnreadableSessionEnd: it is none; the message names what is wrong with it.
    """
    try:
        return SessionEnd.model_validate_json(value or b"")
    except ValidationError as error:
        raise UnreadableSessionEnd(f"not the end of a session of this version: {members_of(error)}") from None


class EndedSessions:
    """The ids of these sessions. ``clock`` gives the time."""

    def __init__(self, producer: AIOKafkaProducer, topic: str, clock: Callable[[], datetime]) -> None:
        self._producer = producer
        self._topic = topic
        self._clock = clock
        self._ids: set[str] = set()
        self._by_end: list[tuple[datetime, str]] = []
        self._writing: set[asyncio.Task[None]] = set()

    def __contains__(self, session_id: str) -> bool:
        return session_id in self._ids

    def apply(self, record: ConsumerRecord) -> None:
        """Take in a record; of what cannot be read, the session ends by itself."""
        try:
            end = read_session_end(record.value)
        except UnreadableSessionEnd as error:
            log.warning("the end of a session cannot be read", offset=record.offset, reason=str(error))
        else:
            self._take_in(end)

    async def add(self, session_id: str, ends: datetime) -> bool:
        """End a session that would end by itself at ``ends``; whether Kafka has it, so that every portal hears of it.

        It is over here at once. What Kafka does not take in time is tried again for as long as it matters.
        """
        end = SessionEnd(v=1, session=session_id, ends=ends)
        self._take_in(end)
        writing = asyncio.create_task(self._write(end))
        self._writing.add(writing)
        writing.add_done_callback(self._writing.discard)
        await asyncio.wait([writing], timeout=PATIENCE_SECONDS)
        if writing.done():
            writing.result()
        return writing.done()

    async def stop(self) -> None:
        """Try no more."""
        for writing in self._writing:
            writing.cancel()
        await asyncio.gather(*self._writing, return_exceptions=True)

    def _take_in(self, end: SessionEnd) -> None:
        now = self._clock()
        while self._by_end and self._by_end[0][0] <= now:
            _, over = heapq.heappop(self._by_end)
            self._ids.remove(over)
        if end.ends > now and end.session not in self._ids:
            self._ids.add(end.session)
            heapq.heappush(self._by_end, (end.ends, end.session))

    async def _write(self, end: SessionEnd) -> None:
        while self._clock() < end.ends:
            try:
                # One partition, however many the topic has: its readers follow one log.
                await self._producer.send_and_wait(self._topic, end.encode(), key=end.session.encode(), partition=0)
            except KafkaError as error:
                log.warning("other portals do not know yet that a session has ended", error=repr(error))
                await asyncio.sleep(_AGAIN_AFTER_SECONDS)
            else:
                return
