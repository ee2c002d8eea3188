"""The commands about what models do: datasets, usage, delegation, reviews of code."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from timmy_tui.commands.group import console, examples, flags_of, late_flags
from timmy_tui.text import clean_error

if TYPE_CHECKING:
    from timmy_tui.commands.code_review import FailOn
    from timmy_tui.services.export.records import Format
    from timmy_tui.services.usage.summary import By

MOST_DAYS = 36_600


@console.command(
    epilog=examples(
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
@click.option("--keep-marks", is_flag=True, help="Export answers with marks of turns or of thinking too.")
@click.option("--replace", is_flag=True, help="Replace an earlier export.")
@click.option("--json", "as_json", is_flag=True, help="Print the manifest and nothing else.")
@late_flags
@click.pass_context
def export(
    context: click.Context,
    folder: str,
    formats: tuple[Format, ...],
    since: datetime | None,
    operator: str | None,
    split: float,
    redact: bool,
    keep_marks: bool,
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
        operator=operator or flags_of(context).operator,
        split=split,
        redact=redact,
        keep_marks=keep_marks,
        replace=replace,
    )
    settings = flags_of(context, late_config, late_ascii).settings()
    return run_export(settings, Path(folder).expanduser(), options, as_json=as_json)


@console.command(
    epilog=examples(
        "timmy-tui usage",
        "timmy-tui usage --days 30 --by model",
        "timmy-tui usage --days 1 --json | jq .total.saving",
    )
)
@click.option(
    "--days",
    type=click.IntRange(0, MOST_DAYS),
    default=7,
    show_default=True,
    metavar="N",
    help="Today and the days before it, N in all; 0 for everything.",
)
@click.option(
    "--by",
    type=click.Choice(["day", "model", "task", "caller"]),
    default="day",
    show_default=True,
    help="What a row stands for.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@late_flags
@click.pass_context
def usage(context: click.Context, days: int, by: By, as_json: bool, late_config: str | None, late_ascii: bool) -> int:
    """What the models were asked for, what it took, and what it saved against a cloud's prices.

    The prices stand in tui.yaml under usage.prices; without them calls are "unpriced". Latencies are those of calls
    that did not fail; ~ marks tokens per second of whole calls, where the log has no time of the generation alone.
    """
    from timmy_tui.commands.usage import run_usage

    settings = flags_of(context, late_config, late_ascii).settings()
    return run_usage(settings, os.environ, days=days, by=by, as_json=as_json, today=datetime.now().astimezone().date())


@console.command(
    "code-review",
    epilog=examples(
        "timmy-tui code-review",
        "timmy-tui code-review main..HEAD --fail-on warning",
        "git diff | timmy-tui code-review - --json | jq .findings",
        "timmy-tui code-review --staged     (as a git hook: contrib/git/pre-commit)",
    ),
)
@click.argument("what", metavar="[REV|A..B|-]", required=False)
@click.option("--staged", is_flag=True, help="What the next commit will change.")
@click.option("--model", metavar="M", help="This model, not the task's first that is there.")
@click.option("--task", default="review", show_default=True, metavar="T", help="The task whose models are asked.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.option(
    "--fail-on",
    type=click.Choice(["info", "warning", "error", "critical", "never"]),
    default="error",
    show_default=True,
    help="The least grave finding that ends with 1.",
)
@click.option(
    "--in-flight",
    type=click.IntRange(1, 64),
    default=2,
    show_default=True,
    metavar="N",
    help="Calls to the model at once.",
)
@late_flags
@click.pass_context
def code_review(
    context: click.Context,
    what: str | None,
    staged: bool,
    model: str | None,
    task: str,
    as_json: bool,
    fail_on: FailOn,
    in_flight: int,
    late_config: str | None,
    late_ascii: bool,
) -> int:
    """Have a local model review a diff, as file:line: severity: message.

    The diff is what REV changed, or a range, or standard input (-, or whatever is piped in); without any of these
    what is changed in the working tree and not staged. A large one is reviewed in pieces.

    Exits with 0 when nothing was found at or above --fail-on, with 1 when something was, with 2 when there is no
    review, or when parts of the diff could not be reviewed and nothing as grave was found in the rest, and with 3
    when changes were there and none of them could be read.
    """
    if staged and what is not None:
        raise click.UsageError(f"--staged is a diff of its own; leave out {clean_error(what, limit=80)}")
    from timmy_tui.commands.code_review import ReviewOptions, run_code_review

    options = ReviewOptions(
        what=what, staged=staged, task=task, model=model, fail_on=fail_on, in_flight=in_flight, as_json=as_json
    )
    return run_code_review(flags_of(context, late_config, late_ascii).settings(), os.environ, options)


@console.command(
    epilog=examples(
        "timmy-tui delegate 'A commit message for this:' < changes.diff",
        "git diff | timmy-tui delegate --task review -",
        "timmy-tui delegate --task quick --stream 'What is a circuit breaker?'",
    )
)
@click.argument("prompt")
@click.option("--task", default="quick", show_default=True, metavar="T", help="Which chain of models: see delegation.")
@click.option("--model", metavar="M", help="This model alone.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.option("--stream", "streams", is_flag=True, help="Piece by piece as it is made.")
@late_flags
@click.pass_context
def delegate(
    context: click.Context,
    prompt: str,
    task: str,
    model: str | None,
    as_json: bool,
    streams: bool,
    late_config: str | None,
    late_ascii: bool,
) -> int:
    """Hand PROMPT to a local model; "-" takes it from standard input, else what is piped in is its context.

    Prints the answer alone. Exits with 0, with 1 when no model answered, with 2 for a prompt that can't be read.
    """
    from timmy_tui.commands.delegate import run_delegate

    settings = flags_of(context, late_config, late_ascii).settings()
    return run_delegate(settings, os.environ, prompt, task=task, model=model, as_json=as_json, streams=streams)
