"""The bottom line: the keys that work here, as many as fit whole."""

from __future__ import annotations

from collections.abc import Iterable

from textual import events
from textual.binding import Binding
from textual.screen import Screen

from timmy_tui.widgets.line import EMPTY, Line, line, width_of
from timmy_tui.widgets.lines_view import LinesView

WORDS = 3
"""The first keys that never stand bare."""

ALWAYS = 3
"""The last keys, tick, quit and help, stay when the width runs out."""


class KeyLine(LinesView):
    """What Textual's Footer shows, as one line that never cuts a key in half; a click is the key.

    One widget instead of one per key: the Footer's dozen cost a tenth of the time to the first paint.
    """

    def __init__(self, *, always: int = ALWAYS, lead: str = " ", bare: bool = False) -> None:
        """``always`` is how many of the last keys stay; ``lead`` stands before the first one.

        ``bare``: where the words have no room the last keys stand without them, so that all can be clicked.
        """
        super().__init__(id="keys")
        self._always = always
        self._lead = lead
        self._bare = bare
        self._clicks: list[tuple[int, int, str]] = []

    def on_mount(self) -> None:
        """Follow the focus and the keymap."""
        self.screen.bindings_updated_signal.subscribe(self, self._bindings_changed)

    def _bindings_changed(self, _screen: Screen[object]) -> None:
        self.redraw()

    def redraw(self) -> None:
        """Draw the keys of the focused widget, of the screen, and of the app."""
        width = self.size.width
        if width <= 0:
            return
        keys = list(self._keys())
        if self._bare:
            keys = _with_bare_ones(keys, width, self._always)
        while keys and sum(width_of(text) + 2 for text, _ in keys) > width + 1:
            if len(keys) <= self._always:
                keys.pop(0)
            else:
                del keys[-1 - self._always]
        self._clicks.clear()
        shown: Line = line(self._lead)
        for number, (text, key) in enumerate(keys):
            shown = (*shown, *line("  " if number else ""))
            start = width_of(shown)
            shown = (*shown, *text)
            if key:
                self._clicks.append((start, start + width_of(text), key))
        self.show([shown])

    def on_click(self, event: events.Click) -> None:
        """A click on a key presses it."""
        for start, end, key in self._clicks:
            if start <= event.x < end:
                self.app.simulate_key(key)

    def _keys(self) -> Iterable[tuple[Line, str]]:
        """What stands on the line, with the key that a click presses; a compact group is one part."""
        group: Binding.Group | None = None
        grouped = ""
        shown: set[str] = set()
        for active in self.screen.active_bindings.values():
            binding = active.binding
            if not (binding.show and active.enabled) or binding.action in shown:
                continue
            shown.add(binding.action)
            name = self._key_name(binding)
            if binding.group is not group and group is not None:
                yield line((grouped, "key"), f" {group.description}"), ""
                grouped = ""
            group = binding.group
            if group is not None:
                grouped += name
                continue
            yield line((name, "key"), f" {binding.description}") if name else EMPTY, binding.key
        if group is not None:
            yield line((grouped, "key"), f" {group.description}"), ""

    def _key_name(self, binding: Binding) -> str:
        name = self.app.get_key_display(binding)
        return name if name.isascii() else binding.key


def _with_bare_ones(keys: list[tuple[Line, str]], width: int, always: int) -> list[tuple[Line, str]]:
    """The keys with as many words as have room, the first ones' first; the first few and the last keep theirs."""
    out = list(keys)
    for index in range(len(out) - 1 - always, WORDS - 1, -1):
        if sum(width_of(text) + 2 for text, _ in out) <= width + 1:
            break
        text, key = out[index]
        out[index] = (text[:1], key)
    return out
