"""``timmy-tui delegate``: hand a prompt to a local model; the answer alone on standard output."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping

import msgspec

from timmy_tui.commands.errors import CommandError
from timmy_tui.config import Settings
from timmy_tui.services.delegation.records import LLMResponse

FAILED = 1


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
        sys.stdout.write(text)
        sys.stdout.flush()

    async def ask() -> LLMResponse:
        async with delegator(settings, env, caller="delegate") as asked:
            on_text = show if streams and not as_json else None
            return await asked.ask(prompt, task=task, model=model, on_text=on_text)

    settled()
    answer = asyncio.run(ask())
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(answer), indent=2).decode() + "\n")
    elif answer.success:
        rest = answer.text if not shown else ""
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


def prompt_of(words: str) -> str:
    """The prompt: the words, with what is piped in as their context; ``-`` = the prompt itself is piped in."""
    piped = "" if sys.stdin.isatty() else _piped()
    if words == "-":
        if not piped.strip():
            raise CommandError("no prompt on standard input; pipe one in, or name it")
        return piped
    return f"{words}\n\n{piped}" if piped.strip() else words


def _piped() -> str:
    data = sys.stdin.buffer.read()
    if b"\0" in data[:65_536]:
        raise CommandError("standard input is binary; a model takes text")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise CommandError(f"standard input is no UTF-8 (byte {error.start:,}); convert it:  iconv -t utf-8") from None
