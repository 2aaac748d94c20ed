"""`viva doctor`: every part, whether it is there, and the command that mends it."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from bot.cli.remote import find_remote
from bot.content import corpus_dir
from bot.errors import SettingsError
from bot.settings import Settings, load_settings

_LEAST_FREE_GB = 1


@dataclass(frozen=True, slots=True)
class Check:
    """One part. `needed` parts that are not `ok` keep Viva from answering."""

    part: str
    ok: bool
    found: str
    repair: str = ""
    needed: bool = True


@click.command(short_help="Say what is there, what is not, and what mends it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def doctor(as_json: bool) -> int:
    """Name every part of this installation, whether it is there, and the command that mends it."""
    checks = list(_checks())
    if as_json:
        click.echo(json.dumps([asdict(check) for check in checks], indent=1))
    else:
        for check in checks:
            click.echo(_line(check))
    return 0 if all(check.ok for check in checks if check.needed) else 1


def _line(check: Check) -> str:
    mark = click.style("ok", fg="green") if check.ok else click.style("--", fg="yellow")
    if check.needed and not check.ok:
        mark = click.style("NO", fg="red", bold=True)
    line = f"{mark}  {check.part:<16} {check.found}"
    return f"{line}\n    {'':<16} {check.repair}" if check.repair and not check.ok else line


def _checks() -> Iterator[Check]:
    version = platform.python_version()
    yield Check("python", sys.version_info >= (3, 11), version, "Install Python 3.11 or newer.")
    try:
        settings = load_settings()
    except SettingsError as error:
        yield Check("settings", False, error.args[0], error.repair)
        return
    yield Check("settings", True, _configured(settings))
    yield _folder("data folder", settings.data_dir)
    yield _folder("cache folder", settings.cache_dir)
    yield _package("torch", "pip install 'viva-coach[local]'")
    yield _package("sentence-transformers", "pip install 'viva-coach[local]'")
    yield _guarded("encoder", lambda: _encoder(settings))
    yield _guarded("notes", lambda: _notes(settings))
    yield _guarded("vector store", lambda: _vector_store(settings))
    yield _guarded("index", lambda: _index(settings))
    yield _server(settings)
    yield Check("language model", True, "none: answers are quoted from the notes", needed=False)


def _configured(settings: Settings) -> str:
    given = sorted(settings.model_fields_set)
    return f"set: {', '.join(given)}" if given else "all at their defaults"


def _folder(part: str, folder: Path) -> Check:
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    writable = existing.is_dir() and os.access(existing, os.W_OK)
    free_gb = shutil.disk_usage(existing).free / 1e9
    name = part.split()[0].upper()
    return Check(
        part,
        writable and free_gb >= _LEAST_FREE_GB,
        f"{folder} ({free_gb:.0f} GB free{'' if writable else ', not writable'})",
        f"Free some space, or set VIVA_{name}_DIR to a folder that you can write to.",
    )


def _package(name: str, repair: str) -> Check:
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Check(name, False, "not installed", repair)
    build = f" ({_torch_build()})" if name == "torch" else ""
    return Check(name, True, f"{version}{build}")


def _torch_build() -> str:
    """Say which build came, from the files of the package: importing torch takes seconds."""
    files = importlib.metadata.files("torch") or []
    version_file = next((file for file in files if str(file) == "torch/version.py"), None)
    text = version_file.read_text() if version_file else ""
    return "CPU build" if "cuda: Optional[str] = None" in text else "GPU build"


def _guarded(part: str, check: Callable[[], Check]) -> Check:
    from bot.errors import VivaError
    from ingest.errors import IngestError

    try:
        return check()
    except (IngestError, VivaError) as error:
        return Check(part, False, error.args[0], error.repair)


def _encoder(settings: Settings) -> Check:
    from ingest.embedding import open_embedder
    from ingest.weights import WEIGHTS, find_weights

    weights = find_weights(settings.embedding_model, settings.cache_dir)
    fingerprint = open_embedder(settings.embedding_model, settings.cache_dir).fingerprint
    pinned = weights.sha256 in {spec.sha256 for spec in WEIGHTS.values()}
    sum_ = "SHA-256 as pinned" if pinned else f"SHA-256 {weights.sha256[:12]}…, not a pinned one"
    described = f"{weights.name}, {fingerprint.dimension} dimensions, {sum_}"
    return Check("encoder", True, f"{described}, in {weights.path}")


def _notes(settings: Settings) -> Check:
    from ingest.reading import note_files

    folders = {"viva": corpus_dir(), **settings.corpus_dirs}
    missing = [f"{name}={folder}" for name, folder in folders.items() if not folder.is_dir()]
    counts = [f"{name}: {len(note_files(folder))} notes" for name, folder in folders.items()]
    found = f"no folder at {', '.join(missing)}" if missing else ", ".join(counts)
    return Check("notes", not missing, found, "Set VIVA_CORPUS_DIRS to folders that exist.")


def _vector_store(settings: Settings) -> Check:
    from bot.wiring import quiet_libraries
    from ingest.server_store import ServerStore

    if not settings.chroma_url:
        return Check("vector store", True, "Chroma, embedded")
    quiet_libraries()
    store = ServerStore(settings.chroma_url)
    store.current()
    return Check("vector store", True, f"Chroma server at {store.place}")


def _index(settings: Settings) -> Check:
    from ingest.embedding import open_embedder
    from ingest.pipeline import open_store

    store = open_store(settings.index_dir, settings.chroma_url)
    current = store.current()
    manifest = next((m for m in store.manifests() if m.id == current), None)
    if manifest is None:
        return Check("index", False, f"none in {store.place}", "Build it: viva ingest")
    manifest.require_embedder(
        open_embedder(settings.embedding_model, settings.cache_dir).fingerprint
    )
    counts = ", ".join(f"{count} {name}" for name, count in manifest.counts.items())
    return Check("index", True, f"generation {manifest.id}: {counts}")


def _server(settings: Settings) -> Check:
    remote = find_remote(settings.data_dir)
    found = f"running on {remote.server.url}" if remote else "not running"
    return Check("server", remote is not None, found, "Start it: viva serve", needed=False)
