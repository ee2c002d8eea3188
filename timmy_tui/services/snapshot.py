"""Everything that is known at one moment: the one value that all views share."""

from __future__ import annotations

from msgspec import Struct

from timmy_tui.services.gpu import GpuReading
from timmy_tui.services.heartbeat.approval_records import Approval
from timmy_tui.services.hermes.records import HermesReading
from timmy_tui.services.ollama.records import OllamaReading
from timmy_tui.services.providers.records import ProvidersReading
from timmy_tui.services.reading import Reading
from timmy_tui.services.ticks.records import HeartbeatReading
from timmy_tui.services.usage.today import UsageToday
from timmy_tui.services.worker.records import WorkerReading


class OllamaServer(Struct, frozen=True):
    """One configured server and what it last said."""

    name: str
    url: str
    """The address that is dialled, without userinfo."""
    reading: Reading[OllamaReading] = Reading()
    vram_total_bytes: int | None = None
    """From the configuration, for a server on another machine."""
    on_this_host: bool = True


def same_servers(before: tuple[OllamaServer, ...], after: tuple[OllamaServer, ...]) -> bool:
    """Whether a view of the servers looks the same, ages aside."""
    return len(before) == len(after) and all(
        old.name == new.name and new.reading.says_same_as(old.reading) for old, new in zip(before, after, strict=True)
    )


class Snapshot(Struct, frozen=True):
    """One reading of every source. ``status --json`` and the dashboard are two views of it."""

    host: str
    ollama: tuple[OllamaServer, ...] = ()
    hermes: Reading[HermesReading] = Reading()
    heartbeat: Reading[HeartbeatReading] = Reading()
    worker: Reading[WorkerReading] = Reading()
    providers: Reading[ProvidersReading] = Reading()
    gpu: Reading[GpuReading] = Reading()
    approvals: Reading[tuple[Approval, ...]] = Reading()
    """What waits for the operator's word, or runs by it."""
    usage: Reading[UsageToday] = Reading()
    """What models and providers did today."""
    heartbeat_enabled: bool = True
    """From the configuration: without a heartbeat a silence is no problem."""
