"""The composition root: opens everything that the services need, and closes it in reverse."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from bot.content import corpus_dir
from bot.retrieval.retriever import Retriever
from bot.retrieval.shelf import Shelf
from bot.retrieval.vectors import BatchingEncoder
from bot.services.answers import AnswerService
from bot.services.bundle import Services
from bot.services.health import Part, Readiness
from bot.services.library import LibraryService
from bot.settings import Settings
from ingest.embedding import open_embedder
from ingest.errors import IngestError, VectorStoreError
from ingest.pipeline import IngestOptions, open_store

logger = logging.getLogger(__name__)


class Starting:
    """Loads the encoder and opens the index behind a server that already answers."""

    def __init__(self, encoder: BatchingEncoder, shelf: Shelf) -> None:
        self._encoder = encoder
        self._shelf = shelf
        self._fault: Exception | None = None
        self._encoder_ready = False
        self._done = asyncio.Event()

    async def run(self, *, watch: bool) -> None:
        """Start both. A fault is kept for `readiness`, not raised: the server goes on."""
        try:
            embedder = await self._encoder.start()
            self._encoder_ready = True
            await self._shelf.start(embedder.fingerprint, watch=watch)
        except IngestError as error:
            logger.error("%s", error)
            self._fault = error
        except Exception as error:
            logger.exception("Viva could not start")
            self._fault = error
        finally:
            self._done.set()

    async def until_started(self, timeout_s: float) -> None:
        """Wait until `run` has ended, or the time is up."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._done.wait(), timeout_s)

    def raise_fault(self) -> None:
        """Raise what kept encoder or index from starting."""
        if fault := self._fault or (None if self._shelf.manifest else self._shelf.fault):
            raise fault

    def readiness(self) -> Readiness:
        """Return the state of encoder and index."""
        return Readiness((self._encoder_part(), self._index_part()))

    def _encoder_part(self) -> Part:
        if self._encoder_ready:
            return Part("encoder", "ready", "loaded")
        if self._fault:
            return Part("encoder", "failed", str(self._fault))
        return Part("encoder", "starting", "loading")

    def _index_part(self) -> Part:
        if isinstance(self._shelf.fault, VectorStoreError):
            return Part("index", "failed", str(self._shelf.fault))
        if manifest := self._shelf.manifest:
            sections = manifest.counts["sections"]
            return Part("index", "ready", f"generation {manifest.id}, {sections} sections")
        if self._shelf.fault:
            return Part("index", "failed", str(self._shelf.fault))
        return Part("index", "starting", "waiting for the encoder")


@asynccontextmanager
async def open_services(
    settings: Settings, *, wait: bool = True, watch: bool = True
) -> AsyncIterator[Services]:
    """Open the services.

    With `wait` they are ready, or the reason is raised as `IngestError`. Without it they become
    ready behind the caller, and `Services.health` tells.
    """
    quiet_libraries()
    async with AsyncExitStack() as stack:
        encoder = BatchingEncoder(
            lambda: open_embedder(settings.embedding_model, settings.cache_dir)
        )
        shelf = Shelf(open_store(settings.index_dir, settings.chroma_url))
        stack.push_async_callback(shelf.close)
        stack.push_async_callback(encoder.close)
        starting = Starting(encoder, shelf)
        task = asyncio.create_task(starting.run(watch=watch), name="viva-start")
        stack.push_async_callback(_cancelled, task)
        if wait:
            await task
            starting.raise_fault()
        retriever = Retriever(shelf, encoder)
        yield Services(AnswerService(retriever), LibraryService(retriever), starting)


def ingest_options(settings: Settings, *, rebuild: bool = False) -> IngestOptions:
    """Return the narrow piece of the settings that an ingest needs."""
    return IngestOptions(
        corpora={"": corpus_dir(), **settings.corpus_dirs},
        index_dir=settings.index_dir,
        cache_dir=settings.cache_dir,
        embedding_model=settings.embedding_model,
        chroma_url=settings.chroma_url,
        rebuild=rebuild,
    )


def quiet_libraries() -> None:
    """Keep libraries from reporting to anyone, whatever the environment asks of them.

    LangSmith would send traces, Chroma usage, the hub's client a look-up for every model.
    """
    os.environ.update(
        LANGSMITH_TRACING="false",
        LANGCHAIN_TRACING_V2="false",
        ANONYMIZED_TELEMETRY="False",
        HF_HUB_OFFLINE="1",
        HF_HUB_DISABLE_TELEMETRY="1",
        TOKENIZERS_PARALLELISM="false",
    )
    # A proxy for the world outside is none for a Chroma server on this machine.
    for name in ("NO_PROXY", "no_proxy"):
        others = [host for host in os.environ.get(name, "").split(",") if host]
        os.environ[name] = ",".join(dict.fromkeys([*others, "localhost", "127.0.0.1", "::1"]))


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
