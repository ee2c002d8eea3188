"""``timmy-tui config``: where the configuration is, what is in force, and a commented file to begin with."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

import msgspec

from timmy_tui.commands.config_template import TEMPLATE
from timmy_tui.commands.errors import CommandError
from timmy_tui.config import Settings, config_place, load_cascade
from timmy_tui.masking import masked
from timmy_tui.text import Json, clean

_ONLY_NAMES = re.compile(r"(?:(?:bearer|basic|token)\s+)?\$\{[a-z_][a-z0-9_]*\}", re.IGNORECASE)
"""A value that only names a variable of the environment: there is nothing to hide in it."""


def shown_path(env: Mapping[str, str], config_file: str | None) -> str:
    """The path of the configuration file, whether it is there or not."""
    return clean(str(config_place(env, config_file)), limit=4_096)


def shown_config(settings: Settings) -> str:
    """The configuration in force as YAML, secrets masked, with the places as comments above it."""
    import yaml

    config = msgspec.to_builtins(settings.config)
    cascade = load_cascade(settings)
    if cascade is not None:
        config = {**config, **msgspec.to_builtins(cascade)}
    queue_url = settings.config.queue.url
    places = [
        ("configuration", settings.config_path),
        ("providers", settings.providers_path),
        ("TIMMY_HOME", settings.timmy_home),
        ("HERMES_HOME", settings.hermes_home),
        ("tick log", settings.heartbeat_dir),
        ("queue", settings.queue_path if queue_url == "sqlite" else masked(queue_url)),
        ("database", settings.database_path),
        ("log", settings.log_path),
        ("worker log", settings.worker_log_path),
    ]
    head = "\n".join(f"# {name + ':':<15} {clean(str(place), limit=4_096)}{_absence(place)}" for name, place in places)
    host = f"\n# {'OLLAMA_HOST:':<15} {clean(masked(settings.ollama_host))}" if settings.ollama_host else ""
    body = yaml.safe_dump(_without_secrets(config), sort_keys=False, allow_unicode=True, width=100)
    return f"{head}{host}\n{body.rstrip()}"


def write_template(env: Mapping[str, str], config_file: str | None, *, force: bool) -> Path:
    """Write the commented file (0600) where the configuration is read from, whole or not at all.

    Raises :class:`CommandError` when a file is there and ``force`` is not given, or when it can't be written.
    """
    path = config_place(env, config_file)
    shown = clean(str(path), limit=4_096)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".tui-", dir=path.parent) as folder:
            fresh = Path(folder) / path.name
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(TEMPLATE)
                file.flush()
                os.fsync(descriptor)
            if force:
                fresh.replace(path)
            elif path.exists() or not _placed(fresh, path):
                raise CommandError(f"{shown}: exists; to replace it: timmy-tui config init --force")
    except OSError as error:
        raise CommandError(f"{shown}: can't be written: {error.strerror}") from None
    return path


def _placed(fresh: Path, path: Path) -> bool:
    """Give ``fresh`` the name ``path``; False when a file has it. Unlike a rename, a link never replaces one."""
    try:
        os.link(fresh, path)
    except FileExistsError:
        return False
    return True


def _absence(place: object) -> str:
    return "  (not there)" if isinstance(place, Path) and not place.exists() else ""


def _without_secrets(value: object, key: str = "", *, before: object = "") -> Json:
    """``value`` for showing: an ``api_key`` or a header is masked unless it only names variables."""
    if isinstance(value, dict):
        inside = key == "headers"
        return {
            clean(str(name)): _without_secrets(item, "secret" if inside else str(name)) for name, item in value.items()
        }
    if isinstance(value, list | tuple):
        # A flag of a command has its secret in the word behind it.
        return [_without_secrets(item, key, before=before) for before, item in zip(("", *value), value, strict=False)]
    if isinstance(value, str):
        if key in ("api_key", "secret") and value and not _ONLY_NAMES.fullmatch(value):
            return "***"
        named = f"{before} {value}" if isinstance(before, str) and before.startswith("-") else f"{key}: {value}"
        hidden = masked(named).endswith("***") and not _ONLY_NAMES.fullmatch(value)
        return "***" if hidden and masked(value) == value else clean(masked(value))
    return value if isinstance(value, bool | int | float) or value is None else clean(str(value))
