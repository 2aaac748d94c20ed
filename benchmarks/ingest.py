"""How fast notes are ingested: `python -m benchmarks.ingest`.

The product's ingest and the bare encoder take turns over the same texts in this process, models
loaded beforehand. Memory, and ingests of what did not change, are measured in processes of their
own, as a person runs them. Every vector is computed afresh: caches are temporary.
"""

from __future__ import annotations

import multiprocessing
import shutil
import tempfile
import time
from argparse import Namespace
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import reporting
from benchmarks.datasets import MissingSetError
from bot.content import corpus_dir
from bot.settings import load_settings
from bot.wiring import quiet_libraries
from ingest import pipeline
from ingest.embedding import BATCH, Embedder, Fingerprint, Precision, Vectors, open_embedder
from ingest.pipeline import IngestOptions
from ingest.weights import find_weights

REPEATS = 3
ADDED = "\nA gauge that nobody reads measures nothing.\n"


@dataclass(frozen=True, slots=True)
class Rate:
    """Texts a second of time passed, and a second of processor time."""

    wall: float
    cpu: float


class Stopwatch:
    """Measures from when it is made; processor time is that of all threads of this process."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def rate(self, texts: int) -> Rate:
        """Return the rate at which texts were handled since."""
        wall, cpu = time.perf_counter() - self._wall, time.process_time() - self._cpu
        return Rate(texts / wall, texts / cpu)


class Recorder:
    """An embedder that remembers the texts which the product had embedded."""

    def __init__(self, embedder: Embedder) -> None:
        self.texts: list[str] = []
        self._embedder = embedder

    @property
    def fingerprint(self) -> Fingerprint:
        """The embedder's."""
        return self._embedder.fingerprint

    def count_tokens(self, text: str) -> int:
        """Return the word pieces of a text."""
        return self._embedder.count_tokens(text)

    def encode(self, texts: Sequence[str], precision: Precision = "float32") -> Vectors:
        """Return one unit vector a text."""
        self.texts += texts
        return self._embedder.encode(texts, precision)

    def fastest_precision(self, texts: Sequence[str]) -> Precision:
        """Return the precision that the embedder chooses."""
        return self._embedder.fastest_precision(texts)


def main() -> None:
    """Measure, and print."""
    arguments = _arguments()
    corpus: Path = arguments.corpus.resolve()
    if not corpus.is_dir():
        raise MissingSetError(f"There is no corpus at {corpus}; name one with --corpus.")
    settings = load_settings()
    weights = find_weights(settings.embedding_model, settings.cache_dir).path
    result = alone(corpus, str(weights)) | rates(corpus, weights, arguments.repeats)
    reporting.show(f"{corpus.name}, {arguments.repeats} repeats", result, as_json=arguments.json)


def rates(corpus: Path, weights: Path, repeats: int) -> dict[str, Any]:
    """Return the rates of the product and of the bare encoder over the same texts."""
    from sentence_transformers import SentenceTransformer

    bare = SentenceTransformer(str(weights), device="cpu", local_files_only=True)
    recorder = Recorder(open_embedder(str(weights), Path()))
    bare.encode(["warm up"])
    recorder.encode(["warm up"])
    product: list[Rate] = []
    encoder: list[Rate] = []
    for repeat in range(repeats):
        reporting.progress(f"Ingest and encoder, repeat {repeat + 1} of {repeats} …")
        recorder.texts.clear()
        with tempfile.TemporaryDirectory(prefix="viva-benchmark-") as folder:
            options = _options(corpus, Path(folder), str(weights))
            watch = Stopwatch()
            report = pipeline.ingest(options, embedder=recorder)
            product.append(watch.rate(report.embedded))
        watch = Stopwatch()
        bare.encode(recorder.texts, batch_size=BATCH, normalize_embeddings=True)
        encoder.append(watch.rate(len(recorder.texts)))
    pairs = list(zip(product, encoder, strict=True))
    return {
        "texts": report.embedded,
        "computed_in": report.computed_in,
        "texts_per_second": reporting.median([rate.wall for rate in product]),
        "encoder_texts_per_second": reporting.median([rate.wall for rate in encoder]),
        "ratio": reporting.median([ours.wall / bare.wall for ours, bare in pairs]),
        "cpu_ratio": reporting.median([ours.cpu / bare.cpu for ours, bare in pairs]),
        "runs": [[round(ours.wall, 1), round(bare.wall, 1)] for ours, bare in pairs],
    }


def alone(corpus: Path, weights: str) -> dict[str, Any]:
    """Return time and memory of ingests in processes of their own, imports and loading included."""
    with tempfile.TemporaryDirectory(prefix="viva-benchmark-") as folder:
        copy = Path(folder) / corpus.name
        shutil.copytree(corpus, copy)
        options = _options(copy, Path(folder), weights)
        reporting.progress("Ingest in a process of its own: everything …")
        first_s, peak_mb = _in_own_process(options)
        reporting.progress("… nothing changed …")
        unchanged_s, _ = _in_own_process(options)
        note = sorted(path for path in copy.rglob("*.md") if path.name != "README.md")[0]
        with note.open("a", encoding="utf-8") as stream:
            stream.write(ADDED)
        reporting.progress("… one note changed …")
        one_changed_s, _ = _in_own_process(options)
    return {
        "first_s": first_s,
        "unchanged_s": unchanged_s,
        "one_changed_s": one_changed_s,
        "peak_mb": peak_mb,
    }


def _options(corpus: Path, folder: Path, weights: str) -> IngestOptions:
    return IngestOptions({"": corpus}, folder / "index", folder / "cache", weights)


def _in_own_process(options: IngestOptions) -> tuple[float, float]:
    # A forked child would begin with the memory of this process.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_ingest_once, options).result()


def _ingest_once(options: IngestOptions) -> tuple[float, float]:
    """Ingest, and return the seconds it took and the process's peak memory in MB."""
    quiet_libraries()
    start = time.perf_counter()
    pipeline.ingest(options)
    return round(time.perf_counter() - start, 2), _peak_mb()


def _peak_mb() -> float:
    """Return the most memory that was resident.

    On Linux getrusage also counts what the parent held before the child's program was loaded.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(s for s in status.read_text().splitlines() if s.startswith("VmHWM:"))
        return round(int(line.split()[1]) * 1024 / 1e6)
    import psutil

    memory = psutil.Process().memory_info()
    if hasattr(memory, "peak_wset"):
        return round(memory.peak_wset / 1e6)
    import resource

    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)


def _arguments() -> Namespace:
    parser = reporting.parser(__doc__)
    parser.add_argument("--corpus", type=Path, default=corpus_dir(), help="a folder of notes")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="of each rate")
    return parser.parse_args()


if __name__ == "__main__":
    reporting.run(main)
