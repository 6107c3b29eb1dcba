"""GRPO's rollouts in GEM: a vector of environments plays groups, each of them on one task.

    pip install 'atommem_env[gem]'
    python examples/trainers/gem_rollout.py

Prints, for each task, the returns of its group and their advantages. The data is generated, and the policy is
scripted: it forgets other documents in each rollout, so that the returns of a group differ.
"""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import gem

from atommem_env.integrations.gem import register
from scripted_policy import ScriptedPolicy

GROUP = 4
SMALL = {"source": "generated", "num_docs": 20, "num_questions": 4, "chunk_tokens": 512, "chunk_overlap": 32}

register()
policies = [ScriptedPolicy(forget=0.4, seed=seed) for seed in range(GROUP)]

for task_index in range(3):
    # One vector per task: its index is an argument, so all environments of the group, and their next episodes, have it.
    envs = gem.make_vec(["atommem:HotpotQA-v0"] * GROUP, task_index=task_index, **SMALL)
    observations, infos = envs.reset()
    if task_index == 0:
        print(
            f"\ndata: {infos[0]['source']} (generated, no benchmark); the policy is scripted, there is no model\n"
        )

    returns = [0.0] * GROUP
    running = set(range(GROUP))
    steps = 0
    while running:
        # An observation is a complete prompt: a model needs no history. Environments that are done are left alone.
        texts = {
            index: policies[index]([{"role": "user", "content": observations[index]}])
            for index in sorted(running)
        }
        shown, rewards, terminated, truncated, infos = envs.step(texts)
        steps += len(texts)
        for place, index in enumerate(texts):
            observations[index] = shown[place]
            returns[index] += float(rewards[place])
            if terminated[place] or truncated[place]:
                running.remove(index)

    mean = sum(returns) / GROUP
    advantages = ", ".join(f"{value - mean:+.2f}" for value in returns)
    print(f"task {task_index}: {steps} steps, returns {returns}, advantages {advantages}\n")
