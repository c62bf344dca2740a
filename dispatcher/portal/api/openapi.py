"""The OpenAPI 3.1 document, generated from the operations that the server serves."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from dispatcher.portal.api.concurrency import IF_NONE_MATCH
from dispatcher.portal.api.examples import EXAMPLES
from dispatcher.portal.api.operation import AnyOperation, Header, NoAnswer, NoBody, Operation, StreamedOperation
from dispatcher.portal.api.problems import CONTENT_TYPE, ProblemDetails, title_of

_REF = "#/components/schemas/{model}"
_EVERYWHERE = (400, 401, 403, 422, 429, 431, 500, 503)
_WITH_A_BODY = frozenset({"POST", "PATCH", "DELETE"})
"""Where a body is read, though none may be asked for."""

_RETRY_AFTER = {"Retry-After": {"description": "Wait so many seconds", "required": True, "schema": {"type": "integer"}}}

_COUNTED = {
    "RateLimit": {"description": "What is left of each quota, and when it is whole", "schema": {"type": "string"}},
    "RateLimit-Policy": {"description": "The quotas that a request counts against", "schema": {"type": "string"}},
}
_NOT_COUNTED = frozenset({400, 401, 403, 431})
"""Requests that were refused before, or may have been: such as what is no HTTP."""

_TAGS = {
    "Webhooks": "Create, change, enable, test and delete them; who changed what",
    "Deliveries": "What was sent and what became of it; send again",
    "Choices": "Event types with their variables, and the items to choose from",
}


def openapi_document(operations: Iterable[AnyOperation], version: str) -> dict[str, Any]:
    """The document of these operations."""
    listed = list(operations)
    references, definitions = models_json_schema(_models(listed), ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for operation in listed:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation, references)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Portal webhooks",
            "version": version,
            "description": "Webhooks of an organization, what was sent to them, and what became of it. "
            "Errors are RFC 9457 problems; times are RFC 3339 in UTC with milliseconds.",
        },
        "security": [{"bearer": []}],
        "tags": [{"name": name, "description": description} for name, description in _TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": {
                name: {**schema, "examples": [EXAMPLES[name]]} if name in EXAMPLES else schema
                for name, schema in _referred_to(paths, definitions.get("$defs", {})).items()
            },
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def _referred_to(content: Any, definitions: Mapping[str, Any]) -> dict[str, Any]:
    """The definitions that something refers to: models shown by a schema of their own leave theirs behind."""
    found: dict[str, Any] = {}
    waiting = [content]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            name = str(value.get("$ref", "")).removeprefix(_REF.format(model=""))
            if name in definitions and name not in found:
                found[name] = definitions[name]
                waiting.append(definitions[name])
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
    return dict(sorted(found.items()))


def _models(operations: Iterable[AnyOperation]) -> list[tuple[type[BaseModel], JsonSchemaMode]]:
    found: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {(ProblemDetails, "serialization"): None}
    for operation in operations:
        if isinstance(operation, StreamedOperation):
            found.update({(event, "serialization"): None for event in operation.events.values()})
        else:
            if operation.body is not NoBody:
                found[operation.body, "validation"] = None
            if operation.answer is not NoAnswer:
                found[operation.answer, "serialization"] = None
    return list(found)


_References = Mapping[Any, dict[str, Any]]


def _described(operation: AnyOperation, references: _References) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.handler.__name__,
        "summary": operation.summary,
        "tags": [_tag(operation.path)],
        "parameters": [
            *_path_parameters(operation.path),
            *_query_parameters(operation.query),
            *(_header_parameter(name, header) for name, header in operation.request_headers.items()),
        ],
        "responses": {},
    }
    problems = {*_EVERYWHERE, *operation.problems}
    if operation.method in _WITH_A_BODY:
        problems.add(413)
    headers = {
        **{name: _shown_header(text) for name, text in operation.response_headers.items()},
        **_COUNTED,
    }
    if isinstance(operation, Operation):
        answered: dict[str, Any] = {"description": title_of(operation.status), "headers": headers}
        if IF_NONE_MATCH in operation.request_headers:
            described["responses"]["304"] = {"description": title_of(304), "headers": headers}
        if operation.answer is not NoAnswer:
            answered["content"] = {"application/json": {"schema": references[operation.answer, "serialization"]}}
        described["responses"][str(operation.status)] = answered
        if operation.body is not NoBody:
            problems.add(415)
            described["requestBody"] = {
                "required": True,
                "content": {"application/json": {"schema": references[operation.body, "validation"]}},
            }
    else:
        described["responses"]["200"] = {
            "description": title_of(200),
            "headers": headers,
            "content": {operation.media_type: {"schema": {"type": "string"}, **_events(operation, references)}},
        }
    schema = references[ProblemDetails, "serialization"]
    for status in sorted(problems):
        described["responses"][str(status)] = {
            "description": title_of(status),
            "headers": {
                **(_RETRY_AFTER if status in (429, 503) else {}),
                **({} if status in _NOT_COUNTED else _COUNTED),
            },
            "content": {CONTENT_TYPE: {"schema": schema}},
        }
    return described


def _events(operation: StreamedOperation[Any], references: _References) -> dict[str, Any]:
    """The events of a stream by their names. OpenAPI has no word for them before 3.2, so this is an extension."""
    data = {name: {"data": references[event, "serialization"]} for name, event in operation.events.items()}
    return {"x-events": data} if data else {}


def _header_parameter(name: str, header: Header) -> dict[str, Any]:
    bounds = {} if header.max_length is None else {"minLength": 1, "maxLength": header.max_length}
    schema = {"type": "string", **bounds}
    return {"name": name, "in": "header", "required": False, "description": header.description, "schema": schema}


def _shown_header(text: str) -> dict[str, Any]:
    return {"description": text, "schema": {"type": "string"}}


def _tag(path: str) -> str:
    """The part of the page about the API where an operation is."""
    _, is_webhooks, below = path.partition("/webhooks")
    if not is_webhooks:
        return "Webhooks" if path.endswith("/audit") else "Choices"
    return "Deliveries" if re.search(r"/(attempts|messages|metrics|recover)\b", below) else "Webhooks"


def _path_parameters(path: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", path)
    ]


def _query_parameters(query: type[BaseModel]) -> list[dict[str, Any]]:
    schema = query.model_json_schema(ref_template=_REF)
    definitions = schema.get("$defs", {})
    return [
        {
            "name": name,
            "in": "query",
            "required": name in schema.get("required", ()),
            "schema": _inlined(about, definitions),
        }
        for name, about in schema.get("properties", {}).items()
    ]


def _inlined(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """The schema without references: enumerations are all that a parameter's type refers to."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            return definitions[schema["$ref"].rsplit("/", 1)[1]]
        return {name: _inlined(value, definitions) for name, value in schema.items()}
    return [_inlined(value, definitions) for value in schema] if isinstance(schema, list) else schema
