"""Settings: environment, viva.toml, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bot.errors import SettingsError
from bot.settings import Settings, load_settings

SECRET = "swordfish-token"


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    return tmp_path / "viva.toml"


def test_nothing_needs_to_be_set() -> None:
    settings = load_settings()

    assert (settings.host, settings.port, settings.model) == ("127.0.0.1", 8000, "none")
    assert settings.corpus_dirs == {}
    assert settings.chroma_url is None
    assert settings.index_dir == settings.data_dir / "index"
    assert settings.model_fields_set == set()


def test_the_environment_comes_before_the_file_and_options_before_both(
    toml: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toml.write_text('port = 8100\nhost = "127.0.0.2"\nlog_format = "json"\n')
    monkeypatch.setenv("VIVA_PORT", "8200")
    monkeypatch.setenv("VIVA_HOST", "127.0.0.3")

    settings = load_settings(host="127.0.0.4", port=None)

    assert (settings.host, settings.port, settings.log_format) == ("127.0.0.4", 8200, "json")


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings().port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("VIVA_PROT", "Did you mean VIVA_PORT?"),
        ("VIVA_DATADIR", "Did you mean VIVA_DATA_DIR?"),
        ("viva_prot", "Did you mean VIVA_PORT?"),
        ("VIVA_XYZZY", "Known: VIVA_CACHE_DIR, VIVA_CHROMA_URL"),
    ],
)
def test_an_unknown_key_of_the_environment_is_refused_with_a_hint(
    monkeypatch: pytest.MonkeyPatch, key: str, hint: str
) -> None:
    monkeypatch.setenv(key, SECRET)

    with pytest.raises(SettingsError) as caught:
        load_settings()

    assert str(caught.value).startswith(f"{key} is not a setting.")
    assert hint in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f'prot = "{SECRET}"', "prot is not a setting (did you mean port?)"),
        (f'[viva]\nport = "{SECRET}"', "viva is not a setting"),
        ("port = ", "viva.toml cannot be read"),
        (f'port = "{SECRET}"', "VIVA_PORT: "),
        ('corpus_dirs = "nowhere"', "VIVA_CORPUS_DIRS: must read namespace=folder"),
    ],
)
def test_a_fault_of_the_file_is_named(toml: Path, text: str, said: str) -> None:
    toml.write_text(text)

    with pytest.raises(SettingsError) as caught:
        load_settings()

    assert said in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_file_that_is_not_utf_8_is_named(toml: Path) -> None:
    toml.write_bytes(b'host = "\xff"')

    with pytest.raises(SettingsError, match=r"viva\.toml cannot be read"):
        load_settings()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("VIVA_PORT", "many"),
        ("VIVA_PORT", "-1"),
        ("VIVA_PORT", "65536"),
        ("VIVA_LOG_FORMAT", "xml"),
        ("VIVA_CHROMA_URL", "localhost:8000"),
        ("VIVA_CHROMA_URL", "ftp://localhost"),
        ("VIVA_CHROMA_URL", "http://"),
        ("VIVA_CHROMA_URL", "http://:8000"),
        ("VIVA_CHROMA_URL", "http://localhost:0"),
        ("VIVA_CHROMA_URL", "http://localhost:65536"),
        ("VIVA_CHROMA_URL", "http://localhost:many"),
        ("VIVA_CHROMA_URL", "http://[::1"),
        ("VIVA_CORPUS_DIRS", "nowhere"),
        ("VIVA_CORPUS_DIRS", "=nowhere"),
        ("VIVA_CORPUS_DIRS", "group="),
        ("VIVA_CORPUS_DIRS", "group=notes,other"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_by_its_name(
    monkeypatch: pytest.MonkeyPatch, key: str, value: str
) -> None:
    monkeypatch.setenv(key, value)

    with pytest.raises(SettingsError, match=rf"^{key}: .*viva doctor$"):
        load_settings()


def test_every_fault_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIVA_PORT", "many")
    monkeypatch.setenv("VIVA_LOG_FORMAT", "xml")

    with pytest.raises(SettingsError, match=r"VIVA_PORT.*; VIVA_LOG_FORMAT"):
        load_settings()


@pytest.mark.parametrize("port", ["0", "65535"])
def test_ports_run_from_0_to_65535(monkeypatch: pytest.MonkeyPatch, port: str) -> None:
    monkeypatch.setenv("VIVA_PORT", port)

    assert load_settings().port == int(port)


@pytest.mark.parametrize(
    ("value", "folders"),
    [
        ("", {}),
        ("group=notes", {"group": Path("notes")}),
        ("a=x,b=/y/z", {"a": Path("x"), "b": Path("/y/z")}),
        (" a = x , b = y ,", {"a": Path("x"), "b": Path("y")}),
        ("a=x=y", {"a": Path("x=y")}),
    ],
)
def test_folders_of_notes_are_read_as_pairs(
    monkeypatch: pytest.MonkeyPatch, value: str, folders: dict[str, Path]
) -> None:
    monkeypatch.setenv("VIVA_CORPUS_DIRS", value)

    assert load_settings().corpus_dirs == folders


def test_folders_of_notes_may_be_a_table_of_the_file(toml: Path) -> None:
    toml.write_text('[corpus_dirs]\ngroup = "notes"\n')

    assert load_settings().corpus_dirs == {"group": Path("notes")}


def test_an_empty_chroma_address_means_the_embedded_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIVA_CHROMA_URL", "")

    assert load_settings().chroma_url is None


@pytest.mark.parametrize(
    "key",
    ["VIVA_SERVICE_HOST", "VIVA_SERVICE_PORT", "VIVA_SERVICE_PORT_HTTP", "VIVA_PORT_80_TCP",
     "VIVA_PORT_80_TCP_ADDR"],
)  # fmt: skip
def test_what_kubernetes_sets_is_ignored(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv(key, "10.0.0.1")

    assert load_settings() == Settings()


def test_the_port_that_kubernetes_sets_is_ignored(
    toml: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIVA_PORT", "tcp://10.0.0.1:80")
    assert load_settings().port == 8000
    assert load_settings(port=8300).port == 8300

    toml.write_text("port = 8100")
    assert load_settings().port == 8100


def test_a_secret_does_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIVA_DISCORD_TOKEN", SECRET)
    settings = load_settings()

    assert settings.discord_token
    assert settings.discord_token.get_secret_value() == SECRET
    for shown in (repr(settings), str(settings), settings.model_dump_json()):
        assert SECRET not in shown


def test_loading_settings_leaves_the_environment_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VIVA_PORT", "tcp://10.0.0.1:80")
    before = dict(os.environ)
    load_settings()

    assert dict(os.environ) == before
