"""Settings: the only reader of the environment. One frozen object, handed on in narrow pieces.

A setting comes from the environment (`VIVA_PORT`) or from `viva.toml` in the current folder
(`port`), the environment first. A key that does not exist is refused, so that a typing error is
not a silent default.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import platformdirs
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from bot.errors import SettingsError

PREFIX = "VIVA_"
SETTINGS_FILE = "viva.toml"

_INJECTED = re.compile(r"VIVA_(SERVICE_.*|PORT(_.*)?)$")
"""Kubernetes gives every pod these for a service called `viva`."""


class Settings(BaseSettings):
    """Everything that can be configured."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, toml_file=SETTINGS_FILE, extra="forbid", frozen=True
    )

    data_dir: Path = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("viva", appauthor=False)),
        description="index, and what a running server tells the commands",
    )
    cache_dir: Path = Field(
        default_factory=lambda: Path(platformdirs.user_cache_dir("viva", appauthor=False)),
        description="weights and vectors; may be deleted",
    )
    corpus_dirs: Annotated[dict[str, Path], NoDecode] = Field(
        default_factory=dict, description="a group's own notes: namespace=folder,…"
    )
    host: str = Field("127.0.0.1", description="address to serve on")
    port: int = Field(8000, ge=0, le=65535, description="port to serve on; 0 takes a free one")
    chroma_url: str | None = Field(None, description="a Chroma server instead of the embedded one")
    embedding_model: str = Field("default", description="the encoder: a name, or a folder")
    model: str = Field("none", description="the language model; `none` quotes the notes")
    log_format: Literal["text", "json"] = Field("text", description="how log lines look")
    discord_token: SecretStr | None = Field(None, description="the bot's token")

    @field_validator("corpus_dirs", mode="before")
    @classmethod
    def _parse_corpus_dirs(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        pairs = [pair.partition("=") for pair in value.split(",") if pair.strip()]
        if any(not namespace.strip() or not folder.strip() for namespace, _, folder in pairs):
            raise ValueError("must read namespace=folder,namespace=folder")
        return {namespace.strip(): Path(folder.strip()) for namespace, _, folder in pairs}

    @field_validator("chroma_url")
    @classmethod
    def _is_http(cls, value: str | None) -> str | None:
        if not value:
            return None
        try:
            address = urlsplit(value)
            usable = address.scheme in ("http", "https") and address.hostname and address.port != 0
        except ValueError:  # its message would show the value, which may hold a password
            usable = False
        if not usable:
            raise ValueError("must read http://host:port or https://host:port")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read arguments, then the environment, then `viva.toml`."""
        if isinstance(env_settings, EnvSettingsSource):
            # Kubernetes' address of a service called `viva` is not our port.
            port = str(env_settings.env_vars.get("viva_port", ""))
            hidden = {"viva_port"} if port.startswith("tcp:") else set()
            kept = {k: v for k, v in env_settings.env_vars.items() if k not in hidden}
            env_settings.env_vars = kept
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    @property
    def index_dir(self) -> Path:
        """Where embedded generations lie."""
        return self.data_dir / "index"


def load_settings(**overrides: Any) -> Settings:
    """Read the settings once. Raises `SettingsError` for an unknown key or an unusable value.

    `overrides` are options of a command; those that are None were not given.
    """
    _refuse_unknown(os.environ)
    given = {key: value for key, value in overrides.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        faults = "; ".join(_described(fault) for fault in error.errors())
        raise SettingsError(faults, repair="See what is configured: viva doctor") from None
    except ValueError as error:  # a viva.toml that is not TOML
        raise SettingsError(f"{SETTINGS_FILE} cannot be read: {error}") from None


def _refuse_unknown(environment: Mapping[str, str]) -> None:
    known = {f"{PREFIX}{name}".upper() for name in Settings.model_fields}
    for key in sorted(environment):
        name = key.upper()
        if name.startswith(PREFIX) and name not in known and not _INJECTED.match(name):
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {close[0]}?" if close else f"Known: {', '.join(sorted(known))}."
            raise SettingsError(f"{key} is not a setting.", repair=hint)


def _described(fault: Any) -> str:
    name = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        close = difflib.get_close_matches(name, Settings.model_fields, n=1)
        return f"{name} is not a setting" + (f" (did you mean {close[0]}?)" if close else "")
    # The value itself stays out of the message: it may be a secret.
    return f"{PREFIX}{name.upper()}: {fault['msg'].removeprefix('Value error, ')}"
