"""The plain LangChain pipeline that Viva is compared with, and a minimal server of it.

Texts are cut into 1,000 characters with 200 of overlap, embedded with the same weights as Viva's,
kept in Chroma and found by vector similarity: what the tutorials build.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langchain_chroma import Chroma

CHUNK, OVERLAP = 1_000, 200
SERVED = 5
"""Chunks that the server returns for a question."""

READY = "ready "


def build(texts: Mapping[str, str], weights: Path) -> Chroma:
    """Return a Chroma in memory with the chunks of some texts; `id` names a chunk's text."""
    import chromadb
    from chromadb.config import Settings
    from langchain_chroma import Chroma
    from langchain_core.documents import Document
    from langchain_huggingface import HuggingFaceEmbeddings
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    documents = [Document(text, metadata={"id": key}) for key, text in texts.items()]
    splitter = RecursiveCharacterTextSplitter(chunk_size=CHUNK, chunk_overlap=OVERLAP)
    embeddings = HuggingFaceEmbeddings(model_name=str(weights), model_kwargs={"device": "cpu"})
    client = chromadb.EphemeralClient(Settings(anonymized_telemetry=False))
    return Chroma.from_documents(
        splitter.split_documents(documents), embeddings, client=client, collection_name="plain"
    )


def note_texts(corpus: Path) -> dict[str, str]:
    """Return the notes' files by note id, whole, as a text loader reads them."""
    from ingest.reading import read_corpus

    return {note.id: note.text for note in read_corpus(corpus).notes}


def serve(store: Chroma) -> None:
    """Serve `POST /ask` on a free port of loopback; its address is printed when it is ready."""
    import uvicorn
    from fastapi import FastAPI
    from pydantic import BaseModel

    class Question(BaseModel):
        question: str

    app = FastAPI()
    retriever = store.as_retriever(search_kwargs={"k": SERVED})

    # Annotations are strings in this module, and FastAPI could not resolve a local class by name.
    def ask(body: Any) -> list[str]:
        return [document.page_content for document in retriever.invoke(body.question)]

    ask.__annotations__["body"] = Question
    app.post("/ask")(ask)
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"{READY}http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])


def main() -> None:
    """Serve the notes that ship with Viva."""
    from bot.content import corpus_dir
    from bot.settings import load_settings
    from ingest.weights import find_weights

    settings = load_settings()
    weights = find_weights(settings.embedding_model, settings.cache_dir)
    serve(build(note_texts(corpus_dir()), weights.path))


if __name__ == "__main__":
    from benchmarks.reporting import run

    run(main)
