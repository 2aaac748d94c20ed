"""Talking to the server that runs on this machine, with the standard library: it starts fastest."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from bot.errors import ServerError
from bot.running import RunningServer, announced

_TIMEOUT_S = 60.0
_PROBE_TIMEOUT_S = 3.0
_HEALTH_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Remote:
    """A server that answers."""

    server: RunningServer

    def ask(self, body: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the events of an answer as they come: name and data. Raises `ServerError`."""
        with _failures(), self._send("POST", "/v1/ask", body, accept="text/event-stream") as lines:
            name = ""
            for raw in lines:
                line = raw.decode().rstrip("\r\n")
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    yield name, json.loads(line.removeprefix("data: "))
            if name != "done":
                raise ServerError("The answer broke off.", repair="Ask again.")

    def search(
        self, query: str, k: int, filters: dict[str, tuple[str, ...]]
    ) -> list[dict[str, Any]]:
        """Return the sections found. Raises `ServerError`."""
        parameters = urlencode({"q": query, "k": k, **filters}, doseq=True)
        with _failures(), self._send("GET", f"/v1/search?{parameters}") as response:
            found: list[dict[str, Any]] = json.load(response)
            return found

    @contextmanager
    def _send(
        self, method: str, path: str, body: dict[str, Any] | None = None, accept: str = "*/*"
    ) -> Iterator[http.client.HTTPResponse]:
        address = urlsplit(self.server.url)
        connection = http.client.HTTPConnection(
            address.hostname or "127.0.0.1", address.port, timeout=_TIMEOUT_S
        )
        headers = {"Authorization": f"Bearer {self.server.token}", "Accept": accept}
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            connection.request(
                method, path, json.dumps(body) if body is not None else None, headers
            )
            response = connection.getresponse()
            if response.status != HTTPStatus.OK:
                raise _error(response)
            yield response
        finally:
            connection.close()


def find_remote(data_dir: Path) -> Remote | None:
    """Return the server that announced itself in the data directory, if it still runs.

    Its health must name the instance that was announced, before it is sent a token or a question:
    after a crash another program may have its port.
    """
    server = announced(data_dir)
    if server is None:
        return None
    address = urlsplit(server.url)
    probe = http.client.HTTPConnection(
        address.hostname or "127.0.0.1", address.port, timeout=_PROBE_TIMEOUT_S
    )
    try:
        probe.request("GET", "/healthz")
        found = json.loads(probe.getresponse().read(_HEALTH_BYTES))
        same = isinstance(found, dict) and found.get("instance") == server.instance
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        probe.close()
    return Remote(server) if same else None


@contextmanager
def _failures() -> Iterator[None]:
    """Translate what a lost server, or another program on its port, does to a request."""
    try:
        yield
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise ServerError(
            f"The running server did not answer as Viva does ({type(error).__name__}).",
            repair="Restart it: viva serve",
        ) from error


def _error(response: http.client.HTTPResponse) -> ServerError:
    try:
        problem = json.load(response)
        return ServerError(problem["detail"], repair=problem.get("repair", ""))
    except (ValueError, KeyError, TypeError):
        return ServerError(
            f"The running server answered {response.status}.", repair="Restart it: viva serve"
        )
