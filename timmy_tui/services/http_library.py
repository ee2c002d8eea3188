"""Importing httpx: late, off the event loop, and without its command line."""

from __future__ import annotations

import asyncio
import importlib
import sys
import threading
from types import ModuleType

_COMMAND_LINE = "httpx._main"
_importing = threading.Lock()


def import_httpx() -> ModuleType:
    """The httpx module.

    Where rich and pygments are installed, httpx imports them for its own command line: two thirds of its
    import time, and a screen library inside the services. It goes on without them when that import fails.
    """
    with _importing:
        loaded = sys.modules.get("httpx")
        if loaded is not None:
            return loaded
        hidden = _COMMAND_LINE not in sys.modules
        if hidden:
            sys.modules[_COMMAND_LINE] = None  # type: ignore[assignment]  # makes its import an ImportError
        try:
            return importlib.import_module("httpx")
        finally:
            if hidden:
                sys.modules.pop(_COMMAND_LINE, None)


async def import_httpx_off_loop() -> ModuleType:
    """:func:`import_httpx` in a thread, so that the first request does not hold up the first paint."""
    loaded = sys.modules.get("httpx")
    return loaded if loaded is not None else await asyncio.to_thread(import_httpx)
