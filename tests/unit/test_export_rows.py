"""What an operator's words become: each serves what it honestly can, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from export_home import AT, ExportHome, said
from hypothesis import given
from hypothesis import strategies as st

from timmy_tui.services.export.records import ExportError


@pytest.fixture
def home(tmp_path: Path) -> ExportHome:
    return ExportHome(tmp_path)


def test_a_label_on_one_answer_is_a_row_with_its_label_and_no_pair(home: ExportHome) -> None:
    home.label(home.tick(1, prompt="P", response="good"))
    home.label(home.tick(2, prompt="Q", response="bad"), "rejected")
    report = home.export()
    assert home.labelled() == {("P", "good", True), ("Q", "bad", False)}
    assert (report.chosen, report.rejected, report.edits) == (1, 1, 0)
    assert not home.rows("dpo.jsonl")
    assert not home.rows("mlx_dpo.jsonl")
    assert not (home.target / "openai_preference.jsonl").exists()
    assert "0 cross-tick pairs possible: prompts differ" in report.warnings


def test_every_format_says_it_in_its_own_shape(home: ExportHome) -> None:
    home.edit(home.tick(1, prompt="P", response="bad"), "Rather so.")
    home.export()
    better = '{"actions": [], "severity": "ok", "reasoning": "Rather so."}'
    user, good, bad = (
        [{"role": role, "content": text}] for role, text in (("user", "P"), ("assistant", better), ("assistant", "bad"))
    )
    kto = {row["label"]: row for row in home.rows("kto.jsonl")}
    assert (kto[False]["prompt"], kto[False]["completion"]) == (user, bad)
    assert (kto[True]["prompt"], kto[True]["completion"]) == (user, good)
    (dpo,) = home.rows("dpo.jsonl")
    assert (dpo["prompt"], dpo["chosen"], dpo["rejected"], dpo["pair_kind"]) == (user, good, bad, "edit")
    (sft,) = home.rows("sft.jsonl")
    assert sft["messages"] == user + good
    tags = {row["kto_tag"]: row["conversations"] for row in home.rows("llamafactory_kto.jsonl")}
    assert tags == {
        True: [{"from": "human", "value": "P"}, {"from": "gpt", "value": better}],
        False: [{"from": "human", "value": "P"}, {"from": "gpt", "value": "bad"}],
    }
    assert home.rows("mlx_dpo.jsonl") == [{"prompt": "P", "chosen": better, "rejected": "bad"}]
    assert home.rows("openai_preference.jsonl") == [
        {
            "input": {"messages": user, "tools": [], "parallel_tool_calls": True},
            "preferred_output": good,
            "non_preferred_output": bad,
        }
    ]
    info = json.loads((home.target / "dataset_info.json").read_text())
    assert info["timmy_kto"]["file_name"] == "llamafactory_kto.jsonl"
    assert info["timmy_kto"]["columns"] == {"messages": "conversations", "kto_tag": "kto_tag"}


def test_a_row_says_where_it_comes_from(home: ExportHome) -> None:
    home.label(home.tick(1, prompt="P", response="R", tick_id="20261120_101500"), note="fine")
    home.export()
    (row,) = home.rows("kto.jsonl")
    assert {key: row[key] for key in row if key not in ("row_id", "prompt_sha256", "tool_version")} == {
        "prompt": [{"role": "user", "content": "P"}],
        "completion": [{"role": "assistant", "content": "R"}],
        "label": True,
        "tick_id": "20261120_101500",
        "origin": "tick",
        "source": "heartbeat",
        "prompt_source": "as sent",
        "completion_source": "raw text",
        "model": "hermes4:14b",
        "severity": "ok",
        "labelled_at": AT,
        "operator": "alex",
        "note": "fine",
        "redacted": False,
    }


def test_the_last_word_wins_and_an_undone_word_was_never_said(home: ExportHome) -> None:
    one, two = home.tick(1, prompt="P", response="one"), home.tick(2, prompt="Q", response="two")
    home.label(one)
    home.label(one, "rejected")
    home.label(two)
    home.event("undo", undoes=home.label(two, "rejected"))
    home.export()
    assert home.labelled() == {("P", "one", False), ("Q", "two", True)}


def test_a_correction_that_was_taken_back_by_a_label_is_gone(home: ExportHome) -> None:
    one, two = home.tick(1, prompt="P", response="one"), home.tick(2, prompt="Q", response="two")
    home.edit(one)
    home.label(one)
    home.edit(two)
    home.label(two, "skipped")
    report = home.export()
    assert home.labelled() == {("P", "one", True)}
    assert report.dropped == {"skipped": 1}
    assert not home.rows("dpo.jsonl")


def test_an_edit_that_is_no_decision_still_rejects(home: ExportHome) -> None:
    home.event("edit", candidate=home.tick(1, prompt="P", response="one"), decision={"severity": "purple"})
    report = home.export()
    assert home.labelled() == {("P", "one", False)}
    assert report.dropped == {"an edit that is no decision": 1}


def test_an_edit_that_changes_nothing_says_nothing(home: ExportHome) -> None:
    same = '{"reasoning": "All is well.",  "severity": "okay", "actions": []}'
    home.edit(home.tick(1, prompt="P", response=same))
    home.label(home.tick(2, prompt="Q", response="two"))
    report = home.export()
    assert home.labelled() == {("Q", "two", True)}
    assert report.dropped == {"an edit that changes nothing": 1}


@pytest.mark.parametrize(
    ("preferred", "pairs"),
    [
        ("original", {("resample", "mine", "another")}),
        ("alternative", {("resample", "another", "mine")}),
        ("neither", set()),
    ],
)
def test_a_preference_is_a_pair_and_no_label(
    home: ExportHome, preferred: str, pairs: set[tuple[str, str, str]]
) -> None:
    home.label(home.tick(2, prompt="Q", response="two"))
    home.prefer(home.tick(1, prompt="P", response="mine"), preferred)
    report = home.export()
    assert home.pairs() == pairs
    assert home.labelled() == {("Q", "two", True)}
    assert report.dropped == ({} if pairs else {"neither was preferred": 1})
    for row in home.rows("dpo.jsonl"):
        models = {"mine": "hermes4:14b", "another": "other:7b"}
        assert row["chosen_model"] == row["model"] == models[said(row["chosen"])]
        assert row["rejected_model"] == models[said(row["rejected"])]


def test_a_preference_without_an_alternative_or_with_an_equal_one_is_left_out(home: ExportHome) -> None:
    home.label(home.tick(1, prompt="P", response="one"))
    home.event("prefer", candidate=home.tick(2, prompt="Q", response="two"), preferred="original")
    home.prefer(home.tick(3, prompt="R", response="another"), "original")
    report = home.export()
    assert not home.rows("dpo.jsonl")
    assert report.dropped == {"a preference without an alternative": 1, "a pair with two equal sides": 1}


def test_two_ticks_make_a_pair_only_when_they_were_asked_the_very_same(home: ExportHome) -> None:
    for n, (prompt, response, word) in enumerate(
        [("P", "a", "chosen"), ("P", "b", "rejected"), ("P ", "c", "rejected"), ("Q", "d", "chosen")]
    ):
        home.label(home.tick(n, prompt=prompt, response=response), word)
    home.export()
    assert home.pairs() == {("same_prompt", "a", "b")}
    files = home.manifest()["files"]
    assert files["dpo.jsonl"]["classes"] == {"same_prompt": 1}  # type: ignore[index]
    assert files["kto.jsonl"]["classes"] == {"chosen": 2, "rejected": 2}  # type: ignore[index]


def test_no_answer_is_in_two_pairs_of_one_prompt(home: ExportHome) -> None:
    for n in range(3):
        home.label(home.tick(n, prompt="P", response=f"good {n}"))
    for n in range(3, 8):
        home.label(home.tick(n, prompt="P", response=f"bad {n}"), "rejected")
    home.export()
    pairs = home.pairs()
    assert len(pairs) == 3
    assert len({chosen for _, chosen, _ in pairs}) == len({rejected for _, _, rejected in pairs}) == 3


def test_prompts_that_become_equal_by_redaction_make_no_pair(home: ExportHome) -> None:
    home.label(home.tick(1, prompt="at /home/alex", response="a"))
    home.label(home.tick(2, prompt="at /home/sam", response="b"), "rejected")
    home.export()
    assert home.labelled() == {("at ~", "a", True), ("at ~", "b", False)}
    assert not home.pairs()


def test_texts_that_become_equal_by_redaction_and_have_two_labels_are_left_out(home: ExportHome) -> None:
    home.label(home.tick(1, prompt="P", response="see /home/alex"))
    home.label(home.tick(2, prompt="P", response="see /home/sam"), "rejected")
    home.label(home.tick(3, prompt="P", response="as /home/alex"))
    home.label(home.tick(4, prompt="P", response="as /home/sam"))
    report = home.export()
    assert home.labelled() == {("P", "as ~", True)}
    assert report.dropped == {"the same text with different labels": 2, "the same text twice": 1}
    assert not home.pairs()


def test_preferences_that_contradict_each_other_are_left_out(home: ExportHome) -> None:
    home.label(home.tick(1, prompt="Q", response="x"))
    home.prefer(home.tick(2, prompt="P", response="a"), "original", "b")
    home.prefer(home.tick(3, prompt="P", response="b"), "original", "a")
    report = home.export()
    assert not home.pairs()
    assert report.dropped == {"pairs that contradict each other": 2}


def test_a_ticks_own_label_counts_where_no_event_speaks(home: ExportHome) -> None:
    one = home.tick(1, prompt="P", response="one", dpo_label="chosen")
    home.tick(2, prompt="Q", response="two", dpo_label="rejected")
    home.label(one, "rejected")
    home.export()
    assert home.labelled() == {("P", "one", False), ("Q", "two", False)}
    own = next(row for row in home.rows("kto.jsonl") if said(row["completion"]) == "two")
    assert (own["operator"], own["labelled_at"]) == ("", "")


def test_one_operators_words_are_taken_alone(home: ExportHome) -> None:
    one = home.tick(1, prompt="P", response="one")
    home.tick(2, prompt="Q", response="two", dpo_label="chosen")
    home.label(one, "chosen", operator="sam")
    home.label(one, "rejected", operator="alex")
    home.export(operator="sam")
    assert home.labelled() == {("P", "one", True)}
    assert home.manifest()["provenance"]["operators"] == {"sam": 1}


def test_since_is_a_local_day_of_the_decision(home: ExportHome) -> None:
    from datetime import date

    home.label(home.tick(1, prompt="P", response="old", timestamp="2026-11-19T23:59:59+00:00"))
    home.label(home.tick(2, prompt="Q", response="new", timestamp="2026-11-20T00:00:00+00:00"))
    home.label(home.tick(3, prompt="R", response="?", timestamp=None, tick_id="x"))
    report = home.export(since=date(2026, 11, 20))
    assert home.labelled() == {("Q", "new", True)}
    assert report.dropped == {
        "before the first day asked for": 1,
        "no known time, and only a time since was asked for": 1,
    }
    assert [row["response"] for row in home.rows("ticks/ticks_20261120.jsonl")] == ["new"]


def test_the_same_texts_on_a_later_day_are_since_then(home: ExportHome) -> None:
    from datetime import date

    key = home.tick(1, prompt="P", response="one", timestamp="2026-11-19T10:00:00+00:00")
    home.tick(2, prompt="P", response="one", timestamp="2026-11-20T10:00:00+00:00", tick_id="later")
    home.label(key)
    assert home.export(since=date(2026, 11, 20)).dropped == {}
    assert [row["tick_id"] for row in home.rows("kto.jsonl")] == ["later"]


def test_a_session_is_a_candidate_like_a_tick(home: ExportHome) -> None:
    home.label(home.session("s1", "question", "answer"), tick_id="s1")
    home.session("s2", "another", "unlabelled")
    home.export()
    (row,) = home.rows("kto.jsonl")
    assert (row["origin"], row["source"], row["tick_id"], row["severity"]) == ("session", "cli", "s1", "")
    assert home.manifest()["inputs"]["sessions"]["used"] == 1  # type: ignore[index]


def test_labels_of_what_is_no_longer_there_are_told_by_reason(home: ExportHome) -> None:
    home.label(home.tick(1, prompt="P", response="one", tick_id="a"))
    home.label("0" * 64, tick_id="a")
    home.label("1" * 64, tick_id="b")
    home.session("s", "question", "answer")
    home.label("2" * 64, tick_id="s")
    report = home.export()
    assert report.dropped == {
        "the tick changed after it was labelled": 1,
        "the tick is gone": 1,
        "the session changed after it was labelled": 1,
    }


def test_two_ticks_with_one_id_are_two_candidates(home: ExportHome) -> None:
    home.label(home.tick(1, prompt="P", response="one", tick_id="same"), tick_id="same")
    home.label(home.tick(2, prompt="Q", response="two", tick_id="same"), "rejected", tick_id="same")
    assert home.export().dropped == {}
    assert home.labelled() == {("P", "one", True), ("Q", "two", False)}


def test_a_repeated_tick_is_one_candidate(home: ExportHome) -> None:
    key = home.tick(1, prompt="P", response="one")
    home.tick(1, prompt="P", response="one")
    home.label(key)
    assert home.export().chosen == 1
    assert len(home.rows("ticks/ticks_20261120.jsonl")) == 2


def test_old_logs_have_their_prompt_made_again_and_it_is_said(home: ExportHome) -> None:
    tree = {
        "tick_id": "20250101_000000",
        "timestamp": "2025-01-01T00:00:00+00:00",
        "perception": {"gitea_alive": True},
        "decision": {"severity": "ok", "actions": [], "reasoning": "fine"},
        "dpo_label": "chosen",
    }
    home.raw_tick(tree)
    report = home.export()
    (row,) = home.rows("kto.jsonl")
    assert (row["prompt_source"], row["completion_source"]) == ("reconstructed", "re-serialised JSON")
    assert said(row["completion"]) == json.dumps(tree["decision"])
    assert home.manifest()["provenance"]["prompt_sources"] == {"reconstructed": 1}
    assert any("reconstructed" in warning for warning in report.warnings)


def test_decisions_of_the_rules_count_when_they_were_labelled_and_are_counted(home: ExportHome) -> None:
    tree = {"tick_id": "t", "prompt": "P", "decision": {"severity": "fallback", "actions": []}, "response": None}
    home.label(home.raw_tick(tree))
    home.raw_tick({**tree, "prompt": "Q"})
    home.export()
    assert home.labelled() == {("P", '{"severity": "fallback", "actions": []}', True)}
    assert home.manifest()["provenance"]["labelled_decisions_by_rules"] == 1


@pytest.mark.parametrize(
    ("prompt", "response"), [("", "a"), ("P", " \n"), ("2026-11-20", "a"), ("P", "2026-11-20 10:00")]
)
def test_what_no_trainer_should_get_is_left_out(home: ExportHome, prompt: str, response: str) -> None:
    home.label(home.tick(1, prompt=prompt, response=response))
    home.label(home.tick(2, prompt="Q", response="two"))
    assert sum(home.export().dropped.values()) == 1
    assert home.labelled() == {("Q", "two", True)}


def test_a_correction_or_an_alternative_that_is_only_a_date_makes_no_pair(home: ExportHome) -> None:
    one, two = home.session("s", "What day is it?", "Friday"), home.session("t", "And then?", "Saturday")
    home.event("edit", candidate=one, response="2026-11-20")
    home.prefer(two, "alternative", "2026-11-21")
    assert home.export().dropped == {"a text that is only a date": 2}
    assert home.labelled() == {("What day is it?", "Friday", False)}
    assert not home.rows("dpo.jsonl")


def test_nothing_labelled_is_an_error_that_says_what_to_do(home: ExportHome) -> None:
    key = home.tick(1)
    with pytest.raises(ExportError, match="Nothing is labelled yet") as told:
        home.export()
    assert "Press r in the console" in told.value.hint
    home.label(key, "skipped")
    with pytest.raises(ExportError, match=r"Nothing that is labelled can be exported: skipped \(1\)"):
        home.export()
    home.label(key)
    with pytest.raises(ExportError, match="No rows for dpo, mlx"):
        home.export(formats=("mlx", "dpo"))
    assert home.left_behind() == []


WORDS = st.tuples(
    st.integers(0, 3),
    st.sampled_from(["chosen", "rejected", "skipped", "edit", "original", "alternative", "neither", "undo"]),
    st.sampled_from(["alex", "sam"]),
)


@given(words=st.lists(WORDS, min_size=1, max_size=12), same=st.booleans())
def test_rows_follow_from_the_last_words(
    tmp_path_factory: pytest.TempPathFactory, words: list[tuple[int, str, str]], same: bool
) -> None:
    """An independent fold over whatever was said: labels, corrections, preferences, and undone last words."""
    home = ExportHome(tmp_path_factory.mktemp("home"))
    prompts = ["P" if same else f"P{n}" for n in range(4)]
    keys = [home.tick(n, prompt=prompts[n], response=f"answer {n}") for n in range(4)]
    home.label(home.tick(9, prompt="always", response="there"))
    told: list[tuple[int, str]] = []
    last: str | None = None
    for n, word, operator in words:
        if word == "undo":
            if last is not None and told:
                home.event("undo", undoes=last)
                told.pop()
            last = None
        else:
            if word == "edit":
                last = home.edit(keys[n], f"Better {n}.", operator=operator)
            elif word in ("original", "alternative", "neither"):
                last = home.prefer(keys[n], word, f"other {n}", operator=operator)
            else:
                last = home.label(keys[n], word, operator=operator)
            told.append((n, word))
    labels: dict[int, str] = {}
    preferences: dict[int, str] = {}
    for n, word in told:
        if word in ("original", "alternative", "neither"):
            preferences[n] = word
        else:
            labels[n] = word
    home.export()

    def better(n: int) -> str:
        return json.dumps({"actions": [], "severity": "ok", "reasoning": f"Better {n}."})

    rows = {("always", "there", True)}
    pairs = set()
    for n, word in labels.items():
        if word != "skipped":
            rows.add((prompts[n], f"answer {n}", word == "chosen"))
        if word == "edit":
            rows.add((prompts[n], better(n), True))
            pairs.add(("edit", better(n), f"answer {n}"))
    for n, word in preferences.items():
        sides = (f"answer {n}", f"other {n}")
        if word != "neither":
            pairs.add(("resample", *(sides if word == "original" else sides[::-1])))
    assert home.labelled() == rows
    across = {pair for pair in home.pairs() if pair[0] == "same_prompt"}
    assert home.pairs() - across == pairs
    good = sum(word == "chosen" for word in labels.values())
    bad = sum(word in ("rejected", "edit") for word in labels.values())
    assert len(across) == (min(good, bad) if same else 0)
    for _, chosen, rejected in across:
        assert ("P", chosen, True) in rows
        assert ("P", rejected, False) in rows
