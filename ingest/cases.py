"""An interview case: what its file holds beside the outline, which is a note like others."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from ingest.notes import PHASES, Head, Level, Note, Phase, SourceKey, Text
from ingest.strict_yaml import nearest_line

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
Texts = Annotated[tuple[Text, ...], Field(min_length=1)]
StudyLink = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+(/[a-z0-9-]+)*#\S+$")]
"""A section of a note, the group's own or ours: `topics/leakage#time-travel`."""

CaseKind = Literal[
    "recommendation",
    "search",
    "ads",
    "trust",
    "marketplace",
    "forecasting",
    "perception",
    "language",
    "generative",
    "platform",
]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Fact(_Part):
    """What a clarifying question may learn, with several ways to ask for it."""

    id: Slug
    asks: Texts
    says: Text


class Point(_Part):
    """A property that a good design has. Its absence costs from `level` on.

    `any_of` are sound ways to have it; `near` is correct and another point.
    """

    id: Slug
    aspect: Text
    phase: Phase
    dimension: Literal["tradeoffs", "communication"] | None = None
    made_by: Literal["saying", "asking"] = "saying"
    level: Level
    weight: Annotated[int, Field(strict=True, ge=1, le=3)]
    says: Text
    any_of: Texts
    near: tuple[Text, ...] = ()
    probe: Text
    hints: tuple[Text, Text, Text]
    study: Annotated[tuple[StudyLink, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _asks_in_clarify_only(self) -> Self:
        if self.made_by == "asking" and self.phase != "clarify":
            raise ValueError("made_by: asking belongs in the phase clarify")
        return self


class Mistake(_Part):
    """What a design must not say; `accept` are other words for it."""

    id: Slug
    phase: Phase
    severity: Annotated[int, Field(strict=True, ge=1, le=3)]
    says: Text
    accept: Texts


class Decision(_Part):
    """A choice by which trade-offs are judged."""

    question: Text
    options: Annotated[tuple[Text, ...], Field(min_length=2)]
    criteria: Texts


class Dive(_Part):
    """Four probes in a row, down into one crux."""

    id: Slug
    level: Level
    probes: tuple[Text, Text, Text, Text]


class CaseHead(_Part):
    """The front matter of a case."""

    id: Slug
    title: Text
    kind: CaseKind
    opening: Text
    levels: Annotated[tuple[Level, ...], Field(min_length=1)]
    sources: tuple[SourceKey, ...] = ()
    facts: Annotated[tuple[Fact, ...], Field(min_length=1)]
    points: Annotated[tuple[Point, ...], Field(min_length=1)]
    mistakes: tuple[Mistake, ...] = ()
    decisions: tuple[Decision, ...] = ()
    dives: tuple[Dive, ...] = ()
    variants: tuple[Text, ...] = ()
    updated: date | None = None

    def outline_head(self) -> Head:
        """Return the head under which the outline is a note."""
        return Head(
            id=f"cases/{self.id}",
            title=self.title,
            kind="case",
            phases=PHASES,
            level=min(self.levels),
            summary=self.opening,
            sources=self.sources,
            updated=self.updated,
        )


@dataclass(frozen=True, slots=True)
class Case:
    """A case as read. What `head` says beside its outline is for the interview alone."""

    head: CaseHead
    outline: Note

    @property
    def id(self) -> str:
        """`fraud-detection`, or `group:fraud-detection` for a group's own case."""
        namespace = self.outline.namespace
        return f"{namespace}:{self.head.id}" if namespace else self.head.id

    def line(self, *place: str | int) -> int:
        """Return the line of a part of the head, such as `("points", 3, "probe")`."""
        return nearest_line(self.outline.key_lines, place)
