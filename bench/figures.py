"""Rows of the table, and what is made of many measurements."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from statistics import median

from msgspec import Struct


class Row(Struct, frozen=True):
    """One promise: what was measured, against what, and whether the ratio is within its limit."""

    name: str
    ours: str
    reference: str
    ratio: float
    limit: float
    at_least: bool = False
    """The ratio must not be below the limit, instead of not above it."""

    @property
    def kept(self) -> bool:
        """Whether the promise is kept."""
        return self.ratio >= self.limit if self.at_least else self.ratio <= self.limit


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that ``share`` of all values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def milliseconds(seconds: float) -> str:
    """A duration in ms, with as many digits as can matter."""
    value = seconds * 1e3
    return f"{value:.3f} ms" if value < 1 else f"{value:.1f} ms" if value < 100 else f"{value:.0f} ms"


def against(name: str, ours_s: Sequence[float], reference_s: Sequence[float], limit: float) -> Row:
    """The medians of two interleaved series of durations."""
    ours, reference = median(ours_s), median(reference_s)
    return Row(name, milliseconds(ours), milliseconds(reference), ours / reference, limit)


def within(name: str, ours_s: float, limit_s: float, what: str) -> Row:
    """A duration against the limit itself."""
    return Row(f"{name} ({what})", milliseconds(ours_s), f"limit {milliseconds(limit_s)}", ours_s / limit_s, 1.0)


HEADINGS = ("name", "ours", "reference", "ratio", "limit", "")


def table(rows: Sequence[Row]) -> str:
    """The rows in columns."""
    cells = [HEADINGS]
    cells += [
        (
            row.name,
            row.ours,
            row.reference,
            f"{row.ratio:.2f}",
            f"{'≥' if row.at_least else '≤'} {row.limit:.2f}",
            "ok" if row.kept else "MISS",
        )
        for row in rows
    ]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADINGS))]
    return "\n".join(
        "  ".join(
            text.ljust(width) if column in (0, 5) else text.rjust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in cells
    )


def say(text: str) -> None:
    """Progress and remarks, beside the table."""
    print(text, file=sys.stderr, flush=True)
