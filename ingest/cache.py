"""Vectors that were computed before, by encoder and text, in one SQLite file."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from ingest.embedding import Fingerprint, Precision, Vectors
from ingest.errors import CacheDamagedError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS vector (
    encoder TEXT NOT NULL, text TEXT NOT NULL, vector BLOB NOT NULL, PRIMARY KEY (encoder, text)
) WITHOUT ROWID
"""
_LOOKUP_BATCH = 500
"""SQLite's default limit on the variables of one statement is 32,766; older builds allow 999."""


def text_key(text: str) -> str:
    """Return the key of a text: the SHA-256 of its UTF-8 bytes."""
    return hashlib.sha256(text.encode()).hexdigest()


class VectorCache:
    """Keeps what an encoder made of a text. Each batch is stored at once: a kill loses one batch.

    The file can be deleted at any time; it is rebuilt by embedding again.
    """

    def __init__(
        self, file: Path, fingerprint: Fingerprint, precision: Precision = "float32"
    ) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        encoder = text_key(json.dumps(fingerprint.to_dict(), sort_keys=True))
        self._encoder = encoder if precision == "float32" else f"{encoder}-{precision}"
        self._dimension = fingerprint.dimension
        self._db = sqlite3.connect(file, timeout=30)
        try:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute(_SCHEMA)
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise CacheDamagedError(
                f"The cache of vectors cannot be used ({error}).", repair=f"Delete {file}"
            ) from error

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def get(self, keys: Iterable[str]) -> dict[str, Vectors]:
        """Return the vectors, shape (dimension,), of those keys that are known."""
        wanted = list(keys)
        found: dict[str, Vectors] = {}
        for start in range(0, len(wanted), _LOOKUP_BATCH):
            batch = wanted[start : start + _LOOKUP_BATCH]
            marks = ",".join("?" * len(batch))
            rows = self._db.execute(
                f"SELECT text, vector FROM vector WHERE encoder = ? AND text IN ({marks})",
                (self._encoder, *batch),
            )
            for key, blob in rows:
                vector = np.frombuffer(blob, dtype="<f4")
                if vector.shape == (self._dimension,):
                    found[key] = vector
        return found

    def put(self, vectors: Mapping[str, Vectors]) -> None:
        """Store vectors by key, in one transaction."""
        with self._db:
            self._db.executemany(
                "INSERT OR REPLACE INTO vector VALUES (?, ?, ?)",
                [(self._encoder, key, v.astype("<f4").tobytes()) for key, v in vectors.items()],
            )
