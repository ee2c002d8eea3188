"""Why a command can't do what it was asked to."""

from __future__ import annotations


class CommandError(Exception):
    """The text is one line that says why, and what to do."""
