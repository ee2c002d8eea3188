"""Where the operator types text: everything happens there in the order in which it was typed.

Textual sends a key that is bound in such a widget up to the app and acts on its way back, while letters and pastes act
at once: on a busy machine ``ctrl+u`` then deletes what was pasted after it.
"""

from __future__ import annotations

from textual.events import Key
from textual.widget import Widget
from textual.widgets import Input


class TextLine(Input):
    """One line, in which a bound key acts before what was typed after it."""

    async def on_key(self, event: Key) -> None:
        """Act here on what is bound here."""
        await act_on(self, event)


async def act_on(widget: Widget, event: Key) -> None:
    """Act on a key that is bound for ``widget``, here or above it; it goes no further then."""
    if event.is_printable:
        return
    # What the app does when the key comes back to it, only now.
    if await widget.app._check_bindings(event.key):
        event.stop()
        event.prevent_default()
