"""What long work tells about itself; rendered by whoever asked for the work."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Told what is being done."""

    def stage(self, name: str, total: int = 0) -> None:
        """Begin a stage of `total` steps; 0 when the number is not known."""
        ...

    def advance(self, steps: int) -> None:
        """Report that steps of the stage are done."""
        ...


class Silent:
    """Progress that nobody watches."""

    def stage(self, name: str, total: int = 0) -> None:
        """Ignore a stage."""

    def advance(self, steps: int) -> None:
        """Ignore steps."""
