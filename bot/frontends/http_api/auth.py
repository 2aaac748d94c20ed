"""Who may call: the open loopback, or a bearer of the key.

Open means that every program of this machine may ask, and no web page: a page that a browser loads
from elsewhere could otherwise read the notes through DNS rebinding, or post across sites. So an
open request must name this machine as its host, must not come from another origin, and must not
have passed a proxy, which would open the loopback to the proxy's clients.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from bot.frontends.http_api.problems import problem_response

_OWN_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
_FORWARDING = (
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
    "via",
)
_ALWAYS_OPEN = frozenset({"/healthz", "/readyz"})


@dataclass(frozen=True, slots=True)
class Access:
    """Accepted bearer tokens, and whether the API is open to loopback without one."""

    tokens: tuple[str, ...]
    open_to_loopback: bool


class AccessGuard:
    """ASGI middleware that lets a request through or answers with a problem."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] == "http" and scope["path"] not in _ALWAYS_OPEN:
            headers = Headers(scope=scope)
            if refusal := refused(headers, scope["scheme"], self._access):
                status, detail = refusal
                challenge = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
                response = problem_response(status, detail, headers=challenge)
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)


def refused(headers: Mapping[str, str], scheme: str, access: Access) -> tuple[int, str] | None:
    """Return the status and reason with which a request is refused, or None."""
    kind, _, token = headers.get("authorization", "").partition(" ")
    if token:
        valid = (secrets.compare_digest(token.strip().encode(), t.encode()) for t in access.tokens)
        # `any` over a list: every comparison runs, so timing does not tell which one failed.
        return (
            None
            if kind.lower() == "bearer" and any(list(valid))
            else (401, "The key is not valid.")
        )
    if not access.open_to_loopback:
        return 401, "This server needs a key: Authorization: Bearer viva_…"
    return _foreign(headers, scheme)


def _name(host: str) -> str | None:
    """Return the name in a Host header, without its port; None if it is no host."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _foreign(headers: Mapping[str, str], scheme: str) -> tuple[int, str] | None:
    host = headers.get("host", "")
    if _name(host) not in _OWN_HOSTS:
        return 403, "Without a key, the host must be localhost, 127.0.0.1 or [::1]."
    origin = headers.get("origin")
    if origin is not None and origin != f"{scheme}://{host}":
        return 403, "Without a key, requests from web pages of another origin are refused."
    if any(name in headers for name in _FORWARDING):
        return 403, "Without a key, requests through a proxy are refused."
    return None
