"""Ends a process group when this process is gone, however it went: not even ``kill -9`` leaves a child behind."""

from __future__ import annotations

import os
import subprocess
from types import TracebackType

_SCRIPT = """\
read -r group || exit 0
while read -r _; do :; done
kill -s TERM -- "-$group" 2>/dev/null || exit 0
sleep 3
kill -s KILL -- "-$group" 2>/dev/null
"""
"""The pipe's end is ours: the kernel closes it, whatever becomes of us."""


class GroupGuard:
    """A shell that waits for our end while the block runs. Entering it raises ``OSError`` where there is no shell."""

    def __enter__(self) -> GroupGuard:
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", _SCRIPT],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )
        return self

    def watch(self, group: int) -> None:
        """Name the group that is not to outlive us."""
        if self._shell.stdin is not None:
            try:
                os.write(self._shell.stdin.fileno(), b"%d\n" % group)
            except BrokenPipeError:  # somebody ended the guard; the call goes on without
                pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._shell.kill()  # before the pipe ends: the group's number may be somebody else's by now
        self._shell.wait()
        if self._shell.stdin is not None:
            self._shell.stdin.close()
