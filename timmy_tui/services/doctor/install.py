"""How a package is added to where this program runs: pipx, uv and plain environments each have their own way."""

from __future__ import annotations

import shlex
import sys
from importlib.util import find_spec
from pathlib import Path

PROGRAM = "timmy-tui"


def install_command(
    *packages: str, prefix: str = sys.prefix, python: str = sys.executable, pip: bool | None = None
) -> str:
    """The command that adds ``packages`` from the package index to the environment at ``prefix``.

    This program itself is on no index, so none is asked for an extra of it.
    """
    names = shlex.join(packages)
    parts = Path(prefix).parts
    if "pipx" in parts and "venvs" in parts:
        return f"pipx inject {PROGRAM} {names}"
    has_pip = find_spec("pip") is not None if pip is None else pip
    if has_pip:
        return f"{shlex.quote(python)} -m pip install {names}"
    return f"uv pip install --python {shlex.quote(python)} {names}"
