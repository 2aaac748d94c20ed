"""The extractive answer: the sentences of the notes that answer best, verbatim, in reading order."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from bot.domain.answers import Citation, CitedSentence, Sentence
from bot.domain.evidence import Evidence, Passage, Verdict

ENGINE = "extractive"


@dataclass(frozen=True, slots=True)
class Length:
    """How much is quoted: sentences in all, from how many sections."""

    sentences: int
    sections: int


FULL = Length(sentences=6, sections=3)
SHARED = Length(sentences=4, sections=2)
"""For each of several questions asked at once."""
PARTIAL = Length(sentences=3, sections=2)

# A sentence is as good as its own closeness and its section's; the first sentence of a section
# states what the others explain.
_SECTION_WEIGHT = 0.35
_LEAD_BONUS = 0.06
_LEAST_COSINE = 0.20
_LEAST_SHARE_OF_BEST = 0.55
_SAME_WORDS = 0.6

_LEANS_BACK = re.compile(
    r"(?:It|Its|This|These|Those|They|Their|Such|That|Both|Then|Therefore|Thus|Hence|However|But|So|"
    r"Instead|Otherwise|Conversely|Also|And|Or|Either|Neither|Here|Likewise|Similarly|Only then|"
    r"The (?:second|third|other|latter|former|same|first|reverse|opposite|remedy|fix|rest)|"
    r"(?:A|One|Another) (?:second|third|other|further)|Another|For (?:example|instance)|He|She)\b"
)
_WORD = re.compile(r"\w+")


def compose(verdicts: Sequence[Verdict]) -> Iterator[CitedSentence]:
    """Yield the answer to some questions, sentence by sentence, with numbered citations.

    A refused question contributes nothing. A sentence is quoted once, however many questions it
    answers.
    """
    quoted: set[str] = set()
    number = paragraph = 0
    for verdict in verdicts:
        if verdict.outcome == "refused":
            continue
        length = PARTIAL if verdict.outcome == "partial" else FULL if len(verdicts) == 1 else SHARED
        for section in _by_section(select(verdict.evidence, length)):
            fresh = [passage for passage in section if passage.quote not in quoted]
            for passage in fresh:
                number += 1
                quoted.add(passage.quote)
                yield _cited(passage, number, paragraph)
            paragraph += bool(fresh)


def select(evidence: Evidence, length: Length) -> list[Passage]:
    """Return the sentences that answer a question, grouped by section and in the note's order.

    Sections follow in the order of their best sentence. A sentence that leans on the one before it
    ("It also …") brings that one along, or stays out.
    """
    scores = {hit.section.id: hit.score for hit in evidence.hits}
    by_place = {(p.section.id, p.number): p for p in evidence.passages}
    ranked = sorted(
        evidence.passages,
        key=lambda p: (-_score(p, scores), p.section.id, p.number),
    )
    best = max((passage.cosine for passage in ranked), default=0.0)
    least = max(_LEAST_COSINE, _LEAST_SHARE_OF_BEST * best)
    chosen: list[Passage] = []
    for passage in ranked:
        if passage.cosine < least or passage in chosen:
            continue
        needed = _with_antecedents(passage, by_place, chosen)
        sections = {p.section.id for p in (*chosen, *needed)}
        if len(chosen) + len(needed) > length.sentences or len(sections) > length.sections:
            continue
        if any(_same_words(passage.text, other.text) for other in chosen):
            continue
        chosen += needed
    order = list(dict.fromkeys(passage.section.id for passage in chosen))
    return sorted(chosen, key=lambda p: (order.index(p.section.id), p.number))


def _score(passage: Passage, sections: dict[str, float]) -> float:
    lead = _LEAD_BONUS if passage.number == 0 else 0.0
    return passage.cosine + _SECTION_WEIGHT * sections[passage.section.id] + lead


def _with_antecedents(
    passage: Passage, by_place: dict[tuple[str, int], Passage], chosen: Iterable[Passage]
) -> list[Passage]:
    """Return the sentence with those before it that it leans on, as far as they are not chosen."""
    taken = set(chosen)
    needed = [passage]
    while _LEANS_BACK.match(needed[0].text):
        before = by_place.get((passage.section.id, needed[0].number - 1))
        if before is None or before in taken:
            break
        needed.insert(0, before)
    return needed


def _by_section(passages: Iterable[Passage]) -> Iterable[list[Passage]]:
    groups: dict[str, list[Passage]] = {}
    for passage in passages:
        groups.setdefault(passage.section.id, []).append(passage)
    return groups.values()


def _cited(passage: Passage, number: int, paragraph: int) -> CitedSentence:
    section = passage.section
    citation = Citation(
        n=number,
        note=section.note,
        title=section.title,
        heading=section.heading,
        path=section.path,
        lines=passage.lines,
        quote=passage.quote,
        support=1.0,
        sources=passage.sources,
    )
    return CitedSentence(Sentence(passage.text, (number,)), (citation,), paragraph)


def _same_words(one: str, other: str) -> bool:
    first, second = set(_WORD.findall(one.lower())), set(_WORD.findall(other.lower()))
    return len(first & second) > _SAME_WORDS * min(len(first), len(second))
