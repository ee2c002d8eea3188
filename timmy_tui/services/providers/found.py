"""Which providers there are: those of the configuration, else what is found on the machine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

from msgspec import Struct

from timmy_tui.config import (
    CascadeConfig,
    ConfigError,
    OllamaConfig,
    ProviderConfig,
    Settings,
    expand_env,
    load_cascade,
)
from timmy_tui.services.locality import host_place
from timmy_tui.services.ollama.address import connectable_url
from timmy_tui.services.providers.errors import ProvidersError
from timmy_tui.services.providers.hermes_binary import hermes_path
from timmy_tui.services.reading import SourceError
from timmy_tui.text import clean, clean_error

DEFAULT_ADDRESS = {"openai": "https://api.openai.com/v1", "anthropic": "https://api.anthropic.com"}

_ENV_NAME = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class Target(Struct, frozen=True):
    """One provider, ready to be asked.

    ``key`` and ``headers`` are secrets and ``url`` may hold one: show ``shown``.
    """

    name: str
    type: str
    priority: int
    model: str | None
    shown: str | None
    """The address for people: a URL without userinfo, or the path of a command."""
    url: str | None = None
    """What is dialled, without a last slash; None for ``hermes``."""
    key: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    off: str | None = None
    """Why it is disabled."""
    wrong: str | None = None
    """Why it can't be asked."""

    def __repr__(self) -> str:
        return f"Target({self.name!r}, {self.type!r}, {self.shown!r})"


class Found(Struct, frozen=True):
    """All providers by priority, and the cascade's timings."""

    targets: tuple[Target, ...]
    configured: bool
    cascade: CascadeConfig = CascadeConfig()


def find_providers(settings: Settings, env: Mapping[str, str]) -> Found:
    """The providers in force; with none configured ``hermes`` when its command is found, then ``ollama``.

    Reads files and the ``PATH`` only. Raises :class:`ProvidersError`.
    """
    try:
        file = load_cascade(settings)
    except ConfigError as error:
        raise ProvidersError(clean_error(error), "timmy-tui config show") from None
    cascade = file.cascade if file else CascadeConfig()
    if file and file.providers:
        names = [provider.name for provider in file.providers]
        doubled = next((name for name in names if names.count(name) > 1), None)
        if doubled is not None:
            raise ProvidersError(f"two providers are named {clean(doubled, limit=40)!r}", "give each its own name")
        targets = [target_of(provider, settings, env) for provider in file.providers]
        return Found(tuple(sorted(targets, key=lambda target: target.priority)), True, cascade)
    entries = [ProviderConfig(name="ollama", type="ollama", priority=2)]
    if hermes_path(settings.config.hermes.command, env) is not None:
        entries.insert(0, ProviderConfig(name="hermes", type="hermes", priority=1))
    return Found(tuple(target_of(entry, settings, env) for entry in entries), False, cascade)


def target_of(provider: ProviderConfig, settings: Settings, env: Mapping[str, str]) -> Target:
    """One provider of the configuration, ready to be asked; what is wrong with it is told in the result."""
    url: str | None = None
    headers: dict[str, str] = {}
    wrong: str | None = None
    if provider.type == "hermes":
        path = hermes_path(settings.config.hermes.command, env)
        shown = clean(str(path)) if path else None
    else:
        try:
            url, headers = _address(provider, settings, env)
        except SourceError as error:
            wrong = error.message
        shown = _without_userinfo(url) if url else None
    key = expand_env(provider.api_key, env)
    return Target(
        name=clean(provider.name, limit=60),
        type=provider.type,
        priority=provider.priority,
        model=clean(provider.default_model) if provider.default_model else None,
        shown=shown,
        url=url,
        key=(key or "").strip() or None,
        headers=tuple(headers.items()),
        off=_off(provider, url, env),
        wrong=wrong,
    )


def _off(provider: ProviderConfig, url: str | None, env: Mapping[str, str]) -> str | None:
    """Why the provider is disabled, in the operator's words."""
    if not provider.enabled:
        return "turned off in the configuration"
    unset = [name for name in _ENV_NAME.findall(provider.api_key) if not env.get(name)]
    if unset:
        return f"no key in {clean(', '.join(dict.fromkeys(unset)), limit=80)}"
    keyed = provider.type in ("openai", "anthropic") and url is not None and host_place(url) != "local"
    return "no api_key in the configuration" if keyed and not provider.api_key.strip() else None


def _address(provider: ProviderConfig, settings: Settings, env: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """The URL to dial and the headers that the configuration has for it."""
    text = expand_env(provider.address.strip(), env)
    if text is None:
        raise ProvidersError(f"no address in {clean(', '.join(_ENV_NAME.findall(provider.address)), limit=80)}")
    if provider.type != "ollama":
        return _dialled(text or DEFAULT_ADDRESS[provider.type]), {}
    servers = {_ollama_url(server, settings): server for server in reversed(settings.config.ollama)}
    if text:
        url = connectable_url(text).removesuffix("/v1")
    else:
        first = next(iter(settings.config.ollama), OllamaConfig())
        url = _ollama_url(first, settings) or connectable_url(settings.ollama_address(first))
    server = servers.get(url)
    headers = {name: expand_env(value, env) for name, value in server.headers.items()} if server else {}
    return url, {name: value for name, value in headers.items() if value is not None}


def _ollama_url(server: OllamaConfig, settings: Settings) -> str | None:
    try:
        return connectable_url(settings.ollama_address(server))
    except SourceError:
        return None


def _dialled(text: str) -> str:
    """``text`` as ``scheme://host[:port][/path]``: without a scheme plain HTTP nearby and TLS elsewhere."""
    if "://" not in text:
        text = ("http://" if host_place(text) == "local" else "https://") + text
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not text.isascii() or not text.isprintable() or " " in text:
        raise ProvidersError("its base_url is no http:// or https:// address")
    return parts._replace(query="", fragment="").geturl().rstrip("/")


def _without_userinfo(url: str) -> str:
    parts: SplitResult = urlsplit(url)
    return clean(parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl())
