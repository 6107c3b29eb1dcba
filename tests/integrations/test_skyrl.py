"""The SkyRL adapter where SkyRL is not installed: its episodes, its rows, and what its generator adds."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.parquet as pq
import pytest
from gymnasium.error import ResetNeeded

from atommem_env.integrations import skyrl as adapter
from atommem_env.integrations.skyrl import SkyRLEpisode, dataset_rows, write_dataset
from atommem_env.integrations.skyrl import trainer as skyrl_trainer
from atommem_env.integrations.skyrl.trainer import ContextReset
from atommem_env.integrations.text_episode import TextEpisode, row_episode
from scripted_policy import ScriptedPolicy

SMALL: dict[str, Any] = {"num_docs": 10, "num_questions": 2, "chunk_tokens": 400, "chunk_overlap": 20}


def row(index: int = 9, **arguments: Any) -> dict[str, Any]:
    return next(dataset_rows("AtomMem-World-v0", [index], **{**SMALL, **arguments}))


def play(env: SkyRLEpisode, policy: Any) -> tuple[float, int]:
    """Drive ``env`` as SkyRL does; return the sum of the rewards and the number of steps."""
    messages, _ = env.init([])
    total, steps, done = 0.0, 0, False
    while not done:
        output = env.step(policy(messages))
        if env._options["prompt_mode"] == "reset":
            messages = output["observations"]
        else:
            messages = [*messages, *output["observations"]]
        total, steps, done = total + output["reward"], steps + 1, output["done"]
    assert output["observations"] == []
    return total, steps


@pytest.mark.parametrize("prompt_mode", ["reset", "append"])
@pytest.mark.parametrize("protocol", ["atommem", "json"])
def test_an_episode_is_that_of_the_port(prompt_mode: str, protocol: str) -> None:
    made = row(protocol=protocol)
    env = SkyRLEpisode({"prompt_mode": prompt_mode}, {**made, "max_turns": 1})
    direct = row_episode(made, protocol=protocol, prompt_mode=prompt_mode).play(ScriptedPolicy(protocol), 9)
    assert play(env, ScriptedPolicy(protocol)) == (direct.episode_return, len(direct.turns))
    assert env.get_metrics() == direct.scores()
    assert direct.episode_return > 0


def test_a_step_says_what_a_text_did_and_nonsense_is_data() -> None:
    env = SkyRLEpisode(None, {**row(), "prompt_mode": "reset"})
    messages, told = env.init([])
    assert messages == row()["prompt"]
    assert told["task_index"] == 9
    output = env.step("<create_memory>a note</create_memory><delete_memory>x</delete_memory> \ud800")
    assert set(output) == {"observations", "reward", "done", "metadata", "postprocessed_action"}
    assert (output["reward"], output["done"], output["postprocessed_action"]) == (0.0, False, None)
    assert output["metadata"]["operations"] == [{"op": "create", "content": "a note"}]
    assert len(output["metadata"]["malformed"]) == 1
    assert output["metadata"]["results"][0]["ok"]
    assert [message["role"] for message in output["observations"]] == ["user"]
    json.dumps(output)


def test_every_text_comes_to_an_end_within_max_turns() -> None:
    env = SkyRLEpisode({}, row())
    _, steps = play(env, lambda messages: "<read_memory>a look</read_memory>, and nonsense <answer>")
    assert steps == env.max_turns
    metrics = env.get_metrics()
    assert (metrics["em"], metrics["steps"]) == (0.0, steps)


def test_skyrls_max_turns_ends_an_episode_and_its_default_does_not() -> None:
    def steps(max_turns: int, **arguments: Any) -> int:
        return play(SkyRLEpisode(None, {**row(**arguments), "max_turns": max_turns}), ScriptedPolicy())[1]

    whole = steps(1)
    assert whole > 3
    assert steps(3) == 3
    assert steps(3, max_steps=2) == steps(1, max_steps=2) == 2
    assert steps(1000) == whole


def test_the_rollouts_of_a_row_are_of_one_task() -> None:
    made = row()
    envs = [SkyRLEpisode(None, dict(made)) for _ in range(3)]
    shown = [env.init([]) for env in envs]
    assert shown[0] == shown[1] == shown[2]
    assert len({play(env, ScriptedPolicy(forget=0.4, seed=seed)) for seed, env in enumerate(envs)}) > 1


def test_an_episode_that_is_given_up_has_metrics_so_far() -> None:
    env = SkyRLEpisode(None, row())
    assert env.get_metrics() == {}
    with pytest.raises(ResetNeeded, match="before init"):
        env.step("")
    env.init([])
    env.step("<create_memory>a note</create_memory>")
    env.close()
    env.close()
    assert (env.get_metrics()["em"], env.get_metrics()["num_create"]) == (0.0, 1.0)


def test_what_is_no_row_and_what_is_no_option_is_refused() -> None:
    with pytest.raises(ValueError, match="the row has no env, env_arguments"):
        SkyRLEpisode(None, {"task_index": 3}).init([])
    with pytest.raises(ValueError, match="env_config has num_docs"):
        SkyRLEpisode({"num_docs": 3}, row())


def test_rows_are_written_as_parquet_and_read_back(tmp_path: Path) -> None:
    made = list(
        dataset_rows(["AtomMem-World-v0", "AtomMem-HotpotQA-v0"], [0, 1], source="generated", **SMALL)
    )
    assert write_dataset(tmp_path / "train.parquet", made) == 4
    assert pq.read_table(tmp_path / "train.parquet").to_pylist() == made
    assert {each["env_class"] for each in made} == {"atommem"}
    assert all("generated" in each["data_source"] for each in made)
    with pytest.raises(ValueError, match=r"ends in \.parquet"):
        write_dataset(tmp_path / "train.csv", made)
    with pytest.raises(ValueError, match="no rows"):
        write_dataset(tmp_path / "none.parquet", [])


class Generator:
    """Stands where SkyRL's generator does, under what the adapter adds."""

    def __init__(self, generator_cfg: Any) -> None:
        self.cfg = generator_cfg


class Resetting(ContextReset, Generator):
    pass


def test_the_generator_puts_the_next_prompt_in_the_place_of_the_conversation() -> None:
    generator = Resetting(SimpleNamespace(step_wise_trajectories=True))
    history = [{"role": "user", "content": "first"}]
    held = history
    following = [{"role": "user", "content": "second"}]
    assert generator._update_chat_history(history, "an answer", following) is held
    assert held == following
    assert generator.get_obs_ids_from_obs(following, False) == []


def test_the_generator_refuses_what_it_would_spoil() -> None:
    with pytest.raises(ValueError, match="step_wise_trajectories=False"):
        Resetting(SimpleNamespace(step_wise_trajectories=False))
    generator = Resetting(SimpleNamespace(step_wise_trajectories=True))
    assert generator._setup_env_extras("atommem", row(), None, None) == {**row(), "prompt_mode": "reset"}
    with pytest.raises(ValueError, match="env_class='gsm8k'"):
        generator._setup_env_extras("gsm8k", row(), None, None)
    with pytest.raises(ValueError, match="reward_timing='immediate'"):
        generator._setup_env_extras("atommem", row(reward_timing="immediate"), None, None)


@pytest.mark.skipif(importlib.util.find_spec("skyrl_gym") is not None, reason="skyrl-gym is installed")
def test_a_missing_library_is_named_with_its_extra() -> None:
    with pytest.raises(ImportError, match=r"atommem_env\[skyrl\]"):
        adapter.register()
    with pytest.raises(ImportError, match=r"atommem_env\[skyrl\]"):
        _ = adapter.AtomMemEnv
    with pytest.raises(ImportError, match=r"skyrl\[fsdp\]"):
        _ = skyrl_trainer.ContextResetGenerator
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = adapter.nothing


def test_the_episode_of_another_protocol_is_told_by_the_row() -> None:
    made = row(protocol="json")
    assert SkyRLEpisode(None, made).init([])[0] == TextEpisode(
        "AtomMem-World-v0", protocol="json", prompt_mode="append", **SMALL
    ).reset(9)
