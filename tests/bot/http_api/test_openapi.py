"""The OpenAPI document."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import jsonschema
import pytest

from bot.frontends.http_api.app import create_app
from bot.frontends.http_api.auth import Access
from tests.bot.http_api.test_ask import ANSWER


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    app = create_app(None, Access((), open_to_loopback=True))  # type: ignore[arg-type]
    described: dict[str, Any] = json.loads(json.dumps(app.openapi()))
    return described


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


def references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_the_document_is_openapi_3_1_and_names_every_resource(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    assert {"title", "version", "summary", "description"} <= set(document["info"])
    assert set(document["paths"]) == {
        "/v1/ask", "/v1/search", "/v1/notes/{note_id}", "/healthz", "/readyz",
    }  # fmt: skip


def test_every_operation_has_a_name_of_its_own_a_summary_and_a_description(
    document: dict[str, Any],
) -> None:
    ids = [operation["operationId"] for _, operation in operations(document)]

    assert len(set(ids)) == len(ids)
    assert all(op["summary"] and op["description"] for _, op in operations(document))


def test_every_operation_describes_success_and_problems(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        responses = operation["responses"]
        assert "200" in responses, name
        problems = {
            code
            for code, response in responses.items()
            if "application/problem+json" in response.get("content", {})
        }
        needed = {"401", "403", "422", "503"} if "/v1/" in name else {"401"}
        assert needed <= problems, name
        # A client that was generated from it must not expect the framework's own errors.
        assert "HTTPValidationError" not in json.dumps(operation), name


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    for reference in set(references(document)):
        found: Any = document
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]
        assert found


def test_every_schema_is_a_valid_json_schema(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]

    assert {"AskRequest", "AnswerOut", "Problem", "NoteOut", "SearchResult"} <= set(schemas)
    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/ask", {"question": "What is drift?"}),
        ("/v1/ask", {"question": "Who won the football cup?"}),
        ("/v1/ask", {"question": "?"}),
        ("/v1/search?q=drift", None),
        ("/v1/search?q=", None),
        ("/v1/notes/topics/drift", None),
        ("/v1/notes/none", None),
        ("/healthz", None),
        ("/readyz", None),
    ],
)
async def test_what_is_sent_is_what_is_described(
    client: httpx.AsyncClient, document: dict[str, Any], path: str, body: dict[str, str] | None
) -> None:
    response = await client.request("POST" if body else "GET", path, json=body)
    place = re.sub(r"/notes/.*", "/notes/{note_id}", path.partition("?")[0])
    operation = document["paths"][place]["post" if body else "get"]
    content = operation["responses"][str(response.status_code)]["content"]
    schema = content[response.headers["content-type"]]["schema"]

    jsonschema.validate(response.json(), schema | {"components": document["components"]})


def test_the_answer_that_is_described_is_that_of_the_contract(document: dict[str, Any]) -> None:
    described = document["components"]["schemas"]["AnswerOut"]

    assert set(described["properties"]) == set(described["required"]) == ANSWER


async def test_nothing_that_is_served_loads_from_another_host(client: httpx.AsyncClient) -> None:
    for path in ("/", "/docs", "/redoc", "/openapi.json"):
        text = (await client.get(path)).text
        assert "<script" not in text
        assert "cdn" not in text
