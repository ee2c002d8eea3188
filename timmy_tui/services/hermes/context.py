"""Whether Hermes will find the context of its model too small, and refuse it (facts/hermes.md §1.8)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from msgspec import Struct

from timmy_tui.services.hermes.config import HermesModel
from timmy_tui.services.ollama.records import OllamaReading

SMALLEST_CONTEXT = 64_000
"""Hermes refuses a model whose context it takes for smaller."""

GOOD_CONTEXT = 65_536


class ContextCheck(Struct, frozen=True):
    """What was found out. The file's path in ``mend`` is as the system has it."""

    state: Literal["ok", "refused", "unknown"]
    text: str
    mend: str = ""


def check_context(model: HermesModel, path: Path, servers: tuple[OllamaReading, ...]) -> ContextCheck:
    """Told by the configuration at ``path``, else by the servers' readings."""
    name = model.name or "the model"
    mend = f"set  {model.context_key}: {GOOD_CONTEXT}  in {path}"
    if model.context_length is not None:
        if model.context_length >= SMALLEST_CONTEXT:
            return ContextCheck("ok", f"{name}: {model.context_length:,} tokens")
        told = f"{model.context_key} is {model.context_length:,}: Hermes wants {SMALLEST_CONTEXT:,} or more"
        return ContextCheck("refused", told, mend)
    trained, loaded = _server_contexts(model.name, servers)
    if trained is not None and trained < SMALLEST_CONTEXT:
        told = f"{name} was made for {trained:,} tokens: Hermes refuses less than {SMALLEST_CONTEXT:,}"
        return ContextCheck("refused", told, f"choose another model, or {mend}")
    if loaded is not None and loaded < SMALLEST_CONTEXT:
        told = f"{name} is loaded with {loaded:,} tokens: Hermes may refuse every second call"
        return ContextCheck("refused", told, mend)
    return ContextCheck("unknown", f"{model.context_key} is not set: Hermes asks the server", mend)


def _server_contexts(name: str | None, servers: tuple[OllamaReading, ...]) -> tuple[int | None, int | None]:
    """The trained and the loaded context of the model ``name`` on the first server that tells them."""
    names = {name, f"{name}:latest"} if name else set()
    trained = (model.context_length for server in servers for model in server.installed if model.name in names)
    loaded = (model.context_length for server in servers for model in server.loaded if model.name in names)
    return (
        next((length for length in trained if length is not None), None),
        next((length for length in loaded if length is not None), None),
    )
