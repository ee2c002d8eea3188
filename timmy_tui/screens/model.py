"""One model: where it sits, what it can, how it was made."""

from __future__ import annotations

from collections.abc import Sequence

from textual import work
from textual.binding import Binding

from timmy_tui.screens.document import DocumentScreen
from timmy_tui.services.ollama.errors import OllamaError
from timmy_tui.services.ollama.records import InstalledModel, LoadedModel, ModelDetails
from timmy_tui.services.ollama.rules import expiry, match_installed, processor_text
from timmy_tui.services.snapshot import Snapshot
from timmy_tui.text import bytes_text, context_text, countdown_text, moment_text
from timmy_tui.widgets.laid_out import KeptLines
from timmy_tui.widgets.line import EMPTY, Line, line, wrap
from timmy_tui.widgets.reader import facts, heading


class ModelScreen(DocumentScreen):
    """A model's details; the live part follows the clock."""

    BINDING_GROUP_TITLE = "Model"
    BINDINGS = [
        Binding("l", "load", "load", id="model.load"),
        Binding("x", "unload", "unload", id="model.unload"),
        Binding("K", "keep", "keep", id="model.keep"),
    ]

    def __init__(self, server: str, model: str) -> None:
        super().__init__(model)
        self._server, self._model = server, model
        self._details: ModelDetails | None = None
        self._trouble = ""
        self._kept = KeptLines()

    def fill(self) -> None:
        self._show()
        self._read_details()

    def snapshot_changed(self, snapshot: Snapshot) -> None:
        self._show()

    def clock_ticked(self, now: float) -> None:
        self._show()

    def _find(self) -> tuple[InstalledModel | None, LoadedModel | None]:
        for server in self.console.snapshot.ollama:
            if server.name != self._server or server.reading.value is None:
                continue
            value = server.reading.value
            installed = next((model for model in value.installed if model.name == self._model), None)
            loaded = next((model for model in value.loaded if model.name == self._model), None)
            if loaded is None and installed is not None:
                loaded = next(
                    (model for model in value.loaded if match_installed(model, value.installed) is installed),
                    None,
                )
            if installed is None and loaded is not None:
                installed = match_installed(loaded, value.installed)
            return installed, loaded
        return None, None

    def _show(self) -> None:
        installed, loaded = self._find()
        status = line((self._server, "quiet"))
        now = self.console.clock()
        self.reader.read(lambda width: self._lines(installed, loaded, now, width), status=status, keep_place=True)

    def _lines(
        self, installed: InstalledModel | None, loaded: LoadedModel | None, now: float, width: int
    ) -> Sequence[Line]:
        glyphs = self.console.glyphs
        out: list[Line] = [heading("In memory", width, glyphs)]
        if loaded is not None:
            processor = processor_text(loaded.size_bytes, loaded.size_vram_bytes)
            until = expiry(loaded, now)
            time_left = countdown_text(until.seconds) if until.kind == "counting" and until.seconds else until.text
            pairs = [
                ("size", bytes_text(loaded.size_bytes)),
                (
                    "on the GPU",
                    f"{bytes_text(loaded.size_vram_bytes)}  ({processor}, Ollama's estimate)",
                ),
                ("context", f"{context_text(loaded.context_length)} tokens per slot"),
                ("leaves memory", time_left),
            ]
            out.extend(facts(pairs, width))
        else:
            out.append(line(("Not loaded. ", "quiet"), ("l", "key"), (" loads it.", "quiet")))
        calm = (installed, self._details, self._trouble)
        out.extend(self._kept.lines(calm, width, lambda width: self._calm_lines(installed, width)))
        return out

    def _calm_lines(self, installed: InstalledModel | None, width: int) -> list[Line]:
        """What no clock changes, and may be long."""
        glyphs, details = self.console.glyphs, self._details
        out: list[Line] = []
        if installed is not None:
            out.extend([EMPTY, heading("On disk", width, glyphs), *facts(_installed_facts(installed), width)])
        if details is None:
            text = self._trouble or "Asking Ollama for the rest…"
            return [*out, EMPTY, *wrap(text, width, "warning" if self._trouble else "quiet")]
        out += [EMPTY, heading("Model", width, glyphs)]
        pairs = [
            ("architecture", details.architecture or "?"),
            ("trained context", f"{context_text(details.trained_context_length)} tokens"),
            ("capabilities", ", ".join(details.capabilities) or "?"),
        ]
        out.extend(facts(pairs, width))
        if details.parameters:
            out.extend([EMPTY, heading("Parameters", width, glyphs), *facts(details.parameters, width)])
        sections = (
            ("System", details.system),
            ("Template", details.template),
            ("License", details.license),
        )
        for title, section in sections:
            if section:
                out.extend([EMPTY, heading(title, width, glyphs), *wrap(section, width, limit=400)])
        if details.info:
            out.extend([EMPTY, heading("Model info", width, glyphs), *facts(details.info, width)])
        return out

    @work(group="details", exclusive=True, exit_on_error=False, description="ask for a model's details")
    async def _read_details(self) -> None:
        installed, _ = self._find()
        if installed is not None and installed.remote:
            self._trouble = "A cloud model: asking for its details would leave this machine, so it is not done."
            self._show()
            return
        digest = installed.digest if installed else ""
        try:
            self._details = await self.console.monitor.sources.ollama[self._server].details(self._model, digest)
        except OllamaError as error:
            self._trouble = error.message
        self._show()

    def action_load(self) -> None:
        """Load this model."""
        if not self._is_remote():
            self.console.model_work.load(self._server, self._model)

    def action_keep(self) -> None:
        """Keep this model in memory."""
        if not self._is_remote():
            self.console.model_work.keep(self._server, self._model)

    @work(group="ask", exit_on_error=False, description="ask before an unload")
    async def action_unload(self) -> None:
        """Drop this model from memory, after a question."""
        from timmy_tui.screens.dialogs import ConfirmDialog

        more = "A request that runs now is finished first."
        if not self._is_remote() and await self.app.push_screen_wait(
            ConfirmDialog(f"Unload {self._model} from memory?", more, "unload")
        ):
            self.console.model_work.unload(self._server, self._model)

    def _is_remote(self) -> bool:
        installed, _ = self._find()
        if installed is not None and installed.remote:
            self.notify(f"{self._model} runs in the cloud: it is never in this machine's memory.", markup=False)
            return True
        return False


def _installed_facts(model: InstalledModel) -> list[tuple[str, str]]:
    pairs = [
        ("size", "cloud stub" if model.remote else bytes_text(model.size_bytes)),
        ("parameters", model.parameter_size or "?"),
        ("quantisation", model.quantization or "?"),
        ("family", model.family or "?"),
        ("digest", model.digest[:12]),
        ("changed", moment_text(model.modified_at, "%Y-%m-%d %H:%M")),
    ]
    if model.parent_model:
        pairs.append(("made from", f"{model.parent_model} (shares its weights)"))
    if model.remote:
        pairs.append(("runs at", f"{model.remote_host or '?'} as {model.remote_model or '?'}"))
    return pairs
