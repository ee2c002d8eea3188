"""One line of the tick log as a record.

A reader accepts any JSON object with a ``tick_id``; every other key may be missing or of the wrong type and
is then unknown. A line that is no tick is a :class:`BadLine`: a value, because a log with a bad line is still
a log.
"""

from __future__ import annotations

import json
import math
from datetime import datetime, tzinfo

import msgspec
from msgspec import Struct

from timmy_tui import text
from timmy_tui.services.json_objects import find_objects
from timmy_tui.services.moments import epoch_seconds, unix_seconds
from timmy_tui.services.ticks.records import Attempt, Decision, Label, Severity, Tick, TickHead, TickPlace

ITEMS_LIMIT = 100
"""Actions and attempts kept of one tick."""

DIGITS_LIMIT = 400
"""A longer whole number is kept as text; Python itself refuses 4,300 digits."""

_BOM = b"\xef\xbb\xbf"

_SEVERITIES: dict[str, Severity] = {
    "ok": "ok",
    "okay": "ok",
    "warning": "warning",
    "warn": "warning",
    "critical": "critical",
    "crit": "critical",
    "fallback": "fallback",
}
_LABELS: dict[str, Label] = {
    "chosen": "chosen",
    "rejected": "rejected",
    "skipped": "skipped",
    "skip": "skipped",
}


class BadLine(Struct, frozen=True):
    """A complete line that is no tick."""

    reason: str


class DecisionFacts(Struct):
    """The keys of ``decision`` that a list of ticks needs, as they stand in the log."""

    severity: object = None
    reasoning: object = None


class HeadFacts(Struct):
    """The keys of a tick that a list of ticks needs; ``tick_id`` is checked, the rest may be of any type."""

    tick_id: object = None
    timestamp: object = None
    decision: DecisionFacts | None = None
    provider: object = None
    model: object = None
    dpo_label: object = None
    decided_by: object = None
    prompt_note: object = None
    session_id: object = None


_head_decoder = msgspec.json.Decoder(HeadFacts)


def decode_head(line: bytes) -> HeadFacts | BadLine:
    """The head's keys of one line. The typed decoder skips the rest; what it refuses is read leniently."""
    try:
        facts = _head_decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        tree = decode_leniently(line)
        if isinstance(tree, BadLine):
            return tree
        facts = _facts_of(tree)
    if type(facts.tick_id) is not str or not facts.tick_id:
        tick_id = _id_text(facts.tick_id)
        if tick_id is None:
            return BadLine("no tick_id")
        facts.tick_id = tick_id
    return facts


def parse_head(line: bytes, place: TickPlace, zone: tzinfo | None = None) -> TickHead | BadLine:
    """What lists need of one line. ``zone`` is the zone of times that name none; None = this machine's."""
    facts = decode_head(line)
    return facts if isinstance(facts, BadLine) else head_of(facts, place, zone)


def parse_tick(line: bytes, place: TickPlace, zone: tzinfo | None = None) -> Tick | BadLine:
    """One line as a whole tick, everything in it made safe to show."""
    facts = decode_head(line)
    if isinstance(facts, BadLine):
        return facts
    tree = decode_tree(line)
    if isinstance(tree, BadLine):
        return tree
    attempts = tree.get("attempts")
    return Tick(
        head=head_of(facts, place, zone),
        timestamp=_line(tree.get("timestamp")) or "",
        trigger=_line(tree.get("trigger")),
        previous_tick=_line(tree.get("previous_tick")),
        perception=text.clean_tree(tree.get("perception")),
        decision=_decision(tree.get("decision")),
        actions=_actions(tree.get("actions")),
        prompt=_block(tree.get("prompt")),
        response=_block(tree.get("response")),
        provider=_line(tree.get("provider")),
        session_id=_line(tree.get("session_id")),
        duration_ms=_duration_ms(tree.get("duration_ms")),
        attempts=tuple(_attempt(item) for item in attempts[:ITEMS_LIMIT] if isinstance(item, dict))
        if isinstance(attempts, list)
        else (),
        host=_line(tree.get("host")),
        writer=_line(tree.get("writer")),
    )


def head_of(facts: HeadFacts, place: TickPlace, zone: tzinfo | None) -> TickHead:
    """The record of a decoded head."""
    tick_id = text.clean(str(facts.tick_id))
    reasoning = facts.decision.reasoning if facts.decision is not None else None
    return TickHead(
        tick_id=tick_id,
        at=at_of(facts, zone),
        severity=severity_of(facts),
        model=_line(facts.model),
        by_model=by_model(facts),
        by_rules=by_rules(facts),
        session_id=_line(facts.session_id),
        label=label_of(facts),
        summary=_first_line(reasoning) if isinstance(reasoning, str) else "",
        place=place,
    )


def severity_of(facts: HeadFacts) -> Severity:
    """The decision's severity in one of the five words, however it is spelt."""
    raw = facts.decision.severity if facts.decision is not None else None
    if not isinstance(raw, str):
        return "unknown"
    return _SEVERITIES.get(raw) or _SEVERITIES.get(raw.strip().lower(), "unknown")


def by_model(facts: HeadFacts) -> bool:
    """A model decided: the rules did not, and there is a decision or someone who made it."""
    return not by_rules(facts) and (facts.decision is not None or bool(facts.provider) or bool(facts.model))


def by_rules(facts: HeadFacts) -> bool:
    """The hard-coded rules decided: the tick says so, or its severity is ``fallback``."""
    return facts.decided_by == "rules" or severity_of(facts) == "fallback"


def label_of(facts: HeadFacts) -> Label | None:
    """The tick's own ``dpo_label``."""
    raw = facts.dpo_label
    return _LABELS.get(raw.strip().lower()) if isinstance(raw, str) else None


def at_of(facts: HeadFacts, zone: tzinfo | None) -> float | None:
    """Unix seconds: the ``timestamp`` (ISO, local without a zone, or a number), else the time that the id spells."""
    stamp = facts.timestamp
    # To ``fromisoformat`` a dozen digits may be a day of the Middle Ages: so a number is looked for first.
    at = epoch_seconds(stamp) if not isinstance(stamp, str) or stamp[4:5].isdigit() else None
    if at is None and isinstance(stamp, str):
        try:
            at = _unix(datetime.fromisoformat(stamp), zone)
        except (ValueError, OverflowError, OSError):
            at = None
    if at is not None:
        return at
    try:
        return _unix(datetime.strptime(str(facts.tick_id)[:15], "%Y%m%d_%H%M%S"), zone)  # noqa: DTZ007
    except (ValueError, OverflowError, OSError):
        return None


def whole_records(line: bytes) -> list[tuple[int, bytes]]:
    """The whole ticks in a line that is none, each with where it begins: two writers, or a lost newline.

    A tick that stands within a torn one is none: each ends the line, or another record begins behind it.
    """
    if b'"tick_id"' not in line:
        return []
    text = line.decode("latin-1")  # one character for each byte; what is JSON's own is ASCII
    found: list[tuple[int, bytes]] = []
    for start, end in find_objects(text, {"tick_id": '"'}):
        if text[end:].lstrip()[:1] in ("", "{"):
            found.append((start, line[start:end]))
    return [] if len(found) == 1 and found[0][1] == line else found


def has_more(line: bytes, records: list[tuple[int, bytes]]) -> bool:
    """Whether a line holds anything but its whole records."""
    rest, done = b"", 0
    for start, data in records:
        rest += line[done:start]
        done = start + len(data)
    return bool((rest + line[done:]).strip(b" \t,"))


def decode_tree(line: bytes) -> dict[str, object] | BadLine:
    """The whole JSON object of one line, nothing cleaned yet."""
    try:
        tree = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return decode_leniently(line)
    return tree if isinstance(tree, dict) else BadLine("not a JSON object")


def decode_leniently(line: bytes) -> dict[str, object] | BadLine:
    """What msgspec refuses and writers produce: NaN, lone surrogates, huge numbers, a BOM, bad UTF-8."""
    try:
        tree = json.loads(line.removeprefix(_BOM).decode("utf-8", "replace"), parse_int=_whole_number)
    except RecursionError:
        return BadLine("nested too deeply")
    except ValueError:
        return BadLine("not JSON")
    return tree if isinstance(tree, dict) else BadLine("not a JSON object")


def _whole_number(digits: str) -> int | str:
    return int(digits) if len(digits) <= DIGITS_LIMIT else f"a number of {len(digits):,} digits"


def _facts_of(tree: dict[str, object]) -> HeadFacts:
    decision = tree.get("decision")
    return HeadFacts(
        tick_id=tree.get("tick_id"),
        timestamp=tree.get("timestamp"),
        decision=DecisionFacts(decision.get("severity"), decision.get("reasoning"))
        if isinstance(decision, dict)
        else None,
        provider=tree.get("provider"),
        model=tree.get("model"),
        dpo_label=tree.get("dpo_label"),
        decided_by=tree.get("decided_by"),
        prompt_note=tree.get("prompt_note"),
        session_id=tree.get("session_id"),
    )


def _id_text(value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return str(value)


def _unix(moment: datetime, zone: tzinfo | None) -> float | None:
    if moment.tzinfo is None and zone is not None:
        moment = moment.replace(tzinfo=zone)
    return unix_seconds(moment.timestamp())


def _first_line(value: str) -> str:
    return text.clean(value[: text.BLOCK_LIMIT].lstrip().split("\n", 1)[0].rstrip())


def _line(value: object) -> str | None:
    return text.clean(value) if isinstance(value, str) and value else None


def _block(value: object) -> str | None:
    return text.clean(value, limit=text.BLOCK_LIMIT, multiline=True) if isinstance(value, str) else None


def _duration_ms(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        duration_ms = float(value)
    except OverflowError:
        return None
    return duration_ms if math.isfinite(duration_ms) and duration_ms >= 0 else None


def _decision(value: object) -> Decision | None:
    if not isinstance(value, dict):
        return None
    return Decision(
        severity=_line(value.get("severity")) or "",
        reasoning=_block(value.get("reasoning")) or "",
        actions=_actions(value.get("actions")),
    )


def _actions(value: object) -> tuple[str, ...]:
    return tuple(_action(item) for item in value[:ITEMS_LIMIT]) if isinstance(value, list) else ()


def _told(action: str, outcome: str, error: object) -> str:
    """What our own heartbeat logs of an action: its name and what came of it; an alert is its own outcome."""
    if outcome == "alert":
        return action
    return f"{action}: {outcome}" + (f" ({error})" if isinstance(error, str) else "")


def _action(value: object) -> str:
    """An action's text. Some writers log objects: their name first, then what else they hold."""
    if isinstance(value, str):
        return text.clean(value)
    if not isinstance(value, dict):
        return text.clean(_compact(value))
    name_key = next((key for key in ("action", "name", "type") if isinstance(value.get(key), str)), None)
    if name_key is None:
        return text.clean(_compact(value))
    outcome = value.get("outcome")
    if isinstance(outcome, str) and name_key == "action":
        return text.clean(_told(value["action"], outcome, value.get("error")))
    rest = [
        f"{key}={item if isinstance(item, str) else _compact(item)}" for key, item in value.items() if key != name_key
    ]
    return text.clean(" ".join([value[name_key], *rest]))


def _compact(value: object) -> str:
    return json.dumps(text.clean_tree(value), ensure_ascii=False, separators=(",", ":"))


def _attempt(value: dict[str, object]) -> Attempt:
    error = value.get("error")
    if error is not None:
        error = text.clean_error(error if isinstance(error, str) else _compact(error))
    return Attempt(
        provider=_line(value.get("provider")) or "?",
        error=error,
        duration_ms=_duration_ms(value.get("duration_ms")),
    )
