"""`GET /v1/search` and `GET /v1/notes/{id}`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from bot.domain.evidence import Filters, Kind, Level, Phase
from bot.domain.questions import MAX_QUESTION
from bot.frontends.http_api.dependencies import ReadyServices
from bot.frontends.http_api.problems import NOT_FOUND
from bot.frontends.http_api.schemas import NoteOut, SearchResult
from bot.services.limits import MAX_RESULTS

router = APIRouter()


@router.get("/v1/search", summary="Search the notes")
async def search(
    services: ReadyServices,
    q: Annotated[str, Query(min_length=1, max_length=MAX_QUESTION, examples=["feature store"])],
    k: Annotated[int, Query(ge=1, le=MAX_RESULTS)] = 10,
    kind: Annotated[frozenset[Kind], Query()] = frozenset(),
    phase: Annotated[frozenset[Phase], Query()] = frozenset(),
    level: Annotated[frozenset[Level], Query()] = frozenset(),
    namespace: Annotated[frozenset[str], Query()] = frozenset(),
) -> list[SearchResult]:
    """Return sections, best first. Each filter may be given several times; one value must match."""
    hits = await services.library.search(q, k, Filters(kind, phase, level, namespace))
    return [SearchResult.model_validate(hit.to_dict()) for hit in hits]


@router.get("/v1/notes/{note_id:path}", responses=NOT_FOUND, summary="Read a note")
async def note(note_id: str, services: ReadyServices) -> NoteOut:
    """Return a note by its id, such as `topics/data-drift`."""
    found = await services.library.note(note_id)
    head = found.head | {"sources": list(found.head["sources"].values()), "text": found.text}
    return NoteOut.model_validate(head)
