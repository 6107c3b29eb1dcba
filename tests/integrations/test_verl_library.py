"""The agent loop in verl's own worker: its dataset class, configuration, queue and advantages, on the CPU.

Only the inference server is made up, since verl's needs a GPU: a script writes in its place.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from atommem_env.integrations.text_episode import row_episode
from atommem_env.integrations.verl import AGENT_NAME, write_dataset
from scripted_policy import ScriptedPolicy
from tiny_model import make_tiny_model
from trainers import library, pytestmark  # noqa: F401

library("verl")
library("verl.trainer.ppo.v1.trainer_base")  # most of verl, and its warnings

import hydra  # noqa: E402
import numpy as np  # noqa: E402
import ray  # noqa: E402
import transfer_queue as tq  # noqa: E402
from omegaconf import OmegaConf  # noqa: E402
from verl.experimental.agent_loop.agent_loop import AgentLoopBase, AgentLoopOutput, DictConfigWrap  # noqa: E402
from verl.trainer.ppo.v1.agent_loop_tq import AgentLoopWorkerTQ  # noqa: E402
from verl.trainer.ppo.v1.trainer_base import PPOTrainer  # noqa: E402
from verl.utils import tensordict_utils  # noqa: E402
from verl.utils.dataset.rl_dataset import RLHFDataset, collate_fn  # noqa: E402
from verl.workers.rollout.replica import TokenOutput  # noqa: E402

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "trainers" / "verl_rollout.py"
LOOPS = EXAMPLE.with_name("verl_agent_loop.yaml")
GROUP = 3
TASKS: dict[str, Any] = {"source": "generated", "num_docs": 12, "num_questions": 2, "chunk_tokens": 512}
VERSION = 7
"""Of the weights, as the server reports it with each reply; the trainer's metrics need it."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Any]:
    """A tiny model's folder, and its tokenizer."""
    folder = str(tmp_path_factory.mktemp("model"))
    made, tokenizer = make_tiny_model()
    made.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder, tokenizer


def compose(folder: str, *more: str) -> Any:
    """Return verl's configuration of a training."""
    settings = [
        "actor_rollout_ref.rollout.name=vllm",
        f"actor_rollout_ref.model.path={folder}",
        f"actor_rollout_ref.rollout.agent.agent_loop_config_path={LOOPS}",
        f"actor_rollout_ref.rollout.n={GROUP}",
        "algorithm.adv_estimator=grpo",
        "algorithm.norm_adv_by_std_in_grpo=False",
        "algorithm.rollout_correction.bypass_mode=True",
        "data.max_prompt_length=4096",
        "data.max_response_length=2048",
        "transfer_queue.enable=True",
        "transfer_queue.backend.SimpleStorage.num_data_storage_units=1",
        *more,
    ]
    with hydra.initialize_config_module("verl.trainer.config", version_base=None):
        return hydra.compose("ppo_trainer", overrides=settings)


class Server:
    """Stands in for verl's inference server; episodes forget different documents."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.policies: dict[str, ScriptedPolicy] = {}

    async def generate(
        self, request_id: str, *, prompt_ids: list[int], sampling_params: dict[str, Any], **_: Any
    ) -> TokenOutput:
        policy = self.policies.setdefault(request_id, ScriptedPolicy(forget=0.6, seed=len(self.policies)))
        prompt, _end, begun = self.tokenizer.decode(prompt_ids).rpartition(self.tokenizer.eos_token)
        assert begun.strip().startswith("<|im_start|>assistant")
        text = policy([{"role": "user", "content": prompt}])
        token_ids = [*self.tokenizer.encode(text), self.tokenizer.eos_token_id]
        versions = dict.fromkeys(("global_steps", "min_global_steps", "max_global_steps"), VERSION)
        return TokenOutput(token_ids=token_ids, log_probs=[-0.5] * len(token_ids), extra_fields=versions)


async def make_loop(config: Any, tokenizer: Any) -> Any:
    """Return the loop that the YAML file names, as verl's worker makes it: in an event loop."""
    (named,) = OmegaConf.load(LOOPS)
    assert named.name == AGENT_NAME
    return hydra.utils.instantiate(
        named,
        trainer_config=DictConfigWrap(config),
        server_manager=Server(tokenizer),
        tokenizer=tokenizer,
        processor=None,
        dataset_cls=RLHFDataset,
        data_config=DictConfigWrap(config.data),
        hf_model_type="qwen3",
    )


@pytest.fixture(scope="module")
def tasks(model: tuple[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A dataset of three tasks, as verl reads it."""
    path = str(tmp_path_factory.mktemp("data") / "tasks.parquet")
    write_dataset(path, "AtomMem-HotpotQA-v0", range(3), **TASKS)
    return RLHFDataset(path, model[1], compose(model[0]).data)


def test_verl_reads_the_rows(tasks: Any) -> None:
    assert len(tasks) == 3
    for number, row in enumerate(tasks):
        assert row["index"] == number
        assert row["agent_name"] == AGENT_NAME
        assert row_episode(row["extra_info"]).reset(row["extra_info"]["task_index"])


def test_the_yaml_makes_a_loop_that_gives_an_output_per_step(model: tuple[str, Any], tasks: Any) -> None:
    row = tasks[1]

    async def play() -> Any:
        loop = await make_loop(compose(model[0]), model[1])
        assert isinstance(loop, AgentLoopBase)
        return await loop.run({"temperature": 1.0}, **row)

    outputs = asyncio.run(play())
    played = row_episode(row["extra_info"]).play(ScriptedPolicy(forget=0.6, seed=0), 1)
    assert len(outputs) == len(played.turns)
    for output, turn in zip(outputs, played.turns, strict=True):
        assert isinstance(output, AgentLoopOutput)
        assert turn.messages[-1]["content"] in model[1].decode(output.prompt_ids)
        assert model[1].decode(output.response_ids, skip_special_tokens=True) == turn.text
        assert output.response_mask == [1] * len(output.response_ids)
        assert output.response_logprobs == [-0.5] * len(output.response_ids)
        assert output.num_turns == len(played.turns)
    assert [output.reward_score for output in outputs[:-1]] == [None] * (len(outputs) - 1)
    assert outputs[-1].reward_score == played.episode_return
    assert outputs[-1].extra_fields["reward_extra_info"] == {**played.scores(), "overlong": 0.0}


def test_a_row_of_another_dataset_is_an_error_that_says_so(model: tuple[str, Any]) -> None:
    async def play() -> None:
        loop = await make_loop(compose(model[0]), model[1])
        await loop.run({}, raw_prompt=[], extra_info={"index": 0})

    with pytest.raises(ValueError, match="the row has no env, env_arguments, task_index"):
        asyncio.run(play())


def test_the_trainer_without_lists_of_outputs_is_refused(model: tuple[str, Any]) -> None:
    with pytest.raises(hydra.errors.InstantiationException, match=r"set trainer\.use_v1=True"):
        asyncio.run(make_loop(compose(model[0], "trainer.use_v1=False"), model[1]))


# --- verl's worker, queue and trainer -----------------------------------------------------------------


@pytest.fixture(scope="module")
def queue(model: tuple[str, Any]) -> Iterator[None]:
    """verl's TransferQueue in a cluster of this machine's own."""
    ray.init(address="local", num_cpus=2, include_dashboard=False, object_store_memory=2 * 10**8)
    tq.init(compose(model[0]).transfer_queue)
    yield
    tq.close()
    ray.shutdown()


async def work(config: Any, tokenizer: Any, tasks: Any) -> None:
    """Let verl's worker play a group of each task."""
    worker = AgentLoopWorkerTQ.__ray_metadata__.modified_class(config, Server(tokenizer))
    rows = collate_fn(list(tasks))
    rows["uid"] = np.array([f"task{number}" for number in range(len(tasks))], dtype=object)
    batch = tensordict_utils.get_tensordict(rows)
    tensordict_utils.assign_non_tensor_data(batch, "global_steps", VERSION)
    await worker.generate_sequences(batch)
    await asyncio.gather(*worker.background_tasks)


def drained() -> dict[str, dict[str, Any]]:
    """Return the tags of what is in the queue."""
    return dict(tq.kv_list().get("train", {}))


@pytest.mark.usefixtures("queue")
def test_all_rows_of_an_episode_have_one_advantage_and_a_group_one_mean(
    model: tuple[str, Any], tasks: Any
) -> None:
    config = compose(model[0])
    asyncio.run(work(config, model[1], tasks))
    tags = drained()
    assert [tags.pop(f"task{number}")["status"] for number in range(3)] == ["finished"] * 3
    batch = tq.KVBatchMeta(keys=list(tags), tags=list(tags.values()), partition_id="train", extra_info={})
    trainer = SimpleNamespace(config=config)
    PPOTrainer._compute_old_log_prob(trainer, batch, {})
    PPOTrainer._compute_advantage(trainer, batch, {})
    data = tq.kv_batch_get(keys=batch.keys, partition_id="train")
    rewards: dict[str, dict[str, set[float]]] = {}
    advantages: dict[str, dict[str, set[float]]] = {}
    for number, key in enumerate(batch.keys):
        task, session, _ = key.split("_")
        reward, advantage = data["rm_scores"][number], data["advantages"][number]
        rewards.setdefault(task, {}).setdefault(session, set()).add(float(reward.sum()))
        advantages.setdefault(task, {}).setdefault(session, set()).update(advantage.tolist())
        assert len(advantage) == len(data["responses"][number]) == batch.tags[number]["response_len"]
        assert batch.tags[number]["min_global_steps"] == VERSION
    for task, group in rewards.items():
        assert sorted(group) == [str(session) for session in range(GROUP)]
        own = {session: score for session, (score,) in group.items()}
        mean = sum(own.values()) / GROUP
        for session, score in own.items():
            (advantage,) = advantages[task][session]
            assert advantage == pytest.approx(score - mean, abs=1e-6)
    assert any(len(set.union(*group.values())) > 1 for group in rewards.values()), "a group has no variance"
    tq.kv_clear(keys=list(drained()), partition_id="train")


@pytest.mark.usefixtures("queue")
def test_a_prompt_is_never_cut_to_the_limit(model: tuple[str, Any], tasks: Any) -> None:
    asyncio.run(work(compose(model[0], "data.max_prompt_length=900"), model[1], tasks))
    tags = drained()
    assert {tags.pop(f"task{number}")["status"] for number in range(3)} == {"failure"}, (
        "a first prompt is over"
    )
    assert not tags
    tq.kv_clear(keys=list(drained()), partition_id="train")


def test_the_example_runs(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, EXAMPLE],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "generated data; the policy is a script" in done.stdout
    assert done.stdout.count("advantage") == 16
    assert "advantage -0." in done.stdout
