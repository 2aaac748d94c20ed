"""Identifiers that sort by the time they were made."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from uuid import UUID


def uuid7(
    clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    random_bits: Callable[[int], int] = secrets.randbits,
) -> str:
    """Return a UUIDv7 (RFC 9562): 48 bits of milliseconds, version, 74 random bits."""
    value = (clock_ms() & (1 << 48) - 1) << 80
    value |= 0x7 << 76 | random_bits(12) << 64
    value |= 0b10 << 62 | random_bits(62)
    return str(UUID(int=value))
