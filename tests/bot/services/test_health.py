"""Whether the parts that answers need are there."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.errors import NotReadyError
from bot.retrieval.shelf import Shelf
from bot.retrieval.vectors import BatchingEncoder
from bot.services.health import Part, Readiness, require_ready
from bot.wiring import Starting
from ingest.embedding import Embedder
from ingest.errors import (
    IndexDamagedError,
    IndexMissingError,
    IngestError,
    VectorStoreError,
    WeightsError,
)
from ingest.folder_store import FolderStore
from tests.bot.conftest import Library
from tests.bot.fakes import FakeHealth
from tests.fakes import FakeEmbedder


async def test_who_is_ready_is_not_waited_for() -> None:
    health = FakeHealth("ready")
    await require_ready(health, 20)

    assert health.waited == []


async def test_who_starts_is_waited_for() -> None:
    health = FakeHealth("starting", becomes="ready")
    await require_ready(health, 20)

    assert health.waited == [20]


async def test_who_still_starts_after_the_wait_is_named_with_a_short_wait() -> None:
    with pytest.raises(NotReadyError, match="still starting: index") as caught:
        await require_ready(FakeHealth("starting"), 0.1)

    assert caught.value.retry_after == 5


async def test_who_failed_is_named_with_what_mends_it_and_a_longer_wait() -> None:
    with pytest.raises(NotReadyError, match="viva ingest") as caught:
        await require_ready(FakeHealth("starting", becomes="failed"), 20)

    assert caught.value.retry_after == 30


@pytest.mark.parametrize(
    ("states", "ready"),
    [
        (["ready", "ready"], True),
        (["ready", "starting"], False),
        (["failed", "ready"], False),
    ],
)
def test_all_is_ready_when_each_part_is(states: list[str], ready: bool) -> None:
    parts = tuple(Part(str(n), state, "") for n, state in enumerate(states))  # type: ignore[arg-type]

    assert Readiness(parts).ready is ready


def states(starting: Starting) -> list[str]:
    return [part.state for part in starting.readiness().parts]


async def test_a_start_goes_from_starting_to_ready(library: Library) -> None:
    encoder, shelf = BatchingEncoder(FakeEmbedder), Shelf(FolderStore(library.index))
    starting = Starting(encoder, shelf)
    assert states(starting) == ["starting", "starting"]
    await starting.until_started(0.01)
    assert states(starting) == ["starting", "starting"]

    await starting.run(watch=False)
    await starting.until_started(5)

    assert states(starting) == ["ready", "ready"]
    assert "sections" in starting.readiness().parts[1].detail
    starting.raise_fault()
    await encoder.close()
    await shelf.close()


async def test_without_weights_the_encoder_says_how_to_fetch_them(library: Library) -> None:
    def nowhere() -> Embedder:
        raise WeightsError("No weights.", repair="Fetch them: viva models fetch")

    encoder, shelf = BatchingEncoder(nowhere), Shelf(FolderStore(library.index))
    starting = Starting(encoder, shelf)
    await starting.run(watch=False)

    part = starting.readiness().parts[0]
    assert (part.name, part.state) == ("encoder", "failed")
    assert "viva models fetch" in part.detail
    with pytest.raises(WeightsError):
        starting.raise_fault()
    with pytest.raises(NotReadyError, match="viva models fetch"):
        await require_ready(starting, 1)


async def test_without_an_index_the_index_says_how_to_build_it(tmp_path: Path) -> None:
    encoder, shelf = BatchingEncoder(FakeEmbedder), Shelf(FolderStore(tmp_path))
    starting = Starting(encoder, shelf)
    await starting.run(watch=False)

    assert states(starting) == ["ready", "failed"]
    with pytest.raises(IndexMissingError):
        starting.raise_fault()
    with pytest.raises(NotReadyError, match="viva ingest"):
        await require_ready(starting, 1)
    await encoder.close()
    await shelf.close()


async def test_a_fault_that_nobody_foresaw_is_a_failed_part_too(library: Library) -> None:
    def broken() -> Embedder:
        raise OSError("disk full")

    shelf = Shelf(FolderStore(library.index))
    starting = Starting(BatchingEncoder(broken), shelf)
    await starting.run(watch=False)

    assert not starting.readiness().ready
    with pytest.raises(NotReadyError):
        await require_ready(starting, 1)


async def test_a_store_that_breaks_unforeseen_does_not_start_for_ever(library: Library) -> None:
    class Broken(FolderStore):
        def current(self) -> str | None:
            raise PermissionError("pointer.json")

    encoder, shelf = BatchingEncoder(FakeEmbedder), Shelf(Broken(library.index))
    starting = Starting(encoder, shelf)
    await starting.run(watch=False)

    assert "starting" not in states(starting)
    await encoder.close()
    await shelf.close()


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        # Questions are read from the store: without it a volume in hand answers nothing.
        (VectorStoreError("The Chroma server does not answer.", repair="Start it."), "failed"),
        # A new generation that cannot be opened leaves the old one answering.
        (IndexDamagedError("A file is missing."), "ready"),
    ],
)
async def test_a_store_that_went_away_fails_the_index_although_a_volume_is_open(
    library: Library, fault: IngestError, state: str
) -> None:
    class Failing(FolderStore):
        faults: tuple[IngestError, ...] = ()

        def current(self) -> str | None:
            for one in self.faults:
                raise one
            return super().current()

    store = Failing(library.index)
    encoder, shelf = BatchingEncoder(FakeEmbedder), Shelf(store)
    starting = Starting(encoder, shelf)
    await starting.run(watch=False)
    store.faults = (fault,)
    await shelf.refresh()

    assert shelf.manifest
    assert states(starting) == ["ready", state]
    assert (str(fault) == starting.readiness().parts[1].detail) is (state == "failed")

    store.faults = ()
    await shelf.refresh()
    assert states(starting) == ["ready", "ready"]
    await encoder.close()
    await shelf.close()
