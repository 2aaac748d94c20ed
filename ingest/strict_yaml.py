"""YAML that people write by hand: no aliases, no repeated keys, and a line for every fault."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

_DEEPEST = 16
"""Levels of nesting: a case needs four, and a thousand end in a `RecursionError`."""


class StrictYamlError(ValueError):
    """The text is not the YAML that is allowed here."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(f"line {line}: {message}")
        self.line = line
        self.message = message


def load_strict(text: str, *, first_line: int) -> tuple[dict[str, Any], dict[str, int]]:
    """Return the mapping in `text` and the line of each key and item, by its dotted path.

    `{"points.3.probe": 41}`: lines are counted from `first_line`, items from 0. Aliases and anchors
    are refused: a few of them expand to gigabytes, and nobody needs them in a note.
    """
    try:
        depth = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST:
                line = event.start_mark.line if event.start_mark else 0
                raise StrictYamlError(first_line + line, "is nested too deeply")
            if getattr(event, "tag", None):
                line = event.start_mark.line if event.start_mark else 0
                raise StrictYamlError(first_line + line, "YAML tags (!!) are not allowed")
            # Scalars, sequences and mappings carry their anchor; an alias event is only an anchor.
            if getattr(event, "anchor", None):
                line = event.start_mark.line if event.start_mark else 0
                raise StrictYamlError(first_line + line, "YAML anchors and aliases are not allowed")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if not isinstance(node, yaml.MappingNode):
            raise StrictYamlError(first_line, "must be a YAML mapping (key: value)")
        _refuse_repeated_keys(node, first_line)
        data = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = first_line + (mark.line if mark else 0)
        raise StrictYamlError(line, f"is not valid YAML: {error.problem}") from None
    except (yaml.YAMLError, ValueError) as error:
        if isinstance(error, StrictYamlError):
            raise
        raise StrictYamlError(first_line, f"is not valid YAML: {error}") from None
    lines = {path: first_line + line for path, line in _lines(node, "")}
    return {str(key): value for key, value in data.items()}, lines


def nearest_line(lines: dict[str, int], place: tuple[str | int, ...]) -> int:
    """Return the line of a place in a file, or of the nearest thing around it that has one."""
    for end in range(len(place), 0, -1):
        if found := lines.get(".".join(str(part) for part in place[:end])):
            return found
    return 1


def _lines(node: yaml.Node, prefix: str) -> Iterator[tuple[str, int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield f"{prefix}{key.value}", key.start_mark.line
            yield from _lines(value, f"{prefix}{key.value}.")
    elif isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            yield f"{prefix}{number}", item.start_mark.line
            yield from _lines(item, f"{prefix}{number}.")


def _refuse_repeated_keys(node: yaml.Node, first_line: int) -> None:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            # `on:` is a truth value to YAML, and `<<:` brings in the keys of another mapping.
            if key.tag != "tag:yaml.org,2002:str":
                line = first_line + key.start_mark.line
                raise StrictYamlError(line, f"the key '{name}' is not text: write it in quotes")
            if name in seen:
                raise StrictYamlError(
                    first_line + key.start_mark.line, f"the key '{name}' stands twice"
                )
            seen.add(name)
            _refuse_repeated_keys(value, first_line)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_repeated_keys(item, first_line)
