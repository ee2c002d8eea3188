"""Pane 1: what sits in VRAM and for how long, and what is installed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct
from textual.binding import Binding

from timmy_tui.services.gpu import GpuReading, disagrees
from timmy_tui.services.ollama.records import InstalledModel, LoadedModel, PullProgress
from timmy_tui.services.ollama.rules import expiry, gpu_share, match_installed, processor_text
from timmy_tui.services.reading import Reading
from timmy_tui.services.snapshot import OllamaServer
from timmy_tui.services.usage.today import UsageToday
from timmy_tui.text import bytes_text, context_text, countdown_text, duration_text, percent_text
from timmy_tui.widgets.line import EMPTY, Line, Span, crop, joined, line, spread, width_of
from timmy_tui.widgets.pane import Pane, View, not_fresh, trouble
from timmy_tui.widgets.table import Cell, bar, row
from timmy_tui.widgets.use_cells import use_cells

WIDE = 66
NAME_MIN = 16
SECONDS_SHOW_S = 130.0
"""A countdown below this is told in seconds."""
ACTIONS = Binding.Group("model", compact=True)


class ModelRow(Struct, frozen=True):
    """One entry: a model of one server, loaded or not."""

    server: str
    name: str
    installed: InstalledModel | None
    loaded: LoadedModel | None
    stale: bool


class ModelsPane(Pane):
    """Models of every configured server: loaded first, then installed; pulls on top."""

    BINDINGS = [
        Binding("l", "screen.load", "load", id="model.load", tooltip="Load the model into memory", group=ACTIONS),
        Binding("x", "screen.unload", "unload", id="model.unload", tooltip="Unload the model (asks)", group=ACTIONS),
        Binding("K", "screen.keep", "keep", id="model.keep", tooltip="Keep the model loaded", group=ACTIONS),
        Binding("P", "screen.pull", "pull", id="model.pull", tooltip="Download a model", group=ACTIONS),
    ]
    HELP = "Models in VRAM come first, with their countdown; the rest is on disk or in the cloud."

    def __init__(self) -> None:
        super().__init__(1, "Models", id="models")
        self.servers: tuple[OllamaServer, ...] = ()
        self.gpu: Reading[GpuReading] = Reading()
        self._used: UsageToday | None = None
        self.pulls: Mapping[tuple[str, str], PullProgress] = {}
        self.busy: Mapping[tuple[str, str], str] = {}
        self._rows: dict[str, ModelRow] = {}
        self._shown: tuple[str, ...] = ()

    def update(
        self,
        servers: tuple[OllamaServer, ...],
        gpu: Reading[GpuReading],
        pulls: Mapping[tuple[str, str], PullProgress],
        busy: Mapping[tuple[str, str], str],
        look: View,
        used: UsageToday | None = None,
    ) -> None:
        """Show these servers; ``pulls`` and ``busy`` are this console's own work, by (server, model).

        ``used`` is what the models did today.
        """
        self._used = used
        if servers != self.servers or not self._rows:
            self.servers = servers
            self._rows = {f"{entry.server}\0{entry.name}": entry for entry in _model_rows(servers)}
        self.gpu, self.pulls, self.busy, self.look = gpu, pulls, busy, look
        self.redraw()

    @property
    def restless(self) -> bool:
        """A countdown runs, or something of ours is under way, or a dead server is tried again."""
        return bool(
            self.pulls
            or self.busy
            or any(server.reading.error for server in self.servers)
            or any(
                entry.loaded.expires_at is not None and entry.loaded.expires_at - self.look.now < SECONDS_SHOW_S
                for entry in self._rows.values()
                if entry.loaded
            )
        )

    def selected(self) -> ModelRow | None:
        """The model under the cursor."""
        key = self.cursor_here()
        return self._rows.get(key) if key else None

    def status_line(self) -> Line:
        glyphs = self.look.glyphs
        parts = []
        for server in self.servers:
            reading = server.reading
            state = not_fresh(reading, self.look, Span(f"{glyphs.critical} down", "critical"))
            if state is None:
                latency_ms = reading.value.latency_ms if reading.value else None
                state = line((glyphs.ok, "ok"), (f" {duration_text(latency_ms)}", "quiet"))
            parts.append((*line((f"{server.name} ", "quiet")), *state))
        return joined(parts, line(" "))

    def foot(self) -> Line:
        installed = sum(1 for entry in self._rows.values() if entry.installed)
        loaded = sum(1 for entry in self._rows.values() if entry.loaded)
        if not installed and not loaded:
            return EMPTY
        untold = any(server.reading.value and not server.reading.value.loaded_known for server in self.servers)
        used = "in use unknown" if untold and not loaded else f"{loaded} in use"
        return line((f"{installed} installed {self.look.glyphs.dot} {used}", "quiet"))

    def head(self, width: int, height: int) -> Sequence[Line]:
        lines: list[Line] = []
        for server in self.servers:
            lines.extend(trouble(server.reading, self.look.now, width))
        if lines and self._rows:
            lines.append(EMPTY)
        if any(server.reading.state(self.look.now) == "fresh" for server in self.servers):
            lines.extend(self._vram(width))
            if height > 9 and self._rows:
                lines.append(EMPTY)
        return lines

    def empty(self, width: int) -> Sequence[Line]:
        if any(server.reading.state(self.look.now) == "fresh" for server in self.servers):
            if self.filter_text:
                return [line((f"No model matches “{self.filter_text}”.", "quiet"))]
            command = line(("ollama pull llama3.2:3b", "strong"))
            by_key = line(("Get one with ", "quiet"), ("P", "key"), (" or:  ", "quiet"))
            lines = [(*by_key, *command)] if width >= width_of(by_key) + width_of(command) else [by_key, command]
            return [line("No models installed."), *lines]
        if not any(server.reading.error for server in self.servers):
            return [line(("Asking Ollama…", "quiet"))]
        return ()

    def keys(self) -> Sequence[str]:
        wanted = self.filter_text.casefold()
        pulls = [f"{server}\0\0{name}" for server, name in self.pulls]
        rows = [key for key, entry in self._rows.items() if wanted in entry.name.casefold()]
        return [*pulls, *rows]

    def entry(self, key: str, width: int) -> Sequence[Line]:
        if "\0\0" in key:
            server, name = key.split("\0\0")
            return [self._pull_line(name, self.pulls[server, name], width)]
        return [self._model_line(self._rows[key], width)]

    def _vram(self, width: int) -> list[Line]:
        """The bar of all servers on this machine, or of the one server that is elsewhere."""
        glyphs = self.look.glyphs
        used = sum(server.reading.value.vram_bytes for server in self.servers if server.reading.value)
        gpu = self.gpu.value
        local = all(server.on_this_host for server in self.servers)
        total = gpu.total_bytes if gpu and local else None
        configured = [server.vram_total_bytes for server in self.servers if server.vram_total_bytes]
        total = sum(configured) if configured else total
        if total is None:
            return [line("VRAM ", (bytes_text(used), "strong"), ("  by Ollama's estimate; total n/a", "quiet"))]
        figures = line((f" {used / 1e9:.1f}/{total / 1e9:.1f} GB", "strong"))
        room = max(4, width - 5 - width_of(figures))
        share = used / total
        lines = [
            (
                *line("VRAM "),
                *bar(share, room, glyphs.bar_full, glyphs.bar_empty, role="bar-over" if share > 0.92 else "bar"),
                *figures,
            )
        ]
        driver = gpu.used_bytes if gpu and local else None
        if driver is not None and disagrees(used, driver):
            lines.append(
                line(
                    (f"{glyphs.changed} driver says {bytes_text(driver)} in use", "warning"),
                    (f", Ollama estimates {bytes_text(used)}", "quiet"),
                )
            )
        return lines

    def _model_line(self, entry: ModelRow, width: int) -> Line:
        glyphs, loaded, installed = self.look.glyphs, entry.loaded, entry.installed
        details = loaded or installed
        name = f"{entry.name}" if len(self.servers) == 1 else f"{entry.name}  {glyphs.dot} {entry.server}"
        quant = Cell((details.quantization or "") if details else "", 7, 4, "quiet", to_right=False)
        working = self.busy.get((entry.server, entry.name))
        today = use_cells(self._used.of_model(entry.name)) if self._used is not None and self._used.models else []
        if loaded is not None:
            split = gpu_share(loaded.size_bytes, loaded.size_vram_bytes)
            sign = glyphs.ok if split is None or split >= 1 else glyphs.half
            role = "ok" if not entry.stale else "quiet"
            lead = line((f"{glyphs.stale if entry.stale else sign} ", role))
            processor = processor_text(loaded.size_bytes, loaded.size_vram_bytes)
            if "/" in processor and width < WIDE:
                processor = f"{percent_text(split or 0).replace(' ', '')} GPU"
            cells = [
                Cell(bytes_text(loaded.size_bytes), 7),
                quant,
                Cell(
                    processor,
                    15 if width >= WIDE else 8,
                    2,
                    "quiet" if processor == "100% GPU" else "warning",
                ),
                Cell(context_text(loaded.context_length), 4, 3, "quiet"),
                Cell(working or self._until(loaded), 7, 1, "info" if working else "text"),
                *today,
            ]
            return row(lead, line((name, "strong")), cells, width, flex_min=NAME_MIN)
        remote = installed is not None and installed.remote
        where = working or ("cloud" if remote else "on disk")
        cells = [
            Cell("" if remote else bytes_text(installed.size_bytes if installed else None), 7, 0, "quiet"),
            quant,
            Cell("", 15 if width >= WIDE else 8, 2),
            Cell("", 4, 3),
            Cell(where, 7, 1, "info" if working else "quiet"),
            *today,
        ]
        sign = glyphs.stale if entry.stale else glyphs.cloud if remote else glyphs.off
        return row(line((f"{sign} ", "quiet")), line((name, "quiet")), cells, width, flex_min=NAME_MIN)

    def _until(self, loaded: LoadedModel) -> str:
        until = expiry(loaded, self.look.now)
        if until.kind == "counting" and until.seconds is not None:
            return countdown_text(until.seconds)
        return "busy" if until.kind == "busy" else until.text

    def _pull_line(self, name: str, progress: PullProgress, width: int) -> Line:
        glyphs = self.look.glyphs
        if not progress.total_bytes:
            return spread(line(("↓ ", "info"), (name, "strong")), line((progress.status, "quiet")), width)
        share = progress.completed_bytes / progress.total_bytes
        figures = line(
            (f" {percent_text(share)}", "strong"),
            (f"  {progress.completed_bytes / 1e9:.1f}/{progress.total_bytes / 1e9:.1f} GB", "quiet"),
        )
        label = crop(line(("↓ ", "info"), (name, "strong")), width - width_of(figures) - 5)
        label = (*label, Span(" "))
        room = width - width_of(label) - width_of(figures)
        return (*label, *bar(share, max(4, room), glyphs.bar_full, glyphs.bar_empty), *figures)


def _model_rows(servers: tuple[OllamaServer, ...]) -> list[ModelRow]:
    loaded_rows: list[ModelRow] = []
    other_rows: list[ModelRow] = []
    for server in servers:
        value = server.reading.value
        if value is None:
            continue
        stale = server.reading.error is not None
        taken: set[str] = set()
        for loaded in value.loaded:
            installed = match_installed(loaded, value.installed)
            taken.add(installed.name if installed else loaded.name)
            loaded_rows.append(ModelRow(server.name, loaded.name, installed, loaded, stale))
        other_rows.extend(
            ModelRow(server.name, model.name, model, None, stale)
            for model in sorted(value.installed, key=lambda model: model.remote)
            if model.name not in taken
        )
    return [*loaded_rows, *other_rows]
