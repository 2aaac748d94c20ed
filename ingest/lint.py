"""What is checked of a corpus before it is built: `viva ingest --check`.

Structure is required of everybody's notes: keys, ids, sources and links that resolve. The editorial
rules (length, questions, figures, openings, near-duplicates) are those of the notes that ship with
Viva; a study group's own folder may ignore them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

import numpy as np
from markdown_it import MarkdownIt

from ingest.case_lint import lint_cases
from ingest.chunking import CountTokens, embedded_text, section_id
from ingest.embedding import Vectors
from ingest.errors import Problem
from ingest.notes import SOURCE_MARKER, Corpus, Note, Section, cited_keys, plain_text

WORDS = (80, 170)
_HTML = frozenset({"html_inline", "html_block"})
_BREAKS = frozenset({"softbreak", "hardbreak"})
ASKS = (2, 5)
NEAR_DUPLICATE = 0.92
"""Cosine of two sections above which they say the same."""

_FOLDERS = {"framework": "framework", "topic": "topics", "faq": "faq", "case": "cases"}
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
_FIGURE = re.compile(r"(?<![\w@.-])\d")
_ASSUMED = re.compile(r"\b(suppose|assum\w+|imagine|arithmetic)\b|[×=]", re.IGNORECASE)
_TABLE_ROW = re.compile(r"^[ \t]*\|.*$", re.MULTILINE)
_MISSPELT_ASKS = re.compile(r"<!--\s*ask(?!s:)\w*\s*:?", re.IGNORECASE)
_FILE_NAME = re.compile(r"[a-z0-9-]+(/[a-z0-9-]+)*")


def lint(corpora: Sequence[Corpus], count_tokens: CountTokens, window: int) -> list[Problem]:
    """Return every fault of some corpora, reading faults included, in the order of their places."""
    notes = {note.id: note for corpus in corpora for note in corpus.notes}
    problems = [problem for corpus in corpora for problem in corpus.problems]
    for corpus in corpora:
        problems += _repeated_ids(corpus)
        problems += _unused_sources(corpus)
        problems += [] if corpus.namespace else _repeated_asks(corpus)
        for note in corpus.notes:
            problems += _place(corpus, note)
            problems += _sources(corpus, note)
            problems += _links(note, notes)
            problems += _misspelt_asks(note)
            if not corpus.namespace:
                problems += _editorial(note, count_tokens, window)
    problems += lint_cases(corpora)
    return sorted(set(problems))


def near_duplicates(corpora: Sequence[Corpus], vectors: dict[str, Vectors]) -> list[Problem]:
    """Return the pairs of sections that say the same. `vectors`: section id to unit vector."""
    places = {
        section_id(note.id, section): (note, section)
        for corpus in corpora
        if not corpus.namespace
        for note in corpus.notes
        for section in note.sections
    }
    ids = [key for key in places if key in vectors]
    if len(ids) < 2:
        return []
    matrix = np.stack([vectors[key] for key in ids])
    cosines = np.triu(matrix @ matrix.T, k=1)
    problems = []
    for first, second in np.argwhere(cosines > NEAR_DUPLICATE):
        note, section = places[ids[second]]
        message = f"says what {ids[first]} says (similarity {cosines[first, second]:.2f})"
        problems.append(Problem(note.path, section.first_line, message))
    return problems


def _repeated_ids(corpus: Corpus) -> Iterator[Problem]:
    seen: dict[str, Note] = {}
    for note in corpus.notes:
        if note.id in seen:
            line = note.key_lines["id"]
            yield Problem(note.path, line, f"has the id of {seen[note.id].path}: {note.meta.id}")
        seen.setdefault(note.id, note)


def _repeated_asks(corpus: Corpus) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for note in corpus.notes:
        for section in note.sections:
            for ask in section.asks:
                place = section_id(note.id, section)
                other = seen.setdefault(ask.lower().rstrip("?! "), place)
                if other != place:
                    message = f"{section.heading}: '{ask}' is asked in {other} already"
                    yield Problem(note.path, section.first_line, message)


def _place(corpus: Corpus, note: Note) -> Iterator[Problem]:
    relative = PurePosixPath(note.path).relative_to(corpus.root.name).with_suffix("").as_posix()
    if note.meta.kind == "case" and relative.count("/") > 1:
        yield Problem(note.path, 1, "a case lies directly in cases/")
    elif not _FILE_NAME.fullmatch(relative):
        yield Problem(note.path, 1, "file and folder names are made of a-z, 0-9 and -")
    elif note.meta.id != relative:
        place = relative.removeprefix("cases/") if note.meta.kind == "case" else relative
        yield Problem(note.path, note.key_lines["id"], f"must have the id of its place: {place}")
    folder = _FOLDERS[note.meta.kind]
    if not corpus.namespace and not relative.startswith(f"{folder}/"):
        yield Problem(note.path, note.key_lines["kind"], f"a {note.meta.kind} belongs in {folder}/")


def _sources(corpus: Corpus, note: Note) -> Iterator[Problem]:
    declared = set(note.meta.sources)
    line = note.key_lines.get("sources", 1)
    for key in sorted(declared - corpus.sources.keys()):
        yield Problem(note.path, line, f"the source {key} is not in {corpus.sources_path}")
    for marker in SOURCE_MARKER.finditer(note.text, note.shown_from):
        for key in cited_keys(marker.group(0)):
            if key not in declared:
                where = note.line_of(marker.end())
                yield Problem(
                    note.path, where, f"cites {key}, which its front matter does not list"
                )
    for key in sorted(declared - set(cited_keys(note.shown_text))):
        yield Problem(note.path, line, f"lists the source {key} and never cites it")


def _unused_sources(corpus: Corpus) -> Iterator[Problem]:
    used = {key for note in corpus.notes for key in note.meta.sources}
    for key in sorted(corpus.sources.keys() - used):
        yield Problem(corpus.sources_path, corpus.source_lines[key], f"no note uses {key}")


def _misspelt_asks(note: Note) -> Iterator[Problem]:
    for found in _MISSPELT_ASKS.finditer(note.text, note.shown_from):
        message = "the questions are not read: write <!-- asks: … | … -->"
        yield Problem(note.path, note.line_of(found.start()), message)


def _links(note: Note, notes: dict[str, Note]) -> Iterator[Problem]:
    body = note.sections[0].offset
    parser = MarkdownIt("commonmark")
    # Links of every scheme are to be seen here: the parser would leave the bad ones as text.
    parser.validateLink = lambda url: True  # type: ignore[method-assign]
    for token in parser.parse(note.text[body:]):
        line = note.line_of(body) + (token.map[0] if token.map else 0)
        for piece in token.children or (token,):
            line += piece.type in _BREAKS
            if target := piece.attrGet("href"):
                for message in _link_faults(str(target), note, notes):
                    yield Problem(note.path, line, message)
            elif piece.type in _HTML and not piece.content.lstrip().startswith("<!--"):
                yield Problem(note.path, line, "holds raw HTML; Markdown and comments are allowed")


def _link_faults(target: str, note: Note, notes: dict[str, Note]) -> Iterator[str]:
    if re.match(r"[a-z][a-z0-9+.-]*:", target, re.IGNORECASE):
        if not target.lower().startswith(("http://", "https://")):
            yield f"links to {target}: only http and https are allowed"
        return
    path, _, anchor = target.partition("#")
    other = _linked_note(note, path, notes)
    if other is None:
        yield f"links to {target}, which is not a note"
    elif anchor and anchor not in {section.slug for section in other.sections}:
        yield f"links to {target}: no section is called {anchor}"


def _linked_note(note: Note, path: str, notes: dict[str, Note]) -> Note | None:
    if not path:
        return note
    parts = list(PurePosixPath(note.meta.id).parent.parts)
    for part in PurePosixPath(path).parts:
        if part == "..":
            if not parts:
                return None
            parts.pop()
        else:
            parts.append(part)
    found = "/".join(parts).removesuffix(".md")
    return notes.get(f"{note.namespace}:{found}" if note.namespace else found)


def _editorial(note: Note, count_tokens: CountTokens, window: int) -> Iterator[Problem]:
    for section in note.sections:
        for message in _section_faults(note, section, count_tokens, window):
            yield Problem(note.path, section.first_line, f"{section.heading or 'text'}: {message}")
        if note.meta.kind != "case":  # an outline works its figures out from the case's facts
            yield from _uncited_figures(note, section)


def _section_faults(
    note: Note, section: Section, count_tokens: CountTokens, window: int
) -> Iterator[str]:
    if not section.headings:
        yield "stands before the first heading"
        return
    if not ASKS[0] <= len(section.asks) <= ASKS[1]:
        yield (
            f"lists {len(section.asks)} questions; {ASKS[0]} to {ASKS[1]} belong under the heading "
            "as <!-- asks: … | … -->"
        )
    text = plain_text(section.body)
    if note.meta.kind != "case":  # a phase of an outline is as long as it must be, and is split
        pieces = count_tokens(embedded_text(note.meta.title, section))
        if pieces > window:
            yield f"has {pieces} word pieces with its heading; the encoder reads {window}"
        words = len(text.split())
        if not WORDS[0] <= words <= WORDS[1]:
            yield f"has {words} words; {WORDS[0]} to {WORDS[1]} are a section"
    if text.split(" ", 1)[0] in {"It", "This"}:
        yield "begins with 'It' or 'This': a section is quoted without what stands before it"


def _uncited_figures(note: Note, section: Section) -> Iterator[Problem]:
    """Yield the sentences with a figure that is neither cited, nor worked out, nor a rule of thumb.

    A section that states its assumptions may calculate from there on.
    """
    body = _TABLE_ROW.sub(lambda row: " " * len(row.group()), section.body)
    position = 0
    worked_out = False
    for end in [*(found.end() for found in _SENTENCE_END.finditer(body)), len(body)]:
        sentence = body[position:end]
        worked_out = worked_out or bool(_ASSUMED.search(sentence))
        bare = SOURCE_MARKER.sub("", sentence)
        excused = worked_out or "[@" in sentence or "rule of thumb" in sentence.lower()
        excused = excused or "rules of thumb" in sentence.lower()
        if _FIGURE.search(bare) and not excused:
            line = note.line_of(section.offset + position)
            start = " ".join(bare.split()[:8])
            yield Problem(note.path, line, f"'{start} …' has a figure without a source")
        position = end
