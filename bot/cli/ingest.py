"""`viva ingest`: check the notes, build the index, swap, undo."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bot.settings import load_settings

if TYPE_CHECKING:
    from ingest.coverage import Coverage
    from ingest.pipeline import CheckReport, IngestOptions, IngestReport

_MOST_USED = 5


def _namespaced(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, Path]:
    folders = {}
    for value in values:
        namespace, separator, folder = value.partition("=")
        if not (namespace and separator and folder):
            raise click.BadParameter(f"{value!r} must read NAMESPACE=DIR")
        folders[namespace] = Path(folder)
    return folders


@click.command(short_help="Check the notes and build the index.")
@click.option("--check", "only_check", is_flag=True, help="Check the notes and build nothing.")
@click.option(
    "--corpus",
    multiple=True,
    metavar="NAMESPACE=DIR",
    callback=_namespaced,
    help="A group's own notes beside ours; repeatable. For good: VIVA_CORPUS_DIRS.",
)
@click.option("--rebuild", is_flag=True, help="Build even if nothing changed.")
@click.option("--rollback", is_flag=True, help="Serve the generation before the current one.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def ingest(
    only_check: bool, corpus: dict[str, Path], rebuild: bool, rollback: bool, as_json: bool
) -> int:
    """Build a generation of the index beside the one that serves, check it, and swap.

    Only texts that changed are embedded. A running server follows within two seconds. Stopped at
    any moment, the generation that serves stays as it was.
    """
    if sum((only_check, rebuild, rollback)) > 1:
        raise click.UsageError("--check, --rebuild and --rollback exclude each other.")
    from bot.wiring import ingest_options, quiet_libraries

    quiet_libraries()
    settings = load_settings()
    options = ingest_options(settings, rebuild=rebuild)
    options = replace(options, corpora=options.corpora | corpus)
    try:
        if rollback:
            return _roll_back(options, as_json)
        return _check(options, as_json) if only_check else _build(options, as_json)
    except KeyboardInterrupt:
        click.echo(
            "\nInterrupted: the index that serves is unchanged, and what was embedded is kept. "
            "Go on: viva ingest",
            err=True,
        )
        return 1


def _build(options: IngestOptions, as_json: bool) -> int:
    from ingest import pipeline

    started = time.perf_counter()
    with _Bar(sys.stderr.isatty()) as bar:
        report = pipeline.ingest(options, bar)
    seconds = time.perf_counter() - started
    if as_json:
        click.echo(json.dumps(asdict(report) | {"seconds": round(seconds, 2)}, indent=1))
    else:
        click.echo(_built(report, seconds))
    return 0


def _built(report: IngestReport, seconds: float) -> str:
    counts = report.counts
    held = (
        f"{counts['notes']} notes, {counts['sections']} sections, "
        f"{counts['questions']} questions, {counts['sentences']} sentences"
    )
    if report.held:
        return (
            f"These notes were rolled back; generation {report.generation} goes on serving: "
            f"{held}. Serve them after all: viva ingest --rebuild"
        )
    if not report.changed:
        return f"Nothing changed: {held} ({seconds:.1f} s)"
    work = f"{report.embedded} texts embedded, {report.reused} reused"
    return f"Generation {report.generation} serves: {held}; {work} ({seconds:.1f} s)"


def _check(options: IngestOptions, as_json: bool) -> int:
    from ingest import pipeline

    with _Bar(sys.stderr.isatty()) as bar:
        report = pipeline.check(options, bar)
    if as_json:
        click.echo(json.dumps(asdict(report), indent=1))
    else:
        click.echo(_checked(report))
    return 1 if report.problems else 0


def _checked(report: CheckReport) -> str:
    lines = [str(problem) for problem in report.problems]
    held = f"{report.notes} notes, {report.sections} sections, {report.sources} sources"
    count = len(report.problems)
    found = f"{count} problem{'s' if count != 1 else ''}" if count else "no problems"
    covered = []
    for namespace, coverage in report.coverage.items():
        covered += [f"{namespace}:"] if len(report.coverage) > 1 else []
        covered += [*_covered(coverage), ""]
    return "\n".join([*covered, *lines, f"{held}: {found}"])


def _covered(coverage: Coverage) -> list[str]:
    """Return what the notes cover, as lines: where they are thin is seen at a glance."""
    levels = list(next(iter(coverage.points.values())))
    lines = [f"{'phase':<10}{'topics':>8}{'points':>8}" + "".join(f"{at:>6}" for at in levels)]
    for phase, topics in coverage.topics.items():
        points = coverage.points[phase]
        each = "".join(f"{count:>6}" for count in points.values())
        lines.append(f"{phase:<10}{topics:>8}{sum(points.values()):>8}{each}")
    kinds = ", ".join(f"{kind} {count}" for kind, count in coverage.notes.items())
    lines += ["", f"notes by kind: {kinds or 'none'}"]
    used = coverage.sources
    if used:
        once = sum(count == 1 for count in used.values())
        most = ", ".join(f"{key} {count}" for key, count in list(used.items())[:_MOST_USED])
        lines.append(f"sources by use: {once} of {len(used)} in one note; most used: {most}")
    return lines


def _roll_back(options: IngestOptions, as_json: bool) -> int:
    from ingest import pipeline

    manifest = pipeline.rollback(options)
    if as_json:
        click.echo(json.dumps({"generation": manifest.id, "created": manifest.created}, indent=1))
    else:
        click.echo(f"Generation {manifest.id} of {manifest.created} serves again.")
    return 0


class _Bar:
    """Progress as a bar in a terminal, as a line a stage elsewhere."""

    def __init__(self, live: bool) -> None:
        self._live = live
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> _Bar:
        if self._live:
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                Progress,
                TextColumn,
                TimeRemainingColumn,
            )

            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
            )
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def stage(self, name: str, total: int = 0) -> None:
        if not self._bar:
            click.echo(f"{name}{f' ({total})' if total else ''} …", err=True)
            return
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task(name, total=total or None)

    def advance(self, steps: int) -> None:
        if self._bar:
            self._bar.advance(self._task, steps)
