"""Commands, run in this process as `viva` runs them, with folders of their own."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bot.cli.main import run
from ingest.weights import Weights


@dataclass(frozen=True, slots=True)
class Result:
    """What a command left: its exit status, and what it printed."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What was printed, which must be one JSON document and nothing else."""
        return json.loads(self.out)


Viva = Callable[..., Result]


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def installed_encoder(encoder_weights: Weights, monkeypatch: pytest.MonkeyPatch) -> Weights:
    """Configure the real encoder by its folder: the commands' own cache is empty."""
    monkeypatch.setenv("VIVA_EMBEDDING_MODEL", str(encoder_weights.path))
    return encoder_weights


@pytest.fixture
def viva(
    tmp_path: Path,
    data_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Viva:
    """Return what runs a command; `set_` are settings by their names in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VIVA_DATA_DIR", str(data_dir))
    monkeypatch.setenv("VIVA_CACHE_DIR", str(tmp_path / "cache"))

    def call(*arguments: str, **set_: str) -> Result:
        for name, value in set_.items():
            monkeypatch.setenv(name, value)
        capfd.readouterr()
        status = run(list(arguments))
        out, err = capfd.readouterr()
        return Result(status, out, err)

    return call
