"""`viva` as people run it: a process, an index of real notes, the real encoder."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from bot.running import announce
from ingest.notes import PHASES
from tests.fakes import CorpusFolder, prose, section
from tests.installation import Installation, Server, document

DRIFT = "How do I detect drift without labels?"
LOADING = "No server is running: loading the encoder"


def test_a_question_is_answered_by_the_running_server(
    installation: Installation, server: Server
) -> None:
    started = time.monotonic()
    asked = installation.run("ask", DRIFT, "--json")

    assert asked.returncode == 0, asked.stderr
    assert asked.stderr == ""
    answer = document(asked.stdout)
    assert answer["status"] == "answered"
    assert answer["citations"][0]["note"] == "topics/data-drift"
    # Importing the encoder alone takes longer than this on any machine.
    assert time.monotonic() - started < 5


def test_every_quote_is_in_the_notes(installation: Installation, server: Server) -> None:
    answer = document(installation.run("ask", DRIFT, "--json").stdout)

    for citation in answer["citations"]:
        text = (installation.folder / citation["path"]).read_text(encoding="utf-8")
        first, last = citation["lines"]
        assert citation["quote"] in "\n".join(text.splitlines()[first - 1 : last])
        assert all(source["url"].startswith("https://") for source in citation["sources"])


def test_people_read_sentences_with_their_places(
    installation: Installation, server: Server
) -> None:
    asked = installation.run("ask", DRIFT)

    assert (asked.returncode, asked.stderr) == (0, "")
    assert "[1]" in asked.stdout
    assert "corpus/topics/data-drift.md:" in asked.stdout


def test_a_refused_question_is_done(installation: Installation, server: Server) -> None:
    asked = installation.run("ask", "Which team won the football world cup?", "--json")

    answer = document(asked.stdout)
    assert (asked.returncode, answer["status"]) == (0, "refused")
    assert (answer["sentences"], answer["citations"]) == ([], [])


def test_sections_are_found_by_the_running_server(
    installation: Installation, server: Server
) -> None:
    found = installation.run("search", "population stability index", "-k", "2", "--json")

    hits = document(found.stdout)
    assert (found.returncode, found.stderr, len(hits)) == (0, "", 2)
    assert "PSI" in hits[0]["heading"]


@pytest.mark.parametrize("arguments", [["ask", ""], ["ask", DRIFT, "--model", "openai:gpt-5"]])
def test_what_cannot_be_asked_is_1_and_a_line(
    installation: Installation, server: Server, arguments: list[str]
) -> None:
    asked = installation.run(*arguments)

    assert (asked.returncode, asked.stdout) == (1, "")
    assert len(asked.stderr.splitlines()) == 1


def test_wrong_usage_is_2(installation: Installation) -> None:
    assert installation.run("ask").returncode == 2


def test_a_reader_that_has_seen_enough_is_no_error(
    installation: Installation, server: Server
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    process = installation.start("search", "drift", stdout=writer)
    os.close(writer)
    _, err = process.communicate(timeout=60)

    assert (process.returncode, err) == (0, "")


def test_a_good_installation_has_nothing_to_mend(
    installation: Installation, server: Server
) -> None:
    checked = installation.run("doctor", "--json")

    parts = {row["part"]: row for row in document(checked.stdout)}
    assert checked.returncode == 0, checked.stdout
    assert all(row["ok"] for row in parts.values())
    assert parts["server"]["found"] == f"running on {server.url}"
    assert "generation" in parts["index"]["found"]


def test_without_a_server_the_index_is_opened_here(
    installation: Installation, tmp_path: Path
) -> None:
    # A folder of data that shares the index, and whose announced server is dead.
    data = tmp_path / "data"
    data.mkdir()
    (data / "index").symlink_to(installation.data / "index", target_is_directory=True)
    announce(data, "http://127.0.0.1:9")
    before = installation.copies()

    asked = installation.run("ask", DRIFT, "--json", settings={"VIVA_DATA_DIR": str(data)})

    assert asked.returncode == 0, asked.stderr
    assert document(asked.stdout)["status"] == "answered"
    assert asked.stderr.startswith(LOADING)
    assert installation.copies() == before


def test_another_encoder_than_that_of_the_index_is_refused_with_the_command(
    installation: Installation, vectors_cache: Path, tmp_path: Path
) -> None:
    # The same model, told by one byte of its weights from the one that built the index.
    model = tmp_path / "other-model"
    model.mkdir()
    (weights,) = (vectors_cache / "models").iterdir()
    for file in weights.iterdir():
        (model / file.name).symlink_to(file)
    (model / "model.safetensors").unlink()
    (model / "model.safetensors").write_bytes((weights / "model.safetensors").read_bytes() + b" ")

    checked = installation.run("doctor", settings={"VIVA_EMBEDDING_MODEL": str(model)})

    assert checked.returncode == 1
    assert "The index was built with the encoder all-MiniLM-L6-v2" in checked.stdout
    assert "Build it again: viva ingest" in checked.stdout


def test_building_again_changes_nothing_and_loads_no_model(installation: Installation) -> None:
    started = time.monotonic()
    built = installation.run("ingest", "--json")

    report = document(built.stdout)
    assert (built.returncode, report["changed"], report["embedded"]) == (0, False, 0)
    assert "Embedding" not in built.stderr
    assert time.monotonic() - started < 10


def test_sound_notes_have_no_problems(installation: Installation) -> None:
    checked = installation.run("ingest", "--check", "--json")

    report = document(checked.stdout)
    assert (checked.returncode, report["problems"]) == (0, [])
    assert report["notes"] == 2
    assert report["coverage"]["viva"]["notes"] == {"framework": 1, "topic": 1}


def test_a_check_shows_what_the_notes_cover(installation: Installation) -> None:
    shown = installation.run("ingest", "--check").stdout.splitlines()

    assert shown[0].split() == ["phase", "topics", "points", "L4", "L5", "L6"]
    assert [line.split()[0] for line in shown[1:9]] == list(PHASES)
    assert "notes by kind: framework 1, topic 1" in shown
    assert any(line.startswith("sources by use: ") for line in shown)


def test_faulty_notes_are_listed_by_file_and_line(fresh: Installation) -> None:
    note = fresh.folder / "corpus/topics/data-drift.md"
    note.write_text(note.read_text().replace("[@gama-2014]", "[@nobody-1999]", 1))

    checked = fresh.run("ingest", "--check")

    assert checked.returncode == 1
    line = next(
        number
        for number, text in enumerate(note.read_text().splitlines(), 1)
        if "[@nobody-1999]" in text
    )
    assert f"corpus/topics/data-drift.md:{line}: cites nobody-1999" in checked.stdout


@pytest.mark.slow
def test_a_change_is_undone(fresh: Installation) -> None:
    first = document(fresh.run("ingest", "--json").stdout)
    note = fresh.folder / "corpus/topics/data-drift.md"
    note.write_text(note.read_text().replace("A strong candidate", "The strong candidate"))
    second = document(fresh.run("ingest", "--json").stdout)
    back = document(fresh.run("ingest", "--rollback", "--json").stdout)

    assert first["generation"] != second["generation"]
    assert 0 < second["embedded"] < 5
    assert back["generation"] == first["generation"]


def _interrupt_while_embedding(installation: Installation, corpus: Path) -> tuple[int, str]:
    """Press Ctrl-C once texts are being embedded; return the exit status and what was said."""
    process = installation.start("ingest", "--corpus", f"big={corpus}", "--json")
    assert process.stderr
    said: list[str] = []

    def read() -> None:
        for line in process.stderr or ():
            said.append(line)
            if line.startswith("Embedding"):
                time.sleep(0.5)
                process.send_signal(signal.SIGINT)

    reader = threading.Thread(target=read)
    reader.start()
    status = process.wait(90)
    reader.join(10)
    assert process.stdout
    assert process.stdout.read() == ""
    process.stdout.close()
    process.stderr.close()
    return status, "".join(said)


@pytest.mark.slow
def test_an_interrupted_ingest_leaves_the_index_and_says_how_to_go_on(
    fresh: Installation, tmp_path: Path
) -> None:
    assert fresh.run("ingest").returncode == 0
    before = (fresh.data / "index/pointer.json").read_text()
    folder = CorpusFolder(tmp_path / "big")
    for n in range(60):
        sections = [section(f"thing {n} {m}", prose(f"thing {n} {m}", 200)) for m in range(10)]
        folder.note(f"topics/big-{n}", body="\n".join(sections))

    status, said = _interrupt_while_embedding(fresh, folder.root)

    assert status == 1, said
    assert "the index that serves is unchanged" in said
    assert "viva ingest" in said.splitlines()[-1]
    assert "Traceback" not in said
    assert (fresh.data / "index/pointer.json").read_text() == before
    assert list((fresh.data / "index/building").glob("*")) == []
    assert document(fresh.run("ingest", "--json").stdout)["changed"] is False


WATCHED = """
import json, os, socket, sys

def record(kind, address):
    host = address[0] if isinstance(address, tuple) else address
    text = host.decode() if isinstance(host, bytes) else str(host)
    if text not in ("127.0.0.1", "::1", "localhost", "None", ""):
        with open(os.environ["WATCH_FILE"], "a") as file:
            file.write(json.dumps([kind, text]) + "\\n")

def hook(event, arguments):
    if event in ("socket.connect", "socket.sendto") and arguments[0].family != socket.AF_UNIX:
        record(event, arguments[1])
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        record(event, arguments[0])

sys.addaudithook(hook)
"""


@pytest.mark.slow
def test_nothing_leaves_the_machine_unasked(fresh: Installation, tmp_path: Path) -> None:
    """Not even where the environment asks some library to report."""
    (tmp_path / "watch").mkdir()
    (tmp_path / "watch/sitecustomize.py").write_text(WATCHED)
    seen = tmp_path / "seen.jsonl"
    fresh.settings |= {
        "PYTHONPATH": f"{tmp_path / 'watch'}{os.pathsep}{fresh.folder}",
        "WATCH_FILE": str(seen),
        "LANGSMITH_TRACING": "true",
        "LANGSMITH_API_KEY": "lsv2_pt_not_a_key",
        "LANGCHAIN_TRACING_V2": "true",
        "LANGCHAIN_API_KEY": "lsv2_pt_not_a_key",
        "OTEL_TRACES_EXPORTER": "otlp",
        "ANONYMIZED_TELEMETRY": "True",
        "HF_HUB_OFFLINE": "0",
    }
    # The watch sees what it should.
    probe = (
        "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('192.0.2.1', 9))"
    )
    subprocess.run([sys.executable, "-c", probe], env=fresh.environment(), check=False)
    assert json.loads(seen.read_text()) == ["socket.connect", "192.0.2.1"]
    seen.unlink()

    assert fresh.run("ingest").returncode == 0
    assert fresh.run("ask", DRIFT).returncode == 0
    with fresh.serve() as server:
        server.until_ready()
        assert fresh.run("ask", DRIFT).returncode == 0
        assert fresh.run("search", "drift").returncode == 0
        assert fresh.run("doctor").returncode == 0
        server.stop()

    assert not seen.exists(), seen.read_text()


@pytest.mark.slow
def test_the_cache_of_vectors_may_be_deleted(fresh: Installation, tmp_path: Path) -> None:
    assert fresh.run("ingest").returncode == 0
    cache = tmp_path / "another cache"
    (cache / "models").mkdir(parents=True)
    (weights,) = (fresh.cache / "models").iterdir()
    (cache / "models" / weights.name).symlink_to(weights.resolve(), target_is_directory=True)

    built = fresh.run("ingest", "--json", settings={"VIVA_CACHE_DIR": str(cache)})

    assert (built.returncode, document(built.stdout)["changed"]) == (0, False)
    assert sqlite3.connect(fresh.cache / "vectors.sqlite3").close() is None
