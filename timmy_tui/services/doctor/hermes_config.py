"""The model in Hermes' ``config.yaml``, and whether Hermes will refuse it (facts/hermes.md §1.8, §7).

Only names of models and providers and context lengths are taken from the file: never a key or a header.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from timmy_tui.services.doctor.findings import Finding, finding
from timmy_tui.services.ollama.records import OllamaReading
from timmy_tui.services.reading import SourceError
from timmy_tui.text import clean, clean_error

SMALLEST_CONTEXT = 64_000
"""Hermes refuses a model whose context it takes for smaller."""

GOOD_CONTEXT = 65_536

MAX_BYTES = 1_000_000


class HermesConfigError(SourceError):
    """``config.yaml`` can't be read."""


class HermesModel(Struct, frozen=True):
    """The model that Hermes will call."""

    name: str | None
    provider: str | None
    context_length: int | None
    """As configured for the model, else for the provider's model; None = Hermes finds out by itself."""
    context_key: str = "model.context_length"
    """The key that says it, or would."""


def read_hermes_model(path: Path) -> HermesModel | None:
    """The model of the ``config.yaml`` at ``path``; None without one. Raises :class:`HermesConfigError`."""
    try:
        with path.open("rb") as file:
            source = file.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise HermesConfigError(f"{clean(str(path))} can't be read: {error.strerror}") from None
    if len(source) > MAX_BYTES:
        raise HermesConfigError(f"{clean(str(path))} is larger than {MAX_BYTES:,} bytes")
    import yaml

    try:
        tree = yaml.safe_load(source)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}:" if mark else ""
        problem = getattr(error, "problem", None) or type(error).__name__
        raise HermesConfigError(f"{clean(str(path))}:{where} not valid YAML: {clean_error(problem)}") from None
    return _model(tree)


def _model(tree: object) -> HermesModel:
    model = _branch(tree, "model")
    if isinstance(model, str):
        return HermesModel(_name(model), None, None)
    name = _name(_branch(model, "default") or _branch(model, "model"))
    provider = _name(_branch(model, "provider"))
    context = _count(_branch(model, "context_length"))
    if context is None and name and provider:
        entry = _branch(_branch(_branch(_branch(tree, "providers"), provider), "models"), name)
        deeper = _count(_branch(entry, "context_length"))
        if deeper is not None:
            return HermesModel(name, provider, deeper, f"providers.{provider}.models.{name}.context_length")
    return HermesModel(name, provider, context)


def _branch(tree: object, key: str) -> object:
    return tree.get(key) if isinstance(tree, Mapping) else None


def _name(value: object) -> str | None:
    return clean(value, limit=80) if isinstance(value, str) and value.strip() else None


def _count(value: object) -> int | None:
    if isinstance(value, str) and value.strip().isdecimal() and len(value) < 12:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def context_findings(model: HermesModel, path: Path, servers: tuple[OllamaReading, ...]) -> Iterator[Finding]:
    """Whether Hermes will find the model's context too small: by the configuration, else by the server."""
    name = model.name or "the model"
    mend = f"set  {model.context_key}: {GOOD_CONTEXT}  in {path}"
    if model.context_length is not None:
        if model.context_length < SMALLEST_CONTEXT:
            told = f"{model.context_key} is {model.context_length:,}: Hermes wants {SMALLEST_CONTEXT:,} or more"
            yield finding("hermes context", "broken", told, mend)
        else:
            yield finding("hermes context", "ok", f"{name}: {model.context_length:,} tokens")
        return
    trained, loaded = _server_contexts(model.name, servers)
    if trained is not None and trained < SMALLEST_CONTEXT:
        told = f"{name} was made for {trained:,} tokens: Hermes refuses less than {SMALLEST_CONTEXT:,}"
        yield finding("hermes context", "broken", told, f"choose another model, or {mend}")
    elif loaded is not None and loaded < SMALLEST_CONTEXT:
        told = f"{name} is loaded with {loaded:,} tokens: Hermes may refuse every second call"
        yield finding("hermes context", "broken", told, mend)
    else:
        yield finding("hermes context", "note", f"{model.context_key} is not set: Hermes asks the server", mend)


def _server_contexts(name: str | None, servers: tuple[OllamaReading, ...]) -> tuple[int | None, int | None]:
    """The trained and the loaded context of the model ``name`` on the first server that tells them."""
    names = {name, f"{name}:latest"} if name else set()
    trained = (model.context_length for server in servers for model in server.installed if model.name in names)
    loaded = (model.context_length for server in servers for model in server.loaded if model.name in names)
    return (
        next((length for length in trained if length is not None), None),
        next((length for length in loaded if length is not None), None),
    )
