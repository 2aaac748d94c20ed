"""An index of a few notes, built once with the fake encoder."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.retrieval.retriever import Retriever
from bot.retrieval.shelf import Shelf
from bot.retrieval.vectors import BatchingEncoder
from bot.services.answers import AnswerService
from bot.services.bundle import Services
from bot.services.library import LibraryService
from bot.wiring import Starting
from ingest import pipeline
from ingest.folder_store import FolderStore
from tests.fakes import CorpusFolder, FakeEmbedder, prose, section


@dataclass(frozen=True, slots=True)
class Library:
    """Notes on disk, and the index of them."""

    corpus: CorpusFolder
    group: CorpusFolder
    index: Path

    @property
    def options(self) -> pipeline.IngestOptions:
        corpora = {"": self.corpus.root, "group": self.group.root}
        return pipeline.IngestOptions(corpora, self.index, self.index.parent / "cache")

    def ingest(self, **changes: object) -> str:
        """Build the index, and return its generation."""
        from dataclasses import replace

        options = replace(self.options, **changes)  # type: ignore[arg-type]
        return pipeline.ingest(options, embedder=FakeEmbedder()).generation


DRIFT = "Drift is a change of inputs [@gama-2014]. What drift is not: an outage."


def make_library(folder: Path) -> Library:
    """Write notes of each kind, level and phase, and one of a group, and index them."""
    corpus, group = CorpusFolder(folder / "corpus"), CorpusFolder(folder / "group")
    corpus.note(
        "topics/drift",
        body="\n".join(
            [
                section("drift", f"{DRIFT}\n{prose('drift', 80)}"),
                section("monitoring"),
            ]
        ),
        sources=["gama-2014"],
    )
    corpus.note("topics/caching", "caching", "eviction", front={"level": "L5", "phases": ["serve"]})
    corpus.note("framework/framing", "framing", front={"level": "L6", "phases": ["frame", "data"]})
    corpus.note("faq/preparing", "preparing", front={"phases": ["clarify"]})
    group.note("topics/pizza", "pizza dough", front={"phases": ["serve"]})
    # A group's section may be longer than the encoder's window: it is cut into parts.
    group.note("topics/long", body=section("tomatoes", prose("tomatoes", 600)))
    library = Library(corpus, group, folder / "index")
    library.ingest()
    return library


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """Return notes and their index, for tests that only read."""
    return make_library(tmp_path_factory.mktemp("library"))


@asynccontextmanager
async def opened(index: Path) -> AsyncIterator[Services]:
    """Open the real services over an index, with the fake encoder."""
    encoder, shelf = BatchingEncoder(FakeEmbedder), Shelf(FolderStore(index))
    starting = Starting(encoder, shelf)
    try:
        await starting.run(watch=False)
        retriever = Retriever(shelf, encoder)
        yield Services(AnswerService(retriever), LibraryService(retriever), starting)
    finally:
        await encoder.close()
        await shelf.close()
