"""A model's answer as a decision: found in whatever it wrote around it, and judged strictly."""

from __future__ import annotations

import json

from timmy_tui.services.answer import is_placeholder, said_objects
from timmy_tui.services.cascade.records import CallError
from timmy_tui.services.json_objects import KeyKinds, find_objects
from timmy_tui.services.ticks.records import Decision
from timmy_tui.text import BLOCK_LIMIT, Json, clean

ANSWER_TOKENS_MOST = 4_096
"""A decision has a hundred; the rest is for a model that thinks. Without a bound some never come to an end."""

ACTIONS_LIMIT = 20
"""Actions kept of one decision; one more entry tells how many were left out."""

ACTION_LENGTH = 200

TEXT_LIMIT = 2_000_000
"""Characters looked at: a first turn that is longer repeats itself."""

SEVERITIES = ("ok", "warning", "critical")

DECISION_SCHEMA: Json = {
    "type": "object",
    "properties": {
        "actions": {"type": "array", "items": {"type": "string"}},
        "severity": {"type": "string", "enum": list(SEVERITIES)},
        "reasoning": {"type": "string"},
    },
    "required": ["actions", "severity", "reasoning"],
    "additionalProperties": False,
}
"""The decision as JSON Schema, for servers that hold a model to one (Ollama's ``format``)."""

_SHAPE: KeyKinds = {"actions": "[", "severity": '"', "reasoning": '"'}

# "info" and "normal" are how models and log levels say that nothing is wrong. "error", "high", "unknown" and the rules'
# own "fallback" say something else than the three words, so they are refused instead of guessed at.
_SEVERITIES = {
    "ok": "ok",
    "okay": "ok",
    "info": "ok",
    "normal": "ok",
    "warn": "warning",
    "warning": "warning",
    "crit": "critical",
    "critical": "critical",
}


def parse_decision(text: str) -> Decision:
    """The last JSON object of the answer that has ``actions``, ``severity`` and ``reasoning`` of the right types.

    Fences and prose around it do not matter; what is the answer in ``text`` :mod:`timmy_tui.services.answer` knows.
    An object inside another such object, or inside a JSON string, is a part of that one, and the template said again
    is none. Severities are normalised to
    ``ok``, ``warning`` or ``critical``; an action may be a string or an object with a ``name`` or an ``action``.
    Strings of the result are cleaned. Time grows with the length of ``text``.

    Raises :class:`CallError` ``wrong_shape`` that says what is wrong.
    """
    tree = _tree(text[:TEXT_LIMIT])
    return Decision(
        severity=_severity(tree.get("severity")),
        reasoning=_reasoning(tree.get("reasoning")),
        actions=_actions(tree.get("actions")),
    )


def verbatim_decision(text: str) -> Decision:
    """What :func:`parse_decision` finds, its texts as they are: to be edited or exported, never to be shown.

    Raises :class:`CallError` where that does, and for more actions than are kept.
    """
    decision, tree = parse_decision(text), _tree(text[:TEXT_LIMIT])
    reasoning, actions = tree["reasoning"], tree["actions"]
    assert isinstance(reasoning, str)
    assert isinstance(actions, list)
    if len(actions) > ACTIONS_LIMIT:
        raise _wrong(f"{len(actions)} actions, {ACTIONS_LIMIT} are the most")
    names = [_name(entry).strip() for entry in actions]
    return Decision(decision.severity, reasoning.strip(), tuple(name for name in names if name))


def _tree(text: str) -> dict[str, object]:
    said, found = said_objects(text, _SHAPE)
    trees = [tree for start, end in found if not _is_template(tree := _loaded(said[start:end]))]
    if trees:
        return trees[-1]
    if not found and find_objects(text, _SHAPE):
        raise _wrong("the only decision is a part of the model's thinking, or of a turn that is not its own")
    raise _wrong("the only decision is the template" if found else _what_is_there(said))


def _loaded(text: str) -> dict[str, object]:
    try:
        tree: dict[str, object] = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        raise _wrong("the decision is no valid JSON") from None
    return tree


def _is_template(tree: dict[str, object]) -> bool:
    """The example of the prompt, said again: ``"reasoning": "…"``."""
    reasoning = tree["reasoning"]
    return isinstance(reasoning, str) and is_placeholder(reasoning)


def _what_is_there(text: str) -> str:
    if not text.strip():
        return "the answer is empty"
    if '"severity"' not in text:
        return "no JSON object with a severity in the answer"
    return "no complete JSON object with actions, severity and reasoning in the answer"


def _severity(value: object) -> str:
    if not isinstance(value, str):
        raise _wrong("severity is no text")
    known = _SEVERITIES.get(value.strip().lower())
    if known is None:
        raise _wrong(f"severity is {clean(value, limit=40)!r}, not ok, warning or critical")
    return known


def _reasoning(value: object) -> str:
    if not isinstance(value, str):
        raise _wrong("reasoning is no text")
    return clean(value.strip(), limit=BLOCK_LIMIT, multiline=True)


def _actions(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise _wrong("actions is no list")
    names = [name for entry in value[:ACTIONS_LIMIT] if (name := _action(entry))]
    if len(value) > ACTIONS_LIMIT:
        names.append(f"… {len(value) - ACTIONS_LIMIT} more actions left out")
    return tuple(names)


def _action(entry: object) -> str:
    return clean(_name(entry).strip(), limit=ACTION_LENGTH)


def _name(entry: object) -> str:
    if isinstance(entry, dict):
        entry = next((entry[key] for key in ("name", "action") if isinstance(entry.get(key), str)), None)
    if not isinstance(entry, str):
        raise _wrong("an action is neither a text nor an object with a name")
    return entry


def _wrong(what: str) -> CallError:
    return CallError("wrong_shape", what)
