"""Stable-Baselines3 trains on ``DiscreteOperations``; run with ``-m trainer -n 0`` where it is installed."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import trainers
from atommem_env import DiscreteOperations
from atommem_env.baselines.engines.engine import get_engine
from atommem_env.baselines.learned import Learned
from atommem_env.discrete.network import Network
from atommem_env.discrete.training import play
from atommem_env.policies import rollout
from small_data import dataset

pytestmark = trainers.pytestmark
sb3_contrib = trainers.library("sb3_contrib")
torch = trainers.library("torch")
torch.set_num_threads(1)

from stable_baselines3.common.env_checker import check_env  # noqa: E402

from atommem_env.integrations.sb3 import SlotPolicy, load_network, to_network  # noqa: E402

TRAIN = Path(__file__).resolve().parents[2] / "examples" / "learned_memory" / "train.py"


def make(**kwargs: Any) -> DiscreteOperations:
    env = gym.make(
        "AtomMem-Custom-v0", source=dataset(), capacity=4, num_docs=12, num_questions=2, chunk_tokens=150
    )
    return DiscreteOperations(env, **{"reward": "read", **kwargs})


def trained(policy: Any, env: DiscreteOperations, decisions: int = 256) -> Any:
    model = sb3_contrib.MaskablePPO(policy, env, n_steps=64, batch_size=32, n_epochs=2, seed=0, device="cpu")
    return model.learn(decisions)


def views(env: DiscreteOperations, choose: Any, tasks: int = 6) -> list[tuple[dict[str, Any], Any]]:
    """Return what was seen and what was possible at each choice of some episodes."""
    seen = []

    def watching(view: Any, masks: Any) -> int:
        seen.append((view, masks))
        return int(choose(view, masks))

    for index in range(tasks):
        play(env, watching, index)
    return seen


def test_the_environment_passes_its_checker() -> None:
    check_env(make(), warn=True, skip_render_check=True)


@pytest.mark.parametrize("policy", ["MultiInputPolicy", SlotPolicy])
def test_it_trains_and_takes_possible_choices_only(policy: Any) -> None:
    env = make()
    model = trained(policy, env)
    assert model.num_timesteps >= 256

    def choose(view: Any, masks: Any) -> int:
        action, _ = model.predict(view, action_masks=masks, deterministic=True)
        assert masks[action]
        return int(action)

    assert play(env, choose, 0).metrics["refused"] == dict.fromkeys(
        play(env, choose, 0).metrics["refused"], 0
    )


@pytest.mark.parametrize("queries", [("question",), ("question", "bridge")])
def test_the_network_scores_as_the_policy_does(queries: tuple[str, ...]) -> None:
    env = make(queries=queries)
    policy = trained(SlotPolicy, env).policy
    network = to_network(policy, {"queries": list(queries)})
    generator = np.random.default_rng(0)
    seen = views(env, lambda _, masks: generator.choice(np.flatnonzero(masks)))
    assert len(seen) > 100
    batch = {key: torch.as_tensor(np.stack([view[key] for view, _ in seen])) for key in seen[0][0]}
    with torch.no_grad():
        expected = policy.features_extractor(batch)[:, : env.action_space.n].numpy()
    masks = np.stack([masks for _, masks in seen])
    found = np.stack([network.scores(view) for view, _ in seen])
    np.testing.assert_allclose(found[masks], expected[masks], atol=1e-5, rtol=1e-5)
    actions, _ = policy.predict(
        {key: np.stack([view[key] for view, _ in seen]) for key in seen[0][0]},
        deterministic=True,
        action_masks=masks,
    )
    agreed = [network.choose(view, mask) for view, mask in seen] == actions
    ties = np.sort(np.where(masks, found, -np.inf), axis=1)
    assert (agreed | (ties[:, -1] - ties[:, -2] < 1e-5)).all()


def test_a_checkpoint_scores_the_same_as_a_plain_policy(tmp_path: Path) -> None:
    env = make(reward="score", answer=get_engine("rules").answer)
    network = to_network(trained(SlotPolicy, env).policy)
    network.save(tmp_path / "mine.npz")
    policy = Learned(checkpoint=tmp_path / "mine.npz")
    for index in range(4):
        trace = rollout(env.unwrapped, policy, options={"task_index": index})
        assert trace.metrics == play(env, network.choose, index).metrics


def test_a_policy_takes_over_a_networks_weights() -> None:
    env = make()
    network = to_network(trained(SlotPolicy, env).policy)
    other = sb3_contrib.MaskablePPO(SlotPolicy, env, n_steps=64, seed=1, device="cpu").policy
    load_network(other, network)
    for name, values in to_network(other).weights.items():
        np.testing.assert_array_equal(values, network.weights[name])


# --- the training program ---------------------------------------------------------------------------

TINY = [
    "--data", "hotpotqa", "--data", "world-revisions", "--questions", "1", "3", "--docs", "24", "--decisions", "768",
    "--world-size", "40", "--warm-episodes", "12", "--held-out-tasks", "1", "--round", "256", "--steps", "128",
]  # fmt: skip


def train(*arguments: str) -> None:
    done = subprocess.run([sys.executable, TRAIN, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def progress(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "progress.jsonl").read_text(encoding="utf-8").splitlines()
    return [{key: value for key, value in json.loads(line).items() if key != "seconds"} for line in lines]


def weights(path: Path) -> dict[str, Any]:
    return Network.load(path).weights


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("training") / "out"
    train(*TINY, "--out", str(out))
    return out


def test_a_training_leaves_its_progress_and_checkpoints(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == {
        *("config.json", "progress.jsonl", "start.npz", "best.npz", "final.npz", "checkpoints", "tb")
    }
    records = progress(folder)
    assert [record["phase"] for record in records] == [*["warm-start"] * 2, *["rl"] * 3]
    decisions = [record["decisions"] for record in records]
    assert decisions == sorted(set(decisions))
    assert decisions[-1] - decisions[1] == 768
    assert records[-1]["label"] == "no scratchpad"
    assert records[-1]["train"]["operations_per_step"]["answer"] > 0
    assert set(records[-1]["held_out"]) == {"hotpotqa", "world-revisions"}
    about = Network.load(folder / "final.npz").about
    assert about["decisions"] == decisions[-1]
    assert all("[fit]" in source for source in about["trained_on"])


def test_a_round_that_was_lost_is_trained_again_to_the_same_weights(folder: Path, tmp_path: Path) -> None:
    stopped = tmp_path / "stopped"
    shutil.copytree(folder, stopped)
    for path in (stopped / "checkpoints").glob("step_000000768.*"):
        path.unlink()
    (stopped / "final.npz").unlink()
    train("--resume", str(stopped))
    assert progress(stopped) == progress(folder)
    for name, values in weights(stopped / "final.npz").items():
        np.testing.assert_array_equal(values, weights(folder / "final.npz")[name])


def test_an_interrupted_training_saves_and_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [
        sys.executable,
        str(TRAIN),
        *TINY,
        "--no-warm-start",
        "--decisions",
        "100000",
        "--out",
        str(out),
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        while not list(out.glob("checkpoints/step_000000256.zip")) and running.poll() is None:
            time.sleep(0.1)
        running.send_signal(signal.SIGINT)
        _, told = running.communicate()
    assert running.returncode == 1
    assert f"--resume {out}" in told
    config = json.loads((out / "config.json").read_text())
    done = max(int(path.stem.removeprefix("step_")) for path in out.glob("checkpoints/*.zip"))
    config["arguments"]["decisions"] = done + 256
    (out / "config.json").write_text(json.dumps(config))
    train("--resume", str(out))
    assert len(list(out.glob(f"checkpoints/step_{done + 256:09}.zip"))) == 1


def test_an_ablation_is_labelled_and_has_the_scratchpad_alone(tmp_path: Path) -> None:
    train(*TINY, "--no-storage", "--no-warm-start", "--decisions", "128", "--out", str(tmp_path / "out"))
    last = progress(tmp_path / "out")[-1]
    assert last["label"] == "no storage"
    assert last["train"] is None or last["train"]["operations_per_step"]["create"] == 0
