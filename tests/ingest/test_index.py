"""What a generation holds, read back through Chroma."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ingest import index
from ingest.errors import IndexDamagedError
from ingest.folder_store import FolderStore
from ingest.index import QUESTIONS, SECTIONS, Index, where_clause
from ingest.notes import split_lines
from ingest.pipeline import IngestOptions, ingest
from tests.conftest import CorpusFactory
from tests.fakes import CorpusFolder, FakeEmbedder, prose, section


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> CorpusFolder:
    folder = CorpusFolder(tmp_path_factory.mktemp("build") / "corpus")
    cited = f"{prose('drift', 80)} Drift is known [@gama-2014; @lu-2018].\r\nIt goes on."
    body = section("drift", cited).replace("\n", "\r\n") + "\r\n" + section("monitoring")
    folder.note("topics/drift", body=body, sources=["gama-2014", "lu-2018"])
    folder.note("faq/how", "preparing", front={"phases": [], "level": "L6"})
    return folder


@pytest.fixture(scope="module")
def built(corpus: CorpusFolder) -> Iterator[Index]:
    folder = corpus.root.parent
    ingest(
        IngestOptions({"": corpus.root}, folder / "index", folder / "cache"),
        embedder=FakeEmbedder(),
    )
    store = FolderStore(folder / "index")
    generation = store.current()
    assert generation is not None
    opened = store.open(generation)
    yield Index(opened.client, generation)
    opened.close()


def test_sections_come_back_whole_and_in_order(built: Index, corpus: CorpusFolder) -> None:
    records = built.sections()
    assert [record.id for record in records] == [
        "faq/how#preparing",
        "topics/drift#drift",
        "topics/drift#monitoring",
    ]
    drift = records[1]
    assert (drift.note, drift.title, drift.heading) == ("topics/drift", "Drift", "Drift")
    assert (drift.kind, drift.level, drift.phases) == ("topic", "L4", ("operate",))
    assert (drift.namespace, drift.path) == ("viva", "corpus/topics/drift.md")
    assert (records[0].phases, records[0].level) == ((), "L6")
    text = (corpus.root / "topics/drift.md").read_bytes().decode()
    first, last = drift.lines
    assert drift.text in text
    assert drift.text in "".join(split_lines(text)[first - 1 : last])


def test_sentences_are_verbatim_and_carry_their_sources(built: Index, corpus: CorpusFolder) -> None:
    sections = built.sections()
    sentences = built.sentences(sections[1:])
    lines = split_lines((corpus.root / "topics/drift.md").read_bytes().decode())
    assert [s.section for s in sentences] == sorted(s.section for s in sentences)
    assert len(sentences) == sections[1].sentences + sections[2].sentences
    for sentence in sentences:
        first, last = sentence.lines
        assert sentence.quote in "".join(lines[first - 1 : last])
        assert np.isclose(np.linalg.norm(sentence.vector), 1.0, atol=1e-6)
        assert sentence.vector.dtype == np.float32
    (cited,) = [s for s in sentences if s.sources]
    assert cited.quote == "Drift is known [@gama-2014; @lu-2018]."
    assert [source["key"] for source in cited.sources] == ["gama-2014", "lu-2018"]
    assert cited.sources[0]["url"] == "https://doi.org/10.1145/2523813"


def test_sentences_come_in_the_order_of_the_sections_asked_for(built: Index) -> None:
    sections = built.sections()
    backwards = built.sentences(sections[::-1])
    assert [s.id for s in backwards] == [
        s.id for one in sections[::-1] for s in built.sentences([one])
    ]
    assert [s.number for s in built.sentences(sections[:1])] == list(range(sections[0].sentences))
    assert built.sentences([]) == []


def test_questions_point_to_their_sections(built: Index) -> None:
    assert sorted(built.questions()) == [
        ("What is drift?", "topics/drift#drift"),
        ("What is monitoring?", "topics/drift#monitoring"),
        ("What is preparing?", "faq/how#preparing"),
        ("When does drift fail?", "topics/drift#drift"),
        ("When does monitoring fail?", "topics/drift#monitoring"),
        ("When does preparing fail?", "faq/how#preparing"),
    ]


def test_a_note_comes_back_with_its_head(built: Index, corpus: CorpusFolder) -> None:
    note = built.note("topics/drift")
    assert note is not None
    assert note.text.encode() == (corpus.root / "topics/drift.md").read_bytes()
    assert note.head["sources"].keys() == {"gama-2014", "lu-2018"}
    assert [part["id"] for part in note.head["sections"]] == ["drift", "monitoring"]
    assert note.head["updated"] == "2026-01-31"
    assert built.note("topics/gone") is None


def test_the_nearest_question_is_the_one_that_was_asked(built: Index) -> None:
    asked = FakeEmbedder().encode(["When does monitoring fail?"])[0]
    best, *others = built.nearest_questions(asked, 3)
    assert (best.question, best.section) == (
        "When does monitoring fail?",
        "topics/drift#monitoring",
    )
    assert best.cosine == pytest.approx(1.0, abs=1e-5)
    cosines = [match.cosine for match in others]
    assert cosines == sorted(cosines, reverse=True)
    assert len(cosines) == 2


def test_the_nearest_sections_come_with_their_cosines(built: Index) -> None:
    embedder = FakeEmbedder()
    (monitoring,) = [s for s in built.sections() if s.heading == "Monitoring"]
    asked = embedder.encode([monitoring.text])[0]
    found = built.nearest_sections(asked, 100)
    assert len(found) == 3
    assert next(iter(found)) == monitoring.id
    stored = embedder.encode([f"Drift > Monitoring\n{monitoring.text}"])[0]
    assert found[monitoring.id] == pytest.approx(float(asked @ stored), abs=1e-5)
    assert list(built.nearest_sections(asked, 1)) == [monitoring.id]
    assert built.nearest_sections(asked, 0) == {}


def test_a_filter_lets_through_what_it_names(built: Index) -> None:
    asked = FakeEmbedder().encode(["drift"])[0]

    def found(**allowed: list[str]) -> set[str]:
        ids = built.nearest_sections(asked, 9, where_clause(**allowed))
        questions = built.nearest_questions(asked, 9, where_clause(**allowed))
        assert {question.section for question in questions} == ids.keys()
        return {key.partition("#")[0] for key in ids}

    assert found() == {"topics/drift", "faq/how"}
    assert found(kind=["faq"]) == {"faq/how"}
    assert found(phases=["operate"]) == {"topics/drift"}
    assert found(phases=["operate", "data"], level=["L4", "L5"]) == {"topics/drift"}
    assert found(kind=["faq"], level=["L4"]) == set()


@pytest.mark.parametrize(
    ("allowed", "clause"),
    [
        ({}, None),
        ({"kind": []}, None),
        ({"kind": ["faq"]}, {"kind": {"$in": ["faq"]}}),
        ({"phases": ["data"]}, {"phases": {"$contains": "data"}}),
        (
            {"phases": ["serve", "data"], "kind": ["topic", "faq"]},
            {
                "$and": [
                    {"$or": [{"phases": {"$contains": p}} for p in ("data", "serve")]},
                    {"kind": {"$in": ["faq", "topic"]}},
                ]
            },
        ),
    ],
)
def test_filters_become_one_clause(
    allowed: dict[str, list[str]], clause: dict[str, Any] | None
) -> None:
    assert where_clause(**allowed) == clause


class LossyCollection:
    """A collection whose graph has lost a record: it is counted, and not found."""

    def __init__(self, nearest: str, distance: float) -> None:
        self._found = {"ids": [[nearest]] if nearest else [[]], "distances": [[distance]]}

    def get(self, **_: object) -> dict[str, Any]:
        return {"ids": ["a"], "embeddings": [[1.0]]}

    def query(self, **_: object) -> dict[str, Any]:
        return self._found

    def get_collection(self, *_: object, **__: object) -> LossyCollection:
        """Be the client too."""
        return self


@pytest.mark.parametrize(("nearest", "distance"), [("b", 0.2), ("", 0.0)])
def test_a_record_that_does_not_find_itself_is_damage(nearest: str, distance: float) -> None:
    with pytest.raises(IndexDamagedError, match="sections: 1 of 1 records do not find"):
        index.probe_collection(LossyCollection(nearest, distance), "g", SECTIONS, ["a"])


class ApproximateCollection(LossyCollection):
    """A collection of whose records some are not reached by the graph."""

    def __init__(self, unreached: int) -> None:
        self._unreached = unreached
        self._asked: list[str] = []

    def get(self, *, ids: list[str], **_: object) -> dict[str, Any]:
        self._asked = ids
        return {"ids": ids, "embeddings": [[1.0]] * len(ids)}

    def query(self, **_: object) -> dict[str, Any]:
        found = [[key if int(key) >= self._unreached else "other"] for key in self._asked]
        return {"ids": found, "distances": [[0.1]] * len(found)}


@pytest.mark.parametrize(("unreached", "damaged"), [(0, False), (7, False), (8, True)])
def test_an_approximate_graph_may_miss_one_record_in_a_hundred(
    unreached: int, damaged: bool
) -> None:
    ids = [str(number) for number in range(700)]
    collection = ApproximateCollection(unreached)
    with pytest.raises(IndexDamagedError) if damaged else nullcontext():
        index.probe_collection(collection, "g", QUESTIONS, ids)


def test_a_record_may_be_found_in_its_twins_place() -> None:
    twin = LossyCollection("twin", 1e-7)

    assert index.probe_collection(twin, "g", SECTIONS, ["a"]) is None


def test_more_records_than_a_batch_are_written_and_read(
    tmp_path: Path, corpus_folder: CorpusFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_WRITE_BATCH", "_READ_BATCH", "_PROBE_BATCH"):
        monkeypatch.setattr(index, name, 3)
    options = IngestOptions({"": corpus_folder().root}, tmp_path / "index", tmp_path / "cache")
    report = ingest(options, embedder=FakeEmbedder())
    store = FolderStore(tmp_path / "index")
    opened = store.open(report.generation)
    read = Index(opened.client, report.generation)
    assert len(read.sections()) == report.counts[SECTIONS]
    assert len(set(read.questions())) == report.counts[QUESTIONS] > 3
    opened.close()
