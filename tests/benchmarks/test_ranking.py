from math import log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.ranking import distinct, measures, ndcg, recall, reciprocal_rank


def test_ndcg_discounts_by_rank() -> None:
    gained = 1 / log2(3) + 1 / log2(5)  # relevant at ranks 2 and 4
    best = 1 / log2(2) + 1 / log2(3)
    assert ndcg(["x", "a", "y", "b"], {"a": 1, "b": 1}) == pytest.approx(gained / best)
    assert gained / best == pytest.approx(0.6509, abs=1e-4)


def test_ndcg_gains_are_the_relevance_itself() -> None:
    found = ndcg(["low", "high"], {"high": 3, "low": 1})
    assert found == pytest.approx((1 + 3 / log2(3)) / (3 + 1 / log2(3)))


def test_ndcg_is_one_for_the_best_order_and_zero_when_nothing_is_found() -> None:
    assert ndcg(["a", "b", "x"], {"a": 2, "b": 1}) == 1.0
    assert ndcg(["x", "y"], {"a": 1}) == 0.0
    assert ndcg([], {"a": 1}) == 0.0


def test_ndcg_does_not_look_below_its_depth() -> None:
    ranked = [*(f"x{n}" for n in range(10)), "a"]
    assert ndcg(ranked, {"a": 1}) == 0.0
    assert ndcg(ranked, {"a": 1}, depth=11) == pytest.approx(1 / log2(12))


def test_more_relevant_documents_than_the_depth_can_still_reach_one() -> None:
    relevant = {f"a{n}": 1.0 for n in range(20)}
    assert ndcg(list(relevant), relevant, depth=10) == 1.0


def test_recall_is_the_share_of_relevant_documents_found() -> None:
    ranked = ["a", "x", "b", "y", "z", "c"]
    assert recall(ranked, {"a": 1, "b": 1, "c": 1, "d": 1}, 5) == 0.5
    assert recall(ranked, {"a": 1, "b": 1, "c": 1, "d": 1}, 10) == 0.75


def test_reciprocal_rank_is_that_of_the_first_relevant_document() -> None:
    assert reciprocal_rank(["x", "b", "a"], {"a": 1, "b": 1}) == 0.5
    assert reciprocal_rank([*"0123456789", "a"], {"a": 1}) == 0.0


def test_measures_are_means_over_queries() -> None:
    found = measures({"q1": ["a"], "q2": ["x", "y"]}, {"q1": {"a": 1}, "q2": {"b": 1}})
    assert found == {"ndcg@10": 0.5, "recall@5": 0.5, "recall@10": 0.5, "mrr": 0.5}


def test_a_text_found_by_several_of_its_chunks_counts_once() -> None:
    assert distinct(["a", "b", "a", "c"], depth=2) == ["a", "b"]


@given(st.permutations(list("abcdef")), st.sets(st.sampled_from("abcdef"), min_size=1))
def test_moving_a_relevant_document_up_never_lowers_ndcg(
    ranked: list[str], relevant: set[str]
) -> None:
    qrels = dict.fromkeys(relevant, 1.0)
    before = ndcg(ranked, qrels)
    for place in range(1, len(ranked)):
        if ranked[place] in relevant:
            raised = ranked.copy()
            raised[place - 1], raised[place] = raised[place], raised[place - 1]
            assert ndcg(raised, qrels) >= before - 1e-12
    assert 0.0 <= before <= 1.0
