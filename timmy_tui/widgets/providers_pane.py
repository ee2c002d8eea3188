"""Pane 4: which providers answer, how fast, and when a tripped one is tried again."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len

from timmy_tui.services.providers.records import ProvidersReading, ProviderStatus
from timmy_tui.services.reading import Reading
from timmy_tui.services.usage.today import UsageToday
from timmy_tui.text import count_text, duration_text, percent_text, span_text, timer_text
from timmy_tui.widgets.line import EMPTY, Line, Span, crop, fit, fitting, joined, line
from timmy_tui.widgets.pane import Pane, View, clock_of, not_fresh, trouble
from timmy_tui.widgets.table import Cell, row
from timmy_tui.widgets.use_cells import use_cells

TIMER_BELOW_S = 600.0
"""A longer wait for the next try is told in minutes or hours: its seconds would not fit."""

ROOMY = 5
"""Rows per provider from which on each gets its address and model too."""


class ProvidersPane(Pane):
    """The cascade in order of priority."""

    HELP = "Providers in the order in which a call tries them; enter shows a provider's history."

    def __init__(self) -> None:
        super().__init__(4, "Providers", id="providers")
        self.reading: Reading[ProvidersReading] = Reading()
        self._used: UsageToday | None = None
        self.usual_model: str | None = None

    def update(
        self,
        reading: Reading[ProvidersReading],
        look: View,
        used: UsageToday | None = None,
        usual_model: str | None = None,
    ) -> None:
        """Show this reading; ``used`` is what the providers did today, ``usual_model`` whom the heartbeat asks."""
        self.reading, self.look, self._used, self.usual_model = reading, look, used, usual_model
        self.redraw()

    @property
    def restless(self) -> bool:
        """A provider that is down counts down to its next try."""
        providers = self.reading.value.providers if self.reading.value else ()
        return self.reading.error is not None or any(
            provider.next_probe_at is not None and (provider.circuit == "open" or provider.state == "down")
            for provider in providers
        )

    def selected(self) -> ProviderStatus | None:
        """The provider under the cursor."""
        key = self.cursor_here()
        return self._by_name().get(key) if key else None

    def status_line(self) -> Line:
        value = self.reading.value
        state = not_fresh(self.reading, self.look, Span(f"{self.look.glyphs.critical} unknown", "critical"))
        if state is not None:
            return state
        if value is None:
            return EMPTY
        return line(("cascade" if value.configured else "found here", "quiet"))

    def foot(self) -> Line:
        value = self.reading.value
        if value is None or not value.providers:
            return EMPTY
        enabled = [provider for provider in value.providers if provider.state != "disabled"]
        up = sum(1 for provider in enabled if provider.state == "up" and provider.circuit != "open")
        parts = [line((f"{up} of {len(enabled)} up", "quiet"))]
        if self.usual_model:
            parts.append(line((f"heartbeat asks {self.usual_model}", "quiet")))
        return fitting(parts, line((f" {self.look.glyphs.dot} ", "quiet")), self.foot_room)

    def head(self, width: int, height: int) -> Sequence[Line]:
        return trouble(self.reading, self.look.now, width)

    def empty(self, width: int) -> Sequence[Line]:
        value = self.reading.value
        if value is None:
            return () if self.reading.error else [line(("Asking the providers…", "quiet"))]
        if self.filter_text:
            return [line((f"No provider matches “{self.filter_text}”.", "quiet"))]
        return [line("No provider was found here."), line(("The rules alone decide.", "quiet"))]

    def keys(self) -> Sequence[str]:
        wanted = self.filter_text.casefold()
        return [name for name in self._by_name() if wanted in name.casefold()]

    def entry(self, key: str, width: int) -> Sequence[Line]:
        providers = self._by_name()
        provider, now = providers[key], self.look.now
        word, role = self.state_words(provider)
        off = provider.state == "disabled"
        # A long name gives way before "next try 0:41" does.
        name_width = min(16, max(6, width - 30), max(cell_len(name) for name in providers))
        lead: Line = (
            *line((f"{list(providers).index(key) + 1} ", "quiet")),
            *fit(line((provider.name, "quiet" if off else "strong")), name_width),
            *line((f"  {word:<11}  ", role)),
        )
        if off or (provider.state == "unknown" and provider.note):
            # Why it is off says more than figures it does not have.
            return [row(lead, line((provider.note or "switched off", "quiet")), [], width)]
        speed, share = _figures(provider)
        wait = None if provider.next_probe_at is None else provider.next_probe_at - now
        bad = provider.circuit == "open" or provider.state == "down"
        if bad and wait is not None:
            left = timer_text(wait) if wait < TIMER_BELOW_S else span_text(wait)
            speed = f"next try {left}" if wait > 0 else "try due"
            share = self._fails(provider.failures)
        cells = [Cell(share, 8, 1, "critical" if bad else "quiet"), Cell(provider.version or "", 8, 2, "quiet")]
        if self._used is not None and self._used.providers:
            cells += use_cells(self._used.of_provider(provider.name))
        lines = [row(lead, line((speed, "warning" if bad else "text")), cells, width, flex_min=13)]
        if provider.last_error and (provider.circuit != "closed" or provider.state == "down"):
            when = f" {clock_of(provider.last_error_at)}" if provider.last_error_at is not None else ""
            lines.append(crop(line(("  ", "quiet"), (provider.last_error, role), (when, "quiet")), width))
        if self.size.height >= ROOMY * len(providers):
            lines.extend([crop((*line("  "), *provider_facts(provider)), width), EMPTY])
        return lines

    def state_words(self, provider: ProviderStatus) -> tuple[str, str]:
        """Glyph and word of a provider, with their role."""
        glyphs = self.look.glyphs
        if provider.state == "disabled":
            return f"{glyphs.off} off", "quiet"
        if provider.circuit == "open":
            return f"{glyphs.critical} open", "critical"
        if provider.circuit == "half_open":
            return f"{glyphs.half} half-open", "warning"
        if provider.state == "down":
            return f"{glyphs.critical} down", "critical"
        if provider.state == "unknown":
            return f"{glyphs.unknown} unknown", "unknown"
        return f"{glyphs.ok} closed", "ok"

    def _fails(self, failures: int) -> str:
        """``5 fails``, ``12.3k ✖``: eight cells at most."""
        if failures >= 100:
            return f"{count_text(failures)} {self.look.glyphs.critical}"
        return f"{failures} fail{'s' * (failures != 1)}" if failures else ""

    def _by_name(self) -> dict[str, ProviderStatus]:
        return {provider.name: provider for provider in self.reading.value.providers} if self.reading.value else {}


def _figures(provider: ProviderStatus) -> tuple[str, str]:
    if provider.p50_latency_ms is not None:
        speed = f"p50 {duration_text(provider.p50_latency_ms)}"
    elif provider.avg_latency_ms is not None:
        speed = f"avg {duration_text(provider.avg_latency_ms)}"
    else:
        speed = f"ping {duration_text(provider.probe_latency_ms)}" if provider.probe_latency_ms is not None else ""
    share = "" if not provider.requests else percent_text(1 - provider.failures / provider.requests)
    return speed, share


def provider_facts(provider: ProviderStatus) -> Line:
    """Type, address and model in one quiet line."""
    return joined(
        [line((text, "quiet")) for text in (provider.type, provider.address or "", provider.model or "") if text],
        line((" · ", "quiet")),
    )
