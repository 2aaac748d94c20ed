"""From notes to a generation: what is built, what is reused, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest import index, pipeline
from ingest.errors import (
    CorpusError,
    IndexDamagedError,
    IndexMissingError,
    NothingOlderError,
    WriterBusyError,
)
from ingest.folder_store import FolderStore
from ingest.generations import KEPT
from ingest.index import Index
from ingest.pipeline import IngestOptions, IngestReport, check, ingest, open_store, rollback
from tests.conftest import CorpusFactory
from tests.fakes import CorpusFolder, FakeEmbedder, section
from tests.ingest.test_cache import Told


@pytest.fixture
def corpus(corpus_folder: CorpusFactory) -> CorpusFolder:
    return corpus_folder()


@pytest.fixture
def options(corpus: CorpusFolder, tmp_path: Path) -> IngestOptions:
    return IngestOptions({"": corpus.root}, tmp_path / "index", tmp_path / "cache")


@pytest.fixture
def store(options: IngestOptions) -> FolderStore:
    return FolderStore(options.index_dir)


def build(options: IngestOptions, embedder: FakeEmbedder | None = None) -> IngestReport:
    return ingest(options, embedder=embedder or FakeEmbedder())


def again(options: IngestOptions) -> IngestOptions:
    return IngestOptions(options.corpora, options.index_dir, options.cache_dir, rebuild=True)


def section_ids(store: FolderStore) -> list[str]:
    """Return what the current generation holds, as a reader finds it."""
    current = store.current()
    assert current is not None
    opened = store.open(current)
    try:
        return [record.id for record in Index(opened.client, current).sections()]
    finally:
        opened.close()


def test_notes_become_a_generation_that_serves(options: IngestOptions, store: FolderStore) -> None:
    report = build(options)
    assert report.changed
    assert report.counts["notes"] == 1
    assert report.counts["sections"] == 2
    assert report.counts["questions"] == 4
    assert report.computed_in == "float32"
    assert store.current() == report.generation
    assert section_ids(store) == ["topics/drift#drift", "topics/drift#monitoring"]
    (manifest,) = store.manifests()
    assert manifest.namespaces == ["viva"]
    assert manifest.fingerprint == FakeEmbedder().fingerprint


def test_unchanged_notes_embed_nothing_and_build_nothing(
    options: IngestOptions, store: FolderStore
) -> None:
    first = build(options)
    embedder = FakeEmbedder()
    second = build(options, embedder)
    assert (second.generation, second.changed, second.embedded) == (first.generation, False, 0)
    assert second.counts == first.counts
    assert embedder.encoded == []
    assert len(store.manifests()) == 1


def test_only_what_changed_in_a_note_is_embedded(
    options: IngestOptions, corpus: CorpusFolder
) -> None:
    build(options)
    text = (corpus.root / "topics/drift.md").read_text()
    corpus.write("topics/drift.md", text.replace("Monitoring reads", "Watching reads", 1))
    embedder = FakeEmbedder()

    report = build(options, embedder)

    assert report.changed
    assert report.embedded == len(embedder.encoded) == 2
    assert {text.split("\n")[0] for text in embedder.encoded if "\n" in text} == {
        "Drift > Monitoring"
    }
    assert sum("Watching reads" in text for text in embedder.encoded) == 2


def test_a_further_note_embeds_its_own_texts_alone(
    options: IngestOptions, corpus: CorpusFolder
) -> None:
    build(options)
    corpus.note("topics/caching")
    embedder = FakeEmbedder()
    report = build(options, embedder)
    assert report.counts["notes"] == 2
    assert all("caching" in text.lower() for text in embedder.encoded)


def test_notes_put_back_make_another_generation_without_embedding_anything(
    options: IngestOptions, corpus: CorpusFolder, store: FolderStore
) -> None:
    first = build(options)
    added = corpus.note("topics/caching")
    build(options)
    added.unlink()
    embedder = FakeEmbedder()

    back = build(options, embedder)

    assert (back.changed, back.embedded) == (True, 0)
    assert store.current() == back.generation > first.generation
    assert len(store.manifests()) == 3
    assert embedder.encoded == []


def test_a_rebuild_builds_again_from_cached_vectors(
    options: IngestOptions, store: FolderStore
) -> None:
    first = build(options)
    embedder = FakeEmbedder()
    second = build(again(options), embedder)
    assert second.changed
    assert second.generation != first.generation
    assert (second.embedded, len(embedder.encoded)) == (0, 0)
    assert store.current() == second.generation


@pytest.mark.parametrize("damage", ["file", "manifest", "pointer"])
def test_a_rebuild_repairs_a_damaged_index(
    options: IngestOptions, store: FolderStore, damage: str
) -> None:
    first = build(options)
    folder = options.index_dir / "generations" / first.generation
    broken = {
        "file": folder / "chroma.sqlite3",
        "manifest": folder / "manifest.json",
        "pointer": options.index_dir / "pointer.json",
    }[damage]
    broken.write_bytes(b"\x00")
    with pytest.raises(IndexDamagedError, match="viva ingest --rebuild"):
        store.open(store.current() or "")

    build(again(options))

    assert section_ids(store) == ["topics/drift#drift", "topics/drift#monitoring"]


def test_another_encoder_builds_another_generation(
    options: IngestOptions, store: FolderStore
) -> None:
    first = build(options)
    second = build(options, FakeEmbedder("other", dimension=32))
    assert second.generation != first.generation
    assert second.embedded > 0
    assert store.manifests()[-1].fingerprint.name == "other"


def test_three_generations_stay(
    options: IngestOptions, corpus: CorpusFolder, store: FolderStore
) -> None:
    built = []
    for topic in ("caching", "indexing", "sharding", "queueing"):
        corpus.note(f"topics/{topic}")
        built.append(build(options).generation)
    assert [m.id for m in store.manifests()] == built[-KEPT:]
    assert len(list((options.index_dir / "generations").iterdir())) == KEPT == 3


def test_a_rollback_goes_back_one_generation_at_a_time(
    options: IngestOptions, corpus: CorpusFolder, store: FolderStore
) -> None:
    first = build(options)
    corpus.note("topics/caching")
    second = build(options)
    corpus.note("topics/indexing")
    build(options)

    assert rollback(options).id == second.generation
    assert rollback(options).id == first.generation
    assert section_ids(store) == ["topics/drift#drift", "topics/drift#monitoring"]
    with pytest.raises(NothingOlderError, match="viva ingest"):
        rollback(options)
    assert store.current() == first.generation


def test_what_was_rolled_back_stays_so_until_the_notes_change_or_a_rebuild_is_asked_for(
    options: IngestOptions, corpus: CorpusFolder, store: FolderStore
) -> None:
    first = build(options)
    corpus.note("topics/caching")
    build(options)
    corpus.note("topics/indexing")
    newest = build(options)
    rollback(options)
    rollback(options)

    kept = build(options)
    assert (kept.generation, kept.changed, kept.held) == (first.generation, False, True)
    (options.corpora[""] / "topics/indexing.md").unlink()
    assert build(options).held
    assert store.current() == first.generation

    rebuilt = build(again(options))
    assert store.current() == rebuilt.generation > newest.generation
    assert not build(options).held


def test_a_prune_that_dies_half_way_leaves_no_half_of_a_generation(
    options: IngestOptions,
    corpus: CorpusFolder,
    store: FolderStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for topic in ("caching", "indexing"):
        build(options)
        corpus.note(f"topics/{topic}")
    build(options)
    corpus.note("topics/sharding")

    def dies(folder: Path, **_: object) -> None:
        if folder.name.endswith(".gone"):
            next(folder.rglob("*.bin")).unlink()
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("ingest.folder_store.shutil.rmtree", dies)
        with pytest.raises(KeyboardInterrupt):
            build(options)

    for manifest in store.manifests():
        store.open(manifest.id).close()


def test_there_is_nothing_to_go_back_to_before_the_first_ingest(options: IngestOptions) -> None:
    with pytest.raises(IndexMissingError):
        rollback(options)


def test_a_second_ingest_is_refused_while_one_runs(
    options: IngestOptions, store: FolderStore
) -> None:
    with store.writer(), pytest.raises(WriterBusyError, match="viva ingest"):
        build(options)


def test_a_check_writes_no_index(options: IngestOptions, corpus: CorpusFolder) -> None:
    corpus.note("topics/caching", sources=["gama-2014"])
    report = check(options, embedder=FakeEmbedder())
    assert (report.notes, report.sections, report.sources, report.problems) == (2, 3, 1, ())
    assert not options.index_dir.exists()


def test_notes_that_say_the_same_are_not_published(
    options: IngestOptions, store: FolderStore, corpus: CorpusFolder
) -> None:
    corpus.note("topics/drift-again", body=section("drift", asks=["So?", "Why?"]))
    with pytest.raises(CorpusError, match="1 problem in the notes"):
        build(options)
    assert store.current() is None


def test_a_groups_notes_stand_beside_ours(
    options: IngestOptions, store: FolderStore, corpus_folder: CorpusFactory
) -> None:
    options.corpora["group"] = corpus_folder("notes").root
    build(options)
    assert store.manifests()[0].namespaces == ["viva", "group"]
    assert section_ids(store) == [
        "group:topics/drift#drift",
        "group:topics/drift#monitoring",
        "topics/drift#drift",
        "topics/drift#monitoring",
    ]


def test_a_groups_long_section_is_split_to_the_window(
    options: IngestOptions, store: FolderStore, corpus_folder: CorpusFactory
) -> None:
    folder = corpus_folder("notes", empty=True)
    body = " ".join(f"Sentence {n} goes on and on for ten words." for n in range(20))
    folder.note("mine", body=section("length", body))
    options.corpora["group"] = folder.root
    embedder = FakeEmbedder(window=100)
    options.corpora.pop("")
    build(options, embedder)
    assert section_ids(store) == ["group:mine#length", "group:mine#length~2"]
    assert all(embedder.count_tokens(text) <= 100 for text in embedder.encoded)


def test_an_empty_corpus_is_an_empty_index(
    options: IngestOptions, store: FolderStore, corpus: CorpusFolder
) -> None:
    (corpus.root / "topics/drift.md").unlink()
    report = build(options)
    assert report.counts == dict.fromkeys(index.COLLECTIONS, 0)
    assert section_ids(store) == []


@pytest.mark.parametrize("name", index.COLLECTIONS)
def test_a_failure_while_building_leaves_the_old_generation_serving(
    options: IngestOptions,
    corpus: CorpusFolder,
    store: FolderStore,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    first = build(options)
    corpus.note("topics/caching")
    write = index.write_collection

    def fail(client: object, generation: str, collection: str, *rest: object) -> None:
        if collection == name:
            raise KeyboardInterrupt
        write(client, generation, collection, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(pipeline.index, "write_collection", fail)
        with pytest.raises(KeyboardInterrupt):
            build(options)

    assert store.current() == first.generation
    assert list((options.index_dir / "building").iterdir()) == []
    embedder = FakeEmbedder()
    assert build(options, embedder).counts["notes"] == 2
    assert embedder.encoded == []  # what was embedded before the failure is kept


def test_a_generation_that_lost_records_is_not_published(
    options: IngestOptions, store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = index.write_collection

    def lose(
        client: object, generation: str, name: str, records: index.Records, *rest: object
    ) -> None:
        write(client, generation, name, records, *rest)
        if name == index.QUESTIONS:
            collection = client.get_collection(index.collection_name(generation, name))
            collection.delete(ids=records.ids[:1])

    monkeypatch.setattr(pipeline.index, "write_collection", lose)
    with pytest.raises(IndexDamagedError, match=r"questions: 1 records are missing"):
        build(options)
    assert store.current() is None
    assert store.manifests() == []


def test_progress_names_each_stage(options: IngestOptions) -> None:
    told = Told()
    report = ingest(options, told, FakeEmbedder())
    names = [name for name, _ in told.stages]
    assert names[0] == "Reading notes"
    assert names[-1] == "Building the index"
    assert told.stages[-1][1] == 2 * sum(report.counts.values())


def test_the_store_is_the_folder_unless_a_server_is_named(tmp_path: Path) -> None:
    assert open_store(tmp_path).place == str(tmp_path)
    assert open_store(tmp_path, "http://localhost:1").place == "http://localhost:1"
