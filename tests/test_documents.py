"""The documents say what is so: commands, settings, paths, requests, and quoted answers."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import click
import httpx
import pytest

from bot.cli.main import viva
from bot.frontends.http_api.app import create_app
from bot.frontends.http_api.auth import Access
from bot.retrieval.retriever import Retriever
from bot.retrieval.shelf import Shelf
from bot.retrieval.vectors import BatchingEncoder
from bot.services.answers import AnswerService
from bot.services.bundle import Services
from bot.services.library import LibraryService
from bot.settings import Settings
from bot.wiring import Starting
from ingest import pipeline
from ingest.cases import CaseHead
from ingest.folder_store import FolderStore
from ingest.lint import lint
from ingest.notes import plain_text
from ingest.reading import read_corpus
from ingest.strict_yaml import load_strict
from tests.fakes import FakeEmbedder

ROOT = Path(__file__).parents[1]


def _text(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def _commands() -> Iterator[str]:
    context = click.Context(viva)
    for name in viva.list_commands(context):
        command = viva.get_command(context, name)
        if isinstance(command, click.Group):
            yield from (f"viva {name} {sub}" for sub in command.list_commands(context))
        else:
            yield f"viva {name}"


@pytest.mark.parametrize("command", list(_commands()))
def test_the_readme_shows_every_command(command: str) -> None:
    assert re.search(rf"\b{command}\b", _text("README.md"))


def test_the_readme_quotes_answers_that_the_notes_hold() -> None:
    screen = re.search(r"```text\n\$ viva ask.*?```", _text("README.md"), re.DOTALL)
    assert screen
    notes = " ".join(plain_text(note.text) for note in read_corpus(ROOT / "corpus").notes)
    paragraphs = [text.strip().split("\n") for text in screen[0].split("\n\n")]
    # An answer's paragraph: the place on its first line, then sentences with citation numbers.
    bodies = [" ".join(rest).split() for first, *rest in paragraphs if " > " in first and rest]
    shown = re.split(r" ?(?:\[\d+\] ?)+", " ".join(word for body in bodies for word in body))
    sentences = [text for text in shown if text]

    assert len(sentences) >= 3
    assert [text for text in sentences if text not in notes] == []


def test_every_setting_is_documented_and_none_else() -> None:
    rows = re.findall(r"^\| `(VIVA_[A-Z_]+)` \|", _text("docs/self-hosting.md"), re.MULTILINE)

    assert sorted(rows) == sorted(f"VIVA_{name}".upper() for name in Settings.model_fields)


@pytest.mark.parametrize(
    "document",
    ["README.md", "CONTRIBUTING.md", "docs/overview.md", "docs/self-hosting.md", "docs/api.md"],
)
def test_links_between_documents_lead_somewhere(document: str) -> None:
    links = re.findall(r"\]\((?![a-z]+:)([^)#]+)", _text(document))

    assert [link for link in links if not (ROOT / document).parent.joinpath(link).exists()] == []


def test_every_path_that_the_overview_names_exists() -> None:
    named = re.findall(
        r"`((?:bot|ingest|corpus|prompts|tests|benchmarks|docs|scripts)/[^`*{ ]*)`",
        _text("docs/overview.md"),
    )

    assert len(named) > 20
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_the_note_that_explains_notes_has_no_fault(tmp_path: Path) -> None:
    text = _text("corpus/README.md")
    note, sources = (
        re.search(rf"```{start}(.*?)```", text, re.DOTALL)
        for start in ("markdown\n", "yaml\n(?=gama-2014:)")
    )
    assert note
    assert sources
    (tmp_path / "topics").mkdir()
    (tmp_path / "topics" / "virtual-drift.md").write_text(note[1], encoding="utf-8")
    (tmp_path / "sources.yaml").write_text(sources[1], encoding="utf-8")

    corpus = read_corpus(tmp_path)

    assert lint([corpus], FakeEmbedder().count_tokens, 256) == []
    assert len(corpus.notes) == 1


def test_the_case_that_is_explained_is_one() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", _text("corpus/README.md"), re.DOTALL)
    (written,) = [block for block in blocks if block.startswith("id: ")]
    data, _ = load_strict(written, first_line=1)
    head = CaseHead.model_validate(data)
    explained = set(re.findall(r"^\| (`[^|]*`) \|", _text("corpus/README.md"), re.MULTILINE))
    keys = {key for row in explained for key in re.findall(r"`(\w+)", row)}

    assert [key for key in (*data, *data["points"][0]) if key not in keys] == ["aspect", "says"]
    assert head.points[0].study


@asynccontextmanager
async def _client(index: Path) -> AsyncIterator[httpx.AsyncClient]:
    encoder = BatchingEncoder(FakeEmbedder)
    shelf = Shelf(FolderStore(index))
    starting = Starting(encoder, shelf)
    await starting.run(watch=False)
    starting.raise_fault()
    retriever = Retriever(shelf, encoder)
    services = Services(AnswerService(retriever), LibraryService(retriever), starting)
    app = create_app(services, Access(("viva_secret",), open_to_loopback=True))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        yield client
    await encoder.close()
    await shelf.close()


@pytest.fixture(scope="module")
def index_of_our_notes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("documented")
    options = pipeline.IngestOptions(
        corpora={"": ROOT / "corpus"}, index_dir=folder / "index", cache_dir=folder
    )
    pipeline.ingest(options, embedder=FakeEmbedder())
    return folder / "index"


def _documented() -> list[tuple[str, str]]:
    """Return each curl command of the document with the output that stands under it."""
    pattern = r"```sh\n(curl [^`]*)```\n+```(?:json|text)\n([^`]*)```"
    return re.findall(pattern, _text("docs/api.md"))


async def _sent(client: httpx.AsyncClient, command: str) -> httpx.Response:
    words = shlex.split(command.replace("\\\n", " "))[1:]
    headers, body, url = {}, None, ""
    while words:
        word = words.pop(0)
        if word == "-H":
            name, _, value = words.pop(0).partition(": ")
            headers[name] = value.replace("$KEY", "viva_secret")
        elif word == "-d":
            body = words.pop(0)
        elif not word.startswith("-"):
            url = word
    return await client.request("POST" if body else "GET", url, headers=headers, content=body)


def _same_shape(shown: Any, sent: Any, path: str = "") -> list[str]:
    """Return the places where a shown document has other keys than the one sent."""
    if isinstance(shown, dict) and isinstance(sent, dict):
        if shown.keys() != sent.keys():
            return [f"{path}: {sorted(shown.keys() ^ sent.keys())}"]
        pairs = [(shown[key], sent[key], f"{path}.{key}") for key in shown]
        return [fault for pair in pairs for fault in _same_shape(*pair)]
    if isinstance(shown, list) and isinstance(sent, list) and shown and sent:
        return _same_shape(shown[0], sent[0], f"{path}[0]")
    return [] if type(shown) is type(sent) or None in (shown, sent) else [f"{path}: {sent!r}"]


@pytest.mark.parametrize(("command", "output"), _documented())
def test_a_documented_request_gives_what_is_shown(
    command: str, output: str, index_of_our_notes: Path
) -> None:
    async def ask() -> httpx.Response:
        async with _client(index_of_our_notes) as client:
            return await _sent(client, command)

    response = asyncio.run(ask())

    if "text/event-stream" in command:
        shown = re.findall(r"^event: (\w+)", output, re.MULTILINE)
        sent = re.findall(r"^event: (\w+)", response.text, re.MULTILINE)
        assert list(dict.fromkeys(sent)) == list(dict.fromkeys(shown))
        return
    shown_document = json.loads(output)
    status = shown_document.get("status") if isinstance(shown_document, dict) else None
    assert response.status_code == (status if isinstance(status, int) else 200), response.text
    assert _same_shape(shown_document, response.json()) == []


def test_every_resource_is_documented() -> None:
    commands = " ".join(command for command, _ in _documented())
    app = create_app(None, Access((), open_to_loopback=True))  # type: ignore[arg-type]

    absent = [path for path in app.openapi()["paths"] if path.partition("{")[0] not in commands]

    assert absent == []
