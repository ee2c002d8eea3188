"""What can be told of a ``hermes`` call before it is made: for ``doctor``, from files alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from timmy_tui.config import ProviderConfig, Settings
from timmy_tui.safe_yaml import YamlError, load_yaml
from timmy_tui.services.cascade.providers.hermes_command import prompt_note
from timmy_tui.services.cascade.providers.hermes_output import CONTEXT_MEND, SETUP_MEND
from timmy_tui.services.cascade.providers.hermes_server import base_url, check_local
from timmy_tui.services.cascade.records import CallError, CallProblem
from timmy_tui.services.hermes.config import HermesConfigError, HermesModel, read_hermes_model
from timmy_tui.services.hermes.context import SMALLEST_CONTEXT, check_context
from timmy_tui.services.hermes.profiles import find_place
from timmy_tui.services.ollama.records import OllamaReading
from timmy_tui.services.providers.hermes_binary import hermes_path
from timmy_tui.services.reading import SourceError
from timmy_tui.text import clean

YAML_MAX_BYTES = 1_000_000


class Foreseen(Struct, frozen=True):
    """One thing that a call would meet. Strings have passed ``text.clean``."""

    problem: CallProblem | None
    """What the call would fail with; None for what is merely good to know."""
    text: str
    mend: str = ""


def foresee(
    settings: Settings,
    env: Mapping[str, str],
    *,
    config: ProviderConfig | None = None,
    servers: tuple[OllamaReading, ...] = (),
) -> tuple[Foreseen, ...]:
    """What stands in the way of the heartbeat's ``hermes`` call; empty when nothing does.

    Reads Hermes' ``config.yaml`` and the ``PATH`` only; ``servers`` are readings that exist already. Raises nothing.
    """
    return tuple(_foreseen(settings, env, config, servers))


def fallback_models(path: Path) -> tuple[str, ...]:
    """The models of ``fallback_providers`` and the older ``fallback_model`` in the ``config.yaml`` at ``path``."""
    tree = _yaml(path)
    entries: list[object] = []
    for key in ("fallback_providers", "fallback_model"):
        value = tree.get(key)
        entries += value if isinstance(value, list) else [value]
    names = [entry.get("model") or entry.get("provider") for entry in entries if isinstance(entry, dict)]
    return tuple(clean(str(name), limit=80) for name in names if name)


def _foreseen(
    settings: Settings, env: Mapping[str, str], config: ProviderConfig | None, servers: tuple[OllamaReading, ...]
) -> Iterator[Foreseen]:
    command = settings.config.hermes.command
    if hermes_path(command, env) is None:
        yield Foreseen(
            "not_configured", f"no command {clean(command, limit=80)!r}", "install Hermes, or set hermes.command"
        )
        return
    try:
        url = base_url(settings, config, env)
        if settings.config.heartbeat.local_only:
            check_local(url)
    except CallError as error:
        yield Foreseen(error.problem, error.message, error.hint)
    try:
        place = find_place(settings.hermes_home, settings.config.hermes.profile)
        path = place.folder / "config.yaml"
        model = read_hermes_model(path)
    except HermesConfigError as error:
        yield Foreseen(None, error.message, error.hint or SETUP_MEND)
        return
    except SourceError as error:
        yield Foreseen("not_configured", error.message, error.hint)
        return
    yield from _small_context(_called(settings, config, model), path, servers)
    note = prompt_note(place, env)
    if note is not None:
        yield Foreseen(None, f"{note}: such ticks are marked, and no dataset has them")
    models = fallback_models(path)
    if models:
        told = f"Hermes may fall back to {', '.join(models[:3])}; --safe-mode keeps the heartbeat from it"
        yield Foreseen(None, told)


def _called(settings: Settings, config: ProviderConfig | None, model: HermesModel | None) -> HermesModel:
    """The model that a heartbeat asks for, with the context length that Hermes is told."""
    own = model or HermesModel(None, None, None)
    name = settings.config.heartbeat.model or (config.default_model if config else None) or own.name
    return HermesModel(name, own.provider, own.context_length, own.context_key)


def _small_context(model: HermesModel, path: Path, servers: tuple[OllamaReading, ...]) -> Iterator[Foreseen]:
    """The refusal of facts/hermes.md §1.8: by the configuration, else by what the server has loaded."""
    checked = check_context(model, path, servers)
    if checked.state == "refused":
        yield Foreseen("small_context", clean(checked.text), clean(checked.mend))
    if model.context_length is None:
        num_ctx = _number(_branch(_yaml(path).get("model")).get("ollama_num_ctx"))
        if num_ctx is not None and num_ctx < SMALLEST_CONTEXT:
            yield Foreseen("small_context", f"model.ollama_num_ctx is {num_ctx:,}: Hermes wants 64,000", CONTEXT_MEND)


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _branch(value: object) -> Mapping[object, object]:
    return value if isinstance(value, Mapping) else {}


def _yaml(path: Path) -> Mapping[object, object]:
    """The file's keys; none when it is not there or no YAML, which :func:`read_hermes_model` has told."""
    try:
        with path.open("rb") as file:
            return _branch(load_yaml(file.read(YAML_MAX_BYTES)))
    except (OSError, YamlError):
        return {}
