"""Questions into vectors: those that arrive together are encoded together, off the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from bot.domain.evidence import Vector
from ingest.embedding import Embedder

_MOST_TOGETHER = 32


class BatchingEncoder:
    """Encodes with one embedder, one batch at a time; what arrives meanwhile is the next batch.

    `open_embedder` may take seconds, and runs in a thread at `start`.
    """

    def __init__(self, open_embedder: Callable[[], Embedder]) -> None:
        self._open = open_embedder
        self._embedder: Embedder | None = None
        self._waiting: asyncio.Queue[tuple[str, asyncio.Future[Vector]]] = asyncio.Queue()
        self._worker: asyncio.Task[None] | None = None

    async def start(self) -> Embedder:
        """Load the model and begin to serve; return the embedder."""
        self._embedder = await asyncio.to_thread(self._opened)
        self._worker = asyncio.create_task(self._serve(), name="viva-encoder")
        return self._embedder

    async def close(self) -> None:
        """Stop serving; whoever still waits is cancelled."""
        if self._worker:
            self._worker.cancel()
            with suppress(asyncio.CancelledError):
                await self._worker
        while not self._waiting.empty():
            self._waiting.get_nowait()[1].cancel()

    async def encode(self, text: str) -> Vector:
        """Return the unit vector of a text, in float32."""
        future: asyncio.Future[Vector] = asyncio.get_running_loop().create_future()
        await self._waiting.put((text, future))
        return await future

    def _opened(self) -> Embedder:
        embedder = self._open()
        embedder.encode(["warm up"])
        return embedder

    async def _serve(self) -> None:
        while True:
            batch = [await self._waiting.get()]
            while not self._waiting.empty() and len(batch) < _MOST_TOGETHER:
                batch.append(self._waiting.get_nowait())
            await self._encode(batch)

    async def _encode(self, batch: list[tuple[str, asyncio.Future[Vector]]]) -> None:
        assert self._embedder is not None, "start() comes first"
        try:
            vectors = await asyncio.to_thread(self._embedder.encode, [text for text, _ in batch])
        except asyncio.CancelledError:
            for _, future in batch:
                future.cancel()
            raise
        except Exception as error:
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), vector in zip(batch, vectors, strict=True):
            if not future.done():
                future.set_result(vector.tolist())
