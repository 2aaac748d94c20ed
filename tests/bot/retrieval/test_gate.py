"""Whether to answer."""

from __future__ import annotations

from dataclasses import replace
from math import log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.evidence import Signals
from bot.retrieval.gate import GATE, UNKNOWN_SHARE, GateCoefficients, decide, probability
from tests.bot.fakes import ANSWERED, PARTIAL, REFUSED, a_section, some_evidence

COSINE = st.integers(-100, 100).map(lambda hundredths: hundredths / 100)
SHARE = st.integers(0, 100).map(lambda hundredths: hundredths / 100)
SIGNALS = st.builds(Signals, COSINE, COSINE, COSINE, SHARE)
NAMES = ("asked", "sentence", "section", "covered")


@given(SIGNALS, st.sampled_from(NAMES), SHARE)
def test_a_stronger_signal_never_makes_an_answer_less_likely(
    signals: Signals, name: str, more: float
) -> None:
    stronger = replace(signals, **{name: getattr(signals, name) + more})

    assert probability(stronger) >= probability(signals)


@pytest.mark.parametrize("name", NAMES)
def test_every_signal_counts(name: str) -> None:
    middle = Signals(0.5, 0.5, 0.5, 0.5)

    assert probability(replace(middle, **{name: 1.0})) > probability(middle)


@given(SIGNALS)
def test_a_probability_is_rounded_to_hundredths(signals: Signals) -> None:
    likely = probability(signals)

    assert 0.0 <= likely <= 1.0
    assert likely == round(likely, 2)


def test_the_extremes_are_decided_as_anybody_would() -> None:
    assert probability(Signals(1, 1, 1, 1)) > 0.9
    assert probability(Signals(0, 0, 0, 0)) < 0.05


@pytest.mark.parametrize(
    ("likely", "outcome"),
    [
        (round(GATE.partial_from - 0.01, 2), "refused"),
        (GATE.partial_from, "partial"),
        (round(GATE.answer_from - 0.01, 2), "partial"),
        (GATE.answer_from, "answered"),
        (0.9, "answered"),
    ],
)
def test_the_thresholds_belong_to_the_better_outcome(likely: float, outcome: str) -> None:
    # With these coefficients the probability is that of `asked` alone: its log-odds.
    gate = GateCoefficients(intercept=0, asked=1, sentence=0, section=0, covered=0)
    signals = Signals(log(likely / (1 - likely)), 0, 0, 0)
    evidence = some_evidence("?", {a_section(): [("Words.", 0.5)]}, signals=signals)
    verdict = decide(evidence, gate)

    assert verdict.probability == likely
    assert verdict.outcome == outcome
    assert verdict.evidence is evidence


def test_the_order_of_the_thresholds_leaves_room_for_partial_answers() -> None:
    assert 0 < GATE.partial_from < GATE.answer_from < 1


def test_without_a_sentence_to_quote_a_question_is_refused() -> None:
    verdict = decide(some_evidence("?", {}, signals=ANSWERED))

    assert (verdict.outcome, verdict.probability) == ("refused", 0.0)


def test_weak_evidence_is_refused() -> None:
    evidence = some_evidence("?", {a_section(): [("Words.", 0.1)]}, signals=REFUSED)

    assert decide(evidence).outcome == "refused"


@pytest.mark.parametrize(
    ("signals", "terms", "unknown", "outcome"),
    [
        (ANSWERED, 3, 0, "answered"),
        (ANSWERED, 3, 1, "partial"),
        (ANSWERED, 4, 1, "answered"),
        (ANSWERED, 6, 2, "partial"),
        (ANSWERED, 7, 2, "answered"),
        (ANSWERED, 1, 1, "partial"),
        (ANSWERED, 0, 0, "answered"),
        (PARTIAL, 3, 3, "partial"),
        (REFUSED, 3, 3, "refused"),
    ],
)
def test_a_question_of_which_a_third_is_unknown_is_answered_at_most_in_part(
    signals: Signals, terms: int, unknown: int, outcome: str
) -> None:
    evidence = some_evidence(
        "?",
        {a_section(): [("Words.", 0.5)]},
        signals=signals,
        terms=terms,
        unknown=tuple(f"word{number}" for number in range(unknown)),
    )

    assert pytest.approx(1 / 3) == UNKNOWN_SHARE
    assert decide(evidence).outcome == outcome
    assert decide(evidence).probability == probability(signals)
