"""No text is lost between a note and what is embedded and quoted of it."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingest.chunking import Chunk, chunk_note, embedded_text, section_id, split_text
from ingest.notes import Note, cited_keys, plain_text, split_lines
from ingest.reading import read_corpus
from tests.conftest import CorpusFactory

WINDOW = 24
HEAD = """\
---
id: topics/x
title: A title
kind: topic
phases: []
level: L4
summary: What to know.
updated: 2026-01-31
---
"""


def pieces(text: str) -> int:
    """Count as a word-piece tokenizer does: four characters a piece, two special tokens."""
    return 2 + sum(math.ceil(len(word) / 4) for word in text.split())


BLOCKS = st.one_of(
    st.text(max_size=60),
    st.lists(st.sampled_from(["Drift", "moves", "e.g.", "J. Gama", "it?", "Yes!", "3.5", "…"])).map(
        " ".join
    ),
    st.integers(1, 300).map("x".__mul__),
    st.sampled_from(
        [
            "## A heading",
            "# Top",
            "### A heading",
            "A setext heading\n---",
            "```python\nx = 1. Y = 2.\n\n## no heading\n```",
            "~~~\nopen fence",
            "| a | b |\n|---|---|\n| One. Two. | three |",
            "- One. Two.\n  - Three.\n- Four.",
            "1. First.\n2) Second.",
            "> Quoted. Twice.\n> And more.\n> > Deeper.",
            "- > Both. Ways.",
            "<!-- asks: Why? | When? -->",
            "<!-- a comment. That ends. -->",
            "<!-- a comment that never ends",
            "A claim [@gama-2014]. Another [@gama-2014; @lu-2018].",
            "    indented. Code.",
            "***",
            "Two lines\nof one. Sentence.",
            "Ende.  \tTabs.\u3000Wide.",
            "Plan A\u00a0. Plan B.",
            "日本語。文。 Ja?",
            "👩‍👩‍👧 Families. Joined.",
        ]
    ),
)
BODIES = st.tuples(
    st.lists(BLOCKS, max_size=8), st.sampled_from(["\n\n", "\n", "\r\n\r\n", "\r\n", "\r"])
).map(lambda parts: parts[1].join(parts[0]).replace("\0", ""))


@given(BODIES, st.integers(3, 40))
def test_the_pieces_of_a_text_join_to_it_and_fit_the_budget(text: str, budget: int) -> None:
    found = split_text(text, pieces, budget)
    assert "".join(found) == text
    assert all(pieces(plain_text(piece)) <= budget for piece in found)


@given(BODIES)
def test_a_text_that_fits_is_not_cut(text: str) -> None:
    assert split_text(text, pieces, 10**6) == ([text] if text else [])


def test_a_cut_falls_between_sentences() -> None:
    text = "One stays here. Two goes there. Three is last."
    assert split_text(text, pieces, 7) == ["One stays here. ", "Two goes there. ", "Three is last."]


def test_a_sentence_beyond_the_budget_is_cut_between_words() -> None:
    assert split_text("aaaa bbbb cccc dddd.", pieces, 4) == ["aaaa bbbb ", "cccc ", "dddd."]


def test_a_word_beyond_the_budget_is_cut_inside() -> None:
    assert split_text("x" * 16, pieces, 4) == ["x" * 8, "x" * 8]


@pytest.mark.parametrize("space", ["\u00a0", "\u2028", "\u3000", "\x85"])
def test_a_wide_space_before_a_full_stop_is_text_like_any_other(space: str) -> None:
    text = f"Choose plan A{space}. Then wait."
    assert "".join(split_text(text, pieces, 7)) == text


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("corpus")


def _note(folder: Path, body: str) -> Note | None:
    (folder / "x.md").write_bytes((HEAD + body).encode())
    corpus = read_corpus(folder)
    assert [p.message for p in corpus.problems] == ([] if corpus.notes else ["has no text"])
    return corpus.notes[0] if corpus.notes else None


@given(body=BODIES)
@example(body="")
@example(body="\r\n\r\n## A\r\n\r\nOne. Two.\r\n")
def test_chunks_are_the_sections_and_fit_the_window(folder: Path, body: str) -> None:
    if note := _note(folder, body):
        chunks = chunk_note(note, pieces, WINDOW)
        for section in note.sections:
            assert note.text[section.offset :].startswith(section.body)
            own = [chunk.text for chunk in chunks if chunk.section is section]
            assert "".join(own) == section.body
        assert all(pieces(chunk.embedded) <= WINDOW for chunk in chunks)


@given(body=BODIES)
def test_every_sentence_is_verbatim_at_its_place(folder: Path, body: str) -> None:
    if note := _note(folder, body):
        for sentence in _sentences(chunk_note(note, pieces, WINDOW)):
            end = sentence.offset + len(sentence.quote)
            assert note.text[sentence.offset : end] == sentence.quote
            assert sentence.quote == sentence.quote.strip()
            assert sentence.text
            assert note.line_of(sentence.offset) == _line(note.text, sentence.offset)


@given(body=BODIES)
def test_a_sentence_belongs_to_one_chunk_whatever_the_window(folder: Path, body: str) -> None:
    if note := _note(folder, body):
        whole = _sentences(chunk_note(note, pieces, 10**6))
        assert _sentences(chunk_note(note, pieces, WINDOW)) == whole
        assert [s.offset for s in whole] == sorted({s.offset for s in whole})


@given(body=BODIES)
def test_the_lines_of_a_chunk_hold_its_text(folder: Path, body: str) -> None:
    if note := _note(folder, body):
        lines = split_lines(note.text)
        assert "".join(lines) == note.text
        for chunk in chunk_note(note, pieces, WINDOW):
            first, last = chunk.lines
            assert 1 <= first <= last <= len(lines)
            assert chunk.text.strip() in "".join(lines[first - 1 : last])
        for section in note.sections:
            span = "".join(lines[section.first_line - 1 : section.last_line])
            assert section.body in span


@given(body=BODIES)
def test_no_two_chunks_share_an_id(folder: Path, body: str) -> None:
    if note := _note(folder, body):
        ids = [chunk.id for chunk in chunk_note(note, pieces, WINDOW)]
        assert len(set(ids)) == len(ids)


HEADINGS = st.lists(
    st.one_of(
        st.sampled_from(["A", "a", "A-1", "A 1", "A-1-1", "???", "!", "A!", "snake_case", "Ä é"]),
        st.from_regex(r"[A-Za-z0-9?!_ -]{1,8}", fullmatch=True),
    ).map(str.strip),
    min_size=1,
    max_size=8,
)


@given(headings=HEADINGS)
@example(headings=["A", "A", "A-1"])
@example(headings=["A-1", "A", "A"])
@example(headings=["???"])
def test_section_slugs_are_unique_and_those_of_github(folder: Path, headings: list[str]) -> None:
    headings = [heading for heading in headings if heading.strip("_- ")]
    body = "An opening.\n\n" + "".join(f"## {heading}\n\nText.\n\n" for heading in headings)
    note = _note(folder, body)
    assert note is not None
    chunks = chunk_note(note, pieces, WINDOW)
    assert len({chunk.id for chunk in chunks}) == len(headings) + 1
    named = [s.slug for s in note.sections[1:] if any(c.isalnum() for c in s.headings[-1])]
    expected = zip(headings, _github_slugs(headings), strict=True)
    assert named == [slug for heading, slug in expected if any(c.isalnum() for c in heading)]


def _github_slugs(headings: list[str]) -> list[str]:
    """Number repeated slugs as the package github-slugger does."""
    seen: dict[str, int] = {}
    slugs = []
    for heading in headings:
        kept = [c for c in heading.lower() if c.isalnum() or c in "-_ "]
        base = slug = "".join(kept).replace(" ", "-")
        while slug in seen:
            seen[base] += 1
            slug = f"{base}-{seen[base]}"
        seen[slug] = 0
        slugs.append(slug)
    return slugs


def test_prose_becomes_sentences_and_code_and_tables_do_not(folder: Path) -> None:
    note = _note(
        folder,
        "## Parts\n\nOne stands. Two stands\nhere [@gama-2014].\n\n[@lu-2018]\n\n"
        "- An item. And more.\n"
        "  1. A nested one.\n\n> A quote.\n\n```\nCode. Is code.\n```\n\n"
        "| A table. |\n|---|\n| Of cells. |\n\n<!-- A comment. -->\n",
    )
    assert note is not None
    sentences = _sentences(chunk_note(note, pieces, 10**6))
    assert [(s.quote, s.text, s.paragraph) for s in sentences] == [
        ("One stands.", "One stands.", 0),
        ("Two stands\nhere [@gama-2014].", "Two stands here.", 0),
        ("An item.", "An item.", 2),
        ("And more.", "And more.", 2),
        ("A nested one.", "A nested one.", 3),
        ("A quote.", "A quote.", 4),
    ]


def test_sections_know_their_heading_path_their_questions_and_their_lines(folder: Path) -> None:
    note = _note(
        folder,
        "\nAn opening.\n\n## First\n<!-- asks: Why? |  How\nso? | -->\n\nText.\n\n"
        "### Deeper\n\nMore.\n\n- # in a list\n\n> # in a quote\n"
        "\n## Empty\n\n## Second\n\nLast.\n",
    )
    assert note is not None
    assert [(s.heading, s.slug, s.asks, s.first_line, s.last_line) for s in note.sections] == [
        ("", "", (), 10, 11),
        ("First", "first", ("Why?", "How so?"), 13, 17),
        ("First > Deeper", "deeper", (), 19, 25),
        ("Second", "second", (), 29, 31),
    ]
    assert note.id == "topics/x"


def test_questions_alone_keep_a_section_but_make_no_chunk(folder: Path) -> None:
    note = _note(folder, "## Empty\n<!-- asks: Why? | When? -->\n")
    assert note is not None
    assert [section.asks for section in note.sections] == [("Why?", "When?")]
    assert chunk_note(note, pieces, WINDOW) == []


def test_a_chunk_is_embedded_with_its_heading_path_and_without_markers(folder: Path) -> None:
    note = _note(folder, "## Parts\n\nOne stands\n[@gama-2014]. <!-- hidden --> Two.\n")
    assert note is not None
    (chunk,) = chunk_note(note, pieces, WINDOW)
    assert chunk.embedded == "A title > Parts\nOne stands. Two."
    assert chunk.embedded == embedded_text(note.meta.title, note.sections[0])
    assert (chunk.id, chunk.lines) == ("topics/x#parts", (10, 13))


def test_a_long_section_becomes_numbered_parts(folder: Path) -> None:
    note = _note(folder, "## Parts\n\n" + "So it is now long.\n" * 5)
    assert note is not None
    chunks = chunk_note(note, pieces, WINDOW)
    assert [chunk.id for chunk in chunks] == [
        "topics/x#parts",
        "topics/x#parts~2",
        "topics/x#parts~3",
    ]
    assert [chunk.lines for chunk in chunks] == [(10, 13), (14, 15), (16, 16)]
    assert all(chunk.embedded.startswith("A title > Parts\n") for chunk in chunks)


def test_a_heading_path_beyond_half_the_window_is_left_out(folder: Path) -> None:
    note = _note(folder, f"## {'Long ' * 20}\n\nText.\n")
    assert note is not None
    (chunk,) = chunk_note(note, pieces, WINDOW)
    assert chunk.embedded == "Text."


def test_the_id_of_a_text_without_a_heading_is_that_of_its_note(folder: Path) -> None:
    note = _note(folder, "An opening.\n\n## First\n\nText.\n")
    assert note is not None
    assert [chunk.id for chunk in chunk_note(note, pieces, WINDOW)] == [
        "topics/x",
        "topics/x#first",
    ]
    assert section_id("g:x", note.sections[1], 2) == "g:x#first~3"


def test_a_groups_ids_carry_its_namespace(corpus_folder: CorpusFactory) -> None:
    (note,) = read_corpus(corpus_folder().root, "group").notes
    assert [chunk.id for chunk in chunk_note(note, pieces, 10**6)] == [
        "group:topics/drift#drift",
        "group:topics/drift#monitoring",
    ]


def test_citations_are_read_in_order_and_once() -> None:
    text = "One [@b-2]. Two [@a-1; @b-2]. Three [@c-3 ; @d-4], [link](x) and [@Not One]."
    assert cited_keys(text) == ["b-2", "a-1", "c-3", "d-4"]
    assert plain_text(text) == "One. Two. Three, [link](x) and [@Not One]."


def _sentences(chunks: list[Chunk]) -> list[object]:
    return [sentence for chunk in chunks for sentence in chunk.sentences]


def _line(text: str, offset: int) -> int:
    return text[:offset].replace("\r\n", "\n").replace("\r", "\n").count("\n") + 1
