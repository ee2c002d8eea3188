"""The end of starting up: from here on the process runs for a day."""

from __future__ import annotations

import gc


def settled() -> None:
    """Collect garbage again, sparing what the start has made: modules and classes stay as long as the process."""
    gc.freeze()
    gc.enable()
