"""``timmy-tui delegate``: hand a prompt to a local model; the answer alone on standard output."""

from __future__ import annotations

import asyncio
import json
import select
import sys
from collections.abc import Mapping

import msgspec

from timmy_tui.commands.errors import CommandError
from timmy_tui.commands.output import say
from timmy_tui.config import Settings
from timmy_tui.services.delegation.records import LLMResponse
from timmy_tui.text import clean

FAILED = 1

MOST_BYTES = 8_000_000
TOLD_AFTER_S = 1.0


def run_delegate(
    settings: Settings,
    env: Mapping[str, str],
    words: str,
    *,
    task: str,
    model: str | None,
    as_json: bool,
    streams: bool,
) -> int:
    """Ask, print the answer, and return 0; 1 when nobody answered, and why on standard error.

    Raises :class:`CommandError` for a prompt that can't be had.
    """
    from timmy_tui.services.delegation.delegator import delegator
    from timmy_tui.startup import settled

    prompt = prompt_of(words)
    shown: list[str] = []

    def show(text: str) -> None:
        shown.append(text)
        sys.stdout.write(_printed(text))
        sys.stdout.flush()

    async def ask() -> LLMResponse:
        async with delegator(settings, env, caller="delegate") as asked:
            on_text = show if streams and not as_json else None
            return await asked.ask(prompt, task=task, model=model, on_text=on_text)

    settled()
    answer = asyncio.run(ask())
    if as_json:
        say(json.dumps(msgspec.to_builtins(answer), indent=2))
    elif answer.success:
        rest = _printed(answer.text) if not shown else ""
        sys.stdout.write(rest if (rest or shown[-1]).endswith("\n") else f"{rest}\n")
    elif shown:
        sys.stdout.write("\n")
    if not answer.success:
        told = f"{answer.error}; {answer.hint}" if answer.hint else answer.error
        sys.stderr.write(f"timmy-tui: {told}\n")
        return FAILED
    if answer.cut:
        sys.stderr.write(f"timmy-tui: the answer of {answer.model} was cut at its length limit\n")
    return 0


def _printed(text: str) -> str:
    """What a model said: to the byte in a pipe, and as nothing but text on a terminal.

    What the encoding of standard output lacks becomes ``?``.
    """
    encoding = sys.stdout.encoding or "utf-8"
    text = text.encode(encoding, "replace").decode(encoding)
    return clean(text, limit=len(text), multiline=True) if sys.stdout.isatty() else text


def prompt_of(words: str) -> str:
    """The prompt: the words, with what is piped in as their context; ``-`` = the prompt itself is piped in."""
    piped = _piped(patient=words == "-")
    if words == "-":
        if not piped.strip():
            raise CommandError("no prompt on standard input; pipe one in, or name it")
        return piped
    return f"{words}\n\n{piped}" if piped.strip() else words


def _piped(*, patient: bool) -> str:
    """What standard input holds; empty for a terminal. An open pipe in which nothing comes is told of."""
    if sys.stdin is None or sys.stdin.isatty():
        return ""
    if not patient and not select.select([sys.stdin], [], [], TOLD_AFTER_S)[0]:
        sys.stderr.write("timmy-tui: reading the context from standard input… (</dev/null for none)\n")
    data = sys.stdin.buffer.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise CommandError(f"standard input has more than {MOST_BYTES // 10**6} MB; no model takes that")
    if b"\0" in data:
        raise CommandError("standard input is binary; a model takes text")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise CommandError(f"standard input is no UTF-8 (byte {error.start:,}); convert it:  iconv -t utf-8") from None
