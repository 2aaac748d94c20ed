"""Mermaid in Markdown: found however it is fenced, and refused where a page might not draw it."""

from __future__ import annotations

import pytest

from ingest.diagrams import Diagram, diagrams, faults, without_diagrams

BODY = 'flowchart LR\n  a["Shop"] --> b[("Store")]\n'


@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        ("```mermaid", "```"),
        ("~~~mermaid", "~~~"),
        ("``` mermaid", "````"),
        ("  ```mermaid", "  ```"),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_diagram_is_left_out_and_nothing_else(opening: str, closing: str, end: str) -> None:
    text = f"Before.\n\n{opening}\n{BODY}{closing}\n\nAfter.\n".replace("\n", end)
    assert without_diagrams(text).split() == ["Before.", "After."]
    assert len(diagrams(text)) == 1


def test_a_diagram_that_never_ends_is_left_out_to_the_end() -> None:
    assert without_diagrams(f"Before.\n\n```mermaid\n{BODY}\nAfter.").split() == ["Before."]


@pytest.mark.parametrize(
    "text", ["```python\nflowchart\n```", "````\n```mermaid\na --> b\n```\n````", "No fence."]
)
def test_what_is_no_diagram_stays(text: str) -> None:
    assert without_diagrams(text) == text


def messages(*lines: str) -> list[tuple[int, str]]:
    return list(faults(Diagram("\n".join(lines) + "\n", (0, len(lines) + 2))))


@pytest.mark.parametrize(
    "line",
    [
        "a --> b",
        'a["x"] & b("y") -.-> c(["z"]) ==> d{"Why?"}',
        'a[("x")] -->|"yes (now)"| b(("y"))',
        'a{{"x"}} --- b',
    ],
)
def test_a_flowchart_of_the_subset_has_no_fault(line: str) -> None:
    assert messages("flowchart TD", "%% a comment", 'subgraph s["Online"]', line, "end") == []


@pytest.mark.parametrize(
    "line",
    [
        'b[("Store"] --> a',
        'a(["x") --> b',
        "a --> end",
        "graph --> b",
        "a -->|x (y)| b",
        "a[/foo] --> b",
        "a[foo] --> b",
        "flowchart LR",
        "a -> b",
        "end",
        "a --> b --> b)",
    ],
)
def test_what_a_renderer_may_refuse_is_a_fault_at_its_line(line: str) -> None:
    assert messages("flowchart LR", "a --> b", line) == [
        (3, f"'{line}' is not Mermaid that every page draws")
    ]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("flowchart LR", "subgraph s", "a --> b"), "a subgraph has no end"),
        (("flowchart LR", 'a["x"]'), "the diagram has no arrow"),
        (("", "a --> b"), "a diagram begins with 'flowchart LR' or 'flowchart TD'"),
    ],
)
def test_a_diagram_is_whole(lines: tuple[str, ...], message: str) -> None:
    assert [text for _, text in messages(*lines)] == [message]


def test_a_long_line_is_refused_in_no_time() -> None:
    assert messages("flowchart LR", "a --> b", "a & " * 5_000 + "(")
