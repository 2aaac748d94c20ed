"""Generations in a folder, for Chroma embedded in the process.

    index/pointer.json              names the generation that serves
    index/generations/ID/           manifest.json and Chroma's files, never opened in place
    index/building/ID/              being written; deleted by the next writer if left behind
    index/readers/NAME/             private copy of one reader; NAME.lock is held while it lives
    index/writer.lock               held by the one writer

Opening a Chroma folder rewrites files in it, and two processes on one folder see different data.
So a reader opens a copy of its own, whose files it has checked against the manifest.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock, Timeout

from ingest.chroma import Client, open_folder
from ingest.errors import IndexDamagedError, IndexMissingError, WriterBusyError
from ingest.generations import Manifest, prunable

_MANIFEST = "manifest.json"


class FolderStore:
    """Generations below one folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._generations = root / "generations"
        self._building = root / "building"
        self._readers = root / "readers"

    @property
    def place(self) -> str:
        """The folder."""
        return str(self._root)

    def current(self) -> str | None:
        """Return the generation pointed to, or None when nothing was ever published."""
        return self._pointed().get("generation")

    def held(self) -> str | None:
        """Return the content that was rolled back, and is not to be published again."""
        return self._pointed().get("held")

    def _pointed(self) -> dict[str, str]:
        try:
            pointer = json.loads(self._pointer.read_text(encoding="utf-8"))
            return {"generation": str(pointer["generation"]), "held": str(pointer.get("held", ""))}
        except FileNotFoundError:
            return {}
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise IndexDamagedError(f"{self._pointer} cannot be read.") from error

    def manifests(self) -> list[Manifest]:
        """Return the complete generations, oldest first; one whose manifest is damaged is none."""
        found = []
        for file in sorted(self._generations.glob(f"*/{_MANIFEST}")):
            with suppress(IndexDamagedError):
                found.append(Manifest.from_json(file.read_text(encoding="utf-8")))
        return found

    @contextmanager
    def writer(self) -> Iterator[_FolderWriter]:
        """Become the one writer. Raises `WriterBusyError`."""
        self._root.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self._root / "writer.lock", timeout=0):
                # What a killed writer left behind belongs to nobody now.
                shutil.rmtree(self._building, ignore_errors=True)
                yield _FolderWriter(self)
        except Timeout as error:
            raise WriterBusyError(
                f"Another ingest is writing the index in {self._root}.",
                repair="Wait for it to end, then run: viva ingest",
            ) from error

    def open(self, generation: str) -> FolderGeneration:
        """Copy a generation, checking every file against its manifest, and open the copy."""
        folder = self._generations / generation
        try:
            manifest = Manifest.from_json((folder / _MANIFEST).read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise IndexMissingError(str(folder)) from error
        self._remove_abandoned_copies()
        copy = self._readers / uuid.uuid4().hex
        self._readers.mkdir(parents=True, exist_ok=True)
        lock = FileLock(copy.with_suffix(".lock"), thread_local=False)
        lock.acquire()
        try:
            _copy_checked(folder, copy, manifest)
            return FolderGeneration(manifest, open_folder(copy), copy, lock)
        except BaseException:
            _remove_copy(copy, lock)
            raise

    def _remove_abandoned_copies(self) -> None:
        """Delete the copies of readers that were killed: nobody holds their locks."""
        for held in self._readers.glob("*.lock"):
            lock = FileLock(held, timeout=0)
            with suppress(Timeout, OSError):
                lock.acquire()
                _remove_copy(held.with_suffix(""), lock)

    @property
    def _pointer(self) -> Path:
        return self._root / "pointer.json"


@dataclass(slots=True)
class FolderGeneration:
    """A reader's private copy of a generation."""

    manifest: Manifest
    client: Client
    _copy: Path
    _lock: FileLock

    def close(self) -> None:
        """Close the client and delete the copy."""
        self.client.close()
        _remove_copy(self._copy, self._lock)


class _FolderWriter:
    def __init__(self, store: FolderStore) -> None:
        self._store = store

    @contextmanager
    def build(self, generation: str) -> Iterator[Client]:
        folder = self._store._building / generation
        folder.mkdir(parents=True)
        client = open_folder(folder)
        try:
            yield client
        except BaseException:
            client.close()
            shutil.rmtree(folder, ignore_errors=True)
            raise
        client.close()

    @contextmanager
    def verify(self, generation: str) -> Iterator[Client]:
        copy = self._store._building / f"{generation}.check"
        shutil.copytree(self._store._building / generation, copy)
        client = open_folder(copy)
        try:
            yield client
        finally:
            client.close()
            shutil.rmtree(copy, ignore_errors=True)

    def publish(self, manifest: Manifest) -> None:
        built = self._store._building / manifest.id
        files = {
            path.relative_to(built).as_posix(): path for path in built.rglob("*") if path.is_file()
        }
        sums = {name: _synced_sha256(path) for name, path in sorted(files.items())}
        _write_synced(built / _MANIFEST, replace(manifest, files=sums).to_json())
        self._store._generations.mkdir(exist_ok=True)
        built.rename(self._store._generations / manifest.id)
        _sync_folder(self._store._generations)
        self.point_to(manifest.id)

    def point_to(self, generation: str, held: str = "") -> None:
        temporary = self._store._root / "pointer.json.tmp"
        _write_synced(temporary, json.dumps({"generation": generation, "held": held}))
        temporary.replace(self._store._pointer)
        _sync_folder(self._store._root)

    def prune(self, keep: int) -> None:
        for generation in prunable(self._store.manifests(), self._store.current(), keep):
            # Out of sight in one step: a kill while files go must not leave half of a generation.
            gone = self._store._building / f"{generation}.gone"
            gone.parent.mkdir(exist_ok=True)
            (self._store._generations / generation).rename(gone)
            shutil.rmtree(gone, ignore_errors=True)


def _copy_checked(folder: Path, copy: Path, manifest: Manifest) -> None:
    for name, expected in manifest.files.items():
        target = copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            data = (folder / name).read_bytes()
        except OSError as error:
            raise IndexDamagedError(f"{folder / name} is missing.") from error
        if hashlib.sha256(data).hexdigest() != expected:
            raise IndexDamagedError(f"{folder / name} is not the file that its manifest lists.")
        target.write_bytes(data)


def _remove_copy(copy: Path, lock: FileLock) -> None:
    shutil.rmtree(copy, ignore_errors=True)
    # Unlinked while it is held, where that is possible: afterwards another may have taken it.
    with suppress(OSError):
        Path(lock.lock_file).unlink()
    lock.release()
    with suppress(OSError):
        Path(lock.lock_file).unlink()


def _synced_sha256(file: Path) -> str:
    with file.open("r+b") as stream:  # Windows syncs only what is open for writing
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        os.fsync(stream.fileno())
    return digest


def _write_synced(file: Path, text: str) -> None:
    with file.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    """Make a rename in a folder survive a power cut; Windows cannot open folders."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
