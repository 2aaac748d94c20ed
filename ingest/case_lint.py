"""What is checked of a case without an encoder: references, counts, and what it gives away.

That ids, study links and phases are sound, that no probe or fact contains an answer and that cases
do not repeat each other is required of everybody's cases. Counts, and the outline's length and
diagram, are those of the cases that ship with Viva.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import PurePosixPath

import Stemmer

from ingest.cases import Case
from ingest.diagrams import diagrams, faults
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

_WORD = re.compile(r"[^\W_]{4,}")
_FUNCTION_WORDS = frozenset(
    re.findall(
        r"\w+",
        """about after also because been before being between both could does each every from have
        into more most much must only other over same should some such than that their them then
        there these they this those under were what when where which while will with would your""",
    )
)
_SHORT_POINT = 5
_TOLD_SHARE = 0.75
_OWN_WORDS = 6
"""Words from which on a text is somebody's own: "When would you switch?" is everybody's."""

Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """A curated text of a case, with what it is called and its place in the head."""

    name: str
    text: str
    place: Place


def lint_cases(corpora: Sequence[Corpus]) -> Iterator[Problem]:
    """Yield the faults of the cases that can be seen without an encoder."""
    notes = {note.id: note for corpus in corpora for note in corpus.notes}
    for corpus in corpora:
        # A note that cannot be read is one fault, and not another one in each case that studies it.
        files = (PurePosixPath(problem.path) for problem in corpus.problems)
        unread = {str(file.relative_to(corpus.root.name).with_suffix("")) for file in files}
        for case in corpus.cases:
            yield from _repeated_ids(case)
            yield from _missing_phases(case)
            yield from _study(case, notes, unread)
            yield from _given_away(case)
            yield from _outline(case)
            if not corpus.namespace:
                yield from _counts(case)
                yield from _outline_form(case.outline)
    yield from _repeated_texts([case for corpus in corpora for case in corpus.cases])


def problem_at(case: Case, place: Place, message: str) -> Problem:
    """Return a fault of a case, at the line of a place in its head."""
    return Problem(case.outline.path, case.line(*place), message)


def told(case: Case) -> Iterator[Line]:
    """Yield what a candidate hears without having earned it: all but hints."""
    head = case.head
    yield Line("the title", head.title, ("title",))
    yield Line("the opening", head.opening, ("opening",))
    for number, fact in enumerate(head.facts):
        yield Line(f"the fact {fact.id}", fact.says, ("facts", number, "says"))
    for number, point in enumerate(head.points):
        yield Line(f"the probe of {point.id}", point.probe, ("points", number, "probe"))
    for number, dive in enumerate(head.dives):
        for place, probe in enumerate(dive.probes):
            yield Line(f"the dive {dive.id}", probe, ("dives", number, "probes", place))
    for number, variant in enumerate(head.variants):
        yield Line("a variant", variant, ("variants", number))


def _curated(case: Case) -> Iterator[Line]:
    """Yield every text that must be a case's own."""
    yield from told(case)
    for number, point in enumerate(case.head.points):
        yield Line(point.id, point.says, ("points", number, "says"))
        for name, texts in (("any_of", point.any_of), ("hints", point.hints)):
            for place, text in enumerate(texts):
                yield Line(f"{name} of {point.id}", text, ("points", number, name, place))
    for number, mistake in enumerate(case.head.mistakes):
        yield Line(f"the mistake {mistake.id}", mistake.says, ("mistakes", number, "says"))


def _repeated_ids(case: Case) -> Iterator[Problem]:
    for name in ("facts", "points", "mistakes", "dives"):
        seen: set[str] = set()
        for number, part in enumerate(getattr(case.head, name)):
            if part.id in seen:
                message = f"{name}: the id {part.id} stands twice"
                yield problem_at(case, (name, number), message)
            seen.add(part.id)


def _missing_phases(case: Case) -> Iterator[Problem]:
    for phase in PHASES:
        if all(point.phase != phase for point in case.head.points):
            yield problem_at(case, ("points",), f"the phase {phase} has no point")


def _study(case: Case, notes: Mapping[str, Note], unread: Set[str]) -> Iterator[Problem]:
    namespace = case.outline.namespace
    for number, point in enumerate(case.head.points):
        for place, link in enumerate(point.study):
            note_id, _, anchor = link.partition("#")
            own = notes.get(f"{namespace}:{note_id}") if namespace else None
            note = own or notes.get(note_id)
            if note is None and note_id in unread:
                continue
            if note is None or note.meta.kind == "case":
                fault = f"studies {link}, which is not a note"
            elif anchor not in {section.slug for section in note.sections}:
                fault = f"studies {link}: no section is called {anchor}"
            else:
                continue
            yield problem_at(case, ("points", number, "study", place), f"{point.id}: {fault}")


def _given_away(case: Case) -> Iterator[Problem]:
    """Yield the told texts that contain a way to make a point. What is asked for may be told."""
    answers = [
        (point.id, text, _stems(text))
        for point in case.head.points
        if point.made_by == "saying"
        for text in (point.says, *point.any_of)
    ]
    for line in told(case):
        heard = _stems(line.text)
        for point, text, stems in answers:
            share = 1.0 if len(stems) < _SHORT_POINT else _TOLD_SHARE
            contained = len(stems) > 1 and len(stems & heard) >= share * len(stems)
            if contained or f" {_said(text)} " in f" {_said(line.text)} ":
                yield problem_at(case, line.place, f"{line.name} gives away {point}: '{text}'")
                break


def _stems(text: str) -> frozenset[str]:
    words = [word for word in _WORD.findall(text.lower()) if word not in _FUNCTION_WORDS]
    return frozenset(Stemmer.Stemmer("english", 0).stemWords(words))


def _said(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


def _outline(case: Case) -> Iterator[Problem]:
    """Yield the first place in which the headings are not the phases in their order."""
    found = [(section.headings, section.first_line) for section in case.outline.sections]
    for (headings, line), phase in zip(found, PHASES, strict=False):
        if headings != (phase,):
            shown = " > ".join(headings) or "text without a heading"
            yield Problem(case.outline.path, line, f"stands '{shown}' where '## {phase}' belongs")
            return
    if len(found) < len(PHASES):
        missing = f"the outline ends without '## {PHASES[len(found)]}'"
        yield Problem(case.outline.path, found[-1][1], missing)
    elif len(found) > len(PHASES):
        headings, line = found[len(PHASES)]
        yield Problem(case.outline.path, line, f"'{headings[-1]}' is no phase of an outline")


def _repeated_texts(cases: Sequence[Case]) -> Iterator[Problem]:
    """Yield the curated texts that two cases share word for word."""
    first: dict[str, Case] = {}
    for case in cases:
        for line in _curated(case):
            said = _said(line.text)
            other = first.setdefault(said, case)
            if other is not case and len(said.split()) >= _OWN_WORDS:
                message = f"{line.name} stands in the case {other.id} word for word"
                yield problem_at(case, line.place, message)


def _counts(case: Case) -> Iterator[Problem]:
    head = case.head
    counts: list[tuple[str, int, int, int | None]] = [
        ("facts", len(head.facts), FACTS, None),
        ("points", len(head.points), *POINTS),
        ("mistakes", len(head.mistakes), 1, None),
        ("decisions", len(head.decisions), *DECISIONS),
        ("dives", len(head.dives), DIVES, DIVES),
        ("variants", len(head.variants), VARIANTS, None),
    ]
    for name, count, least, most in counts:
        if count < least or (most is not None and count > most):
            wanted = f"{least} to {most}" if most else f"at least {least}"
            wanted = f"exactly {least}" if least == most else wanted
            yield problem_at(case, (name,), f"has {count} {name}; {wanted} belong in a case")
    cruxes = sum(point.weight == 3 for point in head.points)
    if cruxes > CRUXES:
        yield problem_at(case, ("points",), f"has {cruxes} points of weight 3; at most {CRUXES}")
    for number, fact in enumerate(head.facts):
        if len(fact.asks) < FACT_ASKS:
            message = f"the fact {fact.id} needs at least {FACT_ASKS} ways to ask for it"
            yield problem_at(case, ("facts", number), message)


def _outline_form(outline: Note) -> Iterator[Problem]:
    first = outline.sections[0].first_line
    words = sum(len(plain_text(section.body).split()) for section in outline.sections)
    if not OUTLINE_WORDS[0] <= words <= OUTLINE_WORDS[1]:
        least, most = OUTLINE_WORDS
        message = f"has an outline of {words} words, not {least} to {most}"
        yield Problem(outline.path, first, message)
    drawn = diagrams(outline.shown_text)
    if len(drawn) != 1:
        message = f"has {len(drawn)} Mermaid diagrams; an outline has one"
        yield Problem(outline.path, first, message)
    for diagram in drawn:
        fence = outline.line_of(outline.shown_from) + diagram.lines[0]
        for line, message in faults(diagram):
            yield Problem(outline.path, fence + line, message)
