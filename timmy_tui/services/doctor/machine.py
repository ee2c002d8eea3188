"""The doctor's look at this machine: Python, the terminal, the files, the optional parts."""

from __future__ import annotations

import os
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

from timmy_tui.config import Settings
from timmy_tui.services.doctor.findings import Finding, finding
from timmy_tui.services.doctor.install import install_command
from timmy_tui.text import bytes_text

OLDEST_PYTHON = (3, 11)

SMALLEST_COLUMNS, SMALLEST_ROWS = 40, 12
"""Below this the console only says that the terminal is too small (DESIGN §7)."""

PS_WITHIN_S = 3.0
_RUNNER = re.compile(
    r"\s*(?P<pid>\d+)\s+(?P<parent>\d+)\s+\S*?(?P<name>llama-server|ollama_llama_server|ollama runner|ollama-runner)\b"
    r"(?=.*(?:blobs/sha256|ollama))"
)
"""A runner that Ollama starts: a llama.cpp server of the operator's own has no model of its blobs."""

DISK_BROKEN_BYTES, DISK_LOW_BYTES = 20_000_000, 1_000_000_000

EXTRAS = {
    "gpu": ("pynvml", "nvidia-ml-py", "the GPU's own figures"),
    "redis": ("redis", "redis", "a queue shared by several machines"),
    "web": ("textual_serve", "textual-serve", "the console in a browser"),
}


def python_findings(version: tuple[int, int] = sys.version_info[:2]) -> Iterator[Finding]:
    """The interpreter, against the versions that are tested."""
    text = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if version < OLDEST_PYTHON:
        yield finding("python", "broken", f"{text}: too old", "install Python 3.11 or newer")
    else:
        yield finding("python", "ok", text)


def terminal_size() -> tuple[int, int] | None:
    """Columns and rows as the terminal tells them; None without a terminal."""
    for descriptor in (0, 1, 2):
        try:
            size = os.get_terminal_size(descriptor)
        except OSError:
            continue
        return size.columns, size.lines
    return None


def terminal_findings(env: Mapping[str, str], size: tuple[int, int] | None) -> Iterator[Finding]:
    """The terminal by its environment: its kind, colours, size and character set."""
    term = env.get("TERM", "")
    if term in ("dumb", "unknown"):
        yield finding(
            "terminal",
            "broken",
            f"TERM={term} can't show a console",
            "use another terminal, or: timmy-tui status",
        )
    elif not term:
        yield finding("terminal", "note", "TERM is not set: no terminal here")
    else:
        yield finding("terminal", "ok", f"{term}, {_colours(env)}")
    if size == (0, 0) or (size is not None and min(size) <= 0):
        yield finding("terminal size", "note", "the terminal tells no size", "stty rows 40 cols 120")
    elif size is not None:
        columns, rows = size
        small = columns < SMALLEST_COLUMNS or rows < SMALLEST_ROWS
        told = f"{columns} × {rows}"
        if small:
            told += f": the console needs {SMALLEST_COLUMNS} × {SMALLEST_ROWS}"
        yield finding("terminal size", "note" if small else "ok", told)
    yield from _locale(env)


def _colours(env: Mapping[str, str]) -> str:
    if env.get("NO_COLOR"):
        return "colours off by NO_COLOR"
    if env.get("COLORTERM", "").lower() in ("truecolor", "24bit"):
        return "true colour"
    return "256 colours" if "256" in env.get("TERM", "") else "16 colours"


def _locale(env: Mapping[str, str]) -> Iterator[Finding]:
    """The first of the three variables that is set decides, as in setlocale(3)."""
    locale = next((env[name] for name in ("LC_ALL", "LC_CTYPE", "LANG") if env.get(name)), "")
    charset = locale.partition(".")[2].partition("@")[0].lower().replace("-", "")
    mend = "export LC_ALL=C.UTF-8   (or: timmy-tui --ascii)"
    if charset == "utf8":
        yield finding("locale", "ok", locale)
    elif locale in ("", "C", "POSIX"):
        yield finding("locale", "note", f"{locale or 'none set'}: UTF-8 is assumed", mend)
    else:
        yield finding("locale", "broken", f"{locale} is not UTF-8: signs may show as garbage", mend)


def file_findings(settings: Settings) -> Iterator[Finding]:
    """The configuration file and ``TIMMY_HOME``."""
    path = settings.config_path
    if path.is_file():
        yield finding("config", "ok", str(path))
    else:
        yield finding("config", "note", f"no {path}: defaults are in force", "timmy-tui config init")
    yield _home(settings.timmy_home)


def _home(home: Path) -> Finding:
    if home.is_dir():
        if not os.access(home, os.W_OK | os.X_OK):
            return finding("home", "broken", f"{home} can't be written", f"chmod u+rwx {shlex.quote(str(home))}")
        if home.stat().st_mode & 0o077:
            return finding("home", "note", f"{home} is open to other users", f"chmod 700 {shlex.quote(str(home))}")
        return finding("home", "ok", str(home))
    if home.exists():
        return finding("home", "broken", f"{home} is not a folder", "set TIMMY_HOME to a folder")
    parent = next((folder for folder in home.parents if folder.exists()), Path("/"))
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        return finding("home", "broken", f"{home} can't be made: {parent} is closed", "set TIMMY_HOME elsewhere")
    return finding("home", "note", f"{home} is not there yet; it is made when first needed")


def extra_findings() -> Iterator[Finding]:
    """The optional parts that are installed."""
    for extra, (module, package, purpose) in EXTRAS.items():
        if find_spec(module):
            yield finding(f"extra {extra}", "ok", f"installed: {purpose}")
        else:
            yield finding(f"extra {extra}", "note", f"not installed: {purpose}", install_command(package))


def disk_finding(home: Path) -> Finding:
    """The room where ticks and labels are written: without any, nothing that is decided is kept."""
    folder = next((place for place in (home, *home.parents) if place.is_dir()), Path("/"))
    try:
        room = os.statvfs(folder)
    except OSError as error:
        return finding("disk", "note", f"the room at {folder} is unknown: {error.strerror}")
    free_bytes, free_files = room.f_bavail * room.f_frsize, room.f_favail
    told = f"{bytes_text(free_bytes)} free at {folder}"
    if room.f_files and free_files == 0:
        return finding("disk", "broken", f"no file can be made at {folder}: 0 inodes are free", "remove files there")
    if free_bytes < DISK_BROKEN_BYTES:
        return finding("disk", "broken", f"the disk is full: {told}", "make room: no tick and no label can be kept")
    if free_bytes < DISK_LOW_BYTES:
        return finding("disk", "note", f"the disk is nearly full: {told}", "make room soon")
    return finding("disk", "ok", told)


def orphan_findings() -> Iterator[Finding]:
    """Runners whose Ollama server died: they go on holding their memory, and no list shows them (ollama.md)."""
    try:
        listed = subprocess.run(
            ["ps", "-axo", "pid=,ppid=,command="], capture_output=True, text=True, errors="replace", timeout=PS_WITHIN_S
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return
    yield from orphans_in(listed)


def orphans_in(listed: str) -> Iterator[Finding]:
    """The orphans of a list of processes: pid, parent and command a line."""
    for line in listed.splitlines():
        found = _RUNNER.match(line)
        if found is not None and found["parent"] == "1":
            told = f"{found['name']} (pid {found['pid']}) has lost its server and still holds its memory"
            yield finding("ollama runner", "broken", told, f"kill {found['pid']}")
