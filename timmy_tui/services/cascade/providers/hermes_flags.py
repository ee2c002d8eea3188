"""Which flags this machine's ``hermes chat`` knows: asked once per launcher, in an empty home."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from timmy_tui.services.cascade.records import CallError
from timmy_tui.services.process_group import ended_within
from timmy_tui.text import clean, clean_error

HELP_DEADLINE_S = 15.0
"""``hermes chat --help`` takes half a second; the first start after an install compiles its modules."""

HELP_MAX_BYTES = 100_000

_FLAG = re.compile(r"(?<![\w-])--?[A-Za-z][A-Za-z-]*")
_KEPT_ENV = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "LD_LIBRARY_PATH")
"""What ``--help`` gets of the environment: no keys, nothing of the operator's Hermes."""


def chat_flags(path: Path, env: Mapping[str, str]) -> frozenset[str]:
    """The flags that ``hermes chat --help`` lists, remembered while the launcher is not modified.

    Hermes writes into its home at any run (facts/hermes.md §10.10), so it gets a throw-away one. Blocks, up to
    :data:`HELP_DEADLINE_S`. Raises :class:`CallError` ``not_configured`` when it can't be asked.
    """
    try:
        modified_ns = path.stat().st_mtime_ns
    except OSError as error:
        raise _useless(path, clean_error(error.strerror or error)) from None
    return _asked_flags(path, modified_ns, tuple((name, env[name]) for name in _KEPT_ENV if name in env))


@lru_cache(maxsize=8)
def _asked_flags(path: Path, _modified_ns: int, env: tuple[tuple[str, str], ...]) -> frozenset[str]:
    with tempfile.TemporaryDirectory(prefix="timmy-hermes-", ignore_cleanup_errors=True) as folder:
        printed = Path(folder, "help.txt")
        try:
            with printed.open("wb") as sink:
                process = subprocess.Popen(
                    [path, "chat", "--help"],
                    stdin=subprocess.DEVNULL,
                    stdout=sink,
                    stderr=subprocess.STDOUT,
                    cwd=folder,
                    env={**dict(env), "HERMES_HOME": str(Path(folder, "home")), "NO_COLOR": "1"},
                    start_new_session=True,
                )
            code = ended_within(process, HELP_DEADLINE_S)
            text = printed.read_bytes()[:HELP_MAX_BYTES].decode("utf-8", "replace")
        except OSError as error:
            raise _useless(path, clean_error(error.strerror or error)) from None
    if code is None:
        raise _useless(path, f"`hermes chat --help` gave no answer within {HELP_DEADLINE_S:g} s")
    flags = frozenset(_FLAG.findall(text))
    if code != 0 or not flags & {"-q", "--query"}:
        last = next((line for line in reversed(text.splitlines()) if line.strip()), "no output")
        raise _useless(path, f"`hermes chat` knows no -q: {clean_error(last, limit=160)}")
    return flags


def _useless(path: Path, why: str) -> CallError:
    return CallError("not_configured", f"{clean(str(path), limit=120)}: {why}", "update Hermes: hermes update")
