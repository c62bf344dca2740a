"""What is not HTTP, too much of it, or expects what nobody does, gets a problem too.

aiohttp answers such requests before any handler runs.
"""

from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong
from aiohttp.web_protocol import RequestHandler

from dispatcher.portal.api.problems import Problem


class ProblemRunner(web.AppRunner):
    """Runs an application whose every error is a problem."""

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        # aiohttp has no parameter for the class that speaks with a client.
        server.__class__ = _Server
        server.request_handler = _expecting_no_more(server.request_handler)
        return server


_Handle = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def _expecting_no_more(handle: _Handle) -> _Handle:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await handle(request)
        except web.HTTPExpectationFailed:
            return Problem(417, "Expect asks for what is not done here; 100-continue is. Send it without.").response()

    return handler


class _Server(web.Server):
    def __call__(self) -> RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)


class _Connection(RequestHandler):
    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if not isinstance(exc, HttpProcessingError):
            return super().handle_error(request, status, exc, message)
        if isinstance(exc, LineTooLong):
            problem = Problem(431, "The request line, or a header, is too long. Send less there.")
        else:
            problem = Problem(400, "What was sent is not a request that HTTP/1.1 knows.")
        response = problem.response()
        response.force_close()
        return response
