"""The embedded encoder: a sentence-transformers model, its tokenizer and its fingerprint.

Importing this module is cheap. The tokenizer loads in milliseconds and without the model, so that
notes can be cut and checked without it; the model loads at the first `encode`.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from ingest.errors import WeightsError
from ingest.weights import Weights, find_weights

Vectors = NDArray[np.float32]
Precision = Literal["float32", "bfloat16"]

BATCH = 32
"""Texts in one forward pass: fixed, because batch-mates move an embedding in the eighth decimal."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What makes the vectors of two encoders comparable: all of it must agree.

    `dtype` is that of the stored vectors. The precision in which they were computed is chosen per
    machine, only where it was measured to give the same directions.
    """

    name: str
    sha256: str
    dimension: int
    window: int
    dtype: str = "float32"
    normalised: bool = True

    def to_dict(self) -> dict[str, Any]:
        """Return the fingerprint as plain data, as manifests hold it."""
        return asdict(self)


class Embedder(Protocol):
    """Turns texts into unit vectors. Implemented by `SentenceEmbedder` and by the tests' fake."""

    @property
    def fingerprint(self) -> Fingerprint:
        """Identity of the vector space."""
        ...

    def count_tokens(self, text: str) -> int:
        """Return the word pieces of a text, special tokens included."""
        ...

    def encode(self, texts: Sequence[str], precision: Precision = "float32") -> Vectors:
        """Return one unit vector a text, shape (len(texts), dimension)."""
        ...

    def fastest_precision(self, texts: Sequence[str]) -> Precision:
        """Return the precision to encode many texts in."""
        ...


class SentenceEmbedder:
    """A sentence-transformers model from checked weights."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._models: dict[Precision, Any] = {}
        self._loading = threading.Lock()

    @cached_property
    def fingerprint(self) -> Fingerprint:
        """Identity of the vector space, read from the model's own configuration files."""
        path = self._weights.path
        hidden = _read_json(path / "config.json")["hidden_size"]
        window = _read_json(path / "sentence_bert_config.json")["max_seq_length"]
        return Fingerprint(self._weights.name, self._weights.sha256, int(hidden), int(window))

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        tokenizer = Tokenizer.from_file(str(self._weights.path / "tokenizer.json"))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer

    def count_tokens(self, text: str) -> int:
        """Return the word pieces of a text, special tokens included."""
        return len(self._tokenizer.encode(text).ids)

    def encode(self, texts: Sequence[str], precision: Precision = "float32") -> Vectors:
        """Return one unit vector a text, shape (len(texts), dimension), in float32."""
        model = self._model(precision)
        vectors = model.encode(
            list(texts),
            batch_size=BATCH,
            normalize_embeddings=True,
            convert_to_numpy=True,
            show_progress_bar=False,
        )
        return np.asarray(vectors, dtype=np.float32)

    def fastest_precision(self, texts: Sequence[str]) -> Precision:
        """Return bfloat16 where this processor computes it faster and in the same directions.

        Measured on a sample of `texts`: at least a fifth faster, no cosine to float32 below 0.999.
        """
        import torch

        # Without these instructions bfloat16 is emulated, and slower.
        if not torch.cpu._is_avx512_bf16_supported() or len(texts) < 8 * BATCH:
            return "float32"
        sample = sorted(texts, key=len)[-BATCH:]
        exact, exact_s = self._timed(sample, "float32")
        rounded, rounded_s = self._timed(sample, "bfloat16")
        cosines = np.sum(exact * rounded, axis=1)
        return "bfloat16" if rounded_s * 1.2 < exact_s and cosines.min() > 0.999 else "float32"

    def load(self) -> None:
        """Load the model now, rather than at the first text."""
        self.encode(["warm up"])

    def _timed(self, texts: Sequence[str], precision: Precision) -> tuple[Vectors, float]:
        self.encode(texts[:2], precision)
        start = time.perf_counter()
        vectors = self.encode(texts, precision)
        return vectors, time.perf_counter() - start

    def _model(self, precision: Precision) -> Any:
        with self._loading:
            if precision not in self._models:
                self._models[precision] = self._load(precision)
            return self._models[precision]

    def _load(self, precision: Precision) -> Any:
        try:
            import torch
            from sentence_transformers import SentenceTransformer
            from transformers.utils import logging as transformers_logging
        except ImportError as error:
            raise WeightsError(
                f"The embedded encoder needs {error.name}, which is not installed.",
                repair="Install it: pip install 'viva-coach[local]'",
            ) from error
        transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        # A folder on disk is all that may be read: no look-up on a hub.
        model = SentenceTransformer(str(self._weights.path), device="cpu", local_files_only=True)
        return model.to(torch.bfloat16) if precision == "bfloat16" else model


def open_embedder(model: str, cache_dir: Path) -> SentenceEmbedder:
    """Return the encoder of a name or a path, its weights checked, its model not loaded."""
    return SentenceEmbedder(find_weights(model, cache_dir))


def _read_json(file: Path) -> dict[str, Any]:
    try:
        data: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"{file} cannot be read, so the encoder is incomplete.",
            repair="Fetch it again: viva models fetch",
        ) from error
    return data
