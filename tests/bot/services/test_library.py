"""Search and reading."""

from __future__ import annotations

from typing import cast

import pytest

from bot.domain.evidence import Filters, Hit, Section
from bot.domain.questions import MAX_QUESTION
from bot.errors import NoteNotFoundError, QuestionError
from bot.retrieval.fusion import POOL
from bot.retrieval.retriever import NO_FILTERS, Retriever
from bot.services.library import LibraryService
from bot.services.limits import MAX_RESULTS
from tests.bot.conftest import Library, opened
from tests.bot.fakes import a_section


class FakeRetriever:
    """Finds what it was given, and keeps what it was asked for."""

    def __init__(self, *found: Section) -> None:
        self.hits = [
            Hit(rank, section, 1.0 - rank / 1000, 0.123456) for rank, section in enumerate(found, 1)
        ]
        self.asked: list[tuple[str, int, Filters]] = []

    async def search(self, query: str, k: int = 10, filters: Filters = NO_FILTERS) -> list[Hit]:
        self.asked.append((query, k, filters))
        return self.hits[:k]


def service(*found: Section) -> LibraryService:
    return LibraryService(cast(Retriever, FakeRetriever(*found)))


def places(hits: list[Hit]) -> list[tuple[int, str]]:
    return [(hit.rank, hit.section.id) for hit in hits]


async def test_a_section_that_was_cut_into_parts_is_found_once_by_its_best_part() -> None:
    keys = ("a#x~2", "b#y", "a#x", "a#x~3", "c#z")
    sections = [a_section(key, heading=key.partition("#")[2][:1]) for key in keys]

    hits = await service(*sections).search("x")

    assert places(hits) == [(1, "a#x~2"), (2, "b#y"), (3, "c#z")]


async def test_two_sections_of_one_name_are_two() -> None:
    sections = [
        a_section("a#example", heading="Example"),
        a_section("a#example-1", heading="Example"),
    ]

    assert len(await service(*sections).search("x")) == 2


async def test_parts_take_no_place_of_other_sections() -> None:
    parts = [a_section(key, heading="x") for key in ("a#x", "a#x~2", "a#x~3")]
    others = [a_section(f"n{n}#y") for n in range(5)]

    hits = await service(*parts, *others).search("x", 3)

    assert places(hits) == [(1, "a#x"), (2, "n0#y"), (3, "n1#y")]


async def test_no_more_than_the_limit_is_found() -> None:
    sections = [a_section(f"n{n}#y") for n in range(3 * MAX_RESULTS)]

    assert len(await service(*sections).search("x", 10_000)) == MAX_RESULTS
    assert len(await service(*sections).search("x", 7)) == 7


async def test_a_query_is_cleaned_and_filters_are_handed_on() -> None:
    retriever = FakeRetriever()
    filters = Filters(kinds=frozenset({"faq"}))

    await LibraryService(cast(Retriever, retriever)).search(" what\u200b is\n it ", 5, filters)

    ((query, _, handed_on),) = retriever.asked
    assert (query, handed_on) == ("what is it", filters)


@pytest.mark.parametrize("wanted", [1, 10, MAX_RESULTS])
async def test_many_parts_of_one_section_leave_room_for_others(wanted: int) -> None:
    parts = [a_section(f"a#x~{n}" if n > 1 else "a#x") for n in range(1, POOL - MAX_RESULTS + 2)]
    others = [a_section(f"n{n}#y") for n in range(MAX_RESULTS)]

    assert len(await service(*parts, *others).search("x", wanted)) == wanted


@pytest.mark.parametrize("query", ["", "  ", "\u200b", "a" * (MAX_QUESTION + 1)])
async def test_an_empty_or_endless_query_is_refused(query: str) -> None:
    with pytest.raises(QuestionError, match=r"is empty|2000 is the most"):
        await service().search(query)


async def test_over_a_real_index_a_cut_section_is_found_once(library: Library) -> None:
    async with opened(library.index) as services:
        hits = await services.library.search("tomatoes", 50)

        headings = [(hit.section.note, hit.section.heading) for hit in hits]
        assert len(set(headings)) == len(headings)
        assert hits[0].section.note == "group:topics/long"
        assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))


async def test_a_note_is_read_or_not_found(library: Library) -> None:
    async with opened(library.index) as services:
        assert (await services.library.note("topics/drift")).head["title"] == "Drift"
        with pytest.raises(NoteNotFoundError):
            await services.library.note("topics/none")
