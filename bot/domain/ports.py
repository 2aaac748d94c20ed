"""What services need of adapters, one small protocol for each real second implementation."""

from __future__ import annotations

from typing import Protocol

from bot.domain.evidence import Evidence, Filters, Hit, Vector


class QueryEncoder(Protocol):
    """Turns a question into a vector."""

    async def encode(self, text: str) -> Vector:
        """Return the unit vector of a text."""
        ...


class Searcher(Protocol):
    """Finds what the notes say. Implemented by `bot.retrieval.Retriever` and by tests' fakes."""

    async def search(self, query: str, k: int = 10, filters: Filters = ...) -> list[Hit]:
        """Return at most `k` sections, best first."""
        ...

    async def evidence(self, question: str, filters: Filters = ...) -> Evidence:
        """Return the sections, sentences and signals for one question."""
        ...
