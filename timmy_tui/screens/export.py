"""The datasets, written from the review: where to, how, how far, and what came of it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from textual import getters, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from timmy_tui.screens.base import ConsoleModal
from timmy_tui.services.export.records import ExportOptions, ExportProgress, ExportReport
from timmy_tui.services.labels.log import LabelLog
from timmy_tui.services.labels.records import LABELS_NAME
from timmy_tui.services.reading import SourceError
from timmy_tui.text import clean, moment_text
from timmy_tui.widgets.choice_rows import Choice, ChoiceRows
from timmy_tui.widgets.key_line import KeyLine
from timmy_tui.widgets.line import EMPTY, Line, line, wrap
from timmy_tui.widgets.reader import Document
from timmy_tui.widgets.scroller import Scroller
from timmy_tui.widgets.table import bar
from timmy_tui.widgets.text_line import TextLine

SPLITS = (0.0, 0.05, 0.1, 0.2)


class ExportScreen(ConsoleModal[None]):
    """A form, then the progress, then the report. Escape stops an export that runs; nothing of it is left."""

    BINDING_GROUP_TITLE = "Export"
    BINDINGS = [
        Binding("enter,ctrl+s", "write", "write", id="export.write", priority=True),
        Binding("escape", "leave", "back, or stop", id="export.back", priority=True),
    ]

    folder = getters.query_one(TextLine)
    choices = getters.query_one("#choices", ChoiceRows)
    told = getters.query_one("#told", Scroller)

    def __init__(self) -> None:
        super().__init__()
        self._writing = self._stopped = False
        self._written = ""

    def compose(self) -> ComposeResult:
        """The folder, the choices, what is told, the keys."""
        console = self.console
        operator = console.monitor.sources.review.operator
        name = f"datasets-{moment_text(console.clock(), '%Y%m%d-%H%M%S', unknown='new')}"
        with Vertical(classes="dialog export"):
            yield Static(Content("Write the datasets to a new folder"), classes="title")
            # What the demo has written below its own home is gone with it.
            place = Path.cwd() if console.settings.demo else console.settings.timmy_home / "exports"
            folder = TextLine(value=str(place / name), compact=True, id="folder")
            folder.cursor_blink = False
            yield folder
            yield ChoiceRows(
                [
                    Choice("redact", ("secrets, home paths and e-mail addresses", "nothing")),
                    Choice("test share", ("none", *(f"{share:.0%} of the prompts" for share in SPLITS[1:]))),
                    Choice("whose words", ("everybody's last word", f"only {operator}'s")),
                ],
                id="choices",
            )
            yield Scroller("Report", glyphs=console.glyphs, id="told")
            yield Static(Content("tab  next field   ← →  answer"), classes="keys")
            yield KeyLine(lead="")

    def on_mount(self) -> None:
        """Nothing is told yet."""
        self.told.display = False

    def action_write(self) -> None:
        """Write, if nothing is being written."""
        target = self.folder.value.strip()
        if self._writing or not target or target == self._written:
            return
        desk = self.console.monitor.sources.review
        options = ExportOptions(
            redact=self.choices.chosen("redact") == 0,
            split=SPLITS[self.choices.chosen("test share")],
            operator=desk.operator if self.choices.chosen("whose words") else None,
        )
        self._writing, self._stopped = True, False
        self._write(Path(os.path.expanduser(target)).absolute(), options)

    @work(group="export", exit_on_error=False, description="export the datasets")
    async def _write(self, target: Path, options: ExportOptions) -> None:
        from timmy_tui.services.export.run import export_datasets

        loop, console = asyncio.get_running_loop(), self.console
        # Its own look at the labels: what is said while it runs is for the next export.
        labels = LabelLog(console.settings.heartbeat_dir / LABELS_NAME)

        def on_progress(progress: ExportProgress) -> None:
            loop.call_soon_threadsafe(self._at, progress)

        try:
            report = await asyncio.to_thread(
                export_datasets,
                console.settings,
                labels,
                target,
                options,
                on_progress=on_progress,
                should_stop=lambda: self._stopped,
            )
        except SourceError as error:
            failure = error
            self._tell(lambda width: [*wrap(failure.message, width, "critical"), *wrap(failure.hint, width, "strong")])
        else:
            self._written = str(target)
            self._tell(lambda width: _report(report, width))
            self.set_focus(self.told)
        finally:
            labels.close()
            self._writing = False

    def _at(self, progress: ExportProgress) -> None:
        if not self._writing:
            return
        share = progress.done / progress.total if progress.total else 0.0
        glyphs = self.console.glyphs

        def lines(width: int) -> Sequence[Line]:
            drawn = bar(share, max(8, min(40, width - 20)), glyphs.bar_full, glyphs.bar_empty)
            return [(*drawn, *line(f" {progress.stage}"))]

        self._tell(lines)

    def _tell(self, lines: Document) -> None:
        if self.is_attached:
            self.told.display = True
            self.told.read(lines)

    def action_leave(self) -> None:
        """Stop what runs, else go back."""
        if self._writing:
            self._stopped = True
        else:
            self.dismiss(None)


def _report(report: ExportReport, width: int) -> list[Line]:
    out = [*wrap(f"Written to {clean(str(report.path), limit=1_000)}", width, "ok"), EMPTY]
    out += [line((f"{rows:>9,}  ", "strong"), clean(name)) for name, rows in report.summed_files()]
    compared = sum(report.pairs.values())
    counts = [f"{report.chosen:,} chosen", f"{report.rejected:,} rejected", f"{report.edits:,} edited"]
    counts.append(f"{compared:,} pair{'s' * (compared != 1)}")
    out += [EMPTY, *wrap(", ".join(counts), width)]
    if report.dropped:
        out += [EMPTY, line(("left out", "title"))]
        out += [line((f"{count:>9,}  ", "quiet"), reason) for reason, count in report.dropped.items()]
    if report.warnings:
        out.append(EMPTY)
        out += [content for warning in report.warnings for content in wrap(warning, width, "warning")]
    return out
