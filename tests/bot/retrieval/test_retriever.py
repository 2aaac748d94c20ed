"""The one entry to the notes, over a real index."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.evidence import Filters, Section
from bot.errors import NoteNotFoundError
from bot.retrieval.retriever import READ_SECTIONS, Retriever, with_questions
from bot.retrieval.shelf import Shelf
from bot.retrieval.vectors import BatchingEncoder
from ingest.folder_store import FolderStore
from tests.bot.conftest import Library
from tests.fakes import FakeEmbedder


@pytest_asyncio.fixture
async def retriever(library: Library) -> AsyncIterator[Retriever]:
    encoder, shelf = BatchingEncoder(FakeEmbedder), Shelf(FolderStore(library.index))
    embedder = await encoder.start()
    await shelf.start(embedder.fingerprint, watch=False)
    yield Retriever(shelf, encoder)
    await encoder.close()
    await shelf.close()


async def test_the_section_that_speaks_of_it_is_found_first(retriever: Retriever) -> None:
    for topic in ("drift", "monitoring", "caching", "eviction", "preparing", "pizza dough"):
        hits = await retriever.search(f"What is {topic}?")
        assert hits[0].section.heading == topic.capitalize()
        assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))
        assert [hit.score for hit in hits] == sorted((h.score for h in hits), reverse=True)
        assert all(0 <= hit.score <= 1 for hit in hits)


async def test_no_more_than_wanted_is_found(retriever: Retriever) -> None:
    everything = await retriever.search("caching", 100)

    assert len(everything) > 3
    assert await retriever.search("caching", 3) == everything[:3]


@pytest.mark.parametrize(
    ("filters", "fits"),
    [
        (Filters(kinds=frozenset({"framework"})), lambda s: s.kind == "framework"),
        (Filters(kinds=frozenset({"faq", "framework"})), lambda s: s.kind in ("faq", "framework")),
        (Filters(levels=frozenset({"L5"})), lambda s: s.level == "L5"),
        (Filters(phases=frozenset({"data"})), lambda s: "data" in s.phases),
        (
            Filters(phases=frozenset({"data", "serve"})),
            lambda s: "data" in s.phases or "serve" in s.phases,
        ),
        (Filters(namespaces=frozenset({"group"})), lambda s: s.namespace == "group"),
        (Filters(namespaces=frozenset({"viva"})), lambda s: s.namespace == "viva"),
        (
            Filters(phases=frozenset({"serve"}), namespaces=frozenset({"viva"})),
            lambda s: s.note == "topics/caching",
        ),
    ],
)
async def test_exactly_what_a_filter_allows_is_found(
    retriever: Retriever, filters: Filters, fits: Callable[[Section], bool]
) -> None:
    everything = {hit.section for hit in await retriever.search("drift caching framing", 100)}

    found = {hit.section for hit in await retriever.search("drift caching framing", 100, filters)}

    assert found
    assert found == {section for section in everything if fits(section)}
    assert found != everything


async def test_a_filter_that_allows_nothing_finds_nothing(retriever: Retriever) -> None:
    filters = Filters(kinds=frozenset({"poem"}))

    assert await retriever.search("drift", 10, filters) == []
    evidence = await retriever.evidence("drift", filters)
    assert (evidence.hits, evidence.passages) == ((), ())
    assert evidence.signals.covered == 0.0


async def test_quotes_are_exact_substrings_of_the_files_with_their_lines(
    retriever: Retriever, library: Library
) -> None:
    quoted = 0
    for question in ("What is drift?", "What is pizza dough?", "When does framing fail?"):
        for passage in (await retriever.evidence(question)).passages:
            folder = library.group if passage.section.namespace == "group" else library.corpus
            text = (folder.root.parent / passage.section.path).read_text(encoding="utf-8")
            first, last = passage.lines
            assert passage.quote in text
            assert passage.quote in "\n".join(text.splitlines()[first - 1 : last])
            assert passage.section.lines[0] <= first <= last <= passage.section.lines[1]
            quoted += 1
    assert quoted > 20


async def test_a_sentence_carries_the_sources_that_it_cites(retriever: Retriever) -> None:
    passages = (await retriever.evidence("What is drift?")).passages
    (cited,) = [passage for passage in passages if passage.sources]

    assert cited.text == "Drift is a change of inputs."
    assert cited.quote == "Drift is a change of inputs [@gama-2014]."
    assert [source.key for source in cited.sources] == ["gama-2014"]


async def test_evidence_is_that_of_the_best_sections(retriever: Retriever) -> None:
    evidence = await retriever.evidence("What is drift?")
    hits = await retriever.search("What is drift?", READ_SECTIONS)

    assert list(evidence.hits) == hits
    assert {passage.section for passage in evidence.passages} <= {hit.section for hit in hits}
    assert evidence.question == "What is drift?"


async def test_signals_are_rounded_and_strong_for_what_the_notes_ask_themselves(
    retriever: Retriever,
) -> None:
    own = (await retriever.evidence("What is drift?")).signals
    foreign = (await retriever.evidence("Who won the football cup?")).signals

    assert own.asked == pytest.approx(1.0)
    assert own.covered == 1.0
    assert foreign.asked < 0.7
    for value in (own.asked, own.sentence, own.section, own.covered, foreign.sentence):
        assert value == round(value, 2)


async def test_words_that_no_note_uses_are_named(retriever: Retriever) -> None:
    evidence = await retriever.evidence("Does Kubernetes suit caching?")

    assert evidence.unknown == ("Kubernetes", "suit")
    assert evidence.terms == 3
    assert evidence.signals.covered < 1.0


async def test_related_questions_are_nearest_first_and_one_a_section(retriever: Retriever) -> None:
    related = (await retriever.evidence("When does caching fail?")).related

    assert related[0] == "When does caching fail?"
    assert "What is caching?" not in related
    assert len(set(related)) == len(related)


async def test_when_nothing_is_near_the_framework_is_where_to_begin(retriever: Retriever) -> None:
    related = (await retriever.evidence("Who won the football cup?")).related

    assert related == ("What is framing?",)


async def test_the_same_question_gets_the_same_evidence(retriever: Retriever) -> None:
    first = await retriever.evidence("What is eviction?")

    assert await retriever.evidence("What is eviction?") == first


async def test_a_note_is_returned_verbatim_with_its_head(
    retriever: Retriever, library: Library
) -> None:
    note = await retriever.note("topics/drift")

    assert note.text == (library.corpus.root / "topics/drift.md").read_text(encoding="utf-8")
    assert note.head["id"] == "topics/drift"
    assert note.head["path"] == "corpus/topics/drift.md"
    assert [part["heading"] for part in note.head["sections"]] == ["Drift", "Monitoring"]
    assert list(note.head["sources"]) == ["gama-2014"]


async def test_a_note_of_a_group_has_its_namespace(retriever: Retriever) -> None:
    note = await retriever.note("group:topics/pizza")

    assert (note.head["namespace"], note.head["path"]) == ("group", "group/topics/pizza.md")


@pytest.mark.parametrize("note_id", ["", "topics/none", "topics/pizza", "../corpus", "topics/\0"])
async def test_a_note_that_does_not_exist_is_not_found(retriever: Retriever, note_id: str) -> None:
    with pytest.raises(NoteNotFoundError, match="There is no note"):
        await retriever.note(note_id)


async def test_an_index_without_notes_finds_nothing(library: Library) -> None:
    corpora = {"": library.corpus.root.parent / "empty"}
    corpora[""].mkdir()
    empty = replace(library, index=library.index.parent / "index of nothing")
    empty.ingest(corpora=corpora)
    encoder, shelf = BatchingEncoder(FakeEmbedder), Shelf(FolderStore(empty.index))
    await shelf.start((await encoder.start()).fingerprint, watch=False)
    retriever = Retriever(shelf, encoder)

    assert await retriever.search("drift") == []
    assert (await retriever.evidence("drift")).passages == ()
    await encoder.close()
    await shelf.close()


# The dense score of a section


def test_a_section_without_a_near_question_keeps_its_cosine() -> None:
    assert with_questions({"a": 0.5, "b": 0.3}, []) == {"a": 0.5, "b": 0.3}


def test_a_nearer_question_lifts_its_section_half_way() -> None:
    assert with_questions({"a": 0.4}, [("a", 0.8)]) == pytest.approx({"a": 0.6})


def test_a_question_that_is_farther_than_the_text_changes_nothing() -> None:
    assert with_questions({"a": 0.4}, [("a", 0.2)]) == {"a": 0.4}


def test_only_the_nearest_question_of_a_section_counts() -> None:
    assert with_questions({"a": 0.4}, [("a", 0.8), ("a", 0.6)]) == pytest.approx({"a": 0.6})


def test_a_section_outside_the_pool_counts_as_its_lowest() -> None:
    assert with_questions({"a": 0.5, "b": 0.1}, [("c", 0.9)])["c"] == pytest.approx(0.5)


def test_nothing_near_is_nothing() -> None:
    assert with_questions({}, []) == {}


@given(
    st.dictionaries(st.sampled_from("abcd"), st.floats(-1, 1), min_size=1),
    st.lists(st.tuples(st.sampled_from("abcdef"), st.floats(-1, 1))),
)
def test_a_question_never_lowers_a_section(
    sections: dict[str, float], asked: list[tuple[str, float]]
) -> None:
    scored = with_questions(sections, asked)

    assert all(scored[key] >= cosine for key, cosine in sections.items())
    assert all(-1 <= score <= 1 for score in scored.values())
