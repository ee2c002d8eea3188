"""A hint that something in the tick log's folder changed; the stat poll is the guarantee."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from pathlib import Path

from timmy_tui import text

DEBOUNCE_MS = 50
STEP_MS = 100
"""The watching thread wakes so often, all day long: 10 cost as much CPU as a whole idle Textual app."""
WAIT_S = 1.0
"""Between two looks for a folder that is not there yet."""

_log = logging.getLogger(__name__)


async def changes(directory: Path, *, wait_s: float = WAIT_S) -> AsyncIterator[None]:
    """One item for each burst of changes in ``directory``, which may come later, go, and come again.

    Ends, with one line in the log, when the system can't watch (no more watches, a network file system).
    """
    import watchfiles

    while True:
        identity = _identity(directory)
        if identity is None:
            await asyncio.sleep(wait_s)
            continue
        yield None  # what was written before the watch began
        try:
            async for burst in watchfiles.awatch(
                directory, debounce=DEBOUNCE_MS, step=STEP_MS, recursive=False, watch_filter=None
            ):
                yield None
                # The watch dies with the folder; a new one may have its inode number (facts/tailing.md row 7).
                removed = (watchfiles.Change.deleted, str(directory)) in burst
                if removed or _identity(directory) != identity:
                    break
        except FileNotFoundError:
            continue
        except (OSError, RuntimeError) as error:
            _log.warning("Can't watch %s, polling alone: %s", text.clean(str(directory)), text.clean_error(error))
            return


def _identity(directory: Path) -> tuple[int, int] | None:
    try:
        stat = os.stat(directory)
    except OSError:
        return None
    return stat.st_dev, stat.st_ino
