"""A writer killed at any moment leaves an index that opens and answers."""

from __future__ import annotations

import multiprocessing
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ingest.folder_store import FolderStore
from ingest.index import Index
from ingest.pipeline import ingest
from tests.fakes import FakeEmbedder
from tests.ingest.killed import ingest_killed_before_step, options_below, write_version

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL and a fork server")


def served_notes(folder: Path) -> set[str]:
    """Open what the pointer names, as a reader does, and return the notes that answer."""
    store = FolderStore(folder / "index")
    generation = store.current()
    assert generation is not None
    opened = store.open(generation)
    try:
        index = Index(opened.client, generation)
        notes = {section.note for section in index.sections()}
        asked = FakeEmbedder().encode(["What is drift?"])[0]
        assert index.nearest_questions(asked, 1)[0].question == "What is drift?"
        assert all(index.note(note) for note in notes)
        return notes
    finally:
        opened.close()


def _ingest_whole(folder: Path) -> None:
    ingest(options_below(folder), embedder=FakeEmbedder())


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_kill_before_any_step_leaves_the_old_or_the_next_generation(tmp_path: Path) -> None:
    # A fork server has Chroma imported and never used: each child starts in milliseconds.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["chromadb", "tests.ingest.killed"])
    old, new = {"topics/drift", "topics/version-0"}, {"topics/drift", "topics/version-1"}
    before = tmp_path / "before"
    write_version(before, 0)
    _ingest_whole(before)
    write_version(before, 1)
    outcomes = []
    for step in range(200):
        folder = tmp_path / str(step)
        shutil.copytree(before, folder)
        writer = context.Process(target=ingest_killed_before_step, args=(folder, step))
        writer.start()
        writer.join()

        served = served_notes(folder)
        assert served in (old, new), step
        outcomes.append(served == new)
        if writer.exitcode == 0:
            break
        assert writer.exitcode == -signal.SIGKILL
        _ingest_whole(folder)
        assert served_notes(folder) == new
        assert not any((folder / "index").glob("building/*"))
        shutil.rmtree(folder)
    # The pointer moves once, late, and everything before it leaves the old generation serving.
    assert outcomes == sorted(outcomes)
    assert outcomes[0] is False
    assert outcomes[-1] is True
    assert len(outcomes) > 10


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_kill_at_random_moments_leaves_an_index_that_answers(tmp_path: Path) -> None:
    chance = random.Random(20260131)
    write_version(tmp_path, 0)
    _ingest_whole(tmp_path)
    for _ in range(12):
        writer = subprocess.Popen(
            [sys.executable, "-m", "tests.ingest.killed", str(tmp_path)],
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert writer.stdout is not None
        published = int(writer.stdout.readline())
        try:
            writer.wait(chance.uniform(0.0, 0.6))
        except subprocess.TimeoutExpired:
            writer.kill()
        published = max([published, *map(int, writer.stdout.read().split())])
        assert writer.wait() == -signal.SIGKILL
        writer.stdout.close()

        (version,) = served_notes(tmp_path) - {"topics/drift"}
        assert version in {f"topics/version-{published}", f"topics/version-{published + 1}"}
