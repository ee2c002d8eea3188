"""The console itself, over the stack or over the simulated one."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping

import msgspec

from timmy_tui.commands.errors import CommandError
from timmy_tui.config import Settings, load_settings


def run_here(settings: Settings, env: Mapping[str, str]) -> int:
    """Open the console; print the status once when standard output is no terminal."""
    if not sys.stdout.isatty():
        from timmy_tui.commands.status import run_status

        return run_status(settings, env)
    check_terminal(env)
    return _run(settings, env)


def run_demo(
    env: Mapping[str, str], *, overrides: Mapping[str, object], operator: str | None, seed: int, speed: float
) -> int:
    """Open the console over a simulated stack in a temporary home, which is gone afterwards."""
    import tempfile
    from pathlib import Path

    from timmy_tui.services.demo.stack import DemoStack

    if not sys.stdout.isatty():
        raise CommandError("the demo needs a terminal; standard output is none")
    check_terminal(env)
    with (
        tempfile.TemporaryDirectory(prefix="timmy-demo-") as home,
        DemoStack(Path(home), seed=seed, speed=speed) as simulated,
    ):
        demo_env = {**env, **simulated}
        settings = load_settings(demo_env, overrides=overrides)
        settings = settings if operator is None else settings.with_operator(operator)
        return _run(msgspec.structs.replace(settings, demo=True), demo_env)


def check_terminal(env: Mapping[str, str]) -> None:
    """Raise :class:`CommandError` where Textual paints garbage or never ends (facts/textual.md §2.13)."""
    if env.get("TERM", "") in ("dumb", "unknown"):
        raise CommandError(f"TERM={env['TERM']} can't show the console; try: timmy-tui status")
    if not sys.stdin.isatty():
        raise CommandError("the console needs a keyboard: standard input is no terminal")
    if not sys.stderr.isatty():
        raise CommandError("the console paints on standard error: leave it on the terminal")


def _run(settings: Settings, env: Mapping[str, str]) -> int:
    from timmy_tui.opening import run_console
    from timmy_tui.services.logs import open_log

    note = open_log(settings.log_path)
    code = run_console(_for_the_locale(settings), env)
    if note is not None:
        sys.stderr.write(f"timmy-tui: {note}\n")
    return code


def _for_the_locale(settings: Settings) -> Settings:
    """Plain signs where the terminal's encoding has no others; what has no letter there becomes ``?``."""
    stderr = sys.__stderr__
    if not isinstance(stderr, io.TextIOWrapper) or stderr.encoding.lower().replace("-", "") == "utf8":
        return settings
    stderr.reconfigure(errors="replace")
    return msgspec.structs.replace(settings, config=msgspec.structs.replace(settings.config, ascii=True))
