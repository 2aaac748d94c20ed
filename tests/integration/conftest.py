"""One installation with an index for all tests that only read it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.weights import Weights
from tests.installation import Installation, Server, install


@pytest.fixture(scope="session")
def vectors_cache(tmp_path_factory: pytest.TempPathFactory, encoder_weights: Weights) -> Path:
    """Return a cache of the session's own: weights linked, vectors shared by its installations."""
    cache = tmp_path_factory.mktemp("cache")
    (cache / "models").mkdir()
    place = f"{encoder_weights.name}-{encoder_weights.sha256[:12]}"
    (cache / "models" / place).symlink_to(encoder_weights.path, target_is_directory=True)
    return cache


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory, vectors_cache: Path) -> Installation:
    """Return an installation whose index is built; for tests that only read."""
    installed = install(tmp_path_factory.mktemp("installation"), vectors_cache)
    built = installed.run("ingest")
    assert built.returncode == 0, built.stderr
    return installed


@pytest.fixture(scope="session")
def server(installation: Installation) -> Iterator[Server]:
    """Return a server over the installation, ready."""
    with installation.serve() as running:
        running.until_ready()
        yield running


@pytest.fixture
def fresh(tmp_path: Path, vectors_cache: Path) -> Installation:
    """Return an installation without an index, for tests that change it."""
    return install(tmp_path, vectors_cache)
