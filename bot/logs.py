"""Log lines, as text for people or as JSON for collectors. Set up by whoever starts a process."""

from __future__ import annotations

import json
import logging
import sys
from typing import Literal

_NOISY = (
    "uvicorn",
    "httpx",
    "httpcore",
    "chromadb",
    "sentence_transformers",
    "transformers",
    "filelock",
    "bm25s",
)


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        line = {
            "at": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def set_up_logs(style: Literal["text", "json"], level: int = logging.INFO) -> None:
    """Send log lines to stderr; libraries speak only when something is wrong."""
    handler = logging.StreamHandler(sys.stderr)
    text = logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")
    handler.setFormatter(JsonFormatter() if style == "json" else text)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
