from pathlib import Path

from benchmarks.retrieval import SYSTEMS, Task, measure, sweep
from benchmarks.temporary_index import passage_index
from tests.fakes import FakeEmbedder

PASSAGES = {
    "p1": "Drift of a model is a change of the inputs.",
    "p2": "Calibration of a model maps a score to an observed rate.",
    "p3": "Shadow traffic shows the latency of a candidate model.",
}


def task(tmp_path: Path) -> Task:
    return Task(
        texts=PASSAGES,
        queries={"q1": PASSAGES["p2"], "q2": PASSAGES["p3"]},
        qrels={"q1": {"p2": 1.0}, "q2": {"p3": 1.0}},
        index=lambda embedder: passage_index(PASSAGES, embedder, tmp_path),
        key=lambda hit: hit.section.id,
        sought=10,
    )


async def finds_nothing(query: str) -> list[str]:
    return []


async def test_passages_are_found_by_the_products_own_search(
    tmp_path: Path, embedder: FakeEmbedder
) -> None:
    given = task(tmp_path)
    with given.index(embedder) as store:
        found = await measure(given, store, embedder, {"nothing": finds_nothing})
    assert set(found) == {*SYSTEMS, "nothing"}
    assert found.pop("nothing")["ndcg@10"] == 0.0
    for figures in found.values():
        assert figures["ndcg@10"] == figures["recall@5"] == figures["mrr"] == 1.0
        assert figures["query_ms"] > 0


async def test_passages_are_embedded_bare_and_only_once(
    tmp_path: Path, embedder: FakeEmbedder
) -> None:
    given = task(tmp_path)
    with given.index(embedder):
        pass
    with given.index(embedder):
        pass
    assert sorted(embedder.encoded) == sorted(PASSAGES.values())


async def test_a_sweep_has_a_figure_for_each_pair_of_weights(
    tmp_path: Path, embedder: FakeEmbedder
) -> None:
    given = task(tmp_path)
    with given.index(embedder) as store:
        grid = await sweep(given, store, embedder)
    assert len(grid) == len(next(iter(grid.values()))) > 1
