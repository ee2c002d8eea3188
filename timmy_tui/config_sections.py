"""The sections of ``tui.yaml``: what each key is, its type, its bounds and its default."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from msgspec import Meta, Struct

from timmy_tui.text import clean

Seconds = Annotated[float, Meta(gt=0, le=86_400)]


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


class ReviewConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """The review screen."""

    operator: str = ""
    """Whose word a label is; empty = the login name. ``--operator`` stands above it."""
    sources: tuple[str, ...] = ()
    """Hermes session sources to review besides the sessions that begin with a caller's tag, ``[triage_issues] …``."""
    second_look: Annotated[float, Meta(gt=0, le=1)] = 0.1
    """The share of what was labelled that is asked again, blind."""
    alternative_model: str = ""
    """Who is asked for an alternative; empty = the model that the cascade would ask, with another seed."""


class PriceConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """What a cloud takes for a million tokens."""

    input: Annotated[float, Meta(ge=0)]
    output: Annotated[float, Meta(ge=0)]


class PricesConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """The cloud's prices that local calls are held against."""

    date: date | None = None
    """Of the list: savings are told with it."""
    models: dict[str, PriceConfig] = {}
    """By the local model's name; ``*`` stands for every other one."""


class UsageConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """What is made of the usage log: what local calls save, and what they cost."""

    prices: PricesConfig = PricesConfig()
    power_watts: Annotated[float, Meta(gt=0)] | None = None
    """What the machine draws more while a model answers."""
    price_per_kwh: Annotated[float, Meta(ge=0)] | None = None
    currency: str = "$"
    """Of all prices."""


class SessionExportConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """The periodic export of user→assistant pairs from all Hermes sessions."""

    enabled: bool = True
    every_hours: Annotated[int, Meta(ge=1, le=168)] = 4


DEFAULT_TASKS: dict[str, tuple[str, ...]] = {
    "coding": ("qwen2.5-coder:7b", "deepseek-coder:6.7b", "llama3.2:3b"),
    "quick": ("llama3.2:3b",),
    "analysis": ("llama31-8b:latest", "qwen2.5-coder:7b", "llama3.2:3b"),
    "translation": ("llama31-8b:latest",),
    "creative": ("llama31-8b:latest", "qwen2.5-coder:7b"),
    "heavy": ("llama31-8b:latest",),
    "review": ("qwen2.5-coder:7b", "deepseek-coder:6.7b", "llama31-8b:latest"),
}


class HeavyConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """An OpenAI-compatible server (TinyGrad's, AirLLM's) that is asked first for ``heavy`` tasks, when it is up."""

    url: str = ""
    model: str = ""
    """Empty = the first that it lists."""


class DelegationConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Work handed to local models by the kind of task."""

    tasks: dict[str, tuple[str, ...]] = {}
    """Chains of models by task, tried in order; they stand above and beside the built-in ones."""
    prefer_loaded: bool = False
    """Ask a model of the chain that is in memory before one that is not."""
    timeout_s: Seconds = 120
    """Of one call, its whole chain included."""
    heavy: HeavyConfig = HeavyConfig()

    def chain(self, task: str) -> tuple[str, ...] | None:
        """The models of a task; None for one that nobody knows."""
        return self.tasks.get(task) or DEFAULT_TASKS.get(task)

    def known_tasks(self) -> tuple[str, ...]:
        """Every task that can be named."""
        return tuple(dict.fromkeys((*DEFAULT_TASKS, *self.tasks)))


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
    ollama_tags_s: Seconds = 15
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
