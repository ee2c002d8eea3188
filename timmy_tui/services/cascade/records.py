"""What goes into a cascade and what comes out of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Literal, Protocol, TypeVar

from msgspec import Struct

from timmy_tui.services.ticks.records import Attempt
from timmy_tui.text import Json

T = TypeVar("T")

CallProblem = Literal[
    "refused",  # nothing listens, or the connection broke
    "timeout",
    "auth",  # 401, 403
    "not_found",  # 404: no such model or path
    "busy",  # 429, 503
    "server",  # any other 5xx or a nonsensical body
    "not_configured",
    "small_context",
    "not_local",  # a local-only call whose provider is elsewhere
    "too_long",  # the prompt does not fit
    "empty",  # an answer without text
    "wrong_shape",  # an answer that the caller did not accept
    "circuit_open",
]

OPENS_AT_ONCE: frozenset[CallProblem] = frozenset({"auth", "not_found", "not_configured", "small_context"})
"""Problems that no retry mends (facts/health-and-libraries.md §5): they open the circuit at the first failure."""

NOT_RETRIED: frozenset[CallProblem] = OPENS_AT_ONCE | {"not_local", "too_long", "circuit_open"}


class CompletionRequest(Struct, frozen=True):
    """One prompt for one completion."""

    prompt: str
    caller: str
    """Who asks: ``heartbeat_tick``, ``delegate``, ``review``; Hermes gets it as a tag before the prompt."""
    timeout_s: float
    schema: Json = None
    """A JSON Schema that the answer must have, for providers that can enforce one."""
    model: str | None = None
    """None = the provider's own default."""
    usual_model: str | None = None
    """Asked where neither the call nor the configuration names a model, as long as it is there."""
    local_only: bool = True
    """The call must not leave loopback or the private network (DESIGN §9.7)."""
    seed: int | None = None
    max_tokens: int | None = None
    """The longest answer that is of use; None = the server's own limit, which may be minutes of text."""
    tag: str | None = None
    """What stands before the prompt for Hermes in the caller's place; empty = nothing does. None = the caller."""
    task: str = ""
    """The kind of work, for the usage log; empty = the caller."""
    on_text: Callable[[str], None] | None = None
    """Gets the answer piece by piece where the provider can; an answer that has begun is not asked for again."""
    impatient: bool = False
    """The deadline is shorter than usual: that it was missed says nothing about the provider."""
    counted: bool = True
    """Failures count against the circuits. An operator's trial does not: the heartbeat must not suffer from it."""


class Completion(Struct, frozen=True):
    """What a provider answered."""

    text: str
    """Verbatim: not cleaned. Clean it before it is shown."""
    provider: str
    model: str | None
    duration_ms: float
    session_id: str | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    load_ms: float | None = None
    eval_ms: float | None = None
    done_reason: str | None = None
    seed: int | None = None
    """The seed that the sampler was given; None where the provider takes none."""
    prompt_note: str | None = None
    """Why the model may have been told more than the prompt; None = it was not (DESIGN §9.8)."""


class CallError(Exception):
    """A provider gave no completion. ``message`` is one cleaned line; ``hint`` mends it."""

    def __init__(
        self,
        problem: CallProblem,
        message: str,
        hint: str = "",
        *,
        begun: bool = False,
        sent: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        """``begun``: pieces of an answer were given out before; ``sent``: the prompt had left all the same.

        ``retry_after_s``: the provider itself says when to come back.
        """
        super().__init__(message)
        self.begun = begun
        self.sent = sent
        self.retry_after_s = retry_after_s
        self.problem: CallProblem = problem
        self.message = message
        self.hint = hint


class Provider(Protocol):
    """Somewhere a completion can come from."""

    @property
    def name(self) -> str:
        """Its name in the cascade."""

    async def complete(self, request: CompletionRequest) -> Completion:
        """One completion within ``request.timeout_s``. Raises :class:`CallError` and nothing else."""

    async def aclose(self) -> None:
        """Close connections."""


class CascadeOutcome(Struct, Generic[T], frozen=True):
    """The first accepted value with its completion, and every attempt made on the way."""

    value: T | None
    completion: Completion | None
    attempts: tuple[Attempt, ...]
    last_completion: Completion | None = None
    """The last answer that was not accepted, when none was: kept as the tick's ``response``."""
    begun: bool = False
    """Pieces of an answer were given out before it failed: nobody else may be asked."""
    problem: CallProblem | None = None
    """Of the last attempt, when none was accepted."""
