"""Writes what an export says of itself: the manifest and the README."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from msgspec.structs import replace

from timmy_tui.services.export.choose import Chosen, Part
from timmy_tui.services.export.gather import Gathered
from timmy_tui.services.export.guide import guide_text
from timmy_tui.services.export.lines import InputFile, LogReader
from timmy_tui.services.export.manifest import (
    DEFAULT_MAX_LENGTH,
    FileFacts,
    InputFacts,
    LogFacts,
    Manifest,
    OptionFacts,
    SessionFacts,
    Totals,
    TrainingFacts,
    by_name,
    manifest_text,
    weights_for,
)
from timmy_tui.services.export.output import WrittenFile, write_text
from timmy_tui.services.export.passages import tokens_of
from timmy_tui.services.export.records import (
    MANIFEST_NAME,
    README_NAME,
    ExportOptions,
    ExportReport,
    home_folder,
)
from timmy_tui.services.export.redact import Redactor
from timmy_tui.services.export.write import FILE_STEMS, TEST_SUFFIX, DatasetWriter, Longest
from timmy_tui.services.labels.records import LabelFold


def describe(
    folder: Path,
    target: Path,
    labels_path: Path,
    fold: LabelFold,
    gathered: Gathered,
    chosen: Chosen,
    writer: DatasetWriter,
    options: ExportOptions,
) -> ExportReport:
    """Write the manifest and the README; what they say as a report."""
    files = {str(file.path.relative_to(folder)): file for file in (*writer.files, *gathered.copies)}
    weights = weights_for(*_labels_of(chosen.train))
    training = _training(writer.longest, chosen, weights.desirable_weight, weights.undesirable_weight)
    manifest = Manifest(
        options=_option_facts(options),
        totals=Totals(chosen.chosen, chosen.rejected, chosen.edits, chosen.pairs),
        files={name: _file_facts(name, files[name], chosen) for name in sorted(files)},
        dropped=by_name(gathered.dropped),
        training=training,
        provenance=gathered.provenance,
        logs=LogFacts(
            ticks=gathered.counts.ticks,
            bad_tick_lines=gathered.counts.bad_lines,
            incomplete_tick_lines=gathered.counts.incomplete_lines,
            label_events=fold.events,
            bad_label_lines=fold.bad_lines,
            unknown_label_events=fold.unknown_events,
        ),
        replaced_characters=gathered.mended_characters,
        marked_completions=gathered.marked_completions,
        inputs=InputFacts(
            ticks=gathered.inputs,
            labels=_labels_file(labels_path),
            sessions=SessionFacts(gathered.sessions_used, gathered.sessions_sha256) if gathered.sessions_used else None,
        ),
        warnings=tuple(_warnings(chosen, training, gathered, options)),
    )
    guide = write_text(folder / README_NAME, guide_text(manifest))
    manifest = _with_file(manifest, README_NAME, guide)
    write_text(folder / MANIFEST_NAME, manifest_text(manifest))
    return ExportReport(
        path=target,
        files=tuple((name, facts.rows) for name, facts in manifest.files.items() if name.endswith(".jsonl")),
        chosen=chosen.chosen,
        rejected=chosen.rejected,
        edits=chosen.edits,
        pairs=chosen.pairs,
        dropped=manifest.dropped,
        warnings=manifest.warnings,
    )


def _option_facts(options: ExportOptions) -> OptionFacts:
    operator = options.operator
    return OptionFacts(
        formats=options.formats,
        since=None if options.since is None else options.since.isoformat(),
        operator=Redactor(home_folder()).text(operator) if operator and options.redact else operator,
        split=options.split,
        redact=options.redact,
        keep_marks=options.keep_marks,
    )


def _with_file(manifest: Manifest, name: str, file: WrittenFile) -> Manifest:
    files = {**manifest.files, name: FileFacts(file.rows, file.bytes, file.sha256)}
    return replace(manifest, files={key: files[key] for key in sorted(files)})


def _file_facts(name: str, file: WrittenFile, chosen: Chosen) -> FileFacts:
    stem = name.removesuffix(".jsonl")
    part = chosen.test if stem.endswith(TEST_SUFFIX) else chosen.train
    kind = {stem: format for format, stem in FILE_STEMS.items()}.get(stem.removesuffix(TEST_SUFFIX))
    classes: dict[str, int] | None = None
    if kind in ("kto", "llamafactory"):
        good, bad = _labels_of(part)
        classes = {"chosen": good, "rejected": bad}
    elif kind in ("dpo", "mlx", "openai"):
        classes = by_name(Counter(pair.kind for pair in part.pairs))
    return FileFacts(file.rows, file.bytes, file.sha256, classes)


def _labels_of(part: Part) -> tuple[int, int]:
    return len(part.good), len(part.labelled) - len(part.good)


def _training(longest: Longest, chosen: Chosen, desirable: float, undesirable: float) -> TrainingFacts:
    return TrainingFacts(
        longest_prompt_characters=longest.prompt_characters,
        longest_row_characters=longest.row_characters,
        max_length=tokens_of(longest.row_cost) if longest.row_cost else 0,
        desirable_weight=desirable,
        undesirable_weight=undesirable,
        equal_neighbours=chosen.train.equal_neighbours,
        equal_neighbours_test=chosen.test.equal_neighbours,
    )


def _labels_file(path: Path) -> InputFile | None:
    """The label log's digest; None when there is none."""
    if not path.exists():
        return None
    reader = LogReader(path)
    for _ in reader.lines():
        pass
    return reader.input_file


def _warnings(chosen: Chosen, training: TrainingFacts, gathered: Gathered, options: ExportOptions) -> list[str]:
    """What somebody who trains on this should know."""
    told = []
    marked = gathered.marked_completions
    if marked and options.keep_marks:
        told.append(f"{marked:,} answers hold marks of turns or of thinking: a tokenizer reads them as its own tokens")
    if training.max_length > DEFAULT_MAX_LENGTH:
        told.append(
            f"rows are longer than TRL's default max_length of {DEFAULT_MAX_LENGTH}:"
            f" set max_length={training.max_length}"
        )
    good, bad = _labels_of(chosen.train)
    if (training.desirable_weight, training.undesirable_weight) != (1.0, 1.0):
        told.append(
            f"{good:,} chosen to {bad:,} rejected: set desirable_weight={training.desirable_weight},"
            f" undesirable_weight={training.undesirable_weight}"
        )
    elif bool(good) != bool(bad):
        told.append(f"every label is {'chosen' if good else 'rejected'}: KTO needs a low learning rate")
    if chosen.chosen and chosen.rejected and not chosen.pairs["same_prompt"]:
        told.append("0 cross-tick pairs possible: prompts differ")
    if training.equal_neighbours:
        told.append(f"{training.equal_neighbours:,} neighbours in kto.jsonl have the same text; no order has fewer")
    reconstructed = gathered.provenance.prompt_sources.get("reconstructed", 0)
    if reconstructed:
        told.append(f"{reconstructed:,} prompts are reconstructed: the log did not keep what was sent")
    return told
