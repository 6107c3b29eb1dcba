"""SkyRL's rollouts: a dataset's rows, an environment for each rollout, and the training rows that come of them.

    pip install 'atommem_env[skyrl]'
    python examples/trainers/skyrl_rollout.py

Writes a dataset as SkyRL reads it, plays a group of rollouts of each row in threads, as SkyRL's generator does with
``generator.step_wise_trajectories=true``, and prints the returns, the advantages and the averaged metrics. The data is
generated, and the policy is scripted: it forgets other documents in each rollout. skyrl_train.sh is the command
that trains.
"""

import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import pyarrow.parquet as pq
import skyrl_gym
from skyrl_gym.metrics import aggregate_for_environment

from atommem_env.integrations.skyrl import dataset_rows, register, write_dataset
from scripted_policy import ScriptedPolicy

GROUP = 4
SMALL = {"source": "generated", "num_docs": 20, "num_questions": 4, "chunk_tokens": 512, "chunk_overlap": 32}


def rollout(row, policy):
    """Return an episode's training rows (messages and answer), its return, and its metrics."""
    extras = {name: value for name, value in row.items() if name not in ("prompt", "env_class")}
    # SkyRL's generator adds these two: its setting generator.max_turns, and the mode of ContextResetGenerator.
    extras |= {"max_turns": 200, "prompt_mode": "reset"}
    env = skyrl_gym.make(row["env_class"], env_config={}, extras=extras)
    messages, _ = env.init(row["prompt"])
    steps, total, done = [], 0.0, False
    while not done:
        text = policy(messages)
        steps.append((messages, text))
        output = env.step(text)
        messages, done = output["observations"], output["done"]
        total += output["reward"]
    metrics = env.get_metrics()
    env.close()
    return steps, total, metrics


register()
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder, "train.parquet")
    write_dataset(path, dataset_rows("AtomMem-HotpotQA-v0", range(3), **SMALL))
    print(f"{path.name}: {path.stat().st_size:,} bytes, columns {', '.join(pq.read_schema(path).names)}")
    rows = pq.read_table(path).to_pylist()
print(f"data: {rows[0]['source']} (generated, no benchmark); the policy is scripted, there is no model\n")

everything = []
with ThreadPoolExecutor(GROUP) as pool:
    for row in rows:
        policies = [ScriptedPolicy(row["protocol"], forget=0.4, seed=seed) for seed in range(GROUP)]
        group = list(pool.map(lambda policy, row=row: rollout(row, policy), policies))
        returns = [total for _, total, _ in group]
        advantages = ", ".join(f"{total - sum(returns) / GROUP:+.2f}" for total in returns)
        print(f"task {row['task_index']}: {sum(len(steps) for steps, _, _ in group)} training rows, ", end="")
        print(f"returns {returns}, advantages {advantages}")
        everything += [metrics for _, _, metrics in group]

averaged = aggregate_for_environment("atommem", everything)
print(
    "\nSkyRL logs under environment/: " + ", ".join(f"{name} {value:.2f}" for name, value in averaged.items())
)
