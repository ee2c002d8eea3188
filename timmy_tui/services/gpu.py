"""GPU memory from the driver, where it can be had (facts/ollama.md §5). Filled in by its service."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class GpuDevice(Struct, frozen=True):
    """One GPU, or the unified memory of a machine that has no separate one."""

    name: str
    kind: Literal["nvidia", "amd", "apple"]
    total_bytes: int | None
    used_bytes: int | None
    busy_percent: float | None = None
    temperature_c: float | None = None
    power_w: float | None = None
    unified: bool = False


class GpuReading(Struct, frozen=True):
    """The machine's GPUs; none is an answer too ("n/a")."""

    devices: tuple[GpuDevice, ...] = ()

    @property
    def total_bytes(self) -> int | None:
        """The memory of all devices that tell it; None when none does."""
        known = [device.total_bytes for device in self.devices if device.total_bytes is not None]
        return sum(known) if known else None

    @property
    def used_bytes(self) -> int | None:
        """The memory in use on all devices that tell it; None when none does."""
        known = [device.used_bytes for device in self.devices if device.used_bytes is not None]
        return sum(known) if known else None
