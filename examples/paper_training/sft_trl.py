"""Supervised fine-tuning on an expert's steps with TRL: ``accelerate launch sft_trl.py --config sft_trl.yaml``.

A row is a step: its prompt, which needs no history, and the expert's reply, which alone is trained on. Options of the
command line go over those of the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from datasets import Dataset, load_dataset


@dataclass
class Data:
    """What is trained on."""

    data: str = field(metadata={"help": "The file of `atommem export --format turns`."})


def read_options(words: Sequence[str] | None = None) -> tuple[Data, Any, Any]:
    """Return the options as ``Data``, TRL's ``SFTConfig`` and its ``ModelConfig``."""
    from trl import ModelConfig, SFTConfig, TrlParser

    data, config, model = TrlParser((Data, SFTConfig, ModelConfig)).parse_args_and_config(words)
    return data, config, model


def read_rows(path: str) -> Dataset:
    """Return the steps: ``prompt`` and ``completion``, messages both."""
    kind = "parquet" if path.endswith(".parquet") else "json"
    rows = load_dataset(kind, data_files=path, split="train")
    return rows.select_columns(["prompt", "completion"])


def main() -> None:
    """Train, and save the model with its tokenizer."""
    from trl import SFTTrainer

    data, config, model = read_options()
    config.model_init_kwargs = {"dtype": model.dtype, "attn_implementation": model.attn_implementation}
    trainer = SFTTrainer(model.model_name_or_path, args=config, train_dataset=read_rows(data.data))
    trainer.train()
    trainer.save_model()


if __name__ == "__main__":
    main()
