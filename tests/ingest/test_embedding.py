"""The encoder's identity comes from its files; the model itself is loaded late."""

from __future__ import annotations

import builtins
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ingest.embedding import Fingerprint, SentenceEmbedder
from ingest.errors import WeightsError
from ingest.weights import Weights


@pytest.fixture
def weights(tmp_path: Path) -> Weights:
    (tmp_path / "config.json").write_text(json.dumps({"hidden_size": 8}))
    (tmp_path / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 16}))
    return Weights("tiny", tmp_path, "ab" * 32)


def test_the_fingerprint_is_read_from_the_models_own_files(weights: Weights) -> None:
    fingerprint = SentenceEmbedder(weights).fingerprint
    assert fingerprint == Fingerprint("tiny", "ab" * 32, dimension=8, window=16)
    assert Fingerprint(**fingerprint.to_dict()) == fingerprint


@pytest.mark.parametrize("damage", ["missing", "not JSON"])
def test_an_encoder_without_its_configuration_names_the_repair(
    weights: Weights, damage: str
) -> None:
    file = weights.path / "config.json"
    if damage == "missing":
        file.unlink()
    else:
        file.write_text("{")
    with pytest.raises(WeightsError, match=r"config\.json cannot be read.*viva models fetch"):
        _ = SentenceEmbedder(weights).fingerprint


def test_without_torch_the_encoder_says_what_to_install(
    weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    imported = builtins.__import__

    def without_torch(name: str, *rest: Any, **more: Any) -> Any:
        if name == "torch":
            raise ImportError("No module named 'torch'", name="torch")
        return imported(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without_torch)
    with pytest.raises(WeightsError, match=r"needs torch.*pip install 'viva-coach\[local\]'"):
        SentenceEmbedder(weights).encode(["one"])


def test_importing_the_package_loads_neither_torch_nor_chroma() -> None:
    program = (
        "import sys, ingest.pipeline\n"
        "print(sorted({'torch', 'chromadb', 'sentence_transformers'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout.strip() == "[]"
