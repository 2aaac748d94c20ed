"""From folders of notes to a published generation: read, check, embed what changed, build, swap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ingest import case_meanings, index, lint
from ingest.cache import text_key
from ingest.chunking import chunk_note, embedded_text, section_id
from ingest.coverage import Coverage, coverage
from ingest.embedding import Embedder, open_embedder
from ingest.encoding import Encoding
from ingest.errors import CorpusError, IndexMissingError, NothingOlderError, Problem
from ingest.folder_store import FolderStore
from ingest.generations import (
    KEPT,
    GenerationStore,
    GenerationWriter,
    Manifest,
    content_key,
    generation_id,
)
from ingest.index import Records
from ingest.notes import OWN_NAMESPACE, Corpus, sources_of
from ingest.progress import Progress, Silent
from ingest.reading import read_corpus
from ingest.server_store import ServerStore


@dataclass(frozen=True, slots=True)
class IngestOptions:
    """Everything an ingest needs to know. `corpora` maps namespaces to folders; "" is our own."""

    corpora: dict[str, Path]
    index_dir: Path
    cache_dir: Path
    embedding_model: str = "default"
    chroma_url: str | None = None
    rebuild: bool = False


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What an ingest did. `counts` by collection; `embedded` and `reused` count texts.

    `held`: these notes were rolled back, and stay so until they change or a rebuild is asked for.
    """

    generation: str
    changed: bool
    counts: dict[str, int]
    embedded: int
    reused: int
    computed_in: str
    held: bool = False


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a check found. `coverage` by namespace, ours first."""

    notes: int
    sections: int
    sources: int
    coverage: dict[str, Coverage]
    problems: tuple[Problem, ...]


def open_store(index_dir: Path, chroma_url: str | None = None) -> GenerationStore:
    """Return where generations live: the folder, or the Chroma server."""
    return ServerStore(chroma_url) if chroma_url else FolderStore(index_dir)


def check(
    options: IngestOptions, progress: Progress | None = None, embedder: Embedder | None = None
) -> CheckReport:
    """Check the notes without building anything; only the cache of vectors is written."""
    progress = progress or Silent()
    embedder = embedder or open_embedder(options.embedding_model, options.cache_dir)
    corpora = _read_corpora(options.corpora)
    problems = lint.lint(corpora, embedder.count_tokens, embedder.fingerprint.window)
    if not problems:
        with Encoding(embedder, options.cache_dir, progress) as encoding:
            problems = _seen_by_meaning(corpora, encoding)
    return CheckReport(
        notes=sum(len(corpus.notes) for corpus in corpora),
        sections=sum(len(note.sections) for corpus in corpora for note in corpus.notes),
        sources=sum(len(corpus.sources) for corpus in corpora),
        coverage={corpus.namespace or OWN_NAMESPACE: coverage(corpus) for corpus in corpora},
        problems=tuple(problems),
    )


def ingest(
    options: IngestOptions, progress: Progress | None = None, embedder: Embedder | None = None
) -> IngestReport:
    """Build a generation of the notes and publish it, or find that it is already there.

    Raises `CorpusError` with every fault of the notes, and then nothing is written.
    """
    progress = progress or Silent()
    embedder = embedder or open_embedder(options.embedding_model, options.cache_dir)
    progress.stage("Reading notes")
    corpora = _read_corpora(options.corpora)
    content = _content_of(corpora, embedder)
    store = open_store(options.index_dir, options.chroma_url)
    with store.writer() as writer:
        if not options.rebuild and (report := _unchanged(store, content)):
            return report
        if problems := lint.lint(corpora, embedder.count_tokens, embedder.fingerprint.window):
            raise CorpusError(problems)
        with Encoding(embedder, options.cache_dir, progress) as encoding:
            if problems := _seen_by_meaning(corpora, encoding):
                raise CorpusError(problems)
            records = _records(corpora, embedder)
            namespaces = [corpus.namespace or OWN_NAMESPACE for corpus in corpora]
            return publish(records, namespaces, content, writer, encoding, progress)


def rollback(options: IngestOptions) -> Manifest:
    """Point to the generation before the one that serves, and return it."""
    store = open_store(options.index_dir, options.chroma_url)
    with store.writer() as writer:
        current = store.current()
        if current is None:
            raise IndexMissingError(store.place)
        kept = [m for m in store.manifests() if m.format == index.FORMAT]
        older = [m for m in kept if m.id < current]
        if not older:
            raise NothingOlderError(store.place)
        content = next((m.content for m in kept if m.id == current), "")
        writer.point_to(older[-1].id, held=f"{content} {store.held() or ''}".strip())
        return older[-1]


def publish(
    records: dict[str, Records],
    namespaces: list[str],
    content: str,
    writer: GenerationWriter,
    encoding: Encoding,
    progress: Progress,
) -> IngestReport:
    """Embed the records, write them as a generation, check it and point to it."""
    now = datetime.now(UTC)
    generation = generation_id(now, content)
    # Sections rank, and weigh least in the decision to answer; the rest is computed in float32.
    encoding.prepare(records[index.SECTIONS].embedded, "sections", fast=True)
    others = [name for name in index.COLLECTIONS if name != index.SECTIONS]
    encoding.prepare(
        [text for name in others for text in records[name].embedded], "questions and sentences"
    )
    counts = {name: len(records[name].ids) for name in index.COLLECTIONS}
    progress.stage("Building the index", 2 * sum(counts.values()))
    with writer.build(generation) as client:
        for name in index.COLLECTIONS:
            vectors = encoding.vectors(records[name].embedded)
            index.write_collection(client, generation, name, records[name], vectors)
            progress.advance(counts[name])
    with writer.verify(generation) as client:
        for name in index.COLLECTIONS:
            index.probe_collection(client, generation, name, records[name].ids)
            progress.advance(counts[name])
    manifest = Manifest(
        id=generation,
        created=now.isoformat(timespec="seconds"),
        format=index.FORMAT,
        content=content,
        fingerprint=encoding.fingerprint,
        computed_in=encoding.computed_in,
        counts=counts,
        namespaces=namespaces,
    )
    writer.publish(manifest)
    writer.prune(KEPT)
    return IngestReport(
        generation, True, counts, encoding.embedded, encoding.reused, encoding.computed_in
    )


def _unchanged(store: GenerationStore, content: str) -> IngestReport | None:
    """Return what to report when these very notes serve, or were rolled back from serving."""
    serving = next((m for m in store.manifests() if m.id == store.current()), None)
    held = content in (store.held() or "").split()
    if serving is None or not (held or serving.content == content):
        return None
    counts = serving.counts
    return IngestReport(serving.id, False, counts, 0, sum(counts.values()), "", held)


def _read_corpora(corpora: dict[str, Path]) -> list[Corpus]:
    for namespace, root in corpora.items():
        if not root.is_dir():
            shown = f"{namespace}={root}" if namespace else str(root)
            raise CorpusError([Problem(shown, 1, "is not a folder")])
    return [read_corpus(root, namespace) for namespace, root in corpora.items()]


def _records(corpora: Sequence[Corpus], embedder: Embedder) -> dict[str, Records]:
    records = index.empty_records()
    window = embedder.fingerprint.window
    for corpus in corpora:
        for note in corpus.notes:
            chunks = chunk_note(note, embedder.count_tokens, window)
            index.add_note(records, note, chunks, sources_of(note, corpus.sources))
    return records


def _content_of(corpora: Sequence[Corpus], embedder: Embedder) -> str:
    notes = [
        (note.id, note.path, text_key(note.text)) for corpus in corpora for note in corpus.notes
    ]
    sources = [
        (corpus.namespace, key, source.model_dump_json())
        for corpus in corpora
        for key, source in sorted(corpus.sources.items())
    ]
    # A faulty corpus never equals one that was published.
    faults = [str(problem) for corpus in corpora for problem in corpus.problems]
    return content_key(index.FORMAT, embedder.fingerprint.to_dict(), notes, sources, faults)


def _seen_by_meaning(corpora: Sequence[Corpus], encoding: Encoding) -> list[Problem]:
    """Return the faults that only an encoder sees: what says the same, or too much."""
    texts = {
        section_id(note.id, section): embedded_text(note.meta.title, section)
        for corpus in corpora
        if not corpus.namespace
        for note in corpus.notes
        for section in note.sections
    }
    encoding.prepare(list(texts.values()), "sections", fast=True)
    vectors = encoding.vectors(list(texts.values()))
    problems = lint.near_duplicates(corpora, dict(zip(texts, vectors, strict=True)))
    if encoding.fingerprint.name == case_meanings.MEASURED_WITH:
        compared = case_meanings.compared_texts(corpora)
        encoding.prepare(compared, "cases")
        by_text = dict(zip(compared, encoding.vectors(compared), strict=True))
        problems += case_meanings.lint_meanings(corpora, by_text)
    return sorted(problems)
