"""Lines appended to a log that several processes write and nobody rewrites: whole, in order, on disk.

A line is there once its append returned, whatever is killed afterwards; what was killed halfway is a torn tail,
which the next writer closes with a newline, so that it costs one bad line and never the line behind it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import random
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from timmy_tui.services.reading import SourceError
from timmy_tui.text import clean, clean_error

LOCK_WAIT_S = 20.0
"""How long a writer waits for another one; a writer holds the lock for milliseconds."""

_LOCK_PAUSE_S = 0.002
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class AppendError(SourceError):
    """The line was not written; nothing of it is left in the file, but where a foreign writer stood behind it."""


def append_line(path: Path, line: bytes) -> None:
    """Append ``line`` to the file at ``path``, which is made if need be; returns when it is on disk.

    Writers exclude each other by a lock on ``PATH.lock``. May block: call it in a thread. Raises
    :class:`AppendError`, and ``ValueError`` for a line with a newline inside.
    """
    with write_lock(path.with_name(f"{path.name}.lock")):
        append_locked(path, line)


@contextmanager
def write_lock(path: Path, *, wait_s: float = LOCK_WAIT_S) -> Iterator[int]:
    """Hold the lock file at ``path``, alone among all threads and processes; yields its descriptor.

    The kernel frees the lock of a killed process. Raises :class:`AppendError`.
    """
    try:
        make_private_folder(path.parent)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise refused(path, error) from None
    try:
        _wait_for(descriptor, path, wait_s)
        yield descriptor
    finally:
        os.close(descriptor)


def append_locked(path: Path, line: bytes, *, durable: bool = True) -> None:
    """:func:`append_line` for a caller that holds the lock of ``path``.

    Not ``durable`` it returns when the system has the line: a crash of the machine may cost it, a kill does not.
    """
    line = line.removesuffix(b"\n")
    if b"\n" in line:
        raise ValueError("a line of a log holds no newline")
    try:
        make_private_folder(path.parent)
        descriptor, made = _opened(path)
        try:
            _append(descriptor, line + b"\n", durable=durable)
        finally:
            os.close(descriptor)
        if made:
            sync_folder(path.parent)
    except OSError as error:
        raise refused(path, error) from None


def make_private_folder(folder: Path) -> None:
    """Make ``folder`` and what is missing above it, each for the owner only, and let the disk know. ``OSError``."""
    if folder.is_dir():
        return
    make_private_folder(folder.parent)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        if not folder.is_dir():  # another process may have made it just now
            raise
    else:
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Let the disk know which names the folder holds: a new file's name is not its own. ``OSError``."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # network file systems can't
            raise
    finally:
        os.close(descriptor)


def refused(path: Path, error: OSError) -> AppendError:
    """``error`` of writing at ``path`` as one line with what to do."""
    shown = clean(str(path))
    if error.errno in _FULL:
        return AppendError(
            f"No room to write {shown}: {clean_error(error.strerror or error)}", "Free some space:  df -h"
        )
    if error.errno == errno.EROFS:
        return AppendError(f"{shown} is on a read-only file system", "Mount it for writing, or set TIMMY_HOME")
    if error.errno == errno.ELOOP:
        return AppendError(f"{shown} is a link; it is not followed", "Put a file in its place, or link the folder")
    return AppendError(f"Can't write {shown}: {clean_error(error.strerror or error)}", "Check its permissions")


def _wait_for(descriptor: int, path: Path, wait_s: float) -> None:
    """Take the lock; a wait with an end, because its holder may be stopped (Ctrl-Z) and not dead."""
    until = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise refused(path, error) from None
        else:
            return
        if time.monotonic() > until:
            raise AppendError(
                f"{clean(str(path))} has been locked by another process for {wait_s:g} s",
                f"See who holds it:  fuser -v {clean(str(path))}",
            )
        time.sleep(_LOCK_PAUSE_S * (0.5 + random.random()))


def _opened(path: Path) -> tuple[int, bool]:
    """A descriptor for appending, and whether the file is new. ``O_NONBLOCK``: a FIFO must not hold us up."""
    flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor, made = os.open(path, flags), False
    except FileNotFoundError:
        descriptor, made = os.open(path, flags | os.O_CREAT, 0o600), True
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no regular file")
    return descriptor, made


def _append(descriptor: int, line: bytes, *, durable: bool) -> None:
    """One write of the whole line, behind a newline if a torn tail needs one; all or nothing."""
    size = os.fstat(descriptor).st_size
    if size and os.pread(descriptor, 1, size - 1) != b"\n":
        line = b"\n" + line
    written = 0
    try:
        written = os.write(descriptor, line)
        if written != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if durable:
            os.fsync(descriptor)
    except OSError:
        _take_back(descriptor, written)
        raise


def _take_back(descriptor: int, written: int) -> None:
    """Remove what was just written: it is not acknowledged, so it must not be there.

    It stays where a writer without our lock has appended behind it: that writer's line is not ours to cut.
    """
    end = os.lseek(descriptor, 0, os.SEEK_CUR)  # behind our own bytes
    if written and os.fstat(descriptor).st_size == end:
        os.ftruncate(descriptor, end - written)
