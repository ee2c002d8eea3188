"""The end of starting up: from here on the process runs for a day."""

from __future__ import annotations

import gc


def settled() -> None:
    """Collect garbage again, sparing what the start has made: modules and classes stay as long as the process."""
    gc.freeze()
    gc.enable()


def tidied() -> None:
    """Once nobody waits: let go of what the start left behind, and spare the rest for good."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    _hand_back_memory()


def _hand_back_memory() -> None:
    """Give freed pages back to the system, where the C library keeps them and can be asked to (glibc)."""
    import ctypes

    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
