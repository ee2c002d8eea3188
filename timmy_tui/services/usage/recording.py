"""Writing the usage log: one locked append for each call, and never the reason that a call fails."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from timmy_tui.services.appending import AppendError, append_line
from timmy_tui.services.usage.records import UsageCall

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
    return msgspec.json.encode(told)


def record_call(path: Path, call: UsageCall) -> None:
    """Append ``call``. Blocks for a moment; a log that can't be written costs the line, and is told in our own log."""
    try:
        append_line(path, usage_line(call), durable=False)
    except AppendError as error:
        _log.warning("a call is missing in the usage log: %s", error.message)
