"""Typed configuration: defaults, then ``tui.yaml``, then the environment, then flags.

An unknown key or a wrong type is a :class:`ConfigError` of one line that names the key. Secrets are never written
in the file: a value ``${NAME}`` is read from the environment at the moment of use (:func:`expand_env`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from timmy_tui.config_mistakes import explained
from timmy_tui.text import clean

CONFIG_NAME = "tui.yaml"
CONFIG_MAX_BYTES = 1_000_000

T = TypeVar("T", bound=Struct)

Seconds = Annotated[float, Meta(gt=0, le=86_400)]


class ConfigError(Exception):
    """The configuration can't be used; the text is one line that names the file and the key."""


class OllamaConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """One Ollama server."""

    name: str = "local"
    url: str = ""
    """Any form of ``OLLAMA_HOST``; empty = ``http://127.0.0.1:11434``. See :meth:`Settings.ollama_address`."""
    headers: dict[str, str] = {}
    """Extra request headers; ``${ENV}`` inside a value is expanded."""
    vram_total_gb: Annotated[float, Meta(gt=0)] | None = None
    """The server's GPU memory, for a server on another machine, in decimal gigabytes."""

    @property
    def shown_name(self) -> str:
        """The name by which every view and every action knows the server."""
        return clean(self.name, limit=40)


class HermesConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Where Hermes Agent keeps its store, and how it is called."""

    home: str = ""
    """Empty = ``~/.hermes``; ``HERMES_HOME`` in the environment stands above it."""
    profile: str = ""
    """Empty = the profile that ``active_profile`` names."""
    command: str = "hermes"
    hours: Annotated[float, Meta(gt=0, le=24 * 366)] = 24
    """The window of the sessions pane."""


class HttpProbeConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """An HTTP health check; its result is the perception's ``NAME_alive``."""

    name: str
    url: str
    timeout_s: Seconds = 5


class TcpProbeConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """A TCP port that should accept; its result is the perception's ``NAME_alive``."""

    name: str
    host: str
    port: Annotated[int, Meta(ge=1, le=65_535)]
    timeout_s: Seconds = 3


class CommandProbeConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """A local command of the operator's: an argument vector, never a shell line. Its output becomes ``NAME``."""

    name: str
    run: tuple[str, ...]
    timeout_s: Seconds = 10


class ProbesConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """What the heartbeat perceives besides the stack itself."""

    http: tuple[HttpProbeConfig, ...] = ()
    tcp: tuple[TcpProbeConfig, ...] = ()
    commands: tuple[CommandProbeConfig, ...] = ()
    disks: tuple[str, ...] = ("~",)
    inference: bool = False
    """Ask the loaded model for one token (``inference_ok``); it costs a real call."""


class NotifyConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """What an alert does besides its event."""

    bell: bool = False
    run: tuple[str, ...] = ()
    """An argument vector that gets the alert's text on standard input."""


class HeartbeatConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """The heartbeat and its log."""

    enabled: bool = True
    every_minutes: Annotated[int, Meta(ge=1, le=1440)] = 10
    timeout_s: Seconds = 130
    """The whole tick's deadline: what ``t`` waits for."""
    model: str = ""
    """Empty = the provider's own default."""
    local_only: bool = True
    task: str = ""
    """The name of somebody else's task (``tasks.heartbeat_tick``): the key enqueues that, our worker stays away."""
    probes: ProbesConfig = ProbesConfig()
    notify: NotifyConfig = NotifyConfig()


class ActionConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that a decision may name. The model's words never become a part of it."""

    run: tuple[str, ...]
    approve: Literal["always", "never"] = "always"
    timeout_s: Seconds = 30


class QueueConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Huey's queue."""

    url: str = "sqlite"
    """``sqlite`` (``TIMMY_HOME/queue.db``), ``sqlite:///abs/path``, ``redis://host:port/db``."""
    name: str = "timmy"


class WorkerConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """The worker process."""

    autostart: bool = True
    stop_timeout_s: Seconds = 20
    """How long a running task may go on after SIGTERM."""


class SessionExportConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """The periodic export of user→assistant pairs from all Hermes sessions."""

    enabled: bool = True
    every_hours: Annotated[int, Meta(ge=1, le=168)] = 4


class CircuitConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """A provider's breaker, with the key names such stacks already use."""

    failure_threshold: Annotated[int, Meta(ge=1)] = 5
    recovery_timeout: Seconds = 60
    half_open_max_calls: Annotated[int, Meta(ge=1)] = 2


class CascadeConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """How a call goes down the providers."""

    timeout_seconds: Seconds = 30
    max_retries_per_provider: Annotated[int, Meta(ge=0)] = 2
    retry_delay_seconds: Annotated[float, Meta(ge=0)] = 1
    circuit_breaker: CircuitConfig = CircuitConfig()


class ProviderModelConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """One model of a provider."""

    name: str
    default: bool = False
    context_window: int | None = None
    capabilities: tuple[str, ...] = ()


class ProviderConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """One provider of the cascade."""

    name: str
    type: Literal["hermes", "ollama", "openai", "anthropic"]
    enabled: bool = True
    priority: int = 100
    url: str = ""
    base_url: str = ""
    api_key: str = ""
    models: tuple[ProviderModelConfig, ...] = ()

    @property
    def address(self) -> str:
        """The configured URL under either of its two key names."""
        return self.base_url or self.url

    @property
    def default_model(self) -> str | None:
        """The model marked default, else the first."""
        chosen = next((model for model in self.models if model.default), None)
        chosen = chosen or next(iter(self.models), None)
        return chosen.name if chosen else None


class ProvidersFile(Struct, frozen=True, forbid_unknown_fields=True):
    """``TIMMY_HOME/providers.yaml``."""

    cascade: CascadeConfig = CascadeConfig()
    providers: tuple[ProviderConfig, ...] = ()


class IntervalsConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Seconds between two polls of a source. A source is never asked while an answer is awaited."""

    ollama_s: Seconds = 5
    ollama_tags_s: Seconds = 60
    hermes_s: Seconds = 2
    ticks_s: Seconds = 2
    """The tick log is also watched: a new tick shows at once. This is the guarantee behind it."""
    providers_s: Seconds = 30
    worker_s: Seconds = 5
    gpu_s: Seconds = 10


class TimeoutsConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Seconds after which a source counts as not answering."""

    ollama_s: Seconds = 10
    """Ollama's own locks can hold ``/api/ps`` for seconds (facts/ollama.md §1)."""
    providers_s: Seconds = 5


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that ``tui.yaml`` can say."""

    ollama: tuple[OllamaConfig, ...] = (OllamaConfig(),)
    hermes: HermesConfig = HermesConfig()
    heartbeat: HeartbeatConfig = HeartbeatConfig()
    queue: QueueConfig = QueueConfig()
    worker: WorkerConfig = WorkerConfig()
    actions: dict[str, ActionConfig] = {}
    session_export: SessionExportConfig = SessionExportConfig()
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

    @property
    def heartbeat_dir(self) -> Path:
        """The folder of the tick and label logs."""
        return self.timmy_home / "heartbeat"

    @property
    def database_path(self) -> Path:
        """``timmy.db``: provider metrics and the event log."""
        return self.timmy_home / "timmy.db"

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
    import yaml

    try:
        raw = yaml.safe_load(source)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise ConfigError(f"{path}:{where} not valid YAML: {problem}") from None
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
