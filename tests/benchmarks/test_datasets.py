from pathlib import Path

import pytest

from benchmarks import reporting
from benchmarks.datasets import MissingSetError, read_beir, read_jsonl, read_questions


def beir(folder: Path) -> Path:
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.jsonl").write_text(
        '{"_id": "p1", "title": "", "text": "one"}\n{"_id": "p2", "title": "Two", "text": "two"}\n'
    )
    (folder / "queries_dev.jsonl").write_text(
        '{"_id": "q1", "text": "first?"}\n{"_id": "q2", "text": "nobody judged this"}\n'
    )
    (folder / "qrels" / "dev.tsv").write_text("query-id\tcorpus-id\tscore\nq1\tp1\t2\nq1\tp2\t0\n")
    return folder


def test_a_beir_folder_is_read_with_the_judged_queries_only(tmp_path: Path) -> None:
    data = read_beir(beir(tmp_path / "set"), "dev")
    assert data.passages == {"p1": "one", "p2": "Two two"}
    assert data.queries == {"q1": "first?"}
    assert data.qrels == {"q1": {"p1": 2.0}}


def test_a_missing_set_says_where_it_is_expected(tmp_path: Path) -> None:
    with pytest.raises(MissingSetError, match=r"nowhere/corpus\.jsonl.*expected there"):
        read_beir(tmp_path / "nowhere", "dev")


def test_a_missing_split_says_where_it_is_expected(tmp_path: Path) -> None:
    with pytest.raises(MissingSetError, match=r"qrels/test\.tsv"):
        read_beir(beir(tmp_path / "set"), "test")


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"id": 1}\n\n{"id": \n')
    with pytest.raises(MissingSetError, match="line 3"):
        read_jsonl(file)


def test_a_question_without_scope_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"id": "q1", "question": "What?"}\n')
    with pytest.raises(MissingSetError, match="lacks scope"):
        read_questions([file])


def test_a_missing_set_ends_a_benchmark_with_status_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        reporting.run(lambda: read_beir(tmp_path / "nowhere", "dev"))
    assert stopped.value.code == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "is expected there" in printed.err
