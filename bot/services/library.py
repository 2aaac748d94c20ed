"""Looking things up in the notes: search, and a note by its id."""

from __future__ import annotations

from bot.domain.evidence import Filters, Hit
from bot.retrieval.fusion import POOL
from bot.retrieval.retriever import NO_FILTERS, NoteView, Retriever
from bot.services.limits import MAX_RESULTS, checked_question


class LibraryService:
    """Search and reading, for people and programs."""

    def __init__(self, retriever: Retriever) -> None:
        self._retriever = retriever

    async def search(self, query: str, k: int = 10, filters: Filters = NO_FILTERS) -> list[Hit]:
        """Return at most `k` sections, best first, a section split in parts once."""
        asked = checked_question(query)
        wanted = min(k, MAX_RESULTS)
        hits = await self._retriever.search(asked, POOL, filters)
        first = {hit.section.whole: hit for hit in reversed(hits)}
        distinct = sorted(first.values(), key=lambda hit: hit.rank)[:wanted]
        return [
            Hit(rank, hit.section, round(hit.score, 4), hit.cosine)
            for rank, hit in enumerate(distinct, 1)
        ]

    async def note(self, note_id: str) -> NoteView:
        """Return a note. Raises `NoteNotFoundError`."""
        return await self._retriever.note(note_id)
