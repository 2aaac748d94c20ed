"""How good the answers are: `python -m benchmarks.answers`.

Questions are put to the product one after another, in this process or to a server (`--url`). What
came back is judged by `benchmarks.judges`; `benchmarks.answer_figures` says how.
"""

from __future__ import annotations

import asyncio
import json
import time
from argparse import Namespace
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import httpx

from benchmarks import reporting
from benchmarks.answer_figures import Asked, figures
from benchmarks.datasets import SHARED, MissingSetError, read_questions
from benchmarks.judges import Judge, MpnetEncoder, RememberingEncoder
from bot.content import corpus_dir
from bot.domain.answers import Answer, CitedSentence
from bot.errors import VivaError
from bot.running import announced
from bot.services.answers import AnswerService
from bot.settings import Settings, load_settings
from bot.wiring import open_services
from ingest.weights import find_known_weights

JUDGE = "all-mpnet-base-v2"
VECTORS = "benchmarks/judge.sqlite3"
_TIMEOUT_S = 120.0


class Product(Protocol):
    """Answers one question. A fault of the product is in `Asked.error`, never raised."""

    async def ask(self, row: dict[str, Any]) -> Asked:
        """Return what a question got."""
        ...


class InProcess:
    """The services, called directly."""

    def __init__(self, answers: AnswerService, model: str) -> None:
        self._answers = answers
        self._model = model

    async def ask(self, row: dict[str, Any]) -> Asked:
        """Return what a question got; times are measured outside the product."""
        start = time.perf_counter()
        first = answer = None
        try:
            async for event in self._answers.stream(row["question"], model=self._model):
                if isinstance(event, CitedSentence):
                    first = first or _ms(start)
                elif isinstance(event, Answer):
                    answer = event.to_dict()
        except VivaError as error:
            return Asked(row, error=str(error))
        return Asked(row, answer, first_sentence_ms=first, total_ms=_ms(start))


class OverHttp:
    """A server, asked for an event stream."""

    def __init__(self, client: httpx.AsyncClient, model: str) -> None:
        self._client = client
        self._model = model

    async def ask(self, row: dict[str, Any]) -> Asked:
        """Return what a question got; times are those of the client."""
        start = time.perf_counter()
        first = answer = None
        body = {"question": row["question"], "model": self._model}
        headers = {"Accept": "text/event-stream"}
        try:
            async with self._client.stream(
                "POST", "/v1/ask", json=body, headers=headers
            ) as response:
                if response.status_code != 200:
                    return Asked(row, error=f"status {response.status_code}")
                name = ""
                async for line in response.aiter_lines():
                    if line.startswith("event: "):
                        name = line.removeprefix("event: ")
                    elif line.startswith("data: ") and name == "sentence":
                        first = first or _ms(start)
                    elif line.startswith("data: ") and name == "done":
                        answer = json.loads(line.removeprefix("data: "))
        except (httpx.HTTPError, ValueError) as error:
            return Asked(row, error=f"{type(error).__name__}: {error}")
        if answer is None:
            return Asked(row, error="the stream ended without an answer")
        return Asked(row, answer, first_sentence_ms=first, total_ms=_ms(start))


def main() -> None:
    """Ask, judge, and print."""
    arguments = _arguments()
    settings = load_settings(model=arguments.model)
    rows = read_questions(_files(arguments.data))
    asked = asyncio.run(_asked(rows, settings, arguments.url))
    reporting.progress("Judging (an answer that was not judged before takes seconds) …")
    judge = _judge(settings.cache_dir)
    roots = {"": corpus_dir(), **settings.corpus_dirs}
    result = figures(asked, judge, roots)
    if arguments.out:
        lines = (json.dumps(one.to_dict(judge), ensure_ascii=False) for one in asked)
        arguments.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    reporting.show(f"{len(rows)} questions", result, as_json=arguments.json)


async def _asked(
    rows: Sequence[dict[str, Any]], settings: Settings, url: str | None
) -> list[Asked]:
    reporting.progress(f"Asking {len(rows)} questions …")
    async with _product(settings, url) as product:
        await product.ask({"question": "What is a warm-up?"})  # the first question loads code
        return [await product.ask(row) for row in rows]


@asynccontextmanager
async def _product(settings: Settings, url: str | None) -> AsyncIterator[Product]:
    if url is None:
        async with open_services(settings, watch=False) as services:
            yield InProcess(services.answers, settings.model)
        return
    server = announced(settings.data_dir)
    known = server is not None and server.url == url.rstrip("/")
    headers = {"Authorization": f"Bearer {server.token}"} if server and known else {}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=_TIMEOUT_S) as client:
        yield OverHttp(client, settings.model)


def _judge(cache_dir: Path) -> Judge:
    folder = find_known_weights(JUDGE, cache_dir)
    if folder is None:
        reporting.progress(f"Words alone judge; for the encoder: viva models fetch {JUDGE}")
        return Judge(None)
    return Judge(RememberingEncoder(MpnetEncoder(folder), cache_dir / VECTORS))


def _files(given: list[Path] | None) -> list[Path]:
    if given:
        return given
    found = sorted((SHARED / "questions").glob("*.jsonl"))
    if not found:
        raise MissingSetError(
            f"There are no questions (*.jsonl) in {SHARED / 'questions'}. They are expected there; "
            "name others with --data."
        )
    return found


def _ms(start: float) -> float:
    return (time.perf_counter() - start) * 1000


def _arguments() -> Namespace:
    parser = reporting.parser(__doc__)
    parser.add_argument(
        "--data", type=Path, nargs="+", metavar="FILE", help="questions, one JSON object a line"
    )
    parser.add_argument("--url", help="of a running server; without it, in this process")
    parser.add_argument("--model", help="as everywhere")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write each answer, judged")
    return parser.parse_args()


if __name__ == "__main__":
    reporting.run(main)
