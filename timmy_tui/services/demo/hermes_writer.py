"""Writes Hermes sessions as 0.19 does: row and question first, then the counters call by call.

Facts/hermes.md §2.4 and §9 say how.
"""

from __future__ import annotations

import json
import sqlite3
from hashlib import sha256
from pathlib import Path
from random import Random

from msgspec import Struct

from timmy_tui.services.demo.conversations import Conversation, Step
from timmy_tui.services.demo.hermes_schema import create_tables
from timmy_tui.services.demo.localtime import session_id, stamp

LOCAL_URL = "http://127.0.0.1:11434/v1"
CLOUD_URL = "https://openrouter.ai/api/v1"
INPUT_USD_PER_TOKEN = 3e-6
OUTPUT_USD_PER_TOKEN = 15e-6
BASE_TOKENS = 3300
"""Of one call: system prompt and tool schemas."""

WORK_FOLDER = "/srv/projects/mirror"

_END_REASONS = {"cli": "cli_close", "cron": "cron_complete", "subagent": "agent_close"}
"""Other sources never close their rows (§2.4)."""

_SYSTEM_PROMPT = "You are Hermes Agent, an assistant that works with tools. (demo)"


class OpenSession(Struct):
    """A session under way."""

    id: str
    conversation: Conversation
    random: Random
    stage: int = 0
    """Steps already taken."""
    calls: int = 0
    messages: int = 1
    input: int = 0
    output: int = 0
    cache_read: int = 0
    reasoning: int = 0
    seen_at: float = 0
    """Of the first accounted call."""

    @property
    def done_steps(self) -> bool:
        """Only the answer is left."""
        return self.stage >= len(self.conversation.steps)


class HermesWriter:
    """The one writer of the simulated ``state.db``. Used by one thread at a time; the caller commits."""

    def __init__(self, path: Path, seed: int) -> None:
        path.touch(mode=0o600)
        self._seed = seed
        self._titles: dict[str, int] = {}
        self._connection = sqlite3.connect(path, check_same_thread=False, timeout=5)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=OFF")

    def create(self) -> None:
        """Make the tables of an empty store."""
        create_tables(self._connection)

    def commit(self) -> None:
        """Let readers see what was written."""
        self._connection.commit()

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def begin(
        self, conversation: Conversation, at: float, *, id: str | None = None, parent: str | None = None
    ) -> OpenSession:
        """A new session with its question; an answer is owed."""
        own_id = id or self._id(conversation, at)
        session = OpenSession(own_id, conversation, Random(f"{self._seed}:{own_id}"))
        config: dict[str, int | str] = {"max_iterations": 1 if conversation.source == "heartbeat" else 90}
        if parent:
            config["_delegate_from"] = parent
        self._connection.execute(
            "INSERT INTO sessions (id, source, model, model_config, system_prompt, parent_session_id,"
            " started_at, cwd, title, message_count) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1)",
            (
                session.id,
                conversation.source,
                conversation.model,
                json.dumps(config),
                _SYSTEM_PROMPT,
                parent,
                at,
                WORK_FOLDER if conversation.source == "cli" else None,
                self._title(conversation, at),
            ),
        )
        self._message(session, "user", conversation.ask, at + 0.002)
        return session

    def step(self, session: OpenSession, at: float, took_s: float = 0.8) -> None:
        """One call of the model that asks for a tool, and the tool's result."""
        step = session.conversation.steps[session.stage]
        session.stage += 1
        call_id = f"call_{sha256(f'{session.id} {session.stage}'.encode()).hexdigest()[:10]}"
        thought = session.conversation.thought if session.stage == 1 else ""
        self._message(
            session,
            "assistant",
            "",
            at,
            tool_calls=_tool_call(step, call_id),
            thought=thought,
            finish="tool_calls",
        )
        self._message(session, "tool", step.result, at + took_s, tool_call_id=call_id, tool_name=step.tool)
        session.messages += 2
        self._account(session, at, output=session.random.randrange(90, 420), thought=thought)

    def finish(self, session: OpenSession, at: float, *, close: bool = True, answer: str | None = None) -> None:
        """The final answer; ``close`` ends the row where its source ever does."""
        conversation = session.conversation
        thought = conversation.thought if not conversation.steps else ""
        self._message(session, "assistant", answer or conversation.answer, at, thought=thought, finish="stop")
        session.messages += 1
        spoken = len(answer or conversation.answer) // 4
        extra = 0 if conversation.source == "heartbeat" else session.random.randrange(150, 700)
        self._account(session, at, output=spoken + extra, thought=thought)
        if close:
            self.end(session, at + 0.4)

    def end(self, session: OpenSession, at: float) -> None:
        """Close the row without an answer of its own: what a failed run leaves behind, too."""
        reason = _END_REASONS.get(session.conversation.source)
        if reason is not None:
            self._connection.execute(
                "UPDATE sessions SET ended_at = ?, end_reason = ? WHERE id = ?", (at, reason, session.id)
            )

    def _account(self, session: OpenSession, at: float, *, output: int, thought: str) -> None:
        """Count one call, into the session's row and into the usage of its model."""
        conversation = session.conversation
        if conversation.source == "heartbeat":
            context = 940 + len(conversation.ask) // 4
        else:
            context = BASE_TOKENS * (conversation.weight + 1) + 640 * conversation.weight * session.calls
        cached = int(context * 0.22) if session.calls else 0
        session.calls += 1
        session.input += context - cached
        session.cache_read += cached
        session.output += output
        session.reasoning += min(output, len(thought) // 3)
        session.seen_at = session.seen_at or at
        cost = 0.0
        if conversation.cloud:
            cost = session.input * INPUT_USD_PER_TOKEN + session.output * OUTPUT_USD_PER_TOKEN
        provider, url = ("openrouter", CLOUD_URL) if conversation.cloud else ("custom", LOCAL_URL)
        status, priced_by = ("estimated", "pricing_table") if conversation.cloud else ("unknown", "none")
        tokens = (session.calls, session.input, session.output, session.cache_read, session.reasoning)
        self._connection.execute(
            "UPDATE sessions SET api_call_count = ?, input_tokens = ?, output_tokens = ?,"
            " cache_read_tokens = ?, reasoning_tokens = ?, billing_provider = ?, billing_base_url = ?,"
            " estimated_cost_usd = ?, cost_status = ?, cost_source = ?, message_count = ?, tool_call_count = ?"
            " WHERE id = ?",
            (*tokens, provider, url, cost, status, priced_by, session.messages, session.stage, session.id),
        )
        self._connection.execute(
            "INSERT OR REPLACE INTO session_model_usage (api_call_count, input_tokens, output_tokens,"
            " cache_read_tokens, reasoning_tokens, session_id, model, billing_provider, billing_base_url,"
            " estimated_cost_usd, cost_status, cost_source, first_seen, last_seen)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *tokens,
                session.id,
                conversation.model,
                provider,
                url,
                cost,
                status,
                priced_by,
                session.seen_at,
                at,
            ),
        )

    def _message(
        self,
        session: OpenSession,
        role: str,
        content: str,
        at: float,
        *,
        tool_call_id: str | None = None,
        tool_name: str | None = None,
        tool_calls: str | None = None,
        thought: str = "",
        finish: str | None = None,
    ) -> None:
        self._connection.execute(
            "INSERT INTO messages (session_id, role, content, tool_call_id, tool_calls, tool_name, timestamp,"
            " finish_reason, reasoning, reasoning_content) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                session.id,
                role,
                content,
                tool_call_id,
                tool_calls,
                tool_name,
                at,
                finish,
                thought or None,
                thought or None,
            ),
        )

    def _id(self, conversation: Conversation, at: float) -> str:
        if conversation.source == "cron":
            job = sha256(conversation.title.encode()).hexdigest()[:12]
            return f"cron_{job}_{stamp(at)}"
        digits = 8 if conversation.source == "telegram" else 6
        return session_id(at, f"{self._seed} {conversation.title}", digits)

    def _title(self, conversation: Conversation, at: float) -> str | None:
        """Titles are unique: cron's carry the time, a repeated one its number; a heartbeat has none."""
        if conversation.source == "heartbeat":
            return None
        title = conversation.title
        if conversation.source == "cron":
            title = f"{title} · {stamp(at, '%b %d %H:%M')}"
        number = self._titles[title] = self._titles.get(title, 0) + 1
        return title if number == 1 else f"{title} #{number}"


def _tool_call(step: Step, call_id: str) -> str:
    function = {"name": step.tool, "arguments": json.dumps(step.arguments)}
    call = {"id": call_id, "call_id": call_id, "response_item_id": f"fc_{call_id[5:]}", "type": "function"}
    return json.dumps([call | {"function": function}])
