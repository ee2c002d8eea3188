"""What a delegation gives back."""

from __future__ import annotations

from msgspec import Struct


class LLMResponse(Struct, frozen=True):
    """One answer, or why there is none: a failure is a value, never an exception from the network."""

    text: str
    """Verbatim; empty without success. Clean it before it is shown on a terminal."""
    model: str
    """Who answered, or was asked last; empty when nobody could be."""
    backend: str
    """The provider: ``ollama``, or the name of an OpenAI-compatible server."""
    latency_ms: float
    """The whole call, as the caller waited for it."""
    tokens: int
    """Of the answer; 0 when unknown."""
    tokens_per_sec: float
    """Of the generation alone where the server tells, else of the whole call; 0 when unknown."""
    success: bool
    error: str = ""
    """One safe line: why there is no answer."""
    hint: str = ""
    """What to do about it."""
    tokens_in: int = 0
    """Of the prompt; 0 when unknown."""
    task: str = ""
    cut: bool = False
    """The answer ended at its length limit."""
    load_ms: float | None = None
    eval_ms: float | None = None
    problem: str | None = None
    """What kind of failure the last one was: a :data:`~timmy_tui.services.cascade.records.CallProblem`."""
