"""A whole installation of Viva in a folder of its own, run as processes, with a few real notes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml

ROOT = Path(__file__).parents[1]
NOTES = ("topics/data-drift", "framework/frame-the-problem")


@dataclass(frozen=True, slots=True)
class Server:
    """A server that was started, how long it took until it answered, and if it was ready then."""

    process: subprocess.Popen[str]
    url: str
    log: Path
    first_answer_s: float
    first_readiness: httpx.Response

    def get(self, path: str, **how: Any) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", timeout=30, trust_env=False, **how)

    def ask(self, question: str) -> dict[str, Any]:
        response = httpx.post(
            f"{self.url}/v1/ask", json={"question": question}, timeout=60, trust_env=False
        )
        response.raise_for_status()
        answer: dict[str, Any] = response.json()
        return answer

    def until_ready(self, seconds: float = 90) -> None:
        deadline = time.monotonic() + seconds
        while self.get("/readyz").status_code != 200:
            assert time.monotonic() < deadline, self.log.read_text()
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.2)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, and return the exit status."""
        self.process.send_signal(number)
        return self.process.wait(20)


@dataclass(slots=True)
class Installation:
    """A checkout with a small corpus, and folders for its data and cache."""

    folder: Path
    cache: Path
    data: Path
    settings: dict[str, str] = field(default_factory=dict)

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("VIVA_")}
        own = {
            "VIVA_DATA_DIR": str(self.data),
            "VIVA_CACHE_DIR": str(self.cache),
            "PYTHONPATH": str(self.folder),
            "NO_COLOR": "1",
        }
        return kept | own | self.settings | dict(more or {})

    def start(self, *arguments: str, **how: Any) -> subprocess.Popen[str]:
        """Start `viva` with some arguments."""
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | how
        environment = self.environment(streams.pop("settings", None))
        command = [sys.executable, "-m", "bot", *arguments]
        return subprocess.Popen(command, cwd=self.folder, env=environment, **streams)

    def run(self, *arguments: str, **how: Any) -> subprocess.CompletedProcess[str]:
        """Run `viva` with some arguments to its end."""
        process = self.start(*arguments, **how)
        out, err = process.communicate(timeout=120)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    @contextmanager
    def serve(self, *options: str, settings: Mapping[str, str] | None = None) -> Iterator[Server]:
        """Run a server on a free port; it is killed at the end, unless it was stopped."""
        log = self.data.parent / f"server-{time.monotonic_ns()}.log"
        started = time.monotonic()
        with log.open("w") as stream:
            process = self.start(
                "serve", "--port", "0", *options, stdout=stream, stderr=stream, settings=settings
            )
        try:
            url = self._address(process, log)
            first_answer_s = self._first_answer(url, started)
            readiness = httpx.get(f"{url}/readyz", trust_env=False, timeout=30)
            yield Server(process, url, log, first_answer_s, readiness)
        finally:
            process.kill()
            process.wait(10)

    @staticmethod
    def _address(process: subprocess.Popen[str], log: Path) -> str:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None:
            if found := re.search(r"Viva serves on http://\S+:(\d+)", log.read_text()):
                return f"http://127.0.0.1:{found[1]}"
            time.sleep(0.02)
        raise AssertionError(f"the server did not start: {log.read_text()}")

    @staticmethod
    def _first_answer(url: str, started: float) -> float:
        while time.monotonic() < started + 60:
            try:
                httpx.get(f"{url}/healthz", trust_env=False, timeout=30).raise_for_status()
                return time.monotonic() - started
            except httpx.TransportError:
                time.sleep(0.02)
        raise AssertionError("the server does not answer")

    def copies(self) -> list[Path]:
        """Return the private copies of the index that readers hold."""
        return [path for path in (self.data / "index" / "readers").glob("*") if path.is_dir()]


def install(folder: Path, cache: Path) -> Installation:
    """Make an installation: the code as it is, and some of our notes with their sources."""
    checkout = folder / "checkout"
    for package in ("bot", "ingest", "prompts"):
        checkout.mkdir(exist_ok=True, parents=True)
        (checkout / package).symlink_to(ROOT / package, target_is_directory=True)
    used: set[str] = set()
    for note in NOTES:
        text = (ROOT / "corpus" / f"{note}.md").read_text(encoding="utf-8")
        target = checkout / "corpus" / f"{note}.md"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        used |= set(yaml.safe_load(text.split("---\n")[1])["sources"])
    sources = yaml.safe_load((ROOT / "corpus" / "sources.yaml").read_text(encoding="utf-8"))
    kept = {key: value for key, value in sources.items() if key in used}
    (checkout / "corpus" / "sources.yaml").write_text(
        yaml.safe_dump(kept, allow_unicode=True), encoding="utf-8"
    )
    return Installation(checkout, cache, folder / "data")


def document(printed: str) -> Any:
    """Return what was printed, which must be one JSON document and nothing else."""
    return json.loads(printed)
