"""The cascade of a configuration: its providers by priority, or what is found on the machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from timmy_tui.config import ConfigError, ProviderConfig, Settings, load_cascade
from timmy_tui.services.cascade.cascade import Cascade
from timmy_tui.services.cascade.metrics_store import MetricsStore
from timmy_tui.services.cascade.records import Provider
from timmy_tui.services.providers.errors import ProvidersError
from timmy_tui.services.providers.found import Target, find_providers
from timmy_tui.text import clean_error


def build_cascade(settings: Settings, env: Mapping[str, str], clock: Callable[[], float] = time.time) -> Cascade:
    """The cascade in force; with no providers configured ``hermes`` when its command is found, then ``ollama``.

    A provider that is turned off is left out; one that lacks its key or address is kept, so that every tick tells
    what is missing. Keys are read from ``env`` now and here only. Opens nothing.
    Raises :class:`~timmy_tui.services.providers.errors.ProvidersError`.
    """
    try:
        file = load_cascade(settings)
    except ConfigError as error:
        raise ProvidersError(clean_error(error), "timmy-tui config show") from None
    found = find_providers(settings, env)
    configured = sorted(file.providers if file else (), key=lambda provider: provider.priority)
    # Both are in the order of their priorities, so they belong together one by one.
    pairs: list[tuple[Target, ProviderConfig | None]] = (
        list(zip(found.targets, configured, strict=True))
        if found.configured
        else [(target, None) for target in found.targets]
    )
    providers = [
        _provider(target, config, settings, env, clock) for target, config in pairs if config is None or config.enabled
    ]
    metrics = MetricsStore(settings.database_path, found.cascade.circuit_breaker, clock)
    return Cascade(providers, metrics, found.cascade, clock, usage_path=settings.usage_path)


def _provider(
    target: Target,
    config: ProviderConfig | None,
    settings: Settings,
    env: Mapping[str, str],
    clock: Callable[[], float],
) -> Provider:
    if target.type == "hermes":
        from timmy_tui.services.cascade.providers.hermes import HermesProvider

        return HermesProvider(settings, env, config=config, clock=clock)
    entry = config or ProviderConfig(name=target.name, type="ollama")
    if target.type == "openai":
        from timmy_tui.services.cascade.providers.openai import OpenAIProvider

        return OpenAIProvider(target, entry)
    if target.type == "anthropic":
        from timmy_tui.services.cascade.providers.anthropic import AnthropicProvider

        return AnthropicProvider(target, entry)
    from timmy_tui.services.cascade.providers.ollama import OllamaProvider

    return OllamaProvider(target, entry, clock=clock)
