"""Fit the gate: `python -m benchmarks.fit_gate` prints coefficients for `bot/retrieval/gate.py`.

The training data is free. Every question that a note says it answers is a positive once its own
record is taken out of the index, and a negative once its whole note is; questions about other
things are negatives as they are. Folds are notes, so that a note is judged by a model that has not
seen it. Nothing of the public question sets takes part.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict

from bot.domain.evidence import Signals
from bot.retrieval.fusion import POOL, FusionWeights, fuse
from bot.retrieval.retriever import COVERING_SECTIONS, READ_SECTIONS, with_questions
from bot.retrieval.shelf import Volume
from bot.settings import load_settings
from ingest.embedding import open_embedder
from ingest.index import QUESTIONS, SECTIONS, SENTENCES, collection_name
from ingest.pipeline import open_store

SAME_SUBJECT = 0.5
OFF_TOPIC = Path(__file__).parent / "data" / "off_topic.jsonl"


class Memory:
    """All vectors of a generation, so that records can be left out of a search."""

    def __init__(self, volume: Volume, client: object, generation: str) -> None:
        self.volume = volume
        self.sections = list(volume.sections)
        self.section_vectors = self._vectors(client, generation, SECTIONS, self.sections)
        found = self._all(client, generation, QUESTIONS)
        self.asked = [str(document) for document in found["documents"]]
        self.asked_of = [str(meta["section"]) for meta in found["metadatas"]]
        self.asked_vectors = np.asarray(found["embeddings"], dtype=np.float32)
        found = self._all(client, generation, SENTENCES)
        self.sentence_of = np.array([str(meta["section"]) for meta in found["metadatas"]])
        self.sentence_vectors = np.asarray(found["embeddings"], dtype=np.float32)

    @staticmethod
    def _all(client: object, generation: str, name: str) -> dict[str, list[object]]:
        collection = client.get_collection(
            collection_name(generation, name), embedding_function=None
        )
        return collection.get(include=["documents", "metadatas", "embeddings"])

    def _vectors(
        self, client: object, generation: str, name: str, ids: list[str]
    ) -> NDArray[np.float32]:
        found = self._all(client, generation, name)
        place = {key: row for row, key in enumerate(found["ids"])}
        vectors = np.asarray(found["embeddings"], dtype=np.float32)
        return vectors[[place[key] for key in ids]]

    def supporting(self, section: str) -> frozenset[str]:
        """Return the sections that may answer what a section answers: its note's, and the like."""
        note = self.volume.sections[section].note
        cosines = self.section_vectors @ self.section_vectors[self.sections.index(section)]
        return frozenset(
            key
            for key, cosine in zip(self.sections, cosines, strict=True)
            if cosine >= SAME_SUBJECT or self.volume.sections[key].note == note
        )

    def signals(
        self,
        question: str,
        vector: NDArray[np.float32],
        without_asked: int = -1,
        without: frozenset[str] = frozenset(),
    ) -> Signals:
        """Return the gate's signals as the retriever computes them, with some records left out."""
        allowed = np.array([key not in without for key in self.sections])
        cosines = self.section_vectors @ vector
        dense = {
            key: float(c) for key, c, ok in zip(self.sections, cosines, allowed, strict=True) if ok
        }
        nearest = max(dense.values())
        asked = self.asked_vectors @ vector
        kept = [
            (section, float(asked[row]))
            for row, section in enumerate(self.asked_of)
            if row != without_asked and section not in without
        ]
        best_asked = max(cosine for _, cosine in kept)
        dense = with_questions(dense, kept)
        lexical = self.volume.lexical
        ranked = fuse(
            dense,
            lexical.words(question, POOL, allowed),
            lexical.fragments(question, POOL, allowed),
            FusionWeights(),
        )
        read = [key for key, _ in ranked[:READ_SECTIONS]]
        sentences = self.sentence_vectors[np.isin(self.sentence_of, read)] @ vector
        covered = lexical.coverage(question, read[:COVERING_SECTIONS])
        return Signals(best_asked, float(sentences.max()), nearest, covered)


def main() -> None:
    """Fit, judge by cross-validation, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    print(json.dumps(fit(), indent=1) if arguments.json else _table(fit()))


def fit() -> dict[str, object]:
    """Return coefficients and their cross-validated quality."""
    settings = load_settings()
    embedder = open_embedder(settings.embedding_model, settings.cache_dir)
    store = open_store(settings.index_dir, settings.chroma_url)
    opened = store.open(str(store.current()))
    try:
        volume = Volume(opened)
        memory = Memory(volume, opened.client, opened.manifest.id)
        rows, labels, groups = _examples(memory, embedder)
    finally:
        opened.close()
    model = LogisticRegression(C=10.0, class_weight="balanced", max_iter=1000)
    judged = cross_val_predict(
        model, rows, labels, groups=groups, cv=GroupKFold(8), method="predict_proba"
    )[:, 1]
    model.fit(rows, labels)
    names = list(asdict(Signals(0, 0, 0, 0)))
    return {
        "examples": len(labels),
        "positive": int(labels.sum()),
        "intercept": round(float(model.intercept_[0]), 2),
        **{name: round(float(c), 2) for name, c in zip(names, model.coef_[0], strict=True)},
        "auc": round(float(roc_auc_score(labels, judged)), 3),
        "brier": round(float(brier_score_loss(labels, judged)), 3),
        "thresholds": _thresholds(judged, labels, groups),
    }


def _examples(
    memory: Memory, embedder: object
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    rows, labels, groups = [], [], []
    notes = sorted({section.note for section in memory.volume.sections.values()})
    for row, question in enumerate(memory.asked):
        vector, section = memory.asked_vectors[row], memory.asked_of[row]
        note = memory.volume.sections[section].note
        supporting = memory.supporting(section)
        for label, left_out in ((1, {"without_asked": row}), (0, {"without": supporting}), (1, {})):
            rows.append(_features(memory.signals(question, vector, **left_out)))
            labels.append(label)
            groups.append(notes.index(note))
    off = [json.loads(line)["question"] for line in OFF_TOPIC.read_text().splitlines()]
    for number, (question, vector) in enumerate(zip(off, embedder.encode(off), strict=True)):
        rows.append(_features(memory.signals(question, vector)))
        labels.append(0)
        groups.append(1000 + number)
    return np.array(rows), np.array(labels), np.array(groups)


def _features(signals: Signals) -> list[float]:
    return [signals.asked, signals.sentence, signals.section, signals.covered]


def _thresholds(
    judged: NDArray[np.float64], labels: NDArray[np.int64], groups: NDArray[np.int64]
) -> list[dict[str, float]]:
    off = groups >= 1000
    removed = (labels == 0) & ~off
    return [
        {
            "from": float(t),
            "kept": round(float((judged[labels == 1] >= t).mean()), 3),
            "removed_note_passed": round(float((judged[removed] >= t).mean()), 3),
            "off_topic_passed": round(float((judged[off] >= t).mean()), 3),
        }
        for t in np.arange(0.05, 0.95, 0.05).round(2)
    ]


def _table(result: dict[str, object]) -> str:
    lines = [f"{key:14} {value}" for key, value in result.items() if key != "thresholds"]
    for row in result["thresholds"]:
        lines.append("  ".join(f"{key} {value:.3f}" for key, value in row.items()))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
