"""Names made of the local time, as ticks and Hermes sessions carry them."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256


def local(at: float) -> datetime:
    """A moment in the machine's zone."""
    return datetime.fromtimestamp(at, UTC).astimezone()


def stamp(at: float, form: str = "%Y%m%d_%H%M%S") -> str:
    """The local time in a given form."""
    return local(at).strftime(form)


def session_id(at: float, salt: str, digits: int = 6) -> str:
    """``YYYYMMDD_HHMMSS_hex`` in local time (facts/hermes.md §2.4); the same for the same moment and salt."""
    return f"{stamp(at)}_{sha256(f'{at:.3f} {salt}'.encode()).hexdigest()[:digits]}"
