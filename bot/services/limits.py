"""Limits that frontends share with the services; importing them costs nothing."""

from __future__ import annotations

from bot.domain import questions
from bot.errors import QuestionError

MAX_RESULTS = 50
"""Sections that one search returns at most."""


def checked_question(text: str) -> str:
    """Return a question cleaned. Raises `QuestionError` when it is empty or too long."""
    asked = questions.clean(text)
    if not any(char.isalnum() for char in asked):
        raise QuestionError("The question is empty.", repair='Ask one: viva ask "What is drift?"')
    if len(asked) > questions.MAX_QUESTION:
        raise QuestionError(
            f"The question has {len(asked)} characters; {questions.MAX_QUESTION} is the most.",
            repair="Shorten it, or ask in several questions.",
        )
    return asked
