from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.judges import Judge, RememberingEncoder, derangement, key_points
from tests.benchmarks.fakes import WordEncoder

POINT = "Leakage lets the label reach the features."


@pytest.fixture(params=["encoder and words", "words only"])
def judge(request: pytest.FixtureRequest) -> Judge:
    return Judge(WordEncoder() if request.param == "encoder and words" else None)


def test_an_answer_in_the_words_of_a_point_covers_it(judge: Judge) -> None:
    answer = ["Be careful with joins.", "Leakage means that labels reach features."]
    assert judge.covers(answer, POINT)


def test_an_answer_about_something_else_covers_nothing(judge: Judge) -> None:
    assert not judge.covers(["Shadow traffic shows latency."], POINT)
    assert not judge.covers([], POINT)


def test_function_words_do_not_cover_a_point(judge: Judge) -> None:
    assert not judge.covers(["The one is of the other, and it has been so."], POINT)


def test_a_verbatim_quote_supports_its_sentence(judge: Judge) -> None:
    assert judge.supports([POINT], POINT)


def test_a_quote_without_the_sentences_number_does_not_support_it(judge: Judge) -> None:
    quote = "A drift limit of 0.1 is usual for large windows."
    assert judge.supports([quote], "A drift limit of 0.1 is usual for large windows.")
    assert not judge.supports([quote], "A drift limit of 0.2 is usual for large windows.")


def test_a_foreign_quote_does_not_support_a_sentence(judge: Judge) -> None:
    assert not judge.supports(["Two towers embed users and items."], POINT)


def test_the_judge_says_when_words_alone_decide() -> None:
    assert "word overlap only" in Judge(None).name
    assert Judge(WordEncoder()).name == "words as directions and word overlap"


def test_texts_prepared_together_are_encoded_once() -> None:
    encoder = WordEncoder()
    judge = Judge(encoder)
    judge.prepare([POINT, POINT, "Calibration maps scores to rates."])
    judge.prepare([POINT])
    assert encoder.encoded == [POINT, "Calibration maps scores to rates."]


def test_remembered_vectors_are_those_of_the_encoder_and_are_not_made_again(tmp_path: Path) -> None:
    first, second = WordEncoder(), WordEncoder()
    texts = [POINT, "Calibration maps scores to rates.", POINT]
    made = RememberingEncoder(first, tmp_path / "v" / "judge.sqlite3").encode(texts)
    again = RememberingEncoder(second, tmp_path / "v" / "judge.sqlite3").encode(texts)
    assert np.array_equal(made, again)
    assert np.array_equal(made[0], made[2])
    assert second.encoded == []


def test_the_points_of_a_text_are_its_sentences_without_the_shortest() -> None:
    reference = "Not always. AUC measures rank order only. It is invariant to the scale (e.g. 0.5)."
    assert key_points(reference) == [
        "AUC measures rank order only.",
        "It is invariant to the scale (e.g. 0.5).",
    ]


def test_the_points_of_a_list_are_its_items_without_the_label() -> None:
    reference = "What it is really testing: Multi-stage ranking, recency, multi-objective scoring"
    assert key_points(reference) == ["Multi-stage ranking", "recency", "multi-objective scoring"]


def test_no_reference_has_no_points() -> None:
    assert key_points("") == []


@given(st.integers(2, 60), st.integers(0, 9))
def test_a_derangement_moves_everything_and_loses_nothing(count: int, seed: int) -> None:
    places = derangement(count, seed)
    assert sorted(places) == list(range(count))
    assert all(place != other for place, other in enumerate(places))
    assert places == derangement(count, seed)


def test_one_answer_cannot_be_exchanged() -> None:
    with pytest.raises(ValueError, match="no other"):
        derangement(1, seed=0)
