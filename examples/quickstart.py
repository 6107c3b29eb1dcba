"""One episode, step by step: a policy that stores every document and reads before it answers.

    python examples/quickstart.py                       # the generated world, no download
    python examples/quickstart.py hotpot_dev_distractor_v1.json

The answers come from rules that stand in for a language model, so look at the evidence funnel, not at the score.
"""

import sys

import gymnasium as gym

import atommem_env
from atommem_env.baselines import make_policy

source = sys.argv[1] if len(sys.argv) > 1 else "generated"
env = gym.make("AtomMem-HotpotQA-v0", source=source, num_docs=200, num_questions=4)
policy = make_policy("rag")

observation, info = env.reset(seed=0, options={"task_index": 0})
policy.reset(observation, info)
print(f"task {info['task_id']} from {info['source']}")
print(f"{observation['num_chunks']} chunks to read, {observation['num_questions']} questions to answer\n")

terminated = truncated = False
while not (terminated or truncated):
    action = policy.act(observation, info)
    observation, reward, terminated, truncated, info = env.step(action)
    counts = {}
    for operation in action:
        counts[operation.op] = counts.get(operation.op, 0) + 1
    done = ", ".join(f"{count} {kind}" for kind, count in counts.items()) or "nothing"
    print(
        f"step {env.unwrapped.metrics()['steps']}: {done}; memory holds {observation['memory_size']} entries"
    )

print()
for question in info["metrics"]["questions"]:
    verdict = "right" if question["em"] else "wrong"
    print(f"{question['question']}\n  {question['prediction']!r} is {verdict}; gold: {question['answers']}")
    found = {stage: share for stage, share in question["evidence"].items() if share is not None}
    stages = ", ".join(f"{stage} {share:.0%}" for stage, share in found.items())
    print(f"  evidence: {stages}")
print(f"\nreturn {reward:.2f} (engine: rules; atommem_env {atommem_env.__version__})")
