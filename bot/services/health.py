"""Whether the parts that answers need are there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from bot.errors import NotReadyError

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


class Health(Protocol):
    """Tells how the parts are. Implemented by the wiring and by tests' fakes."""

    def readiness(self) -> Readiness:
        """Return the state of every part."""
        ...

    async def until_started(self, timeout_s: float) -> None:
        """Wait until starting has ended, well or not, or the time is up."""
        ...


async def require_ready(health: Health, timeout_s: float) -> None:
    """Wait for the parts while they start. Raises `NotReadyError` when they cannot serve."""
    if not health.readiness().ready:
        await health.until_started(timeout_s)
    for part in health.readiness().parts:
        if part.state == "failed":
            raise NotReadyError(part.detail, retry_after=30)
        if part.state == "starting":
            raise NotReadyError(f"Viva is still starting: {part.name}.", retry_after=5)
