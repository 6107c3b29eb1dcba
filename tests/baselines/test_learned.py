"""The learned policy: its checkpoint, and that it chooses as the network does in ``DiscreteOperations``."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from atommem_env import DiscreteOperations, QADataset, rollout
from atommem_env.baselines import make_policy
from atommem_env.baselines.engines.engine import get_engine
from atommem_env.baselines.learned import BLIND_CHECKPOINT, CHECKPOINT, Learned
from atommem_env.core.operations import to_dict
from atommem_env.discrete.decisions import STATE_FEATURES
from atommem_env.discrete.network import BLIND_INPUTS, INPUTS, Network
from atommem_env.evidence import mean_share
from small_data import chats, dataset

DATA = dataset()
SMALL: dict[str, Any] = {
    "source": DATA, "num_docs": 40, "num_questions": 3, "chunk_tokens": 300, "capacity": 5,
}  # fmt: skip

CHATS: dict[str, Any] = {
    "source": QADataset.from_histories(chats(3), name="chats"), "num_docs": None, "num_questions": None,
    "chunk_tokens": 60, "entry_tokens": 30,
}  # fmt: skip


def make(**kwargs: Any) -> gym.Env[Any, Any]:
    return gym.make("AtomMem-Custom-v0", **{**SMALL, **kwargs})


def weights(seed: int = 0, inputs: int = INPUTS) -> dict[str, Any]:
    generator = np.random.default_rng(seed)
    shapes = {"text.0": (8, inputs), "text.1": (8, 8), "text.2": (1, 8), "bias": (5, len(STATE_FEATURES))}
    return {
        name: value
        for layer, shape in shapes.items()
        for name, value in (
            (f"{layer}.weight", generator.normal(size=shape)),
            (f"{layer}.bias", generator.normal(size=shape[0])),
        )
    }


# --- the checkpoint that comes with the package -----------------------------------------------------


@pytest.mark.parametrize("path", [CHECKPOINT, BLIND_CHECKPOINT], ids=["questions shown", "unseen"])
def test_a_shipped_checkpoint_is_small_and_tells_what_it_was_trained_on(path: Path) -> None:
    assert path.stat().st_size < 100_000
    about = Network.load(path).about
    assert about["trained_on"]
    assert all(source.startswith("generated:") for source in about["trained_on"]), "generated data alone"
    assert {"seed", "decisions", "phase", "version"} <= set(about)


@pytest.mark.heavy
def test_it_keeps_more_of_the_generated_worlds_evidence_than_keep_best() -> None:
    env = gym.make(
        "AtomMem-World-v0", num_docs=100, num_questions=4, capacity=10, revisions=0.5, split="test"
    )
    read = {
        name: np.mean(
            [
                question["evidence"]["read"]
                for index in range(6)
                for question in rollout(
                    env, make_policy(name), options={"task_index": index}
                ).metrics["questions"]
            ]
        )
        for name in ("learned", "keep-best")
    }  # fmt: skip
    assert read["learned"] > read["keep-best"]


@pytest.mark.heavy
def test_it_keeps_more_of_what_chats_are_asked_for_later_than_a_fair_sample() -> None:
    env = gym.make("AtomMem-Chat-v0", histories=2, capacity=20)
    kept = {
        name: np.mean(
            [
                mean_share(rollout(env, make_policy(name), options={"task_index": index}).metrics, "kept")
                for index in range(2)
            ]
        )
        for name in ("learned", "reservoir")
    }
    assert kept["learned"] > 2 * kept["reservoir"] > 0


def test_the_choices_with_the_questions_in_view_are_those_of_the_version_before() -> None:
    reading = [
        [operation for operation in action if operation["op"] != "answer"]
        for index in range(4)
        for action in rollout(make(), make_policy("learned"), options={"task_index": index}).actions
    ]
    assert hashlib.sha256(json.dumps(reading).encode()).hexdigest()[:16] == "b30bd39bdc075c0e"


def test_a_checkpoint_that_sees_the_questions_is_refused_where_they_are_not_shown() -> None:
    env = make(questions_shown="when_asked")
    with pytest.raises(ValueError, match="questions_shown='always'"):
        rollout(env, Learned(checkpoint=CHECKPOINT))
    policy = make_policy("learned")
    for arguments in ({"questions_shown": "when_asked"}, {}):  # one policy takes the network that fits
        old = rollout(make(**arguments), policy, options={"task_index": 0})
        assert (
            old.actions
            == rollout(make(**arguments), make_policy("learned"), options={"task_index": 0}).actions
        )


@pytest.mark.heavy
def test_it_needs_no_torch() -> None:
    code = (
        "import sys; from atommem_env.baselines import make_policy; make_policy('learned'); "
        "sys.exit(any(name in sys.modules for name in ('torch', 'stable_baselines3')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# --- the same choices in the environment as it is ---------------------------------------------------


@pytest.mark.heavy
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"num_questions": 1},
        {"entry_tokens": 20},
        {"operations": ("create", "read", "update", "answer")},
        CHATS,
    ],
    ids=["as it is", "one question", "small entries", "no delete", "questions unseen"],
)
@pytest.mark.parametrize("checkpoint", ["shipped", "drawn"])
def test_it_does_what_the_network_chooses_in_the_wrapper(
    checkpoint: str, arguments: dict[str, Any], tmp_path: Path
) -> None:
    path = BLIND_CHECKPOINT if arguments is CHATS else CHECKPOINT
    if checkpoint == "drawn":
        path = tmp_path / "drawn.npz"
        blind = arguments is CHATS
        Network(weights(inputs=BLIND_INPUTS if blind else INPUTS), {"blind": blind}).save(path)
    network, policy = Network.load(path), Learned(checkpoint=path)
    env = DiscreteOperations(make(**arguments), answer=get_engine("rules").answer, queries=network.queries)
    env.decisions.look = network.about.get("look_of_one") if arguments.get("num_questions") == 1 else None
    for index in range(3):
        chosen: list[Any] = []
        view, _ = env.reset(options={"task_index": index})
        over = False
        while not over:
            view, _, over, _, info = env.step(network.choose(view, env.action_masks()))
            chosen += [info["operations"]] if "operations" in info else []
        trace = rollout(make(**arguments), policy, options={"task_index": index})
        assert [[to_dict(operation) for operation in action] for action in trace.actions] == chosen
        assert trace.metrics == info["metrics"]


def test_one_policy_plays_episode_after_episode_as_a_new_one_does() -> None:
    policy = make_policy("learned")
    for index in (0, 1, 0):
        old = rollout(make(), policy, options={"task_index": index})
        assert old.actions == rollout(make(), make_policy("learned"), options={"task_index": index}).actions


@pytest.mark.parametrize(
    ("capacity", "slots", "most"), [(None, None, 20), (None, 7, 7), (5, 7, 5), (5, 3, 3)]
)
def test_it_keeps_at_most_so_many_entries(capacity: int | None, slots: int | None, most: int) -> None:
    trace = rollout(make(capacity=capacity, num_questions=6), Learned(slots=slots), options={"task_index": 0})
    assert trace.metrics["memory_peak"] <= most
    assert sum(trace.metrics["refused"].values()) == 0


@pytest.mark.parametrize(
    ("questions", "look", "left"), [(1, None, 10), (1, 8, 8), (1, 14, 14), (4, None, 20), (4, 8, 20)]
)
def test_a_single_question_has_ten_entries_left_and_looked_for(
    questions: int, look: int | None, left: int
) -> None:
    env = make(num_questions=questions, num_docs=40, capacity=20)
    trace = rollout(env, Learned(look=look), options={"task_index": 0})
    (first, *_) = [read for action in trace.actions for read in action if read["op"] == "read"]
    assert first.get("k") == (look or (10 if questions == 1 else None))
    assert trace.metrics["memory_size"] == left


def test_a_look_is_for_1_to_32_entries() -> None:
    with pytest.raises(ValueError, match="look"):
        Learned(look=33)


# --- bad checkpoints --------------------------------------------------------------------------------


def test_a_checkpoint_survives_being_written_and_read(tmp_path: Path) -> None:
    network = Network(weights(), {"seed": 7, "queries": ["question"]})
    network.save(tmp_path / "a.npz")
    again = Network.load(tmp_path / "a.npz")
    assert again.about["seed"] == 7
    view, masks = sample()
    np.testing.assert_array_equal(again.scores(view), network.scores(view))
    assert again.choose(view, masks) == network.choose(view, masks)


def sample() -> tuple[Any, Any]:
    env = DiscreteOperations(make())
    view, _ = env.reset(seed=0)
    return view, env.action_masks()


def test_no_checkpoint_is_an_error_that_names_the_path(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("not a checkpoint")
    for name in ("none.npz", "text.npz"):
        with pytest.raises(ValueError, match=rf"{name}.*expected an npz file of this package"):
            Learned(checkpoint=tmp_path / name)


def test_a_checkpoint_of_other_features_says_that_it_must_be_trained_again(tmp_path: Path) -> None:
    about = np.frombuffer(json.dumps({"features": ["score"]}).encode(), np.uint8)
    np.savez(tmp_path / "old.npz", about=about, **weights())
    with pytest.raises(ValueError, match="other features than this version's: train it again"):
        Learned(checkpoint=tmp_path / "old.npz")


def test_weights_that_are_missing_or_do_not_fit_are_named() -> None:
    some = weights()
    del some["text.1.bias"]
    with pytest.raises(ValueError, match=r"without text\.1\.bias"):
        Network(some)
    with pytest.raises(ValueError, match=f"takes 3 features of a text.*this version gives {INPUTS}"):
        Network({**weights(), "text.0.weight": np.zeros((8, 3))})


@pytest.mark.parametrize("slots", [0, -1])
def test_slots_are_at_least_one(slots: int) -> None:
    with pytest.raises(ValueError, match="slots"):
        Learned(slots=slots)
