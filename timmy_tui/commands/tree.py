"""The tree of commands. Each imports what it needs when it runs: ``status`` never pays for Textual."""

from __future__ import annotations

import os

import click

from timmy_tui.commands.errors import CommandError
from timmy_tui.commands.group import console, examples, flags_of, late_flags
from timmy_tui.text import clean_error

MOST_HOURS = 24 * 366


@console.command(
    epilog=examples(
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
@late_flags
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

    settings = with_hours(flags_of(context, late_config, late_ascii).settings(), hours)
    if watch:
        return run_watch(settings, os.environ, as_line=as_line)
    return run_status(settings, os.environ, as_json=as_json, as_line=as_line)


@console.command(epilog=examples("timmy-tui tick", "timmy-tui tick --wait", "timmy-tui tick --wait --json | jq .tick"))
@click.option("--wait", is_flag=True, help="Until the tick is there, and print it.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@late_flags
@click.pass_context
def tick(context: click.Context, wait: bool, as_json: bool, late_config: str | None, late_ascii: bool) -> int:
    """Run the heartbeat now: the worker takes the tick from the queue.

    Exits with 0 when the tick is queued (with --wait: done), with 1 when it failed, was lost, took too long, or no
    worker runs.
    """
    from timmy_tui.commands.tick import run_tick

    settings = flags_of(context, late_config, late_ascii).settings()
    return run_tick(settings, os.environ, wait=wait, as_json=as_json)


@console.command(
    epilog=examples(
        "timmy-tui worker",
        "systemctl --user enable --now timmy-worker     (with contrib/systemd/timmy-worker.service)",
    )
)
@click.option("--until-stdin-closes", "bound", is_flag=True, hidden=True)
@late_flags
@click.pass_context
def worker(context: click.Context, bound: bool, late_config: str | None, late_ascii: bool) -> int:
    """Run the heartbeat every few minutes, and at once when asked to, in the foreground.

    ctrl+c or SIGTERM ends it after the tick that runs; a second one does not wait. One worker per TIMMY_HOME.
    """
    from timmy_tui.commands.worker import run_here

    return run_here(flags_of(context, late_config, late_ascii).settings(), os.environ, bound=bound)


@console.command(epilog=examples("timmy-tui doctor", "timmy-tui doctor --json"))
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@late_flags
@click.pass_context
def doctor(context: click.Context, as_json: bool, late_config: str | None, late_ascii: bool) -> int:
    """What is found, what is missing, and the command that mends it.

    Exits with 0 when nothing is broken, else with 1.
    """
    from timmy_tui.commands.doctor import run_doctor

    return run_doctor(flags_of(context, late_config, late_ascii).settings(), os.environ, as_json=as_json)


@console.command(epilog=examples("timmy-tui demo", "timmy-tui demo --speed 10"))
@click.option("--seed", type=int, default=7, show_default=True, metavar="N", help="Another simulated day.")
@click.option("--speed", type=click.FloatRange(0.1, 1000), default=1.0, show_default=True, metavar="X", help="Faster.")
@click.pass_context
def demo(context: click.Context, seed: int, speed: float) -> int:
    """The whole console over a simulated stack in a temporary home; nothing of yours is read."""
    from timmy_tui.commands.console import run_demo

    flags = flags_of(context)
    return run_demo(os.environ, overrides=flags.overrides(), operator=flags.operator, seed=seed, speed=speed)


@console.group(
    invoke_without_command=True,
    epilog=examples("timmy-tui config path", "timmy-tui config show", "timmy-tui config init"),
)
@click.pass_context
def config(context: click.Context) -> None:
    """Where the configuration is, what is in force, and a commented file to begin with."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@config.command(epilog=examples("$EDITOR $(timmy-tui config path)"))
@late_flags
@click.pass_context
def path(context: click.Context, late_config: str | None, late_ascii: bool) -> int:
    """Print the path of the configuration file, whether it is there or not."""
    from timmy_tui.commands.config import shown_path
    from timmy_tui.commands.output import say

    say(shown_path(os.environ, flags_of(context, late_config, late_ascii).config_file))
    return 0


@config.command(epilog=examples("timmy-tui config show"))
@late_flags
@click.pass_context
def show(context: click.Context, late_config: str | None, late_ascii: bool) -> int:
    """Print the configuration in force as YAML, secrets masked, and where each place is."""
    from timmy_tui.commands.config import shown_config
    from timmy_tui.commands.output import say

    say(shown_config(flags_of(context, late_config, late_ascii).settings()))
    return 0


@config.command(epilog=examples("timmy-tui config init", "timmy-tui config init --force"))
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@late_flags
@click.pass_context
def init(context: click.Context, force: bool, late_config: str | None, late_ascii: bool) -> int:
    """Write a configuration file with every key, commented out."""
    from timmy_tui.commands.config import write_template
    from timmy_tui.commands.output import say

    written = write_template(os.environ, flags_of(context, late_config, late_ascii).config_file, force=force)
    say(clean_error(f"wrote {written}", limit=4_096))
    return 0


def invoke(words: list[str]) -> int:
    """Run one command line and return its exit code. Raises :class:`CommandError` for words that are off."""
    from timmy_tui.commands import tree_models  # noqa: F401 -- its commands join the group

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
