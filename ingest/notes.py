"""What a corpus is made of: notes, their sections and the sources they cite."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, HttpUrl, StringConstraints

from ingest.diagrams import without_diagrams
from ingest.errors import Problem

if TYPE_CHECKING:
    from ingest.cases import Case

OWN_NAMESPACE = "viva"
"""The namespace by which filters name the notes that ship with Viva; their ids carry none."""

Phase = Literal["clarify", "frame", "design", "data", "model", "evaluate", "serve", "operate"]
PHASES: tuple[Phase, ...] = get_args(Phase)
"""The phases of an interview, in the order of a clock that nobody hurries."""

Kind = Literal["framework", "topic", "faq", "case"]
Level = Literal["L4", "L5", "L6"]
LEVELS: tuple[Level, ...] = get_args(Level)
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
NoteId = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*(/[a-z0-9]+(-[a-z0-9]+)*)*$")
]
SourceKey = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]

SOURCE_MARKER = re.compile(r"\[@([a-z0-9-]+(?:[ \t]?;[ \t]?@[a-z0-9-]+)*)\]")
"""An inline citation of a source: `[@gama-2014]` or `[@gama-2014; @lu-2018]`."""

_QUOTE_MARK = re.compile(r"^[ \t]{0,3}>[ \t]?", re.MULTILINE)
_SPACE_BEFORE_STOP = re.compile(r" (?=[.,;:!?](?:\s|$))")
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")


class Head(BaseModel):
    """What is told of a note beside its text."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: NoteId
    title: Text
    kind: Kind
    phases: tuple[Phase, ...]
    level: Level
    summary: Text
    sources: tuple[SourceKey, ...] = ()
    updated: date | None = None


class FrontMatter(Head):
    """The head of a note as it is written. That of an outline is taken from its case."""

    kind: Literal["framework", "topic", "faq"]
    updated: date


class Source(BaseModel):
    """A public source that notes cite by its key."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: Text
    authors: Text
    year: int
    venue: Text | None = None
    url: HttpUrl
    kind: Literal["paper", "blog", "docs", "book", "standard", "talk"]
    cited_for: Text


@dataclass(frozen=True, slots=True)
class Section:
    """The text under one heading, without the headings below it.

    `offset` is where `body` begins in the note's text, in characters; `body` is verbatim.
    `first_line` is the heading's line and `last_line` that of the last text, counted from 1.
    """

    headings: tuple[str, ...]
    slug: str
    asks: tuple[str, ...]
    body: str
    offset: int
    first_line: int
    last_line: int

    @property
    def heading(self) -> str:
        """The heading path below the note's title."""
        return " > ".join(self.headings)


@dataclass(frozen=True, slots=True)
class Note:
    """A note as read: its head, its verbatim text and its sections.

    `text` is the whole file; what stands before the character `shown_from` is nobody's to read:
    the points and facts of a case.
    """

    meta: Head
    namespace: str
    path: str
    text: str
    sections: tuple[Section, ...]
    key_lines: dict[str, int]
    line_ends: tuple[int, ...]
    shown_from: int = 0

    @property
    def id(self) -> str:
        """`topics/x`, or `group:topics/x` for a group's own note."""
        return f"{self.namespace}:{self.meta.id}" if self.namespace else self.meta.id

    @property
    def shown_text(self) -> str:
        """The verbatim text that is stored and served."""
        return self.text[self.shown_from :]

    def line_of(self, offset: int) -> int:
        """Return the line, counted from 1, of a character offset into the text."""
        return bisect_right(self.line_ends, offset) + 1


@dataclass(frozen=True, slots=True)
class Corpus:
    """One folder of notes. The namespace is empty for the notes that ship with Viva.

    `notes` holds the outlines of `cases`, too.
    """

    namespace: str
    root: Path
    notes: tuple[Note, ...]
    cases: tuple[Case, ...]
    sources: dict[str, Source]
    source_lines: dict[str, int]
    problems: tuple[Problem, ...]

    @property
    def sources_path(self) -> str:
        """The sources file as shown to people."""
        return f"{self.root.name}/sources.yaml"


def plain_text(markdown: str) -> str:
    """Return a passage as it is read and embedded: one line, no markers, comments or diagrams."""
    prose = _without_comments(without_diagrams(markdown))
    text = SOURCE_MARKER.sub("", _QUOTE_MARK.sub("", prose))
    return _SPACE_BEFORE_STOP.sub("", " ".join(text.split()))


def _without_comments(markdown: str) -> str:
    kept = []
    position = 0
    while (start := markdown.find("<!--", position)) >= 0:
        end = markdown.find("-->", start)
        if end < 0:
            break
        kept.append(markdown[position:start])
        position = end + len("-->")
    return "".join([*kept, markdown[position:]])


def split_lines(text: str) -> list[str]:
    """Return the lines of a text with their ends, divided where Markdown divides them."""
    return _LINE.findall(text)


def cited_keys(markdown: str) -> list[str]:
    """Return the keys of the sources that a passage cites, in order of appearance."""
    keys = (
        key.strip(" @") for found in SOURCE_MARKER.findall(markdown) for key in found.split(";")
    )
    return list(dict.fromkeys(keys))


def sources_of(note: Note, corpus_sources: dict[str, Source]) -> dict[str, dict[str, Any]]:
    """Return the sources that a note declares, as plain data, by key."""
    found = {key: corpus_sources[key] for key in note.meta.sources if key in corpus_sources}
    return {
        key: {
            "key": key,
            "title": source.title,
            "authors": source.authors,
            "year": source.year,
            "url": str(source.url),
        }
        for key, source in found.items()
    }
