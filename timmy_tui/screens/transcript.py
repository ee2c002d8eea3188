"""A session's transcript as lines: its facts, then message by message what was said, thought and called."""

from __future__ import annotations

from timmy_tui.glyphs import Glyphs
from timmy_tui.services.hermes.records import Message, SessionSummary, ToolCall, Transcript
from timmy_tui.text import moment_text, span_text
from timmy_tui.widgets.laid_out import LaidOut, Layout
from timmy_tui.widgets.line import EMPTY, Line, line, wrap
from timmy_tui.widgets.reader import facts

NARROWEST = 24
"""Cells that a line gets at least; a megabyte in columns of four would be a million rows."""

RESULT_LINES = 24
ROLE_STYLES = {"user": "info", "assistant": "ok", "tool": "fallback"}


class TranscriptLines:
    """Lays the transcripts of one session out: of a message that is known in the width, nothing is done again.

    Works in any thread: what is kept is replaced as a whole.
    """

    def __init__(self, glyphs: Glyphs) -> None:
        self._glyphs = glyphs
        self._kept: tuple[int, dict[int, tuple[Message, LaidOut]]] = (-1, {})
        """A width, and by their ids the messages that were laid out in it."""

    def layout(self, transcript: Transcript, now: float) -> Layout:
        """The layout of ``transcript``, its ages as of ``now``."""
        return lambda width: self._lay_out(transcript, now, width)

    def _lay_out(self, transcript: Transcript, now: float, width: int) -> LaidOut:
        width = max(width, NARROWEST)
        kept_width, kept = self._kept
        known = kept if kept_width == width else {}
        shown: dict[int, tuple[Message, LaidOut]] = {}
        head: list[Line] = facts(_session_facts(transcript.session, now), width)
        if transcript.left_out:
            head.extend([EMPTY, line((f"{transcript.left_out:,} older messages are left out.", "quiet"))])
        if not transcript.messages:
            head.extend([EMPTY, line(("No message is stored for this session.", "quiet"))])
        rows = LaidOut(head)
        for message in transcript.messages:
            before = known.get(message.id)
            if before is not None and before[0] == message:
                shown[message.id] = before
            else:
                shown[message.id] = message, LaidOut([EMPTY, *_message_lines(message, width, self._glyphs)])
            rows.extend(shown[message.id][1])
        self._kept = width, shown
        return rows


def _session_facts(session: SessionSummary, now: float) -> list[tuple[str, str]]:
    tokens = session.tokens
    cost = "unpriced" if session.cost_usd is None else f"${session.cost_usd:,.4f}"
    pairs = [
        ("session", session.id),
        ("source", session.source + (" (archived)" if session.archived else "")),
        ("model", f"{session.model or 'unknown'} ({session.place})"),
        ("started", f"{moment_text(session.started_at, '%H:%M:%S')}, {span_text(now - session.started_at)} ago"),
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


def _message_lines(message: Message, width: int, glyphs: Glyphs) -> list[Line]:
    when = "" if message.at is None else f"  {moment_text(message.at, '%H:%M:%S')}"
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
