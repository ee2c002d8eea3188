"""The label log's writing side: each word is on disk when its method returns (DESIGN §5)."""

from __future__ import annotations

import getpass
import logging
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import msgspec

from timmy_tui import __version__
from timmy_tui.config import Settings
from timmy_tui.services.appending import append_line, append_locked, write_lock
from timmy_tui.services.json_lines import one_line
from timmy_tui.services.labels.log import LabelLog
from timmy_tui.services.labels.records import VERSION, Alternative, LabelEvent, Preferred
from timmy_tui.services.ticks.errors import TickLogError
from timmy_tui.services.ticks.records import Decision, Label
from timmy_tui.text import clean

_log = logging.getLogger(__name__)


def operator_of(settings: Settings) -> str:
    """Whose word a label is: the configured name (``--operator`` stands above it), else the login name."""
    named = clean(settings.config.review.operator.strip(), limit=60)
    if named:
        return named
    try:
        return clean(getpass.getuser(), limit=60)
    except (KeyError, OSError):
        return "operator"


class Labeller:
    """Writes one operator's words to the log that ``log`` follows, beside any number of other writers.

    Every method but the properties blocks, and raises :class:`~timmy_tui.services.appending.AppendError` when the
    word is not on disk; then nothing of it is. ``clock`` is Unix seconds.
    """

    def __init__(self, log: LabelLog, operator: str, clock: Callable[[], float]) -> None:
        self.operator = operator
        self._log = log
        self._clock = clock

    def label(
        self, candidate: str, tick_id: str, label: Label, *, shown_at: float, note: str = "", blind: bool = False
    ) -> None:
        """Say what a candidate is worth; ``blind`` at a second look."""
        keys: dict[str, object] = {"candidate": candidate, "tick_id": tick_id, "label": label, "note": note}
        if blind:
            keys["blind"] = True
        self._write("label", keys, shown_at)

    def edit(
        self, candidate: str, tick_id: str, correction: Decision | str, *, shown_at: float, note: str = ""
    ) -> None:
        """Say what should have been answered: a decision, or the text of a candidate that is none."""
        keys: dict[str, object] = {"candidate": candidate, "tick_id": tick_id, "note": note}
        if isinstance(correction, Decision):
            keys["decision"] = {
                "actions": list(correction.actions),
                "severity": correction.severity,
                "reasoning": correction.reasoning,
            }
        else:
            keys["response"] = correction
        self._write("edit", keys, shown_at)

    def prefer(
        self,
        candidate: str,
        tick_id: str,
        preferred: Preferred,
        alternative: Alternative,
        *,
        shown_at: float,
        decision: Decision | None = None,
        note: str = "",
    ) -> None:
        """Say which of two answers to the same prompt is better; ``decision`` is what the alternative decides."""
        keys: dict[str, object] = {
            "candidate": candidate,
            "tick_id": tick_id,
            "alternative": {**msgspec.to_builtins(alternative), "decision": msgspec.to_builtins(decision)},
            "preferred": preferred,
            "note": note,
        }
        self._write("prefer", keys, shown_at)

    def note(self, candidate: str, tick_id: str, note: str) -> None:
        """Say something about a candidate; an empty note takes the one before away."""
        self._write("note", {"candidate": candidate, "tick_id": tick_id, "note": note}, None)

    def undo(self, *, blind: bool = False) -> LabelEvent | None:
        """Void this operator's last word that is in force, and return it; None when there is none.

        At a second look (``blind``) only what was said at one. Another console of the same operator may have taken
        that word back just now: the log is read again under the writers' lock, so that no word is voided twice.
        """
        path = self._log.path
        with write_lock(path.with_name(f"{path.name}.lock")):
            self._read()
            last = next((word for word in self._log.words_of(self.operator) if word.blind or not blind), None)
            if last is None:
                return None
            keys = {"undoes": last.event_id, "candidate": last.candidate, "tick_id": last.tick_id}
            append_locked(path, self._line("undo", keys, None))
        self._read()
        return last

    def _write(self, event: str, keys: Mapping[str, object], shown_at: float | None) -> None:
        append_line(self._log.path, self._line(event, keys, shown_at))
        self._read()

    def _line(self, event: str, keys: Mapping[str, object], shown_at: float | None) -> bytes:
        record = {"v": VERSION, "event_id": str(uuid.uuid4()), "event": event, **keys}
        if shown_at is not None:
            record["shown_at"] = _iso(shown_at)
        return _encoded(record | {"answered_at": _iso(self._clock()), "operator": self.operator, "app": __version__})

    def _read(self) -> None:
        try:
            self._log.poll()
        except TickLogError as error:  # what was written is on disk all the same; the next poll takes it in
            _log.warning("the label log can't be read: %s", error.message)


def _encoded(record: dict[str, object]) -> bytes:
    try:
        return one_line(msgspec.json.encode(record))
    except UnicodeEncodeError:  # a lone surrogate in what a model wrote: as an escape it is JSON
        import json

        return json.dumps(record).encode()


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
