"""TRL itself: the tiny model, GRPO with context resets, supervised fine-tuning on every form of export, the chain."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from atommem_env import evaluate
from atommem_env.integrations.text_episode import Message
from atommem_env.integrations.trl.rollouts import episode_return, make_rollout_func, rollout_rows
from atommem_env.runs import Run
from atommem_env.runs.export import export
from scripted_policy import ScriptedPolicy
from tiny_model import make_tiny_model
from trainers import library, pytestmark  # noqa: F401

os.environ |= {"HF_HUB_OFFLINE": "1", "TRL_EXPERIMENTAL_SILENCE": "1"}

trl = library("trl")
torch = library("torch")
transformers = library("transformers")
datasets = library("datasets")

ENV = "AtomMem-2WikiMultihopQA-v0"
SMALL: dict[str, Any] = {"source": "generated", "num_docs": 4, "num_questions": 1, "chunk_tokens": 400}
OFFLINE: dict[str, Any] = {
    "use_cpu": True,
    "bf16": False,
    "report_to": "none",
    "save_strategy": "no",
    "logging_steps": 1,
    "disable_tqdm": True,
    "gradient_checkpointing": False,
    "learning_rate": 1e-3,
}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def copy_of(model: Any) -> list[Any]:
    return [weights.detach().clone() for weights in model.parameters()]


def moved(model: Any, before: list[Any]) -> bool:
    return any(not torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))


# --- the tiny model ------------------------------------------------------------------------------------


def test_the_tiny_model_is_the_same_for_a_seed_and_survives_a_folder(tmp_path: Path) -> None:
    model, tokenizer = make_tiny_model(seed=3, context=4096)
    again, same = make_tiny_model(seed=3, context=4096)
    assert not moved(again, copy_of(model))
    assert moved(make_tiny_model(seed=4)[0], copy_of(model))
    assert same.backend_tokenizer.to_str() == tokenizer.backend_tokenizer.to_str()
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    loaded = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    reader = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert not moved(loaded, copy_of(model))
    assert (reader.padding_side, reader.eos_token, reader.model_max_length) == ("left", "<|im_end|>", 4096)
    text = 'héllo 中\n<tool_call>\n{"name": "read"}\n</tool_call>  <think>'
    ids = reader(text)["input_ids"]
    assert reader.decode(ids, skip_special_tokens=True) == text
    assert ids == tokenizer(text)["input_ids"]
    assert reader.chat_template == tokenizer.chat_template == trl.chat_template_utils.qwen3_chat_template


# --- GRPO with context resets ---------------------------------------------------------------------------


def scripted(batch: list[list[Message]]) -> list[str]:
    """Every second episode forgets everything."""
    return [ScriptedPolicy(forget=number % 2)(messages) for number, messages in enumerate(batch)]


def grpo(
    folder: Path, share: int, generate: Any, steps: int, **options: Any
) -> tuple[Any, list[dict[str, Any]]]:
    """Return a trainer with a group of two episodes in a batch, and what its rollouts will be."""
    model, tokenizer = make_tiny_model()
    rollout_func = make_rollout_func(share, template="$turn", generate=generate)
    rollouts: list[dict[str, Any]] = []

    def recorded(prompts: list[str], trainer: Any) -> dict[str, Any]:
        rollouts.append({"prompts": prompts, **rollout_func(prompts, trainer)})
        return {name: column for name, column in rollouts[-1].items() if name != "prompts"}

    arguments: dict[str, Any] = {
        "num_generations": 2 * share,
        "per_device_train_batch_size": 2 * share,
        "max_steps": steps,
        "max_completion_length": 32,
        **OFFLINE,
        **options,
    }
    trainer = trl.GRPOTrainer(
        model,
        reward_funcs=episode_return,
        rollout_func=recorded,
        args=trl.GRPOConfig(str(folder), **arguments),
        train_dataset=datasets.Dataset.from_list(list(rollout_rows(ENV, range(1, 6), **SMALL))),
        processing_class=tokenizer,
    )
    return trainer, rollouts


def test_two_steps_of_grpo_move_the_weights(tmp_path: Path) -> None:
    share = 5
    trainer, rollouts = grpo(tmp_path, share, scripted, 2)
    before = copy_of(trainer.model)
    trainer.train()
    assert moved(trainer.model, before)
    logs = [entry for entry in trainer.state.log_history if "reward" in entry]
    assert len(logs) == len(rollouts) == 2
    for log, rollout in zip(logs, rollouts, strict=True):
        assert len(set(rollout["prompts"])) == 1
        first, second = (rollout["env_reward"][start : start + share] for start in (0, share))
        assert len(set(first)) == len(set(second)) == 1
        assert log["rewards/episode_return/mean"] == pytest.approx((first[0] + second[0]) / 2)
        peaks = [scores["memory_peak"] for scores in rollout["env_scores"]]
        assert log["env/memory_peak"] == pytest.approx(sum(peaks) / len(peaks))
        assert 0 in {sum(mask) for mask in rollout["env_mask"]}
    assert any(log["reward_std"] > 0 and log["grad_norm"] > 0 for log in logs)

    inputs = trainer._buffered_inputs[0]
    padding = inputs["tool_mask"][:, 0] == 0
    assert padding.any()
    assert not padding.all()
    trainer.model.eval()
    loss = trainer._compute_loss(trainer.model, inputs)
    inputs["completion_ids"][padding] = 7
    inputs["advantages"][padding] = 1e3
    assert torch.equal(trainer._compute_loss(trainer.model, inputs), loss)


def test_the_trainers_own_model_writes(tmp_path: Path) -> None:
    trainer, rollouts = grpo(tmp_path, 3, None, 1, temperature=0.7, max_completion_length=12)
    trainer.train()
    (rollout,) = rollouts
    assert {len(ids) for ids in rollout["completion_ids"]} <= set(range(1, 13))
    assert rollout["logprobs"] is None
    assert all(all(mask) for mask in rollout["env_mask"])  # it knows no operation, so its episodes are long
    assert len({tuple(ids) for ids in rollout["completion_ids"]}) > 3
    shown = trainer.processing_class.batch_decode(rollout["prompt_ids"])
    assert all(text.startswith("<|im_start|>user\n# Now: ") for text in shown)
    assert all(text.endswith("<|im_start|>assistant\n") for text in shown)


def test_a_rollout_is_evaluated_too(tmp_path: Path) -> None:
    trainer, rollouts = grpo(tmp_path, 4, scripted, 1, per_device_eval_batch_size=4, num_generations_eval=4)
    metrics = trainer.evaluate(trainer.train_dataset.select(range(2)))
    rewards = [reward for rollout in rollouts for reward in rollout["env_reward"]]
    assert metrics["eval_env/em"] == metrics["eval_reward"] == sum(rewards) / len(rewards) > 0


# --- supervised fine-tuning ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("expert") / "run"
    return evaluate(ENV, "keep-best", 4, out=folder, progress=False, **SMALL)


def trained_texts(trainer: Any) -> list[str]:
    """Return what the loss is on, of each example."""
    return [
        trainer.processing_class.decode(ids[labels != -100])
        for batch in trainer.get_train_dataloader()
        for ids, labels in zip(batch["input_ids"], batch["labels"], strict=True)
    ]


def only_completions(texts: list[str]) -> None:
    assert all(text.rstrip().endswith("<|im_end|>") for text in texts)
    assert any("<create_memory>" in text for text in texts)
    assert not any("# Now: " in text for text in texts)


def only_messages(texts: list[str]) -> None:
    only_completions(texts)
    assert all(text.count("<|im_end|>") >= 3 for text in texts)


def only_calls(texts: list[str]) -> None:
    for text in texts:
        assert text.count("<tool_call>") >= 3
        assert '{"name": "create", "arguments": {"content": "' in text
        assert "Waiting" not in text
        assert "# Now: " not in text
        assert text.rstrip().endswith("Done.<|im_end|>")


@pytest.mark.parametrize(
    ("rows", "suffix", "columns", "assistant_only", "check"),
    [
        ("turns", "jsonl", ("prompt", "completion"), False, only_completions),
        ("messages", "parquet", ("messages",), True, only_messages),
        ("tools", "jsonl", ("messages", "tools"), True, only_calls),
        ("tools", "parquet", ("messages", "tools"), True, only_calls),
    ],
)
def test_every_form_of_export_trains(
    run: Run,
    tmp_path: Path,
    rows: str,
    suffix: str,
    columns: tuple[str, ...],
    assistant_only: bool,
    check: Callable[[list[str]], None],
) -> None:
    path = tmp_path / f"x.{suffix}"
    export(run, path, rows, template=None if rows == "tools" else "$turn", score="em", min_score=1.0)
    kind = "json" if suffix == "jsonl" else "parquet"
    data = datasets.load_dataset(kind, data_files=str(path), split="train", cache_dir=str(tmp_path / "cache"))
    model, tokenizer = make_tiny_model()
    before = copy_of(model)
    arguments = {"per_device_train_batch_size": 1, "max_steps": 2, "max_length": None, **OFFLINE}
    trainer = trl.SFTTrainer(
        model,
        args=trl.SFTConfig(str(tmp_path / "sft"), assistant_only_loss=assistant_only, **arguments),
        train_dataset=data.select_columns(list(columns)),
        processing_class=tokenizer,
    )
    check(trained_texts(trainer))
    trainer.train()
    assert moved(model, before)


# --- the examples ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["trl_rollouts.py", "trl_chain.py"])
def test_an_example_runs(name: str, tmp_path: Path) -> None:
    path = Path(__file__).parents[2] / "examples" / "trainers" / name
    done = subprocess.run([sys.executable, path], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "generated" in done.stdout
    assert "tiny" in done.stdout
