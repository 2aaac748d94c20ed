"""What a corpus covers, as counts."""

from __future__ import annotations

from ingest.coverage import coverage
from ingest.notes import PHASES
from ingest.reading import read_corpus
from tests.conftest import CorpusFactory
from tests.fakes import point


def test_coverage_counts_points_topics_and_uses_of_sources(corpus_folder: CorpusFactory) -> None:
    folder = corpus_folder()
    folder.note("topics/caching", sources=["lu-2018"], front={"phases": ["serve", "operate"]})
    folder.note("topics/batching", sources=["lu-2018", "gama-2014"], front={"phases": ["serve"]})
    folder.note("faq/how")
    points = [point(phase) for phase in PHASES]
    folder.case(points=[*points, point("serve", id="more", level="L6")])

    found = coverage(read_corpus(folder.root))

    assert found.notes == {"case": 1, "faq": 1, "topic": 3}
    assert {phase: n for phase, n in found.topics.items() if n} == {"serve": 2, "operate": 2}
    assert found.points["serve"] == {"L4": 1, "L5": 0, "L6": 1}
    assert sum(sum(levels.values()) for levels in found.points.values()) == 9
    assert list(found.sources.items()) == [("lu-2018", 2), ("gama-2014", 1)]


def test_an_empty_corpus_covers_nothing(corpus_folder: CorpusFactory) -> None:
    found = coverage(read_corpus(corpus_folder(empty=True).root))
    assert found.notes == {}
    assert set(found.topics.values()) == {0}
    assert found.sources == {}
