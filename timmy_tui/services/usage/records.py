"""One call of a model, as the usage log has it (``TIMMY_HOME/metrics/local-llm-usage.jsonl``)."""

from __future__ import annotations

from msgspec import Struct

from timmy_tui.services.reading import SourceError

USAGE_NAME = "local-llm-usage.jsonl"
"""In ``TIMMY_HOME/metrics``."""


class UsageError(SourceError):
    """The usage log can't be read."""


class UsageCall(Struct, frozen=True, gc=False, omit_defaults=True):
    """One line. The first seven keys are those that such logs have had before; the rest is ours.

    A reader accepts any JSON object with a ``timestamp``; what is missing is unknown.
    """

    timestamp: str
    """ISO 8601 in UTC with milliseconds: ``2026-01-30T16:12:32.132Z``; when the call began."""
    task_type: str = ""
    model: str = ""
    latency_sec: float = 0.0
    """The whole call, as its caller waited for it."""
    tokens_in: int | None = None
    tokens_out: int | None = None
    success: bool = False
    provider: str = ""
    caller: str = ""
    """Who asked: ``heartbeat_tick``, ``delegate``, ``code-review``, ``review``, or a script's own name."""
    load_sec: float | None = None
    """Until the model was in memory; small when it was."""
    eval_sec: float | None = None
    """Of the generation alone: tokens per second are ``tokens_out / eval_sec``."""
    error: str = ""
    """Why it failed, one safe line with secrets masked."""
