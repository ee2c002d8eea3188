"""The model in Hermes' ``config.yaml`` (facts/hermes.md §1.8, §7).

Only names of models and providers and context lengths are taken from the file: never a key or a header.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from timmy_tui.safe_yaml import YamlError, load_yaml
from timmy_tui.services.reading import SourceError
from timmy_tui.text import clean, clean_error

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
    try:
        tree = load_yaml(source)
    except YamlError as error:
        raise HermesConfigError(f"{clean(str(path))}: {clean_error(error)}") from None
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
