"""How well the right passage is found: `python -m benchmarks.retrieval`.

On a BEIR folder every passage becomes a section of a generation; on questions about the notes the
notes are ingested, and the first section of a right note counts. Both go through the product's own
ingest and `Retriever.search`. Beside it, in the same run, stands the plain LangChain pipeline.
"""

from __future__ import annotations

import asyncio
import time
from argparse import Namespace
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import plain_langchain, reporting
from benchmarks.datasets import SHARED, Qrels, read_beir, read_questions
from benchmarks.ranking import DEPTH, distinct, measures
from benchmarks.temporary_index import notes_index, opened, passage_index
from bot.content import corpus_dir
from bot.domain.evidence import Hit, Vector
from bot.retrieval.fusion import FusionWeights
from bot.retrieval.retriever import Retriever
from bot.settings import load_settings
from ingest.embedding import BATCH, Embedder, open_embedder
from ingest.generations import GenerationStore
from ingest.weights import find_weights

SYSTEMS = {
    "words": FusionWeights(words=1.0, fragments=0.0),
    "fragments": FusionWeights(words=0.0, fragments=1.0),
    "lexical": FusionWeights(words=0.5, fragments=0.5),
    "dense": FusionWeights(words=0.0, fragments=0.0),
    "hybrid": FusionWeights(),
}

Search = Callable[[str], Awaitable[list[str]]]
"""Returns the keys found for a query, best first, each once."""

SWEPT = (0.0, 0.1, 0.15, 0.2, 0.3)
"""Weights of words and of fragments that `--sweep` combines."""


@dataclass(frozen=True, slots=True)
class Task:
    """What is searched and what should be found.

    `key` is what a hit counts as; `sought` hits are asked for, so that enough keys differ.
    """

    texts: dict[str, str]
    queries: dict[str, str]
    qrels: Qrels
    index: Callable[[Embedder], AbstractContextManager[GenerationStore]]
    key: Callable[[Hit], str]
    sought: int


class KnownVectors:
    """An encoder of queries whose vectors were computed before."""

    def __init__(self, vectors: Mapping[str, Vector]) -> None:
        self._vectors = vectors

    async def encode(self, text: str) -> Vector:
        """Return the vector of a known text."""
        return self._vectors[text]


def main() -> None:
    """Measure, and print."""
    arguments = _arguments()
    settings = load_settings()
    weights = find_weights(settings.embedding_model, settings.cache_dir)
    embedder = open_embedder(settings.embedding_model, settings.cache_dir)
    task = _task(arguments, settings.cache_dir)
    others: dict[str, Search] = {}
    if not (arguments.sweep or arguments.no_direct or arguments.questions):
        reporting.progress("Encoding every text for the exact search …")
        others["dense_direct"] = direct(task.texts, weights.path)
    if not (arguments.sweep or arguments.no_langchain):
        reporting.progress("Building the plain LangChain pipeline …")
        others["langchain"] = langchain(task, weights.path)
    reporting.progress(f"Indexing {len(task.texts)} texts (minutes, the first time) …")
    with task.index(embedder) as store:
        measured = (
            sweep(task, store, embedder)
            if arguments.sweep
            else measure(task, store, embedder, others)
        )
        result = asyncio.run(measured)
    title = f"{len(task.queries)} queries, {len(task.texts)} texts, {weights.name}"
    reporting.show(title, result, as_json=arguments.json)


async def measure(
    task: Task, store: GenerationStore, embedder: Embedder, others: Mapping[str, Search]
) -> dict[str, Any]:
    """Return the figures of each way to weigh the product's signals, and of what is beside it."""
    async with opened(store, embedder) as (shelf, encoder):
        own = {
            name: _search(task, Retriever(shelf, encoder, weights))
            for name, weights in SYSTEMS.items()
        }
        return await _compared(task, own | dict(others))


async def sweep(task: Task, store: GenerationStore, embedder: Embedder) -> dict[str, Any]:
    """Return nDCG@10 for a grid of fusion weights: a row for words, a column for fragments."""
    texts = list(task.queries.values())
    vectors = embedder.encode(texts)
    known = KnownVectors({text: v.tolist() for text, v in zip(texts, vectors, strict=True)})
    grid: dict[str, dict[str, float]] = {f"words {words}": {} for words in SWEPT}
    async with opened(store, embedder) as (shelf, _):
        for words, fragments in product(SWEPT, SWEPT):
            reporting.progress(f"Searching: words {words}, fragments {fragments} …")
            retriever = Retriever(shelf, known, FusionWeights(words, fragments))
            figures = await _compared(task, {"swept": _search(task, retriever)})
            grid[f"words {words}"][f"fragments {fragments}"] = figures["swept"]["ndcg@10"]
    return dict(grid)


def direct(texts: Mapping[str, str], weights: Path) -> Search:
    """Return an exact search over the encoder's own vectors, without any index."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(weights), device="cpu", local_files_only=True)
    vectors = model.encode(list(texts.values()), batch_size=BATCH, normalize_embeddings=True)
    keys = list(texts)

    async def search(query: str) -> list[str]:
        vector = model.encode([query], normalize_embeddings=True)[0]
        return [keys[row] for row in np.argsort(-(vectors @ vector), kind="stable")[:DEPTH]]

    return search


def langchain(task: Task, weights: Path) -> Search:
    """Return the plain pipeline's search: the texts of its nearest chunks, each once."""
    store = plain_langchain.build(task.texts, weights)

    async def search(query: str) -> list[str]:
        found = store.similarity_search(query, k=2 * task.sought)
        return distinct([document.metadata["id"] for document in found])

    return search


def _search(task: Task, retriever: Retriever) -> Search:
    async def search(query: str) -> list[str]:
        return distinct([task.key(hit) for hit in await retriever.search(query, task.sought)])

    return search


async def _compared(task: Task, searches: Mapping[str, Search]) -> dict[str, Any]:
    """Search with each in turn, query by query: what slows the machine then slows them all."""
    rankings: dict[str, dict[str, list[str]]] = {name: {} for name in searches}
    times: dict[str, list[float]] = {name: [] for name in searches}
    for query, text in task.queries.items():
        for name, search in searches.items():
            start = time.perf_counter()
            rankings[name][query] = await search(text)
            times[name].append((time.perf_counter() - start) * 1000)
    return {
        name: measures(rankings[name], task.qrels) | {"query_ms": reporting.median(times[name])}
        for name in searches
    }


def _task(arguments: Namespace, cache_dir: Path) -> Task:
    if arguments.questions:
        rows = [row for row in read_questions([arguments.questions]) if row.get("notes")]
        return Task(
            texts=plain_langchain.note_texts(corpus_dir()),
            queries={row["id"]: row["question"] for row in rows},
            qrels={row["id"]: dict.fromkeys(row["notes"], 1.0) for row in rows},
            index=lambda embedder: notes_index(embedder, cache_dir),
            key=lambda hit: hit.section.note,
            sought=5 * DEPTH,
        )
    data = read_beir(arguments.data, arguments.split)
    queries = dict(_first(data.queries.items(), arguments.queries))
    return Task(
        texts=data.passages,
        queries=queries,
        qrels=data.qrels,
        index=lambda embedder: passage_index(data.passages, embedder, cache_dir),
        key=lambda hit: hit.section.id,
        sought=DEPTH,
    )


def _first(items: Any, count: int | None) -> Iterator[Any]:
    for number, item in enumerate(items):
        if count is not None and number >= count:
            return
        yield item


def _arguments() -> Namespace:
    parser = reporting.parser(__doc__)
    parser.add_argument("--data", type=Path, default=SHARED / "mlquestions", help="a BEIR folder")
    parser.add_argument("--split", default="dev", help="of the BEIR folder")
    parser.add_argument("--questions", type=Path, help="questions about the notes, instead")
    parser.add_argument("--queries", type=int, help="only the first so many")
    parser.add_argument("--sweep", action="store_true", help="nDCG@10 for a grid of weights")
    parser.add_argument("--no-langchain", action="store_true", help="without the plain pipeline")
    parser.add_argument("--no-direct", action="store_true", help="without the exact search")
    return parser.parse_args()


if __name__ == "__main__":
    reporting.run(main)
