"""MaskablePPO on memory operations as a fixed number of actions; then the same policy without torch.

    pip install 'atommem_env[sb3]'
    OMP_NUM_THREADS=1 python examples/trainers/sb3_maskable_ppo.py                  # under a minute
    OMP_NUM_THREADS=1 python examples/trainers/sb3_maskable_ppo.py --policy mlp     # a perceptron over the same
    OMP_NUM_THREADS=1 python examples/trainers/sb3_maskable_ppo.py --decisions 50000 --tensorboard runs/tb

The generated world: 40 documents of which 6 can be kept, two questions. The reward for training is the change, at
each choice, in the share of the evidence that the entries hold; what is reported is what the best actions keep on
tasks that were not trained on. One torch thread: for networks this small more are slower.
"""

import argparse
import tempfile
from pathlib import Path

import gymnasium as gym
import numpy as np
import torch
from sb3_contrib import MaskablePPO
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv

import atommem_env
from atommem_env import DiscreteOperations
from atommem_env.baselines import make_policy
from atommem_env.baselines.engines.engine import get_engine
from atommem_env.integrations.sb3 import SlotPolicy, to_network

EPISODES = 10
ENGINE = "world"  # it answers from what the entries say, and needs no model


def world(split):
    return gym.make(
        "AtomMem-World-v0", split=split, num_docs=40, num_questions=2, capacity=6, entry_tokens=256
    )


def mean(metrics, stage):
    """Return the share of the evidence that reached a stage of the funnel, over all questions."""
    return np.mean([question["evidence"][stage] for one in metrics for question in one["questions"]])


def play(model):
    """Return the metrics of episodes in which the best action is taken each time."""
    env = DiscreteOperations(world("validation"), answer=get_engine(ENGINE).answer)
    metrics = []
    for index in range(EPISODES):
        observation, _ = env.reset(options={"task_index": index})
        over = False
        while not over:
            action, _ = model.predict(observation, action_masks=env.action_masks(), deterministic=True)
            observation, _, terminated, truncated, info = env.step(int(action))
            over = terminated or truncated
        metrics.append(info["metrics"])
    return metrics


def replay(model):
    """Return the metrics of the same network, in NumPy, as a policy on the environment as it is."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.npz"
        to_network(model.policy).save(path)
        policy = make_policy("learned", engine=ENGINE, checkpoint=path)
    env = world("validation")
    return [
        atommem_env.rollout(env, policy, options={"task_index": index}).metrics for index in range(EPISODES)
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--policy", choices=("slots", "mlp"), default="slots", help="the slot network, or a perceptron"
    )
    parser.add_argument("--decisions", type=int, default=8192, help="choices to train on")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tensorboard", help="a folder for TensorBoard")
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    envs = DummyVecEnv(
        [lambda: Monitor(DiscreteOperations(world("train"), reward="evidence")) for _ in range(4)]
    )
    model = MaskablePPO(
        SlotPolicy if arguments.policy == "slots" else "MultiInputPolicy",
        envs,
        n_steps=256,
        batch_size=256,
        n_epochs=4,
        learning_rate=1e-3,
        gamma=1.0,
        ent_coef=0.01,
        seed=arguments.seed,
        tensorboard_log=arguments.tensorboard,
    )
    before = play(model)
    print(
        f"before training: kept {mean(before, 'kept'):.2f}, read {mean(before, 'read'):.2f} of the evidence"
    )
    model.learn(arguments.decisions)
    returns = [episode["r"] for episode in model.ep_info_buffer]
    print(f"{model.num_timesteps} decisions, mean return of the last episodes {np.mean(returns):.2f}")
    after = play(model)
    print(f"after training: kept {mean(after, 'kept'):.2f}, read {mean(after, 'read'):.2f} of the evidence")
    if arguments.policy == "slots":
        print(f"as the policy 'learned', without torch: the same episodes are {replay(model) == after}")


if __name__ == "__main__":
    main()
