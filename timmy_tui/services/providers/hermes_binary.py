"""Where the ``hermes`` command is and its version, told from files: a run writes (facts/hermes.md §10.10)."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from msgspec import Struct

from timmy_tui.services.process_group import ended_within
from timmy_tui.text import clean, clean_error

VERSION_DEADLINE_S = 10.0
LAUNCHER_MAX_BYTES = 4_096
LAUNCHER_HOPS = 4
"""Wrappers that call wrappers: an installer's shell script, a pipx link, the venv's own script."""

_PYTHON = re.compile(r"(?:python|pypy)[0-9.]*t?")
_SHELLS = {"sh", "bash", "dash", "ash", "zsh", "ksh"}
_EXEC = re.compile(r"^\s*(?:'''exec'|exec)\s+(?:-\S+\s+)*(?P<target>.+)$", re.MULTILINE)
_OWN_FOLDER = re.compile(r"""^"?\$\(dirname\b.*?\)"?(?=['"]?/)""")
"""A relocatable script names its own folder: ``"$(dirname -- "$(realpath -- "$0")")"/'python'``."""
_DIST_INFO = re.compile(r"hermes_agent-(?P<version>[0-9][^-/]*)\.dist-info")
_TOLD_VERSION = re.compile(r"\bv?(?P<version>\d+\.\d+[0-9A-Za-z.+-]*)")
_SITE_FOLDERS = (
    "lib/python3*/site-packages",
    "lib64/python3*/site-packages",
    "lib/python3*/dist-packages",
    "local/lib/python3*/dist-packages",
)
_KEPT_ENV = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "LD_LIBRARY_PATH")
"""What ``hermes --version`` gets of the environment: no keys, nothing of the operator's Hermes."""


class HermesBinary(Struct, frozen=True):
    """The command as found."""

    path: str
    """Absolute, links not resolved, cleaned for showing."""
    version: str | None
    error: str | None = None
    """Why it can't work, or why it has no version: one clean line."""


def hermes_path(command: str, env: Mapping[str, str]) -> Path | None:
    """The file that ``command`` names: a path, or a name on the ``PATH`` of ``env``."""
    if command.startswith("~/"):
        command = env.get("HOME", "~") + command[1:]
    found = shutil.which(command, path=env.get("PATH", os.defpath)) if command else None
    return Path(found).absolute() if found else None


def find_hermes(command: str, env: Mapping[str, str]) -> HermesBinary | None:
    """The command with its version, or None when there is none.

    The version is the name of the package's ``dist-info`` folder beside the interpreter that the launcher
    names. Only when there is none is ``hermes --version`` run, once per launcher and modification time, with
    an empty throw-away ``HERMES_HOME``; that blocks, up to :data:`VERSION_DEADLINE_S`. Raises nothing.
    """
    path = hermes_path(command, env)
    if path is None:
        return None
    shown = clean(str(path))
    try:
        launchers = tuple(_launchers(path, env))
        version = _installed_version(launchers)
        modified = path.stat().st_mtime_ns
    except OSError as error:
        return HermesBinary(shown, None, f"{shown}: {clean_error(error.strerror or error)}")
    gone = next((place for place in launchers if not place.exists()), None)
    if gone is not None:
        return HermesBinary(shown, version, f"{shown} starts {clean(str(gone))}, which is gone; reinstall Hermes")
    if version is not None:
        return HermesBinary(shown, version)
    kept = tuple((name, env[name]) for name in _KEPT_ENV if name in env)
    version, problem = _told_version(str(path), modified, kept)
    return HermesBinary(shown, version, problem)


def _launchers(path: Path, env: Mapping[str, str]) -> Iterator[Path]:
    """The launcher, what its links lead to and what that starts, down to the interpreter."""
    for _ in range(LAUNCHER_HOPS):
        yield path
        real = Path(os.path.realpath(path))
        if real != path:
            yield real
        if _PYTHON.fullmatch(real.name) or not real.exists():
            return
        target = _started_by(real, env)
        if target is None:
            return
        path = target
        if _PYTHON.fullmatch(path.name):
            yield path
            return


def _started_by(script: Path, env: Mapping[str, str]) -> Path | None:
    """The program that a script's first line, or a shell launcher's ``exec``, starts; None for a binary."""
    with script.open("rb") as source:
        text = source.read(LAUNCHER_MAX_BYTES).decode(errors="replace")
    if not text.startswith("#!"):
        return None
    words = text[2:].split("\n", 1)[0].split()
    if words and Path(words[0]).name == "env":
        words = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
        found = shutil.which(words[0], path=env.get("PATH", os.defpath)) if words else None
        words = [found] if found else []
    if not words:
        return None
    if Path(words[0]).name not in _SHELLS:
        return Path(words[0])
    targets = [_exec_target(match["target"], script) for match in _EXEC.finditer(text)]
    return next((target for target in targets if target is not None), None)


def _exec_target(text: str, script: Path) -> Path | None:
    text = _OWN_FOLDER.sub(lambda _: shlex.quote(str(script.parent)), text.strip())
    try:
        words = shlex.split(text)
    except ValueError:
        return None
    return Path(words[0]) if words and words[0].startswith("/") else None


def _installed_version(launchers: tuple[Path, ...]) -> str | None:
    """The version in the newest ``hermes_agent-X.dist-info`` of the launchers' environments."""
    prefixes = dict.fromkeys(place.parent.parent for place in launchers if place.parent.name == "bin")
    for prefix in reversed(prefixes):
        found = [
            (entry.stat().st_mtime_ns, match["version"])
            for folder in _SITE_FOLDERS
            for entry in prefix.glob(f"{folder}/hermes_agent-*.dist-info")
            if (match := _DIST_INFO.fullmatch(entry.name))
        ]
        if found:
            return clean(max(found)[1], limit=40)
    return None


@lru_cache(maxsize=8)
def _told_version(path: str, _modified_ns: int, env: tuple[tuple[str, str], ...]) -> tuple[str | None, str | None]:
    """What ``hermes --version`` says, and what went wrong; remembered while the launcher is not modified."""
    with tempfile.TemporaryDirectory(prefix="timmy-hermes-", ignore_cleanup_errors=True) as folder:
        output = Path(folder, "version.txt")
        try:
            with output.open("wb") as sink:
                process = subprocess.Popen(
                    [path, "--version"],
                    stdin=subprocess.DEVNULL,
                    stdout=sink,
                    stderr=subprocess.STDOUT,
                    cwd=folder,
                    env={**dict(env), "HERMES_HOME": str(Path(folder, "home"))},
                    start_new_session=True,
                )
            code = ended_within(process, VERSION_DEADLINE_S)
            text = output.read_bytes()[:LAUNCHER_MAX_BYTES].decode(errors="replace")
        except OSError as error:
            return None, f"{clean(path)} can't be run: {clean_error(error.strerror or error)}"
    if code is None:
        return None, f"hermes --version gave no answer within {VERSION_DEADLINE_S:g} s"
    if code != 0:
        last = next((line for line in reversed(text.splitlines()) if line.strip()), "no output")
        return None, f"hermes --version failed: {clean_error(last, limit=160)}"
    match = _TOLD_VERSION.search(text)
    return (clean(match["version"], limit=40), None) if match else (None, None)
