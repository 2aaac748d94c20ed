"""The services, together, as a frontend receives them."""

from __future__ import annotations

from dataclasses import dataclass

from bot.services.answers import AnswerService
from bot.services.health import Health
from bot.services.library import LibraryService


@dataclass(frozen=True, slots=True)
class Services:
    """Every use case, and whether it can be served yet."""

    answers: AnswerService
    library: LibraryService
    health: Health
