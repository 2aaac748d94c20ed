"""The extractive answer: the sentences of the notes that answer best, in reading order."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from bot.domain.answers import Citation, CitedSentence, Sentence
from bot.domain.evidence import Evidence, Passage, Verdict

ENGINE = "extractive"


@dataclass(frozen=True, slots=True)
class Length:
    """How many sentences are quoted at most of the best section, the second, and so on."""

    by_section: tuple[int, ...]


FULL = Length((6, 2, 1))
SHARED = Length((3, 1))
"""For each of several questions asked at once."""
PARTIAL = Length((2, 1))

# The first sentence of a section states what the others explain.
_LEAD_BONUS = 0.1
# A sentence outside the best section must come near the best one found.
_LEAST_COSINE = 0.25
_LEAST_SHARE_OF_BEST = 0.75
# Dense score from which a section is about the question as a whole.
_STRONG_MATCH = 0.55
# A section must rank near the best one to be quoted beside it.
_LEAST_SECTION_SCORE = 0.6
_SAME_WORDS = 0.6

_LEANS_BACK = re.compile(
    r"(?:It|Its|This|These|Those|They|Their|Such|That|Both|Then|Therefore|Thus|Hence|However|But|So|"
    r"Instead|Otherwise|Conversely|Also|And|Or|Either|Neither|Here|Likewise|Similarly|Only then|"
    r"The (?:second|third|other|latter|former|same|first|reverse|opposite|remedy|fix|rest)|"
    r"(?:A|One|Another) (?:second|third|other|further)|Another|For (?:example|instance)|He|She)\b"
)
_CONCLUDES = re.compile(
    r"^(?:Under|With|At|In|By|For|On) (?:such|that|this|these|those)\b|\b(?:therefore|thus|hence)\b"
)
_ASSUMES = re.compile(r"\b(?:Suppose|suppose|Assume|Imagine)\b")
_FIGURE = re.compile(r"(?<![\w@.-])\d")
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
            fresh = _unsaid(section, quoted)
            for passage in fresh:
                number += 1
                quoted.add(passage.quote)
                yield _cited(passage, number, paragraph)
            paragraph += bool(fresh)


def supported(verdict: Verdict) -> Verdict:
    """Return the verdict, refused when no sentence is there to be quoted for it."""
    if verdict.outcome != "refused" and not select(verdict.evidence, PARTIAL):
        return replace(verdict, outcome="refused")
    return verdict


def select(evidence: Evidence, length: Length) -> list[Passage]:
    """Return the sentences that answer a question, section by section, in the note's order.

    The best section answers; others add a sentence where they come as near to the question. A
    sentence that leans on the one before it ("It also …") brings that one along, or stays out.
    """
    best = max((passage.cosine for passage in evidence.passages), default=0.0)
    near = max(_LEAST_COSINE, _LEAST_SHARE_OF_BEST * best)
    chosen: list[Passage] = []
    quotas = iter(length.by_section)
    quota = next(quotas, 0)
    for hit in evidence.hits:
        if chosen and hit.score < _LEAST_SECTION_SCORE:
            break
        sentences = [p for p in evidence.passages if p.section.id == hit.section.id]
        # A section that is about the question answers it, also in other words than the question's.
        about = hit.cosine >= _STRONG_MATCH
        least = near if chosen else 0.0 if about else _LEAST_COSINE
        if picked := _pick(sentences, quota, least, chosen):
            chosen += picked
            quota = next(quotas, 0)
            if not quota:
                break
    return chosen


def _pick(
    sentences: Sequence[Passage], quota: int, least: float, chosen: Sequence[Passage]
) -> list[Passage]:
    """Return at most `quota` sentences of one section, nearest to the question, in its order."""
    picked: set[int] = set()
    by_number = {passage.number: passage for passage in sentences}
    for passage in sorted(sentences, key=lambda p: (-_score(p), p.number)):
        if passage.cosine < least or passage.number in picked:
            continue
        needed = _with_antecedents(passage, by_number)
        if needed is None:
            continue
        added = [p for p in needed if p.number not in picked]
        known = [*chosen, *(by_number[number] for number in picked)]
        if len(picked) + len(added) > quota or any(_repeats(p, known) for p in added):
            continue
        picked |= {p.number for p in added}
    return [by_number[number] for number in sorted(picked)]


def _score(passage: Passage) -> float:
    return passage.cosine + (_LEAD_BONUS if passage.number == 0 else 0.0)


def _with_antecedents(passage: Passage, by_number: dict[int, Passage]) -> list[Passage] | None:
    """Return the sentence, and before it those that it leans on; None if one is not there."""
    first = passage.number
    while leans(by_number[first].text):
        first -= 1
        if first not in by_number:
            return None
    first = min(first, _assumption(passage, by_number))
    chain = range(first, passage.number + 1)
    return [by_number[number] for number in chain] if all(n in by_number for n in chain) else None


def leans(text: str) -> bool:
    """Tell whether a sentence needs the one before it to be understood."""
    return bool(_LEANS_BACK.match(text) or _CONCLUDES.search(text))


def _worked_out(passage: Passage) -> bool:
    """Tell whether a sentence may rest on an assumption before it: a figure without a source."""
    cited = "[@" in passage.quote
    return bool(_FIGURE.search(passage.text)) and not cited and not _ASSUMES.search(passage.text)


def _assumption(passage: Passage, by_number: dict[int, Passage]) -> int:
    """Return the number of the sentence whose assumption an uncited figure was worked out from."""
    if not _worked_out(passage):
        return passage.number
    assuming = (
        number
        for number, other in by_number.items()
        if number < passage.number
        and other.paragraph == passage.paragraph
        and _ASSUMES.search(other.text)
    )
    return max(assuming, default=passage.number)


def _unsaid(section: Iterable[Passage], quoted: Container[str]) -> list[Passage]:
    """Return what was not quoted before, without what leans on a sentence that now stands apart."""
    fresh: list[Passage] = []
    parted = False
    for passage in section:
        if passage.quote in quoted:
            parted = True
            continue
        follows = bool(fresh) and fresh[-1].number == passage.number - 1
        if follows or not (leans(passage.text) or (parted and _worked_out(passage))):
            fresh.append(passage)
    return fresh


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


def _repeats(passage: Passage, others: Iterable[Passage]) -> bool:
    """Tell whether a sentence has most of its words in common with one of the others."""
    words = set(_WORD.findall(passage.text.lower()))
    shared = (words & set(_WORD.findall(other.text.lower())) for other in others)
    return any(len(common) > _SAME_WORDS * len(words) for common in shared)
