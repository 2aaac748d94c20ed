"""Filters, and a found section as plain data."""

from __future__ import annotations

import json
from typing import get_args

import pytest

from bot.domain.evidence import Filters, Hit, Kind
from ingest import notes
from tests.bot.fakes import a_section

SECTION = a_section(kind="topic", level="L5", phases=("data", "operate"), namespace="viva")


@pytest.mark.parametrize(
    ("filters", "allowed"),
    [
        (Filters(), True),
        (Filters(kinds=frozenset({"topic"})), True),
        (Filters(kinds=frozenset({"faq"})), False),
        (Filters(kinds=frozenset({"faq", "topic"})), True),
        (Filters(phases=frozenset({"operate"})), True),
        (Filters(phases=frozenset({"serve", "data"})), True),
        (Filters(phases=frozenset({"serve"})), False),
        (Filters(levels=frozenset({"L5"})), True),
        (Filters(levels=frozenset({"L4", "L6"})), False),
        (Filters(namespaces=frozenset({"viva"})), True),
        (Filters(namespaces=frozenset({"group"})), False),
        (Filters(frozenset({"topic"}), frozenset({"data"}), frozenset({"L5"})), True),
        (Filters(frozenset({"topic"}), frozenset({"data"}), frozenset({"L6"})), False),
    ],
)
def test_a_section_must_match_one_value_of_each_filter(filters: Filters, allowed: bool) -> None:
    assert filters.allow(SECTION) is allowed


def test_a_note_of_no_phase_matches_no_phase_filter() -> None:
    section = a_section(phases=())

    assert Filters().allow(section)
    assert not Filters(phases=frozenset({"data"})).allow(section)


def test_a_hit_is_sent_with_the_keys_of_the_contract() -> None:
    data = json.loads(json.dumps(Hit(1, SECTION, 0.5, 0.4).to_dict()))

    assert set(data) == {"rank", "note", "title", "heading", "text", "score", "lines"}
    assert data["lines"] == [3, 9]


def test_every_kind_of_note_can_be_asked_for() -> None:
    assert get_args(Kind) == get_args(notes.Kind)
