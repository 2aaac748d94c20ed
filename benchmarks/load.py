"""How many questions a second: `python -m benchmarks.load`.

Loads a server that runs already, and after it the plain LangChain pipeline over the same notes,
served by a process of its own. Every question is different, so that no cache could help. Clients
are coroutines of this process, which shares the processors with the server.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import psutil

from benchmarks import reporting
from benchmarks.datasets import PROJECT
from benchmarks.plain_langchain import READY
from bot.content import corpus_dir
from bot.errors import ServerError
from bot.running import announced
from bot.settings import load_settings
from ingest.reading import read_corpus

CLIENTS = (1, 8, 32, 128)
SECONDS = 10.0
MOST_REQUESTS = 5_000
"""Of one number of clients; what is reached first, this or the time, ends the measurement."""

_TEMPLATES = (
    "How does {a} relate to {b}?",
    "Why would {a} matter for {b}?",
    "What breaks in {b} when {a} is neglected?",
    "Explain {a} to somebody who knows {b}.",
    "When is {a} worth more than {b}?",
    "What would a strong candidate say of {a} in view of {b}?",
)
_TIMEOUT_S = 60.0
_START_S = 180.0


@dataclass(frozen=True, slots=True)
class Target:
    """What is loaded: an address, what a question looks like there, and which process serves."""

    url: str
    path: str
    method: str = "POST"
    headers: dict[str, str] = field(default_factory=dict)
    pid: int | None = None

    def request(self, client: httpx.AsyncClient, question: str) -> httpx.Request:
        """Return the request of one question."""
        if self.method == "GET":
            return client.build_request("GET", self.path, params={"q": question, "k": 5})
        return client.build_request("POST", self.path, json={"question": question})

    def memory_mb(self) -> float | None:
        """Return the resident memory of the serving process, None when it is not known."""
        try:
            return round(psutil.Process(self.pid).memory_info().rss / 1e6) if self.pid else None
        except psutil.Error:
            return None


def main() -> None:
    """Load, and print."""
    arguments = _arguments()
    questions = distinct_questions(arguments.seed)
    ask, search = _targets(arguments.url)
    reporting.progress(f"Loading {ask.url} …")
    result: dict[str, Any] = asyncio.run(_loaded(ask, questions, arguments))
    result["search"] = asyncio.run(_loaded(search, questions, arguments))
    result["viva_memory_mb"] = ask.memory_mb()
    if not arguments.no_langchain:
        reporting.progress("Starting the plain LangChain pipeline …")
        with _plain_server() as plain:
            result["langchain"] = asyncio.run(_loaded(plain, questions, arguments))
            result["langchain_memory_mb"] = plain.memory_mb()
    reporting.show(f"{arguments.seconds:.0f} s each", result, as_json=arguments.json)


def distinct_questions(seed: int) -> Iterator[str]:
    """Yield questions made of the notes' headings, no two alike, some hundred thousand of them."""
    notes = read_corpus(corpus_dir()).notes
    terms = list(dict.fromkeys(s.headings[-1] for n in notes for s in n.sections if s.headings))
    rng = random.Random(seed)
    pairs = list(itertools.permutations(terms, 2))
    rng.shuffle(pairs)
    for template in _TEMPLATES:
        for a, b in pairs:
            yield template.format(a=f"“{a}”", b=f"“{b}”")


async def load(
    target: Target, questions: Iterator[str], clients: int, seconds: float
) -> dict[str, Any]:
    """Return the figures of one number of clients, each asking again as soon as it is answered."""
    times: list[float] = []
    errors = 0
    limits = httpx.Limits(max_connections=clients, max_keepalive_connections=clients)
    asked = 0

    async def ask_on(client: httpx.AsyncClient, until: float) -> None:
        nonlocal asked, errors
        while time.perf_counter() < until and asked < MOST_REQUESTS:
            asked += 1
            request = target.request(client, next(questions))
            sent = time.perf_counter()
            try:
                response = await client.send(request)
            except httpx.HTTPError:
                errors += 1
                continue
            if response.status_code == 200:
                times.append((time.perf_counter() - sent) * 1000)
            else:
                errors += 1

    async with httpx.AsyncClient(
        base_url=target.url, headers=target.headers, limits=limits, timeout=_TIMEOUT_S
    ) as client:
        start = time.perf_counter()  # making the client takes its time, too
        await asyncio.gather(*(ask_on(client, start + seconds) for _ in range(clients)))
        took = time.perf_counter() - start
    return {
        "requests_per_second": round(len(times) / took, 1),
        "p50_ms": reporting.percentile(times, 50),
        "p95_ms": reporting.percentile(times, 95),
        "p99_ms": reporting.percentile(times, 99),
        "errors": errors,
    }


async def _loaded(target: Target, questions: Iterator[str], arguments: Namespace) -> dict[str, Any]:
    await _warm_up(target, questions)
    figures = {}
    for clients in CLIENTS:
        reporting.progress(f"  {target.path}, {clients} clients …")
        figures[str(clients)] = await load(target, questions, clients, arguments.seconds)
    return figures


async def _warm_up(target: Target, questions: Iterator[str]) -> None:
    """Ask a few questions, because the first ones load code. Raises `ServerError`."""
    async with httpx.AsyncClient(
        base_url=target.url, headers=target.headers, timeout=_TIMEOUT_S
    ) as client:
        for _ in range(3):
            try:
                response = await client.send(target.request(client, next(questions)))
                response.raise_for_status()
            except httpx.HTTPError as error:
                raise ServerError(
                    f"{target.url}{target.path} does not answer ({error!r}).",
                    repair="Start the server: viva serve",
                ) from error


def _targets(url: str | None) -> tuple[Target, Target]:
    server = announced(load_settings().data_dir)
    if url is None and server is None:
        raise ServerError("No server is running.", repair="Start one: viva serve")
    own = server if server and url in (None, server.url, f"{server.url}/") else None
    headers = {"Authorization": f"Bearer {own.token}"} if own else {}
    place = url or (server.url if server else "")
    pid = own.pid if own else None
    ask = Target(place, "/v1/ask", headers=headers, pid=pid)
    return ask, Target(place, "/v1/search", "GET", headers, pid)


@contextmanager
def _plain_server() -> Iterator[Target]:
    command = [sys.executable, "-m", "benchmarks.plain_langchain"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=PROJECT)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line.startswith(READY):
            raise ServerError(
                f"The plain pipeline did not start (status {process.wait(_START_S)})."
            )
        yield Target(line.removeprefix(READY).strip(), "/ask", pid=process.pid)
    finally:
        process.terminate()
        process.wait(_START_S)


def _arguments() -> Namespace:
    parser = reporting.parser(__doc__)
    parser.add_argument("--url", help="of the server; else the one that announced itself")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for each number of clients")
    parser.add_argument("--seed", type=int, default=0, help="of the questions")
    parser.add_argument("--no-langchain", action="store_true", help="without the plain pipeline")
    return parser.parse_args()


if __name__ == "__main__":
    reporting.run(main)
