"""How a running server is found, and the key of an installation."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import pytest

from bot.running import admin_key, announce, announced, new_token, withdraw, write_private

URL = "http://127.0.0.1:8000"


def mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def test_a_server_leaves_its_address_for_its_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        server = announce(tmp_path / "data", URL)
    finally:
        os.umask(before)

    assert announced(tmp_path / "data") == server
    assert (server.url, server.pid) == (URL, os.getpid())
    assert server.instance not in ("", server.token)
    assert mode(tmp_path / "data" / "server.json") == 0o600
    assert [file.name for file in (tmp_path / "data").iterdir()] == ["server.json"]


def test_a_server_takes_its_address_away(tmp_path: Path) -> None:
    server = announce(tmp_path, URL)
    withdraw(tmp_path, server)
    withdraw(tmp_path, server)

    assert list(tmp_path.iterdir()) == []
    assert announced(tmp_path) is None


def test_a_server_leaves_the_address_of_the_one_that_replaced_it(tmp_path: Path) -> None:
    first, second = announce(tmp_path, URL), announce(tmp_path, URL)
    withdraw(tmp_path, first)

    assert announced(tmp_path) == second


def test_each_start_of_a_server_is_another_instance(tmp_path: Path) -> None:
    assert len({announce(tmp_path, URL).instance for _ in range(20)}) == 20


def test_a_server_that_ends_gives_way_to_the_one_before_it(tmp_path: Path) -> None:
    first = announce(tmp_path, URL)
    second = announce(tmp_path, "http://127.0.0.1:8001")
    withdraw(tmp_path, second, first)

    assert announced(tmp_path) == first
    assert mode(tmp_path / "server.json") == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["server.json"]


def test_a_server_that_was_replaced_restores_nobody(tmp_path: Path) -> None:
    first, second, third = (announce(tmp_path, URL) for _ in range(3))
    withdraw(tmp_path, second, first)

    assert announced(tmp_path) == third


@pytest.mark.parametrize(
    "text",
    [
        "",
        '{"url": "x", "token": "y", "pid": 1}',
        "not json",
        "[]",
        "null",
        '{"url": "x"}',
        '{"a": 1}',
        '"text"',
        "\udcff",
    ],
)
def test_a_file_that_cannot_be_read_announces_nobody(tmp_path: Path, text: str) -> None:
    (tmp_path / "server.json").write_bytes(text.encode("utf-8", "surrogateescape"))

    assert announced(tmp_path) is None


def test_tokens_are_of_256_random_bits_and_differ() -> None:
    tokens = {new_token() for _ in range(100)}

    assert len(tokens) == 100
    assert all(re.fullmatch(r"viva_[\w-]{43}", token) for token in tokens)


def test_the_key_of_an_installation_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    key, file = admin_key(tmp_path / "data")

    assert admin_key(tmp_path / "data") == (key, file)
    assert mode(file) == 0o600
    assert re.fullmatch(r"viva_[\w-]{43}", key)


@pytest.mark.parametrize("text", ["", "\n", "  \n"])
def test_an_empty_key_is_replaced(tmp_path: Path, text: str) -> None:
    (tmp_path / "admin.key").write_text(text)
    key, file = admin_key(tmp_path)

    assert re.fullmatch(r"viva_[\w-]{43}", key)
    assert (file.read_text(), mode(file)) == (f"{key}\n", 0o600)


def test_a_private_file_replaces_one_that_others_could_read(tmp_path: Path) -> None:
    file = tmp_path / "server.json"
    file.write_text("old")
    file.chmod(0o644)
    write_private(file, "new")

    assert (file.read_text(), mode(file)) == ("new", 0o600)
