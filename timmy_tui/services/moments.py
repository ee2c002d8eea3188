"""Times from outside, bounded where they enter: what no clock has shown is unknown, not a crash in some view."""

from __future__ import annotations

LATEST_S = 1e11
"""Unix seconds beyond this (the year 5138) are some other unit, or no time at all."""


def unix_seconds(value: float) -> float | None:
    """``value`` as Unix seconds; None for what can't be a time: before 1970, beyond :data:`LATEST_S`, NaN."""
    return float(value) if 0 <= value < LATEST_S else None
