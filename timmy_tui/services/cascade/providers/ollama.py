"""Ollama's own ``/api/chat``: the schema enforced, thinking split off, the loaded runner left as it is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import aclosing

from timmy_tui.config import ProviderConfig
from timmy_tui.services.cascade.providers.http import JsonCaller, Object, name_of, object_of, text_of
from timmy_tui.services.cascade.records import CallError, Completion, CompletionRequest
from timmy_tui.services.ollama.decode import DecodeError, installed_models, loaded_models, whole_number
from timmy_tui.services.ollama.records import InstalledModel, LoadedModel
from timmy_tui.services.ollama.rules import is_cloud_name, match_installed
from timmy_tui.services.providers.found import Target
from timmy_tui.text import clean

_NS_PER_MS = 1e6
_PS_TIMEOUT_S = 3.0

LEAST_CUT_TOKENS, LEAST_CUT_BYTES = 256, 7_000
BYTES_PER_TOKEN_LEAST, BYTES_PER_TOKEN_MOST = 3.5, 10.0
"""No text has fewer, none that is more than repeated signs has more."""

TAGS_KEPT_S = 5.0
"""Many calls in a row look once at what is installed."""


class OllamaProvider:
    """One Ollama server. Keeps its connections; :meth:`complete` may run several times at once."""

    def __init__(self, target: Target, config: ProviderConfig, *, clock: Callable[[], float] = time.time) -> None:
        self._caller = JsonCaller(target, config, _bearer(target))
        self._configured = config.default_model
        self.address = target.shown or target.name
        """Where it is, for people."""
        self._clock = clock
        self._tags: tuple[float, tuple[InstalledModel, ...]] | None = None

    @property
    def name(self) -> str:
        """Its name in the cascade."""
        return self._caller.name

    async def complete(self, request: CompletionRequest) -> Completion:
        """One completion by the model asked for, else the configured, else the loaded, else the first installed one.

        Sends neither ``keep_alive`` nor an option that would make the server load the model anew
        (facts/ollama.md §3). A local-only call never goes to a stub of a cloud model, whatever its name.
        """
        self._caller.check(request)
        until = asyncio.get_running_loop().time() + request.timeout_s
        model = await self._model(request, until)
        payload: Object = {
            "model": model,
            "messages": [{"role": "user", "content": request.prompt}],
            "stream": False,
            "truncate": False,  # else what does not fit is cut to half the context without a word
        }
        if request.schema is not None:
            payload["format"] = request.schema
        # Of the sampler, not of the loader: neither makes the server load the model anew.
        options: Object = {"seed": request.seed, "num_predict": request.max_tokens}
        options = {key: value for key, value in options.items() if value is not None}
        if options:
            payload["options"] = options
        started = time.perf_counter()
        said: list[str] = []
        try:
            answer = await self._answer(payload, request, said, until)
            completion = self._completion(model, answer, (time.perf_counter() - started) * 1000, request.seed)
            await self._check_whole(request.prompt, model, completion.tokens_in, until)
            return completion
        except CallError as error:
            begun, hint, problem = bool(said), error.hint, error.problem
            if problem == "not_found":
                hint = f"ollama pull {clean(model, limit=80)}"
            elif "does not support chat" in error.message:
                problem, hint = "not_configured", "Name a model that answers in text"
            raise CallError(
                problem, error.message, hint, begun=begun, sent=True, retry_after_s=error.retry_after_s
            ) from None

    async def _answer(self, payload: Object, request: CompletionRequest, said: list[str], until: float) -> Object:
        """The answer in one piece; given out piece by piece on its way where that is wanted, then ``said`` has them."""
        on_text = request.on_text
        if on_text is None:
            answer = await self._caller.post("/api/chat", payload, until)
            _check_local(answer, request)
            return answer
        done: Object | None = None
        async with aclosing(self._caller.post_lines("/api/chat", payload | {"stream": True}, until)) as pieces:
            async for piece in pieces:
                _check_local(piece, request)
                text = text_of(object_of(piece, "message"), "content") or ""
                if text:
                    said.append(text)
                    on_text(text)
                done = piece if piece.get("done") else None
        if done is None:
            raise CallError("server", "the answer broke off")
        return {**done, "message": {**object_of(done, "message"), "content": "".join(said)}}

    async def _check_whole(self, prompt: str, model: str, tokens_in: int | None, until: float) -> None:
        """Raise ``CallError`` for a prompt of which the server read only a part (facts/ollama.md, Corrections).

        One that ignores ``truncate`` keeps half of its context. Very few tokens are no cut: what an old server had
        in its cache it does not count.
        """
        size_bytes = len(prompt.encode("utf-8", "replace"))
        if tokens_in is None or tokens_in < LEAST_CUT_TOKENS or size_bytes < LEAST_CUT_BYTES:
            return
        if tokens_in * BYTES_PER_TOKEN_LEAST > size_bytes:
            return
        cut = tokens_in * BYTES_PER_TOKEN_MOST < size_bytes
        if not cut:
            loaded = next((found for found in await self.loaded(until) if found.name == model), None)
            context = loaded.context_length if loaded is not None else None
            cut = context is not None and size_bytes > context * BYTES_PER_TOKEN_LEAST and tokens_in <= context / 2 + 2
        if cut:
            about = round(size_bytes / 4)
            told = f"the server cut the prompt: it read {tokens_in:,} of about {about:,} tokens"
            raise CallError(
                "too_long", told, "Give the model more context (OLLAMA_CONTEXT_LENGTH), or a shorter prompt"
            )

    async def load(self, model: str, until: float) -> None:
        """Have a model in memory as the server likes it: only then does it say how long its context is."""
        try:
            await self._caller.post("/api/generate", {"model": model, "stream": False}, until)
        except CallError:
            return  # the call itself will tell what is wrong

    async def aclose(self) -> None:
        """Close the connections."""
        await self._caller.aclose()

    def _completion(self, model: str, answer: Object, duration_ms: float, seed: int | None) -> Completion:
        message = object_of(answer, "message")
        text = text_of(message, "content") or ""
        done_reason = name_of(answer, "done_reason")
        if not text.strip():
            why = "only reasoning, no answer" if text_of(message, "thinking") else "an answer without text"
            cut = "; it was cut at its length limit" if done_reason == "length" else ""
            raise CallError("empty", why + cut)
        return Completion(
            text=text,
            provider=self.name,
            model=name_of(answer, "model") or clean(model),
            duration_ms=duration_ms,
            tokens_in=whole_number(answer.get("prompt_eval_count")),
            tokens_out=whole_number(answer.get("eval_count")),
            load_ms=_milliseconds(answer, "load_duration"),
            eval_ms=_milliseconds(answer, "eval_duration"),
            done_reason=done_reason,
            seed=seed,
        )

    async def _model(self, request: CompletionRequest, until: float) -> str:
        """The model to ask, after a look at what is installed where that decides."""
        wanted = request.model or self._configured
        if wanted is not None and not request.local_only:
            return wanted
        if wanted is not None and is_cloud_name(wanted):
            raise _cloud(wanted)
        installed = await self.installed(until)
        if wanted is not None:
            found = next((model for model in installed if _same_name(model.name, wanted)), None)
            if found is None:
                raise CallError("not_found", f"{clean(wanted)} is not installed", f"ollama pull {clean(wanted)}")
            if found.remote:
                raise _cloud(wanted)
            return wanted
        usable = [model for model in installed if _answers(model) and not (request.local_only and _leaves(model))]
        usual = next((model for model in usable if _same_name(model.name, request.usual_model or "")), None)
        if usual is not None:
            return usual.name
        loaded = (match_installed(model, usable) for model in await self.loaded(until))
        chosen = next((model for model in loaded if model is not None), None) or next(iter(usable), None)
        if chosen is None:
            raise CallError("not_configured", "no model that could answer is installed", "ollama pull qwen3:8b")
        return chosen.name

    async def installed(self, until: float) -> tuple[InstalledModel, ...]:
        """What is installed, as of at most :data:`TAGS_KEPT_S` ago; ``until`` is loop time. Raises ``CallError``."""
        now = asyncio.get_running_loop().time()
        if self._tags is not None and now - self._tags[0] < TAGS_KEPT_S:
            return self._tags[1]
        body = await self._caller.fetch("/api/tags", until)
        try:
            models = installed_models(body)
        except DecodeError as error:
            raise CallError("server", f"answers /api/tags with {clean(str(error))}") from None
        self._tags = now, models
        return models

    async def context_limit(self, model: str, until: float) -> int | None:
        """The longest context that a model takes, by ``/api/show``; None where the server does not tell."""
        try:
            shown = await self._caller.post("/api/show", {"model": model}, until)
        except CallError:
            return None
        facts = object_of(shown, "model_info")
        lengths = (whole_number(value) for key, value in facts.items() if key.endswith(".context_length"))
        return next((length for length in lengths if length), None)

    async def loaded(self, until: float) -> tuple[LoadedModel, ...]:
        """What is in memory; nothing where the server does not say soon: its locks can hold the list for long."""
        soon = min(until, asyncio.get_running_loop().time() + _PS_TIMEOUT_S)
        try:
            return loaded_models(await self._caller.fetch("/api/ps", soon), self._clock())
        except (CallError, DecodeError):
            return ()


def _check_local(answer: Object, request: CompletionRequest) -> None:
    """Raise ``CallError`` for a cloud model's answer to a call that is local-only."""
    if request.local_only and (answer.get("remote_host") or answer.get("remote_model")):
        raise CallError("not_local", "answered by a cloud model, and the call is local-only")


def _bearer(target: Target) -> dict[str, str]:
    return {"Authorization": f"Bearer {target.key}"} if target.key else {}


def _cloud(name: str) -> CallError:
    return CallError(
        "not_local",
        f"not asked: {clean(name)} runs in Ollama's cloud, and the call is local-only",
        "Choose a local model",
    )


def _same_name(installed: str, wanted: str) -> bool:
    return installed.casefold() in (wanted.casefold(), f"{wanted}:latest".casefold())


def _leaves(model: InstalledModel) -> bool:
    return model.remote or is_cloud_name(model.name)


def _answers(model: InstalledModel) -> bool:
    """The model completes text. Servers before 0.30 do not say: then anything but an embedder by name or family."""
    if model.capabilities:
        return "completion" in model.capabilities
    return "bert" not in (model.family or "") and "embed" not in model.name


def _milliseconds(answer: Object, key: str) -> float | None:
    """A duration in nanoseconds; left out when 0."""
    nanoseconds = whole_number(answer.get(key))
    return None if nanoseconds is None else nanoseconds / _NS_PER_MS
