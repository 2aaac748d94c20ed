"""`GET /healthz` (is the process alive) and `GET /readyz` (can it answer)."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter, Request, Response

from bot import __version__
from bot.frontends.http_api.dependencies import AnyServices
from bot.frontends.http_api.schemas import HealthOut, PartOut, ReadinessOut

router = APIRouter()


@router.get("/healthz", summary="Is the process alive?")
async def healthz(request: Request) -> HealthOut:
    """Answer as soon as the server listens."""
    return HealthOut(version=__version__, instance=request.app.state.instance)


@router.get(
    "/readyz", summary="Can questions be answered?", responses={503: {"model": ReadinessOut}}
)
async def readyz(services: AnyServices, response: Response) -> ReadinessOut:
    """Return the state of every part: 200 when all are ready, else 503."""
    readiness = services.health.readiness()
    response.status_code = 200 if readiness.ready else 503
    parts = [PartOut(**asdict(part)) for part in readiness.parts]
    return ReadinessOut(ready=readiness.ready, parts=parts)
