"""Work in threads whose caller may leave: what they use stays open until they have ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar, TypeVarTuple

Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")


async def to_the_end(
    work: Callable[[*Arguments], Result],
    *arguments: *Arguments,
    undo: Callable[[Result], object] | None = None,
) -> Result:
    """Run blocking work in a thread and return its result.

    A thread cannot be stopped. If the caller is cancelled it waits for the thread to end, undoes
    the result that nobody will use, and only then leaves.
    """
    task = asyncio.create_task(asyncio.to_thread(work, *arguments))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        if undo and not task.exception():
            await asyncio.to_thread(undo, task.result())
        raise
