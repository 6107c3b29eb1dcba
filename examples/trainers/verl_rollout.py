"""verl: the dataset, the agent loop with context resets, and the advantages that its rows are given.

    python examples/trainers/verl_rollout.py

Writes a small dataset, reads it with verl's own class, composes verl's own configuration, and plays a group of four
rollouts of each task in the agent loop that verl_agent_loop.yaml names. A script sits where verl's inference server
would, since that needs a GPU; tokens are those of a tiny tokenizer made on the spot, and the data is generated. Prints
the rows of each rollout, one per step, and the advantage that verl's GRPO gives to all of them.
"""

import asyncio
import os
import tempfile
from pathlib import Path

os.environ.update(HF_HUB_OFFLINE="1", OMP_NUM_THREADS="1", VERL_LOGGING_LEVEL="ERROR")

import hydra
import numpy as np
import torch
from omegaconf import OmegaConf
from verl import DataProto
from verl.experimental.agent_loop.agent_loop import DictConfigWrap
from verl.trainer.ppo.v1.utils import compute_advantage_for_multi_trajectories
from verl.utils.dataset.rl_dataset import RLHFDataset
from verl.workers.rollout.replica import TokenOutput

from atommem_env.integrations.verl import write_dataset
from scripted_policy import ScriptedPolicy
from tiny_model import make_tiny_model

GROUP = 4
LOOPS = Path(__file__).with_name("verl_agent_loop.yaml")
SETTINGS = [
    "actor_rollout_ref.rollout.name=vllm",
    f"actor_rollout_ref.rollout.agent.agent_loop_config_path={LOOPS}",
    f"actor_rollout_ref.rollout.n={GROUP}",
    "algorithm.adv_estimator=grpo",
    "algorithm.norm_adv_by_std_in_grpo=False",
    "data.max_prompt_length=4096",
    "data.max_response_length=2048",
]


class ScriptedServer:
    """Answers as verl's inference server does, with a script that forgets half of the documents."""

    def __init__(self, tokenizer, seed):
        self.tokenizer = tokenizer
        self.policy = ScriptedPolicy(forget=0.5, seed=seed)

    async def generate(self, request_id, *, prompt_ids, sampling_params, **_):
        prompt, _, _ = self.tokenizer.decode(prompt_ids).rpartition(self.tokenizer.eos_token)
        text = self.policy([{"role": "user", "content": prompt}])
        token_ids = [*self.tokenizer.encode(text), self.tokenizer.eos_token_id]
        return TokenOutput(token_ids=token_ids, log_probs=[0.0] * len(token_ids))


async def roll_out(row, config, tokenizer):
    """Play a group of the row's task, as verl's worker does it; a list of outputs for each rollout."""
    (named,) = [loop for loop in OmegaConf.load(LOOPS) if loop.name == row["agent_name"]]
    loops = [
        hydra.utils.instantiate(
            named,
            trainer_config=DictConfigWrap(config),
            server_manager=ScriptedServer(tokenizer, seed),
            tokenizer=tokenizer,
            processor=None,
            dataset_cls=RLHFDataset,
            data_config=DictConfigWrap(config.data),
            hf_model_type="qwen3",
        )
        for seed in range(GROUP)
    ]
    return await asyncio.gather(*(loop.run({"temperature": 1.0}, **row) for loop in loops))


def advantages(rollouts, config):
    """Return what verl's GRPO gives to the rows of a group, a list for each rollout."""
    keys, scores, masks = [], [], []
    for session, outputs in enumerate(rollouts):
        for index, output in enumerate(outputs):
            keys.append(f"task_{session}_{index}")
            scores.append(torch.zeros(len(output.response_ids)))
            scores[-1][-1] = outputs[-1].reward_score  # verl copies it to all rows
            masks.append(torch.tensor(output.response_mask))
    scores, masks = (torch.nn.utils.rnn.pad_sequence(part, batch_first=True) for part in (scores, masks))
    uids = np.array(["task"] * len(keys), dtype=object)
    data = DataProto.from_dict({"token_level_rewards": scores, "response_mask": masks}, {"uid": uids})
    algorithm = config.algorithm
    data = compute_advantage_for_multi_trajectories(
        data,
        batch_keys=keys,
        adv_estimator=algorithm.adv_estimator,
        norm_adv_by_std_in_grpo=algorithm.norm_adv_by_std_in_grpo,
    )
    given = iter(data.batch["advantages"][:, 0].tolist())
    return [[next(given) for _ in outputs] for outputs in rollouts]


with hydra.initialize_config_module("verl.trainer.config", version_base=None):
    config = hydra.compose("ppo_trainer", overrides=SETTINGS)
_, tokenizer = make_tiny_model()

with tempfile.TemporaryDirectory() as folder:
    path = f"{folder}/train.parquet"
    write_dataset(
        path,
        ["AtomMem-HotpotQA-v0", "AtomMem-MuSiQue-v0"],
        range(2),
        source="generated",
        split="train",
        num_docs=20,
        num_questions=2,
        chunk_tokens=512,
    )
    dataset = RLHFDataset(path, tokenizer, config.data)

print(f"{len(dataset)} tasks of generated data; the policy is a script, the tokenizer tiny")
for row in dataset:
    print(f"{row['data_source']}, task {row['extra_info']['task_index']}")
    rollouts = asyncio.run(roll_out(row, config, tokenizer))
    for outputs, given in zip(rollouts, advantages(rollouts, config), strict=True):
        prompts = [len(output.prompt_ids) for output in outputs]
        written = sum(len(output.response_ids) for output in outputs)
        assert len(set(given)) == 1, "the rows of an episode have one advantage"
        print(
            f"  reward {outputs[-1].reward_score:.2f}, advantage {given[0]:+.3f} for each of its {len(outputs)} rows: "
            f"prompts of {min(prompts)} to {max(prompts)} tokens, {written} tokens written"
        )
