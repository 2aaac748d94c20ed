"""Answering a question: evidence, the gate's decision, checked sentences, the whole answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from bot.agent import answerer
from bot.domain import questions
from bot.domain.answers import Answer, CitedSentence, Timings, render
from bot.domain.evidence import Evidence, Outcome, Section, Verdict
from bot.domain.ids import uuid7
from bot.domain.ports import Searcher
from bot.errors import ModelUnavailableError
from bot.retrieval.gate import decide
from bot.services.limits import checked_question

NOT_COVERED = (
    "The notes do not cover this question. They are about machine-learning system design and its "
    "interviews, in English."
)
MAX_PARTS = 4
_SUGGESTIONS = 3


@dataclass(frozen=True, slots=True)
class Consulted:
    """The sections that were read for an answer, before any sentence is sent."""

    sections: tuple[Section, ...]


Event = Consulted | CitedSentence | Answer


class AnswerService:
    """Answers questions from the notes. Clock and ids are parameters."""

    def __init__(
        self,
        searcher: Searcher,
        *,
        clock: Callable[[], float] = time.perf_counter,
        new_id: Callable[[], str] = uuid7,
    ) -> None:
        self._searcher = searcher
        self._clock = clock
        self._new_id = new_id

    async def ask(
        self, question: str, *, conversation: str | None = None, model: str = "none"
    ) -> Answer:
        """Return the whole answer. Raises `QuestionError` or `ModelUnavailableError`."""
        answer = None
        async for event in self.stream(question, conversation=conversation, model=model):
            if isinstance(event, Answer):
                answer = event
        assert answer is not None, "a stream ends with its answer"
        return answer

    async def stream(
        self, question: str, *, conversation: str | None = None, model: str = "none"
    ) -> AsyncIterator[Event]:
        """Yield what was consulted, then each sentence, then the answer that holds them all."""
        started = self._clock()
        _require_model(model)
        asked = checked_question(question)
        parts = questions.parts(asked)
        left, parts = parts[MAX_PARTS:], parts[:MAX_PARTS]
        evidence = await self._evidence(parts)
        retrieved = self._clock()
        verdicts = [answerer.supported(decide(found)) for found in evidence]
        gated = self._clock()
        yield Consulted(_consulted(verdicts))
        sentences: list[CitedSentence] = []
        first = gated
        for sentence in answerer.compose(verdicts):
            first = self._clock() if not sentences else first
            sentences.append(sentence)
            yield sentence
        yield Answer(
            id=self._new_id(),
            conversation=conversation or self._new_id(),
            generation=evidence[0].generation,
            question=asked,
            status=_status(verdicts, left),
            answer=render(sentences) if sentences else NOT_COVERED,
            sentences=tuple(cited.sentence for cited in sentences),
            citations=tuple(c for cited in sentences for c in cited.citations),
            uncovered=_uncovered(verdicts, left),
            suggestions=_suggestions(verdicts, asked),
            engine=answerer.ENGINE,
            timings_ms=Timings(
                retrieve=_ms(started, retrieved),
                gate=_ms(retrieved, gated),
                first_sentence=_ms(started, first),
                total=_ms(started, self._clock()),
            ),
        )

    async def _evidence(self, parts: Sequence[str]) -> list[Evidence]:
        """Return the evidence for each part, all from one generation."""
        while True:
            found = await asyncio.gather(*(self._searcher.evidence(part) for part in parts))
            if len({evidence.generation for evidence in found}) == 1:
                return found


def _require_model(model: str) -> None:
    if model != "none":
        raise ModelUnavailableError(
            f"The language model {model!r} is not part of this version.",
            repair="Leave --model out, or use --model none: answers are quoted from the notes.",
        )


def _status(verdicts: Sequence[Verdict], left: Sequence[str]) -> Outcome:
    outcomes = {verdict.outcome for verdict in verdicts}
    if outcomes == {"refused"}:
        return "refused"
    return "answered" if outcomes == {"answered"} and not left else "partial"


def _consulted(verdicts: Sequence[Verdict]) -> tuple[Section, ...]:
    read = {
        hit.section.id: hit.section
        for verdict in verdicts
        if verdict.outcome != "refused"
        for hit in verdict.evidence.hits
    }
    return tuple(read.values())


def _uncovered(verdicts: Sequence[Verdict], left: Sequence[str]) -> str:
    """Say what is not answered: by the notes, in part or at all, or because too much was asked."""
    said = []
    for verdict in verdicts:
        if verdict.outcome == "refused":
            said.append(f"Not covered by the notes: {verdict.evidence.question}")
        elif verdict.outcome == "partial":
            said.append(_touched(verdict))
    if left:
        said.append(f"More than {MAX_PARTS} questions at once; ask again: {' '.join(left)}")
    return " ".join(said)


def _touched(verdict: Verdict) -> str:
    """Say what a partly answered question asks beyond the notes: words that none of them uses."""
    if unknown := verdict.evidence.unknown:
        return f"The notes say nothing of {', '.join(unknown)}."
    return f"The notes touch this without fully answering it: {verdict.evidence.question}"


def _suggestions(verdicts: Sequence[Verdict], asked: str) -> tuple[str, ...]:
    """Return questions that the notes do answer, nearest first, without the one just asked."""
    related = (question for verdict in verdicts for question in verdict.evidence.related)
    other = (q for q in related if q.casefold().strip(" ?") != asked.casefold().strip(" ?"))
    return tuple(dict.fromkeys(other))[:_SUGGESTIONS]


def _ms(start: float, end: float) -> float:
    return round((end - start) * 1000, 1)
