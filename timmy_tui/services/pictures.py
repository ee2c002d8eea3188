"""Pictures of the screen, for the owner alone: a screen shows what nobody else is meant to read."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from timmy_tui.services.appending import make_private_folder, refused


def save_picture(folder: Path, svg: str, now: float) -> Path:
    """Write ``svg`` into a new file of ``folder``, named after the local time ``now``. Blocks.

    Raises :class:`~timmy_tui.services.appending.AppendError`.
    """
    path = folder / f"timmy-{datetime.fromtimestamp(now, UTC).astimezone():%Y%m%d-%H%M%S-%f}.svg"
    try:
        make_private_folder(folder)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace") as file:
            file.write(svg)
    except OSError as error:
        raise refused(path, error) from None
    return path
