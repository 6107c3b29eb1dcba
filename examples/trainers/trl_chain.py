"""The chain of the paper's training in small: an expert's episodes, supervised fine-tuning, GRPO.

    pip install 'atommem_env[trl,cli]'
    python examples/trainers/trl_chain.py [FOLDER]

1. ``atommem run``: the expert, the baseline ``memagent`` with the engine ``rules``, plays the train split;
2. ``atommem export``: the steps of its successful episodes, as prompts and completions;
3. TRL's ``SFTTrainer`` teaches them to a tiny model made on the spot;
4. TRL's ``GRPOTrainer`` goes on from there with context resets: the model itself plays, each step is a row.

It prints losses and rewards. The documents are generated, the expert is a script, and the model is far too small to
read: it learns to answer yes or no, and is right by chance. What is shown is that the parts fit. Offline, on a CPU, in
about a minute and a half.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ |= {"HF_HUB_OFFLINE": "1", "TRL_EXPERIMENTAL_SILENCE": "1", "OMP_NUM_THREADS": "1"}

import datasets
import transformers
from datasets import Dataset, load_dataset
from trl import GRPOConfig, GRPOTrainer, SFTConfig, SFTTrainer

from atommem_env.integrations.trl.rollouts import episode_return, make_rollout_func, rollout_rows
from tiny_model import make_tiny_model

ENV = "AtomMem-World-v0"
TASKS = {
    "source": "generated",
    "split": "train",
    "kinds": ["yes_no"],
    "num_questions": 1,
    "num_docs": 2,
    "paragraphs_per_question": 2,
    "max_looks": 1,
    "early_answer": True,
}
TEMPLATE = "$turn"  # prompts without the standing instructions, for which the tiny model has no use
SHORT = 200  # characters of a completion; the tiny model is not taught to copy documents
ROWS = 2  # of an episode: a step is a row
EPISODES = 8  # in a group; the paper: 16
CPU = {
    "use_cpu": True,
    "bf16": False,
    "gradient_checkpointing": False,
    "report_to": "none",
    "save_strategy": "no",
    "disable_tqdm": True,
}

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="atommem-chain-"))
datasets.disable_progress_bars()


def atommem(*words: str) -> None:
    print("\n$ atommem", *words, flush=True)
    subprocess.run([sys.executable, "-m", "atommem_env", *words], check=True)


class Report(transformers.TrainerCallback):
    """Prints some of what a trainer logs."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names

    def on_log(self, args, state, control, logs=None, **kwargs) -> None:
        told = [f"{name} {float(logs[name]):.3f}" for name in self.names if name in logs]
        if told:
            print(f"step {state.global_step}: {', '.join(told)}", flush=True)


def train(trainer: transformers.Trainer, *names: str) -> None:
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.add_callback(Report(names))
    trainer.train()


given = [
    f"--arg={name}={json.dumps(value)}" for name, value in TASKS.items() if name not in ("source", "split")
]
atommem(
    *(
        "run",
        "--env",
        ENV,
        "--policy",
        "memagent",
        "--engine",
        "rules",
        "--source",
        "generated",
        "--split",
        "train",
    ),
    *(*given, "--episodes", "100", "--out", str(folder / "run"), "--quiet"),
)
atommem(
    *("export", str(folder / "run"), "--format", "turns", "--template", TEMPLATE),
    *("--score", "em", "--min-score", "1", "--out", str(folder / "sft.jsonl")),
)

print("\nSFT: the tiny model, from random weights, on the expert's steps (documents generated)", flush=True)
model, tokenizer = make_tiny_model()
steps = load_dataset(
    "json", data_files=str(folder / "sft.jsonl"), split="train", cache_dir=str(folder / "cache")
)
steps = steps.filter(lambda row: len(row["completion"][0]["content"]) < SHORT)
trainer = SFTTrainer(
    model,
    train_dataset=steps.select_columns(["prompt", "completion"]),
    processing_class=tokenizer,
    args=SFTConfig(
        str(folder / "sft"),
        max_steps=80,
        per_device_train_batch_size=4,
        learning_rate=1e-2,
        max_length=None,  # TRL's default cuts a row at 1024 tokens
        logging_steps=20,
        **CPU,
    ),
)
train(trainer, "loss", "mean_token_accuracy")
trainer.save_model()

print("\nGRPO: the fine-tuned tiny model plays; the reward is exact match (documents generated)", flush=True)
trainer = GRPOTrainer(
    str(folder / "sft"),
    reward_funcs=episode_return,
    rollout_func=make_rollout_func(ROWS, template=TEMPLATE),
    train_dataset=Dataset.from_list(list(rollout_rows(ENV, range(100), **TASKS))),
    args=GRPOConfig(
        str(folder / "grpo"),
        max_steps=3,
        num_generations=EPISODES * ROWS,
        per_device_train_batch_size=EPISODES * ROWS,
        max_completion_length=24,  # of a step
        temperature=0.7,
        learning_rate=2e-4,
        scale_rewards="none",
        logging_steps=1,
        **CPU,
    ),
)
train(trainer, "loss", "reward", "reward_std", "grad_norm", "env/num_answer", "env/steps")
print(f"\nthe checkpoints are in {folder}")
