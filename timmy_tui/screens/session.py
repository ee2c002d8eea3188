"""One session: its transcript, with tool calls and their results."""

from __future__ import annotations

import asyncio

from textual import work

from timmy_tui.screens.document import DocumentScreen
from timmy_tui.screens.transcript import TranscriptLines
from timmy_tui.services.hermes.records import SessionSummary
from timmy_tui.services.reading import SourceError
from timmy_tui.services.snapshot import Snapshot
from timmy_tui.text import count_text
from timmy_tui.widgets.line import line, wrap


class SessionScreen(DocumentScreen):
    """A transcript that grows while its session runs."""

    BINDING_GROUP_TITLE = "Session"

    def __init__(self, session_id: str, find: str = "") -> None:
        super().__init__("Session")
        self._session_id = session_id
        self._find_first = find
        self._lines: TranscriptLines | None = None
        self._seen: SessionSummary | None = None
        self._reading = self._again = False

    def fill(self) -> None:
        self.reader.read(lambda width: [line(("Reading the transcript…", "quiet"))])
        self._read()

    def snapshot_changed(self, snapshot: Snapshot) -> None:
        """Read again when this session's row has changed."""
        value = snapshot.hermes.value
        row = next((row for row in value.sessions if row.id == self._session_id), None) if value else None
        if row is not None and row != self._seen:
            self._seen = row
            self._read()

    def _read(self) -> None:
        """Read now, or once more when what is being read is shown: a long transcript is never overtaken."""
        self._again = True
        if not self._reading:
            self._reading = True
            self._read_until_shown()

    @work(group="transcript", exit_on_error=False, description="read a transcript")
    async def _read_until_shown(self) -> None:
        try:
            while self._again:
                self._again = False
                await self._read_once()
        finally:
            self._reading = False

    async def _read_once(self) -> None:
        store, first = self.console.monitor.sources.hermes, self._lines is None
        try:
            transcript = await asyncio.to_thread(store.transcript, self._session_id)
        except SourceError as error:
            if first:
                message = error.message
                self.reader.read(lambda width: wrap(message, width, "critical"))
            else:
                self.notify(error.message, severity="warning", timeout=4, markup=False)
            return
        if self._lines is None:
            self._lines = TranscriptLines(self.console.glyphs)
        session, now = transcript.session, self.console.clock()
        self.reader.title_line = line((session.title or session.id, "title"))
        state = session.state(now)
        await self.reader.read_aside(
            self._lines.layout(transcript, now),
            status=line((f"{state} · {count_text(session.tokens.total)} tokens", "quiet")),
            follow=state == "running",
            keep_place=not first,
        )
        if first and self._find_first:
            self.reader.find(self._find_first)
