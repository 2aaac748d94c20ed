"""Generations on a Chroma server: everything is a record of a collection.

A collection `viva-generations` holds the manifests, the pointer and the writers' leases. Chroma has
no compare-and-swap; but adding a record whose id exists changes nothing, so the first to add
`lease-N` owns it. A lease that is not renewed in time may be followed by `lease-N+1`.
"""

from __future__ import annotations

import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from ingest.chroma import Client, Collection, connect, lost_server, shown
from ingest.errors import IndexMissingError, VectorStoreError, WriterBusyError
from ingest.generations import Manifest, prunable
from ingest.index import COLLECTIONS, collection_name

LEASE_SECONDS = 60.0
_RENEW_SECONDS = 15.0
_REGISTRY = "viva-generations"
_POINTER = "pointer"
_NO_VECTOR = [[1.0]]  # a record must have one; these are never searched


class ServerStore:
    """Generations on one Chroma server, reached at `url`."""

    def __init__(self, url: str, clock: Callable[[], float] = time.time) -> None:
        self._url = url
        self._clock = clock
        self._shared: Client | None = None

    @property
    def place(self) -> str:
        """The server's address."""
        return shown(self._url)

    def current(self) -> str | None:
        """Return the generation pointed to, or None when nothing was ever published."""
        with self._registry() as registry:
            return _pointer(registry)

    def held(self) -> str | None:
        """Return the content that was rolled back, and is not to be published again."""
        with self._registry() as registry:
            return _pointer(registry, "held")

    def manifests(self) -> list[Manifest]:
        """Return the complete generations, oldest first."""
        with self._registry() as registry:
            return _manifests(registry)

    @contextmanager
    def writer(self) -> Iterator[_ServerWriter]:
        """Hold the lease of the one writer. Raises `WriterBusyError`."""
        with self._registry() as registry:
            lease = _Lease(registry, self._clock)
            lease.take()
            writer = _ServerWriter(self, registry, lease)
            try:
                writer.discard_unfinished()
                yield writer
            finally:
                lease.give_back()

    def open(self, generation: str) -> ServerGeneration:
        """Open a generation for reading."""
        with self._registry() as registry:
            manifest = next((m for m in _manifests(registry) if m.id == generation), None)
        if manifest is None:
            raise IndexMissingError(f"{self.place} ({generation})")
        return ServerGeneration(manifest, self.connect())

    def connect(self) -> Client:
        """Return a client of the server. Raises `VectorStoreError`."""
        return connect(self._url)

    @contextmanager
    def _registry(self) -> Iterator[Collection]:
        """Lend the registry, always through one connection: readers look at it twice a second."""
        try:
            with lost_server(self._url):
                self._shared = self._shared or self.connect()
                registry = self._shared.get_or_create_collection
                yield registry(_REGISTRY, embedding_function=None)
        except VectorStoreError:
            self._shared = None
            raise


@dataclass(slots=True)
class ServerGeneration:
    """A generation read from the server where it lies."""

    manifest: Manifest
    client: Client

    def close(self) -> None:
        """Close the client."""
        self.client.close()


class _ServerWriter:
    def __init__(self, store: ServerStore, registry: Collection, lease: _Lease) -> None:
        self._store = store
        self._registry = registry
        self._lease = lease

    @contextmanager
    def build(self, generation: str) -> Iterator[Client]:
        client = self._store.connect()
        try:
            yield client
        except BaseException:
            _delete(client, generation)
            raise
        finally:
            client.close()

    @contextmanager
    def verify(self, generation: str) -> Iterator[Client]:
        client = self._store.connect()
        try:
            yield client
        finally:
            client.close()

    def publish(self, manifest: Manifest) -> None:
        self._lease.require()  # whoever took over has discarded what was built here
        self._registry.upsert(
            ids=[f"manifest-{manifest.id}"],
            embeddings=_NO_VECTOR,
            documents=[manifest.to_json()],
            metadatas=[{"what": "manifest"}],
        )
        self.point_to(manifest.id)

    def point_to(self, generation: str, held: str = "") -> None:
        self._lease.require()
        pointer = {"generation": generation, "held": held}
        self._registry.upsert(ids=[_POINTER], embeddings=_NO_VECTOR, metadatas=[pointer])

    def prune(self, keep: int) -> None:
        gone = prunable(_manifests(self._registry), _pointer(self._registry), keep)
        client = self._store.connect()
        try:
            for generation in gone:
                # The manifest first: a generation without one is unfinished, and nobody opens it.
                self._registry.delete(ids=[f"manifest-{generation}"])
                _delete(client, generation)
        finally:
            client.close()

    def discard_unfinished(self) -> None:
        """Delete the collections that a killed writer left without a manifest."""
        complete = {manifest.id for manifest in _manifests(self._registry)}
        client = self._store.connect()
        try:
            for collection in client.list_collections():
                generation = _generation_of(collection.name)
                if generation and generation not in complete:
                    client.delete_collection(collection.name)
        finally:
            client.close()


class _Lease:
    """The right to write, renewed by a thread while it is held."""

    def __init__(self, registry: Collection, clock: Callable[[], float]) -> None:
        self._registry = registry
        self._clock = clock
        self._owner = f"{socket.gethostname()}, process {os.getpid()}"
        self._token = uuid.uuid4().hex
        self._key = ""
        self._done = threading.Event()
        self._renewer = threading.Thread(target=self._renew, name="viva-lease", daemon=True)

    def take(self) -> None:
        leases = self._registry.get(where={"what": "lease"}, include=["metadatas"])
        held = list(zip(leases["ids"], leases["metadatas"] or [], strict=True))
        newest = max((int(meta["number"]) for _, meta in held), default=0)
        for _, meta in held:
            if int(meta["number"]) == newest and float(meta["until"]) > self._clock():
                raise self._busy(meta)
        self._key = f"lease-{newest + 1}"
        mine = self._state(LEASE_SECONDS) | {"number": newest + 1}
        self._registry.add(ids=[self._key], embeddings=_NO_VECTOR, metadatas=[mine])
        stored = self._stored()
        if stored.get("token") != self._token:
            raise self._busy(stored)
        if outdated := [key for key, _ in held]:
            self._registry.delete(ids=outdated)
        self._renewer.start()

    def require(self) -> None:
        """Raise `WriterBusyError` if another took over, because this one was too slow."""
        leases = self._registry.get(where={"what": "lease"}, include=["metadatas"])
        newest = max(leases["metadatas"] or [{}], key=lambda meta: int(meta.get("number", 0)))
        if newest.get("token") != self._token:
            raise self._busy(dict(newest))

    def give_back(self) -> None:
        self._done.set()
        if self._renewer.is_alive():
            self._renewer.join()
        if self._stored().get("token") == self._token:
            self._registry.update(ids=[self._key], metadatas=[self._state(0)])

    def _renew(self) -> None:
        while not self._done.wait(_RENEW_SECONDS):
            # A renewal that fails is tried again; `require` decides before anything is published.
            with suppress(Exception):
                self._registry.update(ids=[self._key], metadatas=[self._state(LEASE_SECONDS)])

    def _state(self, seconds: float) -> dict[str, Any]:
        until = self._clock() + seconds
        return {"what": "lease", "owner": self._owner, "token": self._token, "until": until}

    def _stored(self) -> dict[str, Any]:
        found = self._registry.get(ids=[self._key], include=["metadatas"])["metadatas"]
        return dict(found[0]) if found else {}

    @staticmethod
    def _busy(meta: Any) -> WriterBusyError:
        return WriterBusyError(
            f"Another ingest ({meta.get('owner', 'unknown')}) is writing this index.",
            repair=f"Wait for it to end, or {LEASE_SECONDS:.0f} s if it was killed: viva ingest",
        )


def _pointer(registry: Collection, field: str = "generation") -> str | None:
    found = registry.get(ids=[_POINTER], include=["metadatas"])["metadatas"]
    return str(found[0].get(field) or "") or None if found else None


def _manifests(registry: Collection) -> list[Manifest]:
    found = registry.get(where={"what": "manifest"}, include=["documents"])["documents"] or []
    return sorted((Manifest.from_json(text) for text in found), key=lambda manifest: manifest.id)


def _generation_of(collection: str) -> str | None:
    for name in COLLECTIONS:
        if collection.startswith("viva-") and collection.endswith(f"-{name}"):
            return collection.removeprefix("viva-").removesuffix(f"-{name}")
    return None


def _delete(client: Client, generation: str) -> None:
    import chromadb.errors

    for name in COLLECTIONS:
        with suppress(chromadb.errors.NotFoundError):
            client.delete_collection(collection_name(generation, name))
