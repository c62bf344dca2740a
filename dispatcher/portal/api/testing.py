"""Testing a webhook: its template is sent with nothing replaced, to see that the target is there and likes it."""

from collections.abc import Awaitable, Callable, Sequence
from secrets import token_hex
from typing import Literal

from pydantic import BaseModel

from dispatcher.delivery.failures import MAX_BODY_BYTES, of_size
from dispatcher.delivery.masking import mask_url
from dispatcher.delivery.target import Answer as TargetAnswer
from dispatcher.delivery.target import Request, Target
from dispatcher.portal.api.attempt_views import ReceivedResponse, SentRequest
from dispatcher.portal.api.named_webhooks import NamedWebhooks
from dispatcher.portal.api.operation import Answer, AnyOperation, Call, NoBody, NoQuery, Operation
from dispatcher.portal.api.rate_limits import TESTS, AtOnce
from dispatcher.portal.api.webhooks import WEBHOOK
from dispatcher.portal.audit import Audit
from dispatcher.recording.delivery_log import SHOWN_BODY_BYTES
from dispatcher.webhooks.webhook import Person, Webhook

# Each holds a connection for as long as a target may take.
_TESTS_AT_ONCE = 10

CallTarget = Callable[[Target, Request], Awaitable[TargetAnswer]]
"""Makes one call; whatever goes wrong is in the answer."""


class TestResult(BaseModel):
    """What became of the test; at most 16 KiB of the answer's body. ``request`` and ``response`` are an attempt's."""

    __test__ = False

    status: Literal["successful", "failed"]
    response_code: int | None
    duration_ms: int
    response_body: str
    error: str | None
    request: SentRequest
    response: ReceivedResponse


class TestingApi:
    """The operation that tests a webhook."""

    __test__ = False

    def __init__(self, webhooks: NamedWebhooks, call_target: CallTarget, audit: Audit) -> None:
        self._webhooks = webhooks
        self._call_target = call_target
        self._audit = audit
        self._at_once = AtOnce("tests of this organization's webhooks", _TESTS_AT_ONCE)

    def operations(self) -> Sequence[AnyOperation]:
        """What is served."""
        return (
            Operation(
                "POST",
                f"{WEBHOOK}/test",
                "Send the template with nothing replaced, whether the webhook is enabled or not; it counts nowhere",
                self.test_webhook,
                NoQuery,
                NoBody,
                TestResult,
                problems=(404,),
                limits=(TESTS,),
            ),
        )

    async def test_webhook(self, call: Call[NoQuery, NoBody]) -> Answer[TestResult]:
        """What the target answered."""
        webhook = await self._webhooks.of(call)
        with self._at_once.one(call.organization_id):
            return Answer(await self._test(webhook, call.caller.person))

    async def _test(self, webhook: Webhook, by: Person) -> TestResult:
        request = Request(
            message_id=f"msg_test{token_hex(14)}",
            event_type=webhook.event_type,
            attempt=1,
            body=webhook.template.verbatim,
        )
        target = Target.of(webhook)
        size = len(request.body)
        fits = size <= MAX_BODY_BYTES
        answer = await self._call_target(target, request) if fits else TargetAnswer(of_size(size), duration_ms=0)
        await self._audit.record(self._audit.entry(webhook, by, "tested"))
        answered = answer.response_body.decode(errors="replace")
        return TestResult(
            status="failed" if answer.failure else "successful",
            response_code=answer.response_code,
            duration_ms=answer.duration_ms,
            response_body=answered,
            error=answer.failure.error if answer.failure else None,
            request=SentRequest(
                url=mask_url(target.url, whole_path=True),
                headers=dict(answer.request_headers),
                body=request.body[:SHOWN_BODY_BYTES].decode(errors="replace"),
                truncated=len(request.body) > SHOWN_BODY_BYTES,
            ),
            response=ReceivedResponse(
                headers=dict(answer.response_headers), body=answered, truncated=answer.response_truncated
            ),
        )
