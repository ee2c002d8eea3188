"""The dataset files, from the rows that were chosen and the texts in the spool."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from timmy_tui.services.export.choose import Chosen, LabelledRow, PairRow, Part
from timmy_tui.services.export.output import OutputFile, WrittenFile, write_text
from timmy_tui.services.export.records import ExportOptions, ExportProgress, Format, stop_if
from timmy_tui.services.export.shapes import (
    dpo_row,
    kto_row,
    llamafactory_row,
    mlx_row,
    openai_row,
    sft_row,
    side_passage,
)
from timmy_tui.services.export.spool import Sample, Spool

ROWS_BETWEEN_REPORTS = 2_000

TEST_SUFFIX = "_test"
DATASET_INFO_NAME = "dataset_info.json"

FILE_STEMS: dict[Format, str] = {
    "kto": "kto",
    "dpo": "dpo",
    "sft": "sft",
    "llamafactory": "llamafactory_kto",
    "mlx": "mlx_dpo",
    "openai": "openai_preference",
}
"""The file of each format but ``ticks``, without ``_test`` and ``.jsonl``."""

_LABELLED: dict[Format, Callable[[LabelledRow, Sample], bytes]] = {"kto": kto_row, "llamafactory": llamafactory_row}
_GOOD: dict[Format, Callable[[LabelledRow, Sample], bytes]] = {"sft": sft_row}
_PAIRS: dict[Format, Callable[[PairRow, Sample, Sample], bytes]] = {
    "dpo": dpo_row,
    "mlx": mlx_row,
    "openai": openai_row,
}

RowMaker = TypeVar("RowMaker")


class Longest(Struct):
    """The largest extents among the rows written."""

    prompt_characters: int = 0
    row_characters: int = 0
    """Prompt and completion; of a pair the longer one."""
    row_cost: int = 0
    """As :attr:`Passage.cost` counts."""


class DatasetWriter:
    """Writes the files of an export into ``folder``. Methods raise ``OSError`` and :class:`ExportStopped`."""

    def __init__(
        self,
        folder: Path,
        spool: Spool,
        options: ExportOptions,
        on_progress: Callable[[ExportProgress], None],
        should_stop: Callable[[], bool],
    ) -> None:
        self.files: list[WrittenFile] = []
        self.longest = Longest()
        self._folder, self._spool, self._options = folder, spool, options
        self._on_progress, self._should_stop = on_progress, should_stop
        self._done = self._total = 0

    def write(self, chosen: Chosen) -> None:
        """Write every file that has rows."""
        parts = ((chosen.train, ""), (chosen.test, TEST_SUFFIX))
        self._total = sum(self._count(part) for part, _ in parts)
        self._on_progress(ExportProgress("writing", 0, self._total))
        for part, suffix in parts:
            self._write_labelled(part.labelled, _LABELLED, suffix)
            self._write_labelled(part.good, _GOOD, suffix)
            self._write_pairs(part.pairs, suffix)
        written = [file.path.name for file in self.files if file.path.name.startswith(FILE_STEMS["llamafactory"])]
        if written:
            self.files.append(write_text(self._folder / DATASET_INFO_NAME, _dataset_info(written)))

    def _count(self, part: Part) -> int:
        rows = len(part.labelled) * len(self._asked(_LABELLED)) + len(part.good) * len(self._asked(_GOOD))
        return rows + len(part.pairs) * len(self._asked(_PAIRS))

    def _asked(self, makers: dict[Format, RowMaker]) -> dict[Format, RowMaker]:
        return {name: maker for name, maker in makers.items() if name in self._options.formats}

    def _write_labelled(
        self, rows: Iterable[LabelledRow], makers: dict[Format, Callable[[LabelledRow, Sample], bytes]], suffix: str
    ) -> None:
        makers = self._asked(makers)
        if not makers:
            return
        with ExitStack() as stack:
            files = self._files(stack, makers, suffix)
            for row in rows:
                sample = self._spool.get(row.sample)
                text = sample.correction if row.corrected and sample.correction is not None else sample.completion
                self._measure(sample, text.characters, text.cost)
                for file, maker in zip(files, makers.values(), strict=True):
                    file.write_line(maker(row, sample))
                self._advance(len(files))
        self._keep(files)

    def _write_pairs(self, pairs: Iterable[PairRow], suffix: str) -> None:
        makers = self._asked(_PAIRS)
        if not makers:
            return
        with ExitStack() as stack:
            files = self._files(stack, makers, suffix)
            for pair in pairs:
                better = self._spool.get(pair.chosen.sample)
                same = pair.rejected.sample == pair.chosen.sample
                worse = better if same else self._spool.get(pair.rejected.sample)
                for text in (side_passage(pair.chosen, better), side_passage(pair.rejected, worse)):
                    self._measure(better, text.characters, text.cost)
                for file, maker in zip(files, makers.values(), strict=True):
                    file.write_line(maker(pair, better, worse))
                self._advance(len(files))
        self._keep(files)

    def _files(self, stack: ExitStack, names: Iterable[Format], suffix: str) -> list[OutputFile]:
        paths = (self._folder / f"{FILE_STEMS[name]}{suffix}.jsonl" for name in names)
        return [stack.enter_context(OutputFile(path)) for path in paths]

    def _keep(self, files: Iterable[OutputFile]) -> None:
        self.files += [file.written for file in files if file.written.rows]

    def _measure(self, sample: Sample, characters: int, cost: int) -> None:
        longest, prompt = self.longest, sample.prompt
        longest.prompt_characters = max(longest.prompt_characters, prompt.characters)
        longest.row_characters = max(longest.row_characters, prompt.characters + characters)
        longest.row_cost = max(longest.row_cost, prompt.cost + cost)

    def _advance(self, rows: int) -> None:
        before = self._done // ROWS_BETWEEN_REPORTS
        self._done += rows
        if self._done // ROWS_BETWEEN_REPORTS != before or self._done == self._total:
            stop_if(self._should_stop())
            self._on_progress(ExportProgress("writing", self._done, self._total))


def _dataset_info(names: Iterable[str]) -> str:
    """LLaMA-Factory's description of its files."""
    tree = {
        f"timmy_{name.removeprefix('llamafactory_').removesuffix('.jsonl')}": {
            "file_name": name,
            "formatting": "sharegpt",
            "columns": {"messages": "conversations", "kto_tag": "kto_tag"},
            "tags": {"role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt"},
        }
        for name in names
    }
    return msgspec.json.format(msgspec.json.encode(tree), indent=2).decode() + "\n"
