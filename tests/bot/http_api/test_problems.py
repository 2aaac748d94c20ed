"""Every error is a problem document (RFC 9457)."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

import httpx
import pytest

from bot.domain.evidence import Evidence, Filters, Hit
from bot.frontends.http_api import dependencies
from bot.frontends.http_api.limits import MAX_BODY_BYTES
from bot.retrieval.retriever import NO_FILTERS
from ingest.errors import IndexDamagedError, IngestError
from tests.bot.fakes import FakeHealth
from tests.bot.http_api.conftest import INSTANCE, Client

SECRET = "the password is swordfish"
ASK = {"question": "What is drift?"}


def problem(response: httpx.Response, status: int) -> dict[str, Any]:
    """Return a response's problem document, checked."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert set(body) == {"type", "title", "status", "detail", "repair", "errors"}
    assert body["type"] == "about:blank"
    assert body["status"] == status
    assert body["title"] == HTTPStatus(status).phrase
    assert body["detail"]
    assert "Traceback" not in response.text
    return body


class BrokenSearcher:
    """Raises whatever it is given."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def search(self, query: str, k: int = 10, filters: Filters = NO_FILTERS) -> list[Hit]:
        raise self.error

    async def evidence(self, question: str, filters: Filters = NO_FILTERS) -> Evidence:
        raise self.error


async def test_an_unknown_path_names_where_the_paths_are(over: Client) -> None:
    async with over() as client:
        assert problem(await client.get("/v1/none"), 404)["repair"] == "See /openapi.json"
        problem(await client.get("/docs"), 404)
        problem(await client.get("/redoc"), 404)


async def test_a_method_that_a_path_does_not_have_is_refused(over: Client) -> None:
    async with over() as client:
        response = await client.get("/v1/ask")

    assert problem(response, 405)["repair"] == "See /openapi.json"
    assert response.headers["allow"] == "POST"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"question": None},
        {"question": 7},
        {"question": ["What is drift?"]},
        {"question": "What is drift?", "k": 3},
        {"question": "What is drift?", "conversation": "a b"},
        {"question": "What is drift?", "conversation": "a" * 65},
        {"question": "a" * 8001},
        {"question": "a" * 2001},
        {"question": ""},
        {"question": "?"},
        {"question": "What is drift?", "model": "openai:gpt-5"},
        [],
        "What is drift?",
        None,
    ],
)
async def test_a_body_that_is_no_question_is_refused(over: Client, body: object) -> None:
    async with over() as client:
        assert problem(await client.post("/v1/ask", json=body), 422)["repair"]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b'{"question": "\xff"}', b'{"question": "\\ud800"}', b"[" * 60_000, b"question=x"],
)
async def test_a_body_that_is_no_json_is_the_callers_fault(over: Client, content: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    async with over() as client:
        response = await client.post("/v1/ask", content=content, headers=headers)

    assert response.status_code in (400, 422)
    problem(response, response.status_code)


async def test_a_fault_of_a_field_is_named_with_its_place(over: Client) -> None:
    async with over() as client:
        body = problem(await client.post("/v1/ask", json={"quesion": "What is drift?"}), 422)

    assert [fault["where"] for fault in body["errors"]] == ["body.question", "body.quesion"]
    assert all(fault["message"] for fault in body["errors"])


@pytest.mark.parametrize("query", ["", "q=", "q=a&k=0", "q=a&k=51", "q=a&k=many", "q=%20"])
async def test_a_search_without_sense_is_refused(over: Client, query: str) -> None:
    async with over() as client:
        problem(await client.get(f"/v1/search?{query}"), 422)


async def test_a_body_above_the_limit_is_refused(over: Client) -> None:
    async with over() as client:
        response = await client.post("/v1/ask", json={"question": "a" * MAX_BODY_BYTES})

    problem(response, 413)


async def test_a_chunked_body_above_the_limit_is_refused(over: Client) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        yield b'{"question": "'
        for _ in range(1000):
            sent += 1
            yield b"a" * 8192

    async with over() as client:
        response = await client.post(
            "/v1/ask", content=endless(), headers={"Content-Type": "application/json"}
        )

    problem(response, 413)
    assert sent < 20


async def test_the_longest_question_fits_in_any_spelling(over: Client) -> None:
    body = ('{"question": "' + "\\u00e4" * 2000 + '"}').encode()
    async with over() as client:
        response = await client.post(
            "/v1/ask", content=body, headers={"Content-Type": "application/json"}
        )

    assert response.status_code == 200


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/v1/ask"), ("GET", "/v1/search?q=a"), ("GET", "/v1/notes/a")]
)
@pytest.mark.parametrize(("state", "wait"), [("starting", "5"), ("failed", "30")])
async def test_who_is_not_ready_says_when_to_come_back(
    over: Client, method: str, path: str, state: str, wait: str
) -> None:
    async with over(health=FakeHealth(state)) as client:
        response = await client.request(method, path, json=ASK if method == "POST" else None)

    assert problem(response, 503)
    assert response.headers["retry-after"] == wait


async def test_a_question_waits_for_a_start_and_is_then_answered(over: Client) -> None:
    health = FakeHealth("starting", becomes="ready")
    async with over(health=health) as client:
        assert (await client.post("/v1/ask", json=ASK)).status_code == 200

    assert health.waited == [dependencies.STARTING_PATIENCE_S]


async def test_readiness_is_503_until_ready_and_health_is_always_200(over: Client) -> None:
    for state, status in (("ready", 200), ("starting", 503), ("failed", 503)):
        async with over(health=FakeHealth(state)) as client:
            ready, alive = await client.get("/readyz"), await client.get("/healthz")

        assert ready.status_code == status
        assert ready.json()["ready"] is (state == "ready")
        assert [part["state"] for part in ready.json()["parts"]] == ["ready", state]
        assert (alive.status_code, alive.json()["status"]) == (200, "ok")
        assert alive.json()["instance"] == INSTANCE


async def test_a_fault_of_the_index_says_what_mends_it(over: Client) -> None:
    async with over(BrokenSearcher(IndexDamagedError("a file is missing"))) as client:
        body = problem(await client.post("/v1/ask", json=ASK), 503)

    assert (body["detail"], "viva ingest --rebuild" in body["repair"]) == (
        "a file is missing",
        True,
    )
    assert issubclass(IndexDamagedError, IngestError)


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
async def test_an_error_that_nobody_foresaw_tells_the_log_and_not_the_caller(
    over: Client, accept: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with over(BrokenSearcher(RuntimeError(SECRET))) as client:
        with caplog.at_level(logging.ERROR):
            response = await client.post("/v1/ask", json=ASK, headers={"Accept": accept})

    problem(response, 500)
    assert SECRET not in response.text
    assert "RuntimeError" not in response.text
    (record,) = [record for record in caplog.records if record.name.startswith("bot.")]
    assert record.exc_info
