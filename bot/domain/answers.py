"""An answer: sentences with verbatim citations. The names of fields are those of the JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from bot.domain.evidence import Outcome, Source

Degraded = Literal[
    "timeout", "provider_error", "mostly_unverified", "busy", "budget", "lexical_only"
]


@dataclass(frozen=True, slots=True)
class Citation:
    """Words of a note that support a sentence. `quote` is an exact substring of the note's file.

    `lines` count from 1, inclusive; `support` is in [0, 1], 1 for a sentence that is the quote.
    """

    n: int
    note: str
    title: str
    heading: str
    path: str
    lines: tuple[int, int]
    quote: str
    support: float
    sources: tuple[Source, ...] = ()


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of an answer, with the numbers of its citations."""

    text: str
    citations: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CitedSentence:
    """A sentence as it is streamed: with its citations in full. `paragraph` counts from 0."""

    sentence: Sentence
    citations: tuple[Citation, ...]
    paragraph: int

    def to_dict(self) -> dict[str, Any]:
        """Return the sentence as it is streamed: its text, and its citations in full."""
        citations = [asdict(citation) for citation in self.citations]
        return {"text": self.sentence.text, "citations": citations}


@dataclass(frozen=True, slots=True)
class Timings:
    """Milliseconds from the arrival of the question."""

    retrieve: float = 0.0
    gate: float = 0.0
    first_sentence: float = 0.0
    total: float = 0.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a question got."""

    id: str
    conversation: str
    generation: str
    question: str
    status: Outcome
    answer: str
    sentences: tuple[Sentence, ...]
    citations: tuple[Citation, ...]
    uncovered: str
    suggestions: tuple[str, ...]
    engine: str
    degraded: Degraded | None = None
    timings_ms: Timings = field(default_factory=Timings)

    def to_dict(self) -> dict[str, Any]:
        """Return the answer as plain data, as every frontend sends it."""
        return asdict(self)


def render(sentences: list[CitedSentence]) -> str:
    """Return the Markdown of an answer: paragraphs of sentences with [n] markers."""
    paragraphs: dict[int, list[str]] = {}
    for cited in sentences:
        markers = "".join(f" [{n}]" for n in cited.sentence.citations)
        paragraphs.setdefault(cited.paragraph, []).append(cited.sentence.text + markers)
    return "\n\n".join(" ".join(lines) for lines in paragraphs.values())
