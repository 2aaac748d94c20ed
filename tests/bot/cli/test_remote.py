"""Commands that talk to the server that runs on this machine."""

from __future__ import annotations

import gc
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from bot.cli.remote import find_remote
from bot.running import RunningServer, announce, announced
from tests.bot.cli.conftest import Viva

CITATION = {
    "n": 1, "note": "topics/drift", "title": "Drift", "heading": "Seeing it",
    "path": "corpus/topics/drift.md", "lines": [12, 13],
    "quote": "Drift moves inputs [@gama-2014].",
    "support": 1.0,
    "sources": [{"key": "gama-2014", "title": "A survey", "authors": "João Gama, Indrė Žliobaitė",
                 "year": 2014, "url": "https://doi.org/10.1145/2523813"}],
}  # fmt: skip
SENTENCE = {"text": "Drift moves inputs.", "citations": [CITATION]}
DONE: dict[str, Any] = {
    "id": "1", "conversation": "c", "generation": "g", "question": "What is drift?",
    "status": "answered", "answer": "Drift moves inputs. [1]",
    "sentences": [{"text": "Drift moves inputs.", "citations": [1]}], "citations": [CITATION],
    "uncovered": "", "suggestions": ["What is PSI?"], "engine": "extractive", "degraded": None,
    "timings_ms": {"retrieve": 1.0, "gate": 0.1, "first_sentence": 1.2, "total": 1.3},
}  # fmt: skip
REFUSED = DONE | {
    "status": "refused", "answer": "The notes do not cover this question.", "sentences": [],
    "citations": [], "uncovered": "Not covered by the notes: Who won?",
}  # fmt: skip
HIT = {
    "rank": 1, "note": "topics/drift", "title": "Drift", "heading": "Seeing it",
    "text": "Drift moves inputs.", "score": 0.91, "lines": [12, 13],
}  # fmt: skip


@pytest.fixture(autouse=True)
def _no_socket_stays_open() -> Iterator[None]:
    """Let a connection that was forgotten be this test's fault, not that of a later one."""
    yield
    gc.collect()


def events(*named: tuple[str, Any]) -> bytes:
    return b"".join(f"event: {name}\ndata: {json.dumps(data)}\n\n".encode() for name, data in named)


ANSWERED = events(("sources", {"sources": []}), ("sentence", SENTENCE), ("done", DONE))

Announce = Callable[[int, str, bytes], list[dict[str, Any]]]


@contextmanager
def http_server(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def running(data_dir: Path) -> Iterator[Announce]:
    """Return what starts a server that answers all but its health with one status and body."""
    started: list[Any] = []

    def start(status: int, kind: str, body: bytes) -> list[dict[str, Any]]:
        asked: list[dict[str, Any]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                if self.path == "/healthz" and "Authorization" not in self.headers:
                    self.send_response(200)
                    self.end_headers()
                    self.wfile.write(json.dumps({"instance": server.instance}).encode())
                    return
                length = int(self.headers.get("Content-Length", 0))
                asked.append(
                    {
                        "path": self.path,
                        "headers": dict(self.headers),
                        "body": json.loads(self.rfile.read(length) or b"null"),
                    }
                )
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST  # noqa: N815 - the library's name

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        manager = http_server(Handler)
        port = manager.__enter__()
        started.append(manager)
        server = announce(data_dir, f"http://127.0.0.1:{port}")
        return asked

    yield start
    for manager in started:
        manager.__exit__(None, None, None)


def test_a_question_goes_to_the_running_server_with_its_token(
    viva: Viva, running: Announce, data_dir: Path
) -> None:
    asked = running(200, "text/event-stream", ANSWERED)
    result = viva("ask", "What is drift?", "--conversation", "mine")

    assert (result.status, result.err) == (0, "")
    ((path, headers, body),) = [(one["path"], one["headers"], one["body"]) for one in asked]
    token = json.loads((data_dir / "server.json").read_text())["token"]
    assert (path, headers["Authorization"]) == ("/v1/ask", f"Bearer {token}")
    assert body == {"question": "What is drift?", "conversation": "mine", "model": "none"}
    assert token not in result.out


def test_the_words_of_a_question_are_joined(viva: Viva, running: Announce) -> None:
    asked = running(200, "text/event-stream", ANSWERED)
    result = viva("ask", "what", "is", "drift")

    assert (result.status, result.err) == (0, "")
    assert [one["body"]["question"] for one in asked] == ["what is drift"]


def test_people_see_sentences_with_their_place_and_sources(viva: Viva, running: Announce) -> None:
    running(200, "text/event-stream", ANSWERED)
    out = viva("ask", "What is drift?").out

    assert "  Drift > Seeing it\n" in out
    assert "  Drift moves inputs. [1]\n" in out
    assert "  [1] corpus/topics/drift.md:12\n" in out
    assert "João Gama, 2014. A survey" in out
    assert "https://doi.org/10.1145/2523813" in out
    assert "Related questions\n  · What is PSI?" in out


def test_programs_get_one_document(viva: Viva, running: Announce) -> None:
    running(200, "text/event-stream", ANSWERED)

    result = viva("ask", "What is drift?", "--json")

    assert (result.status, result.json, result.err) == (0, DONE, "")


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_refused_question_is_done(viva: Viva, running: Announce, options: list[str]) -> None:
    running(200, "text/event-stream", events(("sources", {"sources": []}), ("done", REFUSED)))

    result = viva("ask", "Who won?", *options)

    assert result.status == 0
    if options:
        assert result.json == REFUSED
    else:
        assert "The notes do not cover this question." in result.out
        assert "Ask instead\n  · What is PSI?" in result.out


def test_a_search_goes_to_the_running_server(viva: Viva, running: Announce) -> None:
    asked = running(200, "application/json", json.dumps([HIT]).encode())
    result = viva("search", "drift & co", "-k", "3", "--kind", "faq", "--kind", "topic", "--json")

    assert (result.status, result.json) == (0, [HIT])
    assert asked[0]["path"] == "/v1/search?q=drift+%26+co&k=3&kind=faq&kind=topic"


def test_people_see_sections_with_their_place(viva: Viva, running: Announce) -> None:
    running(200, "application/json", json.dumps([HIT]).encode())
    out = viva("search", "drift").out

    assert " 1. Drift > Seeing it" in out
    assert "topics/drift, lines 12-13 · 0.91" in out


def test_nothing_found_is_done_and_says_so(viva: Viva, running: Announce) -> None:
    running(200, "application/json", b"[]")

    assert viva("search", "drift").out == "No section was found.\n"
    assert viva("search", "drift", "--json").json == []


def test_a_refusal_of_the_server_is_its_detail_and_repair(viva: Viva, running: Announce) -> None:
    problem = {"detail": "The question is empty.", "repair": 'viva ask "What is drift?"'}
    running(422, "application/problem+json", json.dumps(problem).encode())

    result = viva("ask", "What is drift?", "--json")

    assert (result.status, result.out) == (1, "")
    assert result.err == 'The question is empty. viva ask "What is drift?"\n'


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b"null", b""])
def test_a_server_that_answers_nonsense_is_named(
    viva: Viva, running: Announce, body: bytes
) -> None:
    running(502, "text/html", body)

    result = viva("ask", "What is drift?")

    assert (result.status, result.out) == (1, "")
    assert result.err == "The running server answered 502. Restart it: viva serve\n"


def test_an_answer_that_breaks_off_is_not_done(viva: Viva, running: Announce) -> None:
    running(200, "text/event-stream", events(("sources", {"sources": []}), ("sentence", SENTENCE)))

    result = viva("ask", "What is drift?", "--json")

    assert (result.status, result.out) == (1, "")
    assert len(result.err.splitlines()) == 1


@pytest.mark.parametrize("greeting", [b"", b"220 mail.example ESMTP\r\n", b"\x00\x01\x02"])
@pytest.mark.parametrize("command", [["ask", "What is drift?"], ["search", "drift"]])
def test_a_port_that_another_program_took_is_no_crash(
    viva: Viva, data_dir: Path, greeting: bytes, command: list[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        announce(data_dir, f"http://127.0.0.1:{listener.getsockname()[1]}")

        def answer() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(greeting)

        threading.Thread(target=answer, daemon=True).start()
        result = viva(*command, VIVA_EMBEDDING_MODEL="/nowhere")
        listener.shutdown(socket.SHUT_RDWR)

    assert (result.status, result.out) == (1, "")
    assert "Traceback" not in result.err


def test_what_is_no_text_is_no_crash(viva: Viva, running: Announce) -> None:
    running(200, "application/json", b"[]")

    assert viva("search", "drift\udcff").status in (0, 1)


def test_a_server_that_died_is_not_found(data_dir: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    announce(data_dir, f"http://127.0.0.1:{port}")

    assert find_remote(data_dir) is None


def test_where_nobody_announced_itself_nobody_is_found(data_dir: Path) -> None:
    assert find_remote(data_dir) is None


def test_a_server_that_names_its_instance_is_found(data_dir: Path, running: Announce) -> None:
    asked = running(200, "application/json", b"[]")
    remote = find_remote(data_dir)

    assert remote
    assert isinstance(remote.server, RunningServer)
    assert remote.server == announced(data_dir)
    assert asked == []


@pytest.mark.parametrize(
    ("status", "health"),
    [
        (200, b'{"status": "ok", "version": "0.1.0", "instance": "another"}'),
        (200, b'{"status": "ok", "version": "0.1.0", "instance": ""}'),
        (200, b'{"status": "ok"}'),
        (200, b'{"instance": null}'),
        (200, b"[]"),
        (200, b"null"),
        (200, b"<html>"),
        (200, b""),
        (200, b"\xff"),
        (404, b"Not found"),
        (302, b""),
    ],
)
@pytest.mark.parametrize("command", [["ask", "What is drift?"], ["search", "drift"]])
def test_a_program_that_took_the_port_gets_neither_the_token_nor_the_question(
    viva: Viva, data_dir: Path, status: int, health: bytes, command: list[str]
) -> None:
    received: list[tuple[str, str, dict[str, str]]] = []

    class Stranger(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            received.append((self.command, self.path, dict(self.headers)))
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "/elsewhere")
            self.end_headers()
            self.wfile.write(health)

        do_POST = do_GET  # noqa: N815 - the library's name

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http_server(Stranger) as port:
        server = announce(data_dir, f"http://127.0.0.1:{port}")
        result = viva(*command, VIVA_EMBEDDING_MODEL="/nowhere")

    assert [(method, path) for method, path, _ in received] == [("GET", "/healthz")]
    assert "Authorization" not in received[0][2]
    assert server.token not in str(received)
    # The question is answered here instead, as far as there is an encoder.
    assert (result.status, result.out) == (1, "")
    assert result.err.splitlines()[-1].startswith("VIVA_EMBEDDING_MODEL is '/nowhere'")
