"""The one error of the tick log and of the label log."""

from __future__ import annotations

from timmy_tui.services.reading import SourceError


class TickLogError(SourceError):
    """The tick or label log can't be read, or no longer holds what was asked for."""
