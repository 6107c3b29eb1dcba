"""RLlib's PPO on memory operations as a fixed number of actions, with what is not possible masked out.

    pip install 'atommem_env[rllib]'            # its own environment: RLlib pins gymnasium 1.2.2
    OMP_NUM_THREADS=1 python examples/trainers/rllib_ppo.py                 # two iterations, about a minute
    OMP_NUM_THREADS=1 python examples/trainers/rllib_ppo.py --iterations 40

The generated world: 40 documents of which 6 can be kept, two questions. The reward for training is the change, at
each choice, in the share of the evidence that the entries hold. A plain perceptron learns slowly; the slot network
of ``sb3_maskable_ppo.py`` has the structure that this one lacks.
"""

import argparse

import numpy as np
import ray
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.tune.registry import register_env

from atommem_env.integrations.rllib import MaskedModule, make_env

WORLD = {
    "id": "AtomMem-World-v0",
    "split": "train",
    "num_docs": 40,
    "num_questions": 2,
    "capacity": 6,
    "entry_tokens": 256,
    "discrete": {"reward": "evidence"},
}


def kept(module, episodes=10):
    """Return the share of the evidence that the best actions keep, on tasks that were not trained on."""
    env = make_env({**WORLD, "split": "validation"})
    shares = []
    for index in range(episodes):
        observation, _ = env.reset(options={"task_index": index})
        over = False
        while not over:
            observation, _, terminated, truncated, info = env.step(module.choose(observation))
            over = terminated or truncated
        shares += [question["evidence"]["kept"] for question in info["metrics"]["questions"]]
    return np.mean(shares)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--iterations", type=int, default=2, help="PPO iterations")
    parser.add_argument("--batch", type=int, default=1024, help="decisions per iteration")
    parser.add_argument("--runners", type=int, default=0, help="processes that collect; 0: this one")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    register_env("atommem", make_env)
    config = (
        PPOConfig()
        .environment("atommem", env_config=WORLD)
        .env_runners(num_env_runners=arguments.runners, num_envs_per_env_runner=4)
        .learners(num_learners=0)
        .rl_module(rl_module_spec=RLModuleSpec(module_class=MaskedModule, model_config={"hidden": 64}))
        .training(
            train_batch_size_per_learner=arguments.batch,
            minibatch_size=min(256, arguments.batch),
            num_epochs=4,
            lr=1e-3,
            gamma=1.0,
            entropy_coeff=0.01,
        )
        .debugging(seed=arguments.seed)
    )
    algorithm = config.build_algo()
    print(f"before training: kept {kept(algorithm.get_module()):.2f} of the evidence")
    for iteration in range(1, arguments.iterations + 1):
        result = algorithm.train()["env_runners"]
        print(
            f"iteration {iteration}: {int(result['num_env_steps_sampled_lifetime'])} decisions, "
            f"mean return {result['episode_return_mean']:.3f}"
        )
    print(f"after training: kept {kept(algorithm.get_module()):.2f} of the evidence (greedy, other tasks)")
    algorithm.stop()
    ray.shutdown()


if __name__ == "__main__":
    main()
