"""The folder of an export: made beside its place, and put there in one step when it is whole."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from timmy_tui.services.appending import make_private_folder, sync_folder
from timmy_tui.services.export.manifest import files_of
from timmy_tui.services.export.records import MANIFEST_NAME, ExportError, unwritable
from timmy_tui.text import clean

_NAME_ANOTHER = "Name another folder"


@contextmanager
def folder_for(target: Path, *, replace: bool) -> Iterator[Path]:
    """A new folder to write into, which stands at ``target`` when the context ends well, and nowhere when not.

    Raises :class:`ExportError`, also for an ``OSError`` within the context.
    """
    target = Path(os.path.realpath(target))
    _check_free(target, replace=replace)
    missing = _first_missing(target.parent)
    partial = target.with_name(f".{target.name}.partial-{os.getpid()}")
    try:
        make_private_folder(target.parent)
        _sweep(target)
        partial.mkdir(mode=0o700)
        lock = _locked(partial)
        try:
            yield partial
            _sync_tree(partial)
            _check_free(target, replace=replace)  # another export may have come first
            _put(partial, target)
        finally:
            os.close(lock)
            shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        raise unwritable(target, error) from None
    finally:
        _remove_empty(missing, target.parent)


def _check_free(target: Path, *, replace: bool) -> None:
    """Raise :class:`ExportError` where there is something that is not ours to replace."""
    shown = clean(str(target))
    try:
        names = set(os.listdir(target))
    except FileNotFoundError:
        return
    except NotADirectoryError:
        raise ExportError(f"{shown} is no folder", _NAME_ANOTHER) from None
    except OSError as error:
        raise unwritable(target, error) from None
    if not names:
        return
    ours = _files_there(target)
    if ours is None:
        raise ExportError(f"{shown} exists already", _NAME_ANOTHER)
    if not replace:
        raise ExportError(f"{shown} exists already: an earlier export", f"{_NAME_ANOTHER}, or use --replace")
    foreign = names - {MANIFEST_NAME} - {name.partition("/")[0] for name in ours}
    if foreign:
        raise ExportError(
            f"{shown} holds what no export wrote: {clean(min(foreign))}", f"Move it, or {_NAME_ANOTHER.lower()}"
        )


def _files_there(target: Path) -> frozenset[str] | None:
    """The files that the manifest of an earlier export names; None when there is no such manifest."""
    try:
        return files_of((target / MANIFEST_NAME).read_bytes())
    except OSError:
        return None


def _first_missing(folder: Path) -> Path | None:
    missing = None
    while not folder.exists() and folder != folder.parent:
        missing, folder = folder, folder.parent
    return missing


def _remove_empty(top: Path | None, folder: Path) -> None:
    """Take away the folders that were made above an export that failed; one that holds something stays."""
    if top is None:
        return
    with suppress(OSError):
        while True:
            folder.rmdir()
            if folder == top:
                return
            folder = folder.parent


def _locked(folder: Path) -> int:
    """Hold ``folder``, so that another export sees that somebody is at it; the kernel frees it when we are killed."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    with suppress(OSError):  # a file system without locks: then nobody sweeps there either
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return fd


def _sweep(target: Path) -> None:
    """Take away what killed exports to the same place left; put back an export that one of them had moved away."""
    left = re.compile(rf"\.{re.escape(target.name)}\.(partial|old)-\d+")
    for name in sorted(os.listdir(target.parent)):
        match = left.fullmatch(name)
        path = target.parent / name
        if match is None or not path.is_dir() or path.is_symlink():
            continue
        if match[1] == "old" and not target.exists():
            os.rename(path, target)
            continue
        with suppress(OSError):
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(fd)


def _sync_tree(folder: Path) -> None:
    for path, _, _ in os.walk(folder):
        sync_folder(Path(path))


def _put(partial: Path, target: Path) -> None:
    """Give ``partial`` its name. An export that stands there is moved away first, and back if that fails."""
    if not target.is_dir() or not os.listdir(target):
        os.rename(partial, target)  # takes the place of an empty folder
        sync_folder(target.parent)
        return
    old = target.with_name(f".{target.name}.old-{os.getpid()}")
    os.rename(target, old)
    try:
        os.rename(partial, target)
    except OSError:
        os.rename(old, target)
        raise
    sync_folder(target.parent)
    shutil.rmtree(old, ignore_errors=True)
