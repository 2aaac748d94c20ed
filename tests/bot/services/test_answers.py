"""Answering a question."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.answers import Answer, CitedSentence, render
from bot.domain.evidence import Evidence, Filters, Signals
from bot.domain.questions import MAX_QUESTION
from bot.errors import ModelUnavailableError, QuestionError
from bot.retrieval.retriever import NO_FILTERS
from bot.services.answers import NOT_COVERED, AnswerService, Consulted, Event
from tests.bot.fakes import (
    ANSWERED,
    PARTIAL,
    REFUSED,
    Clock,
    FakeSearcher,
    a_section,
    some_evidence,
)

DRIFT, METRICS = a_section("topics/drift#seeing-it"), a_section("topics/metrics#choosing")
WHAT, HOW, WHO = "What is data drift?", "How do I choose a metric?", "Who won the football cup?"


def found(question: str, signals: Signals, **more: object) -> Evidence:
    sections = {
        DRIFT: [("Drift moves the inputs.", 0.9), ("Alarms watch a window.", 0.7)],
        METRICS: [("A metric stands for a decision.", 0.85)],
    }
    return some_evidence(question, sections, signals=signals, **more)  # type: ignore[arg-type]


def service(*evidence: Evidence) -> AnswerService:
    ids = (f"id-{n}" for n in itertools.count(1))
    return AnswerService(FakeSearcher(*evidence), clock=Clock(), new_id=lambda: next(ids))


async def events(asked: AnswerService, question: str) -> list[Event]:
    return [event async for event in asked.stream(question)]


async def test_an_answer_holds_what_was_streamed() -> None:
    consulted, *sentences, answer = await events(service(found(WHAT, ANSWERED)), WHAT)

    assert consulted == Consulted((DRIFT, METRICS))
    assert isinstance(answer, Answer)
    assert answer.sentences == tuple(cited.sentence for cited in sentences)  # type: ignore[union-attr]
    assert answer.citations == tuple(c for cited in sentences for c in cited.citations)  # type: ignore[union-attr]
    assert answer.answer == render(sentences)  # type: ignore[arg-type]
    assert (answer.status, answer.uncovered, answer.degraded) == ("answered", "", None)
    assert (answer.question, answer.engine) == (WHAT, "extractive")
    assert len(sentences) == 3


EVIDENCE = st.builds(
    lambda texts, signals, related: some_evidence(
        "?",
        dict(zip((DRIFT, METRICS), texts, strict=False)),
        signals=signals,
        related=tuple(related),
    ),
    st.lists(
        st.lists(st.tuples(st.text("abc It.", min_size=1), st.floats(-0.2, 1)), max_size=6),
        max_size=2,
    ),
    st.sampled_from([ANSWERED, PARTIAL, REFUSED]),
    st.lists(st.sampled_from([WHAT, HOW, WHO])),
)


@given(st.lists(EVIDENCE, min_size=3, max_size=3))
async def test_streamed_or_whole_an_answer_is_the_same_and_keeps_its_promises(
    evidence: list[Evidence],
) -> None:
    laid_down = [replace(e, question=q) for e, q in zip(evidence, (WHAT, HOW, WHO), strict=True)]
    question = f"{WHAT} {HOW} {WHO}"

    streamed = await events(service(*laid_down), question)
    whole = await service(*laid_down).ask(question)
    answer = streamed[-1]

    assert isinstance(answer, Answer)
    # The clock moves with every sentence; all else is the same.
    assert answer == whole
    sentences = [event for event in streamed if isinstance(event, CitedSentence)]
    assert answer.sentences == tuple(cited.sentence for cited in sentences)
    assert answer.citations == tuple(c for cited in sentences for c in cited.citations)
    assert (answer.answer == NOT_COVERED) is not bool(sentences)
    assert (answer.status == "refused") is not bool(sentences)
    assert bool(answer.uncovered) is (answer.status != "answered")


async def test_strong_signals_without_a_sentence_to_quote_are_no_answer() -> None:
    """The question may be the notes' own, while no sentence comes near it."""
    evidence = some_evidence(WHAT, {DRIFT: [("Unrelated words.", 0.1)]}, signals=ANSWERED)

    answer = await service(evidence).ask(WHAT)

    assert answer.sentences == ()
    assert answer.status == "refused"
    assert WHAT in answer.uncovered


async def test_a_refused_question_gets_no_sentence_and_is_named() -> None:
    consulted, answer = await events(service(found(WHO, REFUSED, related=(WHAT, HOW))), WHO)

    assert consulted == Consulted(())
    assert isinstance(answer, Answer)
    assert (answer.status, answer.answer) == ("refused", NOT_COVERED)
    assert (answer.sentences, answer.citations) == ((), ())
    assert answer.uncovered == f"Not covered by the notes: {WHO}"
    assert answer.suggestions == (WHAT, HOW)


async def test_a_question_of_which_one_part_is_covered_is_answered_in_part() -> None:
    answer = await service(found(WHAT, ANSWERED), found(WHO, REFUSED)).ask(f"{WHAT} {WHO}")

    assert answer.status == "partial"
    assert answer.uncovered == f"Not covered by the notes: {WHO}"
    assert answer.sentences


@pytest.mark.parametrize(
    ("signals", "status"),
    [
        ((ANSWERED, ANSWERED), "answered"),
        ((ANSWERED, REFUSED), "partial"),
        ((ANSWERED, PARTIAL), "partial"),
        ((PARTIAL, REFUSED), "partial"),
        ((PARTIAL, PARTIAL), "partial"),
        ((REFUSED, REFUSED), "refused"),
    ],
)
async def test_the_status_of_several_questions_is_that_of_all(
    signals: tuple[Signals, Signals], status: str
) -> None:
    one, other = found(WHAT, signals[0]), found(HOW, signals[1])

    answer = await service(one, other).ask(f"{WHAT} {HOW}")

    assert answer.status == status
    assert bool(answer.uncovered) is (status != "answered")


async def test_what_a_partial_answer_lacks_are_the_words_that_no_note_uses() -> None:
    question = "Should I use Kafka for data drift?"
    evidence = found(question, PARTIAL, unknown=("use", "Kafka"))

    uncovered = (await service(evidence).ask(question)).uncovered

    assert uncovered == "The notes say nothing of use, Kafka."


async def test_a_partial_answer_that_lacks_no_word_repeats_the_question() -> None:
    answer = await service(found(WHAT, PARTIAL)).ask(WHAT)

    assert answer.uncovered == f"The notes touch this without fully answering it: {WHAT}"


async def test_an_answer_to_a_question_of_which_a_third_is_unknown_is_partial() -> None:
    answer = await service(found(WHAT, ANSWERED, terms=3, unknown=("data",))).ask(WHAT)

    assert answer.status == "partial"
    assert answer.uncovered == "The notes say nothing of data."
    assert answer.sentences


async def test_every_part_of_a_long_question_is_answered_or_named() -> None:
    asked = [f"How does part number {number}x work?" for number in range(5)]
    answer = await service(*(found(question, ANSWERED) for question in asked)).ask(" ".join(asked))

    assert answer.status != "answered"
    assert asked[-1] in answer.uncovered


async def test_suggestions_are_few_without_repeats_and_without_what_was_asked() -> None:
    related = ("what is data drift", WHAT, HOW, WHO, HOW, "What is PSI?", "What is CUSUM?")

    answer = await service(found(WHAT, ANSWERED, related=related)).ask(WHAT)

    assert answer.suggestions == (HOW, WHO, "What is PSI?")


async def test_a_question_is_cleaned_before_it_is_looked_for() -> None:
    searcher = FakeSearcher(found(WHAT, ANSWERED))
    answer = await AnswerService(searcher).ask(" What is\n\u200bdata \u202edrift? ")

    assert searcher.asked == [WHAT]
    assert answer.question == WHAT
    assert answer.status == "answered"


@pytest.mark.parametrize("question", ["", "   ", "?!", "\u200b\u200b", "\n\t", "…"])
async def test_an_empty_question_is_refused_with_what_to_do(question: str) -> None:
    with pytest.raises(QuestionError, match=r"empty.*viva ask"):
        await service().ask(question)


async def test_the_longest_question_is_taken_and_a_longer_one_is_not() -> None:
    assert (await service().ask("a" * MAX_QUESTION)).status == "refused"
    with pytest.raises(QuestionError, match=r"2001 characters; 2000 is the most.*Shorten"):
        await service().ask("a" * (MAX_QUESTION + 1))


async def test_length_is_that_of_what_is_seen() -> None:
    assert await service().ask("a" * MAX_QUESTION + "\u200b" * 100)


@pytest.mark.parametrize("model", ["local", "openai:gpt-5", ""])
async def test_a_model_that_is_not_there_is_an_error_with_what_to_do(model: str) -> None:
    with pytest.raises(ModelUnavailableError, match="--model none"):
        await service().ask(WHAT, model=model)


@pytest.mark.parametrize("question", ["", WHAT])
async def test_a_question_that_cannot_be_asked_fails_at_the_first_event(question: str) -> None:
    stream = service().stream(question, model="none" if not question else "local")

    with pytest.raises((QuestionError, ModelUnavailableError)):
        await anext(stream)


@pytest.mark.parametrize("signals", [ANSWERED, PARTIAL, REFUSED])
async def test_timings_are_those_of_the_clock_and_follow_each_other(signals: Signals) -> None:
    timings = (await service(found(WHAT, signals)).ask(WHAT)).timings_ms

    # The clock moves by 250 ms whenever it is read.
    assert timings.retrieve == 250.0
    assert timings.gate == 250.0
    assert timings.retrieve + timings.gate <= timings.first_sentence <= timings.total
    assert timings.total > 0


async def test_a_conversation_goes_on_or_begins() -> None:
    continued = await service(found(WHAT, ANSWERED)).ask(WHAT, conversation="mine")
    begun = await service(found(WHAT, ANSWERED)).ask(WHAT)

    assert (continued.id, continued.conversation) == ("id-1", "mine")
    assert (begun.id, begun.conversation) == ("id-1", "id-2")


async def test_an_answer_names_the_generation_that_it_rests_on() -> None:
    evidence = found(WHAT, ANSWERED)

    assert (await service(evidence).ask(WHAT)).generation == evidence.generation


class SwappingSearcher(FakeSearcher):
    """The index is swapped after the first evidence: later evidence quotes the new generation."""

    async def evidence(self, question: str, filters: Filters = NO_FILTERS) -> Evidence:
        first = not self.asked
        evidence = await super().evidence(question, filters)
        generation = "old" if first else "new"
        passages = (replace(p, quote=f"{p.quote} {generation}") for p in evidence.passages)
        return replace(evidence, generation=generation, passages=tuple(passages))


async def test_all_parts_of_an_answer_are_of_one_generation_when_a_swap_comes_between() -> None:
    ranking = some_evidence(HOW, {METRICS: [("A metric stands for a decision.", 0.85)]})
    searcher = SwappingSearcher(found(WHAT, ANSWERED), ranking)

    answer = await AnswerService(searcher).ask(f"{WHAT} {HOW}")

    assert answer.generation == "new"
    assert len(answer.citations) == 3
    assert all(citation.quote.endswith(" new") for citation in answer.citations)
    assert searcher.asked == [WHAT, HOW, WHAT, HOW]


async def test_a_question_of_one_part_is_looked_for_once() -> None:
    searcher = SwappingSearcher(found(WHAT, ANSWERED))

    assert (await AnswerService(searcher).ask(WHAT)).generation == "old"
    assert searcher.asked == [WHAT]
