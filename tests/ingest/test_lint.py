"""The rules for notes: each with what passes and what does not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from ingest import lint, pipeline
from ingest.notes import Corpus
from ingest.pipeline import IngestOptions
from ingest.reading import read_corpus
from tests.conftest import CorpusFactory
from tests.fakes import CorpusFolder, FakeEmbedder, prose, section

STAYS = prose("caching", 90)
OWN = ["What is caching?", "When does caching fail?"]


def messages(corpus: Corpus, window: int = 256) -> list[str]:
    return [p.message for p in lint.lint([corpus], FakeEmbedder().count_tokens, window)]


def body_messages(folder: CorpusFolder, body: str, **how: int) -> list[str]:
    folder.note("topics/x", body=body)
    return messages(read_corpus(folder.root), **how)


def test_a_valid_corpus_has_no_problems(corpus_folder: CorpusFactory) -> None:
    folder = corpus_folder()
    folder.note("topics/caching", "caching", "eviction", sources=["lu-2018", "gama-2014"])
    folder.note("framework/serve", "serving")
    folder.note("faq/how", "preparing")
    assert messages(read_corpus(folder.root)) == []


@pytest.mark.parametrize(
    ("asks", "count"),
    [(OWN[:1], 1), ([], 0), ([f"Question {n}?" for n in range(6)], 6)],
)
def test_a_section_lists_two_to_five_questions(
    corpus_folder: CorpusFactory, asks: Sequence[str], count: int
) -> None:
    (message,) = body_messages(corpus_folder(), section("caching", asks=asks))
    assert message.startswith(f"Caching: lists {count} questions; 2 to 5 belong under the heading")


@pytest.mark.parametrize("count", [2, 5])
def test_two_and_five_questions_are_enough(corpus_folder: CorpusFactory, count: int) -> None:
    asks = [f"Which is it, {name}?" for name in "abcde"[:count]]
    assert body_messages(corpus_folder(), section("caching", asks=asks)) == []


@pytest.mark.parametrize(("words", "faulty"), [(79, True), (80, False), (170, False), (171, True)])
def test_a_section_has_80_to_170_words(
    corpus_folder: CorpusFactory, words: int, faulty: bool
) -> None:
    body = section("caching", " ".join(["Caching", *["word"] * (words - 1)]))
    found = body_messages(corpus_folder(), body)
    assert found == ([f"Caching: has {words} words; 80 to 170 are a section"] if faulty else [])


def test_a_section_and_its_heading_fit_the_encoders_window(corpus_folder: CorpusFactory) -> None:
    folder = corpus_folder(empty=True)
    body = section("caching", " ".join(["Caching"] * 90))
    assert body_messages(folder, body, window=93) == []  # 90 words and "X > Caching"
    (message,) = body_messages(folder, body, window=92)
    assert message == "Caching: has 93 word pieces with its heading; the encoder reads 92"


@pytest.mark.parametrize("opening", ["It", "This"])
def test_a_section_does_not_begin_with_a_pronoun(
    corpus_folder: CorpusFactory, opening: str
) -> None:
    (message,) = body_messages(corpus_folder(), section("caching", f"{opening} keeps. {STAYS}"))
    assert message.startswith("Caching: begins with 'It' or 'This'")


def test_a_section_may_begin_with_a_word_that_begins_like_a_pronoun(
    corpus_folder: CorpusFactory,
) -> None:
    assert body_messages(corpus_folder(), section("caching", f"Items stay. {STAYS}")) == []


def test_nothing_stands_before_the_first_heading(corpus_folder: CorpusFactory) -> None:
    found = body_messages(corpus_folder(), f"An opening.\n\n{section('caching')}")
    assert found == ["text: stands before the first heading"]


def _figure(sentence: str) -> str:
    return section("caching", f"{STAYS} {sentence} Caching stays.")


@pytest.mark.parametrize(
    "sentence",
    [
        "Half of the requests take 12 ms.",
        "About 30 % of the entries are stale.",
    ],
)
def test_a_figure_without_a_source_is_a_problem(
    corpus_folder: CorpusFactory, sentence: str
) -> None:
    (message,) = body_messages(corpus_folder(), _figure(sentence))
    assert message == f"'{sentence} …' has a figure without a source"


def test_a_figure_without_a_source_is_found_on_its_line(corpus_folder: CorpusFactory) -> None:
    folder = corpus_folder(empty=True)
    folder.note("topics/x", body=section("caching", f"{STAYS}\nHalf take 12 ms.\n"))
    (problem,) = lint.lint([read_corpus(folder.root)], FakeEmbedder().count_tokens, 256)
    text = (folder.root / "topics/x.md").read_text().splitlines()
    assert "Half take 12 ms." in text[problem.line - 1]


@pytest.mark.parametrize(
    "sentence",
    [
        "A rule of thumb is 12 ms.",
        "Common rules of thumb are 12 and 20 ms.",
        "Suppose that requests take 12 ms.",
        "Assuming 40 requests a second, two replicas do.",
        "By arithmetic, 40 requests need two replicas.",
        "Then 3 × 4 replicas do.",
        "The model is called BERT-4 and runs on an A100.",
        "Precision@10 is read beside recall.",
        "Suppose that one request takes a while. Then 40 of them take 40 times as long.",
        "| a | table |\n|---|---|\n| with | 12 ms |\n\nCaching goes on.",
    ],
)
def test_a_figure_that_is_worked_out_or_part_of_a_name_needs_no_source(
    corpus_folder: CorpusFactory, sentence: str
) -> None:
    assert body_messages(corpus_folder(), _figure(sentence)) == []


def test_a_cited_figure_needs_nothing_more(corpus_folder: CorpusFactory) -> None:
    folder = corpus_folder()
    folder.source("gama-2014")
    body = _figure("Half of the requests take 12 ms [@gama-2014].")
    folder.note("topics/x", body=body, sources=["gama-2014"])
    assert messages(read_corpus(folder.root)) == []


def test_the_year_in_a_source_key_is_no_figure(corpus_folder: CorpusFactory) -> None:
    folder = corpus_folder()
    body = _figure("Nobody knows [@gama-2014].")
    folder.note("topics/x", body=body, sources=["gama-2014"])
    assert messages(read_corpus(folder.root)) == []


@pytest.mark.parametrize(
    "link",
    [
        "[elsewhere](https://example.org/a)",
        "[elsewhere](http://example.org/a#b)",
        "[a note](drift.md)",
        "[a section](drift.md#monitoring)",
        "[from above](../topics/drift.md)",
        "[another folder](../faq/how.md#preparing)",
        "[itself](#caching)",
        "![an image](picture.png)",
        "[with a title](drift.md 'a title')",
    ],
)
def test_a_link_that_leads_somewhere_is_no_problem(corpus_folder: CorpusFactory, link: str) -> None:
    folder = corpus_folder()
    folder.note("faq/how", "preparing")
    assert body_messages(folder, section("caching", f"{STAYS} See {link}.")) == []


def test_a_link_in_code_is_no_link(corpus_folder: CorpusFactory) -> None:
    body = section("caching", f"{STAYS}\n\n```python\nrows[key](gone.md)\n```\n")
    assert body_messages(corpus_folder(), body) == []


def test_a_link_after_code_is_found_on_its_line(corpus_folder: CorpusFactory) -> None:
    folder = corpus_folder(empty=True)
    body = section("caching", f"{STAYS}\n\n```\n[a](b.md)\n```\n\nSee [that](gone.md).")
    folder.note("topics/x", body=body)
    (problem,) = lint.lint([read_corpus(folder.root)], FakeEmbedder().count_tokens, 256)
    text = (folder.root / "topics/x.md").read_text().splitlines()
    assert "gone.md" in text[problem.line - 1]


def test_a_groups_notes_follow_no_house_rules(corpus_folder: CorpusFactory) -> None:
    folder = corpus_folder("group", empty=True)
    folder.note("notes/mine", body="It takes 12 ms.\n\n## Short\n\nThis is short.\n")
    assert messages(read_corpus(folder.root, "group")) == []
    assert len(messages(read_corpus(folder.root))) > 1


def test_a_groups_notes_still_need_links_and_sources_that_resolve(
    corpus_folder: CorpusFactory,
) -> None:
    folder = corpus_folder("group", empty=True)
    folder.note("notes/mine", body="See [that](other.md) and [@lu-2018].\n")
    folder.note("notes/second", body="See [that](mine.md).\n")
    assert messages(read_corpus(folder.root, "group")) == [
        "cites lu-2018, which its front matter does not list",
        "links to other.md, which is not a note",
    ]


def test_a_group_and_viva_may_have_notes_of_one_name(corpus_folder: CorpusFactory) -> None:
    ours, theirs = corpus_folder("ours"), corpus_folder("theirs")
    corpora = [read_corpus(ours.root), read_corpus(theirs.root, "group")]
    assert [note.id for corpus in corpora for note in corpus.notes] == [
        "topics/drift",
        "group:topics/drift",
    ]
    assert lint.lint(corpora, FakeEmbedder().count_tokens, 256) == []


def test_a_groups_link_never_leads_to_another_namespace(corpus_folder: CorpusFactory) -> None:
    ours, theirs = corpus_folder("ours"), corpus_folder("theirs", empty=True)
    theirs.note("topics/mine", body="See [that](drift.md).\n")
    corpora = [read_corpus(ours.root), read_corpus(theirs.root, "group")]
    (problem,) = lint.lint(corpora, FakeEmbedder().count_tokens, 256)
    assert problem.path == "theirs/topics/mine.md"


@pytest.fixture
def options(tmp_path: Path) -> IngestOptions:
    return IngestOptions({"": tmp_path / "corpus"}, tmp_path / "index", tmp_path / "cache")


def test_two_sections_that_say_the_same_are_a_problem_of_the_second(
    corpus_folder: CorpusFactory, embedder: FakeEmbedder, options: IngestOptions
) -> None:
    folder = corpus_folder()
    folder.note(
        "topics/drift-again",
        body=section("drift", prose("drift") + " Truly, nothing lasts.", ["So?", "Why?"]),
    )

    (problem,) = pipeline.check(options, embedder=embedder).problems

    text = (folder.root / "topics/drift.md").read_text().splitlines()
    assert (problem.path, text[problem.line - 1]) == ("corpus/topics/drift.md", "## Drift")
    assert problem.message.startswith("says what topics/drift-again#drift says (similarity ")


def test_misspelt_questions_are_a_problem_for_everybody(corpus_folder: CorpusFactory) -> None:
    folder = corpus_folder(empty=True)
    text = section("caching", asks=[]).replace("\n", "\n<!-- ask: What is caching? -->\n", 1)
    folder.note("topics/x", body=text)
    (problem,) = lint.lint([read_corpus(folder.root, "ours")], FakeEmbedder().count_tokens, 256)
    assert problem.message == "the questions are not read: write <!-- asks: … | … -->"


def test_a_question_is_asked_in_one_place(corpus_folder: CorpusFactory) -> None:
    folder = corpus_folder()
    folder.note("faq/drift", body=section("moving", asks=["what is drift", "What moves?"]))
    (message,) = messages(read_corpus(folder.root))
    assert message == "Drift: 'What is drift?' is asked in faq/drift#moving already"


def test_a_groups_sections_may_repeat_ours(
    corpus_folder: CorpusFactory, embedder: FakeEmbedder, options: IngestOptions
) -> None:
    corpus_folder()
    options.corpora["group"] = corpus_folder("group").root
    assert pipeline.check(options, embedder=embedder).problems == ()


def test_near_duplicates_are_those_above_the_threshold(corpus_folder: CorpusFactory) -> None:
    corpus = read_corpus(corpus_folder().root)
    first, second = "topics/drift#drift", "topics/drift#monitoring"
    close = lint.NEAR_DUPLICATE + 0.001
    vectors = {first: np.array([1.0, 0.0]), second: np.array([close, np.sqrt(1 - close**2)])}
    (problem,) = lint.near_duplicates([corpus], vectors)
    assert problem.message == "says what topics/drift#drift says (similarity 0.92)"

    far = lint.NEAR_DUPLICATE - 0.001
    vectors[second] = np.array([far, np.sqrt(1 - far**2)])
    assert lint.near_duplicates([corpus], vectors) == []


def test_one_section_alone_has_no_duplicate(corpus_folder: CorpusFactory) -> None:
    corpus = read_corpus(corpus_folder().root)
    assert lint.near_duplicates([corpus], {"topics/drift#drift": np.array([1.0])}) == []
    assert lint.near_duplicates([], {}) == []
