"""GPU memory is the driver's word, or unknown; what a device does not support costs only that figure."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from timmy_tui.services.gpu import LOOK_AGAIN_S, GpuDevice, GpuError, GpuReading, GpuSource, disagrees

GB = 10**9


class Clock:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class NvmlError(Exception):
    """NVIDIA's base error; the others derive from it, as in its library."""


class NotSupported(NvmlError):
    pass


class NoPermission(NvmlError):
    pass


class LibraryNotFound(NvmlError):
    pass


class DriverNotLoaded(NvmlError):
    pass


class Nvml(ModuleType):
    """NVIDIA's library with one device, shaped as nvidia-ml-py has it."""

    NVMLError = NvmlError
    NVMLError_NotSupported = NotSupported
    NVMLError_NoPermission = NoPermission
    NVMLError_LibraryNotFound = LibraryNotFound
    NVMLError_DriverNotLoaded = DriverNotLoaded
    NVML_TEMPERATURE_GPU = 0

    def __init__(self) -> None:
        super().__init__("pretend_nvml")
        self.inits = 0
        self.init_error: Exception | None = None
        self.count_error: Exception | None = None
        self.unsupported: set[str] = set()
        self.device_name: str | bytes = "NVIDIA GeForce RTX 4090"

    def nvmlInit(self) -> None:
        self.inits += 1
        if self.init_error is not None:
            raise self.init_error

    def nvmlShutdown(self) -> None:
        pass

    def nvmlDeviceGetCount(self) -> int:
        if self.count_error is not None:
            raise self.count_error
        return 1

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def _answer(self, question: str, answer: object) -> object:
        if question in self.unsupported:
            raise NotSupported("Not Supported")
        return answer

    def nvmlDeviceGetName(self, handle: int) -> object:
        return self._answer("name", self.device_name)

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> object:
        return self._answer("memory", SimpleNamespace(total=24 * GB, used=11 * GB, free=13 * GB))

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> object:
        return self._answer("rates", SimpleNamespace(gpu=97, memory=40))

    def nvmlDeviceGetPowerUsage(self, handle: int) -> object:
        return self._answer("power", 320_500)

    def nvmlDeviceGetTemperature(self, handle: int, sensor: int) -> object:
        return self._answer("temperature", 71)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> Nvml:
    library = Nvml()
    monkeypatch.setitem(sys.modules, "pretend_nvml", library)
    return library


def linux(root: Path, clock: Clock, nvml: str = "pretend_nvml") -> GpuSource:
    return GpuSource(clock, root=root, platform="linux", nvml=nvml)


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def test_a_machine_without_a_gpu(tmp_path: Path, clock: Clock) -> None:
    reading = linux(tmp_path, clock, "no_such_library").read()
    assert reading == GpuReading()
    assert (reading.total_bytes, reading.used_bytes) == (None, None)


def test_an_nvidia_device(tmp_path: Path, clock: Clock, nvml: Nvml) -> None:
    source = linux(tmp_path, clock)
    source.read()
    assert source.read().devices == (
        GpuDevice("NVIDIA GeForce RTX 4090", "nvidia", 24 * GB, 11 * GB, 97.0, 71.0, 320.5),
    )
    assert nvml.inits == 1


def test_what_an_nvidia_device_does_not_support_is_unknown(tmp_path: Path, clock: Clock, nvml: Nvml) -> None:
    nvml.unsupported = {"rates", "power", "temperature"}
    nvml.device_name = b"Tesla\x1b[2J"
    assert linux(tmp_path, clock).read().devices == (GpuDevice("Tesla^[[2J", "nvidia", 24 * GB, 11 * GB),)


def test_an_nvidia_part_without_memory_of_its_own_has_the_machines(tmp_path: Path, clock: Clock, nvml: Nvml) -> None:
    nvml.unsupported = {"memory", "name"}
    write(tmp_path, {"proc/meminfo": "MemTotal:       125829120 kB\nMemFree: 1 kB\n"})
    (device,) = linux(tmp_path, clock).read().devices
    assert device.unified
    assert (device.name, device.total_bytes, device.used_bytes) == ("NVIDIA GPU", 125829120 * 1024, None)
    (tmp_path / "proc/meminfo").unlink()
    assert linux(tmp_path, clock).read().total_bytes is None


@pytest.mark.parametrize("error", [LibraryNotFound("x"), DriverNotLoaded("x")])
def test_a_missing_driver_is_looked_for_again_later(tmp_path: Path, clock: Clock, nvml: Nvml, error: NvmlError) -> None:
    nvml.init_error = error
    source = linux(tmp_path, clock)
    assert source.read() == source.read() == GpuReading()
    assert nvml.inits == 1
    nvml.init_error = None
    clock.now += LOOK_AGAIN_S
    assert len(source.read().devices) == 1


def test_a_driver_that_fails_is_one_error_and_is_started_anew(tmp_path: Path, clock: Clock, nvml: Nvml) -> None:
    source = linux(tmp_path, clock)
    nvml.init_error = NvmlError("Driver/library version mismatch")
    with pytest.raises(GpuError, match="The NVIDIA driver can't be used: Driver/library version mismatch"):
        source.read()
    nvml.init_error = None
    assert len(source.read().devices) == 1
    nvml.count_error = NvmlError("GPU is lost")
    with pytest.raises(GpuError, match="GPU is lost") as caught:
        source.read()
    assert "nvidia-smi" in caught.value.hint
    nvml.count_error = None
    assert len(source.read().devices) == 1
    assert nvml.inits == 3


AMD = "sys/class/drm/card1/device"
DISCRETE = {
    f"{AMD}/mem_info_vram_total": "25753026560\n",
    f"{AMD}/mem_info_vram_used": "9663676416\n",
    f"{AMD}/mem_info_vram_vendor": "samsung\n",
    f"{AMD}/mem_info_gtt_total": "33554432000\n",
    f"{AMD}/mem_info_gtt_used": "1000\n",
    f"{AMD}/gpu_busy_percent": "42\n",
    f"{AMD}/product_name": "Radeon RX 7900 XTX\n",
    f"{AMD}/hwmon/hwmon3/temp1_input": "54000\n",
    f"{AMD}/hwmon/hwmon3/power1_average": "213000000\n",
    "sys/class/drm/card1-DP-1/status": "connected\n",
}


def test_an_amd_card(tmp_path: Path, clock: Clock) -> None:
    write(tmp_path, DISCRETE)
    assert linux(tmp_path, clock, "no_such_library").read().devices == (
        GpuDevice("Radeon RX 7900 XTX", "amd", 25753026560, 9663676416, 42.0, 54.0, 213.0),
    )


def test_an_amd_apu_shares_the_machines_memory(tmp_path: Path, clock: Clock) -> None:
    hidden = ("vendor", "product_name", "hwmon", "busy")
    write(tmp_path, {name: text for name, text in DISCRETE.items() if not any(part in name for part in hidden)})
    assert linux(tmp_path, clock, "no_such_library").read().devices == (
        GpuDevice("AMD card1", "amd", 25753026560 + 33554432000, 9663676416 + 1000, unified=True),
    )


@pytest.mark.parametrize("text", ["", "many", "-1", "²"])
def test_an_amd_card_that_does_not_tell_its_memory(tmp_path: Path, clock: Clock, text: str) -> None:
    write(tmp_path, {**DISCRETE, f"{AMD}/mem_info_vram_total": text})
    with pytest.raises(GpuError, match="does not tell the memory of card1"):
        linux(tmp_path, clock, "no_such_library").read()


def apple(folder: Path, clock: Clock, **answers: str) -> GpuSource:
    """A Mac whose ``sysctl`` knows these keys (dots as underscores) and fails for the others."""
    script = folder / "sysctl"
    cases = "\n".join(f"{key.replace('_', '.', 1)}) echo '{value}';;" for key, value in answers.items())
    script.write_text(f'#!/bin/sh\necho x >> "{folder}/calls"\ncase "$2" in\n{cases}\n*) exit 1;;\nesac\n')
    script.chmod(0o755)
    return GpuSource(clock, platform="darwin", sysctl=str(script))


def test_an_apple_machine_has_unified_memory(tmp_path: Path, clock: Clock) -> None:
    source = apple(tmp_path, clock, **{"hw_optional.arm64": "1", "hw_memsize": "68719476736"})
    assert source.read().devices == (GpuDevice("Apple GPU", "apple", 68719476736, None, unified=True),)


def test_an_apple_limit_set_by_hand_counts_and_is_asked_now_and_then(tmp_path: Path, clock: Clock) -> None:
    keys = {"hw_optional.arm64": "1", "hw_memsize": "68719476736", "machdep_cpu.brand_string": "Apple M3 Max"}
    source = apple(tmp_path, clock, **keys, iogpu_wired_limit_mb="57344")
    (device,) = source.read().devices
    assert (device.name, device.total_bytes) == ("Apple M3 Max", 57344 * 1024 * 1024)
    calls = (tmp_path / "calls").read_text()
    source.read()
    assert (tmp_path / "calls").read_text() == calls
    clock.now += LOOK_AGAIN_S
    source.read()
    assert (tmp_path / "calls").read_text() == calls * 2


def test_an_intel_mac_tells_nothing(tmp_path: Path, clock: Clock) -> None:
    assert apple(tmp_path, clock, hw_memsize="17179869184").read() == GpuReading()


def test_a_mac_that_does_not_answer(tmp_path: Path, clock: Clock) -> None:
    with pytest.raises(GpuError, match="does not tell the size"):
        apple(tmp_path, clock, **{"hw_optional.arm64": "1"}).read()
    with pytest.raises(GpuError, match="sysctl can't be run"):
        GpuSource(clock, platform="darwin", sysctl=str(tmp_path / "missing")).read()


@pytest.mark.parametrize(
    ("ollama_bytes", "used_bytes", "doubtful"),
    [
        (12 * GB, 90 * GB, True),  # issue 17251
        (12 * GB, 12 * GB, False),
        (12 * GB, 14 * GB, False),  # over 1 GB, but within a quarter
        (12 * GB, 15 * GB, False),
        (12 * GB, 15 * GB + 1, True),
        (12 * GB, 9 * GB, False),
        (12 * GB, 9 * GB - 1, True),
        (1 * GB, 2 * GB, False),  # twice as much, but within 1 GB
        (1 * GB, 2 * GB + 1, True),
        (5 * GB, 0, True),
        (0, 8 * GB, False),  # nothing claimed: other programs
        (5 * GB, None, False),
    ],
)
def test_when_the_driver_doubts_ollama(ollama_bytes: int, used_bytes: int | None, doubtful: bool) -> None:
    assert disagrees(ollama_bytes, used_bytes) is doubtful
