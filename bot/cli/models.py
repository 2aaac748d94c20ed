"""`viva models`: the embedded models, and the only installer of their weights."""

from __future__ import annotations

import json

import click

from bot.cli.rendering import status
from bot.settings import load_settings


@click.group(short_help="List and fetch the embedded models.")
def models() -> None:
    """List and fetch the weights of the embedded models, in a cache that all environments share."""


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def list_models(as_json: bool) -> None:
    """List the models that Viva knows, and where they are."""
    from ingest.weights import WEIGHTS, find_known_weights

    settings = load_settings()
    rows = []
    for spec in WEIGHTS.values():
        found = find_known_weights(spec.name, settings.cache_dir)
        rows.append(
            {
                "name": spec.name,
                "megabytes": spec.megabytes,
                "used_for": spec.used_for,
                "path": str(found) if found else None,
            }
        )
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    for row in rows:
        place = row["path"] or f"not here; fetch it: viva models fetch {row['name']}"
        click.echo(f"{row['name']:20} {row['megabytes']:>4} MB  {row['used_for']}")
        click.echo(f"{'':20} {place}")


@models.command()
@click.argument("names", nargs=-1)
def fetch(names: tuple[str, ...]) -> None:
    """Fetch models by NAMES; without any, the default encoder. Safe to repeat."""
    from ingest.weights import DEFAULT_ENCODER, fetch_weights

    settings = load_settings()
    for name in names or (DEFAULT_ENCODER,):
        fetch_weights(name, settings.cache_dir, status)
