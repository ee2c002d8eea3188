"""How the console is opened and how it ends: what it was told is checked, and its own worker ends with it."""

from __future__ import annotations

import difflib
import os
import sys
import threading
from collections.abc import Mapping

from msgspec.structs import replace

from timmy_tui import themes
from timmy_tui.app import TimmyApp
from timmy_tui.config import ConfigError, Settings
from timmy_tui.readers import run_apart
from timmy_tui.terminal import has_few_colours
from timmy_tui.text import clean

STOP_GRACE_S = 5.0
"""What a worker gets on top of its own deadline to end its model call and write that down."""


def run_console(settings: Settings, env: Mapping[str, str] | None = None) -> int:
    """Open the console and return the exit code; a crash is never 0.

    Raises :class:`ConfigError` for a theme or a key that does not exist.
    """
    _check_keys(settings)
    if settings.config.theme == themes.DARK.name and has_few_colours(os.environ if env is None else env):
        settings = replace(settings, config=replace(settings.config, theme="ansi-dark"))
    app = TimmyApp(settings, env=env)
    if settings.config.theme not in app.available_themes:
        near = difflib.get_close_matches(settings.config.theme, app.available_themes, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"choose one of {', '.join(themes.CYCLE)}"
        raise ConfigError(f"theme: {clean(settings.config.theme)!r} is not known; {hint}")
    threading.excepthook = lambda died: app.crashed(died.exc_value or died.exc_type())
    try:
        run_apart(app.run_async(mouse=settings.config.mouse))
    finally:
        threading.excepthook = threading.__excepthook__
        app.watchdog.disarm()
        if app.own_worker is not None:
            wait_s = settings.config.worker.stop_timeout_s + STOP_GRACE_S
            app.own_worker.stop(wait_s, lambda: _tell_wait(wait_s))
    if app.crash is not None:
        sys.stderr.write(f"timmy-tui crashed: {app.crash}; see {clean(str(settings.log_path))}\n")
    return app.return_code or (1 if app.crash is not None else 0)


def _check_keys(settings: Settings) -> None:
    """The ids of ``keys:`` are known by the screens alone."""
    if not settings.config.keys:
        return
    from timmy_tui.screens.help import known_binding_ids

    known = known_binding_ids(TimmyApp)
    for name in settings.config.keys:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "the help screen (?) lists all ids"
            raise ConfigError(f"{settings.config_path}: unknown key 'keys.{clean(name, limit=60)}'; {hint}")


def _tell_wait(wait_s: float) -> None:
    """Why the shell is not back yet."""
    try:
        sys.stderr.write(f"timmy-tui: the worker ends its tick first ({wait_s:.0f} s at most; ctrl+c does not wait)\n")
        sys.stderr.flush()
    except OSError:  # the terminal may be gone
        pass
