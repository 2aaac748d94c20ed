"""Generations of the index: immutable, numbered by time, one of them pointed to.

A writer builds a generation beside the one that serves, checks it, and then moves one pointer. A
crash at any moment leaves the pointer, and what it points to, as they were.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Protocol

from ingest.chroma import Client
from ingest.embedding import Fingerprint
from ingest.errors import EmbedderMismatchError, IndexDamagedError

KEPT = 3
"""Generations that stay for a rollback, the serving one included."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a generation is. `content` identifies what it was built from; `files` its files."""

    id: str
    created: str
    format: int
    content: str
    fingerprint: Fingerprint
    computed_in: str
    counts: dict[str, int]
    namespaces: list[str]
    files: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        """Return the manifest as JSON."""
        return json.dumps(asdict(self), indent=1, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """Read a manifest. Raises `IndexDamagedError`."""
        try:
            data: dict[str, Any] = json.loads(text)
            return cls(**data | {"fingerprint": Fingerprint(**data["fingerprint"])})
        except (ValueError, TypeError, KeyError) as error:
            raise IndexDamagedError(f"A manifest of the index cannot be read ({error}).") from error

    def require_format(self, known: int) -> None:
        """Raise `IndexDamagedError` unless the records mean what this version reads in them."""
        if self.format != known:
            raise IndexDamagedError(
                f"The index has format {self.format}; this version of Viva reads {known}."
            )

    def require_embedder(self, fingerprint: Fingerprint) -> None:
        """Raise `EmbedderMismatchError` unless the vectors of this encoder can be compared."""
        if self.fingerprint != fingerprint:
            built, configured = self.fingerprint, fingerprint
            raise EmbedderMismatchError(
                f"The index was built with the encoder {built.name} ({built.sha256[:12]}, "
                f"{built.dimension} dimensions); configured is {configured.name} "
                f"({configured.sha256[:12]}, {configured.dimension} dimensions).",
                repair="Build it again: viva ingest (or set VIVA_EMBEDDING_MODEL back)",
            )


class OpenGeneration(Protocol):
    """A generation opened for reading."""

    manifest: Manifest
    client: Client

    def close(self) -> None:
        """Give back what the opening took."""
        ...


class GenerationWriter(Protocol):
    """The one writer of a store, while it holds the lock or the lease."""

    def build(self, generation: str) -> AbstractContextManager[Client]:
        """Open an empty generation for writing; leaving with an error discards it."""
        ...

    def verify(self, generation: str) -> AbstractContextManager[Client]:
        """Open what was built, as a reader would see it."""
        ...

    def publish(self, manifest: Manifest) -> None:
        """Make a built generation complete, and point to it."""
        ...

    def point_to(self, generation: str, held: str = "") -> None:
        """Move the pointer to a complete generation; `held` is the content rolled back by this."""
        ...

    def prune(self, keep: int) -> None:
        """Delete all but the newest `keep` generations, never the one pointed to."""
        ...


class GenerationStore(Protocol):
    """Where generations live: a folder, or a Chroma server."""

    @property
    def place(self) -> str:
        """The folder or address, for people."""
        ...

    def current(self) -> str | None:
        """Return the generation pointed to, or None when nothing was ever published."""
        ...

    def held(self) -> str | None:
        """Return the content that was rolled back, and is not to be published again."""
        ...

    def manifests(self) -> list[Manifest]:
        """Return the complete generations, oldest first."""
        ...

    def writer(self) -> AbstractContextManager[GenerationWriter]:
        """Become the one writer. Raises `WriterBusyError`."""
        ...

    def open(self, generation: str) -> OpenGeneration:
        """Open a generation for reading. Raises `IndexMissingError` or `IndexDamagedError`."""
        ...


def generation_id(now: datetime, content: str) -> str:
    """Return an id that sorts by time and names its content."""
    return f"{now:%Y%m%dT%H%M%S%f}-{content[:8]}"


def content_key(*parts: object) -> str:
    """Return one key of everything that a generation is built from."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def prunable(manifests: list[Manifest], current: str | None, keep: int) -> list[str]:
    """Return the generations to delete: all but the newest `keep`, never the current one."""
    newest = [manifest.id for manifest in manifests][-keep:]
    return [m.id for m in manifests if m.id not in newest and m.id != current]
