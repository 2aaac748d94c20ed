"""What a generation of the index holds, and how it is written to and read from Chroma.

A generation is four collections: `notes`, `sections`, `questions` (what a section answers) and
`sentences`. This module owns their names and metadata; whoever reads them goes through it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ingest.chroma import Client, Collection, lost_server
from ingest.chunking import Chunk
from ingest.embedding import Vectors
from ingest.errors import IndexDamagedError
from ingest.notes import OWN_NAMESPACE, Note, cited_keys

NOTES, SECTIONS, QUESTIONS, SENTENCES = "notes", "sections", "questions", "sentences"
COLLECTIONS = (NOTES, SECTIONS, QUESTIONS, SENTENCES)

FORMAT = 2
"""Raised when records change their meaning: older generations are then built again."""

_WRITE_BATCH = 2_000  # Chroma takes at most 5,461 records a call
_READ_BATCH = 5_000
_PROBE_BATCH = 500
_UNREACHED = 0.01
"""Share of records that an approximate graph may fail to reach; one that lost some misses more."""

# Cosine, because the default space is l2. The graph is denser than Chroma's default so that the
# nearest hundred agree with an exact search; a query still takes about three milliseconds.
_HNSW = {"space": "cosine", "ef_construction": 200, "ef_search": 200, "max_neighbors": 32}
# Notes and sentences are read by id and never searched; Chroma builds a graph of them all the same.
_UNSEARCHED = {"space": "cosine", "ef_construction": 4, "ef_search": 4, "max_neighbors": 2}
_SEARCHED = frozenset({SECTIONS, QUESTIONS})


@dataclass(slots=True)
class Records:
    """Records of one collection: what is embedded and what is stored, in the same order."""

    ids: list[str] = field(default_factory=list)
    embedded: list[str] = field(default_factory=list)
    documents: list[str] = field(default_factory=list)
    metadatas: list[dict[str, Any]] = field(default_factory=list)

    def add(self, key: str, embedded: str, document: str, metadata: dict[str, Any]) -> None:
        """Append one record."""
        self.ids.append(key)
        self.embedded.append(embedded)
        self.documents.append(document)
        self.metadatas.append(metadata)


@dataclass(frozen=True, slots=True)
class SectionRecord:
    """A section, or part of one, as stored. `text` is verbatim; lines count from 1, inclusive."""

    id: str
    note: str
    title: str
    kind: str
    level: str
    phases: tuple[str, ...]
    namespace: str
    heading: str
    path: str
    lines: tuple[int, int]
    sentences: int
    text: str


@dataclass(frozen=True, slots=True)
class SentenceRecord:
    """A sentence as stored, with its unit vector, shape (dimension,)."""

    id: str
    section: str
    number: int
    paragraph: int
    lines: tuple[int, int]
    quote: str
    vector: Vectors
    sources: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class NoteRecord:
    """A note as stored: its verbatim text, and its head with the sources it declares."""

    id: str
    text: str
    head: dict[str, Any]


@dataclass(frozen=True, slots=True)
class QuestionMatch:
    """A question that a section answers, with its cosine to what was looked for."""

    question: str
    section: str
    cosine: float


def empty_records() -> dict[str, Records]:
    """Return the four collections, empty."""
    return {name: Records() for name in COLLECTIONS}


def add_note(
    records: dict[str, Records], note: Note, chunks: Sequence[Chunk], sources: dict[str, Any]
) -> None:
    """Add a note, its sections, their questions and their sentences to the records."""
    meta = note.meta
    namespace = note.namespace or OWN_NAMESPACE
    head = {
        "id": note.id,
        "title": meta.title,
        "kind": meta.kind,
        "phases": list(meta.phases),
        "level": meta.level,
        "summary": meta.summary,
        "updated": meta.updated.isoformat() if meta.updated else None,
        "namespace": namespace,
        "path": note.path,
        "first_line": note.line_of(note.shown_from),
        "sources": sources,
        "sections": [
            {
                "id": chunk.section.slug,
                "heading": chunk.section.heading,
                "lines": [chunk.section.first_line, chunk.section.last_line],
            }
            for chunk in chunks
            if "~" not in chunk.id
        ],
    }
    records[NOTES].add(
        note.id, f"{meta.title}. {meta.summary}", note.shown_text, {"head": json.dumps(head)}
    )
    for chunk in chunks:
        _add_chunk(records, note, chunk, namespace, sources)


def _add_chunk(
    records: dict[str, Records], note: Note, chunk: Chunk, namespace: str, sources: dict[str, Any]
) -> None:
    meta = note.meta
    common: dict[str, Any] = {
        "note": note.id,
        "kind": meta.kind,
        "level": meta.level,
        "namespace": namespace,
    }
    if meta.phases:
        common["phases"] = list(meta.phases)  # Chroma refuses an empty list
    place = {
        "title": meta.title,
        "heading": chunk.section.heading,
        "path": note.path,
        "first_line": chunk.lines[0],
        "last_line": chunk.lines[1],
        "sentences": len(chunk.sentences),
    }
    records[SECTIONS].add(chunk.id, chunk.embedded, chunk.text, common | place)
    if "~" not in chunk.id:
        for number, question in enumerate(chunk.section.asks):
            key = f"{chunk.id}?{number}"
            records[QUESTIONS].add(key, question, question, common | {"section": chunk.id})
    for number, sentence in enumerate(chunk.sentences):
        metadata = {
            "section": chunk.id,
            "number": number,
            "paragraph": sentence.paragraph,
            "first_line": note.line_of(sentence.offset),
            "last_line": note.line_of(sentence.offset + len(sentence.quote)),
        }
        if cited := [sources[key] for key in cited_keys(sentence.quote) if key in sources]:
            metadata["sources"] = json.dumps(cited)
        records[SENTENCES].add(
            sentence_id(chunk.id, number), sentence.text, sentence.quote, metadata
        )


def sentence_id(section: str, number: int) -> str:
    """Return the id of a section's sentence, counted from 0."""
    return f"{section}.{number}"


def collection_name(generation: str, name: str) -> str:
    """Return a collection's name, unique among the generations of one server."""
    return f"viva-{generation}-{name}"


def write_collection(
    client: Client, generation: str, name: str, records: Records, vectors: Vectors
) -> None:
    """Write one collection of a generation. `vectors` has shape (len(records), dimension)."""
    collection = client.create_collection(
        collection_name(generation, name),
        embedding_function=None,
        configuration={"hnsw": dict(_HNSW if name in _SEARCHED else _UNSEARCHED)},
    )
    for start in range(0, len(records.ids), _WRITE_BATCH):
        end = start + _WRITE_BATCH
        collection.add(
            ids=records.ids[start:end],
            embeddings=vectors[start:end],
            documents=records.documents[start:end],
            metadatas=records.metadatas[start:end],
        )


def probe_collection(client: Client, generation: str, name: str, ids: Sequence[str]) -> None:
    """Check that every record is there and, where it is searched for, that its vector finds it.

    Chroma has lost records from its graph while still counting them. A twin (a record with the same
    vector) may be found in the record's stead. Raises `IndexDamagedError`.
    """
    collection = _collection(client, generation, name)
    unreached: list[str] = []
    for start in range(0, len(ids), _PROBE_BATCH):
        wanted = list(ids[start : start + _PROBE_BATCH])
        stored = collection.get(ids=wanted, include=["embeddings"])
        if len(stored["ids"]) != len(wanted):
            raise IndexDamagedError(
                f"{name}: {len(wanted) - len(stored['ids'])} records are missing."
            )
        if name not in _SEARCHED:
            continue
        found = collection.query(
            query_embeddings=stored["embeddings"], n_results=1, include=["distances"]
        )
        distances = found["distances"] or []
        for key, nearest, distance in zip(stored["ids"], found["ids"], distances, strict=True):
            if not nearest or (nearest[0] != key and distance[0] > 1e-5):
                unreached.append(key)
    if len(unreached) > _UNREACHED * len(ids):
        raise IndexDamagedError(
            f"{name}: {len(unreached)} of {len(ids)} records do not find themselves, "
            f"{unreached[0]} among them."
        )


class Index:
    """One generation, opened for reading. Every method blocks."""

    def __init__(self, client: Client, generation: str) -> None:
        self._collections = {name: _collection(client, generation, name) for name in COLLECTIONS}
        # A generation never changes; asking for more records than there are makes Chroma warn.
        self._counts = {name: c.count() for name, c in self._collections.items()}

    def sections(self) -> list[SectionRecord]:
        """Return every section, in the order of their ids."""
        records = _pages(self._collections[SECTIONS])
        return sorted((_section(*record) for record in records), key=lambda section: section.id)

    def questions(self) -> list[tuple[str, str]]:
        """Return every question that a section answers, in order, with the section's id."""
        records = sorted(_pages(self._collections[QUESTIONS]), key=lambda record: record[0])
        return [(document, str(metadata["section"])) for _, document, metadata in records]

    def nearest_sections(
        self, vector: Sequence[float], count: int, where: dict[str, Any] | None = None
    ) -> dict[str, float]:
        """Return the ids of the `count` sections nearest to a unit vector, with their cosines."""
        found = self._nearest(SECTIONS, vector, count, where, ["distances"])
        return {key: cosine for key, cosine, _, _ in found}

    def nearest_questions(
        self, vector: Sequence[float], count: int, where: dict[str, Any] | None = None
    ) -> list[QuestionMatch]:
        """Return the `count` questions nearest to a unit vector, nearest first."""
        include = ["distances", "documents", "metadatas"]
        return [
            QuestionMatch(question, str(metadata["section"]), cosine)
            for _, cosine, question, metadata in self._nearest(
                QUESTIONS, vector, count, where, include
            )
        ]

    def _nearest(
        self,
        name: str,
        vector: Sequence[float],
        count: int,
        where: dict[str, Any] | None,
        include: list[str],
    ) -> list[tuple[str, float, Any, Any]]:
        collection = self._collections[name]
        wanted = min(count, self._counts[name])
        if not wanted:
            return []
        with lost_server():
            found = collection.query(
                query_embeddings=[np.asarray(vector, dtype=np.float32)],
                n_results=wanted,
                where=where,
                include=include,
            )
        ids = found["ids"][0]
        cosines = [1.0 - float(distance) for distance in found["distances"][0]]
        documents = (found.get("documents") or [[None] * len(ids)])[0]
        metadatas = (found.get("metadatas") or [[None] * len(ids)])[0]
        return list(zip(ids, cosines, documents, metadatas, strict=True))

    def sentences(self, sections: Iterable[SectionRecord]) -> list[SentenceRecord]:
        """Return the sentences of some sections, in the order of sections and of their text."""
        ids = [sentence_id(s.id, number) for s in sections for number in range(s.sentences)]
        if not ids:
            return []
        with lost_server():
            found = self._collections[SENTENCES].get(
                ids=ids, include=["embeddings", "documents", "metadatas"]
            )
        columns = (found[key] for key in ("documents", "metadatas", "embeddings"))
        by_id = {
            key: SentenceRecord(
                id=key,
                section=str(metadata["section"]),
                number=int(metadata["number"]),
                paragraph=int(metadata["paragraph"]),
                lines=(int(metadata["first_line"]), int(metadata["last_line"])),
                quote=str(document),
                vector=np.asarray(vector, dtype=np.float32),
                sources=tuple(json.loads(str(metadata.get("sources", "[]")))),
            )
            for key, document, metadata, vector in zip(found["ids"], *columns, strict=True)
        }
        return [by_id[key] for key in ids]

    def note(self, note_id: str) -> NoteRecord | None:
        """Return a note by its id, or None."""
        with lost_server():
            found = self._collections[NOTES].get(ids=[note_id], include=["documents", "metadatas"])
        if not found["ids"]:
            return None
        documents, metadatas = found["documents"] or [], found["metadatas"] or []
        return NoteRecord(note_id, documents[0], json.loads(str(metadatas[0]["head"])))


def where_clause(**allowed: Iterable[str]) -> dict[str, Any] | None:
    """Return Chroma's filter for records whose metadata has one of the allowed values for each key.

    A key without values does not filter. `phases` is a list in the metadata: one of its values
    must be allowed.
    """
    clauses: list[dict[str, Any]] = []
    for key, values in allowed.items():
        accepted = sorted(values)
        if not accepted:
            continue
        if key == "phases":
            either = [{key: {"$contains": value}} for value in accepted]
            clauses.append(either[0] if len(either) == 1 else {"$or": either})
        else:
            clauses.append({key: {"$in": accepted}})
    if len(clauses) < 2:
        return clauses[0] if clauses else None
    return {"$and": clauses}


def _collection(client: Client, generation: str, name: str) -> Collection:
    return client.get_collection(collection_name(generation, name), embedding_function=None)


def _pages(collection: Collection) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for offset in range(0, collection.count(), _READ_BATCH):
        page = collection.get(limit=_READ_BATCH, offset=offset, include=["documents", "metadatas"])
        documents, metadatas = page["documents"] or [], page["metadatas"] or []
        for key, document, metadata in zip(page["ids"], documents, metadatas, strict=True):
            yield key, document, dict(metadata)


def _section(key: str, document: str, metadata: dict[str, Any]) -> SectionRecord:
    return SectionRecord(
        id=key,
        note=metadata["note"],
        title=metadata["title"],
        kind=metadata["kind"],
        level=metadata["level"],
        phases=tuple(metadata.get("phases", ())),
        namespace=metadata["namespace"],
        heading=metadata["heading"],
        path=metadata["path"],
        lines=(int(metadata["first_line"]), int(metadata["last_line"])),
        sentences=int(metadata["sentences"]),
        text=document,
    )
