"""The vectors of texts: from the cache, or from the encoder and then into the cache."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from ingest.cache import VectorCache, text_key
from ingest.embedding import BATCH, Embedder, Fingerprint, Precision, Vectors
from ingest.progress import Progress

CACHE_FILE = "vectors.sqlite3"

_STORED_BATCH = 2 * BATCH
"""Texts embedded between two writes of the cache: what a kill may lose."""


class Encoding:
    """Embeds each text once, ever. Counts what it embedded and what it reused."""

    def __init__(self, embedder: Embedder, cache_dir: Path, progress: Progress) -> None:
        self.embedded = 0
        self.reused = 0
        self.computed_in: Precision = "float32"
        self._embedder = embedder
        self._progress = progress
        self._known: dict[str, Vectors] = {}
        self._caches: dict[Precision, VectorCache] = {
            precision: VectorCache(cache_dir / CACHE_FILE, embedder.fingerprint, precision)
            for precision in ("float32", "bfloat16")
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for cache in self._caches.values():
            cache.close()

    @property
    def fingerprint(self) -> Fingerprint:
        """The encoder's."""
        return self._embedder.fingerprint

    def prepare(self, texts: Sequence[str], what: str = "texts", *, fast: bool = False) -> None:
        """Embed those texts that are not known yet; `fast` allows a lower precision."""
        missing = {text_key(text): text for text in texts}
        missing = {key: text for key, text in missing.items() if key not in self._known}
        found = self._caches["float32"].get(missing)
        if fast:
            found |= self._caches["bfloat16"].get(missing.keys() - found.keys())
        self._known |= found
        self.reused += len(found)
        # Equal lengths share a batch, so that little is padded; the key makes the order canonical.
        todo = sorted(missing.keys() - found.keys(), key=lambda key: (-len(missing[key]), key))
        if todo:
            self._embed({key: missing[key] for key in todo}, what, fast)

    def vectors(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of prepared texts, shape (len(texts), dimension)."""
        if not texts:
            return np.zeros((0, self.fingerprint.dimension), dtype=np.float32)
        return np.stack([self._known[text_key(text)] for text in texts])

    def _embed(self, todo: dict[str, str], what: str, fast: bool) -> None:
        self._progress.stage("Loading the encoder")
        precision: Precision = "float32"
        if fast:
            precision = self._embedder.fastest_precision(list(todo.values()))
            self.computed_in = precision
        self._progress.stage(f"Embedding {what}", len(todo))
        keys = list(todo)
        for start in range(0, len(keys), _STORED_BATCH):
            batch = keys[start : start + _STORED_BATCH]
            vectors = self._embedder.encode([todo[key] for key in batch], precision)
            fresh = dict(zip(batch, vectors, strict=True))
            self._caches[precision].put(fresh)
            self._known |= fresh
            self.embedded += len(batch)
            self._progress.advance(len(batch))
