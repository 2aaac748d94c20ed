"""The extractive answer."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.agent.answerer import FULL, PARTIAL, SHARED, compose, leans, select
from bot.domain.answers import CitedSentence
from bot.domain.evidence import Evidence, Outcome, Verdict
from tests.bot.fakes import a_section, some_evidence

FIRST, SECOND, THIRD, FOURTH = (a_section(f"topics/{name}#part") for name in "abcd")


def facts(count: int, cosine: float = 0.6, of: str = "fact") -> list[tuple[str, float]]:
    """Return sentences that share no word with each other."""
    return [(f"{of.capitalize()}{n} {of}x{n} {of}y{n}.", cosine) for n in range(count)]


def verdict(evidence: Evidence, outcome: Outcome = "answered") -> Verdict:
    return Verdict(outcome, 0.9, evidence)


def texts(*verdicts: Verdict) -> list[str]:
    return [cited.sentence.text for cited in compose(verdicts)]


def test_sentences_and_quotes_are_verbatim() -> None:
    evidence = some_evidence("?", {FIRST: facts(2)})
    passages = {passage.text: passage for passage in evidence.passages}

    for cited in compose([verdict(evidence)]):
        (citation,) = cited.citations
        passage = passages[cited.sentence.text]
        assert (citation.quote, citation.lines) == (passage.quote, passage.lines)
        assert (citation.note, citation.path) == (FIRST.note, FIRST.path)
        assert (citation.title, citation.heading) == (FIRST.title, FIRST.heading)
        assert citation.sources == passage.sources
        assert citation.support == 1.0


def test_the_best_section_gives_most_and_the_fourth_nothing() -> None:
    sections = {
        section: facts(6, of=name)
        for section, name in zip((FIRST, SECOND, THIRD, FOURTH), "klmn", strict=True)
    }
    chosen = select(some_evidence("?", sections), FULL)
    counts = [
        sum(passage.section == section for passage in chosen)
        for section in (FIRST, SECOND, THIRD, FOURTH)
    ]

    assert tuple(counts) == (*FULL.by_section, 0)


def test_the_nearest_sentences_are_taken_in_the_order_of_the_note() -> None:
    found = [("One a b.", 0.3), ("Two c d.", 0.9), ("Three e f.", 0.5), ("Four g h.", 0.8)]
    found += [("Five i j.", 0.35), ("Six k l.", 0.7), ("Seven m n.", 0.6), ("Eight o p.", 0.55)]

    chosen = select(some_evidence("?", {FIRST: found}), FULL)

    assert [passage.number for passage in chosen] == [1, 2, 3, 5, 6, 7]


def test_a_section_that_ranks_far_below_the_best_is_not_quoted() -> None:
    evidence = some_evidence("?", {FIRST: facts(1), SECOND: facts(1, of="k")}, scores=(1.0, 0.5))

    assert {passage.section for passage in select(evidence, FULL)} == {FIRST}


def test_a_sentence_of_another_section_must_come_near_the_best_one() -> None:
    sections = {FIRST: facts(1, 0.8), SECOND: [("Far g h.", 0.55), ("Near i j.", 0.65)]}

    assert [passage.text for passage in select(some_evidence("?", sections), FULL)][1:] == [
        "Near i j."
    ]


def test_a_sentence_that_has_nothing_to_do_with_the_question_is_not_quoted() -> None:
    found = [("Close a b.", 0.6), ("Remote c d.", 0.1)]

    assert texts(verdict(some_evidence("?", {FIRST: found}))) == ["Close a b."]


def test_a_section_that_is_about_the_question_answers_it_in_other_words() -> None:
    found = {FIRST: [("Remote c d.", 0.1), ("Farther e f.", 0.05)]}

    assert texts(verdict(some_evidence("?", found, cosine=0.55))) == ["Remote c d.", "Farther e f."]
    assert texts(verdict(some_evidence("?", found, cosine=0.54))) == []


def test_a_section_beside_the_best_must_still_say_something_near() -> None:
    found = {FIRST: facts(1, 0.6), SECOND: [("Remote g h.", 0.1)]}

    assert texts(verdict(some_evidence("?", found, cosine=0.9))) == ["Fact0 factx0 facty0."]


LEANING = [
    "It also costs money.",
    "This is why.",
    "These moved.",
    "However, nobody looks.",
    "For example, a sale.",
    "The second one is cheap.",
    "Another reason is time.",
    "They differ.",
    "Under such load, queues grow.",
    "Costs are therefore high.",
    "Alarms thus come late.",
    "Nobody hence looks.",
]


@pytest.mark.parametrize("leaning", LEANING)
def test_a_sentence_that_leans_brings_the_one_before_it(leaning: str) -> None:
    found = [("Filler p q.", 0.0), ("Antecedent a b.", 0.05), (leaning, 0.9)]

    assert texts(verdict(some_evidence("?", {FIRST: found}))) == ["Antecedent a b.", leaning]


@pytest.mark.parametrize("leaning", LEANING)
def test_what_leans_is_told(leaning: str) -> None:
    assert leans(leaning)


@pytest.mark.parametrize(
    "text", ["Drift moves the inputs.", "Under load, queues grow.", "Suchlike is rare."]
)
def test_what_stands_alone_is_told(text: str) -> None:
    assert not leans(text)


def test_a_chain_of_leaning_sentences_comes_whole() -> None:
    found = [("Base a b.", 0.0), ("It grows.", 0.0), ("This hurts.", 0.9)]

    assert texts(verdict(some_evidence("?", {FIRST: found}))) == [text for text, _ in found]


def test_a_chain_longer_than_the_quota_stays_out() -> None:
    found = [("Base a b.", 0.0), ("It grows c.", 0.0), ("This hurts d.", 0.9), ("Own e f.", 0.3)]

    assert texts(verdict(some_evidence("?", {FIRST: found}), "partial")) == ["Own e f."]


def test_a_leaning_sentence_without_an_antecedent_stays_out() -> None:
    """So begins the second part of a section that was cut to fit the encoder's window."""
    found = [("However, it costs money.", 0.9), ("Money is short.", 0.6)]

    assert texts(verdict(some_evidence("?", {FIRST: found}))) == ["Money is short."]


def test_a_leaning_sentence_is_never_parted_from_an_antecedent_that_was_quoted_before() -> None:
    one = some_evidence("?", {FIRST: [("Base a b.", 0.9), ("It grows.", 0.0)]})
    other = some_evidence("??", {FIRST: [("Base a b.", 0.5), ("It grows.", 0.9)]})
    between = some_evidence("???", {SECOND: [("Unlike p q.", 0.9)]})

    said = texts(verdict(one), verdict(between), verdict(other))

    assert "It grows." not in said or said[said.index("It grows.") - 1] == "Base a b."


def uncited(evidence: Evidence, *paragraphs: int) -> Evidence:
    """Return evidence whose sentences cite no source and stand in these paragraphs."""
    numbers = [*paragraphs, *(0 for _ in evidence.passages[len(paragraphs) :])]
    passages = (
        replace(passage, quote=passage.text, paragraph=paragraph)
        for passage, paragraph in zip(evidence.passages, numbers, strict=True)
    )
    return replace(evidence, passages=tuple(passages))


ASSUMED = "shop sells shoes."
WORKED_OUT = [
    (f"Suppose a {ASSUMED}", 0.0),
    ("Visitors come daily.", 0.0),
    ("Sales reach 200.", 0.9),
]


@pytest.mark.parametrize("assuming", ["Suppose a", "Now suppose a", "Assume a", "Imagine a"])
def test_a_figure_that_was_worked_out_brings_its_assumption_and_all_between(assuming: str) -> None:
    found = [(f"{assuming} {ASSUMED}", 0.0), *WORKED_OUT[1:]]

    assert texts(verdict(uncited(some_evidence("?", {FIRST: found})))) == [
        text for text, _ in found
    ]


def test_a_figure_whose_assumption_does_not_fit_stays_out() -> None:
    evidence = uncited(some_evidence("?", {FIRST: [*WORKED_OUT, ("Own e f.", 0.3)]}))

    assert texts(verdict(evidence, "partial")) == ["Own e f."]


def test_a_figure_of_a_source_needs_no_assumption() -> None:
    assert texts(verdict(some_evidence("?", {FIRST: WORKED_OUT}))) == ["Sales reach 200."]


def test_a_figure_of_another_paragraph_rests_on_no_assumption() -> None:
    evidence = uncited(some_evidence("?", {FIRST: WORKED_OUT}), 0, 0, 1)

    assert texts(verdict(evidence)) == ["Sales reach 200."]


def test_a_sentence_without_a_figure_may_leave_the_assumption() -> None:
    found = [*WORKED_OUT[:2], ("Sales reach a peak.", 0.9)]

    assert texts(verdict(uncited(some_evidence("?", {FIRST: found})))) == ["Sales reach a peak."]


def test_nothing_is_said_twice_in_one_answer() -> None:
    same = "Drift is a change in the inputs of a model."
    other = "Drift is a change in all the inputs of a model."
    evidence = some_evidence("?", {FIRST: [(same, 0.9)], SECOND: [(other, 0.85), ("X y z.", 0.8)]})

    assert texts(verdict(evidence)) == [same, "X y z."]


def test_a_sentence_that_answers_two_questions_is_quoted_once() -> None:
    found = {FIRST: facts(2)}

    assert len(texts(verdict(some_evidence("?", found)), verdict(some_evidence("??", found)))) == 2


def test_a_refused_question_contributes_nothing() -> None:
    evidence = some_evidence("?", {FIRST: facts(3)})

    assert texts(verdict(evidence, "refused")) == []
    assert texts(verdict(evidence, "refused"), verdict(evidence)) == texts(
        verdict(evidence), verdict(evidence, "refused")
    )


@pytest.mark.parametrize(("outcome", "length"), [("answered", FULL), ("partial", PARTIAL)])
def test_a_partial_answer_is_shorter(outcome: Outcome, length: object) -> None:
    sections = {FIRST: facts(9), SECOND: facts(9, of="k"), THIRD: facts(9, of="l")}
    said = texts(verdict(some_evidence("?", sections), outcome))

    assert len(said) == sum(length.by_section)  # type: ignore[attr-defined]
    assert sum(PARTIAL.by_section) < sum(SHARED.by_section) < sum(FULL.by_section)


def test_each_of_several_questions_gets_a_shorter_answer() -> None:
    one = some_evidence("?", {FIRST: facts(9), SECOND: facts(9, of="k")})
    other = some_evidence("??", {THIRD: facts(9, of="l"), FOURTH: facts(9, of="m")})

    assert len(texts(verdict(one), verdict(other))) == 2 * sum(SHARED.by_section)


def test_each_section_is_a_paragraph() -> None:
    one = some_evidence("?", {FIRST: facts(2), SECOND: facts(1, of="k")})
    other = some_evidence("??", {FIRST: facts(2), THIRD: facts(1, of="l")})

    said = compose([verdict(one), verdict(other)])

    # The repeated first section leaves no empty paragraph behind.
    assert [cited.paragraph for cited in said] == [0, 0, 1, 2]


SENTENCES = st.lists(
    st.tuples(
        st.builds(
            "{} {} {}.".format,
            st.sampled_from(["It", "However", "Drift", "Batch", "A model", "The second"]),
            st.text("abcdef", min_size=1, max_size=5),
            st.text("ghijkl", min_size=1, max_size=5),
        ),
        st.integers(-20, 100).map(lambda hundredths: hundredths / 100),
    ),
    max_size=8,
)
EVIDENCE = st.builds(
    lambda found, scores: some_evidence(
        "?",
        dict(zip((FIRST, SECOND, THIRD, FOURTH), found, strict=False)),
        scores=sorted(scores[: len(found)], reverse=True),
    ),
    st.lists(SENTENCES, max_size=4),
    st.lists(st.floats(0, 1), min_size=4, max_size=4),
)
VERDICTS = st.lists(
    st.builds(Verdict, st.sampled_from(["answered", "partial", "refused"]), st.just(0.5), EVIDENCE),
    max_size=4,
)


@given(VERDICTS)
def test_whatever_is_found_each_sentence_is_a_passage_and_has_its_number(
    verdicts: list[Verdict],
) -> None:
    said: list[CitedSentence] = list(compose(verdicts))
    allowed = {
        (passage.text, passage.quote, passage.section.note, passage.lines)
        for found in verdicts
        if found.outcome != "refused"
        for passage in found.evidence.passages
    }
    citations = [citation for cited in said for citation in cited.citations]

    assert [citation.n for citation in citations] == list(range(1, len(said) + 1))
    assert [cited.sentence.citations for cited in said] == [(n,) for n in range(1, len(said) + 1)]
    assert {
        (cited.sentence.text, c.quote, c.note, c.lines)
        for cited, c in zip(said, citations, strict=True)
    } <= allowed
    assert len({c.quote for c in citations}) == len(citations)


@given(EVIDENCE, st.sampled_from([FULL, SHARED, PARTIAL]))
def test_whatever_is_found_a_section_is_quoted_in_its_order_and_within_its_quota(
    evidence: Evidence, length: object
) -> None:
    chosen = select(evidence, length)  # type: ignore[arg-type]
    order = list(dict.fromkeys(passage.section.id for passage in chosen))
    quotas = length.by_section  # type: ignore[attr-defined]

    assert len(order) <= len(quotas)
    for section, quota in zip(order, quotas, strict=False):
        numbers = [passage.number for passage in chosen if passage.section.id == section]
        assert numbers == sorted(set(numbers))
        assert len(numbers) <= quota
    # Sections follow each other as they were ranked, none of them in two places.
    assert [passage.section.id for passage in chosen] == sorted(
        (passage.section.id for passage in chosen),
        key=[hit.section.id for hit in evidence.hits].index,
    )
