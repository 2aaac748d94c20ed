"""Cut sections into chunks that fit the encoder's window, and chunks into sentences.

An encoder reads a fixed number of word pieces and silently drops the rest, so the cut is made by
its own tokenizer. No character is lost: the chunks of a section, joined, are its body.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from markdown_it import MarkdownIt

from ingest.notes import Note, Section, plain_text, split_lines
from ingest.sentences import segments

CountTokens = Callable[[str], int]
"""Word pieces of a text, special tokens included, by the tokenizer of the encoder."""

_LIST_MARKER = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+")
_QUOTE_MARKER = re.compile(r"^\s*(?:>\s?)+")


@dataclass(frozen=True, slots=True)
class Sentence:
    """A verbatim sentence of a note, with where it begins in the note's text."""

    quote: str
    offset: int
    paragraph: int

    @property
    def text(self) -> str:
        """The sentence as it is read: one line, no source markers."""
        return plain_text(self.quote)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A section, or a part of one, that fits the encoder's window.

    `text` is verbatim; `embedded` is what the encoder reads: heading path and plain text.
    Lines are counted from 1, inclusive.
    """

    id: str
    section: Section
    text: str
    embedded: str
    lines: tuple[int, int]
    sentences: tuple[Sentence, ...]


def section_id(note_id: str, section: Section, part: int = 0) -> str:
    """Return the id of a chunk: its place, so that it survives an edit of its text."""
    anchor = f"{note_id}#{section.slug}" if section.slug else note_id
    return f"{anchor}~{part + 1}" if part else anchor


def chunk_note(note: Note, count_tokens: CountTokens, window: int) -> list[Chunk]:
    """Return the chunks of a note, none longer than `window` word pieces."""
    return [
        chunk for section in note.sections for chunk in _chunks(note, section, count_tokens, window)
    ]


def heading_path(title: str, section: Section) -> str:
    """Return what stands before a section's text when it is embedded."""
    return " > ".join((title, *section.headings))


def embedded_text(title: str, section: Section) -> str:
    """Return what the encoder reads of a whole section."""
    return f"{heading_path(title, section)}\n{plain_text(section.body)}"


def split_text(text: str, count_tokens: CountTokens, budget: int) -> list[str]:
    """Split a text into pieces of at most `budget` word pieces; joined, they are the text.

    The cut falls between sentences, and inside one only where a sentence alone exceeds the budget.
    """
    pieces: list[str] = []
    current = ""
    for unit in _units(text, count_tokens, budget):
        if current and count_tokens(plain_text(current + unit)) > budget:
            pieces.append(current)
            current = ""
        current += unit
    return [*pieces, current] if current else pieces


def _units(text: str, count_tokens: CountTokens, budget: int) -> Iterator[str]:
    for sentence in segments(text):
        if count_tokens(plain_text(sentence)) <= budget:
            yield sentence
            continue
        for word in re.findall(r"\S+\s*|\s+", sentence):
            yield from _halved(word, count_tokens, budget)


def _halved(word: str, count_tokens: CountTokens, budget: int) -> Iterator[str]:
    if len(word) > 1 and count_tokens(plain_text(word)) > budget:
        middle = len(word) // 2
        yield from _halved(word[:middle], count_tokens, budget)
        yield from _halved(word[middle:], count_tokens, budget)
    else:
        yield word


def _chunks(
    note: Note, section: Section, count_tokens: CountTokens, window: int
) -> Iterator[Chunk]:
    prefix = heading_path(note.meta.title, section)
    if count_tokens(prefix) > window // 2:
        prefix = ""  # a heading path longer than half the window would crowd out the text
    budget = window - (count_tokens(prefix) if prefix else 0)
    offset = section.offset
    sentences = tuple(note_sentences(note, section))
    for part, text in enumerate(split_text(section.body, count_tokens, budget)):
        end = offset + len(text)
        first = section.first_line if part == 0 else note.line_of(offset)
        yield Chunk(
            id=section_id(note.id, section, part),
            section=section,
            text=text,
            embedded=f"{prefix}\n{plain_text(text)}".strip(),
            lines=(first, note.line_of(offset + len(text.rstrip()))),
            sentences=tuple(s for s in sentences if offset <= s.offset < end),
        )
        offset = end


def note_sentences(note: Note, section: Section) -> Iterator[Sentence]:
    """Yield the sentences of paragraphs and list items; tables and code are not prose."""
    lines = split_lines(section.body)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    tokens = MarkdownIt("commonmark").enable("table").parse(section.body)
    paragraphs = [token.map for token in tokens if token.type == "paragraph_open" and token.map]
    for number, (first, last) in enumerate(paragraphs):
        block = "".join(lines[first:last])
        skipped = 0
        for marker in (_QUOTE_MARKER, _LIST_MARKER):
            if found := marker.match(block[skipped:]):
                skipped += found.end()
        offset = section.offset + starts[first] + skipped
        for piece in segments(block[skipped:]):
            quote = piece.strip()
            if plain_text(quote):
                yield Sentence(quote, offset + piece.index(quote), number)
            offset += len(piece)
