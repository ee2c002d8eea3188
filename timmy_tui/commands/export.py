"""``timmy-tui export``: write the datasets, and say what is in them."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from timmy_tui.commands.output import say, show_progress
from timmy_tui.config import Settings
from timmy_tui.services.export.records import ExportOptions, ExportProgress, ExportReport
from timmy_tui.services.reading import SourceError
from timmy_tui.text import clean, clean_error

TELL_EVERY_S = 0.2


def run_export(settings: Settings, target: Path, options: ExportOptions, *, as_json: bool) -> int:
    """Write the export, print what it holds, and return 0; 1 when there is none, and why on standard error."""
    from timmy_tui.services.export.records import MANIFEST_NAME
    from timmy_tui.services.export.run import export_datasets
    from timmy_tui.services.labels.log import LabelLog
    from timmy_tui.services.labels.records import LABELS_NAME
    from timmy_tui.startup import settled

    settled()
    labels = LabelLog(settings.heartbeat_dir / LABELS_NAME)
    try:
        with _stoppable() as should_stop:
            report = export_datasets(settings, labels, target, options, on_progress=_teller(), should_stop=should_stop)
    except SourceError as error:
        show_progress("")
        told = f"{error.message}; {error.hint}" if error.hint else error.message
        sys.stderr.write(f"timmy-tui: {clean_error(told, limit=1_000)}\n")
        return 1
    finally:
        labels.close()
    show_progress("")
    say((target / MANIFEST_NAME).read_text().rstrip("\n") if as_json else report_text(report))
    return 0


def report_text(report: ExportReport) -> str:
    """The report in a few lines."""
    pairs = ", ".join(f"{count:,} {kind}" for kind, count in report.pairs.items() if count) or "none"
    lines = [
        f"wrote {clean(str(report.path), limit=4_096)}",
        f"  {report.chosen:,} chosen, {report.rejected:,} rejected, {report.edits:,} edited; pairs: {pairs}",
    ]
    files = report.summed_files()
    width = max((len(name) for name, _ in files), default=0)
    lines += [f"  {name:<{width}}  {count:>9,}" for name, count in files]
    lines += [f"  left out: {reason} ({count:,})" for reason, count in report.dropped.items()]
    lines += [f"  note: {clean(warning)}" for warning in report.warnings]
    return "\n".join(lines)


@contextmanager
def _stoppable() -> Iterator[Callable[[], bool]]:
    """Whether SIGTERM or SIGHUP has come: they end an export as ctrl+c does, with nothing left behind."""
    came: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        came.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _teller() -> Callable[[ExportProgress], None]:
    """Tells of progress a few times a second."""
    told_at = 0.0

    def tell(progress: ExportProgress) -> None:
        nonlocal told_at
        now = time.monotonic()
        if now - told_at >= TELL_EVERY_S:
            told_at = now
            share = 100 * progress.done // progress.total if progress.total else 100
            show_progress(f"{progress.stage} {share} %")

    return tell
