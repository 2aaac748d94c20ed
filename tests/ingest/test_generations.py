"""Manifests and the rules that stores share."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.embedding import Fingerprint
from ingest.errors import EmbedderMismatchError, IndexDamagedError
from ingest.generations import Manifest, content_key, generation_id, prunable
from tests.fakes import FakeEmbedder


def manifest(name: str, fingerprint: Fingerprint | None = None) -> Manifest:
    return Manifest(
        id=name,
        created="2026-01-31T10:00:00+00:00",
        format=1,
        content="c",
        fingerprint=fingerprint or FakeEmbedder().fingerprint,
        computed_in="float32",
        counts={"notes": 1},
        namespaces=["viva"],
        files={"chroma.sqlite3": "ab"},
    )


def test_a_manifest_comes_back_from_its_json() -> None:
    assert Manifest.from_json(manifest("a").to_json()) == manifest("a")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"fingerprint": {}}', '{"fingerprint": 3}'])
def test_a_manifest_that_cannot_be_read_names_the_repair(text: str) -> None:
    with pytest.raises(IndexDamagedError, match="viva ingest --rebuild"):
        Manifest.from_json(text)


def test_an_index_of_another_encoder_names_both_and_the_command() -> None:
    built = manifest("a")
    built.require_embedder(FakeEmbedder().fingerprint)
    with pytest.raises(EmbedderMismatchError) as raised:
        built.require_embedder(FakeEmbedder("other", dimension=768).fingerprint)
    assert "built with the encoder fake" in str(raised.value)
    assert "configured is other" in str(raised.value)
    assert "768 dimensions" in str(raised.value)
    assert "viva ingest" in raised.value.repair
    assert "VIVA_EMBEDDING_MODEL" in raised.value.repair


@pytest.mark.parametrize(
    "change", [{"sha256": "0" * 64}, {"window": 128}, {"dtype": "float16"}, {"normalised": False}]
)
def test_every_part_of_a_fingerprint_must_agree(change: dict[str, object]) -> None:
    fingerprint = FakeEmbedder().fingerprint
    with pytest.raises(EmbedderMismatchError):
        manifest("a").require_embedder(replace(fingerprint, **change))


@given(st.datetimes(min_value=datetime(2000, 1, 1), timezones=st.just(UTC)), st.integers(1, 10**9))  # noqa: DTZ001
def test_generation_ids_sort_by_time(moment: datetime, microseconds: int) -> None:
    try:
        later = moment + timedelta(microseconds=microseconds)
    except OverflowError:
        return
    assert generation_id(moment, "ffffffff") < generation_id(later, "00000000")


def test_the_same_content_has_the_same_key_and_another_has_not() -> None:
    assert content_key(1, {"a": 1, "b": 2}) == content_key(1, {"b": 2, "a": 1})
    assert content_key("a", "bc") != content_key("ab", "c")


@given(
    st.lists(st.sampled_from("abcdefgh"), unique=True).map(sorted),
    st.sampled_from([None, *"abcdefgh"]),
    st.integers(1, 5),
)
def test_the_newest_and_the_current_generation_are_never_deleted(
    names: list[str], current: str | None, keep: int
) -> None:
    deleted = prunable([manifest(name) for name in names], current, keep)
    kept = [name for name in names if name not in deleted]
    assert current not in deleted
    assert set(names[-keep:]) <= set(kept)
    assert len(kept) <= keep + 1
