"""Reading the sets that benchmarks measure on; a missing one is an error that says where."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]

SHARED = PROJECT.parent / "shared" / "data"
"""Sets that are not part of the project lie beside it."""

Qrels = dict[str, dict[str, float]]
"""Relevance by query and document; what is not listed is not relevant."""


class MissingSetError(Exception):
    """A set is not where it is expected, or not what it should be."""


@dataclass(frozen=True, slots=True)
class Beir:
    """A retrieval set in BEIR's layout: texts by id, and what is relevant to which query."""

    passages: dict[str, str]
    queries: dict[str, str]
    qrels: Qrels


def read_jsonl(file: Path) -> list[dict[str, Any]]:
    """Return the rows of a file with one JSON object a line. Raises `MissingSetError`."""
    rows = []
    for number, line in enumerate(_text(file).splitlines(), 1):
        if line.strip():
            try:
                rows.append(json.loads(line))
            except ValueError as error:
                raise MissingSetError(f"{file}, line {number}, is not JSON: {error}") from error
    return rows


def read_beir(folder: Path, split: str) -> Beir:
    """Read a BEIR folder. Only queries of the split that have a relevant passage are kept."""
    passages = {
        str(row["_id"]): f"{row.get('title') or ''} {row['text']}".strip()
        for row in read_jsonl(folder / "corpus.jsonl")
    }
    qrels: Qrels = {}
    lines = _text(folder / "qrels" / f"{split}.tsv").splitlines()
    for row in csv.DictReader(lines, delimiter="\t"):
        if float(row["score"]) > 0:
            qrels.setdefault(row["query-id"], {})[row["corpus-id"]] = float(row["score"])
    texts = {str(row["_id"]): row["text"] for row in read_jsonl(folder / f"queries_{split}.jsonl")}
    return Beir(passages, {key: text for key, text in texts.items() if key in qrels}, qrels)


def read_questions(files: list[Path]) -> list[dict[str, Any]]:
    """Return the questions of some files. Each row has `id`, `question` and `scope`."""
    rows = [row for file in files for row in read_jsonl(file)]
    for row in rows:
        if missing := {"id", "question", "scope"} - row.keys():
            raise MissingSetError(f"A question lacks {', '.join(sorted(missing))}: {row}")
    return rows


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise MissingSetError(
            f"There is no set at {file}. It is expected there; name another place with --data "
            "(or --questions)."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise MissingSetError(f"{file} cannot be read: {error}") from error
