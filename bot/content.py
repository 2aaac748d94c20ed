"""Where the notes that ship with Viva lie: in the package, or in the checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent


def corpus_dir() -> Path:
    """Return the folder of our own notes."""
    installed = _PACKAGE / "_content" / "corpus"
    return installed if installed.is_dir() else _PACKAGE.parent / "corpus"
