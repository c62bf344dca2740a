"""Asks an API all that its OpenAPI document describes, good and bad, and checks that the answers are as described."""

from typing import Any

import hypothesis
import schemathesis
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]

FEW = hypothesis.settings(
    max_examples=15,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
    suppress_health_check=list(hypothesis.HealthCheck),
)


def ask_everything(document: dict[str, Any], url: str, token: str, known: dict[str, str]) -> dict[str, str]:
    """Ask each operation a few times, about what is ``known``; what was wrong with each, or nothing."""
    found = list(schemathesis.openapi.from_dict(document).get_all_operations())
    # A stream has no end. And what all others ask about is deleted last.
    operations = [one.ok() for one in found if isinstance(one, Ok) and not one.ok().path.endswith("/stream")]
    wrong: dict[str, str] = {}
    for operation in sorted(operations, key=lambda one: one.method.upper() == "DELETE"):
        good, bad = (operation.as_strategy(mode) for mode in GenerationMode)

        @hypothesis.given(case=hypothesis.strategies.one_of(good, bad))
        @FEW
        def check(case: "schemathesis.Case[Any]") -> None:
            case.path_parameters.update({name: known[name] for name in case.path_parameters})
            response = case.call(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=10)
            case.validate_response(response, checks=CHECKS)

        wrong[operation.label] = ""
        try:
            check()
        except BaseExceptionGroup as failures:
            wrong[operation.label] = "; ".join(str(failure) for failure in failures.exceptions)
    return wrong
