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

    intercept: float = -7.0
    asked: float = 5.99
    sentence: float = 3.97
    section: float = 1.3
    covered: float = 0.95
    answer_from: float = 0.33
    partial_from: float = 0.22


GATE = GateCoefficients()


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
    """Decide on one question: answer it, answer it partly, or refuse."""
    likely = probability(evidence.signals, gate) if evidence.passages else 0.0
    outcome: Outcome = "refused"
    if likely >= gate.answer_from:
        outcome = "answered"
    elif likely >= gate.partial_from:
        outcome = "partial"
    return Verdict(outcome, likely, evidence)
