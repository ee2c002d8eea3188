"""``timmy-tui usage``: what local models were asked for, what it took, and what it saved."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import date

from timmy_tui.commands.output import Output, say, stdout_now
from timmy_tui.config import Settings
from timmy_tui.services.usage.records import UsageError
from timmy_tui.services.usage.summary import By, UsageRow, UsageSummary
from timmy_tui.services.usage.words import bad_lines_told, days_text, saving_told
from timmy_tui.text import clean, clean_error
from timmy_tui.widgets.line import plain
from timmy_tui.widgets.usage_table import usage_table

WIDEST = 120
"""Columns: a table that is wider is harder to read."""


def run_usage(settings: Settings, env: Mapping[str, str], *, days: int, by: By, as_json: bool, today: date) -> int:
    """Print the usage of the last ``days`` local days (0: of all), and return 0; 1 for a log that can't be read."""
    from timmy_tui.services.usage.reading import day_starts, read_usage
    from timmy_tui.services.usage.summary import cloud_providers, summary

    since = day_starts(today, days) if days else None
    clouds = cloud_providers(settings, env)
    try:
        sums = read_usage(settings.usage_path, since)
    except UsageError as error:
        sys.stderr.write(f"timmy-tui: {clean_error(f'{error.message}; {error.hint}', limit=1_000)}\n")
        return 1
    found = summary(sums, by, settings.config.usage, clouds)
    if as_json:
        say(json.dumps(usage_document(found, days), indent=2))
    else:
        say(usage_text(found, days, str(settings.usage_path), stdout_now(settings, env)))
    return 0


def usage_text(found: UsageSummary, days: int, path: str, output: Output) -> str:
    """The table in the width of the output, the total, and what it saved."""
    width = min(output.columns, WIDEST)
    bad = bad_lines_told(found)
    if not found.total.calls:
        when = {0: "", 1: " today"}.get(days, f" in {days_text(days)}")
        return "\n".join([f"No calls{when} in {clean(path, limit=4_096)}", *bad])
    heading, *rows, total = [plain(content).rstrip() for content in usage_table(found, width)]
    rule = "-" * max(len(heading), len(total))
    return "\n".join([heading, *rows, rule, total, *saving_told(found), *bad])


def usage_document(found: UsageSummary, days: int) -> dict[str, object]:
    """The same as JSON, units in names, null for unknown."""
    return {
        "days": days or None,
        "by": found.by,
        "total": _entry(found.total, None),
        "rows": [_entry(entry, found.by) for entry in found.rows],
        "prices_date": found.prices_date.isoformat() if found.prices_date else None,
        "currency": found.currency,
        "bad_lines": found.bad_lines,
        **({"untimed_calls": found.untimed_calls} if found.untimed_calls else {}),
    }


def _entry(entry: UsageRow, by: By | None) -> dict[str, object]:
    named: dict[str, object] = {} if by is None else {by: entry.name or None}
    return named | {
        "calls": entry.calls,
        "succeeded": entry.succeeded,
        "failed": entry.failed,
        "success_share": _rounded(entry.success_share),
        "tokens_in": entry.tokens_in,
        "tokens_out": entry.tokens_out,
        "average_latency_s": _rounded(entry.average_latency_s),
        "p95_latency_s": _rounded(entry.p95_latency_s),
        "tokens_per_s": _rounded(entry.tokens_per_s),
        "tokens_per_s_of": entry.rate_of,
        "saving": _rounded(entry.saving),
        "unpriced_calls": entry.unpriced_calls,
        "energy_kwh": _rounded(entry.energy_kwh),
        "local_cost": _rounded(entry.cost),
    }


def _rounded(figure: float | None) -> float | None:
    return None if figure is None else round(figure, 6)
