"""Who may call: the open loopback, or a bearer of the key.

Open means that every program of this machine may ask, and no web page: a page that a browser loads
from elsewhere could otherwise read the notes through DNS rebinding, or post across sites. So an
open request must name this machine as its host, must not come from another origin, and must not
have passed a proxy, which would open the loopback to the proxy's clients.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from bot.frontends.http_api.problems import problem_response

_NOT_VALID = "The key is not valid."
KEY_PLACE = "The key stands in the file admin.key, in the data directory of the server."

_OWN_HOST = re.compile(r"(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?", re.IGNORECASE)
_FORWARDING = frozenset({"forwarded", "via", "x-real-ip", "true-client-ip", "cf-connecting-ip"})
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
                repair = KEY_PLACE if status == 401 else ""
                response = problem_response(status, detail, repair=repair, headers=challenge)
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)


def refused(headers: Mapping[str, str], scheme: str, access: Access) -> tuple[int, str] | None:
    """Return the status and reason with which a request is refused, or None."""
    kind, _, token = headers.get("authorization", "").partition(" ")
    token = token.strip()
    if token:
        matches = [secrets.compare_digest(token.encode(), key.encode()) for key in access.tokens]
        return None if True in matches and kind.lower() == "bearer" else (401, _NOT_VALID)
    if not access.open_to_loopback:
        return 401, "This server needs a key: Authorization: Bearer viva_…"
    return _foreign(headers, scheme)


def _foreign(headers: Mapping[str, str], scheme: str) -> tuple[int, str] | None:
    host = headers.get("host", "")
    if not _OWN_HOST.fullmatch(host):
        return 403, "Without a key, the host must be localhost, 127.0.0.1 or [::1]."
    origin = headers.get("origin")
    if origin is not None and origin != f"{scheme}://{host}":
        return 403, "Without a key, requests from web pages of another origin are refused."
    if any(name in _FORWARDING or name.startswith("x-forwarded-") for name in headers):
        return 403, "Without a key, requests through a proxy are refused."
    return None
