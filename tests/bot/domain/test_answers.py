"""Answers as Markdown and as plain data."""

from __future__ import annotations

import json

from bot.agent.answerer import compose
from bot.domain.answers import CitedSentence, Sentence, render
from bot.domain.evidence import Verdict
from tests.bot.fakes import a_section, some_evidence


def said(text: str, paragraph: int, *numbers: int) -> CitedSentence:
    return CitedSentence(Sentence(text, numbers), (), paragraph)


def test_sentences_carry_their_markers_and_paragraphs_are_apart() -> None:
    markdown = render([said("One.", 0, 1), said("Two.", 0, 2, 3), said("Three.", 1, 4)])

    assert markdown == "One. [1] Two. [2] [3]\n\nThree. [4]"


def test_nothing_is_rendered_of_nothing() -> None:
    assert render([]) == ""


def test_a_streamed_sentence_is_plain_data_with_its_citations_in_full() -> None:
    evidence = some_evidence("What is drift?", {a_section(): [("Drift is a change.", 0.9)]})
    (sentence,) = compose([Verdict("answered", 0.9, evidence)])

    data = json.loads(json.dumps(sentence.to_dict()))

    assert data["text"] == "Drift is a change."
    (citation,) = data["citations"]
    assert citation["quote"] == "Drift is a change. [@gama-2014]"
    assert citation["lines"] == [4, 4]
    assert citation["sources"][0]["key"] == "gama-2014"
