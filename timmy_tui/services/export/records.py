"""What an export is asked for, how far it is, what came of it; and its one error."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path
from typing import Literal, get_args

from msgspec import Struct

from timmy_tui.services.appending import refused
from timmy_tui.services.reading import SourceError

Format = Literal["kto", "dpo", "sft", "llamafactory", "mlx", "openai", "ticks"]
PairKind = Literal["edit", "resample", "same_prompt"]

ALL: tuple[Format, ...] = get_args(Format)

MANIFEST_NAME = "MANIFEST.json"
README_NAME = "README.md"
TICKS_FOLDER = "ticks"


class ExportError(SourceError):
    """The datasets can't be written; nothing of them is left behind."""


class ExportStopped(ExportError):
    """Somebody stopped the export."""


class ExportOptions(Struct, frozen=True):
    """What is exported."""

    formats: tuple[Format, ...] = ALL
    since: date | None = None
    """Only decisions of that local day or later, by the time of the tick or session."""
    operator: str | None = None
    """Only this operator's words. None = the last word of anybody; then a tick's own ``dpo_label`` counts as well,
    where no event speaks of its label."""
    split: float = 0.0
    """The share of prompts, 0 to below 1, that goes to the ``*_test`` files: those whose SHA-256 is small enough."""
    redact: bool = True
    keep_marks: bool = False
    """Export answers with marks of turns or of thinking as well; they are counted in any case."""
    replace: bool = False
    """Replace a folder that is an earlier export."""


class ExportProgress(Struct, frozen=True):
    """How far an export is: bytes while reading, rows while writing and checking."""

    stage: Literal["reading", "writing", "checking"]
    done: int
    total: int


class ExportReport(Struct, frozen=True):
    """What an export wrote."""

    path: Path
    files: tuple[tuple[str, int], ...]
    """Each file with its rows; names below ``path``."""
    chosen: int
    """Decisions of the model that were chosen."""
    rejected: int
    """Decisions of the model that were rejected, the corrected ones among them."""
    edits: int
    """Corrections by the operator."""
    pairs: dict[PairKind, int]
    dropped: dict[str, int]
    """How often something was left out, by reason."""
    warnings: tuple[str, ...]

    def summed_files(self) -> list[tuple[str, int]]:
        """Each file with its rows, the many below ``ticks/`` as one."""
        files = [(name, rows) for name, rows in self.files if "/" not in name]
        copies = [rows for name, rows in self.files if "/" in name]
        return [*files, (f"{TICKS_FOLDER}/", sum(copies))] if copies else files


def unwritable(path: Path, error: OSError) -> ExportError:
    """``error`` of writing at ``path`` as one line with what to do."""
    told = refused(path, error)
    return ExportError(told.message, told.hint.replace("set TIMMY_HOME", "name another folder"))


def stop_if(stopped: bool) -> None:
    """Raise :class:`ExportStopped` when asked to stop."""
    if stopped:
        raise ExportStopped("The export was stopped; nothing was written", "Start it again when you like")


def home_folder() -> str:
    """The home of whoever runs this: a name to keep out of what is exported."""
    return os.path.expanduser("~")
