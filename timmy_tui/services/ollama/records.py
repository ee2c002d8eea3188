"""What one Ollama server holds. Every string has passed ``text.clean``."""

from __future__ import annotations

from msgspec import Struct


class InstalledModel(Struct, frozen=True):
    """One entry of ``/api/tags`` (facts/ollama.md §1)."""

    name: str
    digest: str
    size_bytes: int | None
    modified_at: float | None
    """Unix seconds; None for a missing, malformed or year-1 time."""
    family: str | None
    parameter_size: str | None
    quantization: str | None
    context_length: int | None
    """The trained maximum, in tokens; only servers from 0.30 on tell it here."""
    capabilities: tuple[str, ...]
    remote_model: str | None
    remote_host: str | None
    parent_model: str | None

    @property
    def remote(self) -> bool:
        """A cloud stub: it holds no weights, is never in VRAM, and must not be loaded or unloaded."""
        return self.remote_model is not None or self.remote_host is not None


class LoadedModel(Struct, frozen=True):
    """One entry of ``/api/ps``."""

    name: str
    digest: str
    size_bytes: int
    size_vram_bytes: int
    """Ollama's own estimate; 0 when the server left it out."""
    context_length: int | None
    """The allocated context per slot, in tokens; None before 0.10."""
    expires_at: float | None
    """Unix seconds; infinity = kept forever; None = unknown."""
    family: str | None
    parameter_size: str | None
    quantization: str | None


class OllamaReading(Struct, frozen=True):
    """One server at one moment."""

    version: str | None
    latency_ms: float
    """Of the ``/api/ps`` request."""
    installed: tuple[InstalledModel, ...]
    loaded: tuple[LoadedModel, ...]
    loaded_known: bool = True
    """False for a server that has no ``/api/ps``: what is in memory it does not tell."""

    @property
    def vram_bytes(self) -> int:
        """The sum of Ollama's own estimates."""
        return sum(model.size_vram_bytes for model in self.loaded)


class ModelDetails(Struct, frozen=True):
    """``/api/show`` of one model, for its own screen."""

    name: str
    capabilities: tuple[str, ...]
    parameters: tuple[tuple[str, str], ...]
    """The Modelfile's parameters, in the order of the answer."""
    architecture: str | None
    trained_context_length: int | None
    template: str | None
    system: str | None
    license: str | None
    modelfile: str | None
    info: tuple[tuple[str, str], ...]
    """``model_info`` as text, arrays left out."""


class PullProgress(Struct, frozen=True):
    """One step of a pull; sums are over the layers that have started (the true total is unknown until the last has)."""

    status: str
    completed_bytes: int
    total_bytes: int
    done: bool
