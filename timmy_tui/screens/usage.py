"""What local models were asked for, what it took, and what it saved: plots, then tables."""

from __future__ import annotations

import asyncio
import math
import os
import time
from collections.abc import Mapping, Sequence
from datetime import date

from msgspec import Struct
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding

from timmy_tui.config import Settings
from timmy_tui.screens.document import DocumentScreen
from timmy_tui.services.providers.errors import ProvidersError
from timmy_tui.services.usage.reading import day_starts, log_mark, read_usage
from timmy_tui.services.usage.records import UsageError
from timmy_tui.services.usage.summary import (
    BUCKETS_PER_DECADE,
    BYS,
    By,
    Latencies,
    UsageOverview,
    cloud_providers,
    overview,
)
from timmy_tui.services.usage.words import bad_lines_told, days_text, money_text, rate_text, saving_told
from timmy_tui.text import count_text, duration_text, local_moment, percent_text
from timmy_tui.widgets.key_line import KeyLine
from timmy_tui.widgets.line import EMPTY, Line, Span, fit, line, wrap
from timmy_tui.widgets.plot import area, flowing, histogram, legend, merged, room_of, stacked_columns
from timmy_tui.widgets.reader import Reader, heading
from timmy_tui.widgets.usage_table import UNKNOWN, usage_table

LOOK_EVERY_S = 3.0
REST_FACTOR = 20.0
"""A log that took a second to read is read again after so many seconds at the earliest."""

SERIES = 5
"""Models told apart in a column; the last one stands for all others when there are more."""

SIDE_BY_SIDE = 96
"""Cells from which on two plots stand beside each other."""

BESIDE_GAP = 3
ROWS_FOR_TALL = 36


class Look(Struct, frozen=True):
    """What was read, and of which state of the log."""

    mark: tuple[int, ...] | None
    days: int
    today: date
    usage: UsageOverview | None
    error: str = ""
    took_s: float = 0.0


class UsageReader(Reader, inherit_bindings=False):
    """A reader that leaves ``d`` to its screen."""

    BINDINGS = [
        *(binding for binding in Reader.BINDINGS if isinstance(binding, Binding) and binding.key != "pagedown,d"),
        Binding("pagedown", "scroll_page(1)", "Page down", show=False, id="reader.page_down"),
    ]


class UsageScreen(DocumentScreen):
    """The usage log: read again when it has grown."""

    BINDING_GROUP_TITLE = "Usage"
    HELP = (
        "Latencies are those of calls that did not fail. ~ marks tokens per second of whole calls, where the log has "
        "no time of the generation alone. Savings rest on usage.prices in tui.yaml."
    )
    BINDINGS = [
        Binding("1", "stretch(1)", "day", id="usage.day", tooltip="Today"),
        Binding("7", "stretch(7)", "week", id="usage.week", tooltip="The last 7 days"),
        Binding("3", "stretch(30)", "month", id="usage.month", tooltip="The last 30 days"),
        Binding("0", "stretch(0)", "all", id="usage.all", tooltip="Everything in the log"),
        Binding("m", "by('model')", "model", id="usage.by_model", tooltip="The table by model first"),
        Binding("t", "by('task')", "task", id="usage.by_task", tooltip="The table by task first"),
        Binding("c", "by('caller')", "caller", id="usage.by_caller", tooltip="The table by caller first"),
        Binding("d", "by('day')", "by day", id="usage.by_day", tooltip="The table by day first"),
        Binding("U", "dismiss", "back", show=False, id="usage.back"),
    ]

    def __init__(self) -> None:
        super().__init__("Usage")
        self.days = 7
        """0: everything."""
        self.by: By = "model"
        self.look: Look | None = None
        """What was read last."""
        self._reading = False
        self._next_at = 0.0

    def compose(self) -> ComposeResult:
        """The text and the keys."""
        yield UsageReader(self._document_title, glyphs=self.console.glyphs, id="reader")
        yield KeyLine(always=2)

    def fill(self) -> None:
        self.reader.read(lambda width: [line(("Reading the usage log", "quiet"))])
        self._read()

    def clock_ticked(self, now: float) -> None:
        """The log may have grown."""
        if not self._reading and now >= self._next_at:
            self._read()

    def action_stretch(self, days: int) -> None:
        """Another stretch of time; 0 is everything."""
        self.days = days
        self._read()

    def action_by(self, by: By) -> None:
        """What the first table is by."""
        self.by = by
        self._show()
        if self.look is not None and self.look.usage is not None:
            self.reader.go_to(f"By {by}")

    @work(group="usage", exclusive=True, exit_on_error=False, description="read the usage log")
    async def _read(self) -> None:
        self._reading = True
        try:
            moment = local_moment(self.console.clock())
            today = date.min if moment is None else moment.date()
            console = self.console
            env = os.environ if console.env is None else console.env
            look = await asyncio.to_thread(_read_again, console.settings, env, self.days, today, self.look)
        finally:
            self._reading = False
            self._next_at = self.console.clock() + LOOK_EVERY_S
        self._next_at += REST_FACTOR * look.took_s
        if look is not self.look and self.is_attached:
            self.look = look
            self._show()

    def _show(self) -> None:
        status = line((days_text(self.days), "quiet"))
        if self.look is not None:
            self.reader.read(self._lines, status=status, keep_place=True)

    def _lines(self, width: int) -> Sequence[Line]:
        look = self.look
        if look is None:
            return ()
        told = wrap(look.error, width, "warning") if look.error else []
        found = look.usage
        if found is None:
            return told
        bad = [content for text in bad_lines_told(found.tables[self.by]) for content in wrap(text, width, "warning")]
        if not found.total.calls:
            when = {0: "", 1: " today"}.get(look.days, f" in {days_text(look.days)}")
            more = "" if look.days == 0 else "  0 shows everything."
            return [*told, *wrap(f"No calls{when}.{more}", width, "quiet"), *bad]
        out = [*told, *self._head(found, width), *bad, EMPTY]
        out += self._plots(found, width)
        for by in (self.by, *(by for by in BYS if by != self.by)):
            out += [heading(f"By {by}", width, self.console.glyphs), *usage_table(found.tables[by], width), EMPTY]
        return out

    def _head(self, found: UsageOverview, width: int) -> list[Line]:
        total, glyphs = found.total, self.console.glyphs
        share = total.success_share
        succeeded = line((f"{percent_text(share)} succeeded", "text")) if share is not None else EMPTY
        facts = [
            line((f"{total.calls:,}", "strong"), " calls"),
            line((count_text(total.tokens_in), "strong"), " tokens in"),
            line((count_text(total.tokens_out), "strong"), " out"),
            succeeded,
            line((rate_text(total), "strong"), " tokens/s"),
        ]
        lines = flowing(facts, line((f" {glyphs.dot} ", "quiet")), width)
        for index, text in enumerate(saving_told(found.tables["model"])):
            priced = index == 0 and total.saving is not None
            lines += wrap(text, width, "ok" if priced else "quiet")
        return lines

    def _plots(self, found: UsageOverview, width: int) -> list[Line]:
        tall = self.size.height >= ROWS_FOR_TALL
        rows, glyphs = (8 if tall else 6), self.console.glyphs
        out = self._tokens(found, width, rows)
        half = (width - BESIDE_GAP) // 2 if width >= SIDE_BY_SIDE else width
        latencies, savings = self._latencies(found.latencies, half), self._savings(found, half)
        if half == width:
            return [*out, *latencies, EMPTY, *savings, EMPTY]
        for index in range(max(len(latencies), len(savings))):
            left = latencies[index] if index < len(latencies) else EMPTY
            right = savings[index] if index < len(savings) else EMPTY
            out.append((*fit(left, half, glyphs.ellipsis), Span(" " * BESIDE_GAP), *right))
        return [*out, EMPTY]

    def _tokens(self, found: UsageOverview, width: int, rows: int) -> list[Line]:
        glyphs = self.console.glyphs
        if not found.days:
            return []
        names, series = list(found.models), list(found.tokens)
        if len(names) > SERIES:
            rest = [sum(values) for values in zip(*series[SERIES - 1 :], strict=True)]
            names, series = [*names[: SERIES - 1], "others"], [*series[: SERIES - 1], tuple(rest)]
        columns, per = merged(list(zip(*series, strict=True)), room_of(width))
        last = len(found.days) - 1
        ends = [last - per * back for back in range(len(columns) - 1, -1, -1)]
        labels = [f"{found.days[max(0, end - per + 1)]:%m-%d}" for end in ends]
        title = "Tokens per day by model" if per == 1 else f"Tokens per {per} days by model"
        out = [heading(title, width, glyphs)]
        out += stacked_columns(columns, labels, width, rows, glyphs, _count)
        totals = [(name or UNKNOWN, count_text(sum(values))) for name, values in zip(names, series, strict=True)]
        return [*out, *legend(totals, width, glyphs), EMPTY]

    def _latencies(self, found: Latencies | None, width: int) -> list[Line]:
        glyphs = self.console.glyphs
        out = [heading("Latency", width, glyphs)]
        if found is None:
            return [*out, line(("No call tells it.", "quiet"))]

        def place(seconds: float) -> float:
            return math.log10(max(seconds, 1e-9)) * BUCKETS_PER_DECADE - found.first

        steps = [factor * 10.0**decade for decade in range(-3, 9) for factor in (1, 2, 5)]
        ticks = [(place(step), _seconds(step)) for step in steps if 0 <= place(step) + 1e-9 <= len(found.counts)]
        marks = [
            (place(seconds), f"{name} {duration_text(seconds * 1000)}")
            for name, seconds in (("p50", found.p50_s), ("p95", found.p95_s))
        ]
        return [*out, *histogram(found.counts, ticks, marks, width, 6, glyphs, _count)]

    def _savings(self, found: UsageOverview, width: int) -> list[Line]:
        glyphs, table = self.console.glyphs, found.tables["model"]
        out = [heading("Saved so far", width, glyphs)]
        if found.savings is None or not found.days:
            return [*out, *wrap("unpriced: set usage.prices in tui.yaml", width, "quiet")]

        def label(amount: float) -> str:
            return money_text(amount, table.currency) if amount < 1000 else f"{table.currency}{count_text(int(amount))}"

        first, last = (f"{day:%Y-%m-%d}" for day in (found.days[0], found.days[-1]))
        return [*out, *area(found.savings, first, last, width, 6, glyphs, label)]


def _count(value: float) -> str:
    return count_text(round(value))


def _seconds(seconds: float) -> str:
    return f"{seconds * 1000:g} ms" if seconds < 1 else f"{seconds:g} s"


def _read_again(settings: Settings, env: Mapping[str, str], days: int, today: date, before: Look | None) -> Look:
    """The log as it is now, in a thread; ``before`` itself when nothing has changed since."""
    mark = log_mark(settings.usage_path)
    if before is not None and (mark, days, today) == (before.mark, before.days, before.today):
        return before
    since = day_starts(today, days) if days else None
    started = time.monotonic()
    try:
        clouds = cloud_providers(settings, env)
    except ProvidersError:  # told where the cascade is
        clouds = frozenset()
    try:
        found = overview(read_usage(settings.usage_path, since), settings.config.usage, clouds)
    except UsageError as error:
        kept = before.usage if before is not None and before.days == days else None
        return Look(mark, days, today, kept, f"{error.message}. {error.hint}".strip())
    return Look(mark, days, today, found, took_s=time.monotonic() - started)
