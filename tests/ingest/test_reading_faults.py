"""Each fault of a corpus is one `Problem` at its place, and a faulty corpus builds nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ingest import lint, pipeline
from ingest.errors import CorpusError, Problem
from ingest.pipeline import IngestOptions
from ingest.reading import read_corpus
from tests.conftest import CorpusFactory
from tests.fakes import CorpusFolder, FakeEmbedder, prose, section

NOTE = "topics/x.md"
HEAD = """\
---
id: topics/x
title: X
kind: topic
phases: [operate]
level: L4
summary: What to know about x.
updated: 2026-01-31
---
"""
BODY = f"\n{section('caching')}"  # its heading is line 11 of the file, its prose line 14


def head(old: str, new: str) -> str:
    assert old in HEAD
    return HEAD.replace(old, new) + BODY


def body(text: str) -> str:
    return HEAD + BODY + text  # `text` begins on line 15


Write = Callable[[CorpusFolder], object]


def writes(text: str | bytes, path: str = NOTE) -> Write:
    return lambda folder: folder.write(path, text)


def with_source(text: str) -> Write:
    """Write a note beside another one that uses the source gama-2014."""

    def write(folder: CorpusFolder) -> None:
        folder.note("faq/sources", "sources", sources=["gama-2014"])
        folder.write(NOTE, text)

    return write


def sources_file(text: str | bytes) -> Write:
    return writes(text, "sources.yaml")


def _link_out_of_the_corpus(folder: CorpusFolder) -> None:
    outside = folder.root.parent / "secret.md"
    outside.write_text(HEAD + BODY)
    (folder.root / NOTE).symlink_to(outside)


def _sources_link_out_of_the_corpus(folder: CorpusFolder) -> None:
    outside = folder.root.parent / "secret.yaml"
    outside.write_text("")
    (folder.root / "sources.yaml").symlink_to(outside)


def _sparse_file(folder: CorpusFolder) -> None:
    with (folder.root / NOTE).open("wb") as stream:
        stream.truncate(50_000_000)


SOURCE = """\
# a comment
gama-2014:
  title: A survey
  authors: João Gama
  year: 2014
  url: https://doi.org/10.1145/2523813
  kind: paper
  cited_for: What drift is.
"""
LISTED = "updated: 2026-01-31\nsources: [gama-2014]"  # the sources stand on line 9
CITED = f"{prose('caching')} The record is public [@gama-2014].\n"

FAULTS: dict[str, tuple[Write, str, int, str]] = {
    "a file without front matter": (writes(BODY.lstrip()), NOTE, 1, "has no front matter"),
    "an empty file": (writes(""), NOTE, 1, "has no front matter"),
    "front matter that never ends": (writes("---\nid: topics/x\n"), NOTE, 1, "never ends"),
    "empty front matter": (writes("---\n---\n" + BODY), NOTE, 2, "must be a YAML mapping"),
    "front matter that is a list": (writes("---\n- a\n---\n"), NOTE, 2, "must be a YAML mapping"),
    "a head without a text": (writes(HEAD), NOTE, 9, "has no text"),
    "an unknown key": (
        writes(head("level: L4", "level: L4\ncolour: red")),
        NOTE,
        7,
        "colour: is not a key that Viva knows",
    ),
    "a missing key": (writes(head("level: L4\n", "")), NOTE, 1, "level: field required"),
    "an unknown level": (writes(head("L4", "L9")), NOTE, 6, "level: input should be 'L4', 'L5'"),
    "an unknown phase": (writes(head("[operate]", "[operate, rest]")), NOTE, 5, "phases.1: input"),
    "an unknown kind": (writes(head("kind: topic", "kind: essay")), NOTE, 4, "kind: input should"),
    "an id in capitals": (writes(head("topics/x", "topics/X")), NOTE, 2, "id: is not of the form"),
    "an id that is a number": (writes(head("topics/x", "17")), NOTE, 2, "id: input should be"),
    "an empty title": (writes(head("title: X", "title: ''")), NOTE, 3, "title: string should have"),
    "a date that is none": (
        writes(head("2026-01-31", "soon")),
        NOTE,
        8,
        "updated: must be a date, such as",
    ),
    "a day that does not exist": (writes(head("01-31", "02-31")), NOTE, 2, "is not valid YAML"),
    "broken YAML": (writes(head("title: X", "title: [X")), NOTE, 4, "is not valid YAML"),
    "a control character in YAML": (
        writes(head("title: X", "title: X\x07")),
        NOTE,
        2,
        "is not valid YAML",
    ),
    "a YAML anchor": (writes(head("title: X", "title: &t X")), NOTE, 3, "anchors and aliases"),
    "a YAML alias": (writes(head("title: X", "title: *t")), NOTE, 3, "anchors and aliases"),
    "an anchored list": (writes(head("[operate]", "&p [operate]")), NOTE, 5, "anchors and aliases"),
    "a repeated key": (
        writes(head("level: L4", "level: L4\nkind: faq")),
        NOTE,
        7,
        "the key 'kind' stands twice",
    ),
    "a repeated key further in": (
        writes(head("[operate]", "[{a: 1, a: 2}]")),
        NOTE,
        5,
        "the key 'a' stands twice",
    ),
    "YAML nested a thousand deep": (
        writes(head("title: X", f"title: {'[' * 5_000}{']' * 5_000}")),
        NOTE,
        3,
        "nested too deeply",
    ),
    "bytes that are not UTF-8": (
        writes(body("").encode() + b"caf\xe9\n"),
        NOTE,
        15,
        "is not UTF-8 (byte 0xe9)",
    ),
    "a NUL": (writes(body("a\0b")), NOTE, 15, "holds a NUL"),
    "a file of 50 MB": (_sparse_file, NOTE, 1, "is 50.0 MB; a note is at most 1 MB"),
    "a link out of the corpus": (_link_out_of_the_corpus, NOTE, 1, "symbolic link out of"),
    "a link to itself": (
        lambda folder: (folder.root / NOTE).symlink_to("x.md"),
        NOTE,
        1,
        "symbolic link",
    ),
    "a link to nothing": (
        lambda folder: (folder.root / NOTE).symlink_to("gone.md"),
        NOTE,
        1,
        "cannot be read: No such file",
    ),
    "a folder called like a note": (
        lambda folder: (folder.root / NOTE).mkdir(),
        NOTE,
        1,
        "cannot be read: Is a directory",
    ),
    "an unknown source": (
        writes(head("updated: 2026-01-31", LISTED) + CITED),
        NOTE,
        9,
        "the source gama-2014 is not in corpus/sources.yaml",
    ),
    "an undeclared citation": (
        with_source(body(f"\n{prose('caching')}\n\nSo [@gama-2014].\n")),
        NOTE,
        18,
        "cites gama-2014, which its front matter does not list",
    ),
    "an undeclared citation among others": (
        with_source(head("updated: 2026-01-31", LISTED) + "So [@gama-2014; @lu-2018].\n"),
        NOTE,
        16,
        "cites lu-2018",
    ),
    "a source that is listed and not cited": (
        with_source(head("updated: 2026-01-31", LISTED)),
        NOTE,
        9,
        "lists the source gama-2014 and never cites it",
    ),
    "a source that no note uses": (
        sources_file(SOURCE),
        "sources.yaml",
        2,
        "no note uses gama-2014",
    ),
    "a dead link": (
        writes(body("See [that](gone.md).\n")),
        NOTE,
        15,
        "links to gone.md, which is not a note",
    ),
    "a link above the corpus": (
        writes(body("See [that](../../x.md).\n")),
        NOTE,
        15,
        "links to ../../x.md, which is not a note",
    ),
    "a dead anchor": (
        writes(body("See [that](drift.md#gone).\n")),
        NOTE,
        15,
        "links to drift.md#gone: no section is called gone",
    ),
    "a dead anchor of its own": (
        writes(body("See [that](#gone).\n")),
        NOTE,
        15,
        "no section is called gone",
    ),
    "a javascript link": (
        writes(body("See [that](javascript:alert`x`).\n")),
        NOTE,
        15,
        "only http and https are allowed",
    ),
    "a javascript link in capitals": (
        writes(body("See [that](JavaScript:alert`x`).\n")),
        NOTE,
        15,
        "only http and https are allowed",
    ),
    "a javascript link by reference": (
        writes(body("See [that][x].\n\n[x]: javascript:alert`x`\n")),
        NOTE,
        15,
        "only http and https are allowed",
    ),
    "a javascript link between angle brackets": (
        writes(body("See <javascript:alert>.\n")),
        NOTE,
        15,
        "only http and https are allowed",
    ),
    "raw HTML": (
        writes(body("See <a href='javascript:alert'>that</a>.\n")),
        NOTE,
        15,
        "raw HTML",
    ),
    "an id that is not the place": (
        writes(head("topics/x", "topics/y")),
        NOTE,
        2,
        "must have the id of its place: topics/x",
    ),
    "a kind in the wrong folder": (
        writes(head("kind: topic", "kind: faq")),
        NOTE,
        4,
        "a faq belongs in faq/",
    ),
    "a sources file that is not YAML": (
        sources_file("a: 1\nb: [\n"),
        "sources.yaml",
        3,
        "is not valid YAML",
    ),
    "a sources file that is a list": (
        sources_file("- a\n"),
        "sources.yaml",
        1,
        "must be a YAML mapping",
    ),
    "a sources file that is not UTF-8": (
        sources_file(b"a: 1\n\xff: 2\n"),
        "sources.yaml",
        2,
        "is not UTF-8",
    ),
    "a sources file elsewhere": (
        _sources_link_out_of_the_corpus,
        "sources.yaml",
        1,
        "symbolic link out of",
    ),
    "a source that stands twice": (
        sources_file(SOURCE + SOURCE),
        "sources.yaml",
        10,
        "the key 'gama-2014' stands twice",
    ),
    "a source key in capitals": (
        sources_file(SOURCE.replace("gama", "Gama")),
        "sources.yaml",
        2,
        "Gama-2014: is not of the form",
    ),
    "a source key that YAML reads as a truth value": (
        sources_file(SOURCE.replace("gama-2014", "on")),
        "sources.yaml",
        2,
        "",
    ),
    "a source behind a YAML merge key": (
        sources_file("<<: {lu-2018: none}\n"),
        "sources.yaml",
        1,
        "",
    ),
    "a source without fields": (
        sources_file("# none\nlu-2018:\n"),
        "sources.yaml",
        2,
        "lu-2018: input should be a valid dictionary",
    ),
    "a source without its address": (
        sources_file(SOURCE.replace("  url: https://doi.org/10.1145/2523813\n", "")),
        "sources.yaml",
        2,
        "gama-2014: url: field required",
    ),
    "a source with a javascript address": (
        sources_file(SOURCE.replace("https://doi.org/10.1145/2523813", "javascript:alert")),
        "sources.yaml",
        6,
        "gama-2014: url: URL scheme should be",
    ),
    "a source with an unknown key": (
        sources_file(SOURCE + "  colour: red\n"),
        "sources.yaml",
        9,
        "gama-2014: colour: is not a key that Viva knows",
    ),
    "a source of an unknown kind": (
        sources_file(SOURCE.replace("kind: paper", "kind: rumour")),
        "sources.yaml",
        7,
        "gama-2014: kind: input should be",
    ),
}


@pytest.fixture
def options(tmp_path: Path) -> IngestOptions:
    return IngestOptions({"": tmp_path / "corpus"}, tmp_path / "index", tmp_path / "cache")


@pytest.mark.parametrize(
    ("write", "path", "line", "message"),
    FAULTS.values(),
    ids=[name.replace(" ", "_") for name in FAULTS],
)
def test_a_fault_is_one_problem_at_its_place(
    corpus_folder: CorpusFactory,
    embedder: FakeEmbedder,
    options: IngestOptions,
    write: Write,
    path: str,
    line: int,
    message: str,
) -> None:
    write(corpus_folder())

    problems = pipeline.check(options, embedder=embedder).problems

    # A note of one sentence too many for the house rules is not what these cases are about.
    (problem,) = [found for found in problems if "words; 80 to 170" not in found.message]
    assert (problem.path, problem.line) == (f"corpus/{path}", line)
    assert message.lower() in problem.message.lower()


def test_a_faulty_note_leaves_the_index_as_it_was(
    corpus_folder: CorpusFactory, embedder: FakeEmbedder, options: IngestOptions
) -> None:
    folder = corpus_folder()
    built = pipeline.ingest(options, embedder=embedder)
    before = _files(options.index_dir)
    folder.write(NOTE, head("L4", "L9"))

    with pytest.raises(CorpusError) as raised:
        pipeline.ingest(options, embedder=embedder)

    assert [problem.path for problem in raised.value.problems] == [f"corpus/{NOTE}"]
    assert "1 problem in the notes; nothing was written" in str(raised.value)
    assert _files(options.index_dir) == before
    assert pipeline.open_store(options.index_dir).current() == built.generation


def test_a_faulty_corpus_builds_no_index(
    corpus_folder: CorpusFactory, embedder: FakeEmbedder, options: IngestOptions
) -> None:
    folder = corpus_folder()
    folder.write(NOTE, head("L4", "L9"))
    folder.write("topics/y.md", "")

    with pytest.raises(CorpusError, match="2 problems in the notes"):
        pipeline.ingest(options, embedder=embedder)

    assert pipeline.open_store(options.index_dir).current() is None
    assert [path.name for path in options.index_dir.iterdir()] == ["writer.lock"]
    assert embedder.encoded == []


def test_all_faults_are_reported_at_once_in_the_order_of_their_places(
    corpus_folder: CorpusFactory, embedder: FakeEmbedder, options: IngestOptions
) -> None:
    folder = corpus_folder()
    folder.write("topics/z.md", "")
    folder.write(NOTE, head("L4", "L9").replace("kind: topic", "kind: essay").replace("X", "''"))

    problems = pipeline.check(options, embedder=embedder).problems

    assert [(problem.path, problem.line) for problem in problems] == [
        ("corpus/topics/x.md", 3),
        ("corpus/topics/x.md", 4),
        ("corpus/topics/x.md", 6),
        ("corpus/topics/z.md", 1),
    ]


def test_two_notes_with_one_id_are_named_together(corpus_folder: CorpusFactory) -> None:
    folder = corpus_folder()
    folder.write("topics/y.md", (folder.root / "topics/drift.md").read_bytes())

    messages = _lint(folder.root)

    assert Problem(
        "corpus/topics/y.md", 2, "has the id of corpus/topics/drift.md: topics/drift"
    ) in (messages)
    assert Problem("corpus/topics/y.md", 2, "must have the id of its place: topics/y") in messages


def test_a_corpus_that_is_not_a_folder_is_a_problem(
    tmp_path: Path, embedder: FakeEmbedder, options: IngestOptions
) -> None:
    with pytest.raises(CorpusError) as raised:
        pipeline.check(options, embedder=embedder)
    assert raised.value.problems == (Problem(str(tmp_path / "corpus"), 1, "is not a folder"),)


def test_a_group_whose_folder_is_missing_is_named_with_its_namespace(
    tmp_path: Path, corpus_folder: CorpusFactory, embedder: FakeEmbedder, options: IngestOptions
) -> None:
    corpus_folder()
    options.corpora["group"] = tmp_path / "gone"
    with pytest.raises(CorpusError) as raised:
        pipeline.ingest(options, embedder=embedder)
    assert raised.value.problems[0].path == f"group={tmp_path / 'gone'}"


def test_a_namespace_that_cannot_be_part_of_an_id_is_a_problem(
    corpus_folder: CorpusFactory,
) -> None:
    (problem,) = read_corpus(corpus_folder().root, "My Group").problems
    assert problem.message == "the namespace 'My Group' is not a-z, 0-9 and -"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_note_that_may_not_be_read_is_a_problem(corpus_folder: CorpusFactory) -> None:
    folder = corpus_folder()
    folder.write(NOTE, HEAD + BODY).chmod(0)
    (problem,) = read_corpus(folder.root).problems
    assert problem == Problem(f"corpus/{NOTE}", 1, "cannot be read: Permission denied")


def test_readmes_and_hidden_folders_are_not_notes(corpus_folder: CorpusFactory) -> None:
    folder = corpus_folder()
    folder.write("README.md", "How to write a note.")
    folder.write("topics/README.md", "What belongs here.")
    folder.write(".obsidian/x.md", "settings")
    folder.write("topics/.draft.md", "later")

    corpus = read_corpus(folder.root)

    assert [note.id for note in corpus.notes] == ["topics/drift"]
    assert corpus.problems == ()


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
@pytest.mark.parametrize("start", ["", "\ufeff"], ids=["bare", "bom"])
def test_line_ends_and_a_byte_order_mark_change_neither_lines_nor_sections(
    corpus_folder: CorpusFactory, ending: str, start: str
) -> None:
    folder = corpus_folder(empty=True)
    text = start + (HEAD + BODY + section("indexing")).replace("\n", ending)
    folder.write(NOTE, text)

    corpus = read_corpus(folder.root)

    assert corpus.problems == ()
    (note,) = corpus.notes
    assert note.text == text
    assert [(s.slug, s.first_line, s.last_line) for s in note.sections] == [
        ("caching", 11, 14),
        ("indexing", 15, 18),
    ]
    assert note.sections[0].asks == ("What is caching?", "When does caching fail?")


def _lint(root: Path) -> list[Problem]:
    return lint.lint([read_corpus(root)], FakeEmbedder().count_tokens, 256)


def _files(folder: Path) -> dict[str, int]:
    """Return every file below a folder, with the time of its last change."""
    return {
        path.relative_to(folder).as_posix(): path.stat().st_mtime_ns
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "writer.lock"
    }
