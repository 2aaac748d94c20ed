"""What an encoder sees of cases: points that are told, that two cases share, or that fit any case.

The cosines were measured with the default encoder; another one has others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

import numpy as np

from ingest.case_lint import problem_at, told
from ingest.cases import Case
from ingest.chunking import note_sentences
from ingest.embedding import Vectors
from ingest.errors import Problem
from ingest.notes import Corpus, Note

MEASURED_WITH = "all-MiniLM-L6-v2"

SAME_POINT = 0.92
"""Cosine of two points of different cases above which one repeats the other."""
TOLD = 0.70
"""Cosine of a fact or probe to a point above which it tells the point."""
SAID = 0.50
"""Cosine from which a sentence of an outline comes near a point.

An outline comes near to 84 to 90 % of the points of its own case, and to at most 16 % of those of
another.
"""
GENERIC_MEDIAN, GENERIC_MOST = 0.15, 0.30
"""Shares of a case's points that foreign outlines may come near, in the median and at most."""

TEMPLATE = "framework/an-outline-for-any-case"
"""The note that fits every case: what it has of a case's points is no merit of a design."""


def compared_texts(corpora: Sequence[Corpus]) -> list[str]:
    """Return the texts whose vectors `lint_meanings` needs, each once."""
    template = _template(corpora)
    texts = [*(_sentences(template) if template else ())]
    for case in _our_cases(corpora):
        texts += [line.text for line in told(case)]
        texts += [point.says for point in case.head.points]
        texts += _sentences(case.outline)
    return list(dict.fromkeys(texts))


def lint_meanings(corpora: Sequence[Corpus], vectors: Mapping[str, Vectors]) -> list[Problem]:
    """Return the faults of our cases that only an encoder sees. `vectors`: text to unit vector."""
    cases = _our_cases(corpora)
    template = _template(corpora)
    problems = [problem for case in cases for problem in _told_points(case, vectors)]
    for number, case in enumerate(cases):
        for other in cases[:number]:
            problems += _same_points(case, other, vectors)
        foreign = [other.outline for other in cases if other is not case]
        problems += _generic(case, [*foreign, *([template] if template else [])], vectors)
    return problems


def foreign_shares(
    case: Case, outlines: Sequence[Note], vectors: Mapping[str, Vectors]
) -> dict[str, float]:
    """Return the share of a case's points that each outline comes near to, by the outline's id."""
    says = _stack([point.says for point in case.head.points], vectors)
    shares = {}
    for outline in outlines:
        if sentences := _sentences(outline):
            cosines = _stack(sentences, vectors) @ says.T
            shares[outline.id] = float(np.mean(cosines.max(axis=0) >= SAID))
    return shares


def _our_cases(corpora: Sequence[Corpus]) -> list[Case]:
    return [case for corpus in corpora if not corpus.namespace for case in corpus.cases]


def _template(corpora: Sequence[Corpus]) -> Note | None:
    notes = (note for corpus in corpora if not corpus.namespace for note in corpus.notes)
    return next((note for note in notes if note.id == TEMPLATE), None)


def _sentences(note: Note) -> list[str]:
    found = (sentence for section in note.sections for sentence in note_sentences(note, section))
    return [sentence.text for sentence in found]


def _stack(texts: Sequence[str], vectors: Mapping[str, Vectors]) -> np.ndarray[Any, Any]:
    return np.stack([vectors[text] for text in texts])


def _told_points(case: Case, vectors: Mapping[str, Vectors]) -> Iterator[Problem]:
    points = [point for point in case.head.points if point.made_by == "saying"]
    if not points:
        return
    lines = list(told(case))
    says = _stack([point.says for point in points], vectors)
    cosines = _stack([line.text for line in lines], vectors) @ says.T
    for line, row in zip(lines, cosines, strict=True):
        nearest = int(np.argmax(row))
        if row[nearest] > TOLD:
            message = f"{line.name} tells {points[nearest].id} (similarity {row[nearest]:.2f})"
            yield problem_at(case, line.place, message)


def _same_points(case: Case, other: Case, vectors: Mapping[str, Vectors]) -> Iterator[Problem]:
    mine, theirs = case.head.points, other.head.points
    cosines = _stack([p.says for p in mine], vectors) @ _stack([p.says for p in theirs], vectors).T
    for number, place in np.argwhere(cosines > SAME_POINT):
        message = f"{mine[number].id} says what {theirs[place].id} of {other.id} says"
        yield problem_at(case, ("points", int(number)), message)


def _generic(
    case: Case, outlines: Sequence[Note], vectors: Mapping[str, Vectors]
) -> Iterator[Problem]:
    shares = foreign_shares(case, outlines, vectors)
    if not shares:
        return
    worst = max(shares, key=lambda key: shares[key])
    middle = median(shares.values())
    if middle > GENERIC_MEDIAN or shares[worst] > GENERIC_MOST:
        message = (
            f"the points are too generic: {worst} comes near to {shares[worst]:.0%} of them, "
            f"and half of the foreign outlines to {middle:.0%} or more"
        )
        yield problem_at(case, ("points",), message)
