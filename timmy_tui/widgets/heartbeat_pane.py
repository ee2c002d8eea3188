"""Pane 3: does the heartbeat beat, and how severe is it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from textual.message import Message

from timmy_tui.services.reading import Reading
from timmy_tui.services.ticks.records import HeartbeatReading, Tick, TickHead
from timmy_tui.services.worker.records import TickProgress
from timmy_tui.text import duration_text, local_moment, moment_text, span_text
from timmy_tui.widgets.line import EMPTY, Line, Span, fitting, line, spread, width_of, wrap
from timmy_tui.widgets.pane import Pane, View, not_fresh, trouble
from timmy_tui.widgets.table import Cell, row

STRIP_S = 86_400.0
ROOM_FOR_TODAY = 44
"""Cells from which on the counts say of which day they are."""

WORST = {"ok": 1, "fallback": 2, "unknown": 3, "warning": 4, "critical": 5}
ROLES = {
    "ok": "ok",
    "warning": "warning",
    "critical": "critical",
    "fallback": "fallback",
    "unknown": "unknown",
}


class HeartbeatPane(Pane):
    """A strip of the last day, the selected tick's decision in full, the counts, and older ticks below.

    The cursor follows the newest tick until the operator moves it; ``j``/``k`` walk through the day.
    """

    HELP = "One cell of the strip is a stretch of the last 24 hours; its worst tick gives the sign."

    class Highlighted(Message):
        """Another tick is selected; its whole record is wanted through :meth:`HeartbeatPane.show_tick`."""

        def __init__(self, head: TickHead) -> None:
            self.head = head
            super().__init__()

    def __init__(self) -> None:
        super().__init__(3, "Heartbeat", id="heartbeat")
        self.reading: Reading[HeartbeatReading] = Reading()
        self._heads: dict[str, TickHead] = {}
        self._keys: tuple[str, ...] = ()
        self._whole: Tick | None = None
        self._following = True
        self._progress: TickProgress | None = None
        self._counted: tuple[HeartbeatReading, int, float, list[TickHead | None]] | None = None

    def update(self, reading: Reading[HeartbeatReading], look: View, progress: TickProgress | None = None) -> None:
        """Show this reading, and how a tick that was asked for stands."""
        self._progress = progress
        if reading.value is not self.reading.value:
            value = reading.value
            heads = list(value.recent) if value else []
            if value and value.last and not heads:
                heads = [tick.head for tick in (value.previous, value.last) if tick]
            self._heads = {_key(head): head for head in reversed(heads)}
            if self._following:
                self.cursor_key = None
            self._filter()
        self.reading, self.look = reading, look
        self.redraw()
        self._announce()

    @property
    def restless(self) -> bool:
        """A tick is under way, or a log that is not there is looked for again."""
        return self.reading.error is not None or (self._progress is not None and not self._progress.ended)

    def follow_newest(self) -> None:
        """Select the newest tick, and the next ones as they come; a filter could hide it, so it goes."""
        self._following = True
        self.cursor_key = None
        self.filter_text = ""
        self.redraw()
        self._announce()

    def show_tick(self, tick: Tick) -> None:
        """The whole record of the selected tick has been read."""
        self._whole = tick
        self.redraw()

    def selected(self) -> TickHead | None:
        """The tick under the cursor."""
        key = self.cursor_here()
        return self._heads.get(key) if key else None

    def watch_filter_text(self) -> None:
        self._filter()
        super().watch_filter_text()

    def _filter(self) -> None:
        wanted = self.filter_text.casefold()
        self._keys = tuple(
            key
            for key, head in self._heads.items()
            if not wanted or wanted in f"{head.severity} {head.model or ''} {head.tick_id} {head.summary}".casefold()
        )

    def _select(self, keys: Sequence[str], index: int) -> None:
        super()._select(keys, index)
        self._following = self.cursor_key == keys[0]
        self._announce()

    def _announce(self) -> None:
        head = self.selected()
        if head is not None and self._tick_of(head) is None:
            self.post_message(self.Highlighted(head))

    def _tick_of(self, head: TickHead) -> Tick | None:
        value = self.reading.value
        candidates = (self._whole, value.last if value else None, value.previous if value else None)
        return next((tick for tick in candidates if tick and tick.head.place == head.place), None)

    def status_line(self) -> Line:
        glyphs, now, value = self.look.glyphs, self.look.now, self.reading.value
        if self._progress is not None:
            return _progress_line(self._progress, self.look)
        state = not_fresh(self.reading, self.look, Span(f"{glyphs.off} no log", "warning"))
        if state is not None:
            return state
        if value is None or value.last is None:
            if value is not None and value.unreadable is not None:
                return line((f"{glyphs.critical} unreadable", "critical"))
            return line((f"{glyphs.off} no ticks yet", "quiet"))
        if value.ahead is not None and not value.overdue(now):
            return line((f"{glyphs.warning} a tick is in the future", "warning"))
        every = line((f"every {value.every_s / 60:g} m ", "quiet"))
        due = value.next_at()
        if value.overdue(now) and due is not None:
            late = line((f"{glyphs.warning} overdue {span_text(now - due)}", "warning"))
            return late if width_of(every) + width_of(late) > self.status_room else (*every, *late)
        if due is not None and value.late(now):
            return (*every, *line((f"{glyphs.warning} late {span_text(now - due)}", "warning")))
        return (*every, *line((f"{glyphs.ok} on time", "ok")))

    def foot(self) -> Line:
        value = self.reading.value
        parts = []
        if value and value.counting:
            parts.append(line(("still counting", "quiet")))
        if value and value.bad_lines:
            parts.append(line((f"{value.bad_lines} bad line{'s' * (value.bad_lines != 1)}", "warning")))
        if value and value.incomplete_line:
            parts.append(line(("1 incomplete line", "quiet")))
        if value and value.note:
            parts.append(line((value.note, "quiet")))
        if value and value.unlabelled:
            parts.append(line(("r", "key"), (f" review {value.unlabelled:,} of 24 h", "quiet")))
        return fitting(parts, line((f" {self.look.glyphs.dot} ", "frame")), self.foot_room)

    def head(self, width: int, height: int) -> Sequence[Line]:
        lines = [*self._failure(width), *trouble(self.reading, self.look.now, width, absent="warning")]
        value = self.reading.value
        if value is None:
            return lines
        if lines:
            lines.append(EMPTY)
        if value.last is None:
            return lines
        lines.append(self._day_strip(value, width))
        if height > 14:
            lines.append(_axis(self.look.now, width))
        selected = self.selected()
        counts = [_counts(value, self.look, width)] if height > 4 else []
        if selected is not None:
            room = height - len(lines) - len(counts)
            roomy = height > 11
            decision = self._decision(selected, width, height)
            spare = room - len(decision)
            if spare < 0:
                decision = decision[: max(1, room)]
                decision[-1] = spread(decision[-1], line((" enter for all", "quiet")), width)
            if roomy and spare >= 2:
                decision = [EMPTY, *decision, EMPTY]
            elif counts and spare >= 1:
                decision.append(EMPTY)
            lines.extend(decision)
        lines.extend(counts)
        if height - len(lines) >= 3:
            lines.append(EMPTY)
        return lines

    def _failure(self, width: int) -> list[Line]:
        """Why the tick that was asked for did not come, until the next one is asked for."""
        progress = self._progress
        if progress is None or not progress.ended or not progress.reason:
            return []
        return wrap(f"{self.look.glyphs.critical} {progress.reason}", width, "critical", limit=3)

    def empty(self, width: int) -> Sequence[Line]:
        value = self.reading.value
        if value is None:
            return () if self.reading.error else [line(("Reading the tick log…", "quiet"))]
        if self.filter_text:
            return [line((f"No tick matches “{self.filter_text}”.", "quiet"))]
        if value.unreadable is not None:
            mend = "A tick is one JSON object a line, in UTF-8."
            told = f"{self.look.glyphs.critical} {sentence(value.unreadable)}"
            return [*wrap(told, width, "critical", limit=4), *wrap(mend, width, "strong")]
        return wrap("The log is empty: the first tick will show here.", width, "quiet")

    def keys(self) -> Sequence[str]:
        return self._keys

    def entry(self, key: str, width: int) -> Sequence[Line]:
        head, glyphs = self._heads[key], self.look.glyphs
        role = ROLES[head.severity]
        lead = line((f"{_time(head.at)} ", "quiet"), (f"{glyphs.severity(head.severity)} {head.severity:<8} ", role))
        cells = [
            Cell(head.model or "rules", 18, 1, "quiet", to_right=False),
            Cell(head.label or "", 8, 2, "info", to_right=False),
        ]
        return [row(lead, line(head.summary), cells, width, flex_min=44)]

    def _day_strip(self, value: HeartbeatReading, width: int) -> Line:
        """One cell per stretch of the last 24 h, aligned to the clock so that it does not shimmer."""
        bucket_s = STRIP_S / width
        end = math.ceil(self.look.now / bucket_s) * bucket_s
        cells = self._cells(value, width, end)
        selected = self.selected()
        marked = -1
        if selected is not None and selected.at is not None and self.has_focus:
            marked = width - 1 - int((end - selected.at) // bucket_s)
        glyphs = self.look.glyphs
        spans: list[Span] = []
        for index, cell in enumerate(cells):
            text, role = (glyphs.dot, "bar-empty") if cell is None else (glyphs.severity(cell.severity), cell.severity)
            if index == marked:
                role = f"{role}!"
            if spans and spans[-1].role == role:
                spans[-1] = Span(spans[-1].text + text, role)
            else:
                spans.append(Span(text, role))
        return tuple(spans)

    def _cells(self, value: HeartbeatReading, width: int, end: float) -> list[TickHead | None]:
        """The worst tick of each stretch; counted anew only when a tick came or the strip moved on by a cell."""
        if self._counted is not None and self._counted[0] is value and self._counted[1:3] == (width, end):
            return self._counted[3]
        bucket_s = STRIP_S / width
        cells: list[TickHead | None] = [None] * width
        for head in value.recent:
            if head.at is None:
                continue
            index = width - 1 - int((end - head.at) // bucket_s)
            if 0 <= index < width:
                there = cells[index]
                if there is None or WORST[head.severity] >= WORST[there.severity]:
                    cells[index] = head
        self._counted = (value, width, end, cells)
        return cells

    def _decision(self, head: TickHead, width: int, height: int) -> list[Line]:
        glyphs, tick = self.look.glyphs, self._tick_of(head)
        who = head.model or ("model" if head.by_model else "rules")
        facts = fitting(
            [
                line((_time(head.at), "strong")),
                line((f"{glyphs.severity(head.severity)} {head.severity}", ROLES[head.severity])),
                line((who, "quiet")),
                line((duration_text(tick.duration_ms), "quiet")) if tick and tick.duration_ms is not None else EMPTY,
                line((tick.trigger, "quiet")) if tick and tick.trigger == "manual" else EMPTY,
                line((head.label, "info")) if head.label else EMPTY,
            ],
            line("  "),
            width,
        )
        reasoning = tick.decision.reasoning if tick and tick.decision else head.summary
        lines = [facts, *wrap(reasoning or "(no reasoning)", width, indent="  ", limit=height)]
        actions = (tick.actions or (tick.decision.actions if tick.decision else ())) if tick else ()
        for action in actions:
            role = "warning" if action.upper().startswith("ALERT") else "text"
            wrapped = wrap(action, width - 4, role, limit=height)
            lines.extend(
                line((f"  {glyphs.arrow} " if first == 0 else "    ", role), *content)
                for first, content in enumerate(wrapped)
            )
        return lines


def _progress_line(progress: TickProgress, look: View) -> Line:
    """``● queued``, ``● running 1.3 s``, or that it failed."""
    if progress.ended:
        return line((f"{look.glyphs.critical} {progress.state.replace('_', ' ')}", "critical"))
    if progress.state == "queued":
        return line((f"{look.glyphs.ok} queued", "info"))
    phase = f" {progress.phase}" if progress.phase else ""
    return line((f"{look.glyphs.ok} running {duration_text(progress.elapsed_s * 1000)}{phase}", "info"))


def _counts(value: HeartbeatReading, look: View, width: int) -> Line:
    labels = value.labels
    labelled = labels.chosen + labels.rejected + labels.skipped
    dot = line((f" {look.glyphs.dot} ", "quiet"))
    today = "today " if width >= ROOM_FOR_TODAY else ""  # the strip above goes back to yesterday
    long = line((f"{labelled} labelled", "text"), (f" ({labels.chosen} chosen, {labels.rejected} rejected)", "quiet"))
    parts = [
        line((today, "quiet"), (str(value.model_decisions), "strong"), (" model", "quiet")),
        line(
            (str(value.fallback_decisions), "strong"),
            (" fallback", "fallback" if value.fallback_decisions else "quiet"),
        ),
    ]
    whole = fitting([*parts, long], dot, width)
    return whole if long[0] in whole else fitting([*parts, line((f"{labelled} labelled", "quiet"))], dot, width)


def _axis(now: float, width: int) -> Line:
    """Hours under the strip, each where its time stands."""
    bucket_s = STRIP_S / width
    end = math.ceil(now / bucket_s) * bucket_s
    cells = [" "] * width
    last = local_moment(end)
    if last is None:
        return EMPTY
    hour = last.replace(minute=0, second=0, microsecond=0)
    for back in range(25):
        moment = hour.timestamp() - back * 3600
        label = moment_text(moment, "%H")
        if not label.isdigit() or int(label) % 3:
            continue
        at = width - 1 - int((end - moment) // bucket_s)
        if at >= 0 and at + 2 <= width and all(cell == " " for cell in cells[max(0, at - 1) : at + 3]):
            cells[at : at + 2] = list(label)
    return line(("".join(cells), "quiet"))


def sentence(text: str) -> str:
    """``text`` with a capital first letter and a full stop."""
    return f"{text[:1].upper()}{text[1:]}."


def _time(at: float | None) -> str:
    return moment_text(at, "%H:%M", unknown="--:--")


def _key(head: TickHead) -> str:
    return f"{head.place.path}:{head.place.offset}:{head.tick_id}"
