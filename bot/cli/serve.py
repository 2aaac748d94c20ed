"""`viva serve`: everything in one process."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import ipaddress
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import click

from bot.errors import SettingsError
from bot.logs import set_up_logs
from bot.running import admin_key, announce, announced, withdraw
from bot.settings import Settings, load_settings

if TYPE_CHECKING:
    import uvicorn

    from bot.services.health import Health

logger = logging.getLogger(__name__)

_LONGEST_START_S = 600.0
_M_ARENA_MAX = -8  # malloc.h
_GRACE_S = 5
"""An open stream would otherwise keep the server from stopping."""


@click.command(short_help="Serve Viva over HTTP.")
@click.option("--host", help="Address to serve on; 127.0.0.1 by default.")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port; 8000 by default, 0 for a free one."
)
@click.option("--no-discord", is_flag=True, hidden=True)
def serve(host: str | None, port: int | None, no_discord: bool) -> None:
    """Serve the API. Health answers at once; questions as soon as the encoder is loaded."""
    settings = load_settings(host=host, port=port)
    set_up_logs(settings.log_format)
    if settings.discord_token and not no_discord:
        logger.warning("A Discord token is set, but this version has no Discord frontend.")
    listener = _listen(settings)
    _share_memory_arenas()
    asyncio.run(_serve(settings, listener))


def _listen(settings: Settings) -> socket.socket:
    """Bind before anything is loaded, so that a busy port is said at once."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # asyncio switches Nagle's algorithm off only for sockets that name their protocol; with it on,
    # a second request on a connection waits 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if os.name == "posix":  # on Windows the option would let two servers share a port
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
        listener.listen()
        return listener
    except OSError as error:
        listener.close()
        raise SettingsError(
            f"Cannot listen on {settings.host}, port {settings.port}: {error.strerror}.",
            repair=_listening_repair(error),
        ) from error


def _share_memory_arenas() -> None:
    """Let all threads allocate from two arenas.

    By default glibc gives each of them its own and returns little, which with many clients at once
    costs some eighty megabytes and buys no speed (`python -m benchmarks.load` prints the memory).
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library than glibc
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)


def _listening_repair(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "Is Viva running already? Else take a free port: viva serve --port 0"
    if error.errno in (errno.EACCES, errno.EPERM):
        return "Take a port above 1023: viva serve --port 8000"
    return "Take an address of this machine: viva serve --host 127.0.0.1"


async def _serve(settings: Settings, listener: socket.socket) -> None:
    import uvicorn

    from bot.frontends.http_api.app import create_app
    from bot.frontends.http_api.auth import Access
    from bot.wiring import open_services

    port = listener.getsockname()[1]
    shown, own = _addresses(settings.host, port)
    async with open_services(settings, wait=False) as services:
        earlier = announced(settings.data_dir)
        server = announce(settings.data_dir, own)
        try:
            tokens = [server.token]
            is_open = _is_loopback(settings.host)
            if not is_open:
                key, file = admin_key(settings.data_dir)
                tokens.append(key)
                logger.info("Requests need the key in %s", file)
            access = Access(tuple(tokens), open_to_loopback=is_open)
            app = create_app(services, access, instance=server.instance)
            config = uvicorn.Config(
                app, log_config=None, access_log=False, timeout_graceful_shutdown=_GRACE_S
            )
            click.echo(f"Viva serves on {shown}  (Ctrl-C stops it)")
            ready = asyncio.create_task(_say_when_ready(services.health))
            await stoppable(config).serve(sockets=[listener])
            ready.cancel()
        finally:
            withdraw(settings.data_dir, server, earlier)


async def _say_when_ready(health: Health) -> None:
    click.echo("Loading the encoder; a question asked now waits for it …")
    await health.until_started(_LONGEST_START_S)
    if health.readiness().ready:  # else the log says what is missing
        click.echo('Ready. In another terminal: viva ask "How do I detect drift without labels?"')


def stoppable(config: uvicorn.Config) -> uvicorn.Server:
    """Return a server that ends `serve` on a signal, so that everything after it is closed too.

    Uvicorn's own raises the signal again once it has stopped: SIGTERM then ends the process before
    the services are closed, and leaves a private copy of the index behind.
    """
    import uvicorn

    class Server(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            stop = (signal.SIGINT, signal.SIGTERM)
            previous = {number: signal.signal(number, self.handle_exit) for number in stop}
            try:
                yield
            finally:
                for number, handler in previous.items():
                    signal.signal(number, handler)

    return Server(config)


def _addresses(host: str, port: int) -> tuple[str, str]:
    """Return the address to show, and the one for commands on this machine."""
    bracketed = f"[{host}]" if ":" in host else host
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}
    return f"http://{bracketed}:{port}", f"http://{everywhere.get(host, bracketed)}:{port}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
