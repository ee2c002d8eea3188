"""Ollama's own display rules, and what can be told of a model's expiry (facts/ollama.md §1)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

from timmy_tui.services.ollama.records import InstalledModel, LoadedModel

FOREVER_S = 20 * 365 * 86_400
"""An expiry further away than this is the server's "never"."""

ExpiryKind = Literal["counting", "forever", "busy", "unknown"]


class Expiry(Struct, frozen=True):
    """When a loaded model leaves memory."""

    kind: ExpiryKind
    seconds: float | None = None
    """What is left while ``counting``; else None."""

    @property
    def text(self) -> str:
        """``in 4m``, ``forever``, ``busy or stopping``, ``unknown``."""
        if self.kind == "counting":
            return f"in {_largest_unit(self.seconds or 0.0)}"
        return "busy or stopping" if self.kind == "busy" else self.kind


def processor_text(size_bytes: int, size_vram_bytes: int) -> str:
    """The PROCESSOR column of ``ollama ps``, by the same tests in the same order.

    "100% GPU" means that all of the model is on the GPU, not that the GPU is full.
    """
    if size_vram_bytes == 0:
        return "100% CPU"
    if size_vram_bytes == size_bytes:
        return "100% GPU"
    if size_vram_bytes > size_bytes or size_bytes == 0:
        return "Unknown"
    # Go rounds halves away from zero; round() would round them to even.
    cpu_percent = math.floor((size_bytes - size_vram_bytes) / size_bytes * 100 + 0.5)
    return f"{cpu_percent}%/{100 - cpu_percent}% CPU/GPU"


def gpu_share(size_bytes: int, size_vram_bytes: int) -> float | None:
    """The part of a model that is on the GPU, 0…1; None where :func:`processor_text` says Unknown."""
    if size_vram_bytes == 0:
        return 0.0
    if size_bytes == 0 or size_vram_bytes > size_bytes:
        return None
    return size_vram_bytes / size_bytes


def expiry(loaded: LoadedModel, now: float) -> Expiry:
    """When ``loaded`` leaves memory, seen at ``now`` (Unix seconds).

    A model past its expiry that is still listed is busy or stopping: the time is only written again when its
    last request ends, so one cannot tell which.
    """
    if loaded.expires_at is None or math.isnan(loaded.expires_at):
        return Expiry("unknown")
    left_s = loaded.expires_at - now
    if left_s < 0:
        return Expiry("busy")
    if left_s > FOREVER_S:
        return Expiry("forever")
    return Expiry("counting", left_s)


def match_installed(loaded: LoadedModel, installed: Iterable[InstalledModel]) -> InstalledModel | None:
    """The installed model that ``loaded`` is: by name, else by digest.

    Copies of one model share a runner, and ``/api/ps`` shows the name that was loaded first (the alias trap).
    Children made with ``FROM`` share it too but have their own digest: they are missed.
    """
    by_digest: InstalledModel | None = None
    for model in installed:
        if model.name == loaded.name:
            return model
        if by_digest is None and loaded.digest and model.digest == loaded.digest:
            by_digest = model
    return by_digest


def is_cloud_name(name: str) -> bool:
    """A request for this name would be passed on to ollama.com, whatever is installed."""
    return name.strip().lower().endswith((":cloud", "-cloud"))


def _largest_unit(seconds: float) -> str:
    whole = math.ceil(seconds)
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if whole >= size:
            return f"{whole // size}{unit}"
    return f"{whole}s"
