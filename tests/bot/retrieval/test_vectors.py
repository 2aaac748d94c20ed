"""Questions into vectors."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from bot.retrieval.vectors import BatchingEncoder
from ingest.embedding import Precision, Vectors
from tests.fakes import FakeEmbedder


class SlowEmbedder(FakeEmbedder):
    """Encodes when it is let, keeps each batch, and fails at texts that say so."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[list[str]] = []
        self.begun = threading.Event()
        self.let = threading.Event()

    def encode(self, texts: Sequence[str], precision: Precision = "float32") -> Vectors:
        self.batches.append(list(texts))
        if texts[0] != "warm up":
            self.begun.set()
            assert self.let.wait(10)
        if any("broken" in text for text in texts):
            raise RuntimeError("no memory")
        return super().encode(texts, precision)

    async def until_begun(self) -> None:
        assert await asyncio.to_thread(self.begun.wait, 10)


@asynccontextmanager
async def encoding(embedder: FakeEmbedder) -> AsyncIterator[BatchingEncoder]:
    encoder = BatchingEncoder(lambda: embedder)
    await encoder.start()
    try:
        yield encoder
    finally:
        await encoder.close()


async def test_a_text_becomes_its_vector() -> None:
    embedder = FakeEmbedder()
    async with encoding(embedder) as encoder:
        vector = await encoder.encode("What is drift?")

    assert list(vector) == pytest.approx(embedder.encode(["What is drift?"])[0].tolist())


async def test_texts_that_arrive_together_are_encoded_together() -> None:
    embedder = SlowEmbedder()
    async with encoding(embedder) as encoder:
        first = asyncio.create_task(encoder.encode("first"))
        await embedder.until_begun()
        others = [asyncio.create_task(encoder.encode(f"text {n}")) for n in range(20)]
        await asyncio.sleep(0)
        embedder.let.set()
        vectors = await asyncio.gather(first, *others)

    assert embedder.batches[1:] == [["first"], [f"text {n}" for n in range(20)]]
    expected = FakeEmbedder().encode(["first", *(f"text {n}" for n in range(20))])
    assert [list(vector) for vector in vectors] == expected.tolist()


async def test_a_batch_has_at_most_32_texts() -> None:
    embedder = SlowEmbedder()
    async with encoding(embedder) as encoder:
        waiting = [asyncio.create_task(encoder.encode(f"text {n}")) for n in range(100)]
        embedder.let.set()
        await asyncio.gather(*waiting)

    assert max(len(batch) for batch in embedder.batches) == 32
    assert sum(len(batch) for batch in embedder.batches[1:]) == 100


async def test_texts_wait_for_the_model_to_load() -> None:
    encoder = BatchingEncoder(FakeEmbedder)
    early = asyncio.create_task(encoder.encode("early"))
    await asyncio.sleep(0)
    await encoder.start()

    assert len(await asyncio.wait_for(early, 5)) == 384
    await encoder.close()


async def test_the_model_is_loaded_off_the_event_loop_and_warmed_up() -> None:
    threads = []

    class Watched(FakeEmbedder):
        def encode(self, texts: Sequence[str], precision: Precision = "float32") -> Vectors:
            threads.append(threading.current_thread())
            return super().encode(texts, precision)

    async with encoding(Watched()) as encoder:
        await encoder.encode("What is drift?")

    assert len(threads) == 2
    assert threading.main_thread() not in threads


async def test_an_error_reaches_who_waits_and_the_encoder_goes_on() -> None:
    embedder = SlowEmbedder()
    embedder.let.set()
    async with encoding(embedder) as encoder:
        with pytest.raises(RuntimeError, match="no memory"):
            await encoder.encode("broken")
        assert len(await encoder.encode("sound")) == 384


async def test_who_no_longer_waits_disturbs_nobody() -> None:
    embedder = SlowEmbedder()
    async with encoding(embedder) as encoder:
        gone = asyncio.create_task(encoder.encode("gone"))
        await embedder.until_begun()
        stays = asyncio.create_task(encoder.encode("stays"))
        gone.cancel()
        embedder.let.set()

        assert len(await asyncio.wait_for(stays, 5)) == 384
        assert len(await asyncio.wait_for(encoder.encode("next"), 5)) == 384


async def test_closing_cancels_whoever_waits() -> None:
    embedder = SlowEmbedder()
    encoder = BatchingEncoder(lambda: embedder)
    await encoder.start()
    being_encoded = asyncio.create_task(encoder.encode("being encoded"))
    await embedder.until_begun()
    in_line = asyncio.create_task(encoder.encode("in line"))
    await asyncio.sleep(0)

    embedder.let.set()
    await encoder.close()
    _, hanging = await asyncio.wait([being_encoded, in_line], timeout=2)
    for task in hanging:
        task.cancel()

    assert not hanging
    assert in_line.cancelled()


async def test_an_encoder_that_cannot_load_says_so() -> None:
    def broken() -> FakeEmbedder:
        raise RuntimeError("no weights")

    encoder = BatchingEncoder(broken)
    with pytest.raises(RuntimeError, match="no weights"):
        await encoder.start()
    await encoder.close()
