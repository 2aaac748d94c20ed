"""Lexical search: BM25 over stemmed words and over word fragments, in memory.

Fragments of five letters find "calibrating" for "calibration", parts of compounds and names, and
words with a typing error, which stems miss. `python -m benchmarks.retrieval` prints what each of
the two reaches alone, and both together. British and American spelling are one.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence

import bm25s
import numpy as np
import Stemmer
from bm25s.stopwords import STOPWORDS_EN_PLUS
from numpy.typing import NDArray

_WORD = re.compile(r"[a-z0-9]+(?:[@+#][a-z0-9]*)*", re.IGNORECASE)
_FRAGMENT = 5
_K1, _B = 0.6, 0.4  # short passages of similar length: little saturation, little length correction

STOPWORDS = frozenset(STOPWORDS_EN_PLUS)


# The notes are British, many questions are not. A rule may make a word that does not exist, as long
# as it makes the same one of both spellings.
_SPELLINGS = [
    (re.compile(pattern), american)
    for pattern, american in (
        (r"(?<=[a-z]{3})is(?=(?:e|ed|es|er|ers|ing|ation|ations|able)$)", "iz"),
        (r"(?<=[a-z]{2})ys(?=(?:e|ed|er|ers|ing)$)", "yz"),
        (r"(?<=[a-z]{3})our(?=(?:s|ed|ing|al|able|ite|ites|hood|hoods)?$)", "or"),
        (r"(?<=[a-z]{2})ll(?=(?:ed|ing|er|ers)$)", "l"),
        (r"(?<=[a-z]{3})ogue(?=s?$)", "og"),
        (r"(?<=[a-z]{2})([bt])re(?=s?$)", r"\1er"),
        (r"^artefact", "artifact"),
        (r"^(de|of)fence", r"\1fense"),
        (r"^licence", "license"),
        (r"^practi[sz]e", "practice"),
        (r"^programme(?=s?$)", "program"),
        (r"^judgement", "judgment"),
    )
]


def american(word: str) -> str:
    """Return a lower-case word in American spelling."""
    for pattern, spelling in _SPELLINGS:
        word = pattern.sub(spelling, word)
    return word


def stems(text: str) -> list[tuple[str, str]]:
    """Return a text's words without function words, each as its stem and as it is written."""
    written = [word for word in _WORD.findall(text) if word.lower() not in STOPWORDS]
    # A stemmer is not safe to share between threads, and costs a microsecond to make.
    stemmer = Stemmer.Stemmer("english", 0)
    stemmed = stemmer.stemWords([american(word.lower()) for word in written])
    return list(zip(stemmed, written, strict=True))


def fragments(text: str) -> list[str]:
    """Return the overlapping five-letter fragments of a text's words, word ends marked."""
    found: list[str] = []
    for word in _WORD.findall(text.lower()):
        marked = f"#{american(word)}#"
        found += [marked[i : i + _FRAGMENT] for i in range(max(1, len(marked) - _FRAGMENT + 1))]
    return found


class LexicalIndex:
    """BM25 over a fixed list of records. Builds in memory; read-only afterwards.

    `texts` are what records say; `asked` are the questions they answer, which help to find them and
    count for nothing else.
    """

    def __init__(self, ids: Sequence[str], texts: Sequence[str], asked: Sequence[str]) -> None:
        self._ids = list(ids)
        self._position = {key: place for place, key in enumerate(self._ids)}
        searched = [f"{text}\n{questions}" for text, questions in zip(texts, asked, strict=True)]
        words = [[stem for stem, _ in stems(text)] for text in searched]
        self._words = _bm25(words)
        self._known = frozenset(stem for tokens in words for stem in tokens)
        self._fragments = _bm25([fragments(text) for text in searched])
        self._sets = [frozenset(stem for stem, _ in stems(text)) for text in texts]
        self._documents: dict[str, int] = {}
        for tokens in self._sets:
            for token in tokens:
                self._documents[token] = self._documents.get(token, 0) + 1

    def words(self, query: str, count: int, allowed: NDArray[np.bool_] | None) -> dict[str, float]:
        """Return the BM25 scores over stemmed words of the best `count` records."""
        return self._best(self._words, [stem for stem, _ in stems(query)], count, allowed)

    def fragments(
        self, query: str, count: int, allowed: NDArray[np.bool_] | None
    ) -> dict[str, float]:
        """Return the BM25 scores over word fragments of the best `count` records."""
        return self._best(self._fragments, fragments(query), count, allowed)

    def coverage(self, query: str, ids: Iterable[str]) -> float:
        """Return the share, in [0, 1], of the query's terms that some records use.

        Terms are weighted by inverse document frequency (Robertson and Zaragoza, 2009), so that a
        rare name weighs more than "model". The share of a query without terms is 0.
        """
        wanted = {stem: self._rarity(stem) for stem, _ in stems(query)}
        held = frozenset[str]().union(*(self._sets[self._position[key]] for key in ids))
        total = sum(wanted.values())
        return (
            sum(weight for stem, weight in wanted.items() if stem in held) / total if total else 0.0
        )

    def unknown(self, query: str) -> tuple[int, tuple[str, ...]]:
        """Return how many terms a query has, and those that no record uses, as they are written."""
        wanted: dict[str, str] = {}
        for stem, word in stems(query):
            wanted.setdefault(stem, word)
        return len(wanted), tuple(w for stem, w in wanted.items() if stem not in self._known)

    def _rarity(self, stem: str) -> float:
        count = self._documents.get(stem, 0)
        return float(np.log(1 + (len(self._ids) - count + 0.5) / (count + 0.5)))

    def _best(
        self,
        index: bm25s.BM25 | None,
        tokens: list[str],
        count: int,
        allowed: NDArray[np.bool_] | None,
    ) -> dict[str, float]:
        known = [token for token in tokens if index and token in index.vocab_dict]
        if index is None or not known:
            return {}
        scores = index.get_scores(known)
        if allowed is not None:
            scores = np.where(allowed, scores, 0.0)
        count = min(count, len(scores))
        best = np.argpartition(-scores, count - 1)[:count]
        return {self._ids[place]: float(scores[place]) for place in best if scores[place] > 0}


def _bm25(tokens: list[list[str]]) -> bm25s.BM25 | None:
    # The library sets its logger to DEBUG whenever it is imported.
    logging.getLogger("bm25s").setLevel(logging.WARNING)
    if not any(tokens):
        return None
    index = bm25s.BM25(k1=_K1, b=_B)
    index.index(tokens, show_progress=False)
    return index
