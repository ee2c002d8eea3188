"""Ends a child and its group when this process is gone, however it went: ``kill -9`` leaves none behind."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from types import TracebackType

_GUARD = """\
read -r group || exit 0
while read -r _; do :; done
kill -s TERM -- "-$group" 2>/dev/null || exit 0
sleep 3
kill -s KILL -- "-$group" 2>/dev/null
"""
"""The other end of its pipe is ours: the kernel closes it, whatever becomes of us."""

_GUARDED = 'echo $$ >&0 && exec "$@" </dev/null'
"""The child itself tells its number before it is what it shall be, so that there is no moment without a guard."""


class GroupGuard:
    """A shell that waits for our end while the block runs. Entering it raises ``OSError`` where there is no shell."""

    def __enter__(self) -> GroupGuard:
        read_end, self._pipe = os.pipe()
        try:
            self._shell = subprocess.Popen(
                ["/bin/sh", "-c", _GUARD],
                stdin=read_end,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                start_new_session=True,
            )
        except OSError:
            os.close(self._pipe)
            raise
        finally:
            os.close(read_end)
        return self

    @property
    def stdin(self) -> int:
        """What a guarded command is started with as its standard input; it ends up with an empty one."""
        return self._pipe

    def guarded(self, argv: Sequence[str]) -> list[str]:
        """The command line that makes the leader of a new session a guarded ``argv``, its process id unchanged.

        Raises ``OSError`` for a command that is not there; one that can't be run ends with 126 or 127.
        """
        if not os.access(argv[0], os.X_OK):
            os.stat(argv[0])
            raise PermissionError(13, os.strerror(13), argv[0])
        return ["/bin/sh", "-c", _GUARDED, "sh", *argv]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._shell.kill()  # before the pipe ends: the group's number may be somebody else's by now
        self._shell.wait()
        os.close(self._pipe)
