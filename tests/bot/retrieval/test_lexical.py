"""Lexical search in memory."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from bot.retrieval.lexical import LexicalIndex, fragments, stems

TEXTS = {
    "calibration": "Platt scaling maps scores to probabilities; isotonic calibration needs data.",
    "drift": "Drift moves the distribution of inputs that a deployed model receives.",
    "ranking": "A ranker orders items; clicks are biased by position in the list.",
    "stores": "A feature store serves the same features to training and to serving.",
}


@pytest.fixture(scope="module")
def index() -> LexicalIndex:
    asked = ["Why are my probabilities off?", "What moved?", "How do I rank a catalogue?", ""]
    return LexicalIndex(list(TEXTS), list(TEXTS.values()), asked)


def best(scores: dict[str, float]) -> str:
    return max(scores, key=lambda key: scores[key])


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("position bias of clicks", "ranking"),
        ("feature store", "stores"),
        ("DRIFTING inputs", "drift"),
        ("which catalogue", "ranking"),  # only a question that the section answers says so
    ],
)
def test_words_find_what_says_them_in_any_inflection(
    index: LexicalIndex, query: str, found: str
) -> None:
    assert best(index.words(query, 4, None)) == found


@pytest.mark.parametrize("query", ["calibratoin", "recalibrated", "isotonc", "calibrating"])
def test_fragments_find_typing_errors_and_derivations(index: LexicalIndex, query: str) -> None:
    assert best(index.fragments(query, 4, None)) == "calibration"


def test_a_typing_error_is_not_found_by_words(index: LexicalIndex) -> None:
    assert index.words("calibratoin", 4, None) == {}


@pytest.mark.parametrize("query", ["", "the of and", "?!", "zzzzzzz"])
def test_a_query_of_unknown_words_finds_nothing(index: LexicalIndex, query: str) -> None:
    assert index.words(query, 4, None) == {}


def test_at_most_as_many_as_wanted_are_found(index: LexicalIndex) -> None:
    everything = index.fragments("the model serves features to training data", 4, None)
    one = index.fragments("the model serves features to training data", 1, None)

    assert len(everything) > 1
    assert one == {best(everything): max(everything.values())}


def test_more_than_there_are_may_be_wanted(index: LexicalIndex) -> None:
    assert index.words("drift", 4, None) == index.words("drift", 4000, None)


def test_what_filters_do_not_allow_is_not_found(index: LexicalIndex) -> None:
    query = "features drift ranker calibration"
    allowed = np.array([key in ("drift", "stores") for key in TEXTS])

    assert set(index.words(query, 4, None)) == set(TEXTS)
    assert set(index.words(query, 4, allowed)) == {"drift", "stores"}
    assert set(index.fragments(query, 4, allowed)) == {"drift", "stores"}
    assert index.words(query, 4, np.zeros(4, dtype=bool)) == {}


def test_a_filter_changes_no_score(index: LexicalIndex) -> None:
    allowed = np.array([key == "drift" for key in TEXTS])

    assert index.words("drift", 4, allowed) == index.words("drift", 4, None)


@pytest.mark.parametrize("texts", [[], ["the of"], [""]])
def test_an_index_without_words_finds_nothing(texts: list[str]) -> None:
    index = LexicalIndex([str(n) for n in range(len(texts))], texts, ["" for _ in texts])

    assert index.words("drift", 10, None) == {}
    assert index.coverage("drift", []) == 0.0
    assert index.unknown("drift") == (1, ("drift",))


def test_coverage_is_whole_when_every_term_is_used(index: LexicalIndex) -> None:
    assert index.coverage("Does the distribution of inputs drift?", ["drift"]) == 1.0


def test_a_term_that_no_record_uses_is_not_covered(index: LexicalIndex) -> None:
    assert 0.0 < index.coverage("Does Kafka drift?", ["drift", "stores"]) < 1.0


def test_words_that_no_record_uses_are_named_as_they_were_written(index: LexicalIndex) -> None:
    assert index.unknown("Does Kafka drift?") == (2, ("Kafka",))
    assert index.unknown("drifting inputs") == (2, ())


def test_unknown_words_stand_in_the_order_of_the_question_each_once(index: LexicalIndex) -> None:
    terms, unknown = index.unknown("Kafka, Flink or Spark for drift? Or kafka?")

    assert (terms, unknown) == (4, ("Kafka", "Flink", "Spark"))


def test_a_word_of_a_question_that_a_record_answers_is_known(index: LexicalIndex) -> None:
    assert index.unknown("catalogue") == (1, ())


def test_a_rare_word_weighs_more_than_a_common_one() -> None:
    texts = ["common alpha", "common beta", "common gamma", "common delta"]
    index = LexicalIndex(list("abcd"), texts, [""] * 4)

    assert index.coverage("common alpha", []) == 0.0
    assert 0.0 < index.coverage("common alpha", ["b"]) < 0.5


def test_a_question_that_a_section_lists_does_not_cover_its_words(index: LexicalIndex) -> None:
    """Or a section would seem to answer what it only asks."""
    assert index.coverage("catalogue", ["ranking"]) == 0.0


@pytest.mark.parametrize("query", ["", "the and of", "?"])
def test_a_query_without_terms_is_not_covered(index: LexicalIndex, query: str) -> None:
    assert index.coverage(query, ["drift"]) == 0.0
    assert index.unknown(query) == (0, ())


def test_many_threads_at_once_find_the_same_as_one(index: LexicalIndex) -> None:
    queries = [f"{one} {other}" for one in TEXTS for other in ("features", "model drift", "clicks")]

    def everything(query: str) -> object:
        words, parts = index.words(query, 4, None), index.fragments(query, 4, None)
        return words, parts, index.coverage(query, ["drift"])

    alone = [everything(query) for query in queries]
    with ThreadPoolExecutor(16) as threads:
        for _ in range(20):
            assert list(threads.map(everything, queries)) == alone


def test_stems_keep_how_a_word_was_written_and_drop_function_words() -> None:
    assert stems("How are the Models drifting?") == [("model", "Models"), ("drift", "drifting")]


def test_words_of_technology_stay_whole() -> None:
    assert [written for _, written in stems("Precision@10 of C++ code")] == [
        "Precision@10",
        "C++",
        "code",
    ]


def test_fragments_mark_where_a_word_begins_and_ends() -> None:
    assert fragments("drift") == ["#drif", "drift", "rift#"]
    assert fragments("AB") == ["#ab#"]
    assert fragments("") == []


@pytest.mark.parametrize(
    ("british", "other"),
    [
        ("quantisation", "quantization"),
        ("optimiser", "optimizer"),
        ("analysing", "analyzing"),
        ("behaviour", "behavior"),
        ("neighbourhoods", "neighborhoods"),
        ("labelled", "labeled"),
        ("modelling", "modeling"),
        ("catalogues", "catalogs"),
        ("centre", "center"),
        ("artefacts", "artifacts"),
        ("defence", "defense"),
        ("licence", "license"),
        ("practise", "practice"),
        ("programmes", "programs"),
        ("judgement", "judgment"),
    ],
)
def test_british_and_american_spelling_are_one(british: str, other: str) -> None:
    assert [stem for stem, _ in stems(british)] == [stem for stem, _ in stems(other)]
    assert fragments(british) == fragments(other)


def test_words_keep_how_they_were_written() -> None:
    assert [written for _, written in stems("Labelled Artefacts")] == ["Labelled", "Artefacts"]
