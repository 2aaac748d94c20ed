"""An ingest that is killed: what the kill tests start in processes of their own."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from ingest.pipeline import IngestOptions, ingest
from tests.fakes import CorpusFolder, FakeEmbedder

_STEPS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree"}


def options_below(folder: Path) -> IngestOptions:
    """Return the options of the ingest that is killed."""
    return IngestOptions({"": folder / "corpus"}, folder / "index", folder / "cache")


def write_version(folder: Path, version: int) -> None:
    """Write the notes of a version: `version` names their second note."""
    corpus = CorpusFolder(folder / "corpus")
    for old in (folder / "corpus").glob("topics/version-*.md"):
        old.unlink()
    corpus.note("topics/drift")
    corpus.note(f"topics/version-{version}", f"version {'i' * (version + 1)}")


def ingest_killed_before_step(folder: Path, step: int) -> None:
    """Ingest, and die by SIGKILL before the step with that number that touches the index."""
    index, seen = str(folder / "index"), 0

    def count(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen
        if event in _STEPS and str(arguments[0]).startswith(index):
            seen += 1
            if seen > step:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    ingest(options_below(folder), embedder=FakeEmbedder())


def ingest_for_ever(folder: Path) -> None:
    """Ingest one version after another, and say so."""
    version = 0
    while True:
        version += 1
        write_version(folder, version)
        ingest(options_below(folder), embedder=FakeEmbedder())
        print(version, flush=True)  # noqa: T201


if __name__ == "__main__":
    ingest_for_ever(Path(sys.argv[1]))
