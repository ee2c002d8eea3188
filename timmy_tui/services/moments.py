"""Times from outside, bounded where they enter: what no clock has shown is unknown, not a crash in some view."""

from __future__ import annotations

import re

EARLIEST_S = 1e8
"""A smaller number (1973 and before) is no time that a program of today writes."""

_NUMBER = re.compile(r"\d{1,20}(?:\.\d{1,9})?")

LATEST_S = 1e11
"""Unix seconds beyond this (the year 5138) are some other unit, or no time at all."""


def unix_seconds(value: float) -> float | None:
    """``value`` as Unix seconds; None for what can't be a time: before 1970, beyond :data:`LATEST_S`, NaN."""
    return float(value) if 0 <= value < LATEST_S else None


def epoch_seconds(value: object) -> float | None:
    """Unix seconds of a number, or of a text that is one, in seconds, milli-, micro- or nanoseconds; None for others.

    By its size: a log of any year until 5138 in one unit is no time of this century in another.
    """
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not EARLIEST_S <= value < LATEST_S * 1e9:
        return None
    for _ in range(3):
        if value < LATEST_S:
            break
        value /= 1000
    return unix_seconds(value)
