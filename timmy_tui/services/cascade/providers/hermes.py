"""Hermes Agent as a provider: one ``hermes chat`` without tools, pointed at one model server.

Every call is a session of Hermes' own, so that ``hermes sessions list`` and its counters know of it. What it says is
read from that session; standard output carries warnings, reasoning and errors beside the answer (facts/hermes.md §1).
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from msgspec.structs import replace

from timmy_tui.config import ProviderConfig, Settings
from timmy_tui.services.cascade.providers.hermes_command import (
    child_environment,
    command_line,
    isolates,
    pin_folder,
    pinned,
    prompt_note,
    session_source,
    tagged_prompt,
)
from timmy_tui.services.cascade.providers.hermes_flags import chat_flags
from timmy_tui.services.cascade.providers.hermes_foresee import Foreseen, fallback_models, foresee
from timmy_tui.services.cascade.providers.hermes_output import EMPTY_REPLY, answer_text, failure, session_of
from timmy_tui.services.cascade.providers.hermes_process import TERM_GRACE_S, Ended, run_to_end
from timmy_tui.services.cascade.providers.hermes_server import (
    Served,
    base_url,
    check_local,
    check_model_local,
    choose_model,
    look,
)
from timmy_tui.services.cascade.records import CallError, Completion, CompletionRequest
from timmy_tui.services.hermes.answer import HermesError, RawAnswer, last_answer
from timmy_tui.services.hermes.config import HermesConfigError, read_hermes_model
from timmy_tui.services.hermes.profiles import HermesPlace, find_place
from timmy_tui.services.locality import host_place
from timmy_tui.services.providers.hermes_binary import hermes_path
from timmy_tui.text import clean, clean_error, duration_text

__all__ = ["Foreseen", "HermesProvider", "foresee"]


class HermesProvider:
    """Asks ``hermes chat``. ``env`` is the environment that a call inherits; secrets are taken out of it.

    ``config`` may name the model server (``url`` or ``base_url``, else the first Ollama server's) and the model (else
    the default of Hermes' own configuration when the server has it, else what the server has in memory).
    """

    def __init__(
        self,
        settings: Settings,
        env: Mapping[str, str],
        *,
        config: ProviderConfig | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._env = dict(env)
        self._config = config
        self._clock = clock

    @property
    def name(self) -> str:
        """Its name in the cascade."""
        return self._config.name if self._config else "hermes"

    async def aclose(self) -> None:
        """Nothing stays open between two calls."""

    async def complete(self, request: CompletionRequest) -> Completion:
        """One session with one answer. Raises :class:`CallError` and nothing else."""
        started_at = self._clock()
        prompt = tagged_prompt(request)
        place = self._place()
        url = base_url(self._settings, self._config, self._env)
        if request.local_only:
            check_local(url)
        path = hermes_path(self._settings.config.hermes.command, self._env)
        if path is None:
            command = clean(self._settings.config.hermes.command, limit=80)
            raise CallError("not_configured", f"no command {command!r}", "install Hermes, or set hermes.command")
        flags = await asyncio.to_thread(chat_flags, path, self._env)
        if request.local_only:
            await self._check_fallbacks(flags, place)
        served = await look(url, timeout_s=request.timeout_s / 4)
        model = await self._model(request, served, place)
        source = session_source(request.caller)
        note = await asyncio.to_thread(prompt_note, place, self._env)
        left_s = max(1.0, request.timeout_s - (self._clock() - started_at))
        grace_s = min(TERM_GRACE_S, left_s / 4)
        pins = pinned(url, source, left_s - grace_s)
        argv = command_line(path, flags, place, prompt, model, source)
        env = child_environment(self._env, pins, place, local_only=request.local_only)
        ended = await _run(argv, env, pins, left_s - grace_s, grace_s)
        if ended.code is None:
            waited = duration_text((left_s - grace_s) * 1000)
            raise CallError("timeout", f"hermes gave no answer within {waited} and was ended")
        completion = await self._completion(request, ended, model, started_at)
        return replace(completion, prompt_note=note)

    def _place(self) -> HermesPlace:
        try:
            return find_place(self._settings.hermes_home, self._settings.config.hermes.profile)
        except HermesError as error:
            raise CallError("not_configured", error.message, error.hint) from None

    async def _check_fallbacks(self, flags: frozenset[str], place: HermesPlace) -> None:
        """An older Hermes that can't leave the operator's fallback chain out could answer from a cloud."""
        if isolates(flags):
            return
        models = await asyncio.to_thread(fallback_models, place.folder / "config.yaml")
        if models:
            told = f"this Hermes would fall back to {models[0]}, and the call is local-only"
            raise CallError("not_local", told, "update Hermes: hermes update")

    async def _model(self, request: CompletionRequest, served: Served, place: HermesPlace) -> str:
        """The model to ask for; ``-m`` is always given."""
        wanted = request.model or (self._config.default_model if self._config else None)
        if wanted is None:
            try:
                own = await asyncio.to_thread(read_hermes_model, place.folder / "config.yaml")
            except HermesConfigError:
                own = None  # Hermes goes on without it as well; doctor tells
            # The configured model may be a cloud's: it counts when this server has it, or does not tell.
            if own is not None and own.name is not None:
                wanted = served.name_of(own.name) if served.models else own.name
        if wanted is None and request.usual_model is not None:
            wanted = served.name_of(request.usual_model)
        model = wanted or choose_model(served, local_only=request.local_only)
        if request.local_only:
            check_model_local(model, served)
        return model

    async def _completion(self, request: CompletionRequest, ended: Ended, model: str, started_at: float) -> Completion:
        problem = failure(ended.code, ended.stdout, ended.stderr)
        if problem is not None:
            raise problem
        session_id = session_of(ended.stderr, ended.stdout)
        answer = await self._stored(session_id)
        if request.local_only and answer is not None and host_place(answer.base_url) == "cloud":
            told = f"Hermes answered through a cloud ({clean(answer.model or 'unknown model', limit=80)})"
            raise CallError("not_local", told, "look for CUSTOM_BASE_URL in HERMES_HOME/.env")
        text = answer.text if answer is not None else answer_text(ended.stdout)
        if text.strip() in ("", EMPTY_REPLY):
            raise CallError("empty", "the model gave an empty reply to Hermes")
        tokens = answer.tokens if answer is not None and answer.tokens.total else None
        return Completion(
            text=text,
            provider=self.name,
            model=(answer.model if answer is not None else None) or model,
            duration_ms=(self._clock() - started_at) * 1000,
            session_id=session_id,
            tokens_in=tokens.total - tokens.output if tokens else None,
            tokens_out=tokens.output if tokens else None,
            done_reason=answer.finish_reason if answer is not None else None,
        )

    async def _stored(self, session_id: str | None) -> RawAnswer | None:
        """The answer in Hermes' store; None when it can't be had there, and what was printed has to do."""
        if session_id is None:
            return None
        home, profile = self._settings.hermes_home, self._settings.config.hermes.profile
        try:
            return await asyncio.to_thread(last_answer, home, profile, session_id)
        except HermesError:
            return None


async def _run(
    argv: list[str], env: dict[str, str], pins: Mapping[str, str], timeout_s: float, grace_s: float
) -> Ended:
    try:
        with _surroundings(pins, env) as (folder, more):
            return await run_to_end(argv, env={**env, **more}, cwd=folder, timeout_s=timeout_s, grace_s=grace_s)
    except OSError as error:
        told = f"hermes can't be started: {clean_error(error.strerror or error, limit=120)}"
        raise CallError("not_configured", told, "run: timmy-tui doctor") from None


@contextmanager
def _surroundings(pins: Mapping[str, str], env: Mapping[str, str]) -> Iterator[tuple[Path, dict[str, str]]]:
    """An empty folder to run in, so that no AGENTS.md enters the prompt, and the variables that hold the pins."""
    with tempfile.TemporaryDirectory(prefix="timmy-hermes-", ignore_cleanup_errors=True) as name:
        empty = Path(name, "empty")
        empty.mkdir()
        yield empty, pin_folder(Path(name, "pins"), pins, env)
