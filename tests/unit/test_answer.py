"""What of a model's text is the answer: promise 10, for decisions, findings, delegation and the export alike."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timmy_tui.services.answer import AnswerReading, has_marks, take_answer

HELLO = {
    "plain": "Hello",
    "think": "<think>secret plan</think>Hello",
    "think, spaced": "<think>\nsecret plan\n</think>\n\nHello",
    "thinking": "<thinking>secret plan</thinking>Hello",
    "capitals": "<THINK>secret plan</THINK>Hello",
    "template opened it": "secret plan</think>Hello",
    "magistral": "[THINK]secret plan[/THINK]Hello",
    "seed": "<seed:think>secret plan</seed:think>Hello",
    "begin of thought": "<|begin_of_thought|>secret plan<|end_of_thought|>"
    "<|begin_of_solution|>Hello<|end_of_solution|>",
    "command": "<|START_THINKING|>secret plan<|END_THINKING|><|START_RESPONSE|>Hello<|END_RESPONSE|>",
    "kimi": "◁think▷secret plan◁/think▷Hello",
    "thought": "<thought>secret plan</thought>Hello",
    "reasoning": "<reasoning>secret plan</reasoning>Hello",
    "harmony": "<|channel|>analysis<|message|>secret plan<|end|><|start|>assistant<|channel|>final<|message|>Hello",
    "harmony, returned": "<|channel|>analysis<|message|>plan<|end|>"
    "<|start|>assistant<|channel|>final<|message|>Hello<|return|>",
    "harmony, tool": "<|channel|>commentary to=functions.x<|message|>{}<|end|>"
    "<|start|>assistant<|channel|>final<|message|>Hello",
    "harmony without marks": "analysisThe user wants a secret plan.assistantfinalHello",
    "gemma": "<|channel>thought\nsecret plan<channel|>Hello",
    "chatml header": "<|im_start|>assistant\nHello<|im_end|>",
    "llama header": "<|start_header_id|>assistant<|end_header_id|>\n\nHello<|eot_id|>",
    "run-on": "Hello<|im_end|>\n<|im_start|>user\nMore<|im_end|>\n<|im_start|>assistant\nNo",
    "eot": "Hello<|eot_id|><|start_header_id|>user<|end_header_id|>More",
    "gemma's turn": "Hello<end_of_turn>\n<start_of_turn>user\nMore",
    "llama 2": "Hello</s>More",
    "deepseek": "Hello<｜end▁of▁sentence｜>More",
    "end of text": "Hello<|endoftext|>More",
    "thought behind it": "Hello<think>was that right?</think>",
    "open thought behind it": "Hello<think>was that ri",
    "two thoughts": "<think>a</think><think>b</think>Hello",
}


@pytest.mark.parametrize("text", HELLO.values(), ids=HELLO.keys())
def test_the_answer_is_what_is_left(text: str) -> None:
    assert take_answer(text).text.strip() == "Hello"
    assert "plan" not in take_answer(text).text


@pytest.mark.parametrize(
    "text",
    [
        "<think>never ends",
        "[THINK]never ends",
        "<|channel|>analysis<|message|>never ends",
        "<|channel>thought\nnever ends",
        "analysisThe user wants something and I",
        "<think>the turn ends in it<|im_end|>",
        "all of it was thought</think>",
        "<|channel|>analysis<|message|>only this<|end|>",
        "<|im_start|>user\nnot the model's words",
    ],
)
def test_thinking_alone_is_no_answer(text: str) -> None:
    assert take_answer(text).text.strip() == ""


@pytest.mark.parametrize(
    "text",
    [
        '{"reasoning": "it says <think> and <|im_end|> and </s>", "n": {"a": "[THINK]"}}',
        "Write `<think>` before, and `</think>` behind it.",
        "<s>struck</s> out",
        "a < b and [x] and {y",
        "analysis of the data",
        "Analysis: fine",
        "assistantfinal is a word here",
        '{ "broken": "never ends',
        "",
    ],
)
def test_words_stay_words(text: str) -> None:
    assert take_answer(text).text == text


@pytest.mark.parametrize("text", [*HELLO.values(), "Hello, [world] <b> {x} as far as I know", "as", "a <"])
def test_piece_by_piece_it_is_the_same(text: str) -> None:
    whole = take_answer(text).text
    for size in (1, 2, 3, 7, 50):
        reading = AnswerReading()
        pieces = [reading.feed(text[at : at + size]) for at in range(0, len(text), size)]
        said = "".join([*pieces, reading.finish()])[reading.retracted :]
        assert said == whole, size


MARKS = st.sampled_from(
    ["<think>", "</think>", "<|im_end|>", "<|channel|>", "analysis", "final", "<|message|>", "<|end|>", "{", "}", '"',
     "\\", "`", "\n", "[THINK]", "[/THINK]", "</s>", "assistantfinal", "<|im_start|>", "user", "words ", "<", "Hello"]
)  # fmt: skip


@given(st.lists(MARKS, max_size=12).map("".join), st.integers(1, 9))
def test_any_text_is_read_alike_whole_and_in_pieces(text: str, size: int) -> None:
    reading = AnswerReading()
    pieces = [reading.feed(text[at : at + size]) for at in range(0, len(text), size)]
    said = "".join([*pieces, reading.finish()])[reading.retracted :]
    whole = AnswerReading()
    assert said == (whole.feed(text) + whole.finish())[whole.retracted :]


def test_marks_are_found_wherever_a_tokenizer_would() -> None:
    marked = [text for name, text in HELLO.items() if name not in ("plain", "harmony without marks")]
    assert all(has_marks(text) for text in marked)
    assert not any(has_marks(text) for text in ("Hello", "a <b> c", "x < y > z", "[TODO]", '{"a": 1}'))
