import asyncio
from collections.abc import AsyncIterator
from itertools import islice

import pytest

from benchmarks.load import Target, distinct_questions, load

QUESTIONS = [f"What is {number}?" for number in range(20_000)]


@pytest.fixture
async def server() -> AsyncIterator[Target]:
    """Serve 200 on `/good` and 503 elsewhere, over a real socket."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        status = b"200 OK" if b" /good " in head else b"503 Service Unavailable"
        writer.write(
            b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
        )
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield Target(f"http://127.0.0.1:{port}", "/good")


def test_no_question_is_asked_twice() -> None:
    asked = list(islice(distinct_questions(seed=0), 20_000))
    assert len(set(asked)) == len(asked) == 20_000


def test_the_same_seed_asks_the_same_questions() -> None:
    first = list(islice(distinct_questions(seed=3), 50))
    assert first == list(islice(distinct_questions(seed=3), 50))
    assert first != list(islice(distinct_questions(seed=4), 50))


async def test_answered_requests_are_timed(server: Target) -> None:
    found = await load(server, iter(QUESTIONS), clients=2, seconds=0.2)
    assert found["requests_per_second"] > 0
    assert 0 < found["p50_ms"] <= found["p95_ms"] <= found["p99_ms"]
    assert found["errors"] == 0


async def test_a_refused_request_is_an_error_and_not_timed(server: Target) -> None:
    found = await load(Target(server.url, "/bad"), iter(QUESTIONS), clients=1, seconds=0.1)
    assert found["errors"] > 0
    assert found["requests_per_second"] == 0
    assert found["p50_ms"] is None
