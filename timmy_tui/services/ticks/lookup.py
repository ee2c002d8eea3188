"""One tick in the log, by its id."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from timmy_tui.services.ticks.backwards import end_of_lines, lines_backwards
from timmy_tui.services.ticks.errors import TickLogError
from timmy_tui.services.ticks.folder import TickFolder, unreadable
from timmy_tui.services.ticks.parse import BadLine, decode_head

NEWEST_FILES = 2
"""Read besides the files of the id's own date: somebody else's ids may not spell the file's."""


def line_of(folder: Path, tick_id: str) -> bytes | None:
    """The complete line of a tick, without its newline; None when the log has none. Blocks.

    Raises :class:`~timmy_tui.services.ticks.errors.TickLogError` when the log can't be read, not when there is none.
    """
    quick = tick_id.encode() if tick_id.replace("_", "").isalnum() and tick_id.isascii() else b""
    for path in _files(folder, tick_id):
        try:
            with path.open("rb") as file:
                for line in lines_backwards(file.fileno(), end_of_lines(file.fileno())):
                    if quick in line.data:
                        facts = decode_head(line.data)
                        if not isinstance(facts, BadLine) and facts.tick_id == tick_id:
                            return line.data
        except FileNotFoundError:  # rotated since it was listed
            continue
        except OSError as error:
            raise unreadable(path, error) from None
    return None


def _files(folder: Path, tick_id: str) -> Iterator[Path]:
    """Where the tick may be: the files of its date, then the newest ones."""
    try:
        names = TickFolder(folder).names()
    except TickLogError:
        if folder.is_dir():
            raise
        return
    day = f"ticks_{tick_id[:8]}.jsonl"
    dated = [name for name in names if name.startswith(day)]
    newest = [name for name in names if name.endswith(".jsonl")][-NEWEST_FILES:]
    for name in dict.fromkeys([*reversed(dated), *reversed(newest)]):
        yield folder / name
