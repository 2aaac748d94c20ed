"""`POST /v1/ask`: an answer, whole or as server-sent events."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from fastapi.sse import EventSourceResponse, format_sse_event

from bot.domain.answers import Answer, CitedSentence
from bot.frontends.http_api.dependencies import ReadyServices
from bot.frontends.http_api.schemas import AnswerOut, AskRequest
from bot.services.answers import Consulted, Event

router = APIRouter()

_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The answer. As events: `sources`, then a `sentence` for each, then `done`.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}


@router.post("/v1/ask", response_model=AnswerOut, responses=_STREAM, summary="Answer a question")
async def ask(body: AskRequest, request: Request, services: ReadyServices) -> Response:
    """Answer from the notes, with verbatim quotes, or say that they do not answer.

    With `Accept: text/event-stream` each sentence is sent as soon as it is checked.
    """
    if _wants_events(request.headers.get("accept", "")):
        events = services.answers.stream(
            body.question, conversation=body.conversation, model=body.model
        )
        # A question that cannot be asked is an error with its status, not an event.
        first = await anext(events)
        return EventSourceResponse(_sent(first, events))
    answer = await services.answers.ask(
        body.question, conversation=body.conversation, model=body.model
    )
    return JSONResponse(answer.to_dict())


def _wants_events(accept: str) -> bool:
    ranges = (media.replace(" ", "").lower() for media in accept.split(","))
    return any(
        media.startswith("text/event-stream") and not media.endswith((";q=0", ";q=0.0"))
        for media in ranges
    )


async def _sent(first: Event, rest: AsyncIterator[Event]) -> AsyncGenerator[bytes]:
    yield _event(first)
    async for event in rest:
        yield _event(event)


def _event(event: Event) -> bytes:
    name, data = _named(event)
    return format_sse_event(event=name, data_str=json.dumps(data, ensure_ascii=False))


def _named(event: Event) -> tuple[str, dict[str, Any]]:
    match event:
        case Consulted():
            read = [
                {
                    "note": s.note,
                    "title": s.title,
                    "heading": s.heading,
                    "path": s.path,
                    "lines": s.lines,
                }
                for s in event.sections
            ]
            return "sources", {"sources": read}
        case CitedSentence():
            return "sentence", event.to_dict()
        case Answer():
            return "done", event.to_dict()
