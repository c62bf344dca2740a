"""The OpenAPI document is one, and the portal answers as it says, whatever it is asked."""

import asyncio
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from dispatcher.portal.api.examples import EXAMPLES
from dispatcher.portal.app import Portal
from tests.support.conformance import ask_everything
from tests.support.portal import ORGANIZATION, Api


@pytest.fixture
async def document(portal: Portal, api: Api) -> dict[str, Any]:
    async with api.session.get("/api/openapi.json") as response:
        content: dict[str, Any] = await response.json()
    return content


async def test_is_an_openapi_document(document: dict[str, Any]) -> None:
    OpenAPIV31SpecValidator(document).validate()


async def test_its_examples_are_what_the_schemas_describe(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert set(EXAMPLES) <= set(schemas)
    for name in EXAMPLES:
        (example,) = schemas[name]["examples"]
        described = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        jsonschema.Draft202012Validator(described, format_checker=jsonschema.FormatChecker()).validate(example)
    operations = [one for methods in document["paths"].values() for one in methods.values()]
    bodies = [one["requestBody"]["content"]["application/json"] for one in operations if "requestBody" in one]
    assert {body["schema"]["$ref"].rsplit("/", 1)[1] for body in bodies} <= set(EXAMPLES)


async def test_answers_are_as_described(document: dict[str, Any], portal: Portal, api: Api) -> None:
    known = {
        "organization_id": ORGANIZATION,
        "webhook_id": (await api.create())["id"],
        "message_id": "msg_1",
        "attempt_id": "msg_1-1-1",
    }
    # In a process of its own, as Hypothesis wants nobody else to throw dice meanwhile.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as another:
        wrong = await asyncio.get_running_loop().run_in_executor(
            another, ask_everything, document, portal.url, api.token, known
        )
    assert len(wrong) == sum(len(methods) for methods in document["paths"].values()) - 1
    assert {operation: what for operation, what in wrong.items() if what} == {}
