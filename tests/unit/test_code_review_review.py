"""A review asks for every piece, a few at once, and names what it could not look at."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from timmy_tui.services.code_review.records import CodeReviewError, Finding, Gap, Progress, Review, Skipped
from timmy_tui.services.code_review.review import FAILURES_IN_A_ROW, PIECE_TOKENS_MOST, review_diff
from timmy_tui.services.delegation.records import LLMResponse
from timmy_tui.services.reading import SourceError
from timmy_tui.text import Json


def added(name: str, *lines: str) -> str:
    body = "".join(f"+{line}\n" for line in lines)
    head = f"diff --git a/{name} b/{name}\nnew file mode 100644\n--- /dev/null\n+++ b/{name}\n"
    return f"{head}@@ -0,0 +1,{len(lines)} @@\n{body}"


def said(text: str, **changes: object) -> LLMResponse:
    facts = {"latency_ms": 1.0, "tokens": 5, "tokens_per_sec": 9.0, "success": True, "tokens_in": 70, **changes}
    return LLMResponse(text=text, model="m:1b", backend="ollama", **facts)  # type: ignore[arg-type]


def failed(error: str) -> LLMResponse:
    return said("", success=False, error=error, hint="Start it: ollama serve", tokens=0, tokens_in=0)


def bug(name: str, line: int = 1, severity: str = "error") -> str:
    return json.dumps({"findings": [{"file": name, "line": line, "severity": severity, "message": f"bug in {name}"}]})


class Model:
    """Answers each prompt by a function of the files that it shows; every prompt in flight waits for the others."""

    def __init__(
        self, answer: Callable[[list[str]], LLMResponse], context: int | None = 1_200, together: int = 1
    ) -> None:
        self.answer = answer
        self.context = context
        self.together = together
        self.prompts: list[str] = []
        self.asked: list[tuple[str, str | None]] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self.full = asyncio.Event()
        self.lets_go = True

    async def ask(
        self,
        prompt: str,
        *,
        task: str = "quick",
        model: str | None = None,
        schema: Json = None,
        max_tokens: int | None = None,
    ) -> LLMResponse:
        self.prompts.append(prompt)
        self.asked.append((task, model))
        assert isinstance(schema, dict)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        if self.in_flight >= self.together:
            self.full.set()
        await self.full.wait()
        await (asyncio.sleep(0) if self.lets_go else asyncio.Event().wait())
        self.in_flight -= 1
        return self.answer(re.findall(r"^File: (.*)$", prompt, re.MULTILINE))

    async def context_tokens(self, task: str, model: str | None = None) -> int | None:
        return self.context


NOTHING = said('{"findings": []}')
BIG = tuple(f"value_{number} = compute({number})" for number in range(60))
"""Two files of this do not fit one piece of the small context."""


def diff_of(count: int) -> str:
    return "".join(added(f"f{number}.py", *BIG[:40]) for number in range(count))


async def test_the_findings_of_all_pieces_in_order() -> None:
    model = Model(lambda names: said(bug(names[-1], 9)))
    progress: list[Progress] = []
    review = await review_diff(diff_of(4), model, model="n:2b", on_progress=progress.append)
    assert review.pieces == len(model.prompts) > 1
    assert review.findings == tuple(sorted(review.findings, key=lambda finding: finding.file))
    assert {finding.line for finding in review.findings} == {9}
    assert set(model.asked) == {("review", "n:2b")}
    assert (review.model, review.answered, review.gaps) == ("m:1b", review.pieces, ())
    assert (review.tokens_in, review.tokens_out) == (70 * review.pieces, 5 * review.pieces)
    assert progress == [Progress(done, review.pieces) for done in range(review.pieces + 1)]


@pytest.mark.parametrize("in_flight", [1, 3])
async def test_so_many_are_in_flight_and_no_more(in_flight: int) -> None:
    model = Model(lambda names: NOTHING, together=in_flight)
    review = await review_diff(diff_of(8), model, in_flight=in_flight)
    assert (model.most_in_flight, review.pieces) == (in_flight, len(model.prompts))


async def test_a_prompt_fits_the_context_with_room_for_the_answer() -> None:
    for context in (900, 1_200, 4_096):
        model = Model(lambda names: NOTHING, context=context)
        await review_diff(added("f.py", *BIG * 20), model)
        assert max(len(prompt) for prompt in model.prompts) / 3.5 <= context * 3 / 4 + 1
    model = Model(lambda names: NOTHING, context=200_000)
    await review_diff(added("f.py", *BIG * 40), model)
    longest = max(len(prompt) for prompt in model.prompts) / 3.5
    assert PIECE_TOKENS_MOST < longest < 4_096 - 1_000, "Ollama's default context may be all that there is"
    model = Model(lambda names: NOTHING, context=None)
    await review_diff(added("f.py", *BIG * 20), model)
    assert len(model.prompts) > 1


async def test_a_context_without_room_is_told_before_a_call_with_the_numbers() -> None:
    model = Model(lambda names: NOTHING, context=512)
    with pytest.raises(
        CodeReviewError, match=r"context of 512 tokens is too small .* instructions take [0-9]+"
    ) as told:
        await review_diff(added("f.py", "x"), model)
    assert "--model" in told.value.hint
    assert model.prompts == []


async def test_a_piece_that_fails_is_a_gap_with_its_lines_and_its_reason() -> None:
    model = Model(lambda names: failed("timeout\x1b[2J") if "f1.py" in names else said(bug(names[0])))
    review = await review_diff(diff_of(3), model)
    assert review.gaps == (Gap("f1.py", 1, 40, "timeout^[[2J"),)
    assert {finding.file for finding in review.findings} == {"f0.py", "f2.py"}
    assert (review.hint, review.answered, review.pieces) == ("Start it: ollama serve", 2, 3)


@pytest.mark.parametrize("text", ["I like it.", '{"findings": 1}', "<think>hm"])
async def test_an_answer_of_another_shape_is_a_gap(text: str) -> None:
    review = await review_diff(added("f.py", "x"), Model(lambda names: said(text)))
    (gap,) = review.gaps
    assert (gap.file, gap.first_line, gap.last_line) == ("f.py", 1, 1)
    assert "no list of findings" in gap.reason
    assert review.answered == 0


async def test_an_answer_that_was_cut_is_findings_and_a_gap() -> None:
    text = bug("f.py")[:-1] + ', {"file": "f.py", "li'
    review = await review_diff(added("f.py", "x"), Model(lambda names: said(text, cut=True)))
    assert review.findings == (Finding("f.py", 1, "error", "bug in f.py"),)
    assert [gap.reason for gap in review.gaps] == ["the model's answer was cut at its length limit"]


async def test_a_model_that_is_gone_is_not_asked_for_every_piece() -> None:
    model = Model(lambda names: failed("connection refused"))
    review = await review_diff(diff_of(20), model, in_flight=2)
    assert FAILURES_IN_A_ROW <= len(model.prompts) <= FAILURES_IN_A_ROW + 1
    assert {gap.file for gap in review.gaps} == {f"f{number}.py" for number in range(20)}
    assert review.gaps[-1].reason == "not asked any more after 3 failures: connection refused"
    assert (review.answered, review.tokens_in, review.model) == (0, None, "")


async def test_an_empty_diff_is_a_result_and_asks_nobody() -> None:
    model = Model(lambda names: NOTHING, context=1)
    for text in ("", "\n \n"):
        assert await review_diff(text, model) == Review()
        assert Review().empty
    binary = "diff --git a/logo b/logo\nindex 1..2 100644\nBinary files a/logo and b/logo differ\n"
    review = await review_diff(binary, model)
    assert (review.empty, review.skipped) == (True, (Skipped("logo", "binary"),))
    assert model.prompts == []


async def test_a_text_that_is_no_diff_is_told() -> None:
    with pytest.raises(CodeReviewError, match="no diff in this text"):
        await review_diff("Dear all,\nhello\n", Model(lambda names: NOTHING))


async def test_changes_of_no_file_are_told() -> None:
    with pytest.raises(CodeReviewError, match="changes of no file: 1, not reviewed"):
        await review_diff("@@ -1 +1 @@\n-a\n+b\n", Model(lambda names: NOTHING))


async def test_what_makes_no_sense_in_the_diff_is_noted() -> None:
    torn = "--- a/g\n+++ b/g\n@@ -1,3 +1,3 @@\n-a\n+b\n"
    review = await review_diff(added("f.py", "x" * 9_000) + torn, Model(lambda names: NOTHING))
    assert review.notes == ("g: 4 lines that its hunks announce are missing", "1 long line was cut")


async def test_remarks_about_nothing_in_the_diff_are_counted() -> None:
    review = await review_diff(added("f.py", "x"), Model(lambda names: said(bug("elsewhere.py"))))
    assert (review.findings, review.dropped, review.gaps) == ((), 1, ())


async def test_an_error_of_the_configuration_ends_the_review_and_every_call() -> None:
    class Wrong(SourceError):
        pass

    def answer(names: list[str]) -> LLMResponse:
        raise Wrong("no task of that name")

    with pytest.raises(Wrong):
        await review_diff(diff_of(6), Model(answer), in_flight=3)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_review_that_is_given_up_leaves_no_call_behind() -> None:
    model = Model(lambda names: NOTHING, together=3)
    model.lets_go = False
    review = asyncio.ensure_future(review_diff(diff_of(6), model, in_flight=3))
    await model.full.wait()
    review.cancel()
    with pytest.raises(asyncio.CancelledError):
        await review
    assert asyncio.all_tasks() == {asyncio.current_task()}


def test_how_grave_it_is() -> None:
    review = Review(findings=(Finding("f", 1, "info", "a"), Finding("f", 1, "error", "b")))
    assert [review.at_or_above(severity) for severity in ("info", "warning", "error", "critical")] == [2, 1, 1, 0]


async def test_a_piece_that_did_not_fit_is_asked_again_in_smaller_ones() -> None:
    lengths: list[int] = []

    def answer(names: list[str]) -> LLMResponse:
        lengths.append(len(model.prompts[-1]))
        if lengths[-1] > 2_600:
            return replace(failed("the prompt has 9,019 tokens; the context has 4,096"), problem="too_long")
        numbers = [int(number) for number in re.findall(r"^ {0,5}(\d+) \+", model.prompts[-1], re.MULTILINE)]
        return said(bug(names[-1], numbers[-1]))

    model = Model(answer, context=4_096)
    review = await review_diff(added("big.py", *BIG), model)
    assert max(lengths) > 2_600
    assert review.gaps == ()
    assert review.answered >= 2
    assert review.findings[-1].line == len(BIG)


async def test_one_that_can_not_be_smaller_is_a_gap() -> None:
    model = Model(lambda names: replace(failed("the prompt does not fit"), problem="too_long"))
    review = await review_diff(added("f.py", *BIG[:4]), model)
    assert [(gap.file, gap.first_line, gap.last_line) for gap in review.gaps] == [("f.py", 1, 4)]
