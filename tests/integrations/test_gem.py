"""The GEM adapter where GEM is not installed: the episodes behind its methods."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest
from gymnasium.error import InvalidAction, ResetNeeded

from atommem_env.integrations import gem as adapter
from atommem_env.integrations.gem import GemEpisodes
from atommem_env.integrations.text_episode import TextEpisode
from scripted_policy import ScriptedPolicy

SMALL: dict[str, Any] = {"num_docs": 10, "num_questions": 2, "chunk_tokens": 400, "chunk_overlap": 20}


def small(**options: Any) -> GemEpisodes:
    return GemEpisodes("AtomMem-World-v0", **{**SMALL, **options})


def play(env: GemEpisodes, observation: str) -> tuple[list[str], float, dict[str, Any]]:
    policy, shown, total, over = ScriptedPolicy(), [observation], 0.0, False
    info: dict[str, Any] = {}
    while not over:
        text = policy([{"role": "user", "content": shown[-1]}])
        observation, reward, terminated, truncated, info = env.step(text)
        shown.append(observation)
        total, over = total + reward, terminated or truncated
    return shown, total, info


def test_an_episode_is_that_of_the_port() -> None:
    env = small(task_index=9)
    observation, info = env.reset()
    assert info["task_index"] == 9
    shown, total, last = play(env, observation)
    direct = TextEpisode("AtomMem-World-v0", **SMALL).play(ScriptedPolicy(), 9)
    assert shown == direct.trace.observations
    assert (total, last["metrics"]) == (direct.episode_return, direct.metrics)
    assert total > 0


def test_an_observation_is_a_complete_prompt_or_what_is_new() -> None:
    env, appending = small(task_index=9), small(task_index=9, prompt_mode="append")
    (first, _), (begun, _) = env.reset(), appending.reset()
    second, grown = env.step("")[0], appending.step("")[0]
    assert len(second) > len(first) / 2
    assert len(grown) < len(second)
    assert grown not in begun


def test_equal_seeds_draw_equal_tasks_at_this_reset_and_the_next() -> None:
    def tasks(*seeds: int | None, **options: Any) -> list[int]:
        env = small(**options)
        return [env.reset(seed)[1]["task_index"] for seed in seeds]

    assert tasks(7, None, None) == tasks(7, None, None) == tasks(None, None, None, seed=7)
    assert len({*tasks(7, None, None), *tasks(8, None, None)}) > 3
    assert tasks(None, 3, None, task_index=5) == [5, 5, 5]
    assert small().reset(task_index=4)[1]["task_index"] == 4


def test_nonsense_is_data() -> None:
    env = small(task_index=0)
    env.reset()
    for text in ("", "<create_memory>", "<delete_memory>x</delete_memory>", "\ud800 {} \x00"):
        observation, reward, terminated, truncated, info = env.step(text)
        assert (type(observation), reward, terminated, truncated) == (str, 0.0, False, False)
    assert info["num_malformed"] > 0
    with pytest.raises(InvalidAction, match="str"):
        env.step(["a"])  # type: ignore[arg-type]


def test_random_actions_are_well_formed_and_seeded() -> None:
    def texts(seed: int) -> list[str]:
        env = small(seed=seed, task_index=0)
        env.reset()
        return [env.sample_random_action() for _ in range(30)]

    assert texts(1) == texts(1) != texts(2)
    env = small(seed=1, task_index=0)
    env.reset()
    over, info = False, {}
    while not over:
        _, _, terminated, truncated, info = env.step(env.sample_random_action())
        over = terminated or truncated
    assert info["num_malformed"] == 0
    assert sum(info["metrics"]["operations"].values()) > 0


def test_the_metrics_of_an_episode_are_told_at_the_next_reset() -> None:
    env = small(task_index=9)
    observation, info = env.reset()
    assert info["last_metrics"] == {}
    metrics = play(env, observation)[2]["metrics"]
    assert env.reset()[1]["last_metrics"] == metrics
    env.step("")
    assert env.reset()[1]["last_metrics"] == {}


def test_a_state_can_be_gone_back_to_and_a_spawned_environment_goes_on_from_it() -> None:
    env = small(seed=3)
    observation, _ = env.reset()
    env.step("<create_memory>a note on stone</create_memory><update_memory>x</update_memory>")
    state = env.get_state()
    on = play(env, observation)
    env.set_state(state)
    again = play(env, observation)
    env.set_state(state)
    twin = env.spawn(same_state=True)
    assert on == again == play(twin, observation)
    assert type(twin) is type(env)
    env.set_state(state)
    assert env.reset()[1]["task_index"] == twin.reset()[1]["task_index"]
    other = env.spawn(task_index=2)
    with pytest.raises(ResetNeeded):
        other.step("")
    assert other.reset()[1]["task_index"] == 2


@pytest.mark.skipif(importlib.util.find_spec("gem") is not None, reason="GEM is installed")
def test_a_missing_library_is_named_with_its_extra() -> None:
    with pytest.raises(ImportError, match=r"atommem_env\[gem\]"):
        adapter.register()
    with pytest.raises(ImportError, match=r"atommem_env\[gem\]"):
        _ = adapter.AtomMemEnv
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = adapter.nothing
