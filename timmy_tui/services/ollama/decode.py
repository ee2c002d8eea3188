"""Ollama's answers as records. An entry needs only a name; what can't be understood becomes unknown."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from timmy_tui.services.moments import unix_seconds
from timmy_tui.services.ollama.records import InstalledModel, LoadedModel, ModelDetails
from timmy_tui.services.ollama.rules import FOREVER_S
from timmy_tui.text import BLOCK_LIMIT, Json, clean, clean_tree

MODEL_LIMIT = 10_000
"""No server holds more; a list of a million entries must not fill the memory."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LARGEST = 2**63 - 1

Entry = dict[str, object]
Record = TypeVar("Record", InstalledModel, LoadedModel)


class DecodeError(ValueError):
    """The document is not what its path stands for; the text says in which way."""


def installed_models(body: bytes) -> tuple[InstalledModel, ...]:
    """``/api/tags``, the newest first; within one second by name. Raises :class:`DecodeError`.

    There the server's own order is another one at each call (facts/ollama.md, Corrections).
    """
    models = {model.name: model for model in reversed(_records(body, _installed))}
    return tuple(sorted(models.values(), key=lambda model: (-math.floor(model.modified_at or 0.0), model.name)))


def loaded_models(body: bytes, now: float, clock_ahead_s: float = 0.0) -> tuple[LoadedModel, ...]:
    """``/api/ps``, in the server's order; an expiry beyond 20 years is infinity.

    A name that is listed twice is one model made anew while the old one is in memory: both take their room.
    ``clock_ahead_s`` is how far the server's clock is ahead of ``now``. Raises :class:`DecodeError`.
    """
    models: dict[str, LoadedModel] = {}
    digests: set[tuple[str, str]] = set()
    for model in _records(body, lambda name, entry: _loaded(name, entry, now, clock_ahead_s)):
        if (model.name, model.digest) in digests:
            continue
        digests.add((model.name, model.digest))
        first = models.get(model.name)
        models[model.name] = model if first is None else _both(first, model)
    return tuple(models.values())


def _both(first: LoadedModel, other: LoadedModel) -> LoadedModel:
    newest = max(first, other, key=lambda model: model.expires_at or 0.0)
    return replace(
        newest,
        size_bytes=first.size_bytes + other.size_bytes,
        size_vram_bytes=first.size_vram_bytes + other.size_vram_bytes,
    )


def server_version(body: bytes) -> str | None:
    """``/api/version``; None when it names none. Raises :class:`DecodeError`."""
    return _text(document(body), "version")


def model_details(body: bytes, name: str) -> ModelDetails:
    """``/api/show`` of ``name``. Raises :class:`DecodeError`."""
    show = document(body)
    info = show.get("model_info")
    info = info if isinstance(info, dict) else {}
    architecture = _text(info, "general.architecture")
    return ModelDetails(
        name=clean(name),
        capabilities=_texts(show, "capabilities"),
        parameters=_parameters(show.get("parameters")),
        architecture=architecture,
        trained_context_length=_count(info, f"{architecture}.context_length"),
        template=_block(show, "template"),
        system=_block(show, "system"),
        license=_block(show, "license"),
        modelfile=_block(show, "modelfile"),
        info=_info(info),
    )


def document(body: bytes) -> Entry:
    """One JSON object. Raises :class:`DecodeError`."""
    try:
        value = msgspec.json.decode(body)
    except RecursionError:
        raise DecodeError("JSON nested without end") from None
    except ValueError as error:  # msgspec's errors, and invalid UTF-8
        value = _leniently(body)
        if value is None:
            raise DecodeError("nothing" if not body.strip() else f"not JSON ({error})") from None
    if not isinstance(value, dict):
        raise DecodeError("JSON, but not an object")
    return value


def _refused(word: str) -> object:
    raise ValueError(word)


def _finite(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError(digits)
    return value


def _leniently(body: bytes) -> object:
    """What has a name in it that is no UTF-8, or half a character: one such name must not cost the whole list."""
    try:
        return json.loads(body.decode("utf-8", "replace"), parse_constant=_refused, parse_float=_finite)
    except (ValueError, RecursionError):
        return None


def unix_time(text: object) -> float | None:
    """Go's RFC 3339 as Unix seconds; None for what :func:`unix_seconds` refuses, or without a zone."""
    seconds = _seconds(text)
    return None if seconds is None else unix_seconds(seconds)


def _seconds(text: object) -> float | None:
    """As :func:`unix_time`, but for any year after 1: an expiry in the year 9999 says "never".

    The difference to the epoch is taken without converting: ``astimezone`` overflows on year 1 in the west.
    """
    if not isinstance(text, str) or len(text) > 64:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.year <= 1 or moment.tzinfo is None:
        return None
    return (moment - _EPOCH).total_seconds()


def whole_number(value: object) -> int | None:
    """A count of bytes or tokens, 0 or more; None for anything else."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 <= value <= _LARGEST else None


def _records(body: bytes, build: Callable[[str, Entry], Record]) -> tuple[Record, ...]:
    """The ``models`` of a list; an entry that is no object or has no name is left out."""
    answer = document(body)
    if "models" not in answer:
        raise DecodeError("JSON without a list of models")
    entries = answer["models"]
    if entries is None:  # Go's nil slice
        return ()
    if not isinstance(entries, list):
        raise DecodeError("JSON whose models are no list")
    if len(entries) > MODEL_LIMIT:
        raise DecodeError(f"a list of {len(entries):,} models")
    records: list[Record] = []
    for entry in entries:
        name = (_text(entry, "name") or _text(entry, "model")) if isinstance(entry, dict) else None
        if name is not None:
            records.append(build(name, entry))
    return tuple(records)


def _installed(name: str, entry: Entry) -> InstalledModel:
    details = _details(entry)
    return InstalledModel(
        name=name,
        digest=_text(entry, "digest") or "",
        size_bytes=_count(entry, "size"),
        modified_at=unix_time(entry.get("modified_at")),
        family=_text(details, "family"),
        parameter_size=_text(details, "parameter_size"),
        quantization=_text(details, "quantization_level"),
        context_length=_count(details, "context_length") or None,
        capabilities=_texts(entry, "capabilities"),
        remote_model=_text(entry, "remote_model"),
        remote_host=_text(entry, "remote_host"),
        parent_model=_text(details, "parent_model"),
    )


def _loaded(name: str, entry: Entry, now: float, clock_ahead_s: float) -> LoadedModel:
    details = _details(entry)
    expires_at = _seconds(entry.get("expires_at"))
    if expires_at is not None:
        expires_at -= clock_ahead_s
    if expires_at is not None and expires_at - now > FOREVER_S:
        expires_at = math.inf
    return LoadedModel(
        name=name,
        digest=_text(entry, "digest") or "",
        size_bytes=_count(entry, "size") or 0,
        size_vram_bytes=_count(entry, "size_vram") or 0,
        context_length=_count(entry, "context_length") or None,
        expires_at=expires_at,
        family=_text(details, "family"),
        parameter_size=_text(details, "parameter_size"),
        quantization=_text(details, "quantization_level"),
    )


def _details(entry: Entry) -> Entry:
    details = entry.get("details")
    return details if isinstance(details, dict) else {}


def _text(entry: Entry, key: str) -> str | None:
    """A non-empty string on one safe line."""
    value = entry.get(key)
    return clean(value) if isinstance(value, str) and value else None


def _block(entry: Entry, key: str) -> str | None:
    """A non-empty text; older servers send the licenses as a list of texts."""
    value = entry.get(key)
    if isinstance(value, list):
        value = "\n\n".join(part for part in value if isinstance(part, str))
    return clean(value, limit=BLOCK_LIMIT, multiline=True) if isinstance(value, str) and value else None


def _texts(entry: Entry, key: str) -> tuple[str, ...]:
    value = entry.get(key)
    if not isinstance(value, list):
        return ()
    return tuple(clean(item) for item in value[:100] if isinstance(item, str) and item)


def _count(entry: Entry, key: str) -> int | None:
    return whole_number(entry.get(key))


def _parameters(value: object) -> tuple[tuple[str, str], ...]:
    """``parameters`` of ``/api/show``: lines of a key, padding, and a value."""
    if not isinstance(value, str):
        return ()
    pairs = (line.split(None, 1) for line in value[:BLOCK_LIMIT].split("\n") if line.strip())
    return tuple((clean(pair[0]), clean(pair[1].strip() if len(pair) > 1 else "")) for pair in pairs)


def _info(info: Entry) -> tuple[tuple[str, str], ...]:
    """``model_info`` as pairs of text, without its arrays and other branches."""
    cleaned = clean_tree(info)
    assert isinstance(cleaned, dict)
    pairs = ((key, _scalar_text(value)) for key, value in cleaned.items())
    return tuple((key, text) for key, text in pairs if text is not None)


def _scalar_text(value: Json) -> str | None:
    if value is None or isinstance(value, list | dict):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.6g}"
    return clean(str(value))
