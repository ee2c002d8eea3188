"""What ``hermes chat -q -Q`` printed: its session, its answer without the noise, or why there is none.

Hermes tells its failures on standard output, in the place of an answer (facts/hermes.md §1.4, §1.5), so a text is
only an answer when the exit code says so too.
"""

from __future__ import annotations

import re

from timmy_tui.services.cascade.records import CallError, CallProblem
from timmy_tui.text import clean_error

CONTEXT_MEND = "set model.context_length: 65536 in HERMES_HOME/config.yaml"
SETUP_MEND = "run: hermes setup"

EMPTY_REPLY = "(empty)"
"""What Hermes stores for a reply without text (facts/hermes.md §2.4)."""

_SESSION = re.compile(r"^(?:session_id|Session):[ \t]+(?P<id>[\w.:-]{1,80})[ \t]*\r?$", re.MULTILINE | re.ASCII)
"""On stderr with ``-Q``; an older Hermes without that flag tells it on stdout."""

_NOISE = re.compile(
    r"^(?:Warning: Unknown toolsets:.*|[ \t]*⚠[^\n]*tirith security scanner.*|Query: .*|Initializing agent.*)\r?\n"
    r"|^[ \t]*\r?\n",
    re.MULTILINE,
)
_REASONING_BOX = re.compile(r"^┌─ Reasoning ─.*\r?\n(?:[^\r\n]*\r\n|[ \t]*\n)*", re.MULTILINE)
"""The box's lines end in CRLF and the answer's in LF; it has no lower edge."""

_FAILED = re.compile(r"^(?:API call failed after \d+ retries|Failed to initialize agent|HTTP \d{3}):", re.MULTILINE)
_NO_REPLY = re.compile(r"^⚠\ufe0f?\s*No reply:", re.MULTILINE)

_SMALL_WINDOW = re.compile(r"context window of (?P<has>[\d,]+) tokens.{0,60}?minimum (?P<needs>[\d,]+)")
_SMALL_RUNTIME = re.compile(r"only (?P<has>[\d,]+) tokens of runtime context.{0,60}?at least (?P<needs>[\d,]+)")
_NOT_CONFIGURED = re.compile(r"isn't configured yet|No inference provider configured|returned an empty API key")
_STATUS = re.compile(r"HTTP (?P<code>\d{3})\b")
_REFUSED = re.compile(
    r"connection error|connection refused|connect(?:ion)? (?:reset|closed)|unreachable", re.IGNORECASE
)
_TIMEOUT = re.compile(r"timed? ?out", re.IGNORECASE)
_PROMPT_TOO_LONG = re.compile(
    r"(?:prompt|input|context|request)\b.{0,40}\b(?:too long|too large|exceed)", re.IGNORECASE
)


def session_of(stderr: str, stdout: str) -> str | None:
    """The session's id; None when Hermes came to none."""
    told = [match["id"] for text in (stdout, stderr) for match in _SESSION.finditer(text)]
    return told[-1] if told else None


def answer_text(stdout: str) -> str:
    """What is left of the output without warnings and reasoning boxes. Not safe to show."""
    rest = stdout
    noise = _NOISE.match(rest)
    while noise is not None:
        rest = rest[noise.end() :]
        noise = _NOISE.match(rest)
    return _REASONING_BOX.sub("", rest).strip()


def failure(code: int | None, stdout: str, stderr: str) -> CallError | None:
    """Why there is no answer; None when the exit code and the text say that there may be one."""
    text = answer_text(stdout)
    if code == 0 and _NO_REPLY.search(text):
        return CallError("empty", "the model gave an empty reply to Hermes")
    if code == 0 and not _FAILED.match(text):
        return None
    if code is not None and code < 0:
        return CallError("server", f"hermes was ended by signal {-code}")
    said = " ".join(f"{text} {_SESSION.sub('', stderr) if not text else ''}".split())
    return _named(said) or CallError("server", f"hermes failed (exit {code}): {_shown(said)}")


def _named(said: str) -> CallError | None:
    small = _SMALL_WINDOW.search(said) or _SMALL_RUNTIME.search(said)
    if small is not None:
        told = f"Hermes takes the model's context for {small['has']} tokens and wants {small['needs']}"
        return CallError("small_context", told, CONTEXT_MEND)
    if _NOT_CONFIGURED.search(said):
        return CallError("not_configured", "Hermes has no provider configured", SETUP_MEND)
    status = _STATUS.search(said)
    if status is not None:
        return CallError(_status_problem(int(status["code"]), said), _shown(said[status.start() :]))
    if _TIMEOUT.search(said):
        return CallError("timeout", "the model server did not answer Hermes in time")
    if _REFUSED.search(said):
        return CallError("refused", "Hermes can't reach the model server")
    return None


def _status_problem(code: int, said: str) -> CallProblem:
    if code in (401, 403):
        return "auth"
    if code == 404:
        return "not_found"
    if code in (429, 503):
        return "busy"
    return "too_long" if code == 413 or (code == 400 and _PROMPT_TOO_LONG.search(said)) else "server"


def _shown(said: str) -> str:
    return clean_error(said, limit=200) or "no output"
