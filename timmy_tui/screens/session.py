"""One session: its transcript, with tool calls and their results."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from textual import work

from timmy_tui.glyphs import Glyphs
from timmy_tui.screens.document import DocumentScreen
from timmy_tui.services.hermes.records import Message, SessionSummary, ToolCall, Transcript
from timmy_tui.services.reading import SourceError
from timmy_tui.services.snapshot import Snapshot
from timmy_tui.text import count_text, span_text
from timmy_tui.widgets.line import EMPTY, Line, line, wrap
from timmy_tui.widgets.pane import clock_of
from timmy_tui.widgets.reader import facts

RESULT_LINES = 24


class SessionScreen(DocumentScreen):
    """A transcript that grows while its session runs."""

    BINDING_GROUP_TITLE = "Session"

    def __init__(self, session_id: str, find: str = "") -> None:
        super().__init__("Session")
        self._session_id = session_id
        self._find_first = find
        self._transcript: Transcript | None = None
        self._seen: SessionSummary | None = None

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

    @work(group="transcript", exclusive=True, exit_on_error=False, description="read a transcript")
    async def _read(self) -> None:
        store = self.console.monitor.sources.hermes
        first = self._transcript is None
        try:
            transcript = await asyncio.to_thread(store.transcript, self._session_id)
        except SourceError as error:
            if first:
                message = error.message
                self.reader.read(lambda width: wrap(message, width, "critical"))
            else:
                self.notify(error.message, severity="warning", timeout=4, markup=False)
            return
        self._transcript = transcript
        session = transcript.session
        self.reader.title_line = line((session.title or session.id, "title"))
        state = session.state(self.console.clock())
        self.reader.read(
            self._lines,
            status=line((f"{state} · {count_text(session.tokens.total)} tokens", "quiet")),
            follow=state == "running",
            keep_place=not first,
        )
        if first and self._find_first:
            self.reader.find(self._find_first)

    def _lines(self, width: int) -> Sequence[Line]:
        transcript = self._transcript
        if transcript is None:
            return ()
        glyphs, now = self.console.glyphs, self.console.clock()
        out: list[Line] = facts(_session_facts(transcript.session, now), width)
        if transcript.left_out:
            out.extend([EMPTY, line((f"{transcript.left_out:,} older messages are left out.", "quiet"))])
        for message in transcript.messages:
            out.append(EMPTY)
            out.extend(_message_lines(message, width, glyphs))
        if not transcript.messages:
            out.extend([EMPTY, line(("No message is stored for this session.", "quiet"))])
        return out


def _session_facts(session: SessionSummary, now: float) -> list[tuple[str, str]]:
    tokens = session.tokens
    cost = "unpriced" if session.cost_usd is None else f"${session.cost_usd:,.4f}"
    pairs = [
        ("session", session.id),
        ("source", session.source + (" (archived)" if session.archived else "")),
        ("model", f"{session.model or 'unknown'} ({session.place})"),
        ("started", f"{clock_of(session.started_at)}, {span_text(now - session.started_at)} ago"),
        ("state", session.state(now) + (f" ({session.end_reason})" if session.end_reason else "")),
        (
            "tokens",
            f"{tokens.total:,} = in {tokens.input:,} + out {tokens.output:,} + cache "
            f"{tokens.cache_read + tokens.cache_write:,}; reasoning {tokens.reasoning:,} within out",
        ),
        ("cost", cost),
        ("messages", f"{session.message_count}, tool calls {session.tool_call_count}"),
    ]
    if session.parent_id:
        pairs.append(("parent", session.parent_id))
    return pairs


ROLE_STYLES = {"user": "info", "assistant": "ok", "tool": "fallback"}


def _message_lines(message: Message, width: int, glyphs: Glyphs) -> list[Line]:
    when = "" if message.at is None else f"  {clock_of(message.at)}"
    finish = "" if message.finish_reason in (None, "stop", "tool_calls") else f"  {message.finish_reason}"
    out = [line((message.role, ROLE_STYLES.get(message.role, "text")), (when, "quiet"), (finish, "warning"))]
    if message.reasoning:
        out.extend(wrap(message.reasoning, width, "quiet", indent="  " + glyphs.frame[3] + " "))
    if message.text:
        out.extend(wrap(message.text, width, indent="  "))
    for call in message.tool_calls:
        out.extend(_call_lines(call, width, glyphs))
    return out


def _call_lines(call: ToolCall, width: int, glyphs: Glyphs) -> list[Line]:
    took = "" if call.duration_s is None else f"  {span_text(call.duration_s)}"
    sign, role = (glyphs.critical, "critical") if call.failed else (glyphs.ok, "ok")
    if call.result is None:
        sign, role = glyphs.half, "warning"
    out = [line((f"  {glyphs.arrow} ", "quiet"), (call.name, "strong"), (f"  {sign}", role), (took, "quiet"))]
    out.extend(wrap(call.arguments, width, "quiet", indent="      ", limit=RESULT_LINES))
    if call.result is None:
        out.append(line(("      no result is stored", "warning")))
    else:
        out.extend(wrap(call.result, width, "text", indent="      " + glyphs.frame[3] + " ", limit=RESULT_LINES))
    return out
