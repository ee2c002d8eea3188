"""The shape of each file's rows (facts/annotation.md §4), and how a row is made of samples.

Texts are put in as they were encoded once; metadata columns have names that no trainer takes for its own.
"""

from __future__ import annotations

import hashlib

import msgspec
from msgspec import Raw, Struct

from timmy_tui import __version__
from timmy_tui.services.export.choose import LabelledRow, PairRow, Side
from timmy_tui.services.export.passages import Passage
from timmy_tui.services.export.spool import Sample

BY_OPERATOR = "operator's edit"
ALTERNATIVE = "alternative"

ROW_ID_CHARACTERS = 32

_encode = msgspec.json.Encoder().encode


class Facts(Struct):
    """The metadata of a row: texts, never missing, so that every column has one type."""

    row_id: str
    tick_id: str
    origin: str
    source: str
    prompt_sha256: str
    prompt_source: str
    completion_source: str
    model: str
    severity: str
    labelled_at: str
    operator: str
    note: str
    redacted: bool
    tool_version: str = __version__


class PairFacts(Facts, kw_only=True):
    """The metadata of a pair; ``completion_source`` and ``model`` are the better text's."""

    pair_kind: str
    chosen_model: str
    rejected_model: str


class _Message(Struct):
    role: str
    content: Raw


class _Turn(Struct):
    """LLaMA-Factory's message."""

    from_: str = msgspec.field(name="from")
    value: Raw = Raw(b'""')


class _Kto(Struct):
    prompt: tuple[_Message]
    completion: tuple[_Message]
    label: bool


class _Dpo(Struct):
    prompt: tuple[_Message]
    chosen: tuple[_Message]
    rejected: tuple[_Message]


class _Sft(Struct):
    messages: tuple[_Message, _Message]


class _LlamaFactory(Struct):
    conversations: tuple[_Turn, _Turn]
    kto_tag: bool


class _Mlx(Struct):
    prompt: Raw
    chosen: Raw
    rejected: Raw


class _OpenAIInput(Struct):
    messages: tuple[_Message]
    tools: tuple[()] = ()
    parallel_tool_calls: bool = True


class _OpenAI(Struct):
    input: _OpenAIInput
    preferred_output: tuple[_Message]
    non_preferred_output: tuple[_Message]


def kto_row(row: LabelledRow, sample: Sample) -> bytes:
    """TRL's KTO, conversational."""
    head = _Kto(_asked(sample), _answered(_text(row, sample)), row.chosen)
    return _joined(head, _facts(row, sample))


def sft_row(row: LabelledRow, sample: Sample) -> bytes:
    """TRL's SFT: messages."""
    head = _Sft((*_asked(sample), *_answered(_text(row, sample))))
    return _joined(head, _facts(row, sample))


def llamafactory_row(row: LabelledRow, sample: Sample) -> bytes:
    """LLaMA-Factory's KTO, sharegpt. Its ``kto_tag`` must be a boolean, or a rejected answer would be imitated."""
    turns = _Turn("human", Raw(sample.prompt.json)), _Turn("gpt", Raw(_text(row, sample).json))
    return _joined(_LlamaFactory(turns, row.chosen), _facts(row, sample))


def dpo_row(pair: PairRow, better: Sample, worse: Sample) -> bytes:
    """TRL's DPO, conversational, with the prompt apart."""
    chosen, rejected = side_passage(pair.chosen, better), side_passage(pair.rejected, worse)
    head = _Dpo(_asked(better), _answered(chosen), _answered(rejected))
    return _joined(head, _pair_facts(pair, better, worse, chosen, rejected))


def mlx_row(pair: PairRow, better: Sample, worse: Sample) -> bytes:
    """mlx-lm-lora's DPO: plain texts; it would train on the notation of messages."""
    chosen, rejected = side_passage(pair.chosen, better), side_passage(pair.rejected, worse)
    return _encode(_Mlx(Raw(better.prompt.json), Raw(chosen.json), Raw(rejected.json)))


def openai_row(pair: PairRow, better: Sample, worse: Sample) -> bytes:
    """The preference format of OpenAI, Together and Fireworks; no other keys."""
    chosen, rejected = side_passage(pair.chosen, better), side_passage(pair.rejected, worse)
    return _encode(_OpenAI(_OpenAIInput(_asked(better)), _answered(chosen), _answered(rejected)))


def side_passage(side: Side, sample: Sample) -> Passage:
    """The text of one side of a pair."""
    found = sample.alternative if side.alternative else sample.correction if side.corrected else sample.completion
    if found is None:
        raise AssertionError("a pair names a text that its sample has not")
    return found


def _text(row: LabelledRow, sample: Sample) -> Passage:
    return side_passage(Side(row.sample, row.corrected), sample)


def _asked(sample: Sample) -> tuple[_Message]:
    return (_Message("user", Raw(sample.prompt.json)),)


def _answered(passage: Passage) -> tuple[_Message]:
    return (_Message("assistant", Raw(passage.json)),)


def _facts(row: LabelledRow, sample: Sample) -> Facts:
    word = sample.correction_by if row.corrected else sample.label_by
    return Facts(
        row_id=_row_id(sample.prompt, _text(row, sample)),
        tick_id=sample.tick_id,
        origin=sample.origin,
        source=sample.source,
        prompt_sha256=sample.prompt.digest.hex(),
        prompt_source=sample.prompt_source,
        completion_source=BY_OPERATOR if row.corrected else sample.completion_source,
        model="" if row.corrected else sample.model,
        severity=sample.severity,
        labelled_at=word.at,
        operator=word.operator,
        note=sample.note,
        redacted=sample.redacted,
    )


def _pair_facts(pair: PairRow, better: Sample, worse: Sample, chosen: Passage, rejected: Passage) -> PairFacts:
    word = {"edit": better.correction_by, "resample": better.preference_by}.get(pair.kind, better.label_by)
    chosen_model = _model(pair.chosen, better)
    return PairFacts(
        row_id=_row_id(better.prompt, chosen, rejected),
        tick_id=better.tick_id,
        origin=better.origin,
        source=better.source,
        prompt_sha256=better.prompt.digest.hex(),
        prompt_source=better.prompt_source,
        completion_source=_source(pair.chosen, better),
        model=chosen_model,
        severity=better.severity,
        labelled_at=word.at,
        operator=word.operator,
        note=better.note or worse.note,
        redacted=better.redacted or worse.redacted,
        pair_kind=pair.kind,
        chosen_model=chosen_model,
        rejected_model=_model(pair.rejected, worse),
    )


def _model(side: Side, sample: Sample) -> str:
    """Who wrote a side; empty for the operator."""
    if side.alternative:
        return sample.alternative_model
    return "" if side.corrected else sample.model


def _source(side: Side, sample: Sample) -> str:
    if side.alternative:
        return ALTERNATIVE
    return BY_OPERATOR if side.corrected else sample.completion_source


def _row_id(*passages: Passage) -> str:
    return hashlib.sha256(b"".join(passage.digest for passage in passages)).hexdigest()[:ROW_ID_CHARACTERS]


def _joined(head: Struct, facts: Struct) -> bytes:
    """One object of two: what is trained on stands first."""
    return _encode(head)[:-1] + b"," + _encode(facts)[1:]
