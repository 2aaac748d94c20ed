"""The shapes on the wire, with examples."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from bot.domain.questions import MAX_QUESTION


class AskRequest(BaseModel):
    """A question."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"question": "How do I detect drift without labels?"}]},
    )

    question: Annotated[str, Field(max_length=4 * MAX_QUESTION)]
    conversation: Annotated[str | None, Field(max_length=64, pattern=r"^[\w-]+$")] = None
    model: Annotated[str, Field(max_length=200)] = "none"


class SourceOut(BaseModel):
    """An external source that the quoted sentence cites."""

    key: str
    title: str
    authors: str
    year: int
    url: str


class CitationOut(BaseModel):
    """Words of a note. `quote` is an exact substring of its file; lines count from 1, inclusive."""

    n: int
    note: str
    title: str
    heading: str
    path: str
    lines: tuple[int, int]
    quote: str
    support: Annotated[float, Field(ge=0, le=1)]
    sources: list[SourceOut]


class SentenceOut(BaseModel):
    """One sentence, with the numbers of its citations."""

    text: str
    citations: list[int]


class TimingsOut(BaseModel):
    """Milliseconds since the question arrived."""

    retrieve: float
    gate: float
    first_sentence: float
    total: float


class AnswerOut(BaseModel):
    """An answer. A refused one has no sentences, and suggests what the notes do answer."""

    id: str
    conversation: str
    generation: str
    question: str
    status: Literal["answered", "partial", "refused"]
    answer: str
    sentences: list[SentenceOut]
    citations: list[CitationOut]
    uncovered: str
    suggestions: list[str]
    engine: str
    degraded: (
        Literal["timeout", "provider_error", "mostly_unverified", "busy", "budget", "lexical_only"]
        | None
    )
    timings_ms: TimingsOut


class SearchResult(BaseModel):
    """A section that was found."""

    rank: int
    note: str
    title: str
    heading: str
    text: str
    score: float
    lines: tuple[int, int]


class NoteSection(BaseModel):
    """Where a section stands in its note. `id` is the anchor of its heading."""

    id: str
    heading: str
    lines: tuple[int, int]


class NoteOut(BaseModel):
    """A note: its head, its sections, and its verbatim Markdown; of a case, its outline alone.

    `first_line` is the line of the file at which `text` begins.
    """

    id: str
    title: str
    kind: str
    phases: list[str]
    level: str
    summary: str
    updated: str | None
    namespace: str
    path: str
    first_line: int
    sections: list[NoteSection]
    sources: list[SourceOut]
    text: str


class PartOut(BaseModel):
    """One part of the service."""

    name: str
    state: Literal["ready", "starting", "failed"]
    detail: str


class ReadinessOut(BaseModel):
    """Whether questions can be answered now."""

    ready: bool
    parts: list[PartOut]


class HealthOut(BaseModel):
    """The process is alive."""

    status: Literal["ok"] = "ok"
    version: str
    instance: str = ""


class Problem(BaseModel):
    """An error, as RFC 9457 describes it; `repair` says what to do."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    repair: str = ""
    errors: list[dict[str, Any]] = Field(default_factory=list)
