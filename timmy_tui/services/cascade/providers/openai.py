"""Any OpenAI-compatible server (llama.cpp, vLLM, llamafile, AirLLM, OpenAI itself): ``/chat/completions``.

The schema is not sent as ``response_format``: many of these servers refuse what they do not know with a 400, and the
caller judges the answer's shape anyway (docs/adr-0001).
"""

from __future__ import annotations

import asyncio
import time

from timmy_tui.config import ProviderConfig
from timmy_tui.services.cascade.providers.http import JsonCaller, Object, name_of, object_of, text_of
from timmy_tui.services.cascade.records import CallError, Completion, CompletionRequest
from timmy_tui.services.ollama.decode import whole_number
from timmy_tui.services.providers.found import Target
from timmy_tui.services.version_path import has_version
from timmy_tui.text import clean, clean_error


class OpenAIProvider:
    """One server. Keeps its connections; :meth:`complete` may run several times at once."""

    def __init__(self, target: Target, config: ProviderConfig) -> None:
        headers = {"Authorization": f"Bearer {target.key}"} if target.key else {}
        self._caller = JsonCaller(target, config, headers)
        self._configured = config.default_model
        # Without a version in base_url most servers have one all the same; some have the bare path only.
        self._prefixes = ("",) if has_version(self._caller.url) else ("/v1", "")

    @property
    def name(self) -> str:
        """Its name in the cascade."""
        return self._caller.name

    async def complete(self, request: CompletionRequest) -> Completion:
        """One completion by the model asked for, else the configured, else the first that the server lists."""
        self._caller.check(request)
        until = asyncio.get_running_loop().time() + request.timeout_s
        model = request.model or self._configured or await self._first_model(until, request.usual_model)
        payload: Object = {
            "model": model,
            "messages": [{"role": "user", "content": request.prompt}],
            "stream": False,
        }
        if request.seed is not None:
            payload["seed"] = request.seed
        if request.max_tokens is not None:
            payload["max_tokens"] = request.max_tokens
        started = time.perf_counter()
        answer = await self._ask("/chat/completions", payload, until)
        return self._completion(model, answer, (time.perf_counter() - started) * 1000, request.seed)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._caller.aclose()

    async def _ask(self, path: str, payload: Object | None, until: float) -> Object:
        """The answer at the first prefix that has ``path``; that one is asked from then on."""
        missing: CallError | None = None
        for prefix in self._prefixes:
            try:
                if payload is None:
                    answer = await self._caller.get(prefix + path, until)
                else:
                    answer = await self._caller.post(prefix + path, payload, until)
            except CallError as error:
                if error.problem != "not_found":
                    raise
                missing = missing or error
            else:
                self._prefixes = (prefix,)
                return answer
        assert missing is not None
        raise missing

    async def _first_model(self, until: float, usual: str | None) -> str:
        models = (await self._ask("/models", None, until)).get("data")
        listed = [model for model in models if isinstance(model, dict)] if isinstance(models, list) else []
        names = [name for model in listed if (name := text_of(model, "id"))]
        if names:
            return usual if usual is not None and usual in names else names[0]
        raise CallError("not_configured", "it lists no model", f"Name one under  models:  of {self.name}")

    def _completion(self, model: str, answer: Object, duration_ms: float, seed: int | None) -> Completion:
        choices = answer.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(choice, dict):
            raise CallError("server", "answers without choices; is base_url that of an OpenAI-compatible server?")
        message = object_of(choice, "message")
        text = _text(message.get("content"))
        done_reason = name_of(choice, "finish_reason")
        if not text.strip():
            refusal = text_of(message, "refusal")
            reasoned = text_of(message, "reasoning_content") or text_of(message, "reasoning")
            why = "only reasoning, no answer" if reasoned else "an answer without text"
            cut = "; it was cut at its length limit" if done_reason == "length" else ""
            raise CallError("empty", f"refuses: {clean_error(refusal)}" if refusal else why + cut)
        usage = object_of(answer, "usage")
        return Completion(
            text=text,
            provider=self.name,
            model=_shown_model(name_of(answer, "model") or clean(model)),
            duration_ms=duration_ms,
            tokens_in=whole_number(usage.get("prompt_tokens")),
            tokens_out=whole_number(usage.get("completion_tokens")),
            done_reason=done_reason,
            seed=seed,
        )


def _text(content: object) -> str:
    """A message's content: a string, or a list of parts of which some are text."""
    if isinstance(content, list):
        return "".join(text_of(part, "text") or "" for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _shown_model(name: str) -> str:
    """A llama.cpp server calls its model by the absolute path of the file, unless it was given another name."""
    is_path = name.startswith("/") or name[1:3] in (":\\", ":/")
    return name.replace("\\", "/").rsplit("/", 1)[-1] or name if is_path else name
