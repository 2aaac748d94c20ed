"""Where the notes and prompts that ship with Viva lie: in the package, or in the checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent


def corpus_dir() -> Path:
    """Return the folder of our own notes."""
    return _find("corpus")


def prompts_dir() -> Path:
    """Return the folder of prompts."""
    return _find("prompts")


def _find(name: str) -> Path:
    installed = _PACKAGE / "_content" / name
    return installed if installed.is_dir() else _PACKAGE.parent / name
