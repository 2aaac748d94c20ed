"""Judges of answers that share nothing with the product: another encoder, and word overlap.

Two questions are judged. Does an answer make a key point of a reference? Does a quote support a
sentence? Both look at the cosine under all-mpnet-base-v2 and at the share of the claim's content
words (stemmed, function words left out) that the evidence uses. Without the encoder's weights words
alone decide, and `Judge.name` says so.

The thresholds of `Judge.covers` are strict: a key point passes against the reference of another
question in 0.6 % of cases (245 questions, 20 derangements), and of statements just below the cosine
many are only related. So `key_point_recall` understates paraphrases. The thresholds of
`Judge.supports` are set by judgement and were fitted on nothing. Every figure of these judges is to
be read beside its control.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import Stemmer
from bm25s.stopwords import STOPWORDS_EN_PLUS
from numpy.typing import NDArray

COVERED_COSINE = 0.65
COVERED_WORDS = 0.6
SUPPORTED_COSINE = 0.6
SUPPORTED_WORDS = 0.5
LEAST_POINT = 3
"""Content words; a shorter sentence of a reference ("Not always.") is no point of its own."""

_STORED_TOGETHER = 128

_SENTENCE_END = re.compile(
    r"(?<=[.!?])(?<!\be\.g\.)(?<!\bi\.e\.)(?<!\bvs\.)[\"')\]]*\s+(?=[\"'(\[]?[A-Z])"
)
_LABEL = re.compile(r"^[^.:]{1,60}:\s+")
_WORD = re.compile(r"[a-z0-9]+(?:[@.'][a-z0-9]+)*")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_STOPWORDS = frozenset(STOPWORDS_EN_PLUS)


class Encoder(Protocol):
    """Turns texts into unit vectors. Implemented by `MpnetEncoder`, and by the tests' fake."""

    name: str

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one unit vector a text, shape (len(texts), dimension)."""
        ...


class MpnetEncoder:
    """all-mpnet-base-v2 from a folder of its weights, loaded at the first text."""

    name = "all-mpnet-base-v2"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._model: Any = None

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one unit vector a text, shape (len(texts), 768)."""
        if self._model is None:
            from sentence_transformers import SentenceTransformer

            self._model = SentenceTransformer(
                str(self._folder), device="cpu", local_files_only=True
            )
        vectors = self._model.encode(list(texts), batch_size=32, normalize_embeddings=True)
        return np.asarray(vectors, dtype=np.float32)


class RememberingEncoder:
    """Keeps another encoder's vectors in a file: the judge reads three sentences a second."""

    def __init__(self, encoder: Encoder, file: Path) -> None:
        self.name = encoder.name
        self._encoder = encoder
        file.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(file)
        self._db.execute("CREATE TABLE IF NOT EXISTS vector (text TEXT PRIMARY KEY, vector BLOB)")

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one unit vector a text, from the file where it is known."""
        missing = [text for text in dict.fromkeys(texts) if self._known(text) is None]
        for start in range(0, len(missing), _STORED_TOGETHER):
            batch = missing[start : start + _STORED_TOGETHER]
            rows = zip(
                batch, (vector.tobytes() for vector in self._encoder.encode(batch)), strict=True
            )
            with self._db:
                self._db.executemany("INSERT OR REPLACE INTO vector VALUES (?, ?)", rows)
        return np.stack([np.frombuffer(self._known(text) or b"", np.float32) for text in texts])

    def _known(self, text: str) -> bytes | None:
        row = self._db.execute("SELECT vector FROM vector WHERE text = ?", (text,)).fetchone()
        return row[0] if row else None


class Judge:
    """Decides what an answer covers and what a quote supports."""

    def __init__(self, encoder: Encoder | None) -> None:
        self._encoder = encoder
        self._vectors: dict[str, NDArray[np.float32]] = {}
        self._words: dict[str, frozenset[str]] = {}

    @property
    def name(self) -> str:
        """What judges."""
        if self._encoder is None:
            return "word overlap only (the judge's encoder is not on this machine)"
        return f"{self._encoder.name} and word overlap"

    def covers(self, answer: Sequence[str], point: str) -> bool:
        """Tell whether an answer, in sentences, makes a point.

        One sentence must be near the point, or the whole answer must use most of its words.
        """
        if not answer:
            return False
        if self._share(" ".join(answer), point) >= COVERED_WORDS:
            return True
        return self._nearest(answer, point) >= COVERED_COSINE if self._encoder else False

    def supports(self, quotes: Sequence[str], sentence: str) -> bool:
        """Tell whether quotes support a sentence.

        Its numbers must all stand in them, its words mostly, and one quote must be near it.
        """
        evidence = " ".join(quotes)
        if set(_NUMBER.findall(sentence)) - set(_NUMBER.findall(evidence)):
            return False
        if self._share(evidence, sentence) < SUPPORTED_WORDS:
            return False
        return self._nearest(quotes, sentence) >= SUPPORTED_COSINE if self._encoder else True

    def prepare(self, texts: Iterable[str]) -> None:
        """Encode texts together, which is many times faster than one after another."""
        unknown = [text for text in dict.fromkeys(texts) if text not in self._vectors]
        if self._encoder and unknown:
            vectors = self._encoder.encode(unknown)
            self._vectors |= dict(zip(unknown, vectors, strict=True))

    def _nearest(self, texts: Sequence[str], claim: str) -> float:
        self.prepare([*texts, claim])
        return max(float(self._vectors[text] @ self._vectors[claim]) for text in texts)

    def _share(self, evidence: str, claim: str) -> float:
        wanted = self._content(claim)
        return len(wanted & self._content(evidence)) / len(wanted) if wanted else 0.0

    def _content(self, text: str) -> frozenset[str]:
        if text not in self._words:
            self._words[text] = content_words(text)
        return self._words[text]


def content_words(text: str) -> frozenset[str]:
    """Return the stems of a text's words, function words left out."""
    words = [word for word in _WORD.findall(text.lower()) if word not in _STOPWORDS]
    return frozenset(Stemmer.Stemmer("english").stemWords(words))


def key_points(reference: str) -> list[str]:
    """Return what a good answer says: the sentences of a reference, or the items of its list.

    A reference without a full stop is a list after an optional label ("It tests: a, b, c").
    """
    text = " ".join(reference.split())
    if not _SENTENCE_END.search(text) and not text.endswith((".", "!", "?")):
        items = re.split(r"[,;]\s+", _LABEL.sub("", text))
        return [item for item in items if content_words(item)]
    return [s for s in _SENTENCE_END.split(text) if len(content_words(s)) >= LEAST_POINT]


def derangement(count: int, seed: int) -> list[int]:
    """Return for each of `count` places another place, each once; fixed by the seed."""
    if count < 2:
        raise ValueError("One place has no other.")
    order = np.random.default_rng(seed).permutation(count).tolist()
    partner = dict(zip(order, [*order[1:], order[0]], strict=True))
    return [partner[place] for place in range(count)]
