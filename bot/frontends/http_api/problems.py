"""Every error becomes a problem document (RFC 9457), translated once, here."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from bot.errors import (
    ModelUnavailableError,
    NoteNotFoundError,
    NotReadyError,
    QuestionError,
    VivaError,
)
from bot.frontends.http_api.schemas import Problem
from ingest.errors import IngestError

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

_STATUS: dict[type[VivaError], HTTPStatus] = {
    QuestionError: HTTPStatus.UNPROCESSABLE_ENTITY,
    ModelUnavailableError: HTTPStatus.UNPROCESSABLE_ENTITY,
    NoteNotFoundError: HTTPStatus.NOT_FOUND,
    NotReadyError: HTTPStatus.SERVICE_UNAVAILABLE,
}

RESPONSES: dict[int | str, dict[str, Any]] = {
    code: {
        "description": HTTPStatus(code).phrase,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for code in (400, 401, 403, 413, 422, 503)
}
NOT_FOUND: dict[int | str, dict[str, Any]] = {
    404: {**RESPONSES[422], "description": HTTPStatus.NOT_FOUND.phrase}
}


def problem_response(
    status: int,
    detail: str,
    *,
    repair: str = "",
    errors: list[dict[str, Any]] | None = None,
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """Return one problem document."""
    body = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        repair=repair,
        errors=errors or [],
    )
    return JSONResponse(body.model_dump(), status, headers=headers, media_type=MEDIA_TYPE)


def add_problem_handlers(app: FastAPI) -> None:
    """Translate our errors, the framework's, and the ones nobody foresaw."""

    @app.exception_handler(VivaError)
    async def viva(_: Request, error: VivaError) -> JSONResponse:
        status = _STATUS.get(type(error), HTTPStatus.INTERNAL_SERVER_ERROR)
        headers = (
            {"Retry-After": str(error.retry_after)} if isinstance(error, NotReadyError) else {}
        )
        return problem_response(status, error.args[0], repair=error.repair, headers=headers)

    @app.exception_handler(IngestError)
    async def index(_: Request, error: IngestError) -> JSONResponse:
        return problem_response(503, error.args[0], repair=error.repair)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        faults = [
            {"where": ".".join(str(part) for part in fault["loc"]), "message": fault["msg"]}
            for fault in error.errors()
        ]
        detail = "; ".join(f"{fault['where']}: {fault['message']}" for fault in faults)
        return problem_response(422, detail, repair="See /openapi.json", errors=faults)

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> JSONResponse:
        headers = dict(error.headers or {})
        repair = "See /openapi.json" if error.status_code in (404, 405) else ""
        return problem_response(
            error.status_code, str(error.detail), repair=repair, headers=headers
        )

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, error: Exception) -> JSONResponse:
        logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return problem_response(500, "Viva failed at this request; its log says why.")
