"""Anthropic's ``/v1/messages``, or a server that speaks it."""

from __future__ import annotations

import asyncio
import time

from timmy_tui.config import ProviderConfig
from timmy_tui.services.cascade.providers.http import JsonCaller, Object, name_of, object_of, text_of
from timmy_tui.services.cascade.records import CallError, Completion, CompletionRequest
from timmy_tui.services.ollama.decode import whole_number
from timmy_tui.services.providers.found import Target
from timmy_tui.services.providers.probes import ANTHROPIC_VERSION
from timmy_tui.services.version_path import has_version
from timmy_tui.text import clean

MAX_TOKENS = 4096
"""The API wants a limit; every model takes this one."""


class AnthropicProvider:
    """One account. Keeps its connections; :meth:`complete` may run several times at once."""

    def __init__(self, target: Target, config: ProviderConfig) -> None:
        headers = {"anthropic-version": ANTHROPIC_VERSION}
        if target.key:
            headers["x-api-key"] = target.key
        self._caller = JsonCaller(target, config, headers)
        self._configured = config.default_model
        self._path = "/messages" if has_version(self._caller.url) else "/v1/messages"

    @property
    def name(self) -> str:
        """Its name in the cascade."""
        return self._caller.name

    async def complete(self, request: CompletionRequest) -> Completion:
        """One completion by the model asked for, else the configured one; none is chosen, for each has its price."""
        self._caller.check(request)
        model = request.model or self._configured
        if model is None:
            raise CallError("not_configured", "no model is named", f"Name one under  models:  of {self.name}")
        payload: Object = {
            "model": model,
            "max_tokens": MAX_TOKENS,
            "messages": [{"role": "user", "content": request.prompt}],
        }
        until = asyncio.get_running_loop().time() + request.timeout_s
        started = time.perf_counter()
        answer = await self._caller.post(self._path, payload, until)
        return self._completion(model, answer, (time.perf_counter() - started) * 1000)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._caller.aclose()

    def _completion(self, model: str, answer: Object, duration_ms: float) -> Completion:
        blocks = answer.get("content")
        if not isinstance(blocks, list):
            raise CallError("server", "answers without content; is base_url that of Anthropic's API?")
        texts = (text_of(block, "text") for block in blocks if isinstance(block, dict) and block.get("type") == "text")
        text = "".join(part for part in texts if part)
        stopped = name_of(answer, "stop_reason")
        done_reason = "length" if stopped == "max_tokens" else stopped
        if not text.strip():
            raise CallError("empty", "refuses to answer" if stopped == "refusal" else "an answer without text")
        usage = object_of(answer, "usage")
        counted = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
        read = [tokens for key in counted if (tokens := whole_number(usage.get(key))) is not None]
        return Completion(
            text=text,
            provider=self.name,
            model=name_of(answer, "model") or clean(model),
            duration_ms=duration_ms,
            tokens_in=sum(read) if read else None,
            tokens_out=whole_number(usage.get("output_tokens")),
            done_reason=done_reason,
        )
