"""One candidate read again from where it stands, with what was perceived and what was before."""

from __future__ import annotations

from datetime import tzinfo
from pathlib import Path

from timmy_tui.services.cascade.records import CallError
from timmy_tui.services.heartbeat.decision import parse_decision
from timmy_tui.services.labels.log import LabelLog
from timmy_tui.services.labels.records import candidate_key
from timmy_tui.services.review.exchange import Exchange, exchange_of
from timmy_tui.services.review.records import Card, Entry
from timmy_tui.services.review.sessions import HEARTBEAT_CALLER, SessionCandidates
from timmy_tui.services.ticks.backwards import end_of_lines, lines_backwards
from timmy_tui.services.ticks.day import read_line
from timmy_tui.services.ticks.errors import TickLogError
from timmy_tui.services.ticks.folder import TickFolder, unreadable
from timmy_tui.services.ticks.log import changed_error
from timmy_tui.services.ticks.parse import parse_tick
from timmy_tui.services.ticks.records import Decision, Tick, TickPlace

LOOKED_BACK = 20
"""Lines before a tick among which the one that it calls its previous is looked for."""


class CardReader:
    """Reads cards, in a thread. Raises ``TickLogError`` and ``HermesError``, both a ``SourceError``."""

    def __init__(
        self, directory: Path, sessions: SessionCandidates, labels: LabelLog, *, zone: tzinfo | None = None
    ) -> None:
        self._directory = directory
        self._folder = TickFolder(directory)
        self._sessions = sessions
        self._labels = labels
        self._zone = zone

    def load(self, entry: Entry) -> Card:
        """The whole candidate, if its place still holds it."""
        place = entry.place
        return self._of_session(entry) if place is None else self._of_tick(entry, place)

    def _of_tick(self, entry: Entry, place: TickPlace) -> Card:
        line = read_line(place.path, place.offset, place.length)
        exchange = None if line is None else exchange_of(line)
        tick = None if line is None else parse_tick(line, place, self._zone)
        if exchange is None or not isinstance(tick, Tick) or not _is(entry, exchange):
            raise changed_error(place)
        before = self._before(tick, place)
        answered = self._labels.answer_of(entry.key).given
        return Card(
            entry=entry,
            prompt=exchange.prompt,
            completion=exchange.completion,
            prompt_source=exchange.prompt_source,
            completion_source=exchange.completion_source,
            decision=_shown(tick, exchange),
            perception=tick.perception,
            previous_perception=before.perception if before else None,
            previous_at=before.head.at if before else None,
            host=tick.host,
            provider=tick.provider,
            duration_ms=tick.duration_ms,
            caller=HEARTBEAT_CALLER,
            tick_changed=not answered and self._labels.speaks_of(entry.name),
        )

    def _of_session(self, entry: Entry) -> Card:
        exchange = self._sessions.load(entry.session_id)
        if exchange is None or candidate_key(exchange.prompt, exchange.completion) != entry.key:
            raise TickLogError("This session is no longer what it was", "Refresh the list:  ctrl+r")
        try:
            decision = parse_decision(exchange.completion)
        except CallError:
            decision = None
        return Card(
            entry=entry,
            prompt=exchange.prompt,
            completion=exchange.completion,
            prompt_source="as sent",
            completion_source="raw text",
            decision=decision,
            perception=None,
            previous_perception=None,
            previous_at=None,
            host=None,
            provider="hermes",
            duration_ms=None,
            caller="",
        )

    def _before(self, tick: Tick, place: TickPlace) -> Tick | None:
        """The tick that this one calls its previous, else the one whose line stands before."""
        nearest: Tick | None = None
        looked = 0
        for path, end in self._places_before(place):
            try:
                with path.open("rb") as file:
                    stop = end_of_lines(file.fileno()) if end is None else end
                    for line in lines_backwards(file.fileno(), stop):
                        found = parse_tick(line.data, TickPlace(str(path), line.offset, len(line.data)), self._zone)
                        looked += 1
                        if isinstance(found, Tick):
                            nearest = nearest or found
                            if tick.previous_tick in (None, found.head.tick_id):
                                return found
                        if looked >= LOOKED_BACK:
                            return nearest
            except FileNotFoundError:  # rotated since it was listed
                continue
            except OSError as error:
                raise unreadable(path, error) from None
        return nearest

    def _places_before(self, place: TickPlace) -> list[tuple[Path, int | None]]:
        own = Path(place.path)
        names = self._folder.names()
        older = names[: names.index(own.name)] if own.name in names else ()
        return [(own, place.offset), *((self._directory / name, None) for name in reversed(older[-1:]))]


def _is(entry: Entry, exchange: Exchange) -> bool:
    return candidate_key(exchange.prompt, exchange.completion) == entry.key


def _shown(tick: Tick, exchange: Exchange) -> Decision | None:
    """The tick's decision, if it is what the completion says.

    Where the rules decided because an answer was of no use, the candidate is that answer, and not what they said.
    """
    return tick.decision if tick.head.by_model or exchange.completion_source == "re-serialised JSON" else None
