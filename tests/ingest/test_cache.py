"""A text is embedded once: what the cache and the encoding on top of it keep."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from ingest.cache import VectorCache, text_key
from ingest.embedding import BATCH, Precision, Vectors
from ingest.encoding import CACHE_FILE, Encoding
from ingest.progress import Silent
from tests.fakes import FakeEmbedder


class Told:
    """Progress that remembers."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, int]] = []
        self.steps: list[int] = []

    def stage(self, name: str, total: int = 0) -> None:
        self.stages.append((name, total))

    def advance(self, steps: int) -> None:
        self.steps.append(steps)


class DyingEmbedder(FakeEmbedder):
    """Dies in its third batch, as a killed process does."""

    batches = 0

    def encode(self, texts: Sequence[str], precision: Precision = "float32") -> Vectors:
        self.batches += 1
        if self.batches == 3:
            raise KeyboardInterrupt
        return super().encode(texts, precision)


def test_vectors_come_back_as_they_were_stored(tmp_path: Path, embedder: FakeEmbedder) -> None:
    vectors = {text_key(text): embedder.encode([text])[0] for text in ("one", "two")}
    cache = VectorCache(tmp_path / "deep" / "vectors", embedder.fingerprint)
    cache.put(vectors)
    cache.close()

    again = VectorCache(tmp_path / "deep" / "vectors", embedder.fingerprint)
    found = again.get([*vectors, text_key("three")])
    again.close()

    assert found.keys() == vectors.keys()
    assert all(np.array_equal(found[key], vectors[key]) for key in vectors)


def test_another_encoders_vectors_are_not_found(tmp_path: Path, embedder: FakeEmbedder) -> None:
    key = text_key("one")
    mine = VectorCache(tmp_path / "vectors", embedder.fingerprint)
    mine.put({key: embedder.encode(["one"])[0]})
    others = VectorCache(tmp_path / "vectors", FakeEmbedder("other").fingerprint)
    assert others.get([key]) == {}
    assert mine.get([key]).keys() == {key}
    mine.close()
    others.close()


def test_more_keys_are_found_than_one_statement_takes(
    tmp_path: Path, embedder: FakeEmbedder
) -> None:
    vector = embedder.encode(["one"])[0]
    keys = [text_key(str(n)) for n in range(1_201)]
    cache = VectorCache(tmp_path / "vectors", embedder.fingerprint)
    cache.put(dict.fromkeys(keys, vector))
    assert cache.get(iter(keys)).keys() == set(keys)
    cache.close()


def test_a_vector_of_another_length_is_as_good_as_none(
    tmp_path: Path, embedder: FakeEmbedder
) -> None:
    cache = VectorCache(tmp_path / "vectors", embedder.fingerprint)
    cache.put({"a": np.ones(3, dtype=np.float32)})
    assert cache.get(["a"]) == {}
    cache.close()


def test_texts_are_embedded_once(tmp_path: Path) -> None:
    for embedded, reused in ((2, 0), (0, 2)):
        embedder = FakeEmbedder()
        with Encoding(embedder, tmp_path, Silent()) as encoding:
            encoding.prepare(["one", "two", "one"])
            encoding.prepare(["two"])
            assert (encoding.embedded, encoding.reused) == (embedded, reused)
            vectors = encoding.vectors(["two", "one", "two"])
        assert len(embedder.encoded) == embedded
        assert np.allclose(vectors, FakeEmbedder().encode(["two", "one", "two"]))


def test_texts_are_embedded_in_one_order_whatever_order_they_come_in(tmp_path: Path) -> None:
    texts = ["a bb", "ccc", "d", "eeee", "f g h"]
    orders = []
    for number, given in enumerate((texts, texts[::-1])):
        embedder = FakeEmbedder()
        with Encoding(embedder, tmp_path / str(number), Silent()) as encoding:
            encoding.prepare(given)
        orders.append(embedder.encoded)
    assert orders[0] == orders[1]
    assert [len(text) for text in orders[0]] == [5, 4, 4, 3, 1]


def test_no_texts_have_no_vectors_and_load_no_encoder(tmp_path: Path) -> None:
    told = Told()
    with Encoding(FakeEmbedder(), tmp_path, told) as encoding:
        encoding.prepare([])
        assert encoding.vectors([]).shape == (0, 384)
    assert told.stages == []


def test_a_killed_encoding_loses_only_its_last_batch(tmp_path: Path) -> None:
    texts = [f"text {n:04}" for n in range(3 * 2 * BATCH)]
    with (
        pytest.raises(KeyboardInterrupt),
        Encoding(DyingEmbedder(), tmp_path, Silent()) as encoding,
    ):
        encoding.prepare(texts)

    embedder = FakeEmbedder()
    with Encoding(embedder, tmp_path, Silent()) as encoding:
        encoding.prepare(texts)
        assert (encoding.embedded, encoding.reused) == (2 * BATCH, 2 * 2 * BATCH)


def test_progress_is_told_in_texts(tmp_path: Path) -> None:
    told = Told()
    with Encoding(FakeEmbedder(), tmp_path, told) as encoding:
        encoding.prepare([f"text {n}" for n in range(300)])
    assert told.stages == [("Loading the encoder", 0), ("Embedding texts", 300)]
    assert told.steps == [64, 64, 64, 64, 44]


def test_only_what_may_be_fast_is_computed_in_a_lower_precision(tmp_path: Path) -> None:
    embedder = FakeEmbedder()
    embedder.fast = "bfloat16"
    with Encoding(embedder, tmp_path, Silent()) as encoding:
        encoding.prepare(["one"])
        assert encoding.computed_in == "float32"
        encoding.prepare(["two"], fast=True)
        assert encoding.computed_in == "bfloat16"


def test_a_deleted_cache_is_made_again(tmp_path: Path) -> None:
    for _ in range(2):
        with Encoding(FakeEmbedder(), tmp_path, Silent()) as encoding:
            encoding.prepare(["one"])
            assert encoding.embedded == 1
        for file in tmp_path.glob(f"{CACHE_FILE}*"):
            file.unlink()


def test_the_cache_survives_two_writers(tmp_path: Path, embedder: FakeEmbedder) -> None:
    first = VectorCache(tmp_path / "vectors", embedder.fingerprint)
    second = VectorCache(tmp_path / "vectors", embedder.fingerprint)
    vector = embedder.encode(["one"])[0]
    for number in range(20):
        first.put({f"a{number}": vector, "shared": vector})
        second.put({f"b{number}": vector, "shared": vector})
    assert len(first.get([f"b{n}" for n in range(20)])) == 20
    first.close()
    second.close()
    with sqlite3.connect(tmp_path / "vectors") as db:
        assert db.execute("SELECT count(*) FROM vector").fetchone() == (41,)
    db.close()
