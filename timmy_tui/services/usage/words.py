"""The usage in words: money, rates, and what the figures rest on."""

from __future__ import annotations

from timmy_tui.services.usage.summary import UsageRow, UsageSummary

UNPRICED = "unpriced"


def money_text(amount: float | None, currency: str) -> str:
    """``$0.12``, ``$4,096``, ``<$0.01``; ``unpriced`` without an amount."""
    if amount is None:
        return UNPRICED
    if 0 < amount < 0.005:
        return f"<{currency}0.01"
    return f"{currency}{amount:,.2f}" if amount < 999.995 else f"{currency}{amount:,.0f}"


def rate_text(row: UsageRow) -> str:
    """``48.2``, ``~12.0`` where it is of the whole call; ``?`` for unknown."""
    if row.tokens_per_s is None:
        return "?"
    text = f"{row.tokens_per_s:.1f}" if row.tokens_per_s < 99.95 else f"{row.tokens_per_s:,.0f}"
    return text if row.rate_of == "generation" else f"~{text}"


def saving_told(found: UsageSummary) -> list[str]:
    """What was saved, against which prices, and what it cost."""
    total = found.total
    if not found.has_prices:
        saved = "saving: unpriced: set usage.prices in tui.yaml"
    else:
        dated = f"the prices of {found.prices_date}" if found.prices_date else "prices without a date"
        saved = f"saving: {money_text(total.saving, found.currency)} against {dated}"
        if total.unpriced_calls:
            saved += f"; unpriced: {counted(total.unpriced_calls, 'call')}"
    lines = [saved]
    if total.energy_kwh is not None:
        cost = f", {money_text(total.cost, found.currency)}" if total.cost is not None else ""
        lines.append(f"local cost: {total.energy_kwh:.3g} kWh{cost}")
    return lines


def bad_lines_told(found: UsageSummary) -> list[str]:
    """That the log holds what is no call."""
    bad = found.bad_lines
    told = [f"left out: {counted(bad, 'line')} of the log that {'is' if bad == 1 else 'are'} no call"] if bad else []
    if found.untimed_calls:
        told.append(f"{counted(found.untimed_calls, 'call')} of no usable time: in no stretch of days")
    return told


def counted(count: int, what: str) -> str:
    """``1 call``, ``2 calls``."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def days_text(days: int) -> str:
    """The stretch in words."""
    return "today" if days == 1 else f"the last {days} days" if days else "all time"
