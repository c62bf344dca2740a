"""All of the API's operations: served to programs as they are, and called in-process by the pages."""

from collections.abc import Sequence
from dataclasses import dataclass

from dispatcher.portal.api.attempts import AttemptsApi
from dispatcher.portal.api.audit_log import AuditApi
from dispatcher.portal.api.choices import ChoicesApi
from dispatcher.portal.api.operation import AnyOperation
from dispatcher.portal.api.resending import ResendingApi
from dispatcher.portal.api.testing import TestingApi
from dispatcher.portal.api.webhooks import WebhooksApi


@dataclass(frozen=True, slots=True)
class Apis:
    """One for each kind of resource, in the order of the OpenAPI document."""

    choices: ChoicesApi
    webhooks: WebhooksApi
    testing: TestingApi
    attempts: AttemptsApi
    audit: AuditApi
    resending: ResendingApi

    def operations(self) -> Sequence[AnyOperation]:
        """What is served."""
        every = (self.choices, self.webhooks, self.testing, self.attempts, self.audit, self.resending)
        return tuple(operation for api in every for operation in api.operations())
