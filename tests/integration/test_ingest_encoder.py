"""The real encoder, and the notes that ship with Viva under it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from bot.content import corpus_dir
from ingest.chunking import chunk_note
from ingest.embedding import BATCH, Precision, SentenceEmbedder, Vectors, open_embedder
from ingest.notes import plain_text
from ingest.pipeline import IngestOptions, check
from ingest.reading import read_corpus
from ingest.weights import Weights


@pytest.fixture(scope="module")
def encoder(encoder_weights: Weights) -> SentenceEmbedder:
    embedder = SentenceEmbedder(encoder_weights)
    embedder.load()
    return embedder


@pytest.fixture(scope="module")
def vectors_dir(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder for vectors that stays between runs, so that only edits are embedded."""
    if pytestconfig.pluginmanager.hasplugin("cacheprovider"):
        return pytestconfig.cache.mkdir("vectors")
    return tmp_path_factory.mktemp("vectors")


def test_the_fingerprint_is_that_of_the_published_model(encoder: SentenceEmbedder) -> None:
    fingerprint = encoder.fingerprint
    assert (fingerprint.name, fingerprint.dimension, fingerprint.window) == (
        "all-MiniLM-L6-v2",
        384,
        256,
    )
    assert fingerprint.sha256.startswith("53aa5117")
    assert (fingerprint.dtype, fingerprint.normalised) == ("float32", True)


def test_vectors_are_float32_of_length_one(encoder: SentenceEmbedder) -> None:
    vectors = encoder.encode(["What is drift?", "", "word " * 1_000])
    assert (vectors.shape, vectors.dtype) == ((3, 384), np.float32)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-6)


def test_near_meanings_are_nearer_than_far_ones(encoder: SentenceEmbedder) -> None:
    question, near, far = encoder.encode(
        [
            "How do I notice that the inputs changed?",
            "Data drift is detected by comparing live inputs with a reference.",
            "The train to Lyon leaves from platform nine.",
        ]
    )
    assert question @ near > question @ far + 0.2


def test_batch_mates_move_a_vector_by_less_than_rounding(encoder: SentenceEmbedder) -> None:
    text = "Data drift is a change of the inputs."
    alone = encoder.encode([text])[0]
    beside = encoder.encode([text, *(f"Another text, number {n}." for n in range(40))])[0]
    assert np.abs(alone - beside).max() < 1e-6


def test_both_precisions_give_the_same_directions(encoder: SentenceEmbedder) -> None:
    texts = [f"A sentence about topic number {n}." for n in range(8)]
    exact, rounded = encoder.encode(texts), encoder.encode(texts, "bfloat16")
    assert rounded.dtype == np.float32
    assert np.sum(exact * rounded, axis=1).min() > 0.99


def test_few_texts_are_not_worth_a_measurement(encoder: SentenceEmbedder) -> None:
    assert encoder.fastest_precision(["one"] * BATCH) == "float32"


class TimedEmbedder(SentenceEmbedder):
    """Encodes in a time, and in directions, that are given for bfloat16."""

    def __init__(self, weights: Weights, seconds: float, cosine: float) -> None:
        super().__init__(weights)
        self._seconds = seconds
        self._cosine = cosine

    def encode(self, texts: Sequence[str], precision: Precision = "float32") -> Vectors:
        time.sleep(0.05 if precision == "float32" else self._seconds)
        cosine = 1.0 if precision == "float32" else self._cosine
        vector = np.array([cosine, np.sqrt(1.0 - cosine**2)], dtype=np.float32)
        return np.tile(vector, (len(texts), 1))


@pytest.mark.parametrize(
    ("supported", "seconds", "cosine", "chosen"),
    [
        (True, 0.01, 0.9999, "bfloat16"),
        (True, 0.045, 0.9999, "float32"),
        (True, 0.01, 0.99, "float32"),
        (False, 0.01, 0.9999, "float32"),
    ],
    ids=["faster", "hardly faster", "other directions", "emulated"],
)
def test_a_lower_precision_is_chosen_where_it_is_faster_and_as_right(
    encoder_weights: Weights,
    monkeypatch: pytest.MonkeyPatch,
    supported: bool,
    seconds: float,
    cosine: float,
    chosen: Precision,
) -> None:
    import torch

    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: supported)
    embedder = TimedEmbedder(encoder_weights, seconds, cosine)
    assert embedder.fastest_precision(["some words"] * 8 * BATCH) == chosen


def test_the_precision_for_many_texts_is_measured_or_exact(encoder: SentenceEmbedder) -> None:
    assert encoder.fastest_precision(["some words to read"] * 8 * BATCH) in {"float32", "bfloat16"}


def test_tokens_are_counted_beyond_the_window_and_with_the_special_ones(
    encoder: SentenceEmbedder,
) -> None:
    assert encoder.count_tokens("") == 2
    assert encoder.count_tokens("drift") == 3
    assert encoder.count_tokens("drift " * 1_000) == 1_002


def test_no_chunk_of_our_notes_exceeds_the_window(encoder: SentenceEmbedder) -> None:
    window = encoder.fingerprint.window
    notes = read_corpus(corpus_dir()).notes
    assert notes
    for note in notes:
        chunks = chunk_note(note, encoder.count_tokens, window)
        assert all(encoder.count_tokens(chunk.embedded) <= window for chunk in chunks)
        assert "".join(c.text for c in chunks) == "".join(s.body for s in note.sections)


def test_a_narrow_window_cuts_our_notes_without_loss(encoder: SentenceEmbedder) -> None:
    for note in read_corpus(corpus_dir()).notes[:5]:
        chunks = chunk_note(note, encoder.count_tokens, 64)
        assert all(encoder.count_tokens(chunk.embedded) <= 64 for chunk in chunks)
        assert "".join(c.text for c in chunks) == "".join(s.body for s in note.sections)
        for sentence in (s for chunk in chunks for s in chunk.sentences):
            assert note.text[sentence.offset :].startswith(sentence.quote)
            assert "[@" not in plain_text(sentence.quote)


def test_our_notes_have_no_problems(
    encoder: SentenceEmbedder, vectors_dir: Path, tmp_path: Path
) -> None:
    options = IngestOptions({"": corpus_dir()}, tmp_path / "index", vectors_dir)
    report = check(options, embedder=encoder)
    assert [str(problem) for problem in report.problems] == []
    assert report.notes > 0


def test_an_encoder_is_opened_by_its_path(encoder_weights: Weights, tmp_path: Path) -> None:
    opened = open_embedder(str(encoder_weights.path), tmp_path)
    assert opened.fingerprint.sha256 == encoder_weights.sha256
    assert opened.count_tokens("drift") == 3
