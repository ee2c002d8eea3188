"""Candidates as lists and cards know them. Strings have passed ``text.clean`` unless it says verbatim."""

from __future__ import annotations

from msgspec import Struct

from timmy_tui.services.review.exchange import CompletionSource, PromptSource
from timmy_tui.services.ticks.records import Decision, Label, Severity, TickPlace
from timmy_tui.text import Json

HEARTBEAT = "heartbeat"
"""The source of a tick's candidate."""


class Entry(Struct, frozen=True, gc=False):
    """What the index holds of one candidate: enough to filter by, without the file."""

    key: str
    """Hex SHA-256 of prompt and completion (DESIGN §5)."""
    at: float
    """Unix seconds; NaN when unknown."""
    severity: Severity
    model: str
    """Empty when unknown."""
    source: str
    """:data:`HEARTBEAT`, or the caller or source of a Hermes session."""
    by_model: bool
    """A model decided; False = the hard-coded rules did."""
    own_label: Label | None
    """The tick's own ``dpo_label``: a label with no operator."""
    text: str
    """The beginning of what was decided, case folded: what the text filter looks in."""
    name: str
    """The tick's or the session's id."""
    session_id: str = ""
    """As the store has it; empty for a tick."""
    path: str = ""
    """The tick's file; empty for a session."""
    offset: int = 0
    length: int = 0

    @property
    def place(self) -> TickPlace | None:
        """Where the tick stands; None for a session."""
        return TickPlace(self.path, self.offset, self.length) if self.path else None


class Card(Struct, frozen=True):
    """One candidate in full, as it is shown and sent."""

    entry: Entry
    prompt: str
    """Verbatim."""
    completion: str
    """Verbatim."""
    prompt_source: PromptSource
    completion_source: CompletionSource
    decision: Decision | None
    """What the completion decides; None where it is no decision."""
    perception: Json
    """None for a session."""
    previous_perception: Json
    """Of the tick before; None when there is none."""
    previous_at: float | None
    host: str | None
    provider: str | None
    duration_ms: float | None
    caller: str
    """Whose tag stood before the prompt when Hermes got it; empty when the prompt holds it itself."""
    tick_changed: bool = False
    """A label names this tick's id, but other texts: it was changed, or two ticks share the id."""
