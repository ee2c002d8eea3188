"""The models that the simulated Ollama has on its disk, with the figures a machine like that would show."""

from __future__ import annotations

from hashlib import sha256

from msgspec import Struct

VRAM_BYTES = 24_000_000_000
"""The simulated machine's GPU memory."""


class DemoModel(Struct, frozen=True):
    """One model: what ``/api/tags`` tells of it, and what it takes once it is loaded."""

    name: str
    size_bytes: int
    family: str
    parameter_size: str
    quantization: str
    context_length: int
    embedding_length: int
    capabilities: tuple[str, ...]
    loaded_bytes: int = 0
    gpu_share: float = 1.0
    """Of ``loaded_bytes``, when the whole GPU is free."""
    loaded_context: int = 8192
    installed_days_ago: float = 0
    remote_model: str = ""

    @property
    def digest(self) -> str:
        """64 hex digits, as in ``/api/tags``."""
        return sha256(self.name.encode()).hexdigest()


CATALOG = (
    DemoModel(
        name="hermes4:14b",
        size_bytes=9_001_752_960,
        family="qwen3",
        parameter_size="14.8B",
        quantization="Q4_K_M",
        context_length=131_072,
        embedding_length=5120,
        capabilities=("completion", "tools", "thinking"),
        loaded_bytes=11_010_048_000,
        loaded_context=65_536,
        installed_days_ago=2.3,
    ),
    DemoModel(
        name="qwen2.5-coder:7b",
        size_bytes=4_683_087_519,
        family="qwen2",
        parameter_size="7.6B",
        quantization="Q4_K_M",
        context_length=32_768,
        embedding_length=3584,
        capabilities=("completion", "tools", "insert"),
        loaded_bytes=9_200_000_000,
        gpu_share=0.69,
        loaded_context=32_768,
        installed_days_ago=6.1,
    ),
    DemoModel(
        name="llama3.2:3b",
        size_bytes=2_019_393_189,
        family="llama",
        parameter_size="3.2B",
        quantization="Q4_K_M",
        context_length=131_072,
        embedding_length=3072,
        capabilities=("completion", "tools"),
        loaded_bytes=3_418_882_048,
        installed_days_ago=11.8,
    ),
    DemoModel(
        name="nomic-embed-text:latest",
        size_bytes=274_302_450,
        family="nomic-bert",
        parameter_size="137M",
        quantization="F16",
        context_length=2048,
        embedding_length=768,
        capabilities=("embedding",),
        loaded_bytes=579_338_240,
        loaded_context=2048,
        installed_days_ago=20.4,
    ),
    DemoModel(
        name="deepseek-coder:6.7b",
        size_bytes=3_827_834_503,
        family="llama",
        parameter_size="7B",
        quantization="Q4_0",
        context_length=16_384,
        embedding_length=4096,
        capabilities=("completion", "insert"),
        loaded_bytes=5_637_144_576,
        installed_days_ago=33.0,
    ),
    DemoModel(
        name="llama31-8b:latest",
        size_bytes=4_920_753_328,
        family="llama",
        parameter_size="8.0B",
        quantization="Q4_K_M",
        context_length=131_072,
        embedding_length=4096,
        capabilities=("completion", "tools"),
        loaded_bytes=6_442_450_944,
        installed_days_ago=41.6,
    ),
    DemoModel(
        name="gemma3:12b",
        size_bytes=8_149_190_253,
        family="gemma3",
        parameter_size="12.2B",
        quantization="Q4_K_M",
        context_length=131_072,
        embedding_length=3840,
        capabilities=("completion", "vision"),
        loaded_bytes=11_274_289_152,
        installed_days_ago=58.2,
    ),
    DemoModel(
        name="gpt-oss:120b-cloud",
        size_bytes=384,
        family="gptoss",
        parameter_size="116.8B",
        quantization="MXFP4",
        context_length=131_072,
        embedding_length=2880,
        capabilities=("completion", "tools", "thinking"),
        installed_days_ago=9.5,
        remote_model="gpt-oss:120b",
    ),
)
"""Eight models, as the dashboard's picture shows them."""


def pulled_model(name: str) -> DemoModel:
    """A plausible model for any name that someone pulls; the same name always has the same size."""
    size_bytes = 1_000_000_000 + int(sha256(name.encode()).hexdigest()[:6], 16) * 300
    return DemoModel(
        name=name,
        size_bytes=size_bytes,
        family="llama",
        parameter_size=f"{size_bytes / 6.2e8:.1f}B",
        quantization="Q4_K_M",
        context_length=131_072,
        embedding_length=4096,
        capabilities=("completion", "tools"),
        loaded_bytes=int(size_bytes * 1.3),
    )
