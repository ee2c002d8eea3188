"""The progress stream of a pull, folded into one figure (facts/ollama.md §2 "Pull stream")."""

from __future__ import annotations

from timmy_tui.services.ollama.decode import DecodeError, document, whole_number
from timmy_tui.services.ollama.errors import OllamaError
from timmy_tui.services.ollama.records import PullProgress
from timmy_tui.text import clean, clean_error

LAYER_LIMIT = 10_000
"""Layers that are counted; no model has more."""


class PullFold:
    """What the lines of one pull add up to."""

    def __init__(self, name: str) -> None:
        self._name = clean_error(name, limit=120)
        self._layers: dict[str, tuple[int, int]] = {}

    def step(self, line: bytes) -> PullProgress:
        """The state after one more line. Raises :class:`OllamaError`: an in-stream error, a torn line."""
        try:
            event = document(line)
        except DecodeError as error:
            raise self.failed(f"the stream holds {error}") from None
        error_text = event.get("error")
        if error_text:
            raise self.failed(error_text if isinstance(error_text, str) else "an error without a text")
        digest = event.get("digest")
        total_bytes = whole_number(event.get("total"))
        if isinstance(digest, str) and total_bytes is not None:
            self._count(digest, whole_number(event.get("completed")) or 0, total_bytes)
        status = event.get("status")
        status = status if isinstance(status, str) else ""
        return PullProgress(
            status=clean(status),
            completed_bytes=sum(completed for completed, _ in self._layers.values()),
            total_bytes=sum(total for _, total in self._layers.values()),
            done=status == "success",
        )

    def failed(self, why: str) -> OllamaError:
        """The error that ends this pull."""
        hint = "Is the name right? A pull goes on where it stopped when it is started again"
        return OllamaError(f"Pulling {self._name} failed: {clean_error(why)}", hint)

    def _count(self, digest: str, completed_bytes: int, total_bytes: int) -> None:
        """Remember how far a layer is; ``completed`` is absent while it is 0."""
        if digest in self._layers or len(self._layers) < LAYER_LIMIT:
            self._layers[digest] = (min(completed_bytes, total_bytes), total_bytes)
