"""The demo's one error."""

from __future__ import annotations

from timmy_tui.services.reading import SourceError


class DemoError(SourceError):
    """The simulated stack can't be built in this folder."""
