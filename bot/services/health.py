"""Whether the parts that answers need are there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ready", "starting", "failed"]


@dataclass(frozen=True, slots=True)
class Part:
    """One part: its state, and in words what it is, or what mends it."""

    name: str
    state: State
    detail: str


@dataclass(frozen=True, slots=True)
class Readiness:
    """All parts; ready when each is."""

    parts: tuple[Part, ...]

    @property
    def ready(self) -> bool:
        """Tell whether questions can be answered now."""
        return all(part.state == "ready" for part in self.parts)
