"""Stand-ins for what services need of adapters, and evidence made by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from bot.domain.evidence import Evidence, Filters, Hit, Passage, Section, Signals, Source
from bot.retrieval.gate import GATE, probability
from bot.retrieval.retriever import NO_FILTERS
from bot.services.health import Part, Readiness

ANSWERED = Signals(asked=0.9, sentence=0.8, section=0.7, covered=1.0)
PARTIAL = next(
    signals
    for signals in (Signals(n / 100, n / 100, n / 100, n / 100) for n in range(100))
    if GATE.partial_from <= probability(signals) < GATE.answer_from
)
REFUSED = Signals(asked=0.1, sentence=0.1, section=0.1, covered=0.0)


def a_section(key: str = "topics/drift#seeing-it", **changes: object) -> Section:
    note, _, slug = key.partition("#")
    fields = {
        "id": key,
        "note": note,
        "title": note.rpartition("/")[2].capitalize(),
        "heading": slug.replace("-", " "),
        "path": f"corpus/{note}.md",
        "lines": (3, 9),
        "text": "Some text.",
    }
    return Section(**(fields | changes))  # type: ignore[arg-type]


def a_passage(section: Section, number: int, text: str, cosine: float = 0.6) -> Passage:
    source = Source("gama-2014", "A survey", "João Gama", 2014, "https://doi.org/10.1145/2523813")
    return Passage(
        section=section,
        number=number,
        paragraph=0,
        quote=f"{text} [@gama-2014]",
        text=text,
        lines=(number + 4, number + 4),
        cosine=cosine,
        sources=(source,),
    )


def some_evidence(
    question: str,
    sections: Mapping[Section, Sequence[tuple[str, float]]],
    *,
    signals: Signals = ANSWERED,
    scores: Sequence[float] = (),
    cosine: float = 0.5,
    terms: int = 3,
    unknown: tuple[str, ...] = (),
    related: tuple[str, ...] = (),
) -> Evidence:
    """Return evidence with these sentences and cosines a section, best section first.

    `cosine` is that of the sections.
    """
    ranked = list(sections)
    given = [*scores, *(1.0 for _ in ranked[len(scores) :])]
    return Evidence(
        question=question,
        generation="20260131T000000000000-abcdef01",
        hits=tuple(
            Hit(rank, section, score, cosine)
            for rank, (section, score) in enumerate(zip(ranked, given, strict=True), 1)
        ),
        passages=tuple(
            a_passage(section, number, text, cosine)
            for section, sentences in sections.items()
            for number, (text, cosine) in enumerate(sentences)
        ),
        signals=signals,
        terms=terms,
        unknown=unknown,
        related=related,
    )


class FakeSearcher:
    """A `Searcher` that returns the evidence laid down for a question, else nothing."""

    def __init__(self, *found: Evidence) -> None:
        self.found = {evidence.question: evidence for evidence in found}
        self.asked: list[str] = []

    async def search(self, query: str, k: int = 10, filters: Filters = NO_FILTERS) -> list[Hit]:
        return list(self.found[query].hits)[:k] if query in self.found else []

    async def evidence(self, question: str, filters: Filters = NO_FILTERS) -> Evidence:
        self.asked.append(question)
        await asyncio.sleep(0)
        return self.found.get(question) or some_evidence(question, {}, signals=REFUSED)


class FakeHealth:
    """A `Health` that is as it is told, and that becomes ready when somebody waits for it."""

    def __init__(self, state: str = "ready", *, becomes: str | None = None) -> None:
        self.state = state
        self.becomes = becomes
        self.waited: list[float] = []

    def readiness(self) -> Readiness:
        detail = "Build the index: viva ingest" if self.state == "failed" else self.state
        return Readiness((Part("encoder", "ready", "loaded"), Part("index", self.state, detail)))  # type: ignore[arg-type]

    async def until_started(self, timeout_s: float) -> None:
        self.waited.append(timeout_s)
        self.state = self.becomes or self.state


async def until(condition: Callable[[], bool], seconds: float = 5) -> None:
    """Wait until something is so, or the time is up."""
    for _ in range(int(seconds / 0.01)):
        if condition():
            return
        await asyncio.sleep(0.01)


class Clock:
    """A clock that moves a quarter of a second whenever it is read."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        self.now += 0.25
        return self.now
