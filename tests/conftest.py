"""Fixtures that more than one package's tests use."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import hypothesis
import pytest

from ingest.chroma import connect
from ingest.errors import WeightsError
from ingest.weights import Weights, find_weights
from tests.fakes import CorpusFolder, FakeEmbedder

# A busy machine is no reason for a test to fail.
hypothesis.settings.register_profile("viva", deadline=None)
hypothesis.settings.load_profile("viva")

CorpusFactory = Callable[..., CorpusFolder]


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what the developer has configured out of the tests."""
    for name in list(os.environ):
        if name.startswith("VIVA_"):
            monkeypatch.delenv(name)


@pytest.fixture
def embedder() -> FakeEmbedder:
    return FakeEmbedder()


@pytest.fixture
def corpus_folder(tmp_path: Path) -> CorpusFactory:
    """Return a maker of corpus folders, each with a valid note unless it is asked to be empty."""

    def make(name: str = "corpus", *, empty: bool = False) -> CorpusFolder:
        folder = CorpusFolder(tmp_path / name)
        folder.root.mkdir(parents=True)
        if not empty:
            folder.note("topics/drift", "drift", "monitoring")
        return folder

    return make


@pytest.fixture(scope="session")
def encoder_weights() -> Weights:
    """Return the default encoder's weights, or skip where they were not fetched."""
    import platformdirs

    cache = os.environ.get("VIVA_CACHE_DIR") or platformdirs.user_cache_dir("viva", appauthor=False)
    try:
        return find_weights("default", Path(cache))
    except WeightsError as error:
        pytest.skip(f"needs the embedded encoder: {error}")


@pytest.fixture(scope="session")
def chroma_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start `chroma run` on loopback for the session, and return its address."""
    folder = tmp_path_factory.mktemp("chroma")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = (
        "import sys; from chromadb.cli.cli import app; sys.argv[0] = 'chroma'; sys.exit(app())"
    )
    arguments = ["run", "--path", str(folder), "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-c", program, *arguments], cwd=folder, stdout=log, stderr=log
        )
        try:
            _wait_for_port(port, server)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(10)


@pytest.fixture
def chroma_url(chroma_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Return the address of a Chroma server that holds nothing."""
    sessions: list[httpx.Client] = []

    class Session(httpx.Client):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            sessions.append(self)

    # Chroma's client leaves its session open when it is closed, and a lost socket is an error.
    monkeypatch.setattr(httpx, "Client", Session)
    yield chroma_server
    client = connect(chroma_server)
    for collection in client.list_collections():
        client.delete_collection(collection.name)
    client.close()
    for session in sessions:
        session.close()


def _wait_for_port(port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("chroma run did not open its port")
