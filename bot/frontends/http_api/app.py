"""The FastAPI application over a bundle of services."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from bot import __version__
from bot.frontends.http_api.auth import Access, AccessGuard
from bot.frontends.http_api.limits import BodyLimit
from bot.frontends.http_api.problems import RESPONSES, add_problem_handlers
from bot.frontends.http_api.routes import ask, health, library
from bot.frontends.http_api.schemas import Problem
from bot.services.bundle import Services


def create_app(services: Services, access: Access, instance: str = "") -> FastAPI:
    """Return the application. The caller opens and closes the services.

    `instance` is named by its health, for those who look for one process among several.
    """
    app = FastAPI(
        title="Viva",
        version=__version__,
        summary="An interview coach for machine-learning system design.",
        description="Answers come from curated notes; every sentence carries a verbatim quote.",
        # The interactive pages would load scripts from another host.
        docs_url=None,
        redoc_url=None,
        responses=RESPONSES,
    )
    app.state.services = services
    app.state.instance = instance
    app.add_middleware(BodyLimit)
    app.add_middleware(AccessGuard, access=access)
    add_problem_handlers(app)
    app.include_router(ask.router, tags=["answers"])
    app.include_router(library.router, tags=["notes"])
    app.include_router(health.router, tags=["health"], responses={})
    app.add_api_route("/", _welcome, include_in_schema=False)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


async def _welcome() -> dict[str, str]:
    return {
        "viva": __version__,
        "ask": 'POST /v1/ask {"question": "…"}',
        "search": "GET /v1/search?q=…",
        "note": "GET /v1/notes/topics/data-drift",
        "ready": "GET /readyz",
        "reference": "GET /openapi.json",
    }


def _openapi(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document, with the problem document among its schemas."""
    if not app.openapi_schema:
        schema = get_openapi(
            title=app.title,
            version=app.version,
            summary=app.summary,
            description=app.description,
            routes=app.routes,
        )
        schema["components"]["schemas"]["Problem"] = Problem.model_json_schema()
        app.openapi_schema = schema
    return app.openapi_schema
