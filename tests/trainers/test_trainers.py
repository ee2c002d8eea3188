"""The exported files in the libraries that read them: ``datasets`` loads each, TRL trains a step on each.

``make test-trainers`` makes an environment with them; elsewhere these tests are skipped. Nothing is fetched: the model
is a small random one, the tokenizer is made from the exported texts.
"""

from __future__ import annotations

import json
import math
import os
import re
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_OFFLINE"] = "1"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import pytest
from export_home import ExportHome

datasets = pytest.importorskip("datasets")
trl = pytest.importorskip("trl")
transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")
torch = pytest.importorskip("torch")

TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<eos>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
CACHE = "cache"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> ExportHome:
    """Every kind of word: on long ticks of today, on an old one, on a session; with and without a test side."""
    home = ExportHome(tmp_path_factory.mktemp("home"))
    keys = [home.tick(n) for n in range(24)]
    same = [
        home.tick(30 + n, prompt="Is all well, at /home/alex?", response=f"Answer {n}, 漢字 € \ud800.")
        for n in range(6)
    ]
    for n, key in enumerate(keys):
        if n % 4 == 0:
            home.edit(key, f"Rather look {n}.", note="2026-11-20")
        elif n % 4 == 1:
            home.prefer(key, "alternative", f"Another answer {n}.")
        else:
            home.label(key, "chosen" if n % 2 else "rejected")
    for n, key in enumerate(same):
        home.label(key, "chosen" if n % 2 else "rejected")
    for n in range(3):
        home.label(home.session(f"s{n}", f"question {n}", f"answer {n}"), tick_id=f"s{n}")
    home.raw_tick(
        {
            "tick_id": "20250101_000000",
            "perception": {"gitea_alive": True},
            "decision": {"severity": "ok", "actions": [], "reasoning": "fine"},
            "dpo_label": "chosen",
        }
    )
    home.export(split=0.3)
    return home


def loaded(home: ExportHome, name: str) -> Any:
    cache = str(home.target.parent / CACHE)
    return datasets.load_dataset("json", data_files=str(home.target / name), split="train", cache_dir=cache)


def names(home: ExportHome) -> list[str]:
    return sorted(path.name for path in home.target.glob("*.jsonl"))


@pytest.fixture(scope="module")
def tokenizer(home: ExportHome) -> Any:
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=1_000,
        special_tokens=["<pad>", "<eos>", "<|user|>", "<|assistant|>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator([(home.target / name).read_text() for name in names(home)], trainer)
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=made, pad_token="<pad>", eos_token="<eos>")
    fast.chat_template = TEMPLATE
    return fast


@pytest.fixture
def model(tokenizer: Any, tmp_path: Path) -> Any:
    transformers.set_seed(7)
    config = transformers.Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=8_192,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
    )
    # Saved, so that a trainer that makes its own reference model finds this one and asks nobody.
    transformers.Qwen2ForCausalLM(config).save_pretrained(tmp_path / "model")
    return transformers.Qwen2ForCausalLM.from_pretrained(tmp_path / "model")


def options(home: ExportHome, folder: Path) -> dict[str, object]:
    """What the manifest and the README say to set, and one short step."""
    return {
        "output_dir": str(folder),
        "max_length": home.manifest()["training"]["max_length"],
        "per_device_train_batch_size": 2,
        "max_steps": 1,
        "use_cpu": True,
        "bf16": False,
        "report_to": "none",
        "save_strategy": "no",
        "logging_steps": 1,
        "disable_tqdm": True,
    }


def trained(trainer: Any, rows: int) -> None:
    """One step with a finite loss, on every row of the file."""
    assert len(trainer.train_dataset) == rows
    result = trainer.train()
    assert math.isfinite(result.training_loss)
    assert result.training_loss > 0


def test_every_file_is_there_on_both_sides_of_the_split(home: ExportHome) -> None:
    stems = ("dpo", "kto", "llamafactory_kto", "mlx_dpo", "openai_preference", "sft")
    assert names(home) == sorted(f"{stem}{side}.jsonl" for stem in stems for side in ("", "_test"))
    assert {row["pair_kind"] for row in home.rows("dpo.jsonl") + home.rows("dpo_test.jsonl")} == {
        *("edit", "resample", "same_prompt")
    }


@pytest.mark.parametrize("side", ["", "_test"])
@pytest.mark.parametrize("stem", ["dpo", "kto", "llamafactory_kto", "mlx_dpo", "openai_preference", "sft"])
def test_datasets_reads_what_was_written(home: ExportHome, stem: str, side: str) -> None:
    rows = loaded(home, f"{stem}{side}.jsonl")
    written = home.rows(f"{stem}{side}.jsonl")
    assert rows.num_rows == len(written)
    assert set(rows.column_names) == set(written[0])
    for name, feature in rows.features.items():
        assert "timestamp" not in str(feature), name
        if name in ("label", "kto_tag", "redacted"):
            assert feature.dtype == "bool"
        elif isinstance(written[0][name], str):
            assert feature.dtype in ("string", "large_string"), name
    for read, row in zip(rows, written, strict=True):
        assert {key: value for key, value in read.items() if key != "input"} == {
            key: value for key, value in row.items() if key != "input"
        }


def test_kto_trains_on_every_row(home: ExportHome, model: Any, tokenizer: Any, tmp_path: Path) -> None:
    training = home.manifest()["training"]
    arguments = trl.KTOConfig(
        **options(home, tmp_path),
        dataloader_drop_last=True,
        desirable_weight=training["desirable_weight"],
        undesirable_weight=training["undesirable_weight"],
    )
    trainer = trl.KTOTrainer(model, args=arguments, train_dataset=loaded(home, "kto.jsonl"), processing_class=tokenizer)
    trained(trainer, len(home.rows("kto.jsonl")))


def test_dpo_trains_on_every_row(home: ExportHome, model: Any, tokenizer: Any, tmp_path: Path) -> None:
    trainer = trl.DPOTrainer(
        model,
        args=trl.DPOConfig(**options(home, tmp_path)),
        train_dataset=loaded(home, "dpo.jsonl"),
        processing_class=tokenizer,
    )
    trained(trainer, len(home.rows("dpo.jsonl")))


def test_sft_trains_on_every_row(home: ExportHome, model: Any, tokenizer: Any, tmp_path: Path) -> None:
    trainer = trl.SFTTrainer(
        model,
        args=trl.SFTConfig(**options(home, tmp_path)),
        train_dataset=loaded(home, "sft.jsonl"),
        processing_class=tokenizer,
    )
    trained(trainer, len(home.rows("sft.jsonl")))


def test_the_recommended_length_holds_every_row(home: ExportHome, tokenizer: Any) -> None:
    max_length = home.manifest()["training"]["max_length"]
    for row in home.rows("kto.jsonl") + home.rows("kto_test.jsonl"):
        messages = [*row["prompt"], *row["completion"]]  # type: ignore[misc]
        assert len(tokenizer.apply_chat_template(messages, return_dict=True)["input_ids"]) <= max_length


def test_llamafactory_finds_its_files_and_tags_by_the_description(home: ExportHome) -> None:
    """The rules of its sharegpt converter: even turns, human first, a tag that is a boolean (data/README.md)."""
    described = json.loads((home.target / "dataset_info.json").read_text())
    assert set(described) == {"timmy_kto", "timmy_kto_test"}
    for facts in described.values():
        assert facts["formatting"] == "sharegpt"
        tags, columns = facts["tags"], facts["columns"]
        for row in home.rows(facts["file_name"]):
            turns = row[columns["messages"]]
            assert isinstance(turns, list)
            assert [turn[tags["role_tag"]] for turn in turns] == [tags["user_tag"], tags["assistant_tag"]]
            assert all(isinstance(turn[tags["content_tag"]], str) for turn in turns)
            assert type(row[columns["kto_tag"]]) is bool


def test_the_readme_shows_how_with_options_that_are_there(home: ExportHome) -> None:
    told = (home.target / "README.md").read_text()
    for config in ("KTO", "DPO", "SFT"):
        call = re.search(rf"{config}Config\((.*?)\)\n", told, re.DOTALL)
        assert call is not None
        made = eval(f"trl.{config}Config({call[1]}, use_cpu=True, bf16=False)", {"trl": trl})
        assert made.max_length == home.manifest()["training"]["max_length"]
