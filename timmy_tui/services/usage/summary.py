"""What the usage log's sums come to: rows by day, model, task or caller, with what they saved and cost."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, timedelta
from itertools import pairwise
from typing import Literal

from msgspec import Struct

from timmy_tui.config import Settings, UsageConfig
from timmy_tui.services.locality import host_place
from timmy_tui.services.providers.found import find_providers
from timmy_tui.services.usage.reading import NAME_LIMIT, UNKNOWN, UsageGroup, UsageSums
from timmy_tui.text import clean

By = Literal["day", "model", "task", "caller"]
BYS: tuple[By, ...] = ("model", "task", "caller", "day")

Rate = Literal["generation", "whole call"]

ANY_MODEL = "*"
"""In the price list: every model that it does not name."""

CURRENCY_LIMIT = 8
DAYS_LIMIT = 3_660
"""Days of a series; of a log with stranger moments the last ones."""

BUCKETS_PER_DECADE = 10
FASTEST_S = 0.001
"""Of the distribution: what is faster stands in its first bucket."""

MANY, SAMPLE, SAMPLE_MARGIN = 10_000, 1_000, 0.05
"""From how many values on a percentile is guessed first; how many are looked at for it, and how far it may be off."""

_MODELS_IN_A_CLOUD = ("-cloud", ":cloud")
"""How the names of models end that Ollama itself asks elsewhere."""


class UsageRow(Struct, frozen=True):
    """What one day, model, task or caller comes to, or everything."""

    name: str
    """Empty for what the log does not tell."""
    calls: int
    succeeded: int
    failed: int
    tokens_in: int | None
    tokens_out: int | None
    average_latency_s: float | None
    """Of the calls that did not fail, as the next one."""
    p95_latency_s: float | None
    tokens_per_s: float | None
    rate_of: Rate | None
    """What the tokens per second are of: the generation alone, or where no line tells it the whole call."""
    saving: float | None
    """In the currency of the price list; None when nothing has a price."""
    unpriced_calls: int
    """Local calls that did not fail, of models without a price."""
    energy_kwh: float | None
    cost: float | None
    """Of that energy; None without a power figure and its price."""

    @property
    def success_share(self) -> float | None:
        """Of the calls that tell; None when none does."""
        told = self.succeeded + self.failed
        return self.succeeded / told if told else None


class UsageSummary(Struct, frozen=True):
    """A table of the usage."""

    by: By
    rows: tuple[UsageRow, ...]
    """Days newest first, else the most calls first."""
    total: UsageRow
    bad_lines: int
    untimed_calls: int
    """Of no usable time: they count in no stretch that has bounds."""
    currency: str
    prices_date: date | None
    has_prices: bool


class Latencies(Struct, frozen=True):
    """The distribution of latencies in buckets of a tenth of a decade."""

    first: int
    """Bucket ``i`` begins at ``10 ** ((first + i) / 10)`` seconds."""
    counts: tuple[int, ...]
    p50_s: float
    p95_s: float


class UsageOverview(Struct, frozen=True):
    """Everything that the usage screen shows."""

    tables: dict[By, UsageSummary]
    latencies: Latencies | None
    days: tuple[date, ...]
    """Without gaps, oldest first."""
    models: tuple[str, ...]
    """The most tokens first."""
    tokens: tuple[tuple[int, ...], ...]
    """In and out, of each model on each of the days."""
    savings: tuple[float, ...] | None
    """Up to each of the days; None when nothing has a price."""

    @property
    def total(self) -> UsageRow:
        """Everything."""
        return self.tables["model"].total


def summary(sums: UsageSums, by: By, usage: UsageConfig, clouds: Collection[str] = ()) -> UsageSummary:
    """The sums as a table; ``clouds`` names the providers whose calls left the house: they save nothing.

    May take a second for a million calls.
    """
    found: dict[str, list[UsageGroup]] = {}
    for group in sums.groups:
        found.setdefault(getattr(group, by), []).append(group)
    latencies = {name: _joined(group.latencies_s for group in groups) for name, groups in found.items()}
    rows = [_row(name, groups, latencies[name], usage, clouds) for name, groups in found.items()]
    if by == "day":
        rows.sort(key=lambda row: row.name, reverse=True)
    else:
        rows.sort(key=lambda row: (-row.calls, row.name))
    total = _row("total", sums.groups, _joined(latencies.values()), usage, clouds)
    currency = clean(usage.currency, limit=CURRENCY_LIMIT)
    prices = usage.prices
    return UsageSummary(
        by, tuple(rows), total, sums.bad_lines, sums.untimed_calls, currency, prices.date, bool(prices.models)
    )


def overview(sums: UsageSums, usage: UsageConfig, clouds: Collection[str] = ()) -> UsageOverview:
    """The sums as tables and series. May take some seconds for a million calls: call it in a thread."""
    tables = {by: summary(sums, by, usage, clouds) for by in BYS}
    days = _days(row.name for row in tables["day"].rows)
    place = {day.isoformat(): index for index, day in enumerate(days)}
    tokens: dict[str, list[int]] = {}
    for group in sums.groups:
        if group.day in place:
            series = tokens.setdefault(group.model, [0] * len(days))
            series[place[group.day]] += (group.tokens_in or 0) + (group.tokens_out or 0)
    models = sorted(tokens, key=lambda model: (-sum(tokens[model]), model))
    return UsageOverview(
        tables=tables,
        latencies=_latencies(_joined(group.latencies_s for group in sums.groups)),
        days=days,
        models=tuple(models),
        tokens=tuple(tuple(tokens[model]) for model in models),
        savings=_savings(tables["day"], days),
    )


def cloud_providers(settings: Settings, env: Mapping[str, str]) -> frozenset[str]:
    """The providers of the cascade that are a cloud. Raises ``ProvidersError``."""
    return frozenset(
        clean(target.name, limit=NAME_LIMIT)
        for target in find_providers(settings, env).targets
        if host_place(target.url) == "cloud"
    )


def nearest_rank(values: Sequence[float], share: float) -> float | None:
    """The smallest of the values that ``share`` of them do not exceed; None without any. It is exact.

    Of many values only those between two guesses are sorted, which a sample makes: a fifth of the time, and no single
    step of it is so long that a screen would wait.
    """
    if not values:
        return None
    rank = max(0, math.ceil(share * len(values)) - 1)
    if len(values) >= MANY:
        sample = sorted(values[:: len(values) // SAMPLE])
        low = sample[int(max(0.0, share - SAMPLE_MARGIN) * len(sample))]
        high = sample[min(len(sample) - 1, int((share + SAMPLE_MARGIN) * len(sample)))]
        above = [value for value in values if value >= low]
        below = len(values) - len(above)
        between = [value for value in above if value <= high]
        if below <= rank < below + len(between):
            return sorted(between)[rank - below]
    return sorted(values)[rank]


def _joined(runs: Iterable[Iterable[float]]) -> list[float]:
    values: list[float] = []
    for run in runs:
        values.extend(run)
    return values


def _row(
    name: str, groups: Iterable[UsageGroup], latencies: list[float], usage: UsageConfig, clouds: Collection[str]
) -> UsageRow:
    calls = succeeded = failed = tokens_in = tokens_out = generated = answered = unpriced = 0
    in_known = out_known = priced = False
    generation_s = answer_s = busy_s = saving = 0.0
    prices = usage.prices.models
    for group in groups:
        calls += group.calls
        succeeded += group.succeeded
        failed += group.failed
        if group.tokens_in is not None:
            tokens_in, in_known = tokens_in + group.tokens_in, True
        if group.tokens_out is not None:
            tokens_out, out_known = tokens_out + group.tokens_out, True
        generated += group.generated_tokens
        generation_s += group.generation_s
        answered += group.answered_tokens
        answer_s += group.answer_s
        if group.provider in clouds or group.model.endswith(_MODELS_IN_A_CLOUD):
            continue
        busy_s += group.busy_s
        answers = group.calls - group.failed
        price = prices.get(group.model) or prices.get(ANY_MODEL)
        if price is None or (group.tokens_in is None and group.tokens_out is None):
            unpriced += answers
        elif answers:
            priced = True
            saving += (group.saved_in * price.input + group.saved_out * price.output) / 1e6
    rate_of: Rate | None = "generation" if generation_s > 0 else "whole call" if answer_s > 0 else None
    rates = {"generation": (generated, generation_s), "whole call": (answered, answer_s)}
    energy_kwh = None if usage.power_watts is None else usage.power_watts * busy_s / 3.6e6
    price_per_kwh = usage.price_per_kwh
    return UsageRow(
        name=name,
        calls=calls,
        succeeded=succeeded,
        failed=failed,
        tokens_in=tokens_in if in_known else None,
        tokens_out=tokens_out if out_known else None,
        average_latency_s=sum(latencies) / len(latencies) if latencies else None,
        p95_latency_s=nearest_rank(latencies, 0.95),
        tokens_per_s=None if rate_of is None else rates[rate_of][0] / rates[rate_of][1],
        rate_of=rate_of,
        saving=saving if priced else None,
        unpriced_calls=unpriced,
        energy_kwh=energy_kwh,
        cost=None if energy_kwh is None or price_per_kwh is None else energy_kwh * price_per_kwh,
    )


def _days(names: Iterable[str]) -> tuple[date, ...]:
    known = sorted(date.fromisoformat(name) for name in names if name != UNKNOWN)
    if not known:
        return ()
    count = min(DAYS_LIMIT, (known[-1] - known[0]).days + 1)
    return tuple(known[-1] - timedelta(days=back) for back in range(count - 1, -1, -1))


def _savings(table: UsageSummary, days: Sequence[date]) -> tuple[float, ...] | None:
    if table.total.saving is None:
        return None
    by_day = {row.name: row.saving or 0.0 for row in table.rows}
    first = days[0].isoformat() if days else ""
    total = math.fsum(saving for name, saving in by_day.items() if name < first)
    savings = []
    for day in days:
        total += by_day.get(day.isoformat(), 0.0)
        savings.append(total)
    return tuple(savings)


def _latencies(values: Sequence[float]) -> Latencies | None:
    p50_s, p95_s = nearest_rank(values, 0.5), nearest_rank(values, 0.95)
    if p50_s is None or p95_s is None:
        return None
    first, last = bucket_of(min(values)), bucket_of(max(values))
    edges = [10 ** (bucket / BUCKETS_PER_DECADE) for bucket in range(first + 1, last + 1)]
    counts = [0] * (len(edges) + 1)
    for start in range(0, len(values), MANY):
        ordered = sorted(values[start : start + MANY])
        places = [0, *(bisect_left(ordered, edge) for edge in edges), len(ordered)]
        counts = [count + after - before for count, (before, after) in zip(counts, pairwise(places), strict=True)]
    return Latencies(first, tuple(counts), p50_s, p95_s)


def bucket_of(latency_s: float) -> int:
    """The bucket that a latency falls into."""
    return math.floor(math.log10(max(latency_s, FASTEST_S)) * BUCKETS_PER_DECADE)
