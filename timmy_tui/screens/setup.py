"""What was found on this machine, and how to get the rest."""

from __future__ import annotations

import os
from collections.abc import Sequence

from textual import work

from timmy_tui.screens.document import DocumentScreen
from timmy_tui.services.doctor.examine import examine
from timmy_tui.services.doctor.findings import Finding
from timmy_tui.services.snapshot import Snapshot
from timmy_tui.widgets.line import EMPTY, Line, line, wrap

ORDER = {"broken": 0, "missing": 1, "note": 2, "ok": 3}


class SetupScreen(DocumentScreen):
    """The doctor's findings, what needs a hand first. Opens by itself on a machine where nothing was found."""

    BINDING_GROUP_TITLE = "Setup"

    def __init__(self) -> None:
        super().__init__("Setup: what was found here")
        self._findings: tuple[Finding, ...] = ()

    def fill(self) -> None:
        self.reader.read(lambda width: [line(("Looking around…", "quiet"))])
        self._look()

    def snapshot_changed(self, snapshot: Snapshot) -> None:
        """Something came up or went away: look again."""
        self._look()

    @work(group="setup", exclusive=True, exit_on_error=False, description="examine the machine")
    async def _look(self) -> None:
        console = self.console
        env = os.environ if console.env is None else console.env
        self._findings = await examine(console.settings, env, console.snapshot, console.clock())
        self.reader.read(self._lines, keep_place=True)

    def _lines(self, width: int) -> Sequence[Line]:
        glyphs = self.console.glyphs
        out: list[Line] = []
        signs = {
            "ok": (glyphs.ok, "ok"),
            "missing": (glyphs.off, "warning"),
            "broken": (glyphs.critical, "critical"),
            "note": (glyphs.dot, "quiet"),
        }
        out.extend(
            wrap(
                "The console shows what is there and needs nothing to be complete. It looks again by itself.",
                width,
                "quiet",
            )
        )
        out.append(EMPTY)
        for finding in sorted(self._findings, key=lambda finding: ORDER[finding.state]):
            sign, role = signs[finding.state]
            wrapped = wrap(finding.text, max(10, width - 24))
            for index, content in enumerate(wrapped):
                lead = line((f"{sign} ", role), (f"{finding.topic:<20}  ", "strong")) if index == 0 else line(" " * 24)
                out.append((*lead, *content))
            if finding.mend:
                out.extend(wrap(finding.mend, width, "key", indent=" " * 24))
        out.extend(
            [
                EMPTY,
                line(("esc", "key"), (" goes to the dashboard; the palette (:) brings this back.", "quiet")),
            ]
        )
        return out
