"""Measures of a ranking against the documents known to be relevant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log2
from typing import Any

from benchmarks.datasets import Qrels

DEPTH = 10


def ndcg(ranked: Sequence[str], relevant: Mapping[str, float], depth: int = DEPTH) -> float:
    """Return the normalised discounted cumulative gain, in [0, 1].

    Gain is the relevance itself and the discount log2(rank + 1), as trec_eval has it
    (Järvelin and Kekäläinen, 2002).
    """
    gained = _discounted([relevant.get(key, 0.0) for key in ranked[:depth]])
    best = _discounted(sorted(relevant.values(), reverse=True)[:depth])
    return gained / best if best else 0.0


def recall(ranked: Sequence[str], relevant: Mapping[str, float], depth: int) -> float:
    """Return the share of the relevant documents that are among the first `depth`."""
    found = sum(key in ranked[:depth] for key in relevant)
    return found / len(relevant) if relevant else 0.0


def reciprocal_rank(
    ranked: Sequence[str], relevant: Mapping[str, float], depth: int = DEPTH
) -> float:
    """Return 1 / the rank of the first relevant document, 0 when it is not in the first `depth`."""
    ranks = (rank for rank, key in enumerate(ranked[:depth], 1) if key in relevant)
    return 1 / next(ranks, float("inf"))


def measures(rankings: Mapping[str, Sequence[str]], qrels: Qrels) -> dict[str, Any]:
    """Return the means over the queries that were ranked, rounded to 0.0001."""
    judged = [(ranked, qrels[query]) for query, ranked in rankings.items()]
    sums = {
        "ndcg@10": sum(ndcg(ranked, relevant) for ranked, relevant in judged),
        "recall@5": sum(recall(ranked, relevant, 5) for ranked, relevant in judged),
        "recall@10": sum(recall(ranked, relevant, 10) for ranked, relevant in judged),
        "mrr": sum(reciprocal_rank(ranked, relevant) for ranked, relevant in judged),
    }
    return {name: round(total / max(len(judged), 1), 4) for name, total in sums.items()}


def distinct(keys: Sequence[str], depth: int = DEPTH) -> list[str]:
    """Return the first `depth` different keys, in order."""
    return list(dict.fromkeys(keys))[:depth]


def _discounted(gains: Sequence[float]) -> float:
    return sum(gain / log2(rank + 1) for rank, gain in enumerate(gains, 1))
