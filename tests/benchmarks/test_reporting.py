import json

import pytest

from benchmarks import reporting

RESULT = {
    "dense": {"ndcg@10": 0.5, "query_ms": None},
    "langchain": {"1": {"p50_ms": 2.0}},
    "errors": 0,
}


def test_json_is_one_document_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    reporting.show("title", RESULT, as_json=True)
    assert json.loads(capsys.readouterr().out) == RESULT


def test_a_table_holds_every_figure(capsys: pytest.CaptureFixture[str]) -> None:
    reporting.show("title", RESULT, as_json=False)
    printed = capsys.readouterr().out
    for word in ("dense", "ndcg@10", "0.5", "langchain 1", "p50_ms", "errors"):
        assert word in printed


def test_percentiles_of_known_values() -> None:
    assert reporting.percentile([1, 2, 3, 4, 5], 50) == 3
    assert reporting.percentile([0, 10], 95) == 9.5
    assert reporting.median([]) is None
