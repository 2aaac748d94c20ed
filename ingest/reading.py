"""Read a corpus folder: Markdown notes and cases with YAML front matter, and the sources they cite.

A fault never stops the reading: each becomes one `Problem` with file and line, so that an author
sees all of them at once.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path, PurePosixPath

from markdown_it import MarkdownIt
from markdown_it.token import Token
from pydantic import TypeAdapter, ValidationError

from ingest.cases import Case, CaseHead
from ingest.errors import Problem
from ingest.notes import (
    OWN_NAMESPACE,
    Corpus,
    FrontMatter,
    Note,
    Section,
    Source,
    SourceKey,
    split_lines,
)
from ingest.strict_yaml import StrictYamlError, load_strict, nearest_line

MAX_FILE_BYTES = 1_000_000
"""A note is a few kilobytes, our sources a hundred; a larger file is a mistake."""

CASES = "cases"
"""The folder in which a file is a case."""

_ASKS = re.compile(r"<!--\s*asks:(.*?)-->", re.DOTALL)
_NEWLINE = re.compile(r"\r\n|\r|\n")
_SHOWN = frozenset({"text", "code_inline", "text_special"})
_NAMESPACE = re.compile(r"^[a-z0-9]+(-[a-z0-9]+)*$")


@dataclass(frozen=True, slots=True)
class _Place:
    root: Path
    file: Path
    shown: str
    is_case: bool


def read_corpus(root: Path, namespace: str = "") -> Corpus:
    """Read every note below `root`, and `sources.yaml` beside them."""
    root = root.resolve()
    problems: list[Problem] = []
    if namespace and not _NAMESPACE.match(namespace):
        problems.append(Problem(root.name, 1, f"the namespace '{namespace}' is not a-z, 0-9 and -"))
    if namespace == OWN_NAMESPACE:
        problems.append(Problem(root.name, 1, f"the namespace '{namespace}' is that of our notes"))
    notes, cases = [], []
    for file in note_files(root):
        relative = PurePosixPath(file.relative_to(root).as_posix())
        place = _Place(root, file, str(root.name / relative), relative.parts[0] == CASES)
        read = _read_note(place, namespace, problems)
        if isinstance(read, Case):
            cases.append(read)
        if read:
            notes.append(read.outline if isinstance(read, Case) else read)
    sources, lines = _read_sources(root / "sources.yaml", root, problems)
    return Corpus(namespace, root, tuple(notes), tuple(cases), sources, lines, tuple(problems))


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


def _read_note(place: _Place, namespace: str, problems: list[Problem]) -> Note | Case | None:
    """Return the note, or the case, after adding the problems that make it unreadable."""
    shown = place.shown
    text = _read_text(place.file, shown, place.root, problems)
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
        head = (CaseHead if place.is_case else FrontMatter).model_validate(data)
    except StrictYamlError as error:
        problems.append(Problem(shown, error.line, error.message))
        return None
    except ValidationError as error:
        problems.extend(_model_problems(error, shown, key_lines))
        return None
    sections = tuple(_sections(lines, end + 1))
    if not sections:
        problems.append(Problem(shown, end + 1, "has no text"))
        return None
    line_ends = tuple(found.end() for found in _NEWLINE.finditer(text))
    if isinstance(head, CaseHead):
        body = sum(map(len, lines[: end + 1]))
        meta = head.outline_head()
        outline = Note(meta, namespace, shown, text, sections, key_lines, line_ends, body)
        return Case(head, outline)
    return Note(head, namespace, shown, text, sections, key_lines, line_ends)


def _model_problems(
    error: ValidationError, shown: str, lines: dict[str, int], within: tuple[str, ...] = ()
) -> Iterator[Problem]:
    for fault in error.errors():
        where = ".".join(str(part) for part in fault["loc"])
        message = fault["msg"][0].lower() + fault["msg"][1:]
        if fault["type"].startswith("date"):
            message = "must be a date, such as 2026-11-21"
        if fault["type"] == "extra_forbidden":
            message = "is not a key that Viva knows"
        if fault["type"] == "tuple_type":
            message = "must be a list, such as [one, two]"
        if fault["type"] == "string_pattern_mismatch":
            message = "is not of the form that corpus/README.md shows (a-z, 0-9 and hyphens)"
        prefix = f"{within[0]}: " if within else ""
        line = nearest_line(lines, (*within, *fault["loc"]))
        yield Problem(shown, line, prefix + f"{where}: {message}".lstrip(": "))


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
            problems.extend(_model_problems(error, shown, lines, within=(name,)))
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
