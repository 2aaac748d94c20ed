"""How answers and sections look in a terminal."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterator
from itertools import groupby
from typing import Any

import click

_INDENT = "  "
_WIDEST = 92


def width() -> int:
    """Return the width of text: the terminal's, up to what reads well."""
    return min(shutil.get_terminal_size().columns, _WIDEST)


def status(text: str) -> None:
    """Say on stderr what is being waited for."""
    click.echo(click.style(text, dim=True), err=True)


class AnswerPrinter:
    """Prints an answer while its sentences arrive; sources and what is missing come at the end."""

    def __init__(self) -> None:
        self._column = 0
        self._place: tuple[str, str] | None = None

    def sentence(self, data: dict[str, Any]) -> None:
        """Print a sentence, in the paragraph of its section."""
        first = data["citations"][0]
        place = (first["note"], first["heading"])
        if place != self._place:
            click.echo("\n" if self._place else "")
            click.echo(_INDENT + click.style(f"{first['title']} > {first['heading']}", bold=True))
            self._place, self._column = place, 0
        self._words(data["text"].split(), {})
        for citation in data["citations"]:
            self._words([f"[{citation['n']}]"], {"fg": "cyan"})
        sys.stdout.flush()

    def done(self, answer: dict[str, Any]) -> None:
        """Print the sources, what is not covered, and what could be asked instead."""
        if self._place:
            click.echo("\n")
        if answer["status"] == "refused":
            click.echo(_wrapped(answer["answer"], fg="yellow"))
        elif answer["uncovered"]:
            click.echo(_wrapped(answer["uncovered"], fg="yellow") + "\n")
        for line in _references(answer["citations"]):
            click.echo(line)
        if answer["suggestions"]:
            heading = "Ask instead" if answer["status"] == "refused" else "Related questions"
            click.echo(f"\n{_INDENT}{click.style(heading, bold=True)}")
            for question in answer["suggestions"]:
                click.echo(f"{_INDENT}· {question}")

    def _words(self, words: list[str], style: dict[str, Any]) -> None:
        for word in words:
            if self._column and self._column + 1 + len(word) > width():
                click.echo()
                self._column = 0
            lead = " " if self._column else _INDENT
            click.echo(lead + (click.style(word, **style) if style else word), nl=False)
            self._column += len(lead) + len(word)


def section(hit: dict[str, Any]) -> str:
    """Return a found section as text."""
    head = click.style(f"{hit['rank']:>2}. {hit['title']} > {hit['heading']}", bold=True)
    place = click.style(
        f"{hit['note']}, lines {_lines(hit['lines'])} · {hit['score']:.2f}", dim=True
    )
    text = textwrap.shorten(hit["text"], 240, placeholder=" …")
    body = textwrap.fill(text, width(), initial_indent="    ", subsequent_indent="    ")
    return f"{head}\n    {place}\n{body}\n"


def _references(citations: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the places quoted, one line for neighbours of the same place, with their sources."""
    for place, group in groupby(citations, key=lambda c: (c["path"], c["lines"][0])):
        same = list(group)
        numbers = "".join(f"[{citation['n']}]" for citation in same)
        yield f"{_INDENT}{click.style(numbers, fg='cyan')} {place[0]}:{place[1]}"
        sources = {source["key"]: source for citation in same for source in citation["sources"]}
        for source in sources.values():
            label = f"{source['authors'].split(',')[0]}, {source['year']}. {source['title']}"
            yield click.style(_filled(label, "      "), dim=True)
            yield click.style(f"      {source['url']}", dim=True)


def _lines(lines: list[int] | tuple[int, int]) -> str:
    first, last = lines
    return str(first) if first == last else f"{first}-{last}"


def _wrapped(text: str, **style: Any) -> str:
    return click.style(_filled(text, _INDENT), **style)


def _filled(text: str, indent: str) -> str:
    return textwrap.fill(text, width(), initial_indent=indent, subsequent_indent=indent)
