"""What routes receive: the services, ready to be used."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, Request

from bot.services.bundle import Services
from bot.services.health import require_ready

STARTING_PATIENCE_S = 20.0
"""A question that arrives while models load waits for them rather than failing."""


def any_services(request: Request) -> Services:
    """Return the services, whether or not they are ready."""
    return cast(Services, request.app.state.services)


async def ready_services(services: Annotated[Services, Depends(any_services)]) -> Services:
    """Return the services once they can be used. Raises `NotReadyError`."""
    await require_ready(services.health, STARTING_PATIENCE_S)
    return services


AnyServices = Annotated[Services, Depends(any_services)]
ReadyServices = Annotated[Services, Depends(ready_services)]
