"""The export from its first poll to its folder's name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from timmy_tui.config import Settings
from timmy_tui.services.export.check import check_folder
from timmy_tui.services.export.choose import Chosen, choose
from timmy_tui.services.export.describe import describe
from timmy_tui.services.export.folder import folder_for
from timmy_tui.services.export.gather import Gathered, Gatherer
from timmy_tui.services.export.manifest import by_name
from timmy_tui.services.export.records import ALL, ExportError, ExportOptions, ExportProgress, ExportReport
from timmy_tui.services.export.spool import Spool
from timmy_tui.services.export.write import DatasetWriter
from timmy_tui.services.labels.log import LabelLog
from timmy_tui.text import clean


def export_datasets(
    settings: Settings,
    labels: LabelLog,
    target: Path,
    options: ExportOptions,
    *,
    on_progress: Callable[[ExportProgress], None] = lambda progress: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> ExportReport:
    """Write the datasets of all labels into the new folder ``target``. Blocks: call it in a thread.

    Either the whole export stands there afterwards, checked, or nothing of it. The same logs give the same bytes.
    Raises :class:`ExportError` (:class:`ExportStopped` after ``should_stop``), ``TickLogError``, ``HermesError``.
    """
    options = _settled(options)
    with folder_for(target, replace=options.replace) as folder:
        fold = labels.poll()
        spool = Spool(folder)
        try:
            gathered = Gatherer(settings, labels, options, folder, spool, on_progress, should_stop).gather()
            chosen = choose(gathered.catalog, options.split, gathered.dropped)
            _refuse_nothing(chosen, gathered, options, labels.operators())
            spool.flush()
            writer = DatasetWriter(folder, spool, options, on_progress, should_stop)
            writer.write(chosen)
        finally:
            spool.close()
        report = describe(folder, target, labels.path, fold, gathered, chosen, writer, options)
        check_folder(folder, on_progress, should_stop)
    return report


def _settled(options: ExportOptions) -> ExportOptions:
    """``options`` with each format once and in one order."""
    if not 0 <= options.split < 1:
        raise ExportError("The share for the test files is from 0 to below 1", "Take 0.1 for a tenth")
    formats = tuple(name for name in ALL if name in options.formats)
    return replace(options, formats=formats)


def _refuse_nothing(chosen: Chosen, gathered: Gathered, options: ExportOptions, operators: tuple[str, ...]) -> None:
    """Raise :class:`ExportError` when there would be no file."""
    rows = {
        "kto": chosen.chosen + chosen.rejected + chosen.edits,
        "sft": chosen.chosen + chosen.edits,
        "dpo": sum(chosen.pairs.values()),
    }
    rows |= {"llamafactory": rows["kto"], "mlx": rows["dpo"], "openai": rows["dpo"], "ticks": len(gathered.copies)}
    left_out = sum(gathered.dropped.values())
    if not rows["kto"] and not rows["dpo"]:
        others = [name for name in operators if name != options.operator]
        if options.operator is not None and others and not len(gathered.catalog):
            told = clean(", ".join(others), limit=200)
            raise ExportError(f"{clean(options.operator)} has labelled nothing; {told} did", "Leave --operator out")
        if not left_out and not len(gathered.catalog):
            raise ExportError("Nothing is labelled yet", 'Press r in the console: "c" chosen, "r" rejected')
        why = ", ".join(f"{reason} ({count})" for reason, count in by_name(gathered.dropped).items())
        raise ExportError(f"Nothing that is labelled can be exported: {why}", "Press r in the console to label more")
    if not any(rows[name] for name in options.formats):
        raise ExportError(
            f"No rows for {', '.join(options.formats)}: a label on one answer alone makes no pair",
            "Correct an answer (e) or compare two (g) in the review, or export kto",
        )
