"""What can go wrong while an index is written or opened, named by what the caller must do.

IngestError
├── CorpusError        mend the notes listed in `problems`
├── WeightsError       fetch, or name, the encoder's weights
├── WriterBusyError    wait for the other ingest to end
├── IndexMissingError  build the index
├── NothingOlderError  there is nothing to roll back to
├── IndexDamagedError  rebuild the index, or roll back
├── EmbedderMismatchError  rebuild, or configure the encoder that built the index
├── CacheDamagedError  delete the cache; it is made again
└── VectorStoreError   start, or name, the Chroma server
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One fault of a corpus file: `path` as shown to people, `line` counted from 1."""

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


class IngestError(Exception):
    """Base of this package's errors; `repair` is the command or step that mends it."""

    def __init__(self, message: str, *, repair: str) -> None:
        super().__init__(message)
        self.repair = repair

    def __str__(self) -> str:
        return f"{super().__str__()} {self.repair}"


class CorpusError(IngestError):
    """The notes have faults; nothing was written."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        count = len(self.problems)
        super().__init__(
            f"{count} problem{'s' if count != 1 else ''} in the notes; nothing was written.",
            repair="Mend the lines named above, then run: viva ingest --check",
        )


class WeightsError(IngestError):
    """The encoder's weights are missing, incomplete or not the ones that were pinned."""


class WriterBusyError(IngestError):
    """Another process is writing the index."""


class IndexMissingError(IngestError):
    """There is no generation to serve."""

    def __init__(self, where: str) -> None:
        super().__init__(f"There is no index in {where}.", repair="Build it: viva ingest")


class NothingOlderError(IngestError):
    """There is no generation to go back to."""

    def __init__(self, where: str) -> None:
        super().__init__(
            f"The oldest generation that is kept in {where} serves already.",
            repair="Change the notes and build another: viva ingest",
        )


class IndexDamagedError(IngestError):
    """A generation's files or records are not those that its manifest lists."""

    def __init__(self, message: str) -> None:
        super().__init__(
            message, repair="Rebuild it: viva ingest --rebuild (or go back: viva ingest --rollback)"
        )


class EmbedderMismatchError(IngestError):
    """The index was built with another encoder than the one configured."""


class CacheDamagedError(IngestError):
    """The file of cached vectors is not one."""


class VectorStoreError(IngestError):
    """The Chroma server did not answer."""
