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
from timmy_tui.text import clean

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

ADDS_TO_THE_PROMPT = ("HERMES_PREFILL_MESSAGES_FILE", "HERMES_EPHEMERAL_SYSTEM_PROMPT")
"""Settings that put the operator's own messages before the prompt, ``--safe-mode`` or not (facts/hermes-jobs.md §0)."""

_FOREIGN = frozenset(
    {
        "CUSTOM_BASE_URL",
        "HERMES_BASE_URL",
        "HERMES_EPHEMERAL_SYSTEM_PROMPT",
        "HERMES_INFERENCE_MODEL",
        "HERMES_INFERENCE_PROVIDER",
        "HERMES_MODEL",
        "HERMES_PREFILL_MESSAGES_FILE",
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
        **dict.fromkeys(ADDS_TO_THE_PROMPT, ""),
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
    if managed_folder(env) is not None:
        return {}
    folder.mkdir()
    (folder / ".env").write_text("".join(f"{name}='{value}'\n" for name, value in pins.items()), encoding="utf-8")
    return {"HERMES_MANAGED_DIR": str(folder)}


def managed_folder(env: Mapping[str, str]) -> Path | None:
    """Where an administrator's settings for Hermes are, which nothing can be pinned against; None without any."""
    named = env.get("HERMES_MANAGED_DIR")
    return Path(named) if named else MANAGED_DIR if MANAGED_DIR.exists() else None


def prompt_note(place: HermesPlace, env: Mapping[str, str]) -> str | None:
    """Why the model may be told more than the prompt; None where nothing adds to it, or what does is pinned.

    With a managed scope the operator's ``.env`` stays in force, and so does the scope's own.
    """
    managed = managed_folder(env)
    if managed is None:
        return None
    for path in (managed / ".env", place.folder / ".env"):
        try:
            text = path.read_text("utf-8", "replace")
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            return f"{clean(str(path), limit=120)} can't be read, and nothing can be pinned: Hermes is managed"
        for name in ADDS_TO_THE_PROMPT:
            if re.search(rf"^\s*(?:export\s+)?{name}\s*=\s*[\"']?[^\s\"'#]", text, re.MULTILINE):
                return f"{name} of {clean(str(path), limit=120)} adds to the prompt, and Hermes is managed"
    return None
