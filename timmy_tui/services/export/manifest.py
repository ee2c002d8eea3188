"""What an export says of itself: where it comes from, what is in it, what is not, and how to train on it.

No time of the clock stands in it: the same logs give the same bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import msgspec
from msgspec import Struct

from timmy_tui import __version__
from timmy_tui.services.export.lines import InputFile
from timmy_tui.services.export.records import Format, PairKind
from timmy_tui.services.heartbeat.prompt import TEMPLATE_VERSION

FORMAT_NAME = "timmy-tui export"
FORMAT_VERSION = 1

DEFAULT_MAX_LENGTH = 1024
"""TRL's; longer rows are cut or left out without a word (facts/annotation.md §4)."""

_HIGHEST_RATIO = 4 / 3
_MIDDLE_RATIO = 7 / 6


class Weights(Struct, frozen=True):
    """KTO's class weights, with which chosen : rejected is between 1:1 and 4:3, as TRL advises."""

    desirable_weight: float = 1.0
    undesirable_weight: float = 1.0


class FileFacts(Struct, frozen=True, omit_defaults=True):
    """One file of the export."""

    rows: int
    bytes: int
    sha256: str
    classes: dict[str, int] | None = None
    """Rows by label or by kind of pair."""


class OptionFacts(Struct, frozen=True, omit_defaults=True):
    """What was asked for; what has a default stands there where it was asked for."""

    formats: tuple[Format, ...]
    since: str | None
    operator: str | None
    split: float
    redact: bool
    keep_marks: bool = False


class SessionFacts(Struct, frozen=True):
    """The sessions that were used."""

    used: int
    sha256: str


class InputFacts(Struct, frozen=True):
    """What was read."""

    ticks: tuple[InputFile, ...]
    labels: InputFile | None
    sessions: SessionFacts | None


class LogFacts(Struct, frozen=True):
    """What the logs held."""

    ticks: int
    bad_tick_lines: int
    incomplete_tick_lines: int
    label_events: int
    bad_label_lines: int
    unknown_label_events: int
    """Of a newer version; left alone."""


class Provenance(Struct, frozen=True):
    """Where the labelled candidates come from, each counted once in every group."""

    origins: dict[str, int]
    sources: dict[str, int]
    prompt_sources: dict[str, int]
    completion_sources: dict[str, int]
    models: dict[str, int]
    operators: dict[str, int]
    labelled_decisions_by_rules: int
    prompt_template_version: int = TEMPLATE_VERSION
    """Of the reconstructed prompts."""


class Totals(Struct, frozen=True):
    """What is exported, whatever the formats; train and test together."""

    chosen: int
    rejected: int
    edits: int
    pairs: dict[PairKind, int]


class TrainingFacts(Struct, frozen=True):
    """What a trainer should be told."""

    longest_prompt_characters: int
    longest_row_characters: int
    max_length: int
    """Tokens that surely hold the longest row, by a careful guess from its characters; 0 when there is no row."""
    desirable_weight: float
    undesirable_weight: float
    equal_neighbours: int
    """Rows of the KTO files behind one with the same completion; no order has fewer."""
    equal_neighbours_test: int


class Manifest(Struct, frozen=True, kw_only=True):
    """The whole document."""

    format: str = FORMAT_NAME
    format_version: int = FORMAT_VERSION
    tool_version: str = __version__
    options: OptionFacts
    totals: Totals
    files: dict[str, FileFacts]
    dropped: dict[str, int]
    training: TrainingFacts
    provenance: Provenance
    logs: LogFacts
    replaced_characters: int
    """Lone surrogates and NULs that became U+FFFD."""
    marked_completions: int
    """Answers with marks of turns or of thinking; left out unless ``keep_marks``."""
    inputs: InputFacts
    warnings: tuple[str, ...]


class _Signature(Struct):
    format: str = ""
    files: dict[str, object] = {}


def manifest_text(manifest: Manifest) -> str:
    """The document, one key a line."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2).decode() + "\n"


def files_of(data: bytes) -> frozenset[str] | None:
    """The files that a manifest names; None for what is no manifest of ours."""
    try:
        signature = msgspec.json.decode(data, type=_Signature)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return frozenset(signature.files) if signature.format == FORMAT_NAME else None


def weights_for(chosen: int, rejected: int) -> Weights:
    """The smaller class weighs more; 1 and 1 where one is missing, or where that is within the advice."""
    if not chosen or not rejected or 1 <= chosen / rejected <= _HIGHEST_RATIO:
        return Weights()
    if chosen > rejected:
        return Weights(undesirable_weight=round(chosen / rejected / _MIDDLE_RATIO, 4))
    return Weights(desirable_weight=round(rejected / chosen * _MIDDLE_RATIO, 4))


def by_name(counts: Mapping[str, int] | Counter[str]) -> dict[str, int]:
    """What was counted at all, in the order of the names."""
    return {name: counts[name] for name in sorted(counts) if counts[name]}
