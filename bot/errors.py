"""What can go wrong for somebody who asks Viva, named by what they must do.

VivaError
├── SettingsError       mend the environment or viva.toml
├── QuestionError       ask differently: empty or too long
├── NoteNotFoundError   ask for a note that exists
├── NotReadyError       wait a moment: Viva is still starting, or has no index yet
├── ModelUnavailableError  choose another language model
└── ServerError         the running server refused or failed
"""

from __future__ import annotations


class VivaError(Exception):
    """Base of these errors; `repair` is the command or step that mends it, and may be empty."""

    def __init__(self, message: str, *, repair: str = "") -> None:
        super().__init__(message)
        self.repair = repair

    def __str__(self) -> str:
        return f"{super().__str__()} {self.repair}".strip()


class SettingsError(VivaError):
    """A setting is unknown or has a value that cannot be used."""


class QuestionError(VivaError):
    """The question is empty or too long."""


class NoteNotFoundError(VivaError):
    """No note has this id."""


class NotReadyError(VivaError):
    """Viva cannot answer yet; `retry_after` seconds is a sensible wait."""

    def __init__(self, message: str, *, repair: str = "", retry_after: int = 5) -> None:
        super().__init__(message, repair=repair)
        self.retry_after = retry_after


class ModelUnavailableError(VivaError):
    """The language model that was asked for is not part of this installation."""


class ServerError(VivaError):
    """The running server answered with an error."""
