"""The rules that a row must keep, by the file it stands in (facts/annotation.md §4)."""

from __future__ import annotations

from collections.abc import Callable

Row = dict[str, object]
Rule = Callable[[Row], "Told"]
Told = tuple[str, str, str | None]
"""The prompt, and the two texts that tell this row from others (the second one is None for a label)."""

TEXT_COLUMNS = (
    *("row_id", "tick_id", "origin", "source", "prompt_sha256", "prompt_source", "completion_source", "model"),
    *("severity", "labelled_at", "operator", "note", "tool_version"),
)
PAIR_TEXT_COLUMNS = (*TEXT_COLUMNS, "pair_kind", "chosen_model", "rejected_model")
FACT_COLUMNS = frozenset({*TEXT_COLUMNS, "redacted"})
PAIR_COLUMNS = frozenset({*PAIR_TEXT_COLUMNS, "redacted"})
RESERVED_COLUMNS = frozenset({"tools", "images", "image", "videos", "audio", "chat_template_kwargs"})
"""Trainers take these for their own."""

_PAIR_KINDS = ("edit", "resample", "same_prompt")


class BadRow(Exception):
    """A row breaks a rule; the text says which."""


def kto_rule(row: Row) -> Told:
    """TRL's KTO."""
    _keys(row, {"prompt", "completion", "label"} | FACT_COLUMNS)
    _facts(row)
    _boolean(row, "label")
    return _messages(row["prompt"], "user")[0], _messages(row["completion"], "assistant")[0], None


def dpo_rule(row: Row) -> Told:
    """TRL's DPO."""
    _keys(row, {"prompt", "chosen", "rejected"} | PAIR_COLUMNS)
    _facts(row)
    if row["pair_kind"] not in _PAIR_KINDS:
        raise BadRow("pair_kind is none of ours")
    sides = _messages(row["chosen"], "assistant")[0], _messages(row["rejected"], "assistant")[0]
    _differ(*sides)
    return _messages(row["prompt"], "user")[0], *sides


def sft_rule(row: Row) -> Told:
    """TRL's SFT."""
    _keys(row, {"messages"} | FACT_COLUMNS)
    _facts(row)
    prompt, completion = _messages(row["messages"], "user", "assistant")
    return prompt, completion, None


def llamafactory_rule(row: Row) -> Told:
    """LLaMA-Factory's KTO. A tag that is no boolean would make it imitate what was rejected."""
    _keys(row, {"conversations", "kto_tag"} | FACT_COLUMNS)
    _facts(row)
    _boolean(row, "kto_tag")
    prompt, completion = _messages(row["conversations"], "human", "gpt", keys=("from", "value"))
    return prompt, completion, None


def mlx_rule(row: Row) -> Told:
    """mlx-lm-lora's DPO."""
    _keys(row, {"prompt", "chosen", "rejected"})
    prompt, chosen, rejected = (_text(row[key]) for key in ("prompt", "chosen", "rejected"))
    _differ(chosen, rejected)
    return prompt, chosen, rejected


def openai_rule(row: Row) -> Told:
    """OpenAI's preferences."""
    _keys(row, {"input", "preferred_output", "non_preferred_output"})
    asked = row["input"]
    if not isinstance(asked, dict):
        raise BadRow("input is no object")
    _keys(asked, {"messages", "tools", "parallel_tool_calls"})
    if asked["tools"] != [] or asked["parallel_tool_calls"] is not True:
        raise BadRow("input names tools")
    sides = _messages(row["preferred_output"], "assistant")[0], _messages(row["non_preferred_output"], "assistant")[0]
    _differ(*sides)
    return _messages(asked["messages"], "user")[0], *sides


RULES: dict[str, Rule] = {
    "kto": kto_rule,
    "dpo": dpo_rule,
    "sft": sft_rule,
    "llamafactory_kto": llamafactory_rule,
    "mlx_dpo": mlx_rule,
    "openai_preference": openai_rule,
}
"""By the stem of the file's name."""


def tick_rule(row: Row) -> None:
    """A line of a tick log."""
    if "tick_id" not in row:
        raise BadRow("no tick_id")


def once(pairs: list[tuple[str, object]]) -> Row:
    """An object of JSON whose keys all differ; for ``json.loads``."""
    row = dict(pairs)
    if len(row) != len(pairs):
        raise BadRow("a key stands twice in one object")
    return row


def no_lone_surrogate(value: object) -> None:
    """``datasets`` refuses what JSON allows."""
    left = [value]
    while left:
        branch = left.pop()
        if isinstance(branch, str):
            if any("\ud800" <= character <= "\udfff" for character in branch):
                raise BadRow("a lone surrogate")
        elif isinstance(branch, dict):
            left += [*branch, *branch.values()]
        elif isinstance(branch, list):
            left += branch


def _keys(row: Row, expected: set[str] | frozenset[str]) -> None:
    if row.keys() == expected:
        return
    reserved = row.keys() & RESERVED_COLUMNS - expected
    if reserved:
        raise BadRow(f"the column {min(reserved)} means something else to trainers")
    raise BadRow(f"its keys are not as they should be: {', '.join(sorted(row.keys() ^ expected))}")


def _facts(row: Row) -> None:
    for key in PAIR_TEXT_COLUMNS if "pair_kind" in row else TEXT_COLUMNS:
        if type(row[key]) is not str:
            raise BadRow(f"{key} is no text")
    _boolean(row, "redacted")
    if not row["row_id"] or not row["prompt_sha256"]:
        raise BadRow("it has no id")


def _boolean(row: Row, key: str) -> None:
    if type(row[key]) is not bool:
        raise BadRow(f"{key} is neither true nor false")


def _messages(value: object, *roles: str, keys: tuple[str, str] = ("role", "content")) -> list[str]:
    """The texts of messages that have exactly these roles."""
    if not isinstance(value, list) or len(value) != len(roles):
        raise BadRow(f"not {len(roles)} message{'s' * (len(roles) > 1)} where there should be")
    texts = []
    for message, role in zip(value, roles, strict=True):
        if not isinstance(message, dict) or message.keys() != set(keys) or message[keys[0]] != role:
            raise BadRow(f"a message that is not of the {role}")
        texts.append(_text(message[keys[1]]))
    return texts


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise BadRow("a text that is none")
    if not value or value.isspace():
        raise BadRow("an empty text")
    return value


def _differ(chosen: str, rejected: str) -> None:
    if chosen == rejected:
        raise BadRow("the chosen and the rejected text are equal")
