"""The API's operations on an aiohttp server: authentication, strict reading of requests, problems for every error."""

import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Any

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler
from aiokafka.errors import KafkaError
from pydantic import BaseModel, ValidationError

from dispatcher.errors import ClickHouseUnavailable, KafkaUnavailable
from dispatcher.kafka.compacted import NoLongerFollowing
from dispatcher.observability import endpoint
from dispatcher.observability.metrics import HTTP_RESPONSES
from dispatcher.portal.api.concurrency import is_had
from dispatcher.portal.api.operation import AnyOperation, Call, NoAnswer, NoBody, Operation
from dispatcher.portal.api.problems import BadField, Problem, bad_member, errors_in_body, errors_in_query, invalid
from dispatcher.portal.api.rate_limits import EVERYTHING, Policy, RateLimits, Standing, headers_of, too_often
from dispatcher.portal.api.strict_json import NotJson, read_strict_json
from dispatcher.portal.auth import Caller
from dispatcher.recording.clickhouse import SchemaMissing
from dispatcher.webhooks.vault import UndecipherableConfig

MAX_BODY_BYTES = 1024 * 1024

log = structlog.get_logger()

_BEGUN: web.RequestKey[web.StreamResponse] = web.RequestKey("the answer that has begun", web.StreamResponse)
_STANDINGS: web.RequestKey[list[Standing]] = web.RequestKey("what is left of the quotas", list)

_NOT_COUNTED = frozenset({endpoint.LIVE, endpoint.READY, endpoint.METRICS})
"""Asked by machines all the time, and answered with 503 on purpose: among them nobody would see people's answers."""

_ON_EVERY_ANSWER = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}


CallerOf = Callable[[web.Request], Awaitable[Caller]]
"""Who sent a request; raises a Problem when that is not to be known."""


def application(operations: Iterable[AnyOperation], caller_of: CallerOf, limits: RateLimits) -> web.Application:
    """The server's application; what else it serves is added by whoever runs it."""
    app = web.Application(middlewares=[_problems_only], client_max_size=MAX_BODY_BYTES)
    app.on_response_prepare.append(_begin_answer)
    for operation in operations:
        handle = _bound(operation, caller_of, limits)
        app.router.add_route(operation.method, operation.path, handle)
        if operation.method == hdrs.METH_GET:
            head = handle if isinstance(operation, Operation) else _no_head
            app.router.add_route(hdrs.METH_HEAD, operation.path, head)
    return app


def json_response(body: BaseModel, status: int = 200, headers: Any = None) -> web.Response:
    """An answer in JSON. Its text is ASCII: a template may hold lone surrogates, which only escapes can write.

    What a view shows is ready for JSON as it is: pydantic's own mode for it has no lone surrogates in names of members.
    """
    text = json.dumps(body.model_dump(by_alias=True), separators=(",", ":"))
    return web.Response(body=text.encode("ascii"), status=status, content_type="application/json", headers=headers)


def _bound(
    operation: AnyOperation, caller_of: CallerOf, limits: RateLimits
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        caller = await _let_in(request, caller_of)
        count(request, limits, operation.limits, caller)
        query = _read_query(request, operation.query)
        if isinstance(operation, Operation):
            raw = await _read_raw(request)
            call: Call[Any, Any] = Call(caller, request.match_info, query, NoBody(), raw, request)
            answer = await operation.handler(replace(call, body=await _read_body(call, operation)))
            tag = answer.headers.get("ETag", "").strip('"')
            if operation.method == hdrs.METH_GET and tag and is_had(request, tag):
                return web.Response(status=304, headers=answer.headers)
            if operation.answer is NoAnswer:
                return web.Response(status=operation.status, headers=answer.headers)
            return json_response(answer.body, operation.status, answer.headers)

        async def still_let_in() -> bool:
            try:
                await _let_in(request, caller_of)
            except Problem:
                return False
            return True

        return await operation.handler(
            Call(caller, request.match_info, query, NoBody(), b"", request, still_let_in=still_let_in)
        )

    return handle


async def _let_in(request: web.Request, caller_of: CallerOf) -> Caller:
    caller = await caller_of(request)
    organization = request.match_info.get("organization_id")
    if organization is not None:
        caller.require_admin(organization)
    return caller


def count(request: web.Request, limits: RateLimits, policies: Iterable[Policy], caller: Caller) -> None:
    """Count a request against what everybody has, and these policies. The answer's headers tell what is left.

    Raises:
        Problem: 429, that was too often.
    """
    standings: list[Standing] = []
    request[_STANDINGS] = standings
    for policy in (EVERYTHING, *policies):
        standing = limits.take(policy, caller.id)
        standings.append(standing)
        if standing.wait:
            raise too_often(standing)


async def _begin_answer(request: web.Request, response: web.StreamResponse) -> None:
    request[_BEGUN] = response
    response.headers.update(headers_of(request.get(_STANDINGS, ())))
    if request.path not in _NOT_COUNTED:
        HTTP_RESPONSES.labels(f"{response.status // 100}xx").inc()


async def _no_head(request: web.Request) -> web.StreamResponse:
    # Left to the router, it would be taken for the next path that matches: an attempt of this name.
    raise web.HTTPMethodNotAllowed(request.method, [hdrs.METH_GET])


def _read_query(request: web.Request, model: type[BaseModel]) -> BaseModel:
    # Forms send their empty fields too: a parameter without a value is as good as none.
    given = [(name, value) for name, value in request.query.items() if value]
    twice = sorted(name for name, times in Counter(name for name, _ in given).items() if times > 1)
    if twice:
        raise invalid(BadField(field=name, detail="is there more than once") for name in twice)
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        raise invalid(errors_in_query(error)) from None


async def _read_raw(request: web.Request) -> bytes:
    if request.content_length is not None and request.content_length > MAX_BODY_BYTES:
        raise _too_large()
    return await request.read()


async def _read_body(call: Call[Any, NoBody], operation: Operation[Any, Any, Any]) -> BaseModel:
    model: type[BaseModel] = operation.body
    if model is NoBody:
        return call.body
    content_type = call.request.content_type
    if content_type != "application/json" and not content_type.endswith("+json"):
        raise Problem(415, "Send the body as JSON, with Content-Type: application/json.")
    try:
        value = read_strict_json(call.raw_body)
    except NotJson as error:
        raise Problem(400, f"The body is not JSON: {error}.", errors=[bad_member((), f"{error}")]) from None
    try:
        return model.model_validate(value)
    except ValidationError as error:
        wrong = errors_in_body(error)
    if operation.also_wrong is not None and isinstance(value, dict):
        wrong += await operation.also_wrong(call, value)
    raise invalid(wrong)


def unreadable_body() -> Problem:
    """400: what arrived is not what the request's headers announce."""
    return Problem(400, "The body of the request is not as its headers say. Send it whole, encoded as they say.")


def _too_large() -> Problem:
    return Problem(413, f"The body is larger than {MAX_BODY_BYTES // 1024 // 1024} MiB; send less.")


@web.middleware
async def _problems_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        response = await handler(request)
    except Exception as error:  # noqa: BLE001 - whatever went wrong, the client gets a problem
        problem = problem_of(request, error)
        begun: web.StreamResponse | None = request.get(_BEGUN)
        if begun is not None:
            # Half of another answer is there: that it breaks off is all that can be told now.
            if request.transport is not None:
                request.transport.abort()
            return begun
        response = problem.response()
    if not response.prepared:
        for name, value in _ON_EVERY_ANSWER.items():
            response.headers.setdefault(name, value)
    return response


def problem_of(request: web.Request, error: Exception) -> Problem:
    """What to say of an error that ended a request; the log has what clients are not told."""
    match error:
        case Problem():
            problem = error
        case web.HTTPRequestEntityTooLarge():
            problem = _too_large()
        case web.RequestPayloadError():
            log.info("the body of a request broke off", path=request.path, error=repr(error))
            problem = unreadable_body()
        case web.HTTPException():
            problem = _of_http_exception(request, error)
        case KafkaError() | KafkaUnavailable() | NoLongerFollowing():
            problem = _away("Kafka", request, error)
        case SchemaMissing():
            log.warning("ClickHouse lacks migrations; a recorder applies them", path=request.path, error=str(error))
            problem = _later("ClickHouse does not have this version's tables yet; a recorder's start makes them.")
        case ClickHouseUnavailable():
            problem = _away("ClickHouse", request, error)
        case UndecipherableConfig():
            log.warning("webhook cannot be changed", path=request.path, error=str(error))
            problem = Problem(409, "The webhook cannot be changed: its configuration cannot be decrypted here.")
        case _:
            log.error("request failed", method=request.method, path=request.path, exc_info=error)
            problem = Problem(500, "The request failed on our side; it was logged. Try again later.")
    return problem


def _away(what: str, request: web.Request, error: Exception) -> Problem:
    log.warning("request failed", path=request.path, error=repr(error))
    return _later(f"{what} does not answer at the moment.")


def _later(what: str) -> Problem:
    return Problem(503, f"{what} Try again soon.", headers={hdrs.RETRY_AFTER: "5"})


def _of_http_exception(request: web.Request, error: web.HTTPException) -> Problem:
    match error:
        case web.HTTPMethodNotAllowed():
            allowed = ", ".join(sorted(error.allowed_methods))
            return Problem(
                405, f"{request.method} means nothing here; allowed: {allowed}.", headers={hdrs.ALLOW: allowed}
            )
        case web.HTTPNotFound():
            return Problem(404, f"There is nothing at {request.path}.")
        case _:
            return Problem(error.status, error.reason)
