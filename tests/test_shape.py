"""The project's shape: who imports whom, what importing does, and which commands there are."""

from __future__ import annotations

import pkgutil
import re
import shutil
import subprocess
import sys
from collections.abc import Set
from pathlib import Path

import pytest
from click.testing import CliRunner

import bot
import ingest
from bot.cli.main import viva

ROOT = Path(__file__).parents[1]

# What takes seconds to import, or begins to do something when it is.
HEAVY = frozenset(
    {"chromadb", "torch", "sentence_transformers", "transformers", "langchain", "uvicorn"}
)

WATCHED = """
import importlib, os, sys

done = []

def hook(event, arguments):
    if event in ("socket.connect", "socket.bind", "subprocess.Popen", "sqlite3.connect"):
        done.append(event)
    if event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        done.append(f"{event} {arguments[0]}")

def read(environment, key, plain=os._Environ.__getitem__):
    frame = sys._getframe(1)
    while frame.f_code.co_filename in (os.__file__, "<frozen os>", "<frozen _collections_abc>"):
        frame = frame.f_back
    if frame.f_globals.get("__name__", "").partition(".")[0] in ("bot", "ingest"):
        done.append(f"read {key}")
    return plain(environment, key)

sys.addaudithook(hook)
os._Environ.__getitem__ = read
for name in sys.argv[2:]:
    importlib.import_module(name)
heavy = [name for name in sys.argv[1].split(",") if name in sys.modules]
print("did:", done, "imported:", heavy)
"""


def modules() -> list[str]:
    return [
        module.name
        for package in (bot, ingest)
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        if not module.name.endswith("__main__")
    ]


def after_importing(*names: str, heavy: Set[str] = HEAVY, folder: Path = ROOT) -> str:
    """Import modules in a process without an environment; return what that did."""
    done = subprocess.run(
        [sys.executable, "-B", "-c", WATCHED, ",".join(sorted(heavy)), *names],
        cwd=folder,
        env={},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_imports_point_downwards_only() -> None:
    command = shutil.which("lint-imports", path=str(Path(sys.executable).parent))
    if command is None:
        pytest.skip("needs import-linter: pip install -e '.[dev]'")
    done = subprocess.run(
        [command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout


def test_the_watch_sees_what_importing_does(tmp_path: Path) -> None:
    """Or the tests after it could not fail."""
    (tmp_path / "bot").mkdir()
    (tmp_path / "bot/__init__.py").touch()
    (tmp_path / "bot/x.py").write_text(
        "import json, os\nos.environ.get('HOME')\nopen('made', 'w').close()\n"
    )

    assert after_importing("bot.x", heavy={"json"}, folder=tmp_path) == (
        "did: ['read HOME', 'open made'] imported: ['json']"
    )


def test_importing_every_module_reads_no_environment_and_opens_nothing() -> None:
    assert len(modules()) > 40
    assert after_importing(*modules(), heavy=set()) == "did: [] imported: []"


@pytest.mark.parametrize(
    "module", ["bot", "bot.cli.main", "bot.cli.ask", "bot.cli.search", "bot.settings", "bot.domain"]
)
def test_a_command_begins_without_importing_what_takes_seconds(module: str) -> None:
    assert after_importing(module) == "did: [] imported: []"


def test_a_command_that_talks_to_the_server_loads_no_web_framework() -> None:
    light = HEAVY | {"fastapi", "httpx", "numpy", "bm25s", "rich"}

    assert after_importing("bot.cli.ask", heavy=light) == "did: [] imported: []"


def test_help_lists_exactly_the_commands_that_the_readme_shows() -> None:
    if not (ROOT / "README.md").exists():
        pytest.skip("no README.md here")
    shown = CliRunner().invoke(viva, ["--help"]).output.partition("Commands:")[2]
    listed = set(re.findall(r"^  (\w+)  ", shown, re.MULTILINE))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"```.*?```|`[^`\n]+`", readme, re.DOTALL))

    assert len(listed) > 4
    assert listed == set(re.findall(r"\bviva ([a-z]+)", code))


def test_every_prompt_is_used() -> None:
    code = "\n".join(file.read_text(encoding="utf-8") for file in (ROOT / "bot").rglob("*.py"))
    prompts = [file for file in (ROOT / "prompts").rglob("*") if file.is_file()]

    assert prompts
    unused = [file.name for file in prompts if file.name != "README.md" and file.stem not in code]
    assert unused == []
