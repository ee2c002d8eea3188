"""Three days of sessions in the simulated Hermes store, and two that are still running."""

from __future__ import annotations

from itertools import cycle, islice

from msgspec import Struct

from timmy_tui.services.demo.conversations import CLI, CRON, LOCAL_MODEL, SUBAGENT, TELEGRAM, TRIAGE, Conversation
from timmy_tui.services.demo.hermes_writer import HermesWriter, OpenSession
from timmy_tui.services.demo.machine import perception_at
from timmy_tui.services.demo.ticks_writer import WrittenTick, prompt_for

HOUR_S = 3600.0

_TODAY_CLI_HOURS = (0.9, 1.7, 2.5, 3.4, 4.6, 5.3, 6.9, 8.2, 19.6, 21.3)
_TODAY_TELEGRAM_HOURS = (2.1, 7.4, 13.2)
_TODAY_CRON_HOURS = (5.6, 11.6, 17.6)
_FAILED_CRON_HOURS = 26 / 60
_RUNNING = CLI[5]
"""Asked three minutes ago, and still at work."""


class Running(Struct, frozen=True):
    """The sessions that the story goes on with."""

    talk: OpenSession
    heartbeat: OpenSession


def heartbeat_conversation(prompt: str, response: str) -> Conversation:
    """A heartbeat's question and answer as a conversation: no tools, no title."""
    return Conversation("", prompt, "", (), response, source="heartbeat", model=LOCAL_MODEL)


def write_sessions(writer: HermesWriter, ticks: list[WrittenTick], now: float, seed: int) -> Running:
    """Fill an empty store; what is still running at ``now`` comes back.

    Today comes first, so that its titles are the plain ones and the earlier days have the numbered.
    """
    writer.create()
    talk = writer.begin(_RUNNING, now - 185)
    writer.step(talk, now - 61, took_s=35)
    _today(writer, now)
    _earlier_days(writer, now)
    for written in ticks:
        if written.tick.session_id is not None:
            _heartbeat(writer, written)
    perception = perception_at(1, seed)
    ask = prompt_for(perception, now - 4)
    heartbeat = writer.begin(heartbeat_conversation(ask, ""), now - 4)
    writer.commit()
    return Running(talk, heartbeat)


def _earlier_days(writer: HermesWriter, now: float) -> None:
    """What people and timers did the two days before; one run failed, one is only half done."""
    for index, conversation in enumerate(islice(cycle((*CLI, *TELEGRAM)), 26)):
        at = now - (25.5 + index * 1.73) * HOUR_S
        session = _whole(writer, conversation, at, fails=index == 16)
        if conversation.title.startswith("Why is"):
            _whole(writer, SUBAGENT[0], at + 40, parent=session.id)
    for index, conversation in enumerate(TRIAGE):
        _whole(writer, conversation, now - (28.2 + index * 4.1) * HOUR_S)
    for index, conversation in enumerate(islice(cycle(CRON), 8)):
        _whole(writer, conversation, now - (26.6 + index * 6) * HOUR_S)


def _today(writer: HermesWriter, now: float) -> None:
    conversations = [conversation for conversation in CLI if conversation is not _RUNNING]
    for conversation, hours in zip(conversations, _TODAY_CLI_HOURS, strict=True):
        session = _whole(writer, conversation, now - hours * HOUR_S)
        if hours == _TODAY_CLI_HOURS[2]:
            for child in SUBAGENT:
                _whole(writer, child, now - hours * HOUR_S + 30, parent=session.id)
    for conversation, hours in zip(TELEGRAM, _TODAY_TELEGRAM_HOURS, strict=True):
        _whole(writer, conversation, now - hours * HOUR_S)
    for conversation, hours in zip(CRON, _TODAY_CRON_HOURS, strict=True):
        _whole(writer, conversation, now - hours * HOUR_S)
    _whole(writer, CRON[0], now - _FAILED_CRON_HOURS * HOUR_S, fails=True)


def _whole(
    writer: HermesWriter,
    conversation: Conversation,
    at: float,
    *,
    parent: str | None = None,
    fails: bool = False,
) -> OpenSession:
    """A session from its question to its end; a failed one has nothing but the question (§2.4)."""
    session = writer.begin(conversation, at, parent=parent)
    if fails:
        writer.end(session, at + 9.2)
        return session
    moment = at
    while not session.done_steps:
        moment += session.random.uniform(4, 16)
        writer.step(session, moment, took_s=session.random.uniform(0.1, 2.4))
    writer.finish(session, moment + session.random.uniform(4, 12))
    return session


def _heartbeat(writer: HermesWriter, written: WrittenTick) -> None:
    document, tick = written.document, written.tick
    conversation = heartbeat_conversation(str(document["prompt"]), str(document["response"]))
    session = writer.begin(conversation, tick.at - 2.0, id=tick.session_id)
    writer.finish(session, tick.at - 0.1)
