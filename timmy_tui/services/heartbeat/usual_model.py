"""The model of the last good tick: without a configured one the heartbeat stays with it."""

from __future__ import annotations

from contextlib import closing
from itertools import islice
from pathlib import Path

from timmy_tui.services.ticks.day import newest_ticks
from timmy_tui.services.ticks.errors import TickLogError
from timmy_tui.services.ticks.folder import TickFolder

FILES_LOOKED_AT, TICKS_LOOKED_AT = 3, 200


def usual_model(directory: Path) -> str | None:
    """The model that decided last, of the newest ticks; None where none did, or the log can't be read. Blocks."""
    try:
        for name in list(TickFolder(directory).names())[: -FILES_LOOKED_AT - 1 : -1]:
            with closing(newest_ticks(directory / name, None)) as ticks:
                for tick in islice(ticks, TICKS_LOOKED_AT):
                    if tick.head.by_model and tick.head.model:
                        return tick.head.model
    except TickLogError:
        return None
    return None
