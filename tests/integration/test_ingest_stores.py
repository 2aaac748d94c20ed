"""The same life of an index in a folder and on a Chroma server."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ingest import server_store
from ingest.chroma import Client, connect
from ingest.errors import (
    EmbedderMismatchError,
    IndexMissingError,
    NothingOlderError,
    VectorStoreError,
    WriterBusyError,
)
from ingest.generations import GenerationStore
from ingest.index import COLLECTIONS, Index, collection_name
from ingest.pipeline import IngestOptions, ingest, open_store, rollback
from ingest.server_store import LEASE_SECONDS, ServerStore
from tests.conftest import CorpusFactory
from tests.fakes import CorpusFolder, FakeEmbedder
from tests.ingest.test_generations import manifest


@pytest.fixture
def corpus(corpus_folder: CorpusFactory) -> CorpusFolder:
    return corpus_folder()


@pytest.fixture(params=["folder", "server"])
def options(request: pytest.FixtureRequest, corpus: CorpusFolder, tmp_path: Path) -> IngestOptions:
    url = request.getfixturevalue("chroma_url") if request.param == "server" else None
    return IngestOptions({"": corpus.root}, tmp_path / "index", tmp_path / "cache", chroma_url=url)


@pytest.fixture
def store(options: IngestOptions) -> GenerationStore:
    return open_store(options.index_dir, options.chroma_url)


def build(options: IngestOptions) -> str:
    return ingest(options, embedder=FakeEmbedder()).generation


def notes_served(store: GenerationStore) -> set[str]:
    generation = store.current()
    assert generation is not None
    opened = store.open(generation)
    try:
        index = Index(opened.client, generation)
        sections = index.sections()
        asked = FakeEmbedder().encode(["What is drift?"])[0]
        assert index.nearest_questions(asked, 1)[0].question == "What is drift?"
        assert all(
            s.quote in section.text for section in sections for s in index.sentences([section])
        )
        return {section.note for section in sections}
    finally:
        opened.close()


def test_an_index_is_built_read_changed_and_rolled_back(
    options: IngestOptions, store: GenerationStore, corpus: CorpusFolder
) -> None:
    assert store.current() is None
    assert store.manifests() == []
    first = build(options)
    assert notes_served(store) == {"topics/drift"}

    corpus.note("topics/caching")
    second = build(options)
    assert store.current() == second
    assert notes_served(store) == {"topics/drift", "topics/caching"}

    assert ingest(options, embedder=FakeEmbedder()).changed is False
    assert rollback(options).id == first
    assert notes_served(store) == {"topics/drift"}
    with pytest.raises(NothingOlderError):
        rollback(options)

    # What was undone is not served again by itself, only when it is asked for.
    held = ingest(options, embedder=FakeEmbedder())
    assert (held.generation, held.changed, held.held) == (first, False, True)
    assert notes_served(store) == {"topics/drift"}
    again = ingest(replace(options, rebuild=True), embedder=FakeEmbedder())
    assert (again.changed, again.embedded, store.current()) == (True, 0, again.generation)
    assert notes_served(store) == {"topics/drift", "topics/caching"}


def test_three_generations_stay_and_the_others_are_removed(
    options: IngestOptions, store: GenerationStore, corpus: CorpusFolder
) -> None:
    built = [build(options)]
    for topic in ("caching", "indexing", "sharding"):
        corpus.note(f"topics/{topic}")
        built.append(build(options))
    assert [m.id for m in store.manifests()] == built[1:]
    with pytest.raises(IndexMissingError, match="viva ingest"):
        store.open(built[0])
    for generation in built[1:]:
        store.open(generation).close()


def _fail_half_way(client: Client) -> None:
    client.create_collection(collection_name("half", "notes"), embedding_function=None)
    raise ZeroDivisionError


def test_a_build_that_fails_leaves_nothing_and_the_old_one_serving(
    options: IngestOptions, store: GenerationStore
) -> None:
    first = build(options)
    with store.writer() as writer:
        with pytest.raises(ZeroDivisionError), writer.build("half") as client:
            _fail_half_way(client)
        # Where the half lay, a whole one can be built.
        with writer.build("half") as client:
            client.create_collection(collection_name("half", "notes"), embedding_function=None)
    assert store.current() == first
    assert notes_served(store) == {"topics/drift"}


def test_a_second_ingest_is_refused_and_told_what_to_do(
    options: IngestOptions, store: GenerationStore
) -> None:
    with store.writer(), pytest.raises(WriterBusyError, match=r"Another ingest.*viva ingest"):
        build(options)
    build(options)


def test_a_reader_with_another_encoder_is_told_the_command(
    options: IngestOptions, store: GenerationStore
) -> None:
    opened = store.open(build(options))
    with pytest.raises(EmbedderMismatchError, match="viva ingest"):
        opened.manifest.require_embedder(FakeEmbedder("other").fingerprint)
    opened.close()


class Clock:
    """Time that is set by hand."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(chroma_url: str, clock: Clock) -> ServerStore:
    return ServerStore(chroma_url, clock)


def _leases(url: str) -> list[dict[str, Any]]:
    client = connect(url)
    registry = client.get_or_create_collection("viva-generations", embedding_function=None)
    found = registry.get(where={"what": "lease"}, include=["metadatas"])["metadatas"]
    client.close()
    return list(found)


def test_an_expired_lease_is_taken_over(server: ServerStore, clock: Clock) -> None:
    with server.writer():
        clock.now += LEASE_SECONDS - 1
        with pytest.raises(WriterBusyError, match=f"{LEASE_SECONDS:.0f} s if it was killed"):
            server.writer().__enter__()
        clock.now += 2
        with server.writer():
            (lease,) = _leases(server.place)
            assert lease["number"] == 2
    with server.writer():
        pass


def test_a_lease_is_given_back_at_once(server: ServerStore) -> None:
    for _ in range(3):
        with server.writer():
            pass
    assert len(_leases(server.place)) == 1


def test_a_lease_is_renewed_while_it_is_held(
    server: ServerStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_store, "_RENEW_SECONDS", 0.01)
    with server.writer():
        clock.now += LEASE_SECONDS + 1
        deadline = time.monotonic() + 10
        while _leases(server.place)[0]["until"] < clock.now:
            assert time.monotonic() < deadline
        with pytest.raises(WriterBusyError):
            server.writer().__enter__()


def test_a_writer_that_lost_its_lease_publishes_nothing(server: ServerStore, clock: Clock) -> None:
    with server.writer() as slow, slow.build("slow") as client:
        for name in COLLECTIONS:
            client.create_collection(collection_name("slow", name), embedding_function=None)
        clock.now += LEASE_SECONDS + 1
        with server.writer() as quick:
            with quick.build("quick"):
                pass
            quick.publish(manifest("quick"))
        with pytest.raises(WriterBusyError, match="Another ingest"):
            slow.publish(manifest("slow"))
    assert server.current() == "quick"
    assert [m.id for m in server.manifests()] == ["quick"]


def test_a_writer_that_lost_its_lease_does_not_move_the_pointer(
    server: ServerStore, clock: Clock
) -> None:
    with server.writer() as slow:
        clock.now += LEASE_SECONDS + 1
        with server.writer() as quick:
            quick.publish(manifest("quick"))
        with pytest.raises(WriterBusyError):
            slow.point_to("slow")
    assert server.current() == "quick"


def test_of_two_writers_that_begin_together_one_is_refused(server: ServerStore) -> None:
    start = threading.Barrier(2)
    done = threading.Barrier(2)
    outcomes: list[str] = []

    def write() -> None:
        start.wait()
        try:
            with server.writer():
                outcomes.append("wrote")
                done.wait(10)
        except WriterBusyError:
            outcomes.append("refused")
            done.wait(10)

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert sorted(outcomes) == ["refused", "wrote"]


def test_what_a_killed_writer_left_is_removed_by_the_next(server: ServerStore) -> None:
    client = connect(server.place)
    client.create_collection("somebody-elses", embedding_function=None)
    for name in COLLECTIONS[:2]:
        client.create_collection(collection_name("killed", name), embedding_function=None)
    with server.writer() as writer:
        with writer.build("whole") as own:
            own.create_collection(collection_name("whole", "notes"), embedding_function=None)
        writer.publish(manifest("whole"))
    with server.writer():
        pass
    names = {collection.name for collection in client.list_collections()}
    client.close()
    assert names == {"somebody-elses", "viva-generations", collection_name("whole", "notes")}


def test_a_server_that_does_not_answer_names_the_repair(tmp_path: Path) -> None:
    store = open_store(tmp_path, "http://127.0.0.1:9")
    for ask in (store.current, store.manifests, lambda: store.open("a")):
        with pytest.raises(VectorStoreError, match=r"chroma run.*VIVA_CHROMA_URL"):
            ask()
    with pytest.raises(VectorStoreError), store.writer():
        pass
