"""Whether a tick that has no outcome is in the log all the same: its worker may die right after writing it."""

from __future__ import annotations

import logging
from pathlib import Path

from timmy_tui.services.ticks.errors import TickLogError
from timmy_tui.services.ticks.lookup import line_of
from timmy_tui.services.worker.records import RequestRecord

log = logging.getLogger(__name__)


def is_logged(folder: Path, record: RequestRecord) -> bool:
    """Whether the log in ``folder`` holds the tick whose id ``record`` had reserved; no for a log that can't be read.

    Nobody else is given that id (:meth:`~timmy_tui.services.heartbeat.tick_writer.TickWriter.reserve`). Blocks.
    """
    if record.tick_id is None:
        return False
    try:
        return line_of(folder, record.tick_id) is not None
    except TickLogError as error:
        log.warning("request %s: %s", record.id, error.message)
        return False
