"""Read a corpus folder: Markdown notes with YAML front matter, and the sources they cite.

A fault never stops the reading: each becomes one `Problem` with file and line, so that an author
sees all of them at once.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from markdown_it import MarkdownIt
from markdown_it.token import Token
from pydantic import BaseModel, ConfigDict, HttpUrl, StringConstraints, TypeAdapter, ValidationError

from ingest.errors import Problem
from ingest.strict_yaml import StrictYamlError, load_strict

OWN_NAMESPACE = "viva"
"""The namespace by which filters name the notes that ship with Viva; their ids carry none."""

MAX_FILE_BYTES = 1_000_000
"""A note is a few kilobytes, our sources a hundred; a larger file is a mistake."""

Phase = Literal["clarify", "frame", "design", "data", "model", "evaluate", "serve", "operate"]
Kind = Literal["framework", "topic", "faq"]
Level = Literal["L4", "L5", "L6"]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
NoteId = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*(/[a-z0-9]+(-[a-z0-9]+)*)*$")
]
SourceKey = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]

SOURCE_MARKER = re.compile(r"\[@([a-z0-9-]+(?:[ \t]?;[ \t]?@[a-z0-9-]+)*)\]")
"""An inline citation of a source: `[@gama-2014]` or `[@gama-2014; @lu-2018]`."""

_ASKS = re.compile(r"<!--\s*asks:(.*?)-->", re.DOTALL)
_QUOTE_MARK = re.compile(r"^[ \t]{0,3}>[ \t]?", re.MULTILINE)
_SPACE_BEFORE_STOP = re.compile(r" (?=[.,;:!?](?:\s|$))")
_NEWLINE = re.compile(r"\r\n|\r|\n")
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_SHOWN = frozenset({"text", "code_inline", "text_special"})
_NAMESPACE = re.compile(r"^[a-z0-9]+(-[a-z0-9]+)*$")


class FrontMatter(BaseModel):
    """The head of a note."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: NoteId
    title: Text
    kind: Kind
    phases: tuple[Phase, ...]
    level: Level
    summary: Text
    sources: tuple[SourceKey, ...] = ()
    updated: date


class Source(BaseModel):
    """A public source that notes cite by its key."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: Text
    authors: Text
    year: int
    venue: Text | None = None
    url: HttpUrl
    kind: Literal["paper", "blog", "docs", "book", "standard", "talk"]
    cited_for: Text


@dataclass(frozen=True, slots=True)
class Section:
    """The text under one heading, without the headings below it.

    `offset` is where `body` begins in the note's text, in characters; `body` is verbatim.
    `first_line` is the heading's line and `last_line` that of the last text, counted from 1.
    """

    headings: tuple[str, ...]
    slug: str
    asks: tuple[str, ...]
    body: str
    offset: int
    first_line: int
    last_line: int

    @property
    def heading(self) -> str:
        """The heading path below the note's title."""
        return " > ".join(self.headings)


@dataclass(frozen=True, slots=True)
class Note:
    """A note as read: its head, its verbatim text and its sections."""

    meta: FrontMatter
    namespace: str
    path: str
    text: str
    sections: tuple[Section, ...]
    key_lines: dict[str, int]
    line_ends: tuple[int, ...]

    @property
    def id(self) -> str:
        """`topics/x`, or `group:topics/x` for a group's own note."""
        return f"{self.namespace}:{self.meta.id}" if self.namespace else self.meta.id

    def line_of(self, offset: int) -> int:
        """Return the line, counted from 1, of a character offset into the text."""
        return bisect_right(self.line_ends, offset) + 1


@dataclass(frozen=True, slots=True)
class Corpus:
    """One folder of notes. The namespace is empty for the notes that ship with Viva."""

    namespace: str
    root: Path
    notes: tuple[Note, ...]
    sources: dict[str, Source]
    source_lines: dict[str, int]
    problems: tuple[Problem, ...]

    @property
    def sources_path(self) -> str:
        """The sources file as shown to people."""
        return f"{self.root.name}/sources.yaml"


def plain_text(markdown: str) -> str:
    """Return a passage as it is read and embedded: one line, no source markers, no comments."""
    text = SOURCE_MARKER.sub("", _QUOTE_MARK.sub("", _without_comments(markdown)))
    return _SPACE_BEFORE_STOP.sub("", " ".join(text.split()))


def _without_comments(markdown: str) -> str:
    kept = []
    position = 0
    while (start := markdown.find("<!--", position)) >= 0:
        end = markdown.find("-->", start)
        if end < 0:
            break
        kept.append(markdown[position:start])
        position = end + len("-->")
    return "".join([*kept, markdown[position:]])


def split_lines(text: str) -> list[str]:
    """Return the lines of a text with their ends, divided where Markdown divides them."""
    return _LINE.findall(text)


def cited_keys(markdown: str) -> list[str]:
    """Return the keys of the sources that a passage cites, in order of appearance."""
    keys = (
        key.strip(" @") for found in SOURCE_MARKER.findall(markdown) for key in found.split(";")
    )
    return list(dict.fromkeys(keys))


def read_corpus(root: Path, namespace: str = "") -> Corpus:
    """Read every note below `root`, and `sources.yaml` beside them."""
    root = root.resolve()
    problems: list[Problem] = []
    if namespace and not _NAMESPACE.match(namespace):
        problems.append(Problem(root.name, 1, f"the namespace '{namespace}' is not a-z, 0-9 and -"))
    if namespace == OWN_NAMESPACE:
        problems.append(Problem(root.name, 1, f"the namespace '{namespace}' is that of our notes"))
    notes = []
    for file in note_files(root):
        shown = str(PurePosixPath(root.name, file.relative_to(root).as_posix()))
        note = _read_note(file, shown, root, namespace, problems)
        if note:
            notes.append(note)
    sources, lines = _read_sources(root / "sources.yaml", root, problems)
    return Corpus(namespace, root, tuple(notes), sources, lines, tuple(problems))


def note_files(root: Path) -> list[Path]:
    """Return the notes of a folder: Markdown files, but no README and nothing hidden."""

    def is_note(path: Path) -> bool:
        parts = path.relative_to(root).parts
        return path.name != "README.md" and not any(part.startswith(".") for part in parts)

    return sorted(path for path in root.rglob("*.md") if is_note(path))


def _read_text(file: Path, shown: str, root: Path, problems: list[Problem]) -> str | None:
    """Return the file's text, or None after adding the problem that made it unreadable."""
    try:
        inside = file.resolve().is_relative_to(root)
    except (OSError, RuntimeError):  # a link to itself, by the version of Python
        inside = False
    if not inside:
        problems.append(Problem(shown, 1, "is a symbolic link out of the corpus folder"))
        return None
    try:
        size = file.stat().st_size
        if size > MAX_FILE_BYTES:
            megabytes = size / 1e6
            problems.append(Problem(shown, 1, f"is {megabytes:.1f} MB; a note is at most 1 MB"))
            return None
        raw = file.read_bytes()
    except OSError as error:
        problems.append(Problem(shown, 1, f"cannot be read: {error.strerror}"))
        return None
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        problems.append(Problem(shown, line, f"is not UTF-8 (byte 0x{raw[error.start]:02x})"))
        return None
    if "\0" in text:
        problems.append(Problem(shown, text.count("\n", 0, text.index("\0")) + 1, "holds a NUL"))
        return None
    return text


def _read_note(
    file: Path, shown: str, root: Path, namespace: str, problems: list[Problem]
) -> Note | None:
    text = _read_text(file, shown, root, problems)
    if text is None:
        return None
    lines = split_lines(text)
    if not lines or lines[0].strip("\ufeff \r\n") != "---":
        problems.append(Problem(shown, 1, "has no front matter: the first line must be ---"))
        return None
    end = next((n for n, line in enumerate(lines[1:], 1) if line.rstrip() == "---"), None)
    if end is None:
        problems.append(Problem(shown, 1, "has front matter that never ends: --- is missing"))
        return None
    try:
        data, key_lines = load_strict("".join(lines[1:end]), first_line=2)
        meta = FrontMatter.model_validate(data)
    except StrictYamlError as error:
        problems.append(Problem(shown, error.line, error.message))
        return None
    except ValidationError as error:
        problems.extend(_model_problems(error, shown, key_lines, fallback=1))
        return None
    sections = tuple(_sections(lines, end + 1))
    if not sections:
        problems.append(Problem(shown, end + 1, "has no text"))
        return None
    line_ends = tuple(found.end() for found in _NEWLINE.finditer(text))
    return Note(meta, namespace, shown, text, sections, key_lines, line_ends)


def _model_problems(
    error: ValidationError, shown: str, key_lines: dict[str, int], *, fallback: int
) -> Iterator[Problem]:
    for fault in error.errors():
        where = ".".join(str(part) for part in fault["loc"])
        first = str(fault["loc"][0]) if fault["loc"] else ""
        message = fault["msg"][0].lower() + fault["msg"][1:]
        if fault["type"].startswith("date"):
            message = "must be a date, such as 2026-11-21"
        if fault["type"] == "extra_forbidden":
            message = "is not a key that Viva knows"
        yield Problem(shown, key_lines.get(first, fallback), f"{where}: {message}".lstrip(": "))


def _read_sources(
    file: Path, root: Path, problems: list[Problem]
) -> tuple[dict[str, Source], dict[str, int]]:
    if not file.exists():
        return {}, {}
    shown = f"{root.name}/sources.yaml"
    text = _read_text(file, shown, root, problems)
    if text is None:
        return {}, {}
    try:
        data, lines = load_strict(text, first_line=1)
    except StrictYamlError as error:
        problems.append(Problem(shown, error.line, error.message))
        return {}, {}
    sources = {}
    key = TypeAdapter(SourceKey)
    for name, fields in data.items():
        try:
            sources[key.validate_python(name)] = Source.model_validate(fields)
        except ValidationError as error:
            found = {
                str(fault["loc"][0]) if fault["loc"] else "": lines[name]
                for fault in error.errors()
            }
            for problem in _model_problems(error, shown, found, fallback=lines[name]):
                problems.append(Problem(shown, problem.line, f"{name}: {problem.message}"))
    return sources, lines


@dataclass(slots=True)
class _Heading:
    level: int
    text: str
    line: int
    after: int


@dataclass(slots=True)
class _Slugs:
    """GitHub's heading ids: lower case, punctuation dropped, repeated ones numbered."""

    seen: dict[str, int] = field(default_factory=dict)

    def slug(self, heading: str) -> str:
        # A heading of punctuation alone has no id; an empty one would be the note's own.
        base = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") or "section"
        slug = base
        while slug in self.seen:
            self.seen[base] += 1
            slug = f"{base}-{self.seen[base]}"
        self.seen[slug] = 0
        return slug


def _read(inline: Token) -> str:
    """Return a heading as it is read: without the marks of emphasis, code and links."""
    shown = (child.content for child in inline.children or () if child.type in _SHOWN)
    return "".join(shown)


def _headings(text: str, first: int) -> Iterable[_Heading]:
    tokens = MarkdownIt("commonmark").parse(text)
    for token, inline in pairwise(tokens):
        # A heading inside a quote or a list belongs to that text, not to the note's structure.
        if token.type == "heading_open" and token.level == 0 and token.map:
            yield _Heading(
                int(token.tag[1]), _read(inline), first + token.map[0], first + token.map[1]
            )


def _sections(lines: list[str], first: int) -> Iterator[Section]:
    """Cut the body, which begins at index `first` of `lines`, along its headings."""
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    found = list(_headings("".join(lines[first:]), first))
    cuts = [_Heading(0, "", first, first), *found]
    slugs = _Slugs()
    path: list[tuple[int, str]] = []
    for heading, following in zip(cuts, [*cuts[1:], None], strict=True):
        path = [step for step in path if step[0] < heading.level]
        if heading.level:
            path.append((heading.level, heading.text))
        slug = slugs.slug(heading.text) if heading.level else ""
        end = following.line if following else len(lines)
        yield from _section(lines, starts, heading, end, tuple(text for _, text in path), slug)


def _section(
    lines: list[str],
    starts: list[int],
    heading: _Heading,
    end: int,
    path: tuple[str, ...],
    slug: str,
) -> Iterator[Section]:
    body, start = "".join(lines[heading.after : end]), starts[heading.after]
    asks: tuple[str, ...] = ()
    if declared := _ASKS.match(body.lstrip()):
        asks = tuple(" ".join(ask.split()) for ask in declared.group(1).split("|") if ask.strip())
        skipped = len(body) - len(body.lstrip()) + declared.end()
        body, start = body[skipped:], start + skipped
    leading = len(body) - len(body.lstrip())
    body, start = body.strip(), start + leading
    if not body and not asks:
        return
    last_line = bisect_left(starts, start + len(body))
    yield Section(path, slug, asks, body, start, heading.line + 1, max(last_line, heading.line + 1))


def sources_of(note: Note, corpus_sources: dict[str, Source]) -> dict[str, dict[str, Any]]:
    """Return the sources that a note declares, as plain data, by key."""
    found = {key: corpus_sources[key] for key in note.meta.sources if key in corpus_sources}
    return {
        key: {
            "key": key,
            "title": source.title,
            "authors": source.authors,
            "year": source.year,
            "url": str(source.url),
        }
        for key, source in found.items()
    }
