"""``sessions/sessions.json``: the gateway's routing mirror, when there is no store (facts/hermes.md §3)."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

from timmy_tui.services.hermes.connection import HermesError
from timmy_tui.services.hermes.records import SessionSummary, Tokens
from timmy_tui.services.moments import unix_seconds
from timmy_tui.text import clean, clean_error

ROUTING_PATH = Path("sessions", "sessions.json")
_MAX_BYTES = 10_000_000


def read_routing(path: Path) -> tuple[SessionSummary, ...]:
    """The routed sessions, newest first.

    The file's token fields are never updated, so none are taken; nor are names of people.
    Raises :class:`HermesError`.
    """
    shown = clean(str(path))
    try:
        with path.open("rb") as file:
            source = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise HermesError(
            f"{shown} can't be read: {clean_error(error.strerror or error)}", "check its permissions"
        ) from error
    if len(source) > _MAX_BYTES:
        raise HermesError(f"{shown} is larger than {_MAX_BYTES:,} bytes", "set hermes.home to Hermes' own folder")
    try:
        entries = json.loads(source)
    except (ValueError, RecursionError) as error:
        raise HermesError(
            f"{shown} is not valid JSON: {clean_error(error)}", "Hermes rewrites it when it next runs"
        ) from error
    if not isinstance(entries, dict):
        raise HermesError(f"{shown} holds no routing entries", "Hermes rewrites it when it next runs")
    found = [_session(entry) for key, entry in entries.items() if not key.startswith("_") and isinstance(entry, dict)]
    sessions = [session for session in found if session is not None]
    return tuple(sorted(sessions, key=lambda one: (one.started_at, one.id), reverse=True))


def _session(entry: dict[str, object]) -> SessionSummary | None:
    id, started_at = _text(entry.get("session_id")), _local_time(entry.get("created_at"))
    if id is None or started_at is None:
        return None
    platform = _text(entry.get("platform")) or "gateway"
    override = entry.get("model_override")
    return SessionSummary(
        id=id,
        source=platform,
        model=_text(override.get("model") if isinstance(override, dict) else override),
        title=" ".join(filter(None, (platform, _text(entry.get("chat_type"))))),
        started_at=started_at,
        ended_at=None,
        end_reason=None,
        last_activity_at=_local_time(entry.get("updated_at")) or started_at,
        open_turn=False,
        answered=False,
        message_count=0,
        tool_call_count=0,
        tokens=Tokens(),
        place="unknown",
        cost_usd=None,
        parent_id=None,
        archived=False,
    )


def _text(value: object) -> str | None:
    return clean(value.strip(), limit=80) or None if isinstance(value, str) else None


def _local_time(value: object) -> float | None:
    """Unix seconds of an ISO time, which is local when it names no zone (§10.12)."""
    if not isinstance(value, str):
        return None
    try:
        return unix_seconds(datetime.fromisoformat(value).timestamp())
    except (ValueError, OverflowError, OSError):
        return None
