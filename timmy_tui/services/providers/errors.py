"""The one exception of the providers service."""

from __future__ import annotations

from timmy_tui.services.reading import SourceError


class ProvidersError(SourceError):
    """The providers can't be told: a broken ``providers.yaml``, an unreadable history."""
