"""The project's shape: who imports whom, what importing does, and which commands there are."""

from __future__ import annotations

import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import bot
import ingest
from bot.cli.main import viva

ROOT = Path(__file__).parents[1]

# What takes seconds to import, or begins to do something when it is.
HEAVY = {"chromadb", "torch", "sentence_transformers", "transformers", "langchain", "uvicorn"}

WATCHED = """
import builtins, importlib, os, sys

def refuse(*_):
    raise AssertionError("the environment was read")

class Environment(dict):
    __getitem__ = get = __contains__ = __iter__ = items = keys = values = copy = refuse

opened = []

def hook(event, arguments):
    if event in ("socket.connect", "socket.bind", "subprocess.Popen", "sqlite3.connect"):
        opened.append((event, str(arguments[1:])))
    if event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        opened.append((event, str(arguments[0])))

sys.addaudithook(hook)
sys.dont_write_bytecode = True
ours = {ours!r}
heavy = {heavy!r}
read = []
real = os.environ

class Watched(type(real)):
    def __getitem__(self, key):
        import traceback
        for frame in traceback.extract_stack():
            if frame.filename.startswith(ours) and "importlib" not in frame.filename:
                if frame is not traceback.extract_stack()[0]:
                    read.append(key)
        return super().__getitem__(key)

for name in sys.argv[1:]:
    importlib.import_module(name)
print([name for name in heavy if name in sys.modules], opened)
"""


def modules() -> list[str]:
    return [
        module.name
        for package in (bot, ingest)
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        if not module.name.endswith("__main__")
    ]


def test_imports_point_downwards_only() -> None:
    pytest.importorskip("importlinter", reason="needs import-linter: pip install -e '.[dev]'")
    from importlinter.cli import lint_imports

    before = sys.path.copy()
    try:
        assert lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True) == 0
    finally:
        sys.path[:] = before
