"""Writing the usage log: one append for each call under its lock, and never the reason that a call fails."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from timmy_tui.services.appending import AppendError, append_locked, write_lock
from timmy_tui.services.cascade.records import CallError, Completion, CompletionRequest
from timmy_tui.services.json_lines import one_line
from timmy_tui.services.usage.records import UsageCall
from timmy_tui.text import clean_error

_log = logging.getLogger(__name__)

_KEPT = ("task_type", "model", "latency_sec", "tokens_in", "tokens_out", "success")
"""Always in a line, whatever their values are: other readers of such logs expect them."""


def usage_moment(at: float) -> str:
    """Unix seconds as the log writes them."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def usage_line(call: UsageCall) -> bytes:
    """The call as one line of JSON, without its newline."""
    tree = msgspec.to_builtins(call)
    told = {"timestamp": call.timestamp, **{key: getattr(call, key) for key in _KEPT}, **tree}
    return one_line(msgspec.json.encode(told))


def usage_call(
    provider: str,
    request: CompletionRequest,
    completion: Completion | None,
    error: CallError | None,
    began_at: float,
    duration_ms: float,
) -> UsageCall:
    """A call as a line: what was asked for, and what came back. ``began_at`` is Unix seconds."""
    took_ms = (completion.load_ms, completion.eval_ms) if completion is not None else (None, None)
    load_sec, eval_sec = (None if ms is None else round(ms / 1000, 4) for ms in took_ms)
    return UsageCall(
        timestamp=usage_moment(began_at),
        task_type=request.task or request.caller,
        model=(completion.model if completion is not None else None) or request.model or "",
        latency_sec=round(duration_ms / 1000, 4),
        tokens_in=completion.tokens_in if completion is not None else None,
        tokens_out=completion.tokens_out if completion is not None else None,
        success=error is None,
        provider=provider,
        caller=request.caller,
        load_sec=load_sec,
        eval_sec=eval_sec,
        error="" if error is None else clean_error(error.message),
    )


def record_calls(path: Path, calls: Sequence[UsageCall]) -> None:
    """Append ``calls``: one lock for all, one write for each. May block.

    A log that can't be written costs the lines, and is told in our own log.
    """
    if not calls:
        return
    try:
        with write_lock(path.with_name(f"{path.name}.lock")):
            for call in calls:
                append_locked(path, usage_line(call), durable=False)
    except AppendError as error:
        _log.warning("a call is missing in the usage log: %s", error.message)
