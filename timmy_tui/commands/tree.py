"""The tree of commands. Each imports what it needs when it runs: ``status`` never pays for Textual."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click
from msgspec import Struct

from timmy_tui import __version__
from timmy_tui.commands.errors import CommandError
from timmy_tui.config import Settings, load_settings
from timmy_tui.text import clean_error

if TYPE_CHECKING:
    from timmy_tui.services.export.records import Format

MOST_HOURS = 24 * 366

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


def _examples(*lines: str) -> str:
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def _late_flags(command: Command) -> Command:
    """``--config`` and ``--ascii`` behind the command's name as well as before it."""
    for option in (
        click.option("--ascii", "late_ascii", is_flag=True, help="Plain ASCII signs."),
        click.option("--config", "late_config", metavar="FILE", help="Another configuration file."),
    ):
        command = option(command)
    return command


def _flags(context: click.Context, config_file: str | None = None, plain: bool = False) -> Flags:
    early = context.find_object(Flags) or Flags()
    return Flags(config_file or early.config_file, early.theme, early.ascii or plain, early.mouse, early.operator)


@click.group(
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=_examples("timmy-tui", "timmy-tui status --json", "timmy-tui demo"),
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


@console.command(
    epilog=_examples(
        "timmy-tui status",
        "timmy-tui status --json | jq .problems",
        "set -g status-right '#(timmy-tui status --line)'     (in tmux.conf)",
    )
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.option("--line", "as_line", is_flag=True, help="One line for a status bar.")
@click.option("--watch", is_flag=True, help="Again every 2 seconds, until ctrl+c.")
@click.option(
    "--hours",
    type=click.FloatRange(0, MOST_HOURS, min_open=True),
    metavar="N",
    help="The sessions of the last N hours.",
)
@_late_flags
@click.pass_context
def status(
    context: click.Context,
    as_json: bool,
    as_line: bool,
    watch: bool,
    hours: float | None,
    late_config: str | None,
    late_ascii: bool,
) -> int:
    """Print how the stack is, once.

    Exits with 0 when all is well, 1 for a warning or a stale source, 2 when something is critical.
    """
    if as_json and (as_line or watch):
        raise click.UsageError(f"--json prints one document; leave out {'--line' if as_line else '--watch'}")
    from timmy_tui.commands.status import run_status, run_watch, with_hours

    settings = with_hours(_flags(context, late_config, late_ascii).settings(), hours)
    if watch:
        return run_watch(settings, os.environ, as_line=as_line)
    return run_status(settings, os.environ, as_json=as_json, as_line=as_line)


@console.command(epilog=_examples("timmy-tui tick", "timmy-tui tick --wait", "timmy-tui tick --wait --json | jq .tick"))
@click.option("--wait", is_flag=True, help="Until the tick is there, and print it.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@_late_flags
@click.pass_context
def tick(context: click.Context, wait: bool, as_json: bool, late_config: str | None, late_ascii: bool) -> int:
    """Run the heartbeat now: the worker takes the tick from the queue.

    Exits with 0 when the tick is queued (with --wait: done), with 1 when it failed, was lost, took too long, or no
    worker runs.
    """
    from timmy_tui.commands.tick import run_tick

    settings = _flags(context, late_config, late_ascii).settings()
    return run_tick(settings, os.environ, wait=wait, as_json=as_json)


@console.command(
    epilog=_examples(
        "timmy-tui export ~/datasets/november",
        "timmy-tui export out --format kto --format dpo --since 2026-11-01 --split 0.1",
        "timmy-tui export out --replace --json | jq .training",
    )
)
@click.argument("folder", metavar="DIR", type=click.Path())
@click.option(
    "--format",
    "formats",
    multiple=True,
    type=click.Choice(["kto", "dpo", "sft", "llamafactory", "mlx", "openai", "ticks"]),
    help="Only this one; may be repeated. Without it, all.",
)
@click.option(
    "--since", type=click.DateTime(["%Y-%m-%d"]), metavar="DATE", help="Decisions of that day (YYYY-MM-DD) or later."
)
@click.option("--operator", metavar="NAME", help="Only what this operator said.")
@click.option(
    "--split",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.0,
    metavar="S",
    help="The share of prompts that goes to test files, such as 0.1.",
)
@click.option(
    "--redact/--no-redact", default=True, help="Replace secrets, home folders and e-mail addresses (the default)."
)
@click.option("--replace", is_flag=True, help="Replace an earlier export.")
@click.option("--json", "as_json", is_flag=True, help="Print the manifest and nothing else.")
@_late_flags
@click.pass_context
def export(
    context: click.Context,
    folder: str,
    formats: tuple[Format, ...],
    since: datetime | None,
    operator: str | None,
    split: float,
    redact: bool,
    replace: bool,
    as_json: bool,
    late_config: str | None,
    late_ascii: bool,
) -> int:
    """Write what is labelled as datasets for trainers, into the new folder DIR.

    The whole export stands there afterwards, or nothing of it. Exits with 0, or with 1 when there is nothing to
    export or no room for it.
    """
    if not 0 <= split < 1:  # a range lets NaN through
        raise click.BadParameter("it is a share from 0 to below 1", param_hint="--split")
    from timmy_tui.commands.export import run_export
    from timmy_tui.services.export.records import ALL, ExportOptions

    options = ExportOptions(
        formats=formats or ALL,
        since=None if since is None else since.date(),
        operator=operator,
        split=split,
        redact=redact,
        replace=replace,
    )
    settings = _flags(context, late_config, late_ascii).settings()
    return run_export(settings, Path(folder).expanduser(), options, as_json=as_json)


@console.command(
    epilog=_examples(
        "timmy-tui worker",
        "systemctl --user enable --now timmy-worker     (with contrib/systemd/timmy-worker.service)",
    )
)
@click.option("--until-stdin-closes", "bound", is_flag=True, hidden=True)
@_late_flags
@click.pass_context
def worker(context: click.Context, bound: bool, late_config: str | None, late_ascii: bool) -> int:
    """Run the heartbeat every few minutes, and at once when asked to, in the foreground.

    ctrl+c or SIGTERM ends it after the tick that runs; a second one does not wait. One worker per TIMMY_HOME.
    """
    from timmy_tui.commands.worker import run_here

    return run_here(_flags(context, late_config, late_ascii).settings(), os.environ, bound=bound)


@console.command(epilog=_examples("timmy-tui doctor", "timmy-tui doctor --json"))
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@_late_flags
@click.pass_context
def doctor(context: click.Context, as_json: bool, late_config: str | None, late_ascii: bool) -> int:
    """What is found, what is missing, and the command that mends it.

    Exits with 0 when nothing is broken, else with 1.
    """
    from timmy_tui.commands.doctor import run_doctor

    return run_doctor(_flags(context, late_config, late_ascii).settings(), os.environ, as_json=as_json)


@console.command(epilog=_examples("timmy-tui demo", "timmy-tui demo --speed 10"))
@click.option("--seed", type=int, default=7, show_default=True, metavar="N", help="Another simulated day.")
@click.option("--speed", type=click.FloatRange(0.1, 1000), default=1.0, show_default=True, metavar="X", help="Faster.")
@click.pass_context
def demo(context: click.Context, seed: int, speed: float) -> int:
    """The whole console over a simulated stack in a temporary home; nothing of yours is read."""
    from timmy_tui.commands.console import run_demo

    flags = _flags(context)
    return run_demo(os.environ, overrides=flags.overrides(), operator=flags.operator, seed=seed, speed=speed)


@console.group(
    invoke_without_command=True,
    epilog=_examples("timmy-tui config path", "timmy-tui config show", "timmy-tui config init"),
)
@click.pass_context
def config(context: click.Context) -> None:
    """Where the configuration is, what is in force, and a commented file to begin with."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@config.command(epilog=_examples("$EDITOR $(timmy-tui config path)"))
@_late_flags
@click.pass_context
def path(context: click.Context, late_config: str | None, late_ascii: bool) -> int:
    """Print the path of the configuration file, whether it is there or not."""
    from timmy_tui.commands.config import shown_path
    from timmy_tui.commands.output import say

    say(shown_path(os.environ, _flags(context, late_config, late_ascii).config_file))
    return 0


@config.command(epilog=_examples("timmy-tui config show"))
@_late_flags
@click.pass_context
def show(context: click.Context, late_config: str | None, late_ascii: bool) -> int:
    """Print the configuration in force as YAML, secrets masked, and where each place is."""
    from timmy_tui.commands.config import shown_config
    from timmy_tui.commands.output import say

    say(shown_config(_flags(context, late_config, late_ascii).settings()))
    return 0


@config.command(epilog=_examples("timmy-tui config init", "timmy-tui config init --force"))
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@_late_flags
@click.pass_context
def init(context: click.Context, force: bool, late_config: str | None, late_ascii: bool) -> int:
    """Write a configuration file with every key, commented out."""
    from timmy_tui.commands.config import write_template
    from timmy_tui.commands.output import say

    written = write_template(os.environ, _flags(context, late_config, late_ascii).config_file, force=force)
    say(clean_error(f"wrote {written}", limit=4_096))
    return 0


def invoke(words: list[str]) -> int:
    """Run one command line and return its exit code. Raises :class:`CommandError` for words that are off."""
    try:
        with console.make_context("timmy-tui", words) as context:
            return int(console.invoke(context) or 0)
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.UsageError as error:
        where = f" (see {error.ctx.command_path} --help)" if error.ctx is not None else ""
        raise CommandError(f"{error.format_message().rstrip('.')}{where}") from None
    except click.ClickException as error:
        raise CommandError(error.format_message()) from None
