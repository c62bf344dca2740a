"""Connections to targets: aiohttp's, with a limit on what an answer may send before it is understood.

aiohttp bounds a header and how many there are, but not interim answers (1xx), the extensions of chunks, or anything
else that is received without becoming part of an answer: a target that sends these without end would keep the event
loop busy until the time-out. It takes what an idle connection received for the answer to the next request, and does not
tell whoever reads a body that what follows it cannot be parsed.
"""

import asyncio
import select
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.helpers import _EXC_SENTINEL

RECEIVED_AT_MOST = 512 * 1024
"""How many bytes may arrive for one request; whoever reads an answer stops long before."""


class EndlessAnswer(aiohttp.ClientError):
    """A target sent more than is ever needed, and still no answer."""


@dataclass(slots=True)
class Progress:
    """How far a call has come."""

    connected: bool = False
    unsent: bool = False
    """Whether the connection turned out to be dead before anything was written to it."""

    answered: bool = False
    """Whether a byte of an answer has arrived."""


CURRENT_CALL: ContextVar[Progress] = ContextVar("CURRENT_CALL")
"""The call that a task is making."""


class TargetConnector(aiohttp.TCPConnector):
    """Opens connections whose answers are limited, and which tell the call that uses them how far it has come."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._factory = partial(_LimitedHandler, loop=self._loop)  # type: ignore[assignment]  # partial is invariant


class _LimitedHandler(ResponseHandler):
    _progress: Progress | None = None
    _received = 0

    def set_response_params(self, **params: Any) -> None:
        """aiohttp calls this in the task that makes the request, just before the request is written."""
        reused = self._progress is not None
        self._progress = CURRENT_CALL.get()
        self._progress.connected = True
        self._received = 0
        if reused and self.transport is not None and (self._buffer or _is_readable(self.transport)):
            # The server closed it, or sent what nobody had asked for. What is not written now was not sent.
            self._progress.unsent = True
            self._buffer.clear()
            self.transport.abort()
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        if self._progress is not None:
            self._progress.answered = True
        self._received += len(data)
        if self._received > RECEIVED_AT_MOST:
            self.set_exception(EndlessAnswer())
            if self.transport is not None:
                self.transport.abort()
            return
        super().data_received(data)

    def set_exception(self, exc: BaseException, exc_cause: BaseException = _EXC_SENTINEL) -> None:
        payload = self._payload
        if payload is not None and not payload.is_eof() and payload.exception() is None:
            payload.set_exception(exc, exc_cause)
        super().set_exception(exc, exc_cause)


def _is_readable(transport: asyncio.BaseTransport) -> bool:
    """Whether something waits in the kernel, the end of the connection among it, that the event loop has not seen."""
    poll = select.poll()
    poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
    return bool(poll.poll(0))
