"""What a benchmark prints: a table for people, or one JSON document."""

from __future__ import annotations

import json
import logging
import os
import sys
import warnings
from argparse import ArgumentParser
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.datasets import MissingSetError
from bot.errors import VivaError
from bot.wiring import quiet_libraries
from ingest.errors import CorpusError, IngestError

Figures = Mapping[str, Any]


def parser(description: str | None) -> ArgumentParser:
    """Return a command line with what all benchmarks share."""
    made = ArgumentParser(description=(description or "").splitlines()[0])
    made.add_argument("--json", action="store_true", help="print one JSON document, nothing else")
    return made


def run(benchmark: Callable[[], None]) -> None:
    """Run a benchmark; what keeps it from running is said on stderr, with status 1."""
    quiet_libraries()
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    warnings.filterwarnings("ignore")  # of libraries; a table is no place for them
    try:
        benchmark()
    except CorpusError as error:
        print(*error.problems, error, sep="\n", file=sys.stderr)
        sys.exit(1)
    except (MissingSetError, VivaError, IngestError) as error:
        print(error, file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(1)


def progress(message: str) -> None:
    """Say on stderr what is being done."""
    print(message, file=sys.stderr, flush=True)


def show(title: str, result: Figures, *, as_json: bool) -> None:
    """Print a result: rows for what has figures of its own, and one row for each single figure."""
    if as_json:
        print(json.dumps(result, indent=1, ensure_ascii=False))
        return
    console = Console(width=None if sys.stdout.isatty() else 140)
    single = {key: value for key, value in result.items() if not isinstance(value, Mapping)}
    grouped = {key: value for key, value in _flat(result).items() if value}
    if grouped:
        console.print(_grid(title, grouped))
    if single:
        table = Table(title=None if grouped else title, show_header=False)
        for key, value in single.items():
            table.add_row(key, _shown(value))
        console.print(table)


def percentile(values: Sequence[float], share: float) -> float | None:
    """Return a percentile, linear between neighbours, rounded to 0.01; None of no values."""
    return round(float(np.percentile(values, share)), 2) if len(values) else None


def median(values: Sequence[float]) -> float | None:
    """Return the median, rounded to 0.01; None of no values."""
    return percentile(values, 50)


def _flat(result: Figures) -> dict[str, Figures]:
    """Return the rows of the table: a group of groups becomes a row for each."""
    rows: dict[str, Figures] = {}
    for key, value in result.items():
        if (
            isinstance(value, Mapping)
            and value
            and all(isinstance(v, Mapping) for v in value.values())
        ):
            rows |= {f"{key} {name}": inner for name, inner in value.items()}
        elif isinstance(value, Mapping):
            rows[key] = value
    return rows


def _grid(title: str, rows: Mapping[str, Figures]) -> Table:
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    table = Table("", *columns, title=title)
    for name, row in rows.items():
        table.add_row(name, *(_shown(row.get(column)) for column in columns))
    return table


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else str(value)
