"""The port of the adapters: episodes as messages, their record, rows, and the scripted policy."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import gymnasium as gym
import pytest
from gymnasium.error import InvalidAction, ResetNeeded

import atommem_env
from atommem_env import Create, MemoryEnv, TextProtocol
from atommem_env.integrations.text_episode import (
    BENCHMARKS,
    TextEpisode,
    load_library,
    row_episode,
    task_rows,
)
from scripted_policy import ScriptedPolicy
from small_data import dataset

SMALL: dict[str, Any] = {"num_docs": 12, "num_questions": 2, "chunk_tokens": 300, "chunk_overlap": 20}


def small_episode(**options: Any) -> TextEpisode:
    return TextEpisode(gym.make("AtomMem-Custom-v0", source=dataset(), **SMALL), **options)


@pytest.mark.parametrize("protocol", ["atommem", "json"])
@pytest.mark.parametrize("prompt_mode", ["reset", "append"])
def test_the_scripted_policy_does_what_rag_does_in_every_mode(protocol: str, prompt_mode: str) -> None:
    env = gym.make("AtomMem-World-v0", num_docs=15, num_questions=2)  # one chunk: no document is cut
    run = atommem_env.evaluate(env, "rag", episodes=6, engine="world", progress=False)
    episode = TextEpisode(env, protocol=protocol, prompt_mode=prompt_mode)
    policy = ScriptedPolicy(protocol)
    played = [episode.play(policy, index) for index in range(6)]
    assert [t.metrics["em"] for t in played] == [e["metrics"]["em"] for e in run.episodes]
    assert [t.metrics["memory_peak"] for t in played] == [e["metrics"]["memory_peak"] for e in run.episodes]
    assert any(t.episode_return for t in played)


def test_reset_shows_a_complete_prompt_at_each_step_and_append_the_conversation() -> None:
    policy = ScriptedPolicy()
    fresh = small_episode(prompt_mode="reset").play(policy, 1)
    grown = small_episode(prompt_mode="append").play(policy, 1)
    assert len(fresh.turns) == len(grown.turns) > 3
    lengths = {len(turn.messages) for turn in fresh.turns}
    assert len(lengths) == 1
    for number, (turn, before) in enumerate(zip(grown.turns[1:], grown.turns, strict=False)):
        assert turn.messages[: len(before.messages)] == before.messages, number
        assert turn.messages[len(before.messages)] == {"role": "assistant", "content": before.text}
        assert turn.messages[-1]["role"] == "user"
    assert [turn.text for turn in fresh.turns] == [turn.text for turn in grown.turns]


def test_a_turn_records_what_was_said_and_what_came_of_it() -> None:
    episode = small_episode()
    first = episode.reset(task_index=3)
    episode.step(
        "<create_memory>a note</create_memory><delete_memory>9</delete_memory><update_memory>x</update_memory>"
    )
    turn = episode.trajectory.turns[0]
    assert turn.messages == first
    assert turn.operations == [{"op": "create", "content": "a note"}, {"op": "delete", "id": 9}]
    assert [(r["op"], r["ok"], r["reason"]) for r in turn.results] == [
        ("create", True, None),
        ("delete", False, "unknown_id"),
    ]
    assert turn.malformed[0]["text"] == "<update_memory>x</update_memory>"
    assert turn.reward == 0.0
    json.dumps(turn.operations + turn.results + turn.malformed)


def test_no_text_raises_and_every_episode_ends() -> None:
    episode = small_episode()
    messages = episode.reset(0)
    while messages:
        messages = episode.step("<answer <read_memory>\x00 {'op': 1} </create_memory>")
    assert episode.over
    assert episode.trajectory.episode_return == 0.0
    assert episode.trajectory.scores()["num_malformed"] > 0
    with pytest.raises(ResetNeeded):
        episode.step("more")
    with pytest.raises(InvalidAction):
        episode.step([Create("x")])  # type: ignore[arg-type]


def test_what_was_shown_is_not_changed_by_who_was_shown_it() -> None:
    episode = small_episode(prompt_mode="append")
    messages = episode.reset(0)
    messages[0]["content"] = "gone"
    messages.clear()
    assert episode.messages[0]["content"] != "gone"


def test_before_the_first_reset_there_is_no_record() -> None:
    with pytest.raises(ResetNeeded, match="reset"):
        _ = small_episode().trajectory


def test_a_group_starts_from_one_task() -> None:
    episodes = [small_episode() for _ in range(3)]
    assert len({json.dumps(episode.reset(task_index=5)) for episode in episodes}) == 1
    assert len({episode.trajectory.trace.task_id for episode in episodes}) == 1


def test_a_record_can_be_replayed() -> None:
    env = gym.make("AtomMem-Custom-v0", source=dataset(), **SMALL)
    trajectory = TextEpisode(env).play(ScriptedPolicy(forget=0.3), 2)
    text_env = TextProtocol(env)
    text_env.reset(options={"task_index": 2})
    rewards = [text_env.step(text)[1] for text in trajectory.trace.actions]
    assert rewards == trajectory.trace.rewards
    assert text_env.unwrapped.metrics() == trajectory.metrics  # type: ignore[attr-defined]


def test_scores_are_floats_under_fixed_names() -> None:
    episode = small_episode()
    names = {tuple(episode.play(ScriptedPolicy(forget=share), 0).scores()) for share in (0.0, 1.0)}
    assert len(names) == 1
    assert all(type(value) is float for value in episode.trajectory.scores().values())


def test_forgetting_is_seeded_and_makes_rollouts_differ() -> None:
    def created(seed: int) -> float:
        return small_episode().play(ScriptedPolicy(forget=0.5, seed=seed), 0).scores()["num_create"]

    assert created(1) == created(1)
    assert len({created(seed) for seed in range(6)}) > 1
    with pytest.raises(ValueError, match=r"forget=1\.5"):
        ScriptedPolicy(forget=1.5)


def test_rows_hold_indices_and_arguments_and_no_documents() -> None:
    rows = list(task_rows(list(BENCHMARKS.values()), [4, 5], source="generated", num_docs=8, num_questions=1))
    assert [(row["env"], row["task_index"]) for row in rows] == [
        (env, index) for index in (4, 5) for env in BENCHMARKS.values()
    ]
    for row in rows:
        assert set(row) == {"env", "env_arguments", "task_index", "task_id", "source", "prompt"}
        episode = row_episode(row)
        assert episode.reset(row["task_index"]) == row["prompt"]
        assert episode.trajectory.trace.task_id == row["task_id"]


def test_rows_take_plain_arguments_only() -> None:
    with pytest.raises(ValueError, match="plain data"):
        next(task_rows("AtomMem-Custom-v0", [0], source=dataset()))
    with pytest.raises(ValueError, match="env_arguments, task_index"):
        row_episode({"env": "AtomMem-World-v0"})


def test_an_environment_that_is_made_takes_no_arguments() -> None:
    with pytest.raises(ValueError, match="num_docs"):
        TextEpisode(gym.make("AtomMem-World-v0"), num_docs=3)


def test_a_text_environment_keeps_its_own_protocol() -> None:
    env = TextProtocol(gym.make("AtomMem-Custom-v0", source=dataset(), **SMALL), "json", prompt_mode="append")
    episode = TextEpisode(env)
    assert episode.prompt_mode == "append"
    assert isinstance(episode.env.unwrapped, MemoryEnv)
    assert episode.play(ScriptedPolicy("json"), 0).over


def test_a_missing_library_names_its_extra() -> None:
    with pytest.raises(ImportError, match=r"pip install 'atommem_env\[trl\]'"):
        load_library("no_such_trainer", "trl", "this adapter")


def test_the_package_imports_no_adapter() -> None:
    """Where verifiers is installed, the package names its plugins, and imports no library for it."""
    code = """if True:
        import sys, atommem_env
        allowed = {"atommem_env.integrations", "atommem_env.integrations.verifiers"}
        adapters = {name for name in sys.modules if name.startswith("atommem_env.integrations")} - allowed
        libraries = {"verifiers", "torch", "trl", "ray", "openenv"} & set(sys.modules)
        sys.exit(str(adapters | libraries) if adapters | libraries else 0)
    """
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
