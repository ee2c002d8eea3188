"""``timmy-tui code-review``: a diff reviewed by a local model, as lines that an editor can jump to."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import sys
from collections.abc import Mapping
from typing import Literal

import msgspec
from msgspec import Struct

from timmy_tui.commands.output import say, show_progress
from timmy_tui.config import Settings
from timmy_tui.services.code_review.records import (
    SEVERITIES,
    CodeReviewError,
    Finding,
    Review,
    Severity,
)
from timmy_tui.startup import settled
from timmy_tui.text import clean_error, count_text

CALLER = "code-review"

FailOn = Literal["info", "warning", "error", "critical", "never"]

LISTED_MOST = 20
"""Notes told one by one; findings and gaps all are."""

FOUND = 1
NOT_REVIEWED = 2
NOTHING_READ = 3


class ReviewOptions(Struct, frozen=True):
    """What to review and how."""

    what: str | None = None
    """A revision, a range, ``-`` for standard input; None = standard input or the working tree."""
    staged: bool = False
    task: str = "review"
    model: str | None = None
    fail_on: FailOn = "error"
    in_flight: int = 2
    as_json: bool = False


def run_code_review(settings: Settings, env: Mapping[str, str], options: ReviewOptions) -> int:
    """Review, print what was found, and return 0 nothing that matters, 1 findings, 2 something was not reviewed.

    3 is for changes of which none could be read: a gate must not take that for a review.

    Raises :class:`CodeReviewError` when there is nothing to begin with.
    """
    diff = _diff(env, options)
    settled()
    try:
        review = asyncio.run(_reviewed(settings, env, diff, options))
    finally:
        show_progress("")
    failure = _failure(review)
    if options.as_json:
        say(json.dumps(review_document(review), indent=2))
    elif review.answered or not review.pieces:
        say(review_text(review))
    if failure:
        sys.stderr.write(f"timmy-tui: {clean_error(failure, limit=1_000)}\n")
    if options.fail_on != "never" and review.at_or_above(options.fail_on):
        return FOUND
    if review.unread and not review.pieces:
        return NOTHING_READ
    return NOT_REVIEWED if review.gaps else 0


async def _reviewed(settings: Settings, env: Mapping[str, str], diff: str, options: ReviewOptions) -> Review:
    from timmy_tui.services.code_review.review import review_diff
    from timmy_tui.services.delegation.delegator import Delegator

    delegator = Delegator(settings, env, caller=CALLER)
    try:
        return await review_diff(
            diff,
            delegator,
            task=options.task,
            model=options.model,
            in_flight=options.in_flight,
            on_progress=lambda progress: show_progress(f"reviewed {progress.done} of {progress.total}"),
        )
    finally:
        await delegator.aclose()


def _diff(env: Mapping[str, str], options: ReviewOptions) -> str:
    from timmy_tui.services.code_review.git import revision_diff, staged_diff, working_tree_diff

    if options.staged:
        return staged_diff(env)
    if options.what == "-":
        return _from_stdin()
    piped = _from_stdin() if options.what is None and _piped_in() else ""
    if piped.strip():  # under ssh and in CI standard input is an empty pipe
        return piped
    return working_tree_diff(env) if options.what is None else revision_diff(options.what, env)


def _piped_in() -> bool:
    """Standard input is a pipe, a socket or a file: neither a terminal nor ``/dev/null``, which nobody reviews."""
    if sys.stdin is None:
        return False
    return not stat.S_ISCHR(os.fstat(sys.stdin.fileno()).st_mode)


def _from_stdin() -> str:
    if sys.stdin is None:
        raise CodeReviewError("There is no standard input to read a diff from")
    told = sys.stdin.buffer.read()
    if b"\0" in told:
        raise CodeReviewError("Standard input is binary and no diff", "Pipe the text of a diff in: git diff | …")
    try:
        return told.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CodeReviewError(
            f"Standard input is not UTF-8 (byte {error.start + 1:,})", "Convert it: iconv -f LATIN1 -t UTF-8"
        ) from None


def _failure(review: Review) -> str:
    """One line on what was not reviewed; empty when all was."""
    if review.unread and not review.pieces:
        named = ", ".join(review.unread[:3])
        return f"changes were there, and none of them could be read: {named}; nothing was reviewed"
    if not review.gaps:
        return ""
    reason = review.gaps[0].reason
    if not review.answered:
        told = f"nothing could be reviewed: {reason}"
    else:
        files = len({gap.file for gap in review.gaps})
        told = f"parts of {_counted(files, 'file')} could not be reviewed: {reason}"
    return f"{told}; {review.hint}" if review.hint else told


def review_document(review: Review) -> dict[str, object]:
    """The review as ``--json`` prints it."""
    return {
        "findings": msgspec.to_builtins(review.findings),
        "gaps": msgspec.to_builtins(review.gaps),
        "skipped": msgspec.to_builtins(review.skipped),
        "notes": list(review.notes),
        "dropped": review.dropped,
        "files": review.files,
        "pieces": review.pieces,
        "model": review.model or None,
        "tokens_in": review.tokens_in,
        "tokens_out": review.tokens_out,
    }


def review_text(review: Review) -> str:
    """The findings, what was not looked at, and a summary: a line each."""
    lines: list[str] = []
    for finding in review.findings:
        lines += _finding_lines(finding)
    for gap in review.gaps:
        lines.append(f"{gap.file}:{gap.first_line}: not reviewed up to line {gap.last_line}: {gap.reason}")
    notes = [f"{skipped.file}: {skipped.reason}" for skipped in review.skipped] + list(review.notes)
    lines += [f"note: {note}" for note in notes[:LISTED_MOST]]
    if len(notes) > LISTED_MOST:
        lines.append(f"note: … {len(notes) - LISTED_MOST:,} more")
    lines.append(_summary(review))
    return "\n".join(lines)


def _finding_lines(finding: Finding) -> list[str]:
    near = " (near this line)" if finding.approximate else ""
    lines = [f"{finding.file}:{finding.line}: {finding.severity}: {finding.message}{near}"]
    if finding.suggestion is not None:
        lines += [f"    {line}" for line in finding.suggestion.splitlines()]
    return lines


def _summary(review: Review) -> str:
    if review.empty:
        return "nothing to review"
    counts = dict.fromkeys(SEVERITIES, 0)
    for finding in review.findings:
        counts[finding.severity] += 1
    told = [_of_severity(severity, count) for severity, count in reversed(counts.items()) if count]
    if review.dropped:
        told.append(f"{review.dropped} about nothing in the diff, left out")
    how = [_counted(review.pieces, "piece"), review.model]
    if review.tokens_in is not None:
        how.append(f"{count_text(review.tokens_in)} tokens in")
    if review.tokens_out is not None:
        how.append(f"{count_text(review.tokens_out)} out")
    found = ", ".join(told) if review.findings or review.dropped else "no findings"
    return f"{found} in {_counted(review.files, 'file')} ({', '.join(filter(None, how))})"


def _of_severity(severity: Severity, count: int) -> str:
    return f"{count} {severity}" if severity in ("info", "critical") else _counted(count, severity)


def _counted(count: int, name: str) -> str:
    return f"{count:,} {name}{'' if count == 1 else 's'}"
