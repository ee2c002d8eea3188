"""The answer of one session, word for word, from stores of any age."""

from __future__ import annotations

from pathlib import Path

import pytest
from hermes_store_maker import LOCAL_URL, make_empty_store

from timmy_tui.services.hermes.answer import HermesError, RawAnswer, last_answer
from timmy_tui.services.hermes.records import Tokens


@pytest.mark.parametrize("schema", [14, 20, 22, 26])
def test_the_last_assistant_message_is_the_answer(tmp_path: Path, schema: int) -> None:
    store = make_empty_store(tmp_path / "state.db", schema=schema)
    store.session("s", model="m", billing_base_url=LOCAL_URL, input_tokens=7, output_tokens=2, cache_read_tokens=3)
    store.message("s", "user", "question")
    store.message("s", "assistant", "first", reasoning="hidden")
    store.message("s", "assistant", "raw \x1b[31m\r\n  answer ", reasoning="hidden", finish_reason="stop")
    store.message("other", "assistant", "of another session")
    store.close()
    assert last_answer(tmp_path, "", "s") == RawAnswer(
        text="raw \x1b[31m\r\n  answer ", model="m", base_url=LOCAL_URL, tokens=Tokens(7, 2, 3, 0), finish_reason="stop"
    )


def test_while_hermes_still_has_the_file_open_the_answer_is_there(tmp_path: Path) -> None:
    """Everything may be in the WAL (facts/hermes.md §2.3)."""
    store = make_empty_store(tmp_path / "state.db")
    store.session("s")
    store.message("s", "assistant", "in the WAL")
    answer = last_answer(tmp_path, "", "s")
    store.close()
    assert answer is not None
    assert answer.text == "in the WAL"


def test_parts_behind_the_json_mark_are_text_again(tmp_path: Path) -> None:
    store = make_empty_store(tmp_path / "state.db")
    store.session("s")
    store.message("s", "assistant", '\x00json:[{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]')
    store.close()
    answer = last_answer(tmp_path, "", "s")
    assert answer is not None
    assert answer.text == "one\ntwo"


def test_no_session_no_answer_and_no_content_are_told_apart(tmp_path: Path) -> None:
    store = make_empty_store(tmp_path / "state.db")
    store.session("asked")
    store.message("asked", "user", "question")
    store.session("void")
    store.message("void", "assistant", None)
    store.close()
    assert last_answer(tmp_path, "", "unknown") is None
    assert last_answer(tmp_path, "", "asked") is None
    answer = last_answer(tmp_path, "", "void")
    assert answer is not None
    assert answer.text == ""


def test_no_store_and_no_profile_are_errors(tmp_path: Path) -> None:
    with pytest.raises(HermesError):
        last_answer(tmp_path, "", "s")
    with pytest.raises(HermesError):
        last_answer(tmp_path, "gone", "s")
