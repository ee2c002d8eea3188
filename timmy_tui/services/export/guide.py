"""The README of an export: what each file is, and how a trainer takes it."""

from __future__ import annotations

from timmy_tui.services.export.manifest import DEFAULT_MAX_LENGTH, Manifest

_HEAD = """\
# Labelled decisions

Written by timmy-tui {version}. Prompts are what the model was asked, completions what it answered, labels what the
operator said of it. `MANIFEST.json` counts everything, what was left out and why, and names the logs it comes from.

{totals}
{redaction}
"""

_LENGTH = """\
## Before training

The snippets want `pip install trl datasets`, and a model with its tokenizer:

```python
from transformers import AutoModelForCausalLM, AutoTokenizer
model = AutoModelForCausalLM.from_pretrained("…")
tokenizer = AutoTokenizer.from_pretrained("…")
```

- **max_length = {max_length}**: the longest row has {characters:,} characters. TRL's default is {default}; what is
  longer is cut or left out without a word. The figure is a careful guess; a tokenizer tells exactly.
- **Class weights** for KTO: desirable_weight = {desirable}, undesirable_weight = {undesirable}.
- **Batches** for KTO: per_device_train_batch_size of 2 or more, and dataloader_drop_last=True. Its KL term takes the
  completion of the row before, so keep the order of the file (do not shuffle): neighbours differ wherever they can.
- Without a GPU TRL wants `use_cpu=True, bf16=False` in each config.
- Corrections (`completion_source` "operator's edit") are **human text**, not a sample of the model: off-policy.
- Prompts whose `prompt_source` is "reconstructed" were made again from the log; the model may have read other words.
- The metadata columns (row_id, tick_id, …) are ignored by trainers. A value that looks like a date begins with `#`:
  loaders would take it for a time.
"""

_PAIR_KINDS = """\
## Pairs

Pairs are only what somebody compared: `edit` (a correction over what it corrects), `resample` (two answers to one
prompt) and `same_prompt` (a chosen and a rejected answer to the very same prompt).
"""

_USES: tuple[tuple[str, str], ...] = (
    (
        "kto.jsonl",
        """\
TRL KTO, conversational: prompt, completion, label.

```python
from datasets import load_dataset
from trl import KTOConfig, KTOTrainer
rows = load_dataset("json", data_files="kto.jsonl", split="train")
config = KTOConfig(output_dir="out", max_length={max_length}, per_device_train_batch_size=2,
                   dataloader_drop_last=True, desirable_weight={desirable}, undesirable_weight={undesirable})
KTOTrainer(model, args=config, train_dataset=rows, processing_class=tokenizer).train()
```
""",
    ),
    (
        "dpo.jsonl",
        """\
TRL DPO, conversational: prompt, chosen, rejected.

```python
from trl import DPOConfig, DPOTrainer
rows = load_dataset("json", data_files="dpo.jsonl", split="train")
config = DPOConfig(output_dir="out", max_length={max_length})
DPOTrainer(model, args=config, train_dataset=rows, processing_class=tokenizer).train()
```
""",
    ),
    (
        "sft.jsonl",
        """\
TRL SFT: messages, of what was chosen and of corrections.

```python
from trl import SFTConfig, SFTTrainer
rows = load_dataset("json", data_files="sft.jsonl", split="train")
config = SFTConfig(output_dir="out", max_length={max_length})
SFTTrainer(model, args=config, train_dataset=rows, processing_class=tokenizer).train()
```
""",
    ),
    (
        "llamafactory_kto.jsonl",
        """\
LLaMA-Factory KTO: conversations and kto_tag. `dataset_info.json` describes it:

```
llamafactory-cli train --stage kto --dataset timmy_kto --dataset_dir . --cutoff_len {max_length} …
```
""",
    ),
    (
        "mlx_dpo.jsonl",
        """\
mlx-lm-lora on Apple machines: plain texts prompt, chosen, rejected. It wants a folder with train.jsonl:

```
mkdir mlx && cp mlx_dpo.jsonl mlx/train.jsonl
mlx_lm_lora.train --train --train-mode dpo --data mlx --max-seq-length {max_length} --model …
```
""",
    ),
    (
        "openai_preference.jsonl",
        "The preference format of OpenAI, Together and Fireworks: input, preferred_output, non_preferred_output.\n",
    ),
)

_TICKS = """\
## ticks/

The tick logs under their names, in their order, with `dpo_label` where a decision was chosen or rejected.
"""

_TEST = """\
Files named `…_test.jsonl` hold other prompts than the ones beside them: no prompt is on both sides.
"""


def guide_text(manifest: Manifest) -> str:
    """The README for one export; only files that are there are told of."""
    training, totals = manifest.training, manifest.totals
    numbers: dict[str, object] = {
        "max_length": training.max_length,
        "desirable": training.desirable_weight,
        "undesirable": training.undesirable_weight,
    }
    pairs = sum(totals.pairs.values())
    told = f"{totals.chosen:,} chosen, {totals.rejected:,} rejected, {totals.edits:,} edited, {pairs:,} pairs.\n"
    redaction = (
        "Secrets, home folders and e-mail addresses were replaced (`***`, `~`, `<email>`)."
        if manifest.options.redact
        else "Nothing was redacted: secrets and names in the logs are in these files."
    )
    parts = [_HEAD.format(version=manifest.tool_version, totals=told, redaction=redaction)]
    parts += [f"**Note:** {warning}\n" for warning in manifest.warnings]
    if training.max_length:
        parts.append(_LENGTH.format(characters=training.longest_row_characters, default=DEFAULT_MAX_LENGTH, **numbers))
    if any(name.endswith("_test.jsonl") for name in manifest.files):
        parts.append(_TEST)
    for name, use in _USES:
        if name in manifest.files:
            parts.append(f"## {name}\n\n" + use.format(**numbers))
    if any(name in manifest.files for name in ("dpo.jsonl", "mlx_dpo.jsonl", "openai_preference.jsonl")):
        parts.append(_PAIR_KINDS)
    if any(name.startswith("ticks/") for name in manifest.files):
        parts.append(_TICKS)
    return "\n".join(parts)
