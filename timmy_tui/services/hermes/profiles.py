"""Which folder below ``HERMES_HOME`` is in use: the root, or a profile's own (facts/hermes.md §10.9)."""

from __future__ import annotations

import os
import re
from pathlib import Path

from msgspec import Struct

from timmy_tui.services.hermes.connection import HermesError
from timmy_tui.text import clean, clean_error

DATABASE_NAME = "state.db"
ROOT_PROFILE = "default"
"""The name that stands for the root itself."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class HermesPlace(Struct, frozen=True):
    """A folder that holds a ``state.db``, and the profile it belongs to."""

    folder: Path
    profile: str | None
    """None for the root."""


def find_place(home: Path, profile: str = "") -> HermesPlace:
    """The folder to read.

    ``profile`` wins; then a ``home`` that is a profile's folder itself; then the root's
    ``active_profile`` file; then the root. Raises :class:`HermesError` for a name that
    can't be a profile's, or one without a folder.
    """
    home = home.absolute()
    is_profile = home.parent.name == "profiles" and _NAME.fullmatch(home.name) is not None
    root = home.parent.parent if is_profile else home
    if profile:
        return _named(root, profile, "set hermes.profile to one of `hermes profile list`")
    if is_profile:
        return HermesPlace(home, clean(home.name))
    active = root / "active_profile"
    try:
        with active.open("rb") as file:
            name = file.read(256).decode("utf-8", "replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        name = ""
    except OSError as error:
        raise HermesError(
            f"{clean(str(active))} can't be read: {clean_error(error.strerror or error)}",
            "check its permissions",
        ) from error
    return _named(root, name or ROOT_PROFILE, f"it is named in {clean(str(active))}")


def _named(root: Path, name: str, hint: str) -> HermesPlace:
    if name == ROOT_PROFILE:
        return HermesPlace(root, None)
    if not _NAME.fullmatch(name):
        raise HermesError(f"{clean(name, limit=80)!r} can't be the name of a Hermes profile", hint)
    folder = root / "profiles" / name
    if not os.path.isdir(folder):
        raise HermesError(f"The Hermes profile {name!r} has no folder at {clean(str(folder))}", hint)
    return HermesPlace(folder, name)
