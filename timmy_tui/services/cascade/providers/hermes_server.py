"""The OpenAI-compatible server that Hermes is pointed at: its address, whether it is there, what it serves."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from msgspec import Struct

from timmy_tui.config import OllamaConfig, ProviderConfig, Settings, expand_env
from timmy_tui.services.cascade.records import CallError
from timmy_tui.services.http_library import import_httpx_off_loop
from timmy_tui.services.locality import host_place
from timmy_tui.services.ollama.address import connectable_url
from timmy_tui.services.ollama.rules import is_cloud_name
from timmy_tui.services.reading import SourceError
from timmy_tui.services.version_path import has_version, without_version
from timmy_tui.text import clean, clean_error

if TYPE_CHECKING:
    import httpx

LOOK_DEADLINE_S = 3.0
LIST_MAX_BYTES = 5_000_000

_EMBEDDING_FAMILY = re.compile(r"bert|embed", re.IGNORECASE)

_Tree = Mapping[str, object]


class Served(Struct, frozen=True):
    """What a server told of its models: names as it writes them, those first that are in memory."""

    models: tuple[str, ...] = ()
    remote: frozenset[str] = frozenset()
    """Those that the server hands on to a cloud."""

    def name_of(self, model: str) -> str | None:
        """``model`` as the server writes it; None when it has no such model."""
        return next((name for name in (model, f"{model}:latest") if name in self.models), None)


def base_url(settings: Settings, config: ProviderConfig | None, env: Mapping[str, str]) -> str:
    """The provider's own address, else the first Ollama server's, ending in ``/v1``.

    Without that Hermes would ask a path that Ollama does not have (facts/hermes.md §1.1). Raises :class:`CallError`.
    """
    text = expand_env(config.address.strip(), env) if config else ""
    if text is None:
        raise CallError("not_configured", "the address names an environment variable that is not set")
    if not text:
        text = settings.ollama_address(next(iter(settings.config.ollama), OllamaConfig()))
    try:
        url = connectable_url(text)
    except SourceError as error:
        raise CallError("not_configured", error.message, error.hint) from None
    return url if has_version(url) else f"{url}/v1"


def check_local(url: str) -> None:
    """Raises :class:`CallError` ``not_local`` for a server that is neither on this machine nor on its network."""
    if host_place(url) != "local":
        shown = clean(urlsplit(url).hostname or "the server", limit=80)
        told = f"{shown} is not on this machine or its network, and the call is local-only"
        raise CallError("not_local", told, "set heartbeat.local_only: false, or point the provider at a local server")


def check_model_local(model: str, served: Served) -> None:
    """Raises :class:`CallError` ``not_local`` for a model that a local Ollama hands on to a cloud."""
    if is_cloud_name(model) or served.name_of(model) in served.remote or model in served.remote:
        told = f"{clean(model, limit=80)} runs in a cloud, and the call is local-only"
        raise CallError("not_local", told, "choose a model that is on the machine")


def choose_model(served: Served, *, local_only: bool) -> str:
    """The first model in memory, else the first installed. Raises :class:`CallError` ``not_found``."""
    for name in served.models:
        if not local_only or (name not in served.remote and not is_cloud_name(name)):
            return name
    raise CallError(
        "not_found", "the model server has no model to ask", "run: ollama pull MODEL, or set heartbeat.model"
    )


async def look(url: str, *, timeout_s: float = LOOK_DEADLINE_S) -> Served:
    """What the server at ``url`` (``…/v1``) serves. A server that is slow or silent about it serves nothing known.

    Hermes itself needs 25 s to find that nothing listens (facts/hermes.md §1.5): that is found here at once. Raises
    :class:`CallError` ``refused``.
    """
    library = await import_httpx_off_loop()
    root = without_version(url)
    local = host_place(url) == "local"
    try:
        async with library.AsyncClient(timeout=min(timeout_s, LOOK_DEADLINE_S), trust_env=not local) as client:
            installed = _entries(await _get(client, f"{root}/api/tags"), "models")
            loaded = _entries(await _get(client, f"{root}/api/ps"), "models") if installed else []
            others = [] if installed else _entries(await _get(client, f"{url}/models"), "data")
    except library.ConnectError as error:
        shown = clean(urlsplit(url).netloc, limit=80)
        raise CallError("refused", f"nothing answers at {shown}: {clean_error(error, limit=80)}") from None
    except (library.HTTPError, library.InvalidURL):
        return Served()
    return _served(loaded, installed, others)


async def _get(client: httpx.AsyncClient, url: str) -> _Tree:
    body = bytearray()
    async with client.stream("GET", url) as response:
        if response.status_code != 200:
            return {}
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > LIST_MAX_BYTES:
                return {}
    try:
        tree = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return tree if isinstance(tree, dict) else {}


def _entries(tree: _Tree, key: str) -> list[_Tree]:
    entries = tree.get(key)
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def _served(loaded: Iterable[_Tree], installed: Iterable[_Tree], others: Iterable[_Tree]) -> Served:
    names: list[str] = []
    remote: set[str] = set()
    for entry in (*loaded, *installed, *others):
        name = next((entry[key] for key in ("name", "model", "id") if isinstance(entry.get(key), str)), None)
        if not isinstance(name, str) or not name or _embeds(entry):
            continue
        names.append(name)
        if entry.get("remote_host") or entry.get("remote_model"):
            remote.add(name)
    return Served(tuple(dict.fromkeys(names)), frozenset(remote))


def _embeds(entry: _Tree) -> bool:
    details = entry.get("details")
    family = details.get("family") if isinstance(details, dict) else None
    return isinstance(family, str) and _EMBEDDING_FAMILY.search(family) is not None
