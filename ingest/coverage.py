"""What a corpus covers: counts that show an author where it is thin."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from ingest.notes import LEVELS, PHASES, Corpus


@dataclass(frozen=True, slots=True)
class Coverage:
    """Counts over one corpus.

    `notes` by kind; `topics` by phase, a topic of two phases counting in both; `points` of cases by
    phase and then level; `sources` by key, the notes that cite each, the most used first.
    """

    notes: dict[str, int]
    topics: dict[str, int]
    points: dict[str, dict[str, int]]
    sources: dict[str, int]


def coverage(corpus: Corpus) -> Coverage:
    """Return what a corpus covers."""
    points = Counter(
        (point.phase, point.level) for case in corpus.cases for point in case.head.points
    )
    topics = Counter(
        phase for note in corpus.notes if note.meta.kind == "topic" for phase in note.meta.phases
    )
    used = Counter(key for note in corpus.notes for key in set(note.meta.sources))
    return Coverage(
        notes=dict(sorted(Counter(note.meta.kind for note in corpus.notes).items())),
        topics={phase: topics[phase] for phase in PHASES},
        points={phase: {level: points[phase, level] for level in LEVELS} for phase in PHASES},
        sources=dict(sorted(used.items(), key=lambda item: (-item[1], item[0]))),
    )
