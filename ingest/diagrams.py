"""Mermaid diagrams in Markdown: found, left out of what is read as words, and checked.

Checked is a subset of Mermaid's flowcharts that every renderer draws; corpus/README.md states it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from markdown_it import MarkdownIt

_RESERVED = (
    "end|subgraph|graph|flowchart|direction|class|classDef|style|linkStyle|click|call|href|default"
)
_ID = rf"(?!(?:{_RESERVED})\b)[A-Za-z]\w*"
_LABEL = r'"[^"]+"'
_SHAPES = "|".join(
    rf"{opening}{_LABEL}{closing}"
    for opening, closing in (
        (r"\[", r"\]"),
        (r"\(", r"\)"),
        (r"\(\[", r"\]\)"),
        (r"\[\(", r"\)\]"),
        (r"\(\(", r"\)\)"),
        (r"\{", r"\}"),
        (r"\{\{", r"\}\}"),
    )
)
_NODE = rf"{_ID}(?:{_SHAPES})?"
_NODES = rf"{_NODE}(?:\s*&\s*{_NODE})*"
_ARROW = rf"(?:-->|---|-\.->|==>)(?:\|{_LABEL}\|)?"
_HEADER = re.compile(r"flowchart (?:LR|RL|TD|TB|BT)")
_SUBGRAPH = re.compile(rf"subgraph {_ID}(?:\[{_LABEL}\])?")
_DIRECTION = re.compile(r"direction (?:LR|RL|TD|TB|BT)")
_STATEMENT = re.compile(rf"{_NODES}(?P<edges>(?:\s*{_ARROW}\s*{_NODES})*)")


@dataclass(frozen=True, slots=True)
class Diagram:
    """A diagram's text, and the lines of its fence counted from 0, the last one exclusive."""

    text: str
    lines: tuple[int, int]


def diagrams(markdown: str) -> list[Diagram]:
    """Return the Mermaid diagrams of a text, in order."""
    if "```" not in markdown and "~~~" not in markdown:
        return []
    return [
        Diagram(token.content, (token.map[0], token.map[1]))
        for token in MarkdownIt("commonmark").parse(markdown)
        if token.type == "fence" and token.map and token.info.split()[:1] == ["mermaid"]
    ]


def without_diagrams(markdown: str) -> str:
    """Return a text without its diagrams.

    A diagram is looked at; read as words, its arrows and labels would be most of what is embedded.
    """
    found = diagrams(markdown)
    if not found:
        return markdown
    drawn = {number for diagram in found for number in range(*diagram.lines)}
    lines = re.split(r"(?<=\n)|(?<=\r)(?!\n)", markdown)
    return "".join(line for number, line in enumerate(lines) if number not in drawn)


def faults(diagram: Diagram) -> Iterator[tuple[int, str]]:
    """Yield what a renderer might refuse, with the line counted from that of the fence."""
    lines = [line.strip() for line in diagram.text.splitlines()]
    if not lines or not _HEADER.fullmatch(lines[0]):
        yield 1, "a diagram begins with 'flowchart LR' or 'flowchart TD'"
    depth = edges = 0
    for number, line in enumerate(lines[1:], 2):
        if not line or line.startswith("%%") or _DIRECTION.fullmatch(line):
            continue
        if line == "end" and depth:
            depth -= 1
        elif _SUBGRAPH.fullmatch(line):
            depth += 1
        elif statement := _STATEMENT.fullmatch(line):
            edges += bool(statement["edges"])
        else:
            yield number, f"'{line}' is not Mermaid that every page draws"
    if depth:
        yield len(lines), "a subgraph has no end"
    if not edges:
        yield 1, "the diagram has no arrow"
