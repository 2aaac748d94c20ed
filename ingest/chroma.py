"""Opening Chroma, embedded or as a server, and what Viva uses of it.

Chroma's own annotations promise more than its clients keep (`close` is missing, vectors are a union
of eight types), so the part that is used is written down here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

import httpx

from ingest.errors import VectorStoreError

SERVER_TIMEOUT_S = 10.0
"""How long one request to a Chroma server may take."""


class Collection(Protocol):
    """Records with vectors. `Any` stands for NumPy arrays or lists of lists of floats."""

    name: str

    def count(self) -> int:
        """Return how many records there are."""
        ...

    def add(
        self,
        *,
        ids: Sequence[str],
        embeddings: Any,
        documents: Sequence[str] = ...,
        metadatas: Sequence[dict[str, Any]] = ...,
    ) -> None:
        """Add records; one whose id exists is left as it is, silently."""
        ...

    def upsert(
        self,
        *,
        ids: Sequence[str],
        embeddings: Any,
        documents: Sequence[str] = ...,
        metadatas: Sequence[dict[str, Any]] = ...,
    ) -> None:
        """Add records, or replace those that exist."""
        ...

    def update(self, *, ids: Sequence[str], metadatas: Sequence[dict[str, Any]]) -> None:
        """Change the metadata of records; one that does not exist is passed over, silently."""
        ...

    def get(self, **selection: Any) -> dict[str, Any]:
        """Return records by id or filter, in no particular order."""
        ...

    def query(self, **selection: Any) -> dict[str, Any]:
        """Return the records nearest to some vectors, nearest first."""
        ...

    def delete(self, *, ids: Sequence[str]) -> None:
        """Delete records."""
        ...


class Client(Protocol):
    """A connection, or an opened folder."""

    def create_collection(self, name: str, **options: Any) -> Collection:
        """Create a collection."""
        ...

    def get_collection(self, name: str, **options: Any) -> Collection:
        """Return a collection, or raise `chromadb.errors.NotFoundError`."""
        ...

    def get_or_create_collection(self, name: str, **options: Any) -> Collection:
        """Return a collection, creating it if need be."""
        ...

    def list_collections(self) -> Sequence[Collection]:
        """Return the collections."""
        ...

    def delete_collection(self, name: str) -> None:
        """Delete a collection."""
        ...

    def close(self) -> None:
        """Give back files and threads."""
        ...


def open_folder(folder: Path) -> Client:
    """Open, or create, a Chroma folder. Opening rewrites files in it."""
    import chromadb

    return cast(Client, chromadb.PersistentClient(str(folder), settings=_silent()))


@contextmanager
def lost_server(url: str = "") -> Iterator[None]:
    """Turn the loss of a connection into a `VectorStoreError`."""
    try:
        yield
    except httpx.TransportError as error:
        raise VectorStoreError(
            f"The Chroma server {f'at {shown(url)} ' if url else ''}does not answer.",
            repair="Start it (chroma run), or unset VIVA_CHROMA_URL to use the embedded one.",
        ) from error


def shown(url: str) -> str:
    """Return an address as it may be shown: without user and password."""
    address = urlsplit(url)
    return address._replace(netloc=address.netloc.rpartition("@")[2]).geturl()


def connect(url: str) -> Client:
    """Connect to a Chroma server. Raises `VectorStoreError`."""
    import chromadb

    address = urlsplit(url)
    secure = address.scheme == "https"
    with lost_server(url):
        try:
            client = chromadb.HttpClient(
                host=address.hostname or "localhost",
                port=address.port or (443 if secure else 8000),
                ssl=secure,
                settings=_silent(),
            )
        except ValueError as error:  # so Chroma reports that it found nobody
            raise httpx.ConnectError(str(error)) from error
    # Chroma waits for ever; a server that hangs would hang every question and the way out.
    client._server._session.timeout = httpx.Timeout(SERVER_TIMEOUT_S)  # type: ignore[attr-defined]
    return cast(Client, client)


def _silent() -> Any:
    """Return Chroma's settings without its telemetry, whatever environment or `.env` ask for."""
    from chromadb.config import Settings

    return Settings(anonymized_telemetry=False, chroma_otel_collection_endpoint="", _env_file=None)
