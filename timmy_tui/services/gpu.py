"""GPU memory from the driver, where it can be had (facts/ollama.md §5): NVIDIA, AMD on Linux, Apple."""

from __future__ import annotations

import contextlib
import importlib
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from timmy_tui.services.reading import SourceError
from timmy_tui.text import clean, clean_error

LOOK_AGAIN_S = 600.0
"""A driver that was missing is looked for again after this long."""

_SYSCTL_TIMEOUT_S = 5.0
_MIB = 1024 * 1024


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


class GpuError(SourceError):
    """The driver is there but does not answer."""


def disagrees(ollama_vram_bytes: int, used_bytes: int | None) -> bool:
    """Whether the driver's figure for used memory puts Ollama's own estimate in doubt.

    Ollama reads its figures from a log and has been wrong by a factor of seven (facts/ollama.md §5).
    They disagree when they differ by more than 1 GB and more than a quarter of Ollama's figure, in
    either direction: a driver that sees less disproves Ollama; one that sees more may also see other
    programs, which is worth the same look. While Ollama claims nothing, all that is used is other
    programs', and there is nothing to doubt.
    """
    if used_bytes is None or ollama_vram_bytes <= 0:
        return False
    return abs(used_bytes - ollama_vram_bytes) > max(10**9, ollama_vram_bytes / 4)


class GpuSource:
    """Reads this machine's GPUs. Synchronous: the monitor calls :meth:`read` in a thread.

    ``root`` stands for ``/`` (sysfs, procfs), ``sysctl`` for Apple's command, ``nvml`` for NVIDIA's library.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.time,
        *,
        root: Path = Path("/"),
        platform: str = sys.platform,
        sysctl: str = "/usr/sbin/sysctl",
        nvml: str = "pynvml",
    ) -> None:
        self._clock = clock
        self._root = root
        self._platform = platform
        self._sysctl = sysctl
        self._nvml_name = nvml
        self._nvml: Any = None
        """The library while it is initialised."""
        self._nvml_next_at = float("-inf")
        self._apple: tuple[float, tuple[GpuDevice, ...]] | None = None

    def read(self) -> GpuReading:
        """The devices and their memory; none where no driver tells. Raises :class:`GpuError`."""
        if self._platform == "darwin":
            return GpuReading(self._read_apple())
        return GpuReading((*self._read_nvidia(), *self._read_amd()))

    def close(self) -> None:
        """Give the NVIDIA library back; a later read initialises it anew."""
        nvml, self._nvml = self._nvml, None
        if nvml is not None:
            with contextlib.suppress(nvml.NVMLError):
                nvml.nvmlShutdown()

    def _read_nvidia(self) -> tuple[GpuDevice, ...]:
        nvml = self._nvml_library()
        if nvml is None:
            return ()
        try:
            handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
            return tuple(self._nvidia_device(nvml, handle) for handle in handles)
        except nvml.NVMLError as error:
            self.close()  # a lost device or an updated driver needs a new start
            self._nvml_next_at = self._clock()
            raise GpuError(
                f"The NVIDIA driver does not answer: {clean_error(error)}", "See what it says:  nvidia-smi"
            ) from None

    def _nvml_library(self) -> Any:
        """The initialised library; None where it or the driver is missing."""
        now = self._clock()
        if self._nvml is not None or now < self._nvml_next_at:
            return self._nvml
        self._nvml_next_at = now + LOOK_AGAIN_S
        try:
            nvml = importlib.import_module(self._nvml_name)
        except ImportError:
            return None
        try:
            nvml.nvmlInit()
        except (nvml.NVMLError_LibraryNotFound, nvml.NVMLError_DriverNotLoaded):
            return None
        except nvml.NVMLError as error:
            self._nvml_next_at = now
            raise GpuError(
                f"The NVIDIA driver can't be used: {clean_error(error)}", "See what it says:  nvidia-smi"
            ) from None
        self._nvml = nvml
        return nvml

    def _nvidia_device(self, nvml: Any, handle: Any) -> GpuDevice:
        name = _told(nvml, nvml.nvmlDeviceGetName, handle)
        name = name.decode("utf-8", "replace") if isinstance(name, bytes) else name
        memory = _told(nvml, nvml.nvmlDeviceGetMemoryInfo, handle)
        rates = _told(nvml, nvml.nvmlDeviceGetUtilizationRates, handle)
        milliwatts = _told(nvml, nvml.nvmlDeviceGetPowerUsage, handle)
        celsius = _told(nvml, nvml.nvmlDeviceGetTemperature, handle, nvml.NVML_TEMPERATURE_GPU)
        # Parts that share the machine's memory (GB10, Jetson) have no memory of their own to tell.
        return GpuDevice(
            name=clean(name or "NVIDIA GPU"),
            kind="nvidia",
            total_bytes=self._ram_bytes() if memory is None else int(memory.total),
            used_bytes=None if memory is None else int(memory.used),
            busy_percent=None if rates is None else float(rates.gpu),
            temperature_c=None if celsius is None else float(celsius),
            power_w=None if milliwatts is None else milliwatts / 1000,
            unified=memory is None,
        )

    def _ram_bytes(self) -> int | None:
        """``MemTotal`` of procfs."""
        try:
            lines = (self._root / "proc/meminfo").read_text("ascii", "replace").splitlines()
        except OSError:
            return None
        fields = next((line.split() for line in lines if line.startswith("MemTotal:")), [])
        return int(fields[1]) * 1024 if len(fields) > 1 and fields[1].isdecimal() else None

    def _read_amd(self) -> tuple[GpuDevice, ...]:
        cards = sorted((self._root / "sys/class/drm").glob("card[0-9]*/device/mem_info_vram_total"))
        return tuple(_amd_device(path.parent) for path in cards)

    def _read_apple(self) -> tuple[GpuDevice, ...]:
        """The unified memory, or the part of it that the GPU may wire; asked again now and then."""
        now = self._clock()
        if self._apple is None or not 0 <= now - self._apple[0] < LOOK_AGAIN_S:
            self._apple = (now, self._ask_apple())
        return self._apple[1]

    def _ask_apple(self) -> tuple[GpuDevice, ...]:
        if self._ask_sysctl("hw.optional.arm64") != "1":
            return ()  # an Intel Mac: its GPU memory can't be asked for
        memory_bytes = self._ask_sysctl("hw.memsize")
        if not memory_bytes.isdecimal():
            raise GpuError("sysctl does not tell the size of the memory", "Try:  sysctl hw.memsize")
        limit_mb = self._ask_sysctl("iogpu.wired_limit_mb")
        wired_bytes = int(limit_mb) * _MIB if limit_mb.isdecimal() else 0  # 0 = the system's own default
        name = clean(self._ask_sysctl("machdep.cpu.brand_string") or "Apple GPU")
        return (GpuDevice(name, "apple", wired_bytes or int(memory_bytes), used_bytes=None, unified=True),)

    def _ask_sysctl(self, key: str) -> str:
        """The value of ``key``; empty where the system does not know it."""
        try:
            answer = subprocess.run(
                [self._sysctl, "-n", key], capture_output=True, timeout=_SYSCTL_TIMEOUT_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise GpuError(f"sysctl can't be run: {clean_error(error)}") from None
        return answer.stdout.decode("utf-8", "replace").strip() if answer.returncode == 0 else ""


def _told(nvml: Any, ask: Callable[..., Any], *arguments: Any) -> Any:
    """What a device says of itself; None where it does not support the question."""
    try:
        return ask(*arguments)
    except (nvml.NVMLError_NotSupported, nvml.NVMLError_NoPermission):
        return None


def _amd_device(device: Path) -> GpuDevice:
    """One card of the amdgpu driver, from its folder in sysfs."""
    total_bytes = _sysfs_number(device / "mem_info_vram_total")
    used_bytes = _sysfs_number(device / "mem_info_vram_used")
    if total_bytes is None:
        raise GpuError(f"The AMD driver does not tell the memory of {clean(device.parent.name)}", "Try:  rocm-smi")
    unified = not (device / "mem_info_vram_vendor").exists()  # an APU: the rest of its memory is the GTT
    if unified:
        total_bytes += _sysfs_number(device / "mem_info_gtt_total") or 0
        gtt_used_bytes = _sysfs_number(device / "mem_info_gtt_used")
        used_bytes = None if used_bytes is None or gtt_used_bytes is None else used_bytes + gtt_used_bytes
    busy_percent = _sysfs_number(device / "gpu_busy_percent")
    sensors = next(iter(sorted(device.glob("hwmon/hwmon*"))), device)
    millicelsius = _sysfs_number(sensors / "temp1_input")
    microwatts = _sysfs_number(sensors / "power1_average")
    return GpuDevice(
        name=_sysfs_text(device / "product_name") or f"AMD {clean(device.parent.name)}",
        kind="amd",
        total_bytes=total_bytes,
        used_bytes=used_bytes,
        busy_percent=None if busy_percent is None else float(busy_percent),
        temperature_c=None if millicelsius is None else millicelsius / 1000,
        power_w=None if microwatts is None else microwatts / 1e6,
        unified=unified,
    )


def _sysfs_text(path: Path) -> str | None:
    """The file's text on one line; None where it is missing, empty or may not be read."""
    try:
        return clean(path.read_bytes()[:4096].decode("utf-8", "replace").strip()) or None
    except OSError:
        return None


def _sysfs_number(path: Path) -> int | None:
    text = _sysfs_text(path)
    return int(text) if text is not None and text.isascii() and text.isdecimal() else None
