"""`viva search`: ranked sections."""

from __future__ import annotations

import asyncio
import json
from typing import Any, get_args

import click

from bot.cli.ask import LOADING
from bot.cli.remote import find_remote
from bot.cli.rendering import section, status
from bot.domain.evidence import Filters, Kind, Level, Phase
from bot.services.limits import MAX_RESULTS, checked_question
from bot.settings import Settings, load_settings

Found = list[dict[str, Any]]


@click.command(short_help="Search the notes for sections.")
@click.argument("query", nargs=-1, required=True)
@click.option(
    "-k", default=10, show_default=True, type=click.IntRange(1, MAX_RESULTS), help="How many."
)
@click.option(
    "--kind", multiple=True, type=click.Choice(get_args(Kind)), help="Only this kind; repeatable."
)
@click.option(
    "--phase",
    multiple=True,
    type=click.Choice(get_args(Phase)),
    help="Only this phase; repeatable.",
)
@click.option(
    "--level",
    multiple=True,
    type=click.Choice(get_args(Level)),
    help="Only this level; repeatable.",
)
@click.option("--namespace", multiple=True, help="Only these notes (`viva` for ours); repeatable.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def search(
    query: tuple[str, ...],
    k: int,
    kind: tuple[str, ...],
    phase: tuple[str, ...],
    level: tuple[str, ...],
    namespace: tuple[str, ...],
    as_json: bool,
) -> None:
    """Search the notes for QUERY and print the best sections."""
    wanted = checked_question(" ".join(query))
    settings = load_settings()
    if remote := find_remote(settings.data_dir):
        given = {"kind": kind, "phase": phase, "level": level, "namespace": namespace}
        found = remote.search(wanted, k, given)
    else:
        status(LOADING)
        filters = Filters(*(frozenset(values) for values in (kind, phase, level, namespace)))
        found = asyncio.run(_locally(settings, wanted, k, filters))
    if as_json:
        click.echo(json.dumps(found, indent=1))
    elif not found:
        click.echo("No section was found.")
    for hit in () if as_json else found:
        click.echo(section(hit))


async def _locally(settings: Settings, query: str, k: int, filters: Filters) -> Found:
    from bot.wiring import open_services

    async with open_services(settings, watch=False) as services:
        return [hit.to_dict() for hit in await services.library.search(query, k, filters)]
