"""The generation that serves."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bot.domain.evidence import Filters
from bot.errors import NotReadyError
from bot.retrieval import shelf as shelves
from bot.retrieval.retriever import Retriever
from bot.retrieval.shelf import Shelf
from ingest.errors import EmbedderMismatchError, IndexDamagedError, IndexMissingError
from ingest.folder_store import FolderGeneration, FolderStore
from ingest.pipeline import rollback
from tests.bot.conftest import Library, make_library
from tests.bot.fakes import until
from tests.fakes import FakeEmbedder

FINGERPRINT = FakeEmbedder().fingerprint


@pytest.fixture
def growing(tmp_path: Path) -> Library:
    """Return notes and an index that the test may change."""
    return make_library(tmp_path)


def copies(library: Library) -> list[Path]:
    """Return the private copies that readers hold."""
    return [path for path in (library.index / "readers").glob("*") if path.is_dir()]


def another_generation(library: Library) -> str:
    library.corpus.note("topics/sharding", "sharding")
    return library.ingest()


def damage(library: Library, generation: str) -> None:
    file = next((library.index / "generations" / generation).glob("*/data_level0.bin"))
    file.write_bytes(b"\0" + file.read_bytes()[1:] + b"\0")


@asynccontextmanager
async def serving(library: Library, **how: bool) -> AsyncIterator[Shelf]:
    shelf = Shelf(FolderStore(library.index))
    await shelf.start(FINGERPRINT, **({"watch": False} | how))
    try:
        yield shelf
    finally:
        await shelf.close()


async def test_the_current_generation_is_served(library: Library) -> None:
    async with serving(library) as shelf, shelf.volume() as volume:
        assert shelf.manifest
        assert volume.manifest.id == shelf.manifest.id == FolderStore(library.index).current()
        assert shelf.fault is None
        assert {s.note for s in volume.sections.values()} >= {"topics/drift", "group:topics/pizza"}


async def test_closing_leaves_no_copy_behind(growing: Library) -> None:
    async with serving(growing):
        assert len(copies(growing)) == 1

    assert copies(growing) == []


async def test_the_next_generation_is_served_once_the_pointer_moves(growing: Library) -> None:
    async with serving(growing) as shelf:
        before = shelf.manifest
        after = another_generation(growing)
        assert shelf.manifest == before
        await shelf.refresh()

        async with shelf.volume() as volume:
            assert volume.manifest.id == after
            assert "topics/sharding#sharding" in volume.sections
        assert len(copies(growing)) == 1


async def test_a_reader_keeps_its_generation_until_it_leaves(growing: Library) -> None:
    async with serving(growing) as shelf:
        async with shelf.volume() as first:
            async with shelf.volume() as second:
                after = another_generation(growing)
                await shelf.refresh()
                assert shelf.manifest
                assert shelf.manifest.id == after
                assert first is second
                # The old one still answers while the new one serves.
                vector = FakeEmbedder().encode(["What is drift?"])[0].tolist()
                assert first.index.nearest_sections(vector, 3)
                assert len(copies(growing)) == 2
            assert len(copies(growing)) == 2
            assert first.index.nearest_sections(vector, 3)
        assert len(copies(growing)) == 1


async def test_a_search_that_is_given_up_does_not_close_what_it_still_reads(
    growing: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread goes on after its client left; a closed index under it would crash."""
    reading, let, seen = threading.Event(), threading.Event(), []

    class Encoder:
        async def encode(self, text: str) -> list[float]:
            return [0.0] * 384

    def slowly(self: Retriever, volume: shelves.Volume, *_: object) -> None:
        reading.set()
        let.wait(10)
        seen.append(len(copies(growing)))

    monkeypatch.setattr(Retriever, "_rank", slowly)
    async with serving(growing) as shelf:
        search = asyncio.create_task(Retriever(shelf, Encoder()).search("drift"))
        assert await asyncio.to_thread(reading.wait, 10)
        another_generation(growing)
        await shelf.refresh()
        search.cancel()
        await asyncio.wait([search], timeout=0.3)
        let.set()
        await asyncio.wait([search], timeout=5)
        await until(lambda: bool(seen))

    assert seen == [2]


async def test_the_pointer_is_watched(growing: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelves, "WATCH_SECONDS", 0.02)
    async with serving(growing, watch=True) as shelf:
        after = another_generation(growing)
        await until(lambda: shelf.manifest is not None and shelf.manifest.id == after)

        assert shelf.manifest
        assert shelf.manifest.id == after


def test_a_new_generation_serves_within_two_seconds_of_the_swap() -> None:
    assert shelves.WATCH_SECONDS <= 1.0


async def test_a_broken_generation_leaves_the_old_one_serving_and_is_logged_once(
    growing: Library, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(growing) as shelf:
        before = shelf.manifest
        damage(growing, another_generation(growing))
        with caplog.at_level(logging.WARNING):
            for _ in range(3):
                await shelf.refresh()

        assert shelf.manifest == before
        async with shelf.volume() as volume:
            assert volume.manifest == before
        (record,) = caplog.records
        assert "viva ingest --rebuild" in record.getMessage()
        assert "data_level0.bin" in record.getMessage()
        assert len(copies(growing)) == 1


class CountingStore(FolderStore):
    """A store that keeps which generations were opened, that is copied and hashed."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.opened: list[str] = []

    def open(self, generation: str) -> FolderGeneration:
        self.opened.append(generation)
        return super().open(generation)


async def test_a_refused_generation_is_copied_once_and_again_after_a_while(
    growing: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = CountingStore(growing.index)
    shelf = Shelf(store)
    await shelf.start(FINGERPRINT, watch=False)
    before = list(store.opened)
    broken = another_generation(growing)
    damage(growing, broken)
    monkeypatch.setattr(shelves, "REFUSED_SECONDS", 60.0)
    for _ in range(5):
        await shelf.refresh()
        assert isinstance(shelf.fault, IndexDamagedError)

    assert store.opened == [*before, broken]
    assert shelf.manifest
    assert [shelf.manifest.id] == before

    monkeypatch.setattr(shelves.time, "monotonic", lambda now=time.monotonic: now() + 61)
    await shelf.refresh()
    assert store.opened == [*before, broken, broken]
    await shelf.close()


async def test_going_back_from_a_refused_generation_clears_the_fault(growing: Library) -> None:
    async with serving(growing) as shelf:
        before = shelf.manifest
        damage(growing, another_generation(growing))
        await shelf.refresh()
        assert shelf.fault
        rollback(growing.options)
        await shelf.refresh()

        assert shelf.fault is None
        assert shelf.manifest == before


async def test_a_generation_of_another_format_is_refused_with_the_command(
    growing: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelves, "FORMAT", shelves.FORMAT + 1)
    store = CountingStore(growing.index)
    shelf = Shelf(store)
    await shelf.start(FINGERPRINT, watch=False)

    assert isinstance(shelf.fault, IndexDamagedError)
    with pytest.raises(NotReadyError, match=r"has format .*viva ingest"):
        async with shelf.volume():
            pass
    assert store.opened == []
    await shelf.close()


async def test_a_broken_generation_is_left_for_the_one_after_it(growing: Library) -> None:
    async with serving(growing) as shelf:
        damage(growing, another_generation(growing))
        await shelf.refresh()
        growing.corpus.note("topics/quotas", "quotas")
        after = growing.ingest()
        await shelf.refresh()

        assert shelf.manifest
        assert shelf.manifest.id == after
        assert shelf.fault is None


async def test_a_pointer_that_cannot_be_read_leaves_the_old_one_serving(growing: Library) -> None:
    async with serving(growing) as shelf:
        before = shelf.manifest
        (growing.index / "pointer.json").write_text("not json")
        await shelf.refresh()
        assert shelf.manifest == before

        (growing.index / "pointer.json").write_text(json.dumps({"generation": "none"}))
        await shelf.refresh()
        assert shelf.manifest == before


async def test_without_an_index_one_is_told_to_build_it(tmp_path: Path) -> None:
    shelf = Shelf(FolderStore(tmp_path / "index"))
    await shelf.start(FINGERPRINT, watch=False)

    assert isinstance(shelf.fault, IndexMissingError)
    with pytest.raises(NotReadyError, match="viva ingest"):
        async with shelf.volume():
            pass
    await shelf.close()


async def test_before_the_start_one_is_told_to_wait(library: Library) -> None:
    with pytest.raises(NotReadyError, match="still opening") as caught:
        async with Shelf(FolderStore(library.index)).volume():
            pass

    assert caught.value.retry_after == 2


async def test_an_index_that_appears_later_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelves, "WATCH_SECONDS", 0.02)
    shelf = Shelf(FolderStore(tmp_path / "index"))
    await shelf.start(FINGERPRINT)
    await asyncio.to_thread(make_library, tmp_path)
    await until(lambda: shelf.manifest is not None)

    assert shelf.manifest
    assert shelf.fault is None
    await shelf.close()


async def test_an_index_of_another_encoder_is_refused_with_the_command(library: Library) -> None:
    shelf = Shelf(FolderStore(library.index))
    await shelf.start(FakeEmbedder("another").fingerprint, watch=False)

    assert isinstance(shelf.fault, EmbedderMismatchError)
    with pytest.raises(NotReadyError, match=r"viva ingest .*VIVA_EMBEDDING_MODEL"):
        async with shelf.volume():
            pass
    assert shelf.manifest is None
    await shelf.close()


async def test_being_stopped_while_it_opens_leaves_no_copy_behind(
    growing: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening, let, opened = threading.Event(), threading.Event(), threading.Event()

    class SlowStore(FolderStore):
        def open(self, generation: str) -> FolderGeneration:
            opening.set()
            let.wait(10)
            try:
                return super().open(generation)
            finally:
                opened.set()

    shelf = Shelf(SlowStore(growing.index))
    starting = asyncio.create_task(shelf.start(FINGERPRINT, watch=False))
    assert await asyncio.to_thread(opening.wait, 10)
    starting.cancel()
    await asyncio.wait([starting], timeout=0.2)
    let.set()
    await asyncio.wait([starting], timeout=5)
    assert await asyncio.to_thread(opened.wait, 10)
    await shelf.close()
    await until(lambda: not copies(growing), 2)

    assert copies(growing) == []


async def test_only_what_filters_allow_is_marked(library: Library) -> None:
    async with serving(library) as shelf, shelf.volume() as volume:
        assert volume.allowed(Filters()) is None
        mask = volume.allowed(Filters(namespaces=frozenset({"group"})))
        assert mask is not None
        assert [key for key, allowed in zip(volume.sections, mask, strict=True) if allowed] == [
            key for key, section in volume.sections.items() if section.namespace == "group"
        ]
