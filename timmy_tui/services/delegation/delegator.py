"""Hands a prompt to the first model of its task's chain that answers, through the heartbeat's own cascade.

One mechanism for both: the same providers, circuits, figures and usage log.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from contextlib import aclosing, asynccontextmanager

from timmy_tui.config import CascadeConfig, ConfigError, ProviderConfig, Settings, load_cascade
from timmy_tui.services.answer import AnswerReading, take_answer
from timmy_tui.services.cascade.batched_metrics import BatchedMetrics
from timmy_tui.services.cascade.cascade import Cascade
from timmy_tui.services.cascade.metrics_store import MetricsStore
from timmy_tui.services.cascade.providers.ollama import OllamaProvider
from timmy_tui.services.cascade.records import CallError, CallProblem, Completion, CompletionRequest, Provider
from timmy_tui.services.delegation.chains import Choice, choose
from timmy_tui.services.delegation.records import LLMResponse
from timmy_tui.services.locality import host_place
from timmy_tui.services.providers.errors import ProvidersError
from timmy_tui.services.providers.found import find_providers, target_of
from timmy_tui.services.reading import SourceError
from timmy_tui.text import Json, clean

HEAVY = "heavy"
OLLAMA = "ollama"

CHARACTERS_PER_TOKEN = 3.5
"""A careful guess for prose and code; a tokenizer tells exactly."""

CHECKED_FROM_TOKENS = 1_500
"""A shorter prompt fits every model; a longer one is measured against the context before it is sent."""

LONGEST_S = 86_400.0

ANSWER_TOKENS = 256
"""Room that an answer needs in the context besides the prompt."""


def tokens_guess(text: str) -> int:
    """About how many tokens a text has; signs beyond ASCII take more of them."""
    return math.ceil(len(text.encode("utf-8", "replace")) / CHARACTERS_PER_TOKEN)


class Delegator:
    """Asks local models. One event loop; several calls may run at once. Making it opens nothing.

    ``caller`` is who asks, for the usage log. Everything that fails is told in the response.
    """

    def __init__(
        self, settings: Settings, env: Mapping[str, str], *, caller: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._settings = settings
        self._config = settings.config.delegation
        self._env = env
        self._caller = caller
        self._clock = clock
        self._ollama: OllamaProvider | None = None
        self._cascades: dict[str, Cascade] = {}
        self._choices: tuple[object, dict[tuple[str, ...], Choice]] = (None, {})

    async def ask(
        self,
        prompt: str,
        *,
        task: str = "quick",
        model: str | None = None,
        timeout_s: float | None = None,
        schema: Json = None,
        max_tokens: int | None = None,
        on_text: Callable[[str], None] | None = None,
    ) -> LLMResponse:
        """The first answer of the task's chain (or of ``model`` alone) within ``timeout_s`` for everything.

        ``on_text`` gets the answer piece by piece; once a piece came, nobody else is asked.
        """
        began = time.perf_counter()
        usual_s = self._config.timeout_s
        until = began + (timeout_s or usual_s)
        asked = backend = ""
        problem: CallProblem | None = None

        def failed(error: str, hint: str = "") -> LLMResponse:
            took_ms = (time.perf_counter() - began) * 1000
            return LLMResponse(
                "", asked, backend, took_ms, 0, 0.0, success=False, error=error, hint=hint, task=task, problem=problem
            )

        chain = (model,) if model else self._config.chain(task)
        if chain is None:
            known = ", ".join(self._config.known_tasks())
            return failed(f"{clean(task, limit=40)!r} is no task", f"Tasks are: {known}")
        if not prompt.strip():
            return failed("the prompt is empty", "Say what is to be done")
        told: list[str] = []
        try:
            # Closed here: a loop that has to finalize a thousand of them is slower than their calls.
            async with aclosing(self._candidates(task, chain, model, told, until)) as candidates:
                async for name, cascade in candidates:
                    left_s = until - time.perf_counter()
                    if left_s <= 0:
                        told.append("no time left")
                        break
                    reading = None if on_text is None else AnswerReading()
                    request = CompletionRequest(
                        prompt=prompt,
                        caller=self._caller,
                        timeout_s=left_s,
                        schema=schema,
                        max_tokens=max_tokens,
                        model=name or None,
                        task=task,
                        on_text=None if reading is None or on_text is None else _said_only(reading, on_text),
                        impatient=timeout_s is not None and timeout_s < usual_s,
                    )
                    asked, backend = name, cascade.providers[0].name
                    too_long = (
                        await self._too_long(prompt, name, until) if cascade is self._cascades.get(OLLAMA) else None
                    )
                    if too_long is not None:
                        told.append(too_long)
                        problem = "too_long"
                        continue
                    outcome = await cascade.run(request, _said)
                    if outcome.completion is not None and outcome.value is not None:
                        rest = reading.finish() if reading is not None else ""
                        if on_text is not None and rest:
                            on_text(rest)
                        took_ms = (time.perf_counter() - began) * 1000
                        return _response(outcome.completion, outcome.value, took_ms, task)
                    problem = outcome.problem or problem
                    told += [f"{name or attempt.provider}: {attempt.error}" for attempt in outcome.attempts]
                    if outcome.begun:
                        break
        except (CallError, SourceError) as error:
            return failed("; ".join(dict.fromkeys([*told, error.message])), error.hint)
        return failed("; ".join(dict.fromkeys(told)) or "no model could be asked", "timmy-tui doctor")

    async def ask_many(
        self, prompts: Iterable[str], *, task: str = "quick", model: str | None = None, in_flight: int = 8
    ) -> list[LLMResponse]:
        """The answers in the order of the prompts, at most ``in_flight`` asked at once."""
        slots = asyncio.Semaphore(max(1, in_flight))

        async def one(prompt: str) -> LLMResponse:
            async with slots:
                return await self.ask(prompt, task=task, model=model)

        return list(await asyncio.gather(*(one(prompt) for prompt in prompts)))

    async def context_tokens(self, task: str, model: str | None = None) -> int | None:
        """The context of the model that would be asked first; None when it is not known."""
        chain = (model,) if model else self._config.chain(task) or ()
        until = time.perf_counter() + self._config.timeout_s
        try:
            choice = await self._choice(chain, until)
            return await self._context_of(choice.models[0], until) if choice.models else None
        except (CallError, SourceError):
            return None

    async def is_running(self) -> bool:
        """Whether the Ollama server answers."""
        try:
            await self._provider().installed(asyncio.get_running_loop().time() + 3.0)
        except (CallError, SourceError):
            return False
        return True

    async def aclose(self) -> None:
        """Close the connections."""
        cascades, self._cascades = self._cascades, {}
        ollama, self._ollama = self._ollama, None
        for cascade in cascades.values():
            await cascade.aclose()
        if ollama is not None:
            await ollama.aclose()

    async def _candidates(
        self, task: str, chain: tuple[str, ...], model: str | None, told: list[str], until: float
    ) -> AsyncGenerator[tuple[str, Cascade], None]:
        """Who can be asked, in order; why somebody can't goes into ``told``. Raises ``CallError``, ``SourceError``."""
        if task == HEAVY and model is None and self._config.heavy.url:
            yield self._config.heavy.model, self._heavy_cascade()
        choice = await self._choice(chain, until)
        if choice.models:
            told += [f"{clean(name)} is not installed" for name in choice.missing]
        else:
            names = ", ".join(clean(name) for name in chain)
            raise CallError(
                "not_found", f"no model of the chain is installed: {names}", f"ollama pull {clean(chain[0])}"
            )
        for name in choice.models:
            yield name, self._cascade(OLLAMA, self._provider())

    async def _choice(self, chain: tuple[str, ...], until: float) -> Choice:
        provider, by = self._provider(), _loop_time(until)
        try:
            installed = await provider.installed(by)
        except CallError as error:
            told = f"Ollama at {provider.address}: {error.message}"
            raise CallError(error.problem, told, error.hint or "timmy-tui doctor") from None
        if self._config.prefer_loaded and len(chain) > 1:
            return choose(chain, installed, await provider.loaded(by))
        if self._choices[0] is not installed:
            self._choices = installed, {}
        return self._choices[1].setdefault(chain, choose(chain, installed))

    async def _too_long(self, prompt: str, model: str, until: float) -> str | None:
        """Why a prompt does not fit, with the numbers; None when it does, or nobody knows."""
        guess = tokens_guess(prompt)
        if guess < CHECKED_FROM_TOKENS:
            return None
        context = await self._context_of(model, until)
        if context is None or guess + ANSWER_TOKENS <= context:
            return None
        return f"the prompt has about {guess:,} tokens; {clean(model)} has a context of {context:,}"

    async def _context_of(self, model: str, until: float) -> int | None:
        """What the model is loaded with, for Ollama cuts what is longer without a word.

        How much that will be only the server knows, so a model that is not in memory is loaded first.
        """
        provider, by = self._provider(), _loop_time(until)
        for load in (False, True):
            if load:
                await provider.load(model, by)
            loaded = next((found for found in await provider.loaded(by) if found.name == model), None)
            if loaded is not None and loaded.context_length:
                return loaded.context_length
        return await provider.context_limit(model, by)

    def _provider(self) -> OllamaProvider:
        """The first Ollama server of the heartbeat's cascade, else of the configuration.

        Raises ``SourceError``, and :class:`CallError` for one that is not near: nothing is dialled there.
        """
        if self._ollama is None:
            entry = self._entry()
            target = target_of(entry, self._settings, self._env)
            if host_place(target.url) == "cloud":
                told = f"{target.shown} is not on this machine or network; delegation stays local"
                raise CallError("not_local", told, "Look at OLLAMA_HOST")
            self._ollama = OllamaProvider(target, entry, clock=self._clock)
        return self._ollama

    def _entry(self) -> ProviderConfig:
        try:
            file = load_cascade(self._settings)
        except ConfigError as error:
            raise ProvidersError(clean(str(error)), "timmy-tui config show") from None
        configured = [entry for entry in (file.providers if file is not None else ()) if entry.type == "ollama"]
        usable = sorted((entry for entry in configured if entry.enabled), key=lambda entry: entry.priority)
        return usable[0] if usable else ProviderConfig(name=OLLAMA, type="ollama")

    def _heavy_cascade(self) -> Cascade:
        from timmy_tui.services.cascade.providers.openai import OpenAIProvider

        entry = ProviderConfig(name=HEAVY, type="openai", base_url=self._config.heavy.url)
        return self._cascade(HEAVY, OpenAIProvider(target_of(entry, self._settings, self._env), entry))

    def _cascade(self, name: str, provider: Provider) -> Cascade:
        """One provider behind its circuit; no retries: the next model of the chain is the better one."""
        if name not in self._cascades:
            config = find_providers(self._settings, self._env).cascade
            once = CascadeConfig(
                timeout_seconds=LONGEST_S,  # the call's own deadline counts
                max_retries_per_provider=0,
                circuit_breaker=config.circuit_breaker,
            )
            store = MetricsStore(self._settings.database_path, config.circuit_breaker, self._clock)
            metrics = BatchedMetrics(store)
            self._cascades[name] = Cascade([provider], metrics, once, self._clock, usage_path=self._settings.usage_path)
        return self._cascades[name]


@asynccontextmanager
async def delegator(settings: Settings, env: Mapping[str, str], *, caller: str) -> AsyncIterator[Delegator]:
    """A :class:`Delegator` that is closed afterwards."""
    made = Delegator(settings, env, caller=caller)
    try:
        yield made
    finally:
        await made.aclose()


def _loop_time(until: float) -> float:
    """A moment of ``perf_counter`` on the running loop's clock."""
    return asyncio.get_running_loop().time() + max(0.0, until - time.perf_counter())


def _said(completion: Completion) -> str:
    answer = take_answer(completion.text)
    if not answer.text.strip():
        raise CallError("empty", "only thinking, no answer" if answer.thought else "an answer without text")
    return answer.text


def _said_only(reading: AnswerReading, on_text: Callable[[str], None]) -> Callable[[str], None]:
    """``on_text`` for pieces of a model's text: it gets those of the answer."""

    def take(piece: str) -> None:
        said = reading.feed(piece)
        if said:
            on_text(said)

    return take


def _response(completion: Completion, text: str, latency_ms: float, task: str) -> LLMResponse:
    tokens = completion.tokens_out or 0
    took_ms = completion.eval_ms or latency_ms
    return LLMResponse(
        text=text,
        model=completion.model or "",
        backend=completion.provider,
        latency_ms=latency_ms,
        tokens=tokens,
        tokens_per_sec=tokens / took_ms * 1000 if tokens and took_ms > 0 else 0.0,
        success=True,
        tokens_in=completion.tokens_in or 0,
        task=task,
        cut=completion.done_reason == "length",
        load_ms=completion.load_ms,
        eval_ms=completion.eval_ms,
    )
