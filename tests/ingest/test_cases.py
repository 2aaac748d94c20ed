"""Cases: what is read of them, what is served, and the rules that they must keep."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from ingest import case_meanings, lint, pipeline
from ingest.chunking import chunk_note
from ingest.errors import Problem
from ingest.index import NOTES, SECTIONS, add_note, empty_records
from ingest.notes import PHASES, Corpus
from ingest.reading import read_corpus
from tests.conftest import CorpusFactory
from tests.fakes import CorpusFolder, FakeEmbedder, fact, outline_of, point, prose

DIAGRAM = '```mermaid\nflowchart LR\n  a["Shop"] --> b[("Store")]\n```'


def problems(*corpora: Corpus) -> list[Problem]:
    return lint.lint(corpora, FakeEmbedder().count_tokens, 256)


def group_messages(folder: CorpusFolder) -> list[str]:
    """Return the faults of the rules that hold for everybody's cases."""
    return [problem.message for problem in problems(read_corpus(folder.root, "ours"))]


def points(**changes: object) -> list[dict[str, object]]:
    """Return a point a phase, the one on the model changed."""
    return [point(phase, **(changes if phase == "model" else {})) for phase in PHASES]


def full_case(folder: CorpusFolder, case_id: str = "rank-shops", **changes: object) -> Path:
    """Write a case that has everything that ours must have."""
    words = {phase: prose(f"{phase} {case_id}", 130) for phase in PHASES}
    words["design"] += f"\n\n{DIAGRAM}\n"
    own = f"of {case_id}"
    whole: dict[str, object] = {
        "facts": [fact(case_id, id=f"fact-{n}", says=f"Answer {n} {own}.") for n in range(15)],
        "points": [
            point(phase, f"{case_id} {n}", id=f"{phase}-{n}") for phase in PHASES for n in range(3)
        ],
        "mistakes": [
            {
                "id": "blunder",
                "phase": "data",
                "severity": 2,
                "says": "Wrong.",
                "accept": ["Just so, always."],
            }
        ],
        "decisions": [
            {"question": f"Which {n}?", "options": ["this", "that"], "criteria": ["cost"]}
            for n in range(6)
        ],
        "dives": [
            {"id": f"dive-{n}", "level": "L5", "probes": [f"{own} {n}{m}?" for m in "abcd"]}
            for n in range(2)
        ],
        "variants": ["It is large.", "It is small."],
    }
    return folder.case(case_id, outline_of(case_id, **words), **(whole | changes))


def test_a_case_is_read_with_its_outline_as_a_note(corpus_folder: CorpusFactory) -> None:
    folder = corpus_folder()
    folder.case()
    corpus = read_corpus(folder.root)

    (case,) = corpus.cases
    assert (case.id, case.head.points[4].phase) == ("rank-shops", "model")
    assert case.outline in corpus.notes
    assert (case.outline.id, case.outline.meta.kind) == ("cases/rank-shops", "case")
    assert tuple(section.heading for section in case.outline.sections) == PHASES


def test_a_groups_case_carries_its_namespace(corpus_folder: CorpusFactory) -> None:
    folder = corpus_folder()
    folder.case()
    (case,) = read_corpus(folder.root, "ours").cases
    assert (case.id, case.outline.id) == ("ours:rank-shops", "ours:cases/rank-shops")


def test_a_line_of_an_outline_is_that_of_the_file(corpus_folder: CorpusFactory) -> None:
    folder = corpus_folder()
    file = folder.case()
    (case,) = read_corpus(folder.root).cases
    lines = file.read_text(encoding="utf-8").splitlines()
    for section in case.outline.sections:
        assert lines[section.first_line - 1] == f"## {section.heading}"


def test_what_an_interview_hides_is_neither_embedded_nor_stored(
    corpus_folder: CorpusFactory,
) -> None:
    folder = corpus_folder(empty=True)
    full_case(folder)
    (case,) = read_corpus(folder.root).cases
    records = empty_records()
    add_note(records, case.outline, chunk_note(case.outline, str.__len__, 10_000), {})

    stored = "\n".join(
        text
        for record in records.values()
        for text in (*record.embedded, *record.documents, *map(str, record.metadatas))
    )
    head = case.head
    hidden = [text for each in head.facts for text in (each.says, *each.asks)]
    hidden += [
        text
        for each in head.points
        for text in (each.says, each.probe, each.aspect, *each.any_of, *each.hints, *each.study)
    ]
    hidden += [text for each in head.mistakes for text in (f"says: {each.says}", *each.accept)]
    hidden += [each.question for each in head.decisions]
    hidden += [probe for each in head.dives for probe in each.probes]
    hidden += head.variants
    assert len(hidden) > 200
    assert [text for text in hidden if text in stored] == []
    assert prose("data rank-shops", 130)[:60] in stored
    assert records[NOTES].documents[0].lstrip().startswith("## clarify")


def test_a_diagram_is_stored_and_not_embedded(corpus_folder: CorpusFactory) -> None:
    folder = corpus_folder(empty=True)
    folder.case(body=outline_of("x", design=f"{prose('design')}\n\n{DIAGRAM}\n"))
    (case,) = read_corpus(folder.root).cases
    records = empty_records()
    add_note(records, case.outline, chunk_note(case.outline, str.__len__, 10_000), {})

    assert any("flowchart" in text for text in records[SECTIONS].documents)
    assert not any("flowchart" in text for each in records.values() for text in each.embedded)


def test_a_sound_case_has_no_problems(corpus_folder: CorpusFactory) -> None:
    folder = corpus_folder()
    full_case(folder)
    assert problems(read_corpus(folder.root)) == []


def test_a_group_may_keep_a_smaller_case(corpus_folder: CorpusFactory) -> None:
    folder = corpus_folder()
    folder.case()
    assert group_messages(folder) == []


def test_a_groups_case_may_study_our_notes(corpus_folder: CorpusFactory) -> None:
    ours, theirs = corpus_folder("corpus"), corpus_folder("theirs", empty=True)
    theirs.case()
    assert problems(read_corpus(ours.root), read_corpus(theirs.root, "g")) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"points": points()[1:]}, "the phase clarify has no point"),
        ({"points": [*points(), point("data")]}, "points: the id data-point stands twice"),
        ({"facts": [fact(), fact()]}, "facts: the id scale stands twice"),
        (
            {"points": points(study=["topics/none#drift"])},
            "model-point: studies topics/none#drift, which is not a note",
        ),
        (
            {"points": points(study=["cases/rank-shops#data"])},
            "model-point: studies cases/rank-shops#data, which is not a note",
        ),
        (
            {"points": points(study=["topics/drift#none"])},
            "model-point: studies topics/drift#none: no section is called none",
        ),
        (
            {
                "points": points(
                    any_of=["salted embers", "deep harbour"], probe="Why salt an ember?"
                )
            },
            "the probe of model-point gives away model-point: 'salted embers'",
        ),
        (
            {
                "points": points(any_of=["salted embers"]),
                "facts": [fact(says="There are salted embers everywhere.")],
            },
            "the fact scale gives away model-point: 'salted embers'",
        ),
        (
            {"points": points(any_of=["salted embers"]), "opening": "Given embers, salted, rank."},
            "the opening gives away model-point: 'salted embers'",
        ),
        (
            {"points": points(any_of=["use RAG"], probe="Would you use RAG?")},
            "the probe of model-point gives away model-point: 'use RAG'",
        ),
        (
            {"points": points(any_of=["calibration"]), "title": "Design calibration"},
            "the title gives away model-point: 'calibration'",
        ),
        (
            {"points": points(any_of=["калибровка"]), "variants": ["Без калибровка."]},
            "a variant gives away model-point: 'калибровка'",
        ),
        (
            {
                "points": points(says="Salted embers warm seven harbours gently."),
                "dives": [
                    {
                        "id": "deep",
                        "level": "L5",
                        "probes": [
                            "Why?",
                            "Do salted embers gently warm harbours?",
                            "Where?",
                            "Who?",
                        ],
                    }
                ],
            },
            "the dive deep gives away model-point: 'Salted embers warm seven harbours gently.'",
        ),
        (
            {
                "mistakes": [
                    {"id": "m", "phase": "data", "severity": 1, "says": says, "accept": ["n"]}
                    for says in ("No.", "Never.")
                ]
            },
            "mistakes: the id m stands twice",
        ),
        ({"sources": ["gama-2014"]}, "the source gama-2014 is not in corpus/sources.yaml"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_faulty_case_is_a_problem(
    corpus_folder: CorpusFactory, changes: dict[str, object], message: str
) -> None:
    folder = corpus_folder()
    folder.case(**changes)
    assert message in group_messages(folder)


def test_what_is_asked_for_may_be_told(corpus_folder: CorpusFactory) -> None:
    folder = corpus_folder()
    told = [point(phase) for phase in PHASES]
    told[0] |= {"made_by": "asking", "any_of": ["salted embers"]}
    folder.case(points=told, facts=[fact(says="There are salted embers everywhere.")])
    assert group_messages(folder) == []


def test_a_hint_may_come_near_to_the_answer(corpus_folder: CorpusFactory) -> None:
    folder = corpus_folder()
    folder.case(points=points(any_of=["salted embers"], hints=["Think.", "More.", "Salt embers!"]))
    assert group_messages(folder) == []


def test_a_fault_is_found_on_its_line(corpus_folder: CorpusFactory) -> None:
    folder = corpus_folder()
    file = folder.case(points=points(study=["topics/drift#drift", "topics/none#drift"]))
    (problem,) = problems(read_corpus(folder.root, "ours"))
    line = file.read_text(encoding="utf-8").splitlines()[problem.line - 1]
    assert line.strip() == "- topics/none#drift"


SHARED = "Kites circle over the hills at noon."


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"facts": [fact(says=SHARED)]}, "the fact scale"),
        ({"points": points(probe=SHARED)}, "the probe of model-point"),
        ({"points": points(says=SHARED)}, "model-point"),
        ({"points": points(any_of=[SHARED])}, "any_of of model-point"),
        ({"points": points(hints=["One.", "Two.", SHARED])}, "hints of model-point"),
        ({"variants": [SHARED]}, "a variant"),
    ],
)
def test_two_cases_do_not_share_a_text(
    corpus_folder: CorpusFactory, changes: dict[str, object], name: str
) -> None:
    folder = corpus_folder()
    folder.case("rank-parks", variants=[SHARED])
    own = [point(phase, "rank-shops") for phase in PHASES]
    folder.case(**({"points": own} | changes))
    found = [message for message in group_messages(folder) if "word for word" in message]
    assert found == [f"{name} stands in the case ours:rank-parks word for word"]


def test_two_cases_may_share_a_phrase(corpus_folder: CorpusFactory) -> None:
    folder = corpus_folder()
    for case_id in ("rank-parks", "rank-shops"):
        probes = [
            f"Which {case_id}?",
            f"Why {case_id}?",
            f"How {case_id}?",
            "When would you switch?",
        ]
        folder.case(case_id, dives=[{"id": "deep", "level": "L5", "probes": probes}])
    assert group_messages(folder) == []


@pytest.mark.parametrize(
    ("headings", "fault"),
    [
        (PHASES, []),
        (PHASES[1:], ["stands 'frame' where '## clarify' belongs"]),
        (PHASES[:-1], ["the outline ends without '## operate'"]),
        ((*PHASES, "more"), ["'more' is no phase of an outline"]),
        ((PHASES[1], PHASES[0], *PHASES[2:]), ["stands 'frame' where '## clarify' belongs"]),
        (
            ("clarify", "frame\n\nText.\n\n### design"),
            ["stands 'frame > design' where '## design' belongs"],
        ),
    ],
    ids=["all", "first missing", "last missing", "one more", "another order", "deeper"],
)
def test_an_outline_has_one_heading_a_phase(
    corpus_folder: CorpusFactory, headings: Sequence[str], fault: list[str]
) -> None:
    folder = corpus_folder()
    folder.case(
        body="\n".join(f"## {name}\n\n{prose(name)}\n" for name in headings).replace(
            "## # ", "### "
        )
    )
    assert group_messages(folder) == fault


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"facts": [fact()]}, "has 1 facts; at least 15 belong in a case"),
        (
            {"facts": [fact(asks=["How?", "How so?"])]},
            "the fact scale needs at least 3 ways to ask",
        ),
        ({"points": points()}, "has 8 points; 24 to 32 belong in a case"),
        ({"decisions": []}, "has 0 decisions; 6 to 10 belong in a case"),
        ({"dives": []}, "has 0 dives; exactly 2 belong in a case"),
        ({"variants": ["One."]}, "has 1 variants; at least 2 belong in a case"),
        ({"mistakes": []}, "has 0 mistakes; at least 1 belong in a case"),
        (
            {
                "points": [
                    point(p, f"{p}{n}", id=f"{p}-{n}", weight=3) for p in PHASES for n in "ab"
                ]
            },
            "has 16 points of weight 3; at most 8",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_our_cases_are_complete(
    corpus_folder: CorpusFactory, changes: dict[str, object], message: str
) -> None:
    folder = corpus_folder()
    full_case(folder, **changes)
    found = [problem.message for problem in problems(read_corpus(folder.root))]
    assert any(each.startswith(message) for each in found), found


@pytest.mark.parametrize(
    ("design", "message"),
    [
        ("", "has 0 Mermaid diagrams; an outline has one"),
        (f"{DIAGRAM}\n\n{DIAGRAM}", "has 2 Mermaid diagrams; an outline has one"),
        (
            DIAGRAM.replace("flowchart LR", "a --> b"),
            "a diagram begins with 'flowchart LR' or 'flowchart TD'",
        ),
        (
            DIAGRAM.replace('b[("Store")]', "b[(Store)"),
            "'a[\"Shop\"] --> b[(Store)' is not Mermaid that every page draws",
        ),
    ],
)
def test_an_outline_has_a_diagram_that_renders(
    corpus_folder: CorpusFactory, design: str, message: str
) -> None:
    folder = corpus_folder()
    full_case(folder)
    file = folder.root / "cases/rank-shops.md"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace(DIAGRAM, design), encoding="utf-8")
    assert message in [problem.message for problem in problems(read_corpus(folder.root))]


def test_an_outline_has_900_to_1500_words(corpus_folder: CorpusFactory) -> None:
    folder = corpus_folder()
    full_case(folder)
    (outline,) = [case.outline for case in read_corpus(folder.root).cases]
    file = folder.root / "cases/rank-shops.md"
    file.write_text(outline.text + prose("serving", 500), encoding="utf-8")
    (found,) = [problem.message for problem in problems(read_corpus(folder.root))]
    assert found.startswith("has an outline of ")


def test_a_case_with_faulty_yaml_names_part_and_line(corpus_folder: CorpusFactory) -> None:
    folder = corpus_folder()
    file = folder.case(points=points(weight=4))
    (problem,) = read_corpus(folder.root).problems
    assert problem.message == "points.4.weight: input should be less than or equal to 3"
    line = file.read_text(encoding="utf-8").splitlines()[problem.line - 1]
    assert line.strip() == "weight: 4"


def meaning_messages(folder: CorpusFolder) -> list[str]:
    corpora = [read_corpus(folder.root)]
    texts = case_meanings.compared_texts(corpora)
    vectors = dict(zip(texts, FakeEmbedder().encode(texts), strict=True))
    return [problem.message for problem in case_meanings.lint_meanings(corpora, vectors)]


def test_a_probe_in_the_words_of_a_point_tells_it(corpus_folder: CorpusFactory) -> None:
    folder = corpus_folder()
    folder.case(
        points=points(says="Red kites circle over warm hills.", probe="Which birds over hills?")
    )
    assert meaning_messages(folder) == []

    folder.case(points=points(says="Kites circle over hills.", probe="Kites circle over hills?"))
    assert meaning_messages(folder) == [
        "the probe of model-point tells model-point (similarity 1.00)"
    ]


def test_two_cases_do_not_ask_for_the_same(corpus_folder: CorpusFactory) -> None:
    folder = corpus_folder()
    folder.case("rank-shops", points=points(says="Kites circle over the hills."))
    other = [point(phase, "rank-parks") for phase in PHASES]
    other[0] |= {"says": "Over the hills circle kites."}
    folder.case("rank-parks", points=other)
    assert meaning_messages(folder) == ["model-point says what clarify-point of rank-parks says"]


def test_points_that_any_outline_has_are_too_generic(corpus_folder: CorpusFactory) -> None:
    folder = corpus_folder()
    said = {phase: f"{phase[::-1]} {phase[1:]} {phase[2:]} {phase[:-2]}." for phase in PHASES}
    folder.case("rank-shops", points=[point(p, says=said[p]) for p in PHASES])
    foreign = outline_of("rank-parks", frame=said["frame"])
    folder.case("rank-parks", foreign, points=[point(p, "rank-parks") for p in PHASES])
    assert meaning_messages(folder) == []  # one of eight is below 15 %

    foreign = outline_of("rank-parks", **{p: said[p] for p in PHASES[:4]})
    folder.case("rank-parks", foreign, points=[point(p, "rank-parks") for p in PHASES])
    (message,) = meaning_messages(folder)
    assert message.startswith(
        "the points are too generic: cases/rank-parks comes near to 50% of them"
    )


def test_shares_are_between_none_and_all(corpus_folder: CorpusFactory) -> None:
    folder = corpus_folder()
    folder.case()
    corpora = [read_corpus(folder.root)]
    (case,) = corpora[0].cases
    texts = case_meanings.compared_texts(corpora)
    vectors = dict(zip(texts, np.ones((len(texts), 1), dtype=np.float32), strict=True))
    assert case_meanings.foreign_shares(case, [case.outline], vectors) == {"cases/rank-shops": 1.0}


def test_the_default_encoder_and_no_other_judges_meanings(
    corpus_folder: CorpusFactory, tmp_path: Path
) -> None:
    folder = corpus_folder()
    facts = [fact(id=f"fact-{n}", says=f"Answer {n} of it.") for n in range(14)]
    model = point("model", "shops 1", id="model-so", says="He is so.")
    others = [point(p, f"shops {p}", id=f"{p}-{n}") for p in PHASES for n in range(3)]
    full_case(folder, facts=[*facts, fact(says="So is he.")], points=[*others, model])
    options = pipeline.IngestOptions({"": folder.root}, tmp_path / "index", tmp_path / "cache")

    default = FakeEmbedder(case_meanings.MEASURED_WITH)
    found = [problem.message for problem in pipeline.check(options, embedder=default).problems]
    assert found == ["the fact scale tells model-so (similarity 1.00)"]
    assert pipeline.check(options, embedder=FakeEmbedder("other")).problems == ()


def test_the_outline_of_a_case_is_for_its_lowest_level(corpus_folder: CorpusFactory) -> None:
    folder = corpus_folder()
    folder.case(levels=["L6", "L5"])
    (case,) = read_corpus(folder.root).cases
    assert case.outline.meta.level == "L5"


def test_a_case_lies_directly_in_its_folder(corpus_folder: CorpusFactory) -> None:
    folder = corpus_folder()
    file = folder.case()
    (folder.root / "cases/sub").mkdir()
    file.rename(folder.root / "cases/sub/rank-shops.md")
    assert group_messages(folder) == ["a case lies directly in cases/"]


def test_a_source_is_cited_in_the_outline(corpus_folder: CorpusFactory) -> None:
    folder = corpus_folder()
    folder.source("gama-2014")
    folder.case(sources=["gama-2014"], facts=[fact(says="Nine [@gama-2014].")])
    assert group_messages(folder) == ["lists the source gama-2014 and never cites it"]


def test_yaml_tags_are_a_problem_and_no_traceback(corpus_folder: CorpusFactory) -> None:
    folder = corpus_folder()
    file = folder.case()
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("weight: 2", "weight: !!bool x", 1), encoding="utf-8")
    (problem,) = read_corpus(folder.root).problems
    assert problem.message == "YAML tags (!!) are not allowed"


def test_a_note_that_cannot_be_read_is_one_fault(corpus_folder: CorpusFactory) -> None:
    folder = corpus_folder(empty=True)
    folder.case()
    folder.note("topics/drift", "drift", front={"level": "L9"})
    (message,) = group_messages(folder)
    assert message.startswith("level: ")
