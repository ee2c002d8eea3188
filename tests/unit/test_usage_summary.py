"""The table of the usage: exact percentiles, honest savings, and nothing unknown shown as zero."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from timmy_tui.config import PriceConfig, PricesConfig, UsageConfig, load_settings
from timmy_tui.services.usage.reading import UsageGroup, UsageSums
from timmy_tui.services.usage.summary import (
    BUCKETS_PER_DECADE,
    BYS,
    MANY,
    By,
    UsageSummary,
    cloud_providers,
    nearest_rank,
    overview,
    summary,
)
from timmy_tui.services.usage.words import bad_lines_told, counted, days_text, money_text, rate_text, saving_told

PRICES = PricesConfig(date(2026, 11, 1), {"*": PriceConfig(3.0, 15.0), "small:3b": PriceConfig(0.1, 0.4)})
PRICED = UsageConfig(PRICES)
UNPRICED = UsageConfig()

EMPTY = UsageGroup(
    day="2026-11-20", model="big:70b", task="quick", caller="delegate", provider="ollama",
    calls=0, succeeded=0, failed=0, tokens_in=None, tokens_out=None, saved_in=0, saved_out=0,
    latencies_s=array("d"), busy_s=0.0, generated_tokens=0, generation_s=0.0, answered_tokens=0, answer_s=0.0,
)  # fmt: skip


def group(*latencies_s: float, **values: object) -> UsageGroup:
    """A group of calls that all succeeded, a thousand tokens in and out each."""
    calls = len(latencies_s)
    return replace(
        EMPTY,
        **{
            "calls": calls,
            "succeeded": calls,
            "tokens_in": 1000 * calls,
            "tokens_out": 1000 * calls,
            "saved_in": 1000 * calls,
            "saved_out": 1000 * calls,
            "latencies_s": array("d", latencies_s),
            "busy_s": math.fsum(latencies_s),
            **values,
        },
    )


def table(
    *groups: UsageGroup, by: By = "model", usage: UsageConfig = PRICED, clouds: Sequence[str] = ()
) -> UsageSummary:
    return summary(UsageSums(groups), by, usage, clouds)


def test_rows_stand_by_day_model_task_or_caller() -> None:
    groups = [
        group(1, 1, day="2026-11-19", model="a", task="x", caller="c1"),
        group(1, day="2026-11-20", model="b", task="x", caller="c2"),
        group(1, 1, 1, day="2026-11-20", model="b", task="y", caller="c1"),
    ]
    rows = {by: [(row.name, row.calls) for row in table(*groups, by=by).rows] for by in BYS}
    assert rows == {
        "day": [("2026-11-20", 4), ("2026-11-19", 2)],
        "model": [("b", 4), ("a", 2)],
        "task": [("x", 3), ("y", 3)],
        "caller": [("c1", 5), ("c2", 1)],
    }
    assert {table(*groups, by=by).total.calls for by in BYS} == {6}


@given(st.lists(st.lists(st.floats(0, 1e6), min_size=1, max_size=40), min_size=1, max_size=8))
def test_percentiles_are_those_of_all_calls_together(runs: list[list[float]]) -> None:
    found = table(*(group(*run, caller=str(place), model="m") for place, run in enumerate(runs)))
    ordered = sorted(value for run in runs for value in run)
    wanted = ordered[math.ceil(0.95 * len(ordered)) - 1]
    assert found.total.p95_latency_s == found.rows[0].p95_latency_s == wanted
    assert found.total.average_latency_s == pytest.approx(sum(ordered) / len(ordered))


def test_success_is_the_share_of_the_calls_that_tell() -> None:
    row = table(group(1, 1, 1, 1, succeeded=2, failed=1)).total
    assert row.success_share == pytest.approx(2 / 3)
    assert table(group(1, succeeded=0)).total.success_share is None


def test_tokens_per_second_are_of_the_generation_where_it_is_told() -> None:
    both = table(group(1, generated_tokens=90, generation_s=2.0, answered_tokens=10, answer_s=10.0)).total
    assert (both.tokens_per_s, both.rate_of, rate_text(both)) == (45.0, "generation", "45.0")
    old = table(group(1, answered_tokens=10, answer_s=4.0)).total
    assert (old.tokens_per_s, old.rate_of, rate_text(old)) == (2.5, "whole call", "~2.5")
    none = table(group(1)).total
    assert (none.tokens_per_s, none.rate_of, rate_text(none)) == (None, None, "?")


def test_what_no_line_tells_is_unknown_and_not_zero() -> None:
    row = table(EMPTY).total
    assert (row.tokens_in, row.tokens_out, row.average_latency_s, row.p95_latency_s) == (None, None, None, None)
    assert (row.saving, row.energy_kwh, row.cost) == (None, None, None)


# Savings and costs.


def test_a_saving_is_what_the_cloud_would_take_for_the_same_tokens() -> None:
    found = table(group(1, 1), group(1, model="small:3b"))
    assert {row.name: row.saving for row in found.rows} == {
        "big:70b": pytest.approx(2 * (3.0 + 15.0) / 1000),
        "small:3b": pytest.approx((0.1 + 0.4) / 1000),
    }
    assert found.total.saving == pytest.approx(0.0365)
    assert saving_told(found) == ["saving: $0.04 against the prices of 2026-11-01"]


def test_without_a_price_it_is_unpriced_and_never_nothing() -> None:
    found = table(group(1, 1), usage=UNPRICED)
    assert (found.total.saving, found.total.unpriced_calls, found.has_prices) == (None, 2, False)
    assert saving_told(found) == ["saving: unpriced: set usage.prices in tui.yaml"]
    assert money_text(None, "$") == "unpriced"


def test_calls_of_models_without_a_price_are_told_beside_the_saving() -> None:
    only_small = UsageConfig(PricesConfig(None, {"small:3b": PriceConfig(1000.0, 0.0)}))
    found = table(group(1), group(1, 1, 1, model="small:3b"), usage=only_small)
    assert {row.name: row.saving for row in found.rows} == {"small:3b": pytest.approx(3.0), "big:70b": None}
    assert saving_told(found) == ["saving: $3.00 against prices without a date; unpriced: 1 call"]


def test_a_call_that_failed_saves_nothing() -> None:
    half = group(1, 1, succeeded=1, failed=1, saved_in=1000, saved_out=1000)
    assert table(half).total.saving == table(group(1)).total.saving
    failed = group(1, succeeded=0, failed=1, saved_in=0, saved_out=0)
    assert table(failed).total.saving is None


def test_a_call_that_a_cloud_answered_saves_nothing_and_costs_no_power() -> None:
    powered = replace(PRICED, power_watts=100.0)
    for cloud in (group(1, provider="claude"), group(1, model="gpt-oss:120b-cloud")):
        row = table(cloud, group(1), usage=powered, clouds=["claude"]).total
        alone = table(group(1), usage=powered).total
        assert (row.saving, row.energy_kwh, row.unpriced_calls) == (alone.saving, alone.energy_kwh, 0)
        assert row.calls == 2


def test_the_cascade_tells_which_providers_are_a_cloud(tmp_path: Path) -> None:
    (tmp_path / "tui.yaml").write_text("""providers:
- {name: near, type: openai, base_url: "http://127.0.0.1:8080/v1"}
- {name: far, type: openai, base_url: "https://api.example.com/v1"}
- {name: claude, type: anthropic}
- {name: ollama, type: ollama}
""")
    settings = load_settings({"HOME": str(tmp_path), "TIMMY_HOME": str(tmp_path)})
    assert cloud_providers(settings, {}) == {"far", "claude"}
    assert cloud_providers(load_settings({"HOME": str(tmp_path / "none")}), {}) == frozenset()


def test_power_makes_a_local_cost() -> None:
    hour = group(1800.0, 1800.0)
    row = table(hour, usage=replace(PRICED, power_watts=200.0)).total
    assert (row.energy_kwh, row.cost) == (pytest.approx(0.2), None)
    found = table(hour, usage=replace(PRICED, power_watts=200.0, price_per_kwh=0.5, currency="€"))
    assert found.total.cost == pytest.approx(0.1)
    assert saving_told(found)[1] == "local cost: 0.2 kWh, €0.10"


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0.0, "$0.00"), (0.001, "<$0.01"), (0.126, "$0.13"), (999.99, "$999.99"), (12_345.6, "$12,346")],
)
def test_money_is_short_and_never_rounded_to_nothing(amount: float, text: str) -> None:
    assert money_text(amount, "$") == text


def test_words() -> None:
    assert [days_text(days) for days in (0, 1, 7)] == ["all time", "today", "the last 7 days"]
    assert counted(1, "call") == "1 call"
    assert bad_lines_told(replace(table(), bad_lines=1)) == ["left out: 1 line of the log that is no call"]
    assert bad_lines_told(replace(table(), bad_lines=2_000)) == ["left out: 2,000 lines of the log that are no call"]
    assert bad_lines_told(table()) == []


# Series.


def test_days_without_a_call_stand_in_the_series() -> None:
    groups = (group(1, day="2026-11-20"), group(1, day="2026-11-17", model="small:3b"), group(1, day=""))
    found = overview(UsageSums(groups), PRICED)
    assert [day.day for day in found.days] == [17, 18, 19, 20]
    assert dict(zip(found.models, found.tokens, strict=True)) == {
        "big:70b": (0, 0, 0, 2000),
        "small:3b": (2000, 0, 0, 0),
    }
    assert found.savings is not None
    assert list(found.savings) == sorted(found.savings)
    assert found.savings[-1] == pytest.approx(found.total.saving)


def test_the_distribution_holds_every_call_in_its_bucket() -> None:
    found = overview(UsageSums((group(0.0, 0.0005, 1.0, 1.1, 1.3, 10.0, 99.0),)), UNPRICED)
    latencies = found.latencies
    assert latencies is not None
    assert sum(latencies.counts) == 7
    counted_at = {
        round(10 ** ((latencies.first + place) / BUCKETS_PER_DECADE), 3): count
        for place, count in enumerate(latencies.counts)
        if count
    }
    assert counted_at == {0.001: 2, 1.0: 2, 1.259: 1, 10.0: 1, 79.433: 1}
    assert (latencies.p50_s, latencies.p95_s) == (1.1, 99.0)
    assert found.savings is None


def test_nothing_at_all_is_no_mistake() -> None:
    found = overview(UsageSums(()), PRICED)
    assert (found.total.calls, found.days, found.models, found.latencies, found.savings) == (0, (), (), None, None)


def test_strange_moments_do_not_make_an_endless_series() -> None:
    found = overview(UsageSums((group(1, day="0001-01-02"), group(1, day="2026-11-20"))), PRICED)
    assert len(found.days) == 3_660
    assert found.savings is not None
    assert found.savings[-1] == pytest.approx(found.total.saving)


@pytest.mark.parametrize("share", [0.0, 0.03, 0.5, 0.95, 1.0])
@pytest.mark.parametrize("kind", ["spread", "rising", "falling", "two values", "one value"])
def test_a_percentile_of_many_values_is_exact(kind: str, share: float) -> None:
    shuffled = Random(3)
    count = MANY * 2 + 7
    values = {
        "spread": [shuffled.lognormvariate(1, 0.8) for _ in range(count)],
        "rising": [float(number) for number in range(count)],
        "falling": [float(-number) for number in range(count)],
        "two values": [float(shuffled.random() < 0.05) for _ in range(count)],
        "one value": [1.0] * count,
    }[kind]
    assert nearest_rank(values, share) == sorted(values)[max(0, math.ceil(share * count) - 1)]
    assert nearest_rank([], share) is None
