"""The probes of the outside: HTTP, TCP, disk, load, memory, a command. Each gives facts, failures among them.

A probe gives the keys that it adds to the perception. What failed is a value there (``gitea_alive: false`` and
``gitea_error: "connection refused"``), never an exception: a dead service is what the heartbeat is for.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import re
import shutil
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from timmy_tui.config import CommandProbeConfig, HttpProbeConfig, TcpProbeConfig, expand_env
from timmy_tui.masking import masked
from timmy_tui.services.heartbeat.commands import run_command
from timmy_tui.services.heartbeat.deadlines import ask_blocking
from timmy_tui.services.http_library import import_httpx_off_loop
from timmy_tui.services.locality import is_private_host
from timmy_tui.text import Json, clean, clean_error, clean_tree

Facts = dict[str, Json]

NAME_LIMIT = 60
DISK_TIMEOUT_S = 3.0
MEMORY_TIMEOUT_S = 3.0

COMMAND_NODES = 200
COMMAND_TEXT = 2_000
"""What one command may add to the perception, in JSON values and in characters."""

_VM_STAT_LINE = re.compile(r"^\"?([A-Za-z -]+)\"?:\s+(\d+)\.?$", re.MULTILINE)


async def probe_http(probe: HttpProbeConfig, env: Mapping[str, str]) -> Facts:
    """``NAME_alive``: any HTTP answer below 500. A login page, a redirect or a 404 come from a server that lives.

    ``${ENV}`` in the URL is expanded; the URL is never repeated in an error, it may hold a password.
    """
    name = clean(probe.name, limit=NAME_LIMIT)
    url = expand_env(probe.url.strip(), env)
    if url is None:
        return dead(name, "the URL names a variable that is not set")
    try:
        async with asyncio.timeout(probe.timeout_s):
            status, problem = await _http_status(url)
    except TimeoutError:
        return dead(name, f"no answer within {probe.timeout_s:g} s")
    if problem is not None:
        return dead(name, problem)
    return {f"{name}_alive": True} if status < 500 else dead(name, f"HTTP {status}")


async def _http_status(url: str) -> tuple[int, str | None]:
    """The status of one GET whose body is not read, or what went wrong in a few words."""
    await import_httpx_off_loop()
    import httpx

    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https"):
        return 0, "it is no http:// or https:// address"
    verify = await asyncio.to_thread(httpx.create_ssl_context) if parts.scheme == "https" else False
    try:
        async with (
            httpx.AsyncClient(
                verify=verify,
                timeout=None,  # the deadline is the caller's
                trust_env=not is_private_host(host),  # a proxy of the environment breaks local calls
                headers={"User-Agent": "timmy-tui"},
            ) as client,
            client.stream("GET", url) as response,
        ):
            return response.status_code, None
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError, ValueError, ImportError) as error:
        return 0, _http_problem(error)


def _http_problem(error: Exception) -> str:
    """Why there was no answer, without the address: it may hold a secret."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ConnectionRefusedError):
            return "connection refused"
        if isinstance(cause, OSError) and cause.strerror:
            return clean_error(cause.strerror.lower())
        cause = cause.__cause__ or cause.__context__
    text = str(error)
    if "certificate" in text.lower():
        return "its certificate is not trusted"
    if "://" in text or not text:
        return type(error).__name__
    return clean_error(text)


async def probe_tcp(probe: TcpProbeConfig) -> Facts:
    """``NAME_alive``: the port takes a connection, which is closed at once."""
    name = clean(probe.name, limit=NAME_LIMIT)
    try:
        async with asyncio.timeout(probe.timeout_s):
            _, writer = await asyncio.open_connection(probe.host, probe.port)
    except TimeoutError:
        return dead(name, f"no connection within {probe.timeout_s:g} s")
    except (OSError, UnicodeError, ValueError) as error:
        refused = isinstance(error, ConnectionRefusedError) or "refused" in str(error)
        return dead(name, "connection refused" if refused else _os_problem(error))
    with closing(writer):
        return {f"{name}_alive": True}


async def probe_command(probe: CommandProbeConfig, env: Mapping[str, str]) -> Facts:
    """``NAME``: the command's output, parsed where it is JSON; ``{"error": …}`` when it fails.

    Secrets are masked: the perception goes into a prompt and a log.
    """
    name = clean(probe.name, limit=NAME_LIMIT)
    result = await run_command(probe.run, timeout_s=probe.timeout_s, env=env)
    if result.error is not None:
        return {name: {"error": result.error}}
    return {name: told(result.output)}


def told(output: str) -> Json:
    """A command's output as a bounded JSON value without secrets; text that is not JSON stays text."""
    text = output.strip()
    try:
        tree: object = json.loads(text)
    except (ValueError, RecursionError):
        return clean(masked(text), limit=COMMAND_TEXT, multiline=True)
    value = masked_tree(clean_tree(tree, nodes=COMMAND_NODES))
    written = msgspec.json.encode(value).decode()
    return value if len(written) <= 2 * COMMAND_TEXT else clean(written, limit=COMMAND_TEXT)


def masked_tree(value: Json) -> Json:
    """A cleaned JSON value with ``***`` for what looks like a secret, by its text or by its key."""
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, list):
        return [masked_tree(item) for item in value]
    if isinstance(value, dict):
        return {key: "***" if _is_secret(key, item) else masked_tree(item) for key, item in value.items()}
    return value


def _is_secret(key: str, value: Json) -> bool:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return False
    assigned = f"{key}={value}"
    return masked(assigned).startswith(f"{key}=***")


async def probe_disks(paths: tuple[str, ...], env: Mapping[str, str]) -> Facts:
    """``disk_used_pct`` of the first path, as ``df`` rounds it; ``disks`` by path when there are several."""
    if not paths:
        return {}
    shares = await asyncio.gather(*(_disk_used_pct(path, env) for path in paths))
    facts: Facts = {"disk_used_pct": shares[0][0]}
    if len(paths) > 1:
        facts["disks"] = {clean(path, limit=120): share for path, (share, _) in zip(paths, shares, strict=True)}
    problems = [
        f"{clean(path, limit=80)}: {problem}" for path, (_, problem) in zip(paths, shares, strict=True) if problem
    ]
    return facts | ({"disk_error": "; ".join(problems)} if problems else {})


async def _disk_used_pct(path: str, env: Mapping[str, str]) -> tuple[int | None, str | None]:
    place = Path(env.get("HOME", "/") + path[1:] if path == "~" or path.startswith("~/") else path)
    try:
        usage = await ask_blocking(lambda: shutil.disk_usage(place), DISK_TIMEOUT_S)
    except TimeoutError:
        return None, f"no answer within {DISK_TIMEOUT_S:g} s"
    except (OSError, ValueError) as error:
        return None, _os_problem(error)
    room = usage.used + usage.free  # what root keeps for itself is neither
    return (math.ceil(100 * usage.used / room) if room else 0), None


async def probe_load() -> Facts:
    """``load`` over 1, 5 and 15 minutes, and the ``cpus`` it is to be judged by; nothing where nobody tells."""
    try:
        load: list[Json] = [round(value, 2) for value in os.getloadavg()]
    except (OSError, AttributeError):
        return {}
    return {"load": load, "cpus": os.cpu_count()}


async def probe_memory(env: Mapping[str, str], *, meminfo: Path = Path("/proc/meminfo")) -> Facts:
    """``memory_used_pct``: what is not available to programs; nothing where nobody tells."""
    if sys.platform == "darwin":
        result = await run_command(("/usr/bin/vm_stat",), timeout_s=MEMORY_TIMEOUT_S, env=env)
        share = vm_stat_used_pct(result.output)
    else:
        try:
            share = meminfo_used_pct(await asyncio.to_thread(meminfo.read_text, "ascii", "replace"))
        except OSError:
            share = None
    return {} if share is None else {"memory_used_pct": share}


def meminfo_used_pct(text: str) -> int | None:
    """The share in use by ``/proc/meminfo``, in percent."""
    sizes = {words[0].rstrip(":"): words[1] for words in map(str.split, text.splitlines()) if len(words) > 1}
    total, available = sizes.get("MemTotal", ""), sizes.get("MemAvailable", "")
    if not (total.isdecimal() and available.isdecimal() and int(total)):
        return None
    return round(100 * (1 - min(int(available) / int(total), 1)))


def vm_stat_used_pct(text: str) -> int | None:
    """The share in use by macOS's ``vm_stat``, in percent: wired, active and compressed pages."""
    pages = {name.strip(): int(number) for name, number in _VM_STAT_LINE.findall(text)}
    used = sum(pages.get(name, 0) for name in ("Pages active", "Pages wired down", "Pages occupied by compressor"))
    free = sum(pages.get(name, 0) for name in ("Pages free", "Pages inactive", "Pages speculative"))
    return round(100 * used / (used + free)) if used and free else None


def dead(name: str, problem: str) -> Facts:
    """What a check says of a service that does not answer."""
    name = clean(name, limit=NAME_LIMIT)
    return {f"{name}_alive": False, f"{name}_error": problem}


def _os_problem(error: Exception) -> str:
    reason = error.strerror if isinstance(error, OSError) else None
    return clean_error((reason or str(error) or type(error).__name__).lower())
