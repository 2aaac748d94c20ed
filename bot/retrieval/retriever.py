"""The one entry to the notes: search for sections, and evidence for a question."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bot.domain.evidence import Evidence, Filters, Hit, Passage, Section, Signals, Source, Vector
from bot.domain.ports import QueryEncoder
from bot.errors import NoteNotFoundError
from bot.retrieval.fusion import POOL, FusionWeights, fuse
from bot.retrieval.shelf import Shelf, Volume
from bot.retrieval.threads import to_the_end
from ingest.index import QuestionMatch, SentenceRecord, where_clause
from ingest.notes import plain_text

READ_SECTIONS = 8
"""Sections whose sentences are evidence for an answer."""

COVERING_SECTIONS = 3
"""Best sections in which the question's terms are looked for."""

_ASKED = 40
_RELATED = 8
_NEAR_QUESTION = 0.4
"""Cosine below which a question of the notes has only words in common with the one asked."""

NO_FILTERS = Filters()


@dataclass(frozen=True, slots=True)
class NoteView:
    """A note as it is served: its head and its verbatim Markdown."""

    head: dict[str, Any]
    text: str


@dataclass(frozen=True, slots=True)
class _Ranked:
    hits: list[Hit]
    asked: list[QuestionMatch]
    nearest_section: float


class Retriever:
    """Searches the generation that serves. Chroma and BM25 run in a thread, off the event loop."""

    def __init__(
        self, shelf: Shelf, encoder: QueryEncoder, weights: FusionWeights | None = None
    ) -> None:
        self._shelf = shelf
        self._encoder = encoder
        self._weights = weights or FusionWeights()

    async def search(self, query: str, k: int = 10, filters: Filters = NO_FILTERS) -> list[Hit]:
        """Return at most `k` sections that the filters allow, best first."""
        vector = await self._encoder.encode(query)
        async with self._shelf.volume() as volume:
            ranked = await to_the_end(self._rank, volume, query, vector, filters)
        return ranked.hits[:k]

    async def evidence(self, question: str, filters: Filters = NO_FILTERS) -> Evidence:
        """Return what the notes hold on one question, all from the same generation."""
        vector = await self._encoder.encode(question)
        async with self._shelf.volume() as volume:
            return await to_the_end(self._evidence, volume, question, vector, filters)

    async def note(self, note_id: str) -> NoteView:
        """Return a note. Raises `NoteNotFoundError`."""
        async with self._shelf.volume() as volume:
            found = await to_the_end(volume.index.note, note_id)
        if found is None:
            raise NoteNotFoundError(f"There is no note {note_id!r}.")
        return NoteView(found.head, found.text)

    def _rank(self, volume: Volume, query: str, vector: Vector, filters: Filters) -> _Ranked:
        where = where_clause(
            kind=filters.kinds,
            phases=filters.phases,
            level=filters.levels,
            namespace=filters.namespaces,
        )
        allowed = volume.allowed(filters)
        near = volume.index.nearest_sections(vector, POOL, where)
        asked = volume.index.nearest_questions(vector, _ASKED, where)
        dense = with_questions(near, [(match.section, match.cosine) for match in asked])
        fused = fuse(
            dense,
            volume.lexical.words(query, POOL, allowed),
            volume.lexical.fragments(query, POOL, allowed),
            self._weights,
        )
        hits = [
            Hit(rank, volume.sections[key], score, dense.get(key, 0.0))
            for rank, (key, score) in enumerate(fused, 1)
        ]
        return _Ranked(hits, asked, max(near.values(), default=0.0))

    def _evidence(
        self, volume: Volume, question: str, vector: Vector, filters: Filters
    ) -> Evidence:
        ranked = self._rank(volume, question, vector, filters)
        hits = ranked.hits[:READ_SECTIONS]
        sentences = volume.index.sentences([volume.records[hit.section.id] for hit in hits])
        query = np.asarray(vector, dtype=np.float32)
        passages = tuple(_passage(volume.sections[s.section], s, query) for s in sentences)
        best = [hit.section.id for hit in hits[:COVERING_SECTIONS]]
        terms, unknown = volume.lexical.unknown(question)
        signals = Signals(
            asked=_rounded(max((match.cosine for match in ranked.asked), default=0.0)),
            sentence=_rounded(max((passage.cosine for passage in passages), default=0.0)),
            section=_rounded(ranked.nearest_section),
            covered=_rounded(volume.lexical.coverage(question, best)),
        )
        return Evidence(
            question=question,
            generation=volume.manifest.id,
            hits=tuple(hits),
            passages=passages,
            signals=signals,
            terms=terms,
            unknown=unknown,
            related=_related(ranked.asked) or volume.openers[:_RELATED],
        )


def with_questions(
    sections: dict[str, float], asked: Iterable[tuple[str, float]]
) -> dict[str, float]:
    """Return the dense score of each section, from its cosine and that of its nearest question.

    The score is the mean of the section's cosine and the larger of the two. With the larger alone,
    a question of like wording elsewhere outweighs the text; with the section's alone, a question
    that the notes answer in other words is missed. Outside the pool counts as its lowest cosine.
    """
    lowest = min(sections.values(), default=0.0)
    best = dict(sections)
    for section, cosine in asked:
        best[section] = max(best.get(section, lowest), cosine)
    return {key: (sections.get(key, lowest) + cosine) / 2 for key, cosine in best.items()}


def _passage(section: Section, sentence: SentenceRecord, query: np.ndarray[Any, Any]) -> Passage:
    return Passage(
        section=section,
        number=sentence.number,
        paragraph=sentence.paragraph,
        quote=sentence.quote,
        text=plain_text(sentence.quote),
        lines=sentence.lines,
        cosine=_rounded(float(sentence.vector @ query)),
        sources=tuple(Source(**source) for source in sentence.sources),
    )


def _related(asked: list[QuestionMatch]) -> tuple[str, ...]:
    """Return the near questions, one a section: two of one section ask for the same text."""
    by_section: dict[str, str] = {}
    for match in asked:
        if match.cosine >= _NEAR_QUESTION:
            by_section.setdefault(match.section, match.question)
    return tuple(by_section.values())[:_RELATED]


def _rounded(value: float) -> float:
    """Round to 0.01: batch-mates and processors move a cosine in the third decimal at most."""
    return round(value, 2)
