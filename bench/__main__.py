"""``python -m bench [NAME…]``: measure the promises about speed and print them as ratios."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

from bench.figures import Row, say, table


def _paint(quick: bool) -> list[Row]:
    from bench.start import bench_paint

    return bench_paint(quick)


def _status(quick: bool) -> list[Row]:
    from bench.start import bench_status

    return bench_status(quick)


def _load(quick: bool) -> list[Row]:
    from bench.ticks import bench_load

    return bench_load(quick)


def _append(quick: bool) -> list[Row]:
    from bench.ticks import bench_append

    return bench_append(quick)


def _idle(quick: bool) -> list[Row]:
    from bench.idle import bench_idle

    return bench_idle(quick)


def _blackhole(quick: bool) -> list[Row]:
    from bench.blackhole import bench_blackhole

    return bench_blackhole(quick)


def _hermes(quick: bool) -> list[Row]:
    from bench.hermes import bench_hermes

    return bench_hermes(quick)


def _heartbeat(quick: bool) -> list[Row]:
    from bench.heartbeat import bench_heartbeat

    return bench_heartbeat(quick)


def _review(quick: bool) -> list[Row]:
    from bench.review import bench_review

    return bench_review(quick)


def _usage(quick: bool) -> list[Row]:
    from bench.usage import bench_usage

    return bench_usage(quick)


def _delegate(quick: bool) -> list[Row]:
    from bench.delegate import bench_delegate

    return bench_delegate(quick)


def _flood(quick: bool) -> list[Row]:
    from bench.flood import bench_flood

    return bench_flood(quick)


def _large(quick: bool) -> list[Row]:
    from bench.large import bench_large

    return bench_large(quick)


PARTS: dict[str, tuple[Callable[[bool], list[Row]], str]] = {
    "paint": (_paint, "first paint and filled panes, against an empty Textual app"),
    "status": (_status, "status --json, against the import of httpx"),
    "load": (_load, "a log of 100,000 ticks, against a bare msgspec loop"),
    "append": (_append, "one more tick: until it is on the screen, and what it costs"),
    "idle": (_idle, "CPU, memory and bytes to the terminal while nothing changes"),
    "blackhole": (_blackhole, "key to paint while no source answers"),
    "flood": (_flood, "key to paint after 40 kB of CSI, 200 kB of OSC"),
    "large": (_large, "status --json at 1,000,000 ticks and 50,000 sessions; 10 MB to mask"),
    "heartbeat": (_heartbeat, "a tick without its model, from the key to running, 1,000 ticks of 8 processes"),
    "review": (_review, "a year of 100,000 candidates: cards, filters, memory, export; 50 kills"),
    "usage": (_usage, "a usage log of 1,000,000 calls, summarised by a whole process"),
    "delegate": (_delegate, "a delegation, and 1,000 at once, against bare httpx"),
    "hermes": (_hermes, "refresh of a store of 5,000 sessions and 100,000 messages"),
}


def main() -> int:
    """Run the parts that were asked for."""
    parts = "\n".join(f"  {name:<10} {what}" for name, (_, what) in PARTS.items())
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=f"Measure the promises about speed. Parts:\n{parts}",
        epilog="Each figure and its reference are taken in one run, turn by turn; a miss is no error without --strict.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", metavar="NAME", nargs="*", help="the parts to run (all)")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--strict", action="store_true", help="exit with 1 when a promise is missed")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.names if name not in PARTS]
    if unknown:
        parser.error(f"no part {', '.join(unknown)}; there are: {', '.join(PARTS)}")
    if sys.platform != "linux":
        parser.error("the benchmarks read Linux's /proc")
    rows: list[Row] = []
    for name in arguments.names or PARTS:
        started = time.perf_counter()
        rows += PARTS[name][0](arguments.quick)
        say(f"{name}: {time.perf_counter() - started:.0f} s")
    print(table(rows), flush=True)
    return 1 if arguments.strict and not all(row.kept for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
