"""What is checked of a case: its references, its counts, and that it gives nothing away.

That ids, study links and phases are sound, that no probe or fact contains an answer and that cases
do not repeat each other is required of everybody's cases. Counts, the outline's length and how far
a case's points are its own are those of the cases that ship with Viva.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import Stemmer

from ingest.cases import Case
from ingest.chunking import note_sentences
from ingest.embedding import Vectors
from ingest.errors import Problem
from ingest.notes import PHASES, Corpus, Note, plain_text

FACTS = 15
FACT_ASKS = 3
POINTS = (24, 32)
CRUXES = 8
DECISIONS = (6, 10)
DIVES = 2
VARIANTS = 2
OUTLINE_WORDS = (900, 1_500)

SAME_POINT = 0.92
"""Cosine of two points of different cases above which one repeats the other."""
TOLD = 0.70
"""Cosine of a fact or probe to a point from which on it tells the point."""
SAID = 0.50
"""Cosine from which a sentence of an outline comes near a point.

Under the default encoder an outline comes near to 84 to 90 % of the points of its own case, and to
at most 16 % of those of another.
"""
GENERIC_MEDIAN, GENERIC_MOST = 0.25, 0.40
"""Shares of a case's points that foreign outlines may have, in the median and at most."""

TEMPLATE = "framework/an-outline-for-any-case"
"""The note that fits every case: what it has of a case's points is no merit of a design."""

_WORD = re.compile(r"[a-z0-9]{4,}")
_FUNCTION_WORDS = frozenset(
    re.findall(
        r"\w+",
        """about after also because been before being between both could does each every from have
        into more most much must only other over same should some such than that their them then
        there these they this those under were what when where which while will with would your""",
    )
)
_FEWEST_STEMS = 2
_TOLD_SHARE = 0.75

_DIAGRAM = re.compile(r"^```mermaid[ \t]*\n(.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)
_NODE = r"""\w+(?:\[\(?"[^"]+"\)?\]|\(\[?"[^"]+"\]?\)|\{"[^"]+"\}|\[[\w ,.'/-]+\])?"""
_ARROW = r"""(?:-->|-\.->|==>)(?:\|[^|"\n]+\||\|"[^"\n]+"\|)?"""
_DIAGRAM_LINE = re.compile(
    rf"""(?:flowchart[ ](?:LR|TD|TB)|subgraph[ ]\w+(?:\["[^"]+"\])?|end|direction[ ](?:LR|TD|TB)"""
    rf"""|{_NODE}(?:\s*&\s*{_NODE})*(?:\s*{_ARROW}\s*{_NODE}(?:\s*&\s*{_NODE})*)*)"""
)


@dataclass(frozen=True, slots=True)
class _Line:
    """A text of a case that a candidate is told, or must say, with its place in the head."""

    text: str
    place: tuple[str | int, ...]

    @property
    def shown(self) -> str:
        return " ".join(str(part) for part in self.place)


def lint_cases(corpora: Sequence[Corpus]) -> Iterator[Problem]:
    """Yield the faults that can be seen without an encoder."""
    notes = {note.id: note for corpus in corpora for note in corpus.notes}
    for corpus in corpora:
        for case in corpus.cases:
            yield from _repeated_ids(case)
            yield from _missing_phases(case)
            yield from _study(case, notes)
            yield from _given_away(case)
            yield from _outline(case)
            if not corpus.namespace:
                yield from _editorial(case)
    yield from _repeated_texts([case for corpus in corpora for case in corpus.cases])


def _at(case: Case, place: Sequence[str | int], message: str) -> Problem:
    return Problem(case.outline.path, case.line(*place), message)


def _repeated_ids(case: Case) -> Iterator[Problem]:
    for name in ("facts", "points", "mistakes", "dives"):
        seen: set[str] = set()
        for number, part in enumerate(getattr(case.head, name)):
            if part.id in seen:
                yield _at(case, (name, number), f"{name}: the id {part.id} stands twice")
            seen.add(part.id)


def _missing_phases(case: Case) -> Iterator[Problem]:
    for phase in PHASES:
        if all(point.phase != phase for point in case.head.points):
            yield _at(case, ("points",), f"the phase {phase} has no point")


def _study(case: Case, notes: dict[str, Note]) -> Iterator[Problem]:
    for number, point in enumerate(case.head.points):
        for place, link in enumerate(point.study):
            note_id, _, anchor = link.partition("#")
            own = f"{case.outline.namespace}:{note_id}"
            note = notes.get(own) or notes.get(note_id)
            if note is None or note.meta.kind == "case":
                fault = f"studies {link}, which is not a note"
            elif anchor not in {section.slug for section in note.sections}:
                fault = f"studies {link}: no section is called {anchor}"
            else:
                continue
            yield _at(case, ("points", number, "study", place), f"{point.id}: {fault}")


def _told(case: Case) -> Iterator[_Line]:
    """Yield what a candidate hears without having earned it: all but hints."""
    yield _Line(case.head.opening, ("opening",))
    for number, fact in enumerate(case.head.facts):
        yield _Line(fact.says, ("facts", number, "says"))
    for number, point in enumerate(case.head.points):
        yield _Line(point.probe, ("points", number, "probe"))
    for number, dive in enumerate(case.head.dives):
        for place, probe in enumerate(dive.probes):
            yield _Line(probe, ("dives", number, "probes", place))


def _answers(case: Case) -> Iterator[tuple[str, str]]:
    """Yield the points' ids with each way to make them. What is asked for may be told."""
    for point in case.head.points:
        if point.made_by == "saying":
            for text in (point.says, *point.any_of):
                yield point.id, text


def _given_away(case: Case) -> Iterator[Problem]:
    answers = [(point, text, _stems(text)) for point, text in _answers(case)]
    for line in _told(case):
        heard = _stems(line.text)
        for point, text, stems in answers:
            enough = len(stems) if len(stems) < 5 else _TOLD_SHARE * len(stems)
            if len(stems) >= _FEWEST_STEMS and len(stems & heard) >= enough:
                yield _at(case, line.place, f"{line.shown} gives away {point}: '{text}'")
                break


def _stems(text: str) -> frozenset[str]:
    words = [word for word in _WORD.findall(text.lower()) if word not in _FUNCTION_WORDS]
    return frozenset(Stemmer.Stemmer("english", 0).stemWords(words))


def _outline(case: Case) -> Iterator[Problem]:
    found = tuple(section.heading for section in case.outline.sections)
    if found != PHASES:
        line = case.outline.sections[0].first_line
        order = ", ".join(PHASES)
        yield Problem(case.outline.path, line, f"the outline has one heading a phase: {order}")


def _repeated_texts(cases: Sequence[Case]) -> Iterator[Problem]:
    """Yield the curated texts that two cases share word for word."""
    first: dict[str, Case] = {}
    for case in cases:
        for line in (*_told(case), *_required(case)):
            said = " ".join(re.findall(r"\w+", line.text.lower()))
            other = first.setdefault(said, case)
            if other is not case and len(said.split()) > 2:
                message = f"{line.shown} stands in the case {other.id} word for word"
                yield _at(case, line.place, message)


def _required(case: Case) -> Iterator[_Line]:
    for number, point in enumerate(case.head.points):
        yield _Line(point.says, ("points", number, "says"))
        for name in ("any_of", "hints"):
            for place, text in enumerate(getattr(point, name)):
                yield _Line(text, ("points", number, name, place))


def _editorial(case: Case) -> Iterator[Problem]:
    head = case.head
    counts: list[tuple[str, int, tuple[int, int | None]]] = [
        ("facts", len(head.facts), (FACTS, None)),
        ("points", len(head.points), POINTS),
        ("mistakes", len(head.mistakes), (1, None)),
        ("decisions", len(head.decisions), DECISIONS),
        ("dives", len(head.dives), (DIVES, DIVES)),
        ("variants", len(head.variants), (VARIANTS, None)),
    ]
    for name, count, (least, most) in counts:
        if count < least or (most is not None and count > most):
            wanted = f"at least {least}" if most is None else f"{least} to {most}"
            yield _at(case, (name,), f"has {count} {name}; {wanted} are a case")
    cruxes = sum(point.weight == 3 for point in head.points)
    if cruxes > CRUXES:
        yield _at(case, ("points",), f"has {cruxes} points of weight 3; at most {CRUXES}")
    for number, fact in enumerate(head.facts):
        if len(fact.asks) < FACT_ASKS:
            message = f"the fact {fact.id} needs at least {FACT_ASKS} ways to ask for it"
            yield _at(case, ("facts", number), message)
    yield from _outline_form(case.outline)


def _outline_form(outline: Note) -> Iterator[Problem]:
    line = outline.sections[0].first_line
    words = sum(len(plain_text(section.body).split()) for section in outline.sections)
    if not OUTLINE_WORDS[0] <= words <= OUTLINE_WORDS[1]:
        least, most = OUTLINE_WORDS
        yield Problem(outline.path, line, f"has an outline of {words} words, not {least} to {most}")
    diagrams = list(_DIAGRAM.finditer(outline.shown_text))
    if len(diagrams) != 1:
        yield Problem(
            outline.path, line, f"has {len(diagrams)} Mermaid diagrams; one is an outline"
        )
    for diagram in diagrams:
        first = outline.line_of(outline.shown_from + diagram.start(1))
        drawn = diagram.group(1).splitlines()
        if not drawn or not drawn[0].startswith("flowchart "):
            yield Problem(outline.path, first, "a diagram begins with 'flowchart LR' or 'TD'")
        for number, text in enumerate(drawn):
            if text.strip() and not _DIAGRAM_LINE.fullmatch(text.strip()):
                message = f"'{text.strip()}' is not Mermaid that every page draws"
                yield Problem(outline.path, first + number, message)


def compared_texts(corpora: Sequence[Corpus]) -> list[str]:
    """Return the texts whose vectors `lint_meanings` needs."""
    texts = [
        text
        for corpus in _ours(corpora)
        for case in corpus.cases
        for text in (
            *(line.text for line in _told(case)),
            *(point.says for point in case.head.points),
            *_said(case.outline),
        )
    ]
    template = _template(corpora)
    return [*texts, *(_said(template) if template else ())]


def lint_meanings(corpora: Sequence[Corpus], vectors: dict[str, Vectors]) -> list[Problem]:
    """Return the faults that only an encoder sees. `vectors`: text to unit vector."""
    cases = [case for corpus in _ours(corpora) for case in corpus.cases]
    problems = [problem for case in cases for problem in _told_points(case, vectors)]
    for number, case in enumerate(cases):
        for other in cases[:number]:
            problems += _same_points(case, other, vectors)
    template = _template(corpora)
    for case in cases:
        foreign = [other.outline for other in cases if other is not case]
        problems += _generic(case, [*foreign, *([template] if template else [])], vectors)
    return problems


def _ours(corpora: Sequence[Corpus]) -> list[Corpus]:
    return [corpus for corpus in corpora if not corpus.namespace]


def _template(corpora: Sequence[Corpus]) -> Note | None:
    notes = (note for corpus in _ours(corpora) for note in corpus.notes)
    return next((note for note in notes if note.id == TEMPLATE), None)


def _said(note: Note) -> list[str]:
    sentences = (found for section in note.sections for found in note_sentences(note, section))
    return [sentence.text for sentence in sentences]


def _stack(texts: Sequence[str], vectors: dict[str, Vectors]) -> np.ndarray[Any, Any]:
    return np.stack([vectors[text] for text in texts])


def _told_points(case: Case, vectors: dict[str, Vectors]) -> Iterator[Problem]:
    points = [point for point in case.head.points if point.made_by == "saying"]
    if not points:
        return
    lines = list(_told(case))
    says = _stack([point.says for point in points], vectors)
    cosines = _stack([line.text for line in lines], vectors) @ says.T
    for line, row in zip(lines, cosines, strict=True):
        nearest = int(np.argmax(row))
        if row[nearest] > TOLD:
            message = f"{line.shown} tells {points[nearest].id} (similarity {row[nearest]:.2f})"
            yield _at(case, line.place, message)


def _same_points(case: Case, other: Case, vectors: dict[str, Vectors]) -> Iterator[Problem]:
    mine, theirs = case.head.points, other.head.points
    cosines = _stack([p.says for p in mine], vectors) @ _stack([p.says for p in theirs], vectors).T
    for number, place in np.argwhere(cosines > SAME_POINT):
        message = f"{mine[number].id} says what {theirs[place].id} of {other.id} says"
        yield _at(case, ("points", int(number)), message)


def foreign_shares(
    case: Case, outlines: Sequence[Note], vectors: dict[str, Vectors]
) -> dict[str, float]:
    """Return the share of a case's points that each foreign outline comes near to, by its id."""
    says = _stack([point.says for point in case.head.points], vectors)
    return {
        outline.id: float(np.mean((_stack(_said(outline), vectors) @ says.T).max(axis=0) >= SAID))
        for outline in outlines
    }


def _generic(
    case: Case, outlines: Sequence[Note], vectors: dict[str, Vectors]
) -> Iterator[Problem]:
    shares = foreign_shares(case, outlines, vectors)
    if not shares:
        return
    worst = max(shares, key=lambda key: shares[key])
    if median(shares.values()) > GENERIC_MEDIAN or shares[worst] > GENERIC_MOST:
        message = (
            f"the points are too generic: {worst} has {shares[worst]:.0%} of them, "
            f"and half of the foreign outlines {median(shares.values()):.0%} or more"
        )
        yield _at(case, ("points",), message)
