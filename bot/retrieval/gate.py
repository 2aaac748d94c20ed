"""Whether to answer: decided from retrieval's evidence, before anything is phrased.

A logistic model over four signals gives the probability that the notes answer the question.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp

from bot.domain.evidence import Evidence, Outcome, Signals, Verdict


@dataclass(frozen=True, slots=True)
class GateCoefficients:
    """The model and its two thresholds, fitted by `python -m benchmarks.fit_gate`."""

    intercept: float = -7.9
    asked: float = 6.22
    sentence: float = 4.97
    section: float = 1.32
    covered: float = 1.2
    answer_from: float = 0.3
    partial_from: float = 0.2


GATE = GateCoefficients()

UNKNOWN_SHARE = 1 / 3
"""Share of a question's terms, unknown to the notes, from which it is answered at most partly."""


def probability(signals: Signals, gate: GateCoefficients = GATE) -> float:
    """Return the probability, in [0, 1], that the notes answer, rounded to 0.01."""
    weighted = (
        gate.intercept
        + gate.asked * signals.asked
        + gate.sentence * signals.sentence
        + gate.section * signals.section
        + gate.covered * signals.covered
    )
    return round(1 / (1 + exp(-weighted)), 2)


def decide(evidence: Evidence, gate: GateCoefficients = GATE) -> Verdict:
    """Decide on one question: answer it, answer it partly, or refuse.

    A question with too many words that no note uses is about something else as well: calibrating a
    camera is not calibrating a classifier.
    """
    likely = probability(evidence.signals, gate) if evidence.passages else 0.0
    outcome: Outcome = "refused"
    if likely >= gate.answer_from:
        strange = len(evidence.unknown) >= UNKNOWN_SHARE * max(evidence.terms, 1)
        outcome = "partial" if evidence.unknown and strange else "answered"
    elif likely >= gate.partial_from:
        outcome = "partial"
    return Verdict(outcome, likely, evidence)
