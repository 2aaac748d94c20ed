"""`viva serve` as a process: starting, following the index, stopping."""

from __future__ import annotations

import json
import signal
import stat
import threading
import time
from pathlib import Path

import httpx
import pytest

from tests.fakes import CorpusFolder
from tests.installation import Installation, Server

DRIFT = "How do I detect drift without labels?"


def test_health_answers_at_once_while_readiness_waits_for_the_encoder(server: Server) -> None:
    # Two seconds on a quiet machine; this one may be busy.
    assert server.first_answer_s < 5
    assert server.first_readiness.status_code == 503
    assert server.first_readiness.json()["ready"] is False
    assert server.get("/readyz").json()["ready"] is True


@pytest.mark.slow
def test_a_server_without_an_index_says_so_and_follows_the_first_one(fresh: Installation) -> None:
    with fresh.serve() as server:
        deadline = time.monotonic() + 60
        while "failed" not in (text := server.get("/readyz").text):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert "viva ingest" in text
        refused = httpx.post(f"{server.url}/v1/ask", json={"question": DRIFT}, trust_env=False)
        assert refused.status_code == 503
        assert "viva ingest" in refused.text

        assert fresh.run("ingest").returncode == 0
        server.until_ready(10)
        assert server.ask(DRIFT)["status"] == "answered"


def test_a_server_says_that_it_loads_and_when_it_is_ready_and_no_more(
    installation: Installation, server: Server
) -> None:
    server.until_ready()
    deadline = time.monotonic() + 5
    while "Ready. " not in (log := server.log.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)

    assert log.index("Viva serves on") < log.index("Loading the encoder") < log.index("Ready. ")
    assert "Uvicorn" not in log
    assert "uvicorn" not in log
    assert "Application startup" not in log


def test_health_names_the_instance_that_was_announced(
    installation: Installation, server: Server
) -> None:
    announced = json.loads((installation.data / "server.json").read_text())

    assert announced["instance"]
    assert server.get("/healthz").json()["instance"] == announced["instance"]


def test_a_second_server_gives_the_commands_back_to_the_first(
    installation: Installation, server: Server
) -> None:
    file = installation.data / "server.json"
    first = json.loads(file.read_text())
    with installation.serve() as second:
        assert json.loads(file.read_text())["url"] == second.url
        assert second.stop() == 0

    assert json.loads(file.read_text()) == first


def test_a_data_folder_that_is_a_file_is_one_line(
    installation: Installation, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.write_text("")
    result = installation.run("serve", "--port", "0", settings={"VIVA_DATA_DIR": str(data)})

    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert str(data) in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_server_lets_only_its_owner_read_where_it_is(
    installation: Installation, server: Server
) -> None:
    file = installation.data / "server.json"
    announced = json.loads(file.read_text())

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert announced["url"] == server.url
    assert announced["pid"] == server.process.pid
    assert announced["token"] not in server.log.read_text()


def test_an_open_server_refuses_pages_and_proxies(server: Server) -> None:
    assert server.get("/v1/search?q=drift").status_code == 200
    for headers in (
        {"Host": "evil.example"},
        {"Origin": "http://evil.example"},
        {"X-Forwarded-For": "203.0.113.9"},
    ):
        assert server.get("/v1/search?q=drift", headers=headers).status_code == 403
    wrong = server.get("/v1/search?q=drift", headers={"Authorization": "Bearer viva_wrong"})
    assert wrong.status_code == 401


def test_a_body_above_the_limit_is_refused_on_the_wire(server: Server) -> None:
    def chunks() -> object:
        for _ in range(50):
            yield b"a" * 8192

    for content in (b"a" * 400_000, chunks()):
        response = httpx.post(f"{server.url}/v1/ask", content=content, trust_env=False)  # type: ignore[arg-type]
        assert response.status_code == 413
        assert response.headers["content-type"] == "application/problem+json"


def test_sentences_are_streamed(server: Server) -> None:
    names = []
    with httpx.stream(
        "POST",
        f"{server.url}/v1/ask",
        json={"question": DRIFT},
        headers={"Accept": "text/event-stream"},
        trust_env=False,
        timeout=30,
    ) as response:
        names = [line[7:] for line in response.iter_lines() if line.startswith("event: ")]

    assert names[0] == "sources"
    assert names[-1] == "done"
    assert set(names[1:-1]) == {"sentence"}


def test_many_questions_at_once_are_all_answered_alike(server: Server) -> None:
    questions = [
        DRIFT,
        "What is embedding drift?",
        "What PSI value means drift?",
    ] * 8
    answers: dict[int, str] = {}

    def ask(number: int) -> None:
        answers[number] = server.ask(questions[number])["answer"]

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(len(questions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert len(answers) == len(questions)
    for number, question in enumerate(questions):
        assert answers[number] == answers[questions.index(question)]


def data_beside(installation: Installation, folder: Path) -> Path:
    """Return a folder of data of its own that shares the installation's index."""
    data = folder / "data"
    data.mkdir()
    (data / "index").symlink_to(installation.data / "index", target_is_directory=True)
    return data


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_a_stopped_server_leaves_nothing_behind(
    installation: Installation, tmp_path: Path, number: int
) -> None:
    data = data_beside(installation, tmp_path)
    before = set(installation.copies())
    with installation.serve(settings={"VIVA_DATA_DIR": str(data)}) as server:
        server.until_ready()
        assert len(set(installation.copies()) - before) == 1
        assert (data / "server.json").exists()
        status = server.stop(number)
        log = server.log.read_text()

    assert status == 0, log
    assert "Traceback" not in log
    assert not (data / "server.json").exists()
    assert set(installation.copies()) - before == set()


@pytest.mark.slow
@pytest.mark.parametrize("after_s", [0.0, 0.7, 2.0])
def test_a_server_that_is_stopped_while_it_starts_leaves_nothing_behind(
    installation: Installation, tmp_path: Path, after_s: float
) -> None:
    data = data_beside(installation, tmp_path)
    before = set(installation.copies())
    with installation.serve(settings={"VIVA_DATA_DIR": str(data)}) as server:
        time.sleep(after_s)
        status = server.stop()
        log = server.log.read_text()

    assert status == 0, log
    assert "Traceback" not in log
    assert not (data / "server.json").exists()
    assert set(installation.copies()) - before == set()


def test_an_open_question_does_not_keep_a_server_from_stopping(
    installation: Installation, tmp_path: Path
) -> None:
    ended: list[str] = []

    def ask() -> None:
        try:
            ended.append(str(server.ask(DRIFT)))
        except httpx.HTTPError as error:
            ended.append(repr(error))

    with installation.serve(settings={"VIVA_DATA_DIR": str(tmp_path)}) as server:
        # The encoder is still loading: the question waits for it at the signal.
        waiting = threading.Thread(target=ask)
        waiting.start()
        time.sleep(0.3)
        assert server.stop() == 0
        waiting.join(5)

    assert len(ended) == 1


def test_a_busy_port_is_said_at_once(installation: Installation, server: Server) -> None:
    port = server.url.rpartition(":")[2]
    second = installation.run("serve", "--port", port)

    assert (second.returncode, second.stdout) == (1, "")
    assert second.stderr.startswith(f"Cannot listen on 127.0.0.1, port {port}")
    assert len(second.stderr.splitlines()) == 1
    # The file of the first one is still there.
    assert json.loads((installation.data / "server.json").read_text())["url"] == server.url


def test_on_another_address_the_key_is_in_a_file_of_the_owner(fresh: Installation) -> None:
    with fresh.serve("--host", "0.0.0.0") as server:
        key = (fresh.data / "admin.key").read_text().strip()
        log = server.log.read_text()

        assert stat.S_IMODE((fresh.data / "admin.key").stat().st_mode) == 0o600
        assert str(fresh.data / "admin.key") in log
        assert key not in log
        assert server.get("/").status_code == 401
        assert server.get("/healthz").status_code == 200
        assert server.get("/", headers={"Authorization": f"Bearer {key}"}).status_code == 200


@pytest.mark.slow
def test_a_new_generation_is_served_without_dropping_a_request(
    fresh: Installation, tmp_path: Path
) -> None:
    group = CorpusFolder(tmp_path / "group")
    group.note("topics/pizza", "pizza dough")
    fresh.settings["VIVA_CORPUS_DIRS"] = f"group={group.root}"
    assert fresh.run("ingest").returncode == 0
    with fresh.serve() as server:
        server.until_ready()
        stop = threading.Event()
        statuses: list[int] = []
        generations: list[str] = []

        def hammer() -> None:
            with httpx.Client(base_url=server.url, timeout=30, trust_env=False) as client:
                while not stop.is_set():
                    response = client.post("/v1/ask", json={"question": DRIFT})
                    statuses.append(response.status_code)
                    generations.append(response.json().get("generation", ""))

        threads = [threading.Thread(target=hammer) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            group.note("topics/sourdough", "sourdough starter")
            built = fresh.run("ingest", "--json")
            swapped = time.monotonic()
            new = json.loads(built.stdout)["generation"]
            while generations[-1] != new and time.monotonic() < swapped + 10:
                time.sleep(0.05)
            followed_s = time.monotonic() - swapped
            time.sleep(0.5)
        finally:
            stop.set()
            for thread in threads:
                thread.join(30)

        assert set(statuses) == {200}
        assert len(set(generations)) == 2
        assert generations[-1] == new
        assert followed_s < 5
        found = server.get("/v1/search?q=sourdough starter&namespace=group").json()
        assert found[0]["note"] == "group:topics/sourdough"
        assert len(fresh.copies()) == 1
