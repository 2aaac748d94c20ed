"""Identifiers."""

from __future__ import annotations

import time
from uuid import RFC_4122, UUID

from hypothesis import given
from hypothesis import strategies as st

from bot.domain.ids import uuid7

MILLISECONDS = st.integers(0, 2**48 - 1)


@given(MILLISECONDS, st.integers(0, 2**12 - 1), st.integers(0, 2**62 - 1))
def test_an_id_has_the_layout_of_rfc_9562(now: int, high: int, low: int) -> None:
    made = UUID(uuid7(lambda: now, {12: high, 62: low}.__getitem__))

    assert made.version == 7
    assert made.variant == RFC_4122
    assert made.int >> 80 == now
    assert made.int >> 64 & 0xFFF == high
    assert made.int & (1 << 62) - 1 == low


def test_the_example_of_rfc_9562_comes_out() -> None:
    bits = {12: 0xCC3, 62: 0x18C4DC0C0C07398F}

    assert uuid7(lambda: 0x017F22E279B0, bits.__getitem__) == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"


@given(MILLISECONDS, MILLISECONDS)
def test_ids_sort_by_time(first: int, second: int) -> None:
    one, other = uuid7(lambda: first), uuid7(lambda: second)

    assert first == second or (one < other) == (first < second)


def test_ids_are_of_now_and_differ() -> None:
    before = time.time_ns() // 1_000_000
    made = {uuid7() for _ in range(1000)}

    assert len(made) == 1000
    assert all(before <= UUID(key).int >> 80 <= before + 60_000 for key in made)
