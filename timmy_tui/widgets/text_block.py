"""Several lines to type in, in the order of text_line.py. Apart from it, because only a correction needs them."""

from __future__ import annotations

from textual.events import Key
from textual.widgets import TextArea

from timmy_tui.widgets.text_line import act_on


class TextBlock(TextArea):
    """Several lines, in which a bound key acts before what was typed after it."""

    async def on_key(self, event: Key) -> None:
        """Act here on what is bound here."""
        await act_on(self, event)
