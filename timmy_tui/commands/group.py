"""The root of the commands, and the flags that they share."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

import click
from msgspec import Struct

from timmy_tui import __version__
from timmy_tui.config import Settings, load_settings

Command = TypeVar("Command", bound=Callable[..., object])


class Flags(Struct, frozen=True):
    """The flags that every command shares."""

    config_file: str | None = None
    theme: str | None = None
    ascii: bool = False
    mouse: bool = True
    operator: str | None = None

    def overrides(self) -> dict[str, object]:
        """The values that stand above the file's."""
        values: dict[str, object] = {}
        if self.theme is not None:
            values["theme"] = self.theme
        if self.ascii:
            values["ascii"] = True
        if not self.mouse:
            values["mouse"] = False
        return values

    def settings(self) -> Settings:
        """The configuration in force. Raises :class:`ConfigError`."""
        settings = load_settings(os.environ, config_file=self.config_file, overrides=self.overrides())
        return settings if self.operator is None else settings.with_operator(self.operator)


def examples(*lines: str) -> str:
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def late_flags(command: Command) -> Command:
    """``--config`` and ``--ascii`` behind the command's name as well as before it."""
    for option in (
        click.option("--ascii", "late_ascii", is_flag=True, help="Plain ASCII signs."),
        click.option("--config", "late_config", metavar="FILE", help="Another configuration file."),
    ):
        command = option(command)
    return command


def flags_of(context: click.Context, config_file: str | None = None, plain: bool = False) -> Flags:
    early = context.find_object(Flags) or Flags()
    return Flags(config_file or early.config_file, early.theme, early.ascii or plain, early.mouse, early.operator)


@click.group(
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=examples("timmy-tui", "timmy-tui status --json", "timmy-tui demo"),
)
@click.version_option(__version__, "--version", prog_name="timmy-tui", message="%(prog)s %(version)s")
@click.option("--config", "config_file", metavar="FILE", help="Another configuration file.")
@click.option("--theme", metavar="NAME", help="A theme, for this run.")
@click.option("--ascii", "plain", is_flag=True, help="Plain ASCII signs.")
@click.option("--no-mouse", is_flag=True, help="Leave the mouse to the terminal.")
@click.option("--operator", metavar="NAME", help="Whose word a label is; the login name else.")
@click.pass_context
def console(
    context: click.Context,
    config_file: str | None,
    theme: str | None,
    plain: bool,
    no_mouse: bool,
    operator: str | None,
) -> int | None:
    """A console for a local-LLM agent stack: Ollama, Hermes Agent, the heartbeat and its providers.

    Without a command it opens the console; where standard output is no terminal it prints the status once.
    """
    flags = Flags(config_file, theme, plain, not no_mouse, operator)
    context.obj = flags
    if context.invoked_subcommand is not None:
        return None
    from timmy_tui.commands.console import run_here

    return run_here(flags.settings(), os.environ)
