"""A transcript: in order, results with their calls, nothing that was rewound, images as words."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hermes_store_maker import NOW, StoreWriter, make_empty_store, tool_call
from hypothesis import given
from hypothesis import strategies as st

from timmy_tui.services.hermes.content import content_text, pretty
from timmy_tui.services.hermes.records import Transcript
from timmy_tui.services.hermes.store import HermesError, HermesStore
from timmy_tui.services.hermes.transcript import paired

FIXTURE = Path(__file__).parent.parent / "fixtures" / "hermes" / "state.db"


def transcript(home: Path, id: str = "s", limit: int = 2_000) -> Transcript:
    return HermesStore(home, clock=lambda: NOW).transcript(id, limit)


@pytest.fixture
def writer(tmp_path: Path) -> StoreWriter:
    writer = make_empty_store(tmp_path / "state.db")
    writer.session("s")
    return writer


def test_the_fixtures_tool_run(tmp_path: Path) -> None:
    shutil.copyfile(FIXTURE, tmp_path / "state.db")
    run = transcript(tmp_path, "20261120_035130_cef195")
    assert [(message.id, message.role) for message in run.messages] == [
        *((11, "user"), (12, "assistant"), (14, "assistant"), (17, "assistant"))
    ]
    assert run.messages[0].text == "Run echo hi and read notes.txt then report."
    assert run.messages[3].finish_reason == "stop"
    (echo,) = run.messages[1].tool_calls
    assert (echo.id, echo.name, echo.arguments) == ("call_t1", "terminal", '{\n  "command": "echo hi"\n}')
    assert echo.result == '{"output": "hi", "exit_code": 0, "error": null}'
    assert not echo.failed
    assert echo.duration_s == pytest.approx(0.0278, abs=1e-4)
    read, found = run.messages[2].tool_calls
    assert (read.name, read.failed, found.name, found.failed) == ("read_file", True, "search_files", False)
    assert run.left_out == 0
    assert run.session.title is None
    assert run.session.tokens.total == 3_765


def test_an_unknown_session(tmp_path: Path, writer: StoreWriter) -> None:
    with pytest.raises(HermesError, match="No session nope"):
        transcript(tmp_path, "nope")
    with pytest.raises(HermesError):
        transcript(tmp_path, "\ud800")


def test_older_messages_beyond_the_limit_are_counted(tmp_path: Path, writer: StoreWriter) -> None:
    for number in range(7):
        writer.message("s", "user", f"m{number}", timestamp=NOW - number)
    cut = transcript(tmp_path, limit=3)
    assert [message.text for message in cut.messages] == ["m4", "m5", "m6"]
    assert cut.left_out == 4


def test_rewound_messages_are_left_out_and_null_counts_as_active(tmp_path: Path, writer: StoreWriter) -> None:
    writer.message("s", "user", "kept", active=None)
    writer.message("s", "assistant", "rewound", active=0)
    only = transcript(tmp_path)
    assert [message.text for message in only.messages] == ["kept"]
    assert only.left_out == 0


def test_a_reused_call_id_pairs_with_the_nearest_call(tmp_path: Path, writer: StoreWriter) -> None:
    for turn in ("one", "two"):
        writer.message("s", "assistant", "", tool_calls=json.dumps([tool_call("call_0", "echo", {"say": turn})]))
        writer.message("s", "tool", f"said {turn}", tool_call_id="call_0", tool_name="echo")
    messages = transcript(tmp_path).messages
    assert [message.tool_calls[0].result for message in messages] == ["said one", "said two"]


def test_a_result_without_a_call_and_a_call_without_a_result_both_stay(tmp_path: Path, writer: StoreWriter) -> None:
    writer.message("s", "tool", "alone", tool_call_id="gone", tool_name="echo")
    writer.message("s", "assistant", "", tool_calls=json.dumps([tool_call("c", "slow", "not {json")]))
    orphan, waiting = transcript(tmp_path).messages
    assert (orphan.role, orphan.text) == ("tool", "alone")
    (call,) = waiting.tool_calls
    assert (call.result, call.failed, call.duration_s, call.arguments) == (None, False, None, "not {json")


@pytest.mark.parametrize(
    ("result", "failed"),
    [
        ('{"exit_code": 1, "error": null}', True),
        ('{"error": "File not found"}', True),
        ('{"exit_code": 0, "error": ""}', False),
        ('{"output": "error"}', False),
        ('["error"]', False),
        ("Error: in words only", False),
        ('{"error": ', False),
        ("[" * 100_000, False),
    ],
)
def test_a_failed_call_says_so_in_its_json(tmp_path: Path, writer: StoreWriter, result: str, failed: bool) -> None:
    writer.message("s", "assistant", "", tool_calls=json.dumps([tool_call("c", "terminal", {})]))
    writer.message("s", "tool", result, tool_call_id="c")
    assert transcript(tmp_path).messages[0].tool_calls[0].failed is failed


def test_multimodal_content_becomes_text_and_a_word_for_each_image(tmp_path: Path, writer: StoreWriter) -> None:
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 16_000}},
        {"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}},
        {"type": "input_audio", "data": "AAAA"},
    ]
    writer.message("s", "user", "\x00json:" + json.dumps(parts))
    (message,) = transcript(tmp_path).messages
    assert message.text == "What is this?\n[image, 12 kB]\n[image]\n[input_audio]"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("\x00json:not json", "not json"),
        ('\x00json:"a string"', "a string"),
        ('\x00json:["a", 1, {"text": "b"}]', "a\nb"),
        ('\x00json:{"text": "one"}', "one"),
        ("plain", "plain"),
    ],
)
def test_content_of_other_shapes(content: str, text: str) -> None:
    assert content_text(content) == text


def test_reasoning_is_taken_from_either_column(tmp_path: Path, writer: StoreWriter) -> None:
    writer.message("s", "assistant", "a", reasoning="because", reasoning_content="other")
    writer.message("s", "assistant", "b", reasoning="", reasoning_content="since\x1b[0m")
    writer.message("s", "assistant", "c")
    assert [message.reasoning for message in transcript(tmp_path).messages] == ["because", "since^[[0m", None]


def test_control_codes_stay_text_everywhere(tmp_path: Path, writer: StoreWriter) -> None:
    evil = "x\x1b]52;c;aGk=\x07\ny\u202e"
    call = {"id": evil, "function": {"name": evil, "arguments": json.dumps({evil: evil})}}
    writer.message("s", "assistant", evil, tool_calls=json.dumps([call]), finish_reason=evil, reasoning=evil)
    writer.message("s", "tool", evil, tool_call_id=evil, tool_name=evil)
    (message,) = transcript(tmp_path).messages
    (call,) = message.tool_calls
    shown = (message.text, message.reasoning, message.finish_reason, call.id, call.name, call.arguments, call.result)
    for text in shown:
        assert text is not None
        assert text.replace("\n", "").isprintable()
        assert "x" in text


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "function", "name", "arguments", "error", "type"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(calls=_json, result=st.text(max_size=30) | _json.map(json.dumps))
def test_tool_calls_of_any_shape_are_survived(calls: object, result: str) -> None:
    rows = [
        (1, b"assistant", b"", 1.0, None, json.dumps(calls).encode(), None, None, None, None),
        (2, b"tool", result.encode("utf-8", "replace"), 2.0, None, None, b"c", b"t", None, None),
    ]
    messages = paired(rows)
    assert messages[0].id == 1
    assert all(call.name.isprintable() for call in messages[0].tool_calls)


def test_pretty_leaves_what_is_no_structure() -> None:
    assert pretty('{"b":1,"a":"ü"}') == '{\n  "b": 1,\n  "a": "ü"\n}'
    assert pretty("42") == "42"
    assert pretty("9" * 5_000) == "9" * 5_000
