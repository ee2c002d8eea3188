"""The command line and the environment of one ``hermes chat`` call (facts/hermes.md §1.7 A)."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from timmy_tui.services.cascade.records import CallError, CompletionRequest
from timmy_tui.services.hermes.profiles import ROOT_PROFILE, HermesPlace
from timmy_tui.services.locality import host_place

PROMPT_MAX_BYTES = 120 * 1024
"""The prompt travels as one argument; Linux takes 128 KiB (facts/hermes.md §1.2)."""

PLACEHOLDER_KEY = "no-key-required"
"""Hermes' first-run guard wants some key; a local server wants none."""

NO_TOOLS = "context_engine"
"""The toolset without tools and without a warning (facts/hermes.md §1.3)."""

MANAGED_DIR = Path("/etc/hermes")
"""Where an administrator's own settings for Hermes would be."""

_ISOLATION = ("--safe-mode", "--ignore-user-config")

_SECRET_NAME = re.compile(r"(?:_API_KEY|_TOKEN|_SECRET|_ACCESS_KEY|_ACCESS_KEY_ID|_CREDENTIALS)\Z|\AOPENAI_API_KEY\Z")

_FOREIGN = frozenset(
    {
        "CUSTOM_BASE_URL",
        "HERMES_BASE_URL",
        "HERMES_EPHEMERAL_SYSTEM_PROMPT",
        "HERMES_INFERENCE_MODEL",
        "HERMES_INFERENCE_PROVIDER",
        "HERMES_MODEL",
        "HERMES_PROVIDER",
        "HERMES_YOLO_MODE",
        "OPENAI_BASE_URL",
        "OPENROUTER_BASE_URL",
    }
)
"""Settings of the operator's own Hermes that would reach into the call."""


def command_line(
    path: Path, flags: frozenset[str], place: HermesPlace, prompt: str, model: str, source: str
) -> list[str]:
    """The argument vector; a flag that this Hermes does not know is left out."""
    argv = [str(path)]
    if place.profile is None and (place.folder / "active_profile").exists():
        argv += ["-p", ROOT_PROFILE]  # else that file sends the call into its profile
    argv += ["chat", "-q" if "-q" in flags else "--query", prompt]
    wanted: list[tuple[str, ...]] = [("-Q",), ("-t", NO_TOOLS)]
    if "--safe-mode" in flags:
        wanted.append(("--safe-mode",))
    else:
        wanted += [("--ignore-user-config",), ("--ignore-rules",)]
    wanted += [("--source", source), ("--max-turns", "1"), ("-m", model), ("--provider", "custom")]
    for words in wanted:
        if words[0] in flags:
            argv += words
    return argv


def isolates(flags: frozenset[str]) -> bool:
    """The call can be kept apart from the operator's ``fallback_providers``."""
    return any(flag in flags for flag in _ISOLATION)


def tagged_prompt(request: CompletionRequest) -> str:
    """The prompt behind its caller's tag, fit to be an argument. Raises :class:`CallError` ``too_long``."""
    tag = request.caller if request.tag is None else request.tag
    prompt = f"[{tag}] {request.prompt}" if tag else request.prompt
    prompt = prompt.replace("\0", "\ufffd")
    size = len(prompt.encode("utf-8", "replace"))
    if size > PROMPT_MAX_BYTES:
        told = f"the prompt has {size:,} bytes; hermes takes {PROMPT_MAX_BYTES:,}"
        raise CallError("too_long", told, "ask the model server itself: the ollama and openai providers take more")
    return prompt.encode("utf-8", "replace").decode()


def session_source(caller: str) -> str:
    """The session's ``source``: ``heartbeat`` for ``heartbeat_tick``."""
    return re.sub(r"[^a-z0-9-]", "-", caller.lower().removesuffix("_tick")) or "heartbeat"


def pinned(url: str, source: str, deadline_s: float) -> dict[str, str]:
    """What the call depends on. The key is never one of the operator's: the server is whoever the URL names.

    ``HERMES_API_TIMEOUT`` is the longest silence before Hermes sends the prompt again. A share of the deadline would
    end the wait for a model that is still being loaded, and start it anew; so the first request has all the time
    there is, instead of 1,800 s, and the deadline of the process does the rest.
    """
    values = {
        "CUSTOM_BASE_URL": url,
        "OPENAI_API_KEY": PLACEHOLDER_KEY,
        "HERMES_API_TIMEOUT": f"{math.ceil(deadline_s)}",
        "HERMES_SESSION_SOURCE": source,
    }
    if host_place(url) == "local":
        values["NO_PROXY"] = values["no_proxy"] = urlsplit(url).hostname or ""
    return values


def child_environment(
    env: Mapping[str, str], pins: Mapping[str, str], place: HermesPlace, *, local_only: bool
) -> dict[str, str]:
    """The call's environment: without what steers Hermes elsewhere, and for a local call without any key."""
    kept = {
        name: value
        for name, value in env.items()
        if name not in _FOREIGN and not (local_only and _SECRET_NAME.search(name))
    }
    return {**kept, "HERMES_HOME": str(place.folder), "NO_COLOR": "1", **pins}


def pin_folder(folder: Path, pins: Mapping[str, str], env: Mapping[str, str]) -> dict[str, str]:
    """Write ``pins`` where they win over ``HERMES_HOME/.env``, and return the variable that names the place.

    Hermes lets that file override its environment, so a ``CUSTOM_BASE_URL`` there would take a local call elsewhere.
    Its managed scope comes last; an administrator who has one keeps it, and then nothing is written.
    """
    if env.get("HERMES_MANAGED_DIR") or MANAGED_DIR.exists():
        return {}
    folder.mkdir()
    (folder / ".env").write_text("".join(f"{name}='{value}'\n" for name, value in pins.items()), encoding="utf-8")
    return {"HERMES_MANAGED_DIR": str(folder)}
