"""One provider: its circuit, its figures, and what happened to it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from textual import work

from timmy_tui.screens.document import DocumentScreen
from timmy_tui.services.providers.metrics import ProviderEvent, read_provider_events
from timmy_tui.services.providers.records import ProviderStatus
from timmy_tui.services.reading import SourceError
from timmy_tui.services.snapshot import Snapshot
from timmy_tui.text import duration_text, moment_text, percent_text, span_text, timer_text
from timmy_tui.widgets.laid_out import KeptLines
from timmy_tui.widgets.line import EMPTY, Line, line, wrap
from timmy_tui.widgets.pane import clock_of
from timmy_tui.widgets.reader import facts, heading


class ProviderScreen(DocumentScreen):
    """A provider's history: probes of this run, events of all."""

    BINDING_GROUP_TITLE = "Provider"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._provider_name = name
        self._events: tuple[ProviderEvent, ...] = ()
        self._no_events = "reading…"
        self._kept = KeptLines()

    def fill(self) -> None:
        self._show()
        self._read_events()

    def snapshot_changed(self, snapshot: Snapshot) -> None:
        self._show()
        self._read_events()

    def clock_ticked(self, now: float) -> None:
        self._show()

    @work(group="events", exclusive=True, exit_on_error=False, description="read a provider's events")
    async def _read_events(self) -> None:
        path = self.console.settings.database_path
        try:
            self._events = await asyncio.to_thread(read_provider_events, path, self._provider_name)
        except SourceError as error:
            self._no_events = error.message
        else:
            self._no_events = "none recorded"
        self._show()

    def _show(self) -> None:
        value = self.console.snapshot.providers.value
        provider = (
            next((entry for entry in value.providers if entry.name == self._provider_name), None) if value else None
        )
        now = self.console.clock()
        self.reader.read(lambda width: self._lines(provider, now, width), keep_place=True)

    def _lines(self, provider: ProviderStatus | None, now: float, width: int) -> Sequence[Line]:
        glyphs = self.console.glyphs
        if provider is None:
            return [line((f"{self._provider_name} is not in the cascade any more.", "warning"))]
        calm = (provider, self._events, self._no_events)
        return [
            heading("Now", width, glyphs),
            *facts(_status_facts(provider, now), width),
            *self._kept.lines(calm, width, lambda width: self._calm_lines(provider, width)),
        ]

    def _calm_lines(self, provider: ProviderStatus, width: int) -> list[Line]:
        """What no clock changes: the last error, probes, events."""
        glyphs = self.console.glyphs
        out: list[Line] = []
        if provider.last_error:
            when = "" if provider.last_error_at is None else f" at {clock_of(provider.last_error_at)}"
            out.extend(
                [
                    EMPTY,
                    heading(f"Last error{when}", width, glyphs),
                    *wrap(provider.last_error, width, "warning"),
                ]
            )
        out.extend([EMPTY, heading("Probes of this console, newest first", width, glyphs)])
        for probe in reversed(provider.probes):
            sign, role = (glyphs.ok, "ok") if probe.ok else (glyphs.critical, "critical")
            text = duration_text(probe.latency_ms) if probe.ok else (probe.error or "failed")
            out.append(line((f"{clock_of(probe.at)}  ", "quiet"), (f"{sign} ", role), text))
        if not provider.probes:
            out.append(line((provider.note or "none yet", "quiet")))
        out.extend([EMPTY, heading("Events, newest first", width, glyphs)])
        out.extend(map(_event_line, self._events))
        if not self._events:
            out.append(line((self._no_events, "quiet")))
        return out


def _event_line(event: ProviderEvent) -> Line:
    when = moment_text(event.at, "%m-%d %H:%M:%S")
    return line((f"{when}  ", "quiet"), (event.event, "strong"), f"  {event.text}")


def _status_facts(provider: ProviderStatus, now: float) -> list[tuple[str, str]]:
    requests = f"{provider.requests:,}"
    if provider.requests:
        requests += f", {provider.failures:,} failed ({percent_text(1 - provider.failures / provider.requests)} good)"
    pairs = [
        ("state", provider.state + (f": {provider.note}" if provider.note else "")),
        ("circuit", provider.circuit.replace("_", "-")),
        ("type", provider.type),
        ("address", provider.address or "none"),
        ("model", provider.model or "the server's own choice"),
        ("version", provider.version or "?"),
        ("priority", str(provider.priority)),
        ("requests", requests),
        (
            "latency",
            f"p50 {duration_text(provider.p50_latency_ms)}, p95 {duration_text(provider.p95_latency_ms)}, "
            f"average {duration_text(provider.avg_latency_ms)}",
        ),
    ]
    if provider.next_probe_at is not None:
        wait = provider.next_probe_at - now
        what = "next try" if provider.circuit == "open" or provider.state == "down" else "next look"
        pairs.append((what, f"in {timer_text(wait)}" if wait > 0 else "due"))
    if provider.last_error_at is not None:
        pairs.append(("last error", f"{span_text(now - provider.last_error_at)} ago"))
    return pairs
