"""What retrieval found: sections, their sentences, and the signals by which the gate decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Vector = Sequence[float]
"""A unit vector of the encoder's space."""

Kind = Literal["framework", "topic", "faq", "case"]
Level = Literal["L4", "L5", "L6"]
Phase = Literal["clarify", "frame", "design", "data", "model", "evaluate", "serve", "operate"]


@dataclass(frozen=True, slots=True)
class Filters:
    """Which sections may be found. An empty set allows all; `viva` names our own namespace."""

    kinds: frozenset[str] = frozenset()
    phases: frozenset[str] = frozenset()
    levels: frozenset[str] = frozenset()
    namespaces: frozenset[str] = frozenset()

    def allow(self, section: Section) -> bool:
        """Tell whether a section may be found."""
        return (
            (not self.kinds or section.kind in self.kinds)
            and (not self.phases or not self.phases.isdisjoint(section.phases))
            and (not self.levels or section.level in self.levels)
            and (not self.namespaces or section.namespace in self.namespaces)
        )


@dataclass(frozen=True, slots=True)
class Source:
    """An external source that a note cites."""

    key: str
    title: str
    authors: str
    year: int
    url: str


@dataclass(frozen=True, slots=True)
class Section:
    """A section of a note, or a part of one. `text` reads without markers; lines count from 1."""

    id: str
    note: str
    title: str
    heading: str
    path: str
    lines: tuple[int, int]
    text: str
    kind: str = "topic"
    level: str = "L4"
    phases: tuple[str, ...] = ()
    namespace: str = "viva"

    @property
    def whole(self) -> str:
        """The id of the section of which this is a part: a long one is cut into `id`, `id~2`, …"""
        return self.id.partition("~")[0]


@dataclass(frozen=True, slots=True)
class Passage:
    """One sentence of a section. `quote` is verbatim, `text` is how it reads.

    `cosine` is that to the question; `paragraph` and `number`, counted from 0, say where it stands
    in its section.
    """

    section: Section
    number: int
    paragraph: int
    quote: str
    text: str
    lines: tuple[int, int]
    cosine: float
    sources: tuple[Source, ...] = ()


@dataclass(frozen=True, slots=True)
class Hit:
    """A section that was found, with its fused score in [0, 1] and its best cosine."""

    rank: int
    section: Section
    score: float
    cosine: float

    def to_dict(self) -> dict[str, Any]:
        """Return the hit as plain data, as every frontend sends it."""
        section = self.section
        return {
            "rank": self.rank,
            "note": section.note,
            "title": section.title,
            "heading": section.heading,
            "text": section.text,
            "score": self.score,
            "lines": list(section.lines),
        }


@dataclass(frozen=True, slots=True)
class Signals:
    """What the gate looks at. Cosines in [-1, 1] and shares in [0, 1], rounded to 0.01.

    `asked`: nearest question that the notes say they answer; `sentence`, `section`: nearest of
    each; `covered`: share, weighted by rarity, of the question's terms that the best sections use.
    """

    asked: float
    sentence: float
    section: float
    covered: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the notes hold on one question, best first.

    `terms` is how many words of the question carry meaning; `unknown` are those that no note uses;
    `related` are questions that the notes answer, nearest first.
    """

    question: str
    generation: str
    hits: tuple[Hit, ...]
    passages: tuple[Passage, ...]
    signals: Signals
    terms: int = 0
    unknown: tuple[str, ...] = ()
    related: tuple[str, ...] = ()


Outcome = Literal["answered", "partial", "refused"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The gate's decision on one question: what to do, and how probable it is that notes answer."""

    outcome: Outcome
    probability: float
    evidence: Evidence = field(repr=False)
