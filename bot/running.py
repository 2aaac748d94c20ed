"""How a running server is found: its address and a token, in a file that only its owner reads."""

from __future__ import annotations

import json
import os
import secrets
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

SERVER_FILE = "server.json"
KEY_FILE = "admin.key"


@dataclass(frozen=True, slots=True)
class RunningServer:
    """Where a server listens, and the token by which it knows the commands of its owner.

    `instance` is what its health names, so that another program on its port is not taken for it.
    """

    url: str
    token: str
    pid: int
    instance: str


def announce(data_dir: Path, url: str) -> RunningServer:
    """Leave the address of this process, with a fresh token."""
    server = RunningServer(url, new_token(), os.getpid(), secrets.token_hex(8))
    write_private(data_dir / SERVER_FILE, json.dumps(asdict(server)))
    return server


def withdraw(data_dir: Path, server: RunningServer, earlier: RunningServer | None = None) -> None:
    """Undo `announce`, unless another server has announced itself since.

    `earlier` is the server that was announced before, which may be running still.
    """
    if announced(data_dir) != server:
        return
    if earlier:
        write_private(data_dir / SERVER_FILE, json.dumps(asdict(earlier)))
    else:
        with suppress(FileNotFoundError):
            (data_dir / SERVER_FILE).unlink()


def announced(data_dir: Path) -> RunningServer | None:
    """Return the server that announced itself last; it may be dead by now."""
    try:
        return RunningServer(**json.loads((data_dir / SERVER_FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def admin_key(data_dir: Path) -> tuple[str, Path]:
    """Return the key of this installation and its file, making both at the first call."""
    file = data_dir / KEY_FILE
    with suppress(FileNotFoundError):
        if key := file.read_text(encoding="utf-8").strip():
            return key, file
    key = new_token()
    write_private(file, key + "\n")
    return key, file


def new_token() -> str:
    """Return a bearer token of 256 random bits."""
    return f"viva_{secrets.token_urlsafe(32)}"


def write_private(file: Path, text: str) -> None:
    """Write a file that only its owner may read, complete or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(file)
