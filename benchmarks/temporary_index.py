"""Generations built for a benchmark by the product's own code, in a folder that goes afterwards."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from bot.content import corpus_dir
from bot.retrieval.shelf import Shelf
from bot.retrieval.vectors import BatchingEncoder
from ingest import index, pipeline
from ingest.embedding import Embedder
from ingest.encoding import Encoding
from ingest.folder_store import FolderStore
from ingest.generations import GenerationStore, content_key
from ingest.index import Records
from ingest.progress import Silent


@contextmanager
def passage_index(
    passages: Mapping[str, str], embedder: Embedder, cache_dir: Path
) -> Iterator[GenerationStore]:
    """Publish a generation in which every passage is a section, and lend its store.

    Vectors come from the cache of the product, so that only the first run embeds.
    """
    with tempfile.TemporaryDirectory(prefix="viva-benchmark-") as folder:
        store = FolderStore(Path(folder))
        content = content_key(embedder.fingerprint.to_dict(), dict(passages))
        with store.writer() as writer, Encoding(embedder, cache_dir, Silent()) as encoding:
            pipeline.publish(
                passage_records(passages),
                [index.OWN_NAMESPACE],
                content,
                writer,
                encoding,
                Silent(),
            )
        yield store


@contextmanager
def notes_index(embedder: Embedder, cache_dir: Path) -> Iterator[GenerationStore]:
    """Ingest the notes that ship with Viva, and lend the store."""
    with tempfile.TemporaryDirectory(prefix="viva-benchmark-") as folder:
        options = pipeline.IngestOptions({"": corpus_dir()}, Path(folder), cache_dir)
        pipeline.ingest(options, embedder=embedder)
        yield FolderStore(Path(folder))


@asynccontextmanager
async def opened(
    store: GenerationStore, embedder: Embedder
) -> AsyncIterator[tuple[Shelf, BatchingEncoder]]:
    """Open a store as the product does: what a `Retriever` is made of."""
    encoder, shelf = BatchingEncoder(lambda: embedder), Shelf(store)
    try:
        loaded = await encoder.start()
        await shelf.start(loaded.fingerprint, watch=False)
        yield shelf, encoder
    finally:
        await encoder.close()
        await shelf.close()


def passage_records(passages: Mapping[str, str]) -> dict[str, Records]:
    """Return records that embed the bare passage: a section without title or heading."""
    records = index.empty_records()
    for key, text in passages.items():
        metadata = {
            "note": key,
            "title": "",
            "kind": "topic",
            "level": "L4",
            "namespace": index.OWN_NAMESPACE,
            "heading": "",
            "path": key,
            "first_line": 1,
            "last_line": 1,
            "sentences": 0,
        }
        records[index.SECTIONS].add(key, text, text, metadata)
    return records
