"""`POST /v1/ask`."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.bot.conftest import Library

# What other programs rely on.
ANSWER = {
    "id", "conversation", "generation", "question", "status", "answer", "sentences", "citations",
    "uncovered", "suggestions", "engine", "degraded", "timings_ms",
}  # fmt: skip
CITATION = {
    "n", "note", "title", "heading", "path", "lines", "quote", "support", "sources",
}  # fmt: skip
SOURCE = {"key", "title", "authors", "year", "url"}
TIMINGS = {"retrieve", "gate", "first_sentence", "total"}

DRIFT = "What is drift?"
EVENTS = {"Accept": "text/event-stream"}


async def ask(client: httpx.AsyncClient, question: str = DRIFT, **body: str) -> dict[str, Any]:
    response = await client.post("/v1/ask", json={"question": question} | body)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    answer: dict[str, Any] = response.json()
    return answer


async def streamed(
    client: httpx.AsyncClient, question: str = DRIFT, **body: str
) -> list[tuple[str, Any]]:
    response = await client.post("/v1/ask", json={"question": question} | body, headers=EVENTS)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/event-stream")
    found = []
    for block in response.text.strip().split("\n\n"):
        fields = dict(line.partition(": ")[::2] for line in block.splitlines())
        found.append((fields["event"], json.loads(fields["data"])))
    return found


def without_chance(answer: dict[str, Any]) -> dict[str, Any]:
    return {key: answer[key] for key in ANSWER - {"id", "conversation", "timings_ms"}}


async def test_an_answer_has_the_keys_of_the_contract(client: httpx.AsyncClient) -> None:
    answer = await ask(client)

    assert answer["status"] == "answered"
    assert set(answer) == ANSWER
    assert set(answer["timings_ms"]) == TIMINGS
    assert answer["sentences"]
    assert answer["citations"]
    assert all(set(sentence) == {"text", "citations"} for sentence in answer["sentences"])
    assert all(set(citation) == CITATION for citation in answer["citations"])
    cited = [source for citation in answer["citations"] for source in citation["sources"]]
    assert all(set(source) == SOURCE for source in cited)


async def test_every_quote_is_in_the_file_that_its_citation_names(
    client: httpx.AsyncClient, library: Library
) -> None:
    answer = await ask(client)
    by_number = {citation["n"]: citation for citation in answer["citations"]}

    for sentence in answer["sentences"]:
        for number in sentence["citations"]:
            citation = by_number[number]
            text = (library.corpus.root.parent / citation["path"]).read_text(encoding="utf-8")
            first, last = citation["lines"]
            assert citation["quote"] in "\n".join(text.splitlines()[first - 1 : last])
            assert 0 <= citation["support"] <= 1


async def test_the_text_of_an_answer_is_its_sentences_with_markers(
    client: httpx.AsyncClient,
) -> None:
    answer = await ask(client)
    said = [
        sentence["text"] + "".join(f" [{n}]" for n in sentence["citations"])
        for sentence in answer["sentences"]
    ]

    assert answer["answer"].replace("\n\n", " ") == " ".join(said)


async def test_a_refused_question_is_an_answer_without_sentences(client: httpx.AsyncClient) -> None:
    answer = await ask(client, "Who won the football cup?")

    assert answer["status"] == "refused"
    assert (answer["sentences"], answer["citations"]) == ([], [])
    assert answer["uncovered"].endswith("Who won the football cup?")


async def test_events_are_the_sources_then_each_sentence_then_the_answer(
    client: httpx.AsyncClient,
) -> None:
    events = await streamed(client)
    names = [name for name, _ in events]
    answer = events[-1][1]

    assert names == ["sources", *["sentence"] * (len(names) - 2), "done"]
    assert len(names) > 3
    assert [data["text"] for name, data in events if name == "sentence"] == [
        sentence["text"] for sentence in answer["sentences"]
    ]
    assert [c for name, data in events if name == "sentence" for c in data["citations"]] == answer[
        "citations"
    ]
    assert all(
        set(source) == {"note", "title", "heading", "path", "lines"}
        for source in events[0][1]["sources"]
    )
    quoted = {(c["note"], c["heading"]) for c in answer["citations"]}
    assert quoted <= {(s["note"], s["heading"]) for s in events[0][1]["sources"]}


@pytest.mark.parametrize("question", [DRIFT, "Who won the football cup?", "What is pizza dough?"])
async def test_streamed_or_whole_the_answer_is_the_same(
    client: httpx.AsyncClient, question: str
) -> None:
    whole = await ask(client, question)
    *_, (name, done) = await streamed(client, question)

    assert name == "done"
    assert set(done) == ANSWER
    assert without_chance(done) == without_chance(whole)


async def test_a_refused_stream_has_no_sentence(client: httpx.AsyncClient) -> None:
    events = await streamed(client, "Who won the football cup?")

    assert [name for name, _ in events] == ["sources", "done"]
    assert events[0][1] == {"sources": []}


async def test_a_conversation_is_kept(client: httpx.AsyncClient) -> None:
    assert (await ask(client, conversation="mine-1"))["conversation"] == "mine-1"
    assert (await streamed(client, conversation="mine-1"))[-1][1]["conversation"] == "mine-1"


async def test_hidden_characters_of_a_question_do_not_come_back(client: httpx.AsyncClient) -> None:
    answer = await ask(client, "What is dri\u200bft\U000e0041?")

    assert answer["question"] == "What is drift?"


@pytest.mark.parametrize("accept", ["*/*", "application/json", "text/html"])
async def test_only_who_asks_for_events_gets_them(client: httpx.AsyncClient, accept: str) -> None:
    response = await client.post("/v1/ask", json={"question": DRIFT}, headers={"Accept": accept})

    assert response.headers["content-type"] == "application/json"


async def test_a_question_that_cannot_be_asked_is_a_problem_and_not_an_event(
    client: httpx.AsyncClient,
) -> None:
    for body in ({"question": "?"}, {"question": DRIFT, "model": "local"}):
        response = await client.post("/v1/ask", json=body, headers=EVENTS)
        assert response.status_code == 422
        assert response.headers["content-type"] == "application/problem+json"
