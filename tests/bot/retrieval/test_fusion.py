"""Weighted fusion of scores."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.retrieval.fusion import FusionWeights, fuse, scale

KEYS = "abcdefgh"
SCORES = st.dictionaries(st.sampled_from(KEYS), st.integers(-20, 20).map(float), max_size=8)
WEIGHTS = st.tuples(st.integers(0, 5), st.integers(0, 5)).map(
    lambda tenths: FusionWeights(tenths[0] / 10, tenths[1] / 10)
)


def test_scaling_maps_the_worst_to_0_and_the_best_to_1() -> None:
    assert scale({"a": 3.0, "b": 5.0, "c": 4.0}) == {"a": 0.0, "b": 1.0, "c": 0.5}


def test_scores_that_do_not_differ_are_all_the_best() -> None:
    assert scale({"a": 3.0, "b": 3.0}) == {"a": 1.0, "b": 1.0}
    assert scale({"a": 3.0}) == {"a": 1.0}
    assert scale({}) == {}


@given(SCORES)
def test_scaling_keeps_the_order_and_stays_within_0_and_1(scores: dict[str, float]) -> None:
    scaled = scale(scores)

    assert scaled.keys() == scores.keys()
    assert all(0.0 <= score <= 1.0 for score in scaled.values())
    assert all(
        (scaled[one] <= scaled[other])
        for one in scores
        for other in scores
        if scores[one] <= scores[other]
    )


def test_the_default_weights_share_out_one_whole() -> None:
    weights = FusionWeights()

    assert weights.dense + weights.words + weights.fragments == pytest.approx(1.0)
    assert weights.dense > weights.words > 0
    assert weights.fragments > 0


def test_each_list_counts_by_its_weight() -> None:
    lists = {"a": 1.0, "z": 0.0}, {"b": 1.0, "z": 0.0}, {"c": 1.0, "z": 0.0}

    fused = dict(fuse(*lists, FusionWeights(words=0.3, fragments=0.1)))

    assert fused == pytest.approx({"a": 0.6, "b": 0.3, "c": 0.1, "z": 0.0})


def test_without_any_list_nothing_is_found() -> None:
    assert fuse({}, {}, {}, FusionWeights()) == []


def test_ties_are_in_the_order_of_ids() -> None:
    scores = {"b": 1.0, "c": 1.0, "a": 1.0, "d": 0.0}

    assert [key for key, _ in fuse(scores, {}, {}, FusionWeights())] == ["a", "b", "c", "d"]


@given(SCORES, SCORES, SCORES, WEIGHTS)
def test_every_record_of_a_list_is_ranked_once_with_a_score_in_0_to_1(
    dense: dict[str, float],
    words: dict[str, float],
    fragments: dict[str, float],
    weights: FusionWeights,
) -> None:
    fused = fuse(dense, words, fragments, weights)

    assert sorted(key for key, _ in fused) == sorted({*dense, *words, *fragments})
    assert all(0.0 <= score <= 1.0 + 1e-12 for _, score in fused)
    assert fused == sorted(fused, key=lambda item: (-item[1], item[0]))


@given(st.tuples(SCORES, SCORES, SCORES), WEIGHTS, st.data())
def test_raising_a_score_never_lowers_a_record(
    lists: tuple[dict[str, float], ...], weights: FusionWeights, data: st.DataObject
) -> None:
    which = data.draw(st.integers(0, 2))
    key = data.draw(st.sampled_from(sorted(lists[which]) or ["a"]))
    if key not in lists[which]:
        return
    raised = [dict(scores) for scores in lists]
    raised[which][key] += data.draw(st.integers(1, 30))

    def rank(given: tuple[dict[str, float], ...] | list[dict[str, float]]) -> int:
        return [found for found, _ in fuse(*given, weights)].index(key)

    assert rank(raised) <= rank(lists)
