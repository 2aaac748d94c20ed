"""Generations in a folder: one writer, private copies, a pointer that always leads somewhere."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from ingest import folder_store
from ingest.chroma import Client
from ingest.errors import IndexDamagedError, IndexMissingError, WriterBusyError
from ingest.folder_store import FolderStore
from tests.ingest.test_generations import manifest


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "index"


@pytest.fixture
def store(root: Path) -> FolderStore:
    return FolderStore(root)


def _publish(store: FolderStore, name: str) -> None:
    with store.writer() as writer:
        with writer.build(name) as client:
            collection = client.create_collection("records", embedding_function=None)
            collection.add(ids=[name], embeddings=[[1.0, 0.0]])
        writer.publish(manifest(name))


def _fail_half_way(client: Client) -> None:
    client.create_collection("part", embedding_function=None)
    raise ZeroDivisionError


def _reader_copies(root: Path) -> list[Path]:
    return sorted((root / "readers").iterdir())


def test_nothing_is_there_before_the_first_generation(store: FolderStore, root: Path) -> None:
    assert store.current() is None
    assert store.manifests() == []
    assert store.place == str(root)
    with pytest.raises(IndexMissingError, match="viva ingest"):
        store.open("a")


def test_a_published_generation_serves(store: FolderStore, root: Path) -> None:
    _publish(store, "a")
    assert store.current() == "a"
    opened = store.open("a")
    assert opened.client.get_collection("records", embedding_function=None).count() == 1
    assert "chroma.sqlite3" in opened.manifest.files
    opened.close()
    assert list((root / "building").iterdir()) == []


def test_opening_a_generation_changes_none_of_its_files(store: FolderStore, root: Path) -> None:
    _publish(store, "a")
    folder = root / "generations" / "a"
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    opened = store.open("a")
    opened.client.get_collection("records", embedding_function=None).query(
        query_embeddings=[[1.0, 0.0]], n_results=1
    )
    opened.close()
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_reader_removes_its_copy_when_it_closes(store: FolderStore, root: Path) -> None:
    _publish(store, "a")
    first, second = store.open("a"), store.open("a")
    assert len([path for path in _reader_copies(root) if path.is_dir()]) == 2
    first.close()
    assert len([path for path in _reader_copies(root) if path.is_dir()]) == 1
    second.close()
    assert _reader_copies(root) == []


def test_the_next_reader_removes_what_a_killed_one_left(store: FolderStore, root: Path) -> None:
    _publish(store, "a")
    abandoned = root / "readers" / "abandoned"
    abandoned.mkdir(parents=True)
    (abandoned / "chroma.sqlite3").write_text("left behind")
    abandoned.with_suffix(".lock").touch()

    opened = store.open("a")

    assert not abandoned.exists()
    assert not abandoned.with_suffix(".lock").exists()
    opened.close()


def test_the_copy_of_a_living_reader_is_left_alone(store: FolderStore, root: Path) -> None:
    _publish(store, "a")
    living = root / "readers" / "living"
    living.mkdir(parents=True)
    with FileLock(living.with_suffix(".lock")):
        store.open("a").close()
        assert living.is_dir()


@pytest.mark.parametrize("damage", ["changed", "missing"])
def test_a_damaged_file_is_found_before_it_is_opened(
    store: FolderStore, root: Path, damage: str
) -> None:
    _publish(store, "a")
    file = root / "generations" / "a" / "chroma.sqlite3"
    if damage == "changed":
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
    else:
        file.unlink()
    with pytest.raises(IndexDamagedError, match=r"chroma.sqlite3 is .*viva ingest --rebuild"):
        store.open("a")
    assert _reader_copies(root) == []


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"generation"'])
def test_a_pointer_that_cannot_be_read_is_damage(store: FolderStore, root: Path, text: str) -> None:
    root.mkdir()
    (root / "pointer.json").write_text(text)
    with pytest.raises(IndexDamagedError, match=r"pointer\.json cannot be read"):
        store.current()


def test_a_second_writer_is_refused_and_told_what_to_do(store: FolderStore, root: Path) -> None:
    with (
        store.writer(),
        pytest.raises(WriterBusyError, match=r"Another ingest .*viva ingest"),
        FolderStore(root).writer(),
    ):
        pass


def test_a_writer_in_another_process_is_refused_too(store: FolderStore, root: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from ingest.folder_store import FolderStore\n"
        "with FolderStore(Path(sys.argv[1])).writer(): pass"
    )
    with store.writer():
        tried = subprocess.run(
            [sys.executable, "-c", program, str(root)], capture_output=True, text=True, check=False
        )
    assert "WriterBusyError" in tried.stderr


def test_the_next_writer_may_write(store: FolderStore) -> None:
    with pytest.raises(ZeroDivisionError), store.writer():
        raise ZeroDivisionError
    _publish(store, "a")


def test_the_next_writer_removes_what_a_killed_one_left(store: FolderStore, root: Path) -> None:
    (root / "building" / "half").mkdir(parents=True)
    (root / "building" / "half" / "chroma.sqlite3").write_text("half")
    with store.writer():
        assert not (root / "building").exists()


def test_a_build_that_fails_is_discarded(store: FolderStore, root: Path) -> None:
    _publish(store, "a")
    with store.writer() as writer:
        with pytest.raises(ZeroDivisionError), writer.build("b") as client:
            _fail_half_way(client)
        assert list((root / "building").iterdir()) == []
    assert store.current() == "a"
    assert [m.id for m in store.manifests()] == ["a"]


def test_a_check_reads_a_copy_of_what_was_built(store: FolderStore, root: Path) -> None:
    with store.writer() as writer:
        with writer.build("a") as client:
            client.create_collection("whole", embedding_function=None)
        with writer.verify("a") as client:
            client.delete_collection("whole")
        assert [path.name for path in (root / "building").iterdir()] == ["a"]
        with writer.verify("a") as client:
            assert [collection.name for collection in client.list_collections()] == ["whole"]


def test_the_pointer_moves_to_any_complete_generation(store: FolderStore) -> None:
    _publish(store, "a")
    _publish(store, "b")
    with store.writer() as writer:
        writer.point_to("a")
    assert store.current() == "a"
    assert [m.id for m in store.manifests()] == ["a", "b"]


def test_pruning_keeps_three_and_the_current_one(store: FolderStore, root: Path) -> None:
    for name in "abcde":
        _publish(store, name)
    with store.writer() as writer:
        writer.point_to("a")
        writer.prune(3)
    assert [m.id for m in store.manifests()] == ["a", "c", "d", "e"]
    with store.writer() as writer:
        writer.point_to("e")
        writer.prune(3)
    assert sorted(path.name for path in (root / "generations").iterdir()) == ["c", "d", "e"]


def test_a_reader_keeps_its_generation_when_it_is_pruned(store: FolderStore) -> None:
    _publish(store, "a")
    opened = store.open("a")
    for name in "bcd":
        _publish(store, name)
    with store.writer() as writer:
        writer.prune(3)
    assert [m.id for m in store.manifests()] == ["b", "c", "d"]
    assert opened.client.get_collection("records", embedding_function=None).count() == 1
    opened.close()


def test_a_failure_between_publishing_and_pointing_leaves_the_old_one_serving(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    _publish(store, "a")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with store.writer() as writer:
        with writer.build("b"):
            pass
        monkeypatch.setattr(writer, "point_to", fail, raising=True)
        with pytest.raises(OSError, match="No space left"):
            writer.publish(manifest("b"))

    assert store.current() == "a"
    store.open("a").close()


def test_the_pointer_is_replaced_whole(store: FolderStore, root: Path) -> None:
    _publish(store, "a")
    assert json.loads((root / "pointer.json").read_text()) == {"generation": "a", "held": ""}
    assert sorted(path.name for path in root.iterdir() if path.is_file()) == [
        "pointer.json",
        "writer.lock",
    ]


def test_folders_are_not_synced_where_they_cannot_be_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_store.os, "name", "nt")

    assert folder_store._sync_folder(tmp_path / "gone") is None  # elsewhere: no such folder


def test_a_copied_index_serves_from_its_new_place(store: FolderStore, root: Path) -> None:
    _publish(store, "a")
    moved = root.with_name("moved")
    shutil.copytree(root, moved)
    opened = FolderStore(moved).open("a")
    assert opened.client.get_collection("records", embedding_function=None).count() == 1
    opened.close()
