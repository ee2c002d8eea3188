"""What the Hermes store says. Every string has passed ``text.clean``; times are Unix seconds."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

SessionState = Literal["running", "idle", "done", "failed"]
Place = Literal["local", "cloud", "unknown"]

RUNNING_WINDOW_S = 300.0
"""An open turn younger than this counts as running (facts/hermes.md §2.4: Hermes' own web UI uses the same)."""


class Tokens(Struct, frozen=True):
    """Token counters, kept apart: ``input`` excludes the cache, ``reasoning`` is a part of ``output`` (§2.4)."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0

    @property
    def total(self) -> int:
        """Prompt and completion together; reasoning is in ``output`` already."""
        return self.input + self.output + self.cache_read + self.cache_write

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(
            self.input + other.input,
            self.output + other.output,
            self.cache_read + other.cache_read,
            self.cache_write + other.cache_write,
            self.reasoning + other.reasoning,
        )


class SessionSummary(Struct, frozen=True):
    """One row of ``sessions`` with what its last messages tell."""

    id: str
    source: str
    model: str | None
    title: str | None
    started_at: float
    ended_at: float | None
    end_reason: str | None
    last_activity_at: float
    """The last message's time, else ``ended_at``, else ``started_at``."""
    open_turn: bool
    """The last active message is a user's, a tool's or a tool call: an answer is owed."""
    answered: bool
    """At least one assistant message is stored."""
    message_count: int
    tool_call_count: int
    tokens: Tokens
    place: Place
    cost_usd: float | None
    """None = unpriced; never 0 for an unknown price (§2.4 "Cost")."""
    parent_id: str | None
    archived: bool
    empty_answer: bool = False
    """Its last answer is Hermes' ``(empty)``: none came."""
    leased: bool = False
    """Hermes itself says that a turn is under way."""

    def state(self, now: float) -> SessionState:
        """Running, idle, done or failed by the rule of facts/hermes.md §2.4.

        An open turn is running while it is recent; later it has failed if nothing ever answered, else it is idle.
        """
        if self.leased:
            return "running"
        if self.empty_answer:
            return "failed"
        if self.open_turn:
            if self.ended_at is None and now - self.last_activity_at < RUNNING_WINDOW_S:
                return "running"
            return "idle" if self.answered else "failed"
        return "done" if self.answered or self.ended_at is not None else "idle"


class ModelUsage(Struct, frozen=True):
    """Usage of one model at one place."""

    model: str
    place: Place
    sessions: int
    calls: int
    tokens: Tokens


class FailedJob(Struct, frozen=True):
    """A cron job of Hermes' whose last run failed. Strings have passed ``text.clean``."""

    name: str
    error: str


class HermesReading(Struct, frozen=True):
    """The sessions in which something happened within the last ``hours``."""

    path: str
    profile: str | None
    hours: float
    sessions: tuple[SessionSummary, ...]
    """Newest first."""
    by_source: tuple[tuple[str, int], ...]
    """Sessions per source, most first."""
    by_model: tuple[ModelUsage, ...]
    """Most tokens first."""
    tool_calls: tuple[tuple[str, int], ...]
    """Calls per tool, most first."""
    tokens: Tokens
    local_tokens: int
    cloud_tokens: int
    unknown_tokens: int
    cost_usd: float | None
    """The sum of what is priced; None when nothing is."""
    unpriced_sessions: int
    """Sessions with tokens but no known price."""
    tokens_by_bucket: tuple[int, ...]
    """Total tokens per bucket of the window, oldest first (24 buckets; an hour each for a 24 h window)."""
    older_sessions: int = 0
    """Of :attr:`sessions`: those that began before the window."""
    older_tokens: int = 0
    """What those used since their start: how much of it within the window Hermes does not say."""
    other_profiles: tuple[str, ...] = ()
    """Hermes profiles besides this one that were used within the last day."""
    failed_jobs: tuple[FailedJob, ...] = ()
    """Cron jobs whose last run failed."""
    index_incomplete: bool = False
    """Hermes makes its search index anew: a search misses messages meanwhile."""
    routing_only: bool = False
    """There was no ``state.db``: the rows come from ``sessions.json`` and carry no tokens."""

    def count(self, state: SessionState, now: float) -> int:
        """How many of the sessions are in ``state``."""
        return sum(1 for session in self.sessions if session.state(now) == state)


class ToolCall(Struct, frozen=True):
    """A call, with its result when one is stored (§9)."""

    id: str
    name: str
    arguments: str
    """Pretty-printed JSON where it is JSON."""
    result: str | None
    failed: bool
    """The result is JSON with a non-empty ``error`` or a non-zero ``exit_code``."""
    duration_s: float | None


class Message(Struct, frozen=True):
    """One message of a transcript; tool results stand with their calls, orphans as role ``tool``."""

    id: int
    role: str
    text: str
    reasoning: str | None
    at: float | None
    finish_reason: str | None
    tool_calls: tuple[ToolCall, ...]


class Transcript(Struct, frozen=True):
    """One session's messages in order."""

    session: SessionSummary
    messages: tuple[Message, ...]
    left_out: int
    """Older messages beyond the limit."""


class SearchHit(Struct, frozen=True):
    """A message that matches a search."""

    session_id: str
    message_id: int
    role: str
    at: float | None
    snippet: str
