"""GRPO from the fine-tuned model with TRL: ``accelerate launch grpo_trl.py --config grpo_trl.yaml``.

Episodes go through ``rollout_func`` with the paper's context reset, see ``atommem_env/integrations/trl_rollouts.py``.
Options of the command line go over those of the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from datasets import Dataset
from task import read_task

from atommem_env.integrations.trl.rollouts import episode_return, make_rollout_func, rollout_rows


@dataclass
class Tasks:
    """What is played, and how episodes become rows."""

    rows_per_episode: int = field(metadata={"help": "The rows that an episode is given."})
    max_prompt_tokens: int = field(metadata={"help": "The longest prompt."})
    tasks: int = field(metadata={"help": "How many tasks of each benchmark."})
    source: str = field(default="hub", metadata={"help": "Where the data comes from."})
    change: list[str] = field(default_factory=list, metadata={"help": "KEY=VALUE of the task."})


def read_options(words: Sequence[str] | None = None) -> tuple[Tasks, Any, Any]:
    """Return the options as ``Tasks``, TRL's ``GRPOConfig`` and its ``ModelConfig``."""
    from trl import GRPOConfig, ModelConfig, TrlParser

    tasks, config, model = TrlParser((Tasks, GRPOConfig, ModelConfig)).parse_args_and_config(words)
    return tasks, config, model


def make_rows(tasks: Tasks) -> Dataset:
    """Return a row for each task of the train splits, the benchmarks in turns."""
    envs, arguments = read_task(tasks.change)
    rows = rollout_rows(envs, range(tasks.tasks), split="train", source=tasks.source, **arguments)
    return Dataset.from_list(list(rows))


def make_trainer(tasks: Tasks, config: Any, model: str, generate: Any = None) -> Any:
    """Return the trainer.

    Args:
        tasks: what is played.
        config: TRL's ``GRPOConfig``.
        model: the name or the folder of a model.
        generate: writes instead of the model, in the dry run.
    """
    from trl import GRPOTrainer

    return GRPOTrainer(
        model,
        reward_funcs=episode_return,
        rollout_func=make_rollout_func(
            tasks.rows_per_episode, max_prompt_tokens=tasks.max_prompt_tokens, generate=generate
        ),
        args=config,
        train_dataset=make_rows(tasks),
    )


def main() -> None:
    """Train, and save the model with its tokenizer."""
    tasks, config, model = read_options()
    config.model_init_kwargs = {"dtype": model.dtype, "attn_implementation": model.attn_implementation}
    trainer = make_trainer(tasks, config, model.model_name_or_path)
    trainer.train()
    trainer.save_model()


if __name__ == "__main__":
    main()
