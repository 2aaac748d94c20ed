"""`GET /v1/search` and `GET /v1/notes/{id}`."""

from __future__ import annotations

import httpx
import pytest

from tests.bot.conftest import Library

RESULT = {"rank", "note", "title", "heading", "text", "score", "lines"}
NOTE = {
    "id", "title", "kind", "phases", "level", "summary", "updated", "namespace", "path",
    "first_line", "sections", "sources", "text",
}  # fmt: skip


async def test_sections_are_found_with_the_keys_of_the_contract(client: httpx.AsyncClient) -> None:
    response = await client.get("/v1/search", params={"q": "What is caching?", "k": 3})

    found = response.json()
    assert response.status_code == 200
    assert [hit["rank"] for hit in found] == [1, 2, 3]
    assert all(set(hit) == RESULT for hit in found)
    assert (found[0]["note"], found[0]["heading"]) == ("topics/caching", "Caching")
    assert "asks:" not in found[0]["text"]


async def test_ten_are_found_unless_told(client: httpx.AsyncClient) -> None:
    found = (await client.get("/v1/search", params={"q": "caching"})).json()

    assert 3 < len(found) <= 10


@pytest.mark.parametrize(
    ("filters", "notes"),
    [
        ({"kind": "faq"}, {"faq/preparing"}),
        ({"level": ["L5", "L6"]}, {"topics/caching", "framework/framing"}),
        ({"phase": "data"}, {"framework/framing"}),
        ({"phase": "serve", "namespace": "viva"}, {"topics/caching"}),
        ({"namespace": "group"}, {"group:topics/pizza", "group:topics/long"}),
    ],
)
async def test_filters_let_through_what_matches(
    client: httpx.AsyncClient, filters: dict[str, str | list[str]], notes: set[str]
) -> None:
    response = await client.get("/v1/search", params={"q": "caching drift", "k": 50} | filters)

    assert {hit["note"] for hit in response.json()} == notes


async def test_a_note_is_served_verbatim(client: httpx.AsyncClient, library: Library) -> None:
    note = (await client.get("/v1/notes/topics/drift")).json()

    assert set(note) == NOTE
    assert note["text"] == (library.corpus.root / "topics/drift.md").read_text(encoding="utf-8")
    assert [part["heading"] for part in note["sections"]] == ["Drift", "Monitoring"]
    lines = note["text"].splitlines()
    assert [lines[part["lines"][0] - 1] for part in note["sections"]] == [
        "## Drift",
        "## Monitoring",
    ]
    assert [source["key"] for source in note["sources"]] == ["gama-2014"]


async def test_a_note_that_was_found_can_be_read(client: httpx.AsyncClient) -> None:
    for hit in (await client.get("/v1/search", params={"q": "pizza dough drift", "k": 50})).json():
        assert (await client.get(f"/v1/notes/{hit['note']}")).json()["id"] == hit["note"]


@pytest.mark.parametrize(
    "note", ["topics/none", "none", "topics%2Fnone", "..%2f..%2fetc%2fpasswd", "%00", "a" * 3000]
)
async def test_a_note_that_does_not_exist_is_not_found(
    client: httpx.AsyncClient, note: str
) -> None:
    response = await client.get(f"/v1/notes/{note}")

    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"
    assert "There is no note" in response.json()["detail"]


async def test_the_first_page_names_what_there_is(client: httpx.AsyncClient) -> None:
    assert {"ask", "search", "ready", "reference"} <= set((await client.get("/")).json())
