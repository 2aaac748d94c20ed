"""The generation that serves: opened, watched and exchanged while questions are answered."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress

import numpy as np
from numpy.typing import NDArray

from bot.domain.evidence import Filters, Section
from bot.errors import NotReadyError
from bot.retrieval.lexical import LexicalIndex
from bot.retrieval.threads import to_the_end
from ingest.embedding import Fingerprint
from ingest.errors import IndexMissingError, IngestError
from ingest.generations import GenerationStore, Manifest, OpenGeneration
from ingest.index import FORMAT, Index, SectionRecord
from ingest.notes import plain_text

logger = logging.getLogger(__name__)

WATCH_SECONDS = 0.5
"""How often the pointer is read: a new generation is served within two seconds of the swap."""

REFUSED_SECONDS = 30.0
"""How long a generation that could not be opened is left alone."""


class Volume:
    """One opened generation: its vectors, its lexical index, and its sections by id."""

    def __init__(self, opened: OpenGeneration) -> None:
        self.manifest: Manifest = opened.manifest
        self.index = Index(opened.client, opened.manifest.id)
        self.records = {record.id: record for record in self.index.sections()}
        self.sections = {key: _section(record) for key, record in self.records.items()}
        asked: dict[str, list[str]] = {}
        for question, section in self.index.questions():
            asked.setdefault(section, []).append(question)
        self.lexical = LexicalIndex(
            list(self.sections),
            [f"{s.title}\n{s.heading}\n{s.text}" for s in self.sections.values()],
            ["\n".join(asked.get(key, ())) for key in self.sections],
        )
        self.openers = _openers(self.sections.values(), asked)
        self._opened = opened
        self.readers = 0
        self.retired = False

    def allowed(self, filters: Filters) -> NDArray[np.bool_] | None:
        """Return which of `sections`, in order, the filters let through; None for all."""
        if filters == Filters():
            return None
        return np.array([filters.allow(section) for section in self.sections.values()], dtype=bool)

    def close(self) -> None:
        """Give back the generation's files or connection."""
        self._opened.close()


class Shelf:
    """Holds the volume that serves. A volume is closed when its last reader has left."""

    def __init__(self, store: GenerationStore) -> None:
        self._store = store
        self._fingerprint: Fingerprint | None = None
        self._volume: Volume | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._refused = ("", 0.0)
        self.fault: Exception | None = None

    @property
    def manifest(self) -> Manifest | None:
        """The manifest of the generation that serves."""
        return self._volume.manifest if self._volume else None

    async def start(self, fingerprint: Fingerprint, *, watch: bool = True) -> None:
        """Open the current generation, if there is one, and watch for the next."""
        self._fingerprint = fingerprint
        await self.refresh()
        if watch:
            self._watcher = asyncio.create_task(self._watch(), name="viva-shelf")

    async def close(self) -> None:
        """Stop watching and close the volume."""
        if self._watcher:
            self._watcher.cancel()
            with suppress(asyncio.CancelledError):
                await self._watcher
        if self._volume:
            await asyncio.to_thread(self._volume.close)
            self._volume = None

    @asynccontextmanager
    async def volume(self) -> AsyncIterator[Volume]:
        """Lend the volume that serves; it stays open until the reader leaves."""
        volume = self._volume
        if volume is None:
            if self.fault:
                raise NotReadyError(str(self.fault))
            raise NotReadyError("Viva is still opening its index.", retry_after=2)
        volume.readers += 1
        try:
            yield volume
        finally:
            volume.readers -= 1
            await self._close_if_done(volume)

    async def refresh(self) -> None:
        """Open the generation pointed to, if it is not the one that serves.

        What cannot be opened is logged once, and the volume that serves goes on; without one, it is
        the fault that readiness tells.
        """
        try:
            await self._follow_pointer()
        except Exception as error:
            expected = isinstance(error, IngestError)
            if str(error) != str(self.fault):
                logger.warning("No new index: %s", error, exc_info=None if expected else error)
            self.fault = error
        else:
            self.fault = None

    async def _follow_pointer(self) -> None:
        wanted = await asyncio.to_thread(self._store.current)
        if wanted is None:
            raise IndexMissingError(self._store.place)
        if self._volume and self._volume.manifest.id == wanted:
            return
        # Opening copies and hashes every file: not twice a second for one that was just refused.
        refused, until = self._refused
        if self.fault and refused == wanted and time.monotonic() < until:
            raise self.fault
        self._refused = (wanted, time.monotonic() + REFUSED_SECONDS)
        volume = await to_the_end(self._open, wanted, undo=Volume.close)
        previous, self._volume = self._volume, volume
        logger.info("Serving generation %s", wanted)
        if previous:
            previous.retired = True
            await self._close_if_done(previous)

    def _open(self, generation: str) -> Volume:
        assert self._fingerprint is not None, "start() comes first"
        for manifest in self._store.manifests():
            if manifest.id == generation:
                manifest.require_format(FORMAT)
                manifest.require_embedder(self._fingerprint)
        opened = self._store.open(generation)
        try:
            return Volume(opened)
        except BaseException:
            opened.close()
            raise

    async def _close_if_done(self, volume: Volume) -> None:
        if volume.retired and not volume.readers:
            await asyncio.to_thread(volume.close)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            await self.refresh()


def _openers(sections: Iterable[Section], asked: dict[str, list[str]]) -> tuple[str, ...]:
    """Return what a newcomer might ask: the first question of each note of the framework."""
    framework = (s for s in sections if s.kind == "framework" and s.id in asked)
    first = {s.note: asked[s.id][0] for s in sorted(framework, key=lambda s: s.lines, reverse=True)}
    return tuple(first[note] for note in sorted(first))


def _section(record: SectionRecord) -> Section:
    return Section(
        id=record.id,
        note=record.note,
        title=record.title,
        heading=record.heading,
        path=record.path,
        lines=record.lines,
        text=plain_text(record.text),
        kind=record.kind,
        level=record.level,
        phases=record.phases,
        namespace=record.namespace,
    )
