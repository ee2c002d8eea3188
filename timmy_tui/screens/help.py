"""The keys of a screen, made from its bindings: they can't be out of date."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from textual.app import App
from textual.binding import Binding, BindingsMap
from textual.dom import DOMNode
from textual.screen import Screen

from timmy_tui.screens.document import DocumentScreen
from timmy_tui.widgets.line import EMPTY, Line, crop, line, wrap
from timmy_tui.widgets.pane import Pane
from timmy_tui.widgets.reader import heading

ROOM_FOR_IDS = 80
"""Cells from which on the ids stand beside the keys."""

SIGNS = (
    ("ok", "● ok"),
    ("warning", "▲ warning"),
    ("critical", "✖ critical, down, failed, circuit open"),
    ("fallback", "◌ fallback: the hard-coded rules decided"),
    ("unknown", "? unknown"),
    ("quiet", "○ off, idle, on disk"),
    ("warning", "◐ split between GPU and CPU, half-open"),
    ("quiet", "~ stale: an old value, its source does not answer"),
    ("changed", "≠ changed, or two sources disagree"),
)


class HelpScreen(DocumentScreen):
    """Keys of the screen below, then of the app, then what the signs mean."""

    BINDING_GROUP_TITLE = "Help"

    def __init__(self, about: Screen[object]) -> None:
        super().__init__(f"Help: {about.BINDING_GROUP_TITLE or 'keys'}")
        self._about = about

    def fill(self) -> None:
        self.reader.read(self._lines)

    def _lines(self, width: int) -> Sequence[Line]:
        glyphs = self.console.glyphs
        out: list[Line] = []
        if self._about.HELP:
            out.extend([*wrap(self._about.HELP, width), EMPTY])
        for node in self._owners():
            rows = list(_rows(node))
            if not rows:
                continue
            title = "Everywhere" if isinstance(node, App) else (node.BINDING_GROUP_TITLE or type(node).__name__)
            if isinstance(node, Pane) and node.pane_name:
                title = f"{node.pane_name} pane"
            out.append(heading(title, width, glyphs))
            for keys, text, name in rows:
                row = line((f"{keys:<18}", "key"), f"{text:<40}  ", (name, "quiet"))
                if width < ROOM_FOR_IDS:
                    row = line((f"{keys:<12} ", "key"), text)
                out.append(crop(row, width))
            out.append(EMPTY)
        out.append(heading("Signs", width, glyphs))
        out.extend(line((text[:1], role), text[1:]) for role, text in SIGNS)
        out.extend(
            [
                EMPTY,
                *wrap("The names on the right rebind a key in tui.yaml:  keys: {zoom: ctrl+f}", width, "quiet"),
            ]
        )
        return out

    def _owners(self) -> list[DOMNode]:
        focused = self._about.focused
        return [*([focused] if focused is not None else []), self._about, self.app]


def _rows(node: DOMNode) -> Iterator[tuple[str, str, str]]:
    """Key names, what they do, and the id that rebinds them; one row per action of ours, and Textual's tab keys."""
    rows: dict[str, tuple[list[str], Binding]] = {}
    own = node._bindings.copy()
    own.apply_keymap(node.app._keymap)
    for key, bindings in own.key_to_bindings.items():
        for binding in bindings:
            if not binding.id and key not in ("tab", "shift+tab"):
                continue
            keys, _ = rows.setdefault(binding.action, ([], binding))
            shown = binding.key_display or node.app.get_key_display(binding.with_key(key))
            if shown not in keys:
                keys.append(shown)
    for keys, binding in rows.values():
        text = binding.tooltip or binding.description
        yield " ".join(keys), text[:1].upper() + text[1:], binding.id or ""


def known_binding_ids(app: type[DOMNode]) -> set[str]:
    """Every id that ``keys:`` in the configuration may name; ``app`` is the app's class."""
    from timmy_tui.screens import (
        activity,
        alternative,
        approvals,
        dashboard,
        dialogs,
        document,
        edit,
        export,
        history,
        model,
        queue_filter,
        review,
        search,
        statistics,
        text,
        tick,
        usage,
    )
    from timmy_tui.widgets import choice_rows, models_pane, pane, reader, scroller

    owners: tuple[type[DOMNode], ...] = (
        app,
        dashboard.DashboardScreen,
        document.DocumentScreen,
        model.ModelScreen,
        tick.TickScreen,
        history.HistoryScreen,
        activity.ActivityScreen,
        approvals.ApprovalsScreen,
        search.SearchScreen,
        review.ReviewScreen,
        alternative.AlternativeScreen,
        statistics.StatisticsScreen,
        usage.UsageScreen,
        text.TextScreen,
        queue_filter.FilterDialog,
        edit.EditDialog,
        export.ExportScreen,
        dialogs.ConfirmDialog,
        dialogs.NameDialog,
        dialogs.TextDialog,
        pane.Pane,
        models_pane.ModelsPane,
        reader.Reader,
        scroller.Scroller,
        choice_rows.ChoiceRows,
    )
    bindings = (binding for owner in owners for binding in BindingsMap(owner.BINDINGS))
    return {binding.id for _, binding in bindings if binding.id}
