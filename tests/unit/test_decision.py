"""A decision is found in whatever a model writes around it, and nothing else is taken for one."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timmy_tui.services.cascade.records import CallError
from timmy_tui.services.heartbeat.decision import ACTIONS_LIMIT, DECISION_SCHEMA, parse_decision
from timmy_tui.services.json_objects import find_objects
from timmy_tui.services.ticks.records import Decision
from timmy_tui.text import BLOCK_LIMIT, clean

OK = '{"actions": [], "severity": "ok", "reasoning": "All is well."}'
BAD = '{"actions": ["ALERT: x"], "severity": "critical", "reasoning": "Gitea is down."}'


def refusal(text: str) -> str:
    with pytest.raises(CallError) as caught:
        parse_decision(text)
    assert caught.value.problem == "wrong_shape"
    return caught.value.message


def test_a_bare_decision_is_taken_as_it_is() -> None:
    assert parse_decision(BAD) == Decision(severity="critical", reasoning="Gitea is down.", actions=("ALERT: x",))


@pytest.mark.parametrize(
    "text",
    [
        f"```json\n{OK}\n```",
        f"Sure! Here it is:\n{OK}\nLet me know if {{anything}} else is needed.",
        f"First I thought {BAD}, but then: {OK}",
        f"<think>{BAD}</think>\n{OK}",
        f"The template went in with the thought: {BAD}</think>{OK}",
        f"<THINKING>\nhm\n</THINKING> {OK}",
        f'{{"decision": {OK}, "confidence": 0.9}}',
        f'{{"wrapped": [{OK}]',
        f'{{broken "quotes {{ {OK}',
        f'{{"note: he said {OK}',
        f'{{"a": "{OK}',
        f"{{{{{{ {OK} }}}}",
        f'{{"severity": "critical"}} {OK} {{"severity": "critical", "reasoning": "no actions"}}',
        f'{OK} {{"actions": "none", "severity": "critical", "reasoning": "actions is no list"}}',
        "\ufeff" + OK,
    ],
)
def test_the_last_object_of_the_right_shape_is_the_decision(text: str) -> None:
    assert parse_decision(text).reasoning == "All is well."


def test_braces_quotes_and_line_ends_inside_strings_are_words() -> None:
    reasoning = 'A "quoted" {brace} and } { \\ and </think>'
    text = json.dumps({"actions": ["a {b}"], "severity": "ok", "reasoning": reasoning})
    assert parse_decision(text).reasoning == reasoning
    assert parse_decision('{"actions": [], "severity": "ok", "reasoning": "two\nlines"}').reasoning == "two\nlines"


def test_a_decision_inside_a_string_or_inside_another_is_a_part_of_it() -> None:
    quoting = json.dumps({"actions": [], "severity": "warning", "reasoning": f"not {BAD}"})
    assert parse_decision(quoting).severity == "warning"
    assert "no JSON object" in refusal(json.dumps({"answer": OK}))
    nested = json.dumps({"actions": [{"name": "look", **json.loads(BAD)}], "severity": "ok", "reasoning": "r"})
    assert parse_decision(nested).actions == ("look",)


def test_a_decision_that_stands_only_in_a_thought_is_none() -> None:
    assert "thinking" in refusal(f"<think>maybe {OK}</think> I can't decide.")
    assert "thinking" in refusal(f"maybe {OK}</think>")
    assert "thinking" in refusal(f"<think>the answer will be {OK} but first")


@pytest.mark.parametrize(
    ("told", "meant"),
    [
        ("WARN", "warning"),
        ("Warning", "warning"),
        (" warning\n", "warning"),
        ("CRIT", "critical"),
        ("Critical", "critical"),
        ("OK", "ok"),
        ("okay", "ok"),
        ("INFO", "ok"),
        ("normal", "ok"),
    ],
)
def test_severities_are_normalised(told: str, meant: str) -> None:
    assert parse_decision(json.dumps({"actions": [], "severity": told, "reasoning": ""})).severity == meant


@pytest.mark.parametrize("told", ["fallback", "error", "unknown", "", "ok|warning|critical", "not ok", "critical!"])
def test_any_other_severity_is_a_wrong_shape(told: str) -> None:
    assert "severity" in refusal(json.dumps({"actions": [], "severity": told, "reasoning": ""}))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   \n",
        "All services answer.",
        '{"severity": "ok", "reasoning": "no actions"}',
        '{"actions": [], "reasoning": "no severity"}',
        '{"actions": [], "severity": "ok"}',
        '{"actions": [], "severity": null, "reasoning": ""}',
        '{"actions": [], "severity": "ok", "reasoning": 3}',
        '{"actions": {}, "severity": "ok", "reasoning": ""}',
        '{"actions": [3], "severity": "ok", "reasoning": ""}',
        '{"actions": [null], "severity": "ok", "reasoning": ""}',
        '{"actions": [{"run": "rm -rf /"}], "severity": "ok", "reasoning": ""}',
        '{"actions": [], "severity": "ok", "reasoning": "cut o',
        '{"actions": [], "severity": "ok", "reasoning": "",}',
        "{'actions': [], 'severity': 'ok', 'reasoning': ''}",
        '["actions", "severity", "reasoning"]',
        '{"actions": ' + "[" * 5_000 + "]" * 5_000 + ', "severity": "ok", "reasoning": ""}',
        '{"actions": [' + "9" * 5_000 + '], "severity": "ok", "reasoning": ""}',
        '{"actions": [], "severity": "ok", "reasoning": "bad \\q escape"}',
    ],
)
def test_what_lacks_a_part_or_is_no_json_is_a_wrong_shape(text: str) -> None:
    assert refusal(text)


def test_actions_are_names_bounded_in_number_and_length() -> None:
    entries: list[object] = ["restart", {"name": "look", "why": "x"}, {"action": "tell"}, "", "y" * 9_000]
    decision = parse_decision(json.dumps({"actions": entries, "severity": "ok", "reasoning": ""}))
    assert decision.actions[:3] == ("restart", "look", "tell")
    assert len(decision.actions) == 4
    assert len(decision.actions[3]) < 300
    many = parse_decision(json.dumps({"actions": ["a"] * 500, "severity": "ok", "reasoning": ""})).actions
    assert len(many) == ACTIONS_LIMIT + 1
    assert many[-1] == "… 480 more actions left out"


def test_what_is_shown_is_clean() -> None:
    text = json.dumps({"actions": ["a\x1b[2Jb\nc"], "severity": "ok", "reasoning": "r\x1b]0;t\x07 \u202e"})
    decision = parse_decision(text)
    assert decision.actions == ("a^[[2Jb⏎c",)
    assert "\x1b" not in decision.reasoning
    assert "\u202e" not in decision.reasoning


def test_the_schema_demands_what_the_parser_demands() -> None:
    assert isinstance(DECISION_SCHEMA, dict)
    assert DECISION_SCHEMA["required"] == ["actions", "severity", "reasoning"]
    for severity in ("ok", "warning", "critical"):
        assert severity in json.dumps(DECISION_SCHEMA)
        assert parse_decision(json.dumps({"actions": [], "severity": severity, "reasoning": ""})).severity == severity


DECISIONS = st.fixed_dictionaries(
    {
        "actions": st.lists(st.text(max_size=20), max_size=5),
        "severity": st.sampled_from(["ok", "warning", "critical"]),
        "reasoning": st.text(max_size=80),
    }
)
PROSE = st.text(st.sampled_from('{}[]",:\\ abn0\n`'), max_size=60)


@given(PROSE, DECISIONS, PROSE.filter(lambda text: "{" not in text), st.booleans())
def test_a_decision_in_any_prose_is_found(before: str, tree: dict[str, object], after: str, ascii_only: bool) -> None:
    text = f"{before}\n{json.dumps(tree, ensure_ascii=ascii_only)}\n{after}"
    # A brace and a quote just before can make the decision a part of broken JSON, never of sound JSON.
    decision = parse_decision(text)
    assert decision.severity == tree["severity"]
    assert decision.reasoning == clean(str(tree["reasoning"]).strip(), limit=BLOCK_LIMIT, multiline=True)


@given(st.one_of(st.text(), st.text(st.sampled_from('{}[]",:\\ab0-.e<>/think'), max_size=200)))
def test_no_text_raises_anything_but_a_call_error(text: str) -> None:
    problem = None
    try:
        parse_decision(text)
    except CallError as error:
        problem = error.problem
    assert problem in (None, "wrong_shape")


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner),
    )
)
def test_every_whole_object_is_read_to_its_end(tree: object) -> None:
    """The reader of brackets agrees with the JSON module about what is an object."""
    text = json.dumps({"k": tree, "s": ""})
    assert find_objects(f"x{text}y", {"s": '"'}) == ((1, 1 + len(text)),)


@pytest.mark.parametrize(
    "unit", ["{", '{"', '{"a":', '{"a":[', '{"{', '{"a":"', '{"a":1}', "{ ", '{"\\', '{" ":{"', '"{', '{"actions":[']
)
def test_floods_of_brackets_take_steps_in_proportion(unit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted, not timed: no place of the text is begun as an object twice."""
    from timmy_tui.services import json_objects

    begun: list[int] = []
    read = json_objects._Reading.read

    def counted(self: json_objects._Reading, start: int) -> int | None:
        begun.append(start)
        return read(self, start)

    monkeypatch.setattr(json_objects._Reading, "read", counted)
    text = unit * (200_000 // len(unit)) + OK
    parsed: object
    try:
        parsed = parse_decision(text)
    except CallError as error:
        parsed = error
    assert parsed is not None
    assert len(begun) == len(set(begun))


def test_a_long_answer_in_random_prose_still_ends_with_its_decision() -> None:
    words = random.Random(3)
    noise = "".join(words.choice('{}[]",: ab\n') for _ in range(300_000))
    assert parse_decision(f"{noise}\n\n{OK}").severity == "ok"
