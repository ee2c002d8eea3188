"""Pictures of the screen, for the owner alone: a screen shows what nobody else is meant to read."""

from __future__ import annotations

import html
import os
import re
from datetime import UTC, datetime
from pathlib import Path

from timmy_tui.masking import masked
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
            file.write(_TEXT.sub(_without_secrets, svg))
    except OSError as error:
        raise refused(path, error) from None
    return path


_TEXT = re.compile(r"(?<=>)[^<>]+(?=<)")


def _without_secrets(text: re.Match[str]) -> str:
    """A text of the picture: a screen is looked at, a file is sent to somebody."""
    plain = html.unescape(text[0])
    told = masked(plain)
    return text[0] if told == plain else html.escape(told)
