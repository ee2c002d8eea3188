"""Which rows the samples honestly make (facts/annotation.md §4)."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator

from msgspec import Struct

from timmy_tui.services.export.arrange import arranged, equal_neighbours
from timmy_tui.services.export.catalog import NONE, Catalog
from timmy_tui.services.export.reasons import CONFLICT, EQUAL_SIDES, REVERSED_PAIR, SAME_PAIR, SAME_TEXT
from timmy_tui.services.export.records import PairKind

_CONFLICTING = 2


class Side(Struct, frozen=True, gc=False):
    """One text of one sample."""

    sample: int
    corrected: bool = False
    """The operator's correction, not the model's own text."""
    alternative: bool = False


class LabelledRow(Struct, frozen=True, gc=False):
    """One text with its label."""

    sample: int
    corrected: bool
    chosen: bool


class PairRow(Struct, frozen=True, gc=False):
    """A better and a worse text of one prompt."""

    kind: PairKind
    chosen: Side
    rejected: Side


class Part(Struct, frozen=True):
    """The rows of one side of the split."""

    labelled: tuple[LabelledRow, ...]
    """In an order with as few equal neighbours as possible."""
    good: tuple[LabelledRow, ...]
    """Those that are chosen, by hash."""
    pairs: tuple[PairRow, ...]
    """By hash."""
    equal_neighbours: int
    """How many of ``labelled`` have the text of the row before."""


class Chosen(Struct, frozen=True):
    """All rows."""

    train: Part
    test: Part
    chosen: int
    rejected: int
    edits: int
    pairs: dict[PairKind, int]


def choose(catalog: Catalog, split: float, dropped: Counter[str]) -> Chosen:
    """The rows of all files; what is left out is counted in ``dropped``."""
    catalog.settle()
    verdicts: dict[int, int] = {}
    labelled = _once(catalog, verdicts, dropped)
    pairs = _paired(catalog, verdicts, labelled, dropped)
    return Chosen(
        train=_part(catalog, labelled, pairs, split, test=False),
        test=_part(catalog, labelled, pairs, split, test=True),
        chosen=sum(row.chosen and not row.corrected for row in labelled),
        rejected=sum(not row.chosen for row in labelled),
        edits=sum(row.corrected for row in labelled),
        pairs=_kinds(pairs),
    )


def _text(catalog: Catalog, row: LabelledRow) -> int:
    return catalog.corrections[row.sample] if row.corrected else catalog.completions[row.sample]


def _said(prompt: int, text: int) -> int:
    """One number for a text behind a prompt; a tuple would take twice the room."""
    return prompt << 32 | text


def _labelled(catalog: Catalog) -> Iterator[LabelledRow]:
    """Each label as a row; a correction is one more, a chosen one."""
    for sample in range(len(catalog)):
        if catalog.chosen[sample] != NONE:
            yield LabelledRow(sample, False, catalog.chosen[sample] == 1)
        if catalog.corrections[sample] != NONE:
            yield LabelledRow(sample, True, True)


def _once(catalog: Catalog, verdicts: dict[int, int], dropped: Counter[str]) -> list[LabelledRow]:
    """Each text of a prompt once, and none that carries two labels. ``verdicts`` is filled."""
    rows: list[LabelledRow] = []
    for row in _labelled(catalog):
        key = _said(catalog.prompts[row.sample], _text(catalog, row))
        known = verdicts.get(key)
        if known is None:
            verdicts[key] = row.chosen
            rows.append(row)
        elif known == row.chosen:
            dropped[SAME_TEXT] += 1
        else:
            dropped[CONFLICT] += 1
            verdicts[key] = _CONFLICTING
    kept = [row for row in rows if verdicts[_said(catalog.prompts[row.sample], _text(catalog, row))] != _CONFLICTING]
    dropped[CONFLICT] += len(rows) - len(kept)
    return kept


def _paired(
    catalog: Catalog, verdicts: dict[int, int], labelled: list[LabelledRow], dropped: Counter[str]
) -> list[PairRow]:
    """Each honest pair once, and none whose reverse is there as well."""
    rows: dict[tuple[int, int, int], PairRow] = {}
    for pair in (*_edits(catalog, verdicts), *_resamples(catalog), *_same_prompts(catalog, labelled)):
        better, worse = pair_texts(catalog, pair)
        if better == worse:
            dropped[EQUAL_SIDES] += 1
            continue
        key = catalog.prompts[pair.chosen.sample], better, worse
        if key in rows:
            dropped[SAME_PAIR] += 1
        else:
            rows[key] = pair
    kept = [pair for (prompt, better, worse), pair in rows.items() if (prompt, worse, better) not in rows]
    dropped[REVERSED_PAIR] += len(rows) - len(kept)
    return kept


def _edits(catalog: Catalog, verdicts: dict[int, int]) -> Iterator[PairRow]:
    for sample in range(len(catalog)):
        if catalog.corrections[sample] == NONE:
            continue
        prompt = catalog.prompts[sample]
        texts = catalog.corrections[sample], catalog.completions[sample]
        if all(verdicts[_said(prompt, text)] != _CONFLICTING for text in texts):
            yield PairRow("edit", Side(sample, corrected=True), Side(sample))


def _resamples(catalog: Catalog) -> Iterator[PairRow]:
    for sample in range(len(catalog)):
        if catalog.alternatives[sample] != NONE:
            own, other = Side(sample), Side(sample, alternative=True)
            preferred = catalog.alternative_preferred[sample]
            yield PairRow("resample", other, own) if preferred else PairRow("resample", own, other)


def _same_prompts(catalog: Catalog, labelled: list[LabelledRow]) -> Iterator[PairRow]:
    """The first chosen with the first rejected answer to the very same prompt, the second with the second, …

    By hash; rejected ones that make a pair with their correction come last. No answer is in two of these pairs.
    """
    asked = Counter(catalog.asked[row.sample] for row in labelled if not row.corrected)
    good: dict[int, list[LabelledRow]] = {}
    bad: dict[int, list[LabelledRow]] = {}
    for row in labelled:
        prompt = catalog.asked[row.sample]
        if not row.corrected and asked[prompt] > 1:
            (good if row.chosen else bad).setdefault(prompt, []).append(row)
    for prompt, better in good.items():
        worse = bad.get(prompt, [])
        better.sort(key=lambda row: catalog.digest(catalog.completions[row.sample]))
        worse.sort(
            key=lambda row: (
                catalog.corrections[row.sample] != NONE,
                catalog.digest(catalog.completions[row.sample]),
            )
        )
        for one, other in zip(better, worse, strict=False):
            yield PairRow("same_prompt", Side(one.sample), Side(other.sample))


def side_text(catalog: Catalog, side: Side) -> int:
    """The number of a side's text."""
    if side.alternative:
        return catalog.alternatives[side.sample]
    return catalog.corrections[side.sample] if side.corrected else catalog.completions[side.sample]


def pair_texts(catalog: Catalog, pair: PairRow) -> tuple[int, int]:
    """The numbers of the better and the worse text."""
    return side_text(catalog, pair.chosen), side_text(catalog, pair.rejected)


def _part(catalog: Catalog, labelled: list[LabelledRow], pairs: list[PairRow], split: float, *, test: bool) -> Part:
    def here(sample: int) -> bool:
        return in_test(catalog.digest(catalog.prompts[sample]), split) == test

    def row_place(row: LabelledRow) -> bytes:
        return _mixed(catalog, catalog.prompts[row.sample], _text(catalog, row))

    def pair_place(pair: PairRow) -> bytes:
        return _mixed(catalog, catalog.prompts[pair.chosen.sample], *pair_texts(catalog, pair))

    rows = sorted((row for row in labelled if here(row.sample)), key=row_place)
    texts = [_text(catalog, row) for row in rows]
    order = arranged(texts)
    return Part(
        labelled=tuple(rows[index] for index in order),
        good=tuple(row for row in rows if row.chosen),
        pairs=tuple(sorted((pair for pair in pairs if here(pair.chosen.sample)), key=pair_place)),
        equal_neighbours=equal_neighbours([texts[index] for index in order]),
    )


def in_test(prompt_digest: bytes, split: float) -> bool:
    """Whether a prompt goes to the test files: its SHA-256, as a fraction of 1, is below ``split``."""
    return int.from_bytes(prompt_digest[:8], "big") < split * 2**64


def _mixed(catalog: Catalog, *texts: int) -> bytes:
    """A place in an order that has nothing to do with time."""
    return hashlib.sha256(b"".join(catalog.digest(text) for text in texts)).digest()[:8]


def _kinds(pairs: Iterable[PairRow]) -> dict[PairKind, int]:
    counts = Counter(pair.kind for pair in pairs)
    kinds: tuple[PairKind, ...] = ("edit", "resample", "same_prompt")
    return {kind: counts[kind] for kind in kinds}
