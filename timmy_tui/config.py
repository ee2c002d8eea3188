"""Typed configuration: defaults, then ``tui.yaml``, then the environment, then flags.

An unknown key or a wrong type is a :class:`ConfigError` of one line that names the key. Secrets are never written
in the file: a value ``${NAME}`` is read from the environment at the moment of use (:func:`expand_env`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from timmy_tui.config_mistakes import explained
from timmy_tui.config_sections import (
    ActionConfig,
    CascadeConfig,
    CircuitConfig,
    CommandProbeConfig,
    DelegationConfig,
    HeartbeatConfig,
    HermesConfig,
    HttpProbeConfig,
    IntervalsConfig,
    NotifyConfig,
    OllamaConfig,
    PriceConfig,
    PricesConfig,
    ProbesConfig,
    ProviderConfig,
    ProviderModelConfig,
    ProvidersFile,
    QueueConfig,
    ReviewConfig,
    SessionExportConfig,
    TcpProbeConfig,
    TimeoutsConfig,
    UsageConfig,
    WorkerConfig,
)
from timmy_tui.safe_yaml import YamlError, load_yaml
from timmy_tui.text import clean

__all__ = [
    "CONFIG_MAX_BYTES",
    "CONFIG_NAME",
    "ActionConfig",
    "CascadeConfig",
    "CircuitConfig",
    "CommandProbeConfig",
    "Config",
    "ConfigError",
    "DelegationConfig",
    "HeartbeatConfig",
    "HermesConfig",
    "HttpProbeConfig",
    "IntervalsConfig",
    "NotifyConfig",
    "OllamaConfig",
    "PriceConfig",
    "PricesConfig",
    "ProbesConfig",
    "ProviderConfig",
    "ProviderModelConfig",
    "ProvidersFile",
    "QueueConfig",
    "ReviewConfig",
    "SessionExportConfig",
    "Settings",
    "TcpProbeConfig",
    "TimeoutsConfig",
    "UsageConfig",
    "WorkerConfig",
    "config_place",
    "expand_env",
    "load_cascade",
    "load_settings",
]

CONFIG_NAME = "tui.yaml"
CONFIG_MAX_BYTES = 1_000_000

T = TypeVar("T", bound=Struct)


class ConfigError(Exception):
    """The configuration can't be used; the text is one line that names the file and the key."""


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that ``tui.yaml`` can say."""

    ollama: tuple[OllamaConfig, ...] = (OllamaConfig(),)
    hermes: HermesConfig = HermesConfig()
    heartbeat: HeartbeatConfig = HeartbeatConfig()
    queue: QueueConfig = QueueConfig()
    worker: WorkerConfig = WorkerConfig()
    actions: dict[str, ActionConfig] = {}
    session_export: SessionExportConfig = SessionExportConfig()
    review: ReviewConfig = ReviewConfig()
    delegation: DelegationConfig = DelegationConfig()
    usage: UsageConfig = UsageConfig()
    cascade: CascadeConfig | None = None
    providers: tuple[ProviderConfig, ...] | None = None
    intervals: IntervalsConfig = IntervalsConfig()
    timeouts: TimeoutsConfig = TimeoutsConfig()
    theme: str = "timmy-dark"
    ascii: bool = False
    mouse: bool = True
    keys: dict[str, str] = {}
    """Key overrides by binding id: ``{tick: "T,f5"}``."""


class Settings(Struct, frozen=True):
    """The configuration in force, with the places it applies to."""

    config: Config
    timmy_home: Path
    hermes_home: Path
    """The root that ``HERMES_HOME`` names; a profile's own folder is found below it."""
    config_path: Path
    """Where the file is, or would be."""
    ollama_host: str
    """``OLLAMA_HOST`` as the environment has it, or empty."""
    demo: bool = False

    def ollama_address(self, server: OllamaConfig) -> str:
        """The address of one server in any form of ``OLLAMA_HOST``; empty = Ollama's default.

        The environment stands above the file, but one variable can't stand for several servers: where more than one
        is configured, ``OLLAMA_HOST`` fills in only those without a ``url``.
        """
        if len(self.config.ollama) == 1:
            return self.ollama_host or server.url
        return server.url or self.ollama_host

    def with_operator(self, name: str) -> Settings:
        """The same, but labels are the word of ``name``."""
        review = msgspec.structs.replace(self.config.review, operator=name)
        return msgspec.structs.replace(self, config=msgspec.structs.replace(self.config, review=review))

    @property
    def heartbeat_dir(self) -> Path:
        """The folder of the tick and label logs."""
        return self.timmy_home / "heartbeat"

    @property
    def database_path(self) -> Path:
        """``timmy.db``: provider metrics and the event log."""
        return self.timmy_home / "timmy.db"

    @property
    def usage_path(self) -> Path:
        """The usage log of all model calls."""
        return self.timmy_home / "metrics" / "local-llm-usage.jsonl"

    @property
    def queue_path(self) -> Path:
        """Huey's SQLite file, unless ``queue.url`` names another."""
        return self.timmy_home / "queue.db"

    @property
    def providers_path(self) -> Path:
        """The optional cascade file."""
        return self.timmy_home / "providers.yaml"

    @property
    def log_path(self) -> Path:
        """The console's log."""
        return self.timmy_home / "logs" / "timmy-tui.log"

    @property
    def worker_log_path(self) -> Path:
        """The worker's log: each kind of process rotates its own."""
        return self.timmy_home / "logs" / "worker.log"


def load_settings(
    env: Mapping[str, str] | None = None,
    *,
    config_file: str | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Settings:
    """Read the configuration that is in force.

    ``overrides`` are top-level values from flags (``{"theme": "timmy-light"}``). A missing file is fine unless it was
    named by ``config_file`` or ``TIMMY_TUI_CONFIG``. Raises :class:`ConfigError`.
    """
    env = os.environ if env is None else env
    timmy_home = _folder(env.get("TIMMY_HOME"), "~/.timmy", env)
    path = config_place(env, config_file)
    raw = _read_yaml(path, required=bool(config_file or env.get("TIMMY_TUI_CONFIG")))
    if overrides:
        raw = {**raw, **overrides}
    config = _convert(raw, Config, path)
    _check(config, path)
    hermes_home = _folder(env.get("HERMES_HOME") or config.hermes.home, "~/.hermes", env)
    return Settings(
        config=config,
        timmy_home=timmy_home,
        hermes_home=hermes_home,
        config_path=path,
        ollama_host=env.get("OLLAMA_HOST", ""),
    )


def config_place(env: Mapping[str, str], config_file: str | None = None) -> Path:
    """Where the configuration file is, or would be: ``config_file``, ``TIMMY_TUI_CONFIG``, ``TIMMY_HOME``."""
    named = config_file or env.get("TIMMY_TUI_CONFIG")
    return _folder(named, "", env) if named else _folder(env.get("TIMMY_HOME"), "~/.timmy", env) / CONFIG_NAME


def load_cascade(settings: Settings) -> ProvidersFile | None:
    """The cascade in force: ``providers:``/``cascade:`` of ``tui.yaml``, else ``providers.yaml``, else None.

    Raises :class:`ConfigError`.
    """
    config = settings.config
    if config.providers is not None:
        return ProvidersFile(config.cascade or CascadeConfig(), config.providers)
    if not settings.providers_path.exists():
        return ProvidersFile(config.cascade, ()) if config.cascade else None
    raw = _read_yaml(settings.providers_path, required=True)
    return _convert(raw, ProvidersFile, settings.providers_path)


_ENV_NAME = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def expand_env(value: str, env: Mapping[str, str]) -> str | None:
    """``value`` with every ``${NAME}`` replaced from ``env``; None when a name is not set."""
    names = _ENV_NAME.findall(value)
    if any(not env.get(name) for name in names):
        return None
    return _ENV_NAME.sub(lambda match: env[match.group(1)], value)


def _folder(value: str | None, default: str, env: Mapping[str, str]) -> Path:
    text = value or default
    home = env.get("HOME") or str(Path.home())
    if text == "~" or text.startswith("~/"):
        text = home + text[1:]
    return Path(text).absolute()


def _read_yaml(path: Path, *, required: bool) -> dict[str, object]:
    try:
        source = path.read_bytes()
    except FileNotFoundError:
        if required:
            raise ConfigError(f"{path}: no such file; write one with: timmy-tui config init") from None
        return {}
    except OSError as error:
        raise ConfigError(f"{path}: can't be read: {error.strerror}") from None
    if len(source) > CONFIG_MAX_BYTES:
        raise ConfigError(f"{path}: larger than {CONFIG_MAX_BYTES:,} bytes; is it the right file?")
    if not source.strip():
        return {}
    try:
        raw = load_yaml(source)
    except YamlError as error:
        where = "" if error.line is None else f" line {error.line}{'' if error.problem.startswith('not ') else ':'}"
        raise ConfigError(f"{path}:{where} {clean(error.problem)}") from None
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: expected keys and values, found a {type(raw).__name__}")
    # A section whose every line is commented out reads as null: its defaults are meant.
    return {str(key): value for key, value in raw.items() if value is not None}


def _convert(raw: object, kind: type[T], path: Path) -> T:
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {explained(str(error), kind)}") from None


def _check(config: Config, path: Path) -> None:
    """The rules that types can't say."""
    names = [server.shown_name for server in config.ollama]
    doubled = next((name for name in names if names.count(name) > 1), None)
    if doubled is not None:
        raise ConfigError(f"{path}: ollama: two servers are named {doubled!r}; give each its own name")
    providers = [provider.name for provider in config.providers or []]
    doubled = next((name for name in providers if providers.count(name) > 1), None)
    if doubled is not None:
        raise ConfigError(f"{path}: providers: two are named {doubled!r}; give each its own name")
    usage = config.usage
    figures = {"power_watts": usage.power_watts, "price_per_kwh": usage.price_per_kwh}
    for model, price in usage.prices.models.items():
        figures |= {f"prices.models.{model}.{key}": getattr(price, key) for key in ("input", "output")}
    endless = next((key for key, figure in figures.items() if figure is not None and not isfinite(figure)), None)
    if endless is not None:
        raise ConfigError(f"{path}: usage.{clean(endless)}: expected a number")
