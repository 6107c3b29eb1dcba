"""A stored trace leads to the same episode again, or says that it does not."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

from atommem_env import Answer, Create, Delete, Read, TextProtocol, Update, rollout
from atommem_env.runs import Run, RunError, evaluate
from atommem_env.runs.traces import (
    ReplayError,
    StoredTrace,
    find_trace,
    read_traces,
    replay,
    replay_run,
    state_digest,
    store_trace,
)
from atommem_env.runs.variants import recorded_env
from small_data import dataset

WORLD = "AtomMem-World-v0"
TINY = {"num_docs": 12, "num_questions": 2, "chunk_tokens": 300, "chunk_overlap": 20}


class Everything:
    """Uses every operation, good and bad: unknown ids, malformed ones, lone surrogates, huge ids."""

    name = "everything"

    def reset(self, observation: dict[str, Any], info: dict[str, Any]) -> None:
        self.step = 0

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> list[Any]:
        self.step += 1
        if observation["phase"] == 0:
            return [
                Create(f"note {self.step}: {observation['chunk'][:80]} \ud800"),
                Update(0, f"plan {self.step}"),
                {"op": "create"},
                {"op": "read", "query": 3},
                "nonsense",
                Update(max(1, self.step - 1), "changed"),
                Delete(10**30),
                Read("note", 2),
            ]
        return [Read("plan")] if observation["looks_left"] == 3 else [Answer("the Ambry"), Answer("twice")]


class Writes:
    """Answers a text protocol, once with an operation that cannot be understood."""

    name = "writes"

    def reset(self, observation: str, info: dict[str, Any]) -> None:
        pass

    def act(self, observation: str, info: dict[str, Any]) -> str:
        return "<create_memory>a note</create_memory><update_memory>x</update_memory><answer>Ambry</answer>"


def world(**changes: Any) -> gym.Env[Any, Any]:
    return gym.make(WORLD, **{**TINY, **changes})


def stored(env: gym.Env[Any, Any], policy: Any, index: int = 1) -> tuple[StoredTrace, Any]:
    trace = rollout(env, policy, options={"task_index": index})
    return store_trace(env, trace, "w", "p", bool(getattr(policy, "uses_buffer", False))), trace


def test_a_replay_is_the_episode_again_whatever_the_operations() -> None:
    env = world()
    kept, trace = stored(env, Everything())
    again = replay(world(), StoredTrace.decode(gzip.decompress(kept.encode())))
    assert again.metrics == trace.metrics
    assert again.rewards == trace.rewards
    assert again.observations == trace.observations
    assert [info["results"] for info in again.infos] == [info["results"] for info in trace.infos]
    assert trace.metrics["refused"]["malformed"] > 0


def test_a_text_policys_trace_is_its_texts() -> None:
    kept, trace = stored(TextProtocol(world()), Writes())
    assert kept.actions[0] == Writes().act("", {})
    assert replay(TextProtocol(world()), kept).observations == trace.observations
    with pytest.raises(ReplayError, match="step 1 is refused by the environment"):
        replay(world(), kept)


def test_the_funnel_of_a_buffer_stays_hidden() -> None:
    policy = Everything()
    policy.uses_buffer = True  # type: ignore[attr-defined]
    kept, trace = stored(world(), policy)
    assert kept.uses_buffer
    assert trace.metrics["questions"][0]["evidence"]["seen"] is None
    assert replay(world(), kept).metrics == trace.metrics


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"world_seed": 7}, "ends in another state|ends after"),
        ({"capacity": 1}, "ends in another state"),
        ({"num_docs": 40}, "ends in another state"),
        ({"num_docs": 5, "num_questions": 1}, "ends after"),
        ({"num_docs": 3, "num_questions": 1}, "pass num_docs=4 or more"),
    ],
)
def test_another_environment_is_noticed(changes: dict[str, Any], message: str) -> None:
    kept, _ = stored(world(), Everything())
    with pytest.raises(ReplayError, match=message):
        replay(world(**changes), kept)


def test_a_changed_action_is_noticed() -> None:
    kept, _ = stored(world(), Everything())
    other = replace(kept, actions=[[{"op": "create", "content": "other"}], *kept.actions[1:]])
    with pytest.raises(ReplayError, match="policy 'p' on w, task index 1: the episode ends in another state"):
        replay(world(), other)


def test_the_digest_tells_entries_and_ids_apart() -> None:
    digests = set()
    for action in ([], [Create("a")], [Create("b")], [Create(""), Create("a")], [Update(0, "a")]):
        env = world()
        env.reset(options={"task_index": 0})
        env.step(action)
        digests.add(state_digest(env))
    assert len(digests) == 5


def test_a_runs_folder_has_a_trace_of_each_episode(tmp_path: Path) -> None:
    evaluate([WORLD, f"{WORLD}[top_k=2]"], ["rag", "random"], 2, out=tmp_path / "r", **TINY)
    run = Run.load(tmp_path / "r")
    keys = [(e["env"], e["policy"], e["task_index"]) for e in run.episodes]
    assert [trace.key for trace in read_traces(tmp_path / "r")] == keys
    for episode, key in zip(run.episodes, keys, strict=True):
        kept = find_trace(tmp_path / "r", key)
        assert kept is not None
        assert replay(tmp_path / "r", kept).metrics == episode["metrics"]
        assert replay(run.settings, kept).metrics == episode["metrics"]


def test_a_run_in_a_wrapper_is_replayed_in_it(tmp_path: Path) -> None:
    text_env = TextProtocol(world(), protocol="atommem", prompt_mode="append")
    run = evaluate(text_env, Writes(), 2, out=tmp_path / "r")
    kept = find_trace(tmp_path / "r", (WORLD, "writes", 1))
    assert kept is not None
    assert replay(tmp_path / "r", kept).metrics == run.episodes[1]["metrics"]
    made = recorded_env(run.settings).make()
    assert isinstance(made, TextProtocol)
    assert made.prompt_mode == "append"


def test_a_changed_record_is_noticed(tmp_path: Path) -> None:
    run = evaluate(WORLD, "rag", 2, out=tmp_path / "r", **TINY)
    run.episodes[1]["metrics"]["steps"] += 1
    first, second = replay_run(run, run.episodes)
    assert first.error is None
    assert second.trace is None
    assert "the metrics differ from the record" in str(second.error)


def test_without_a_folder_there_is_nothing_to_replay() -> None:
    run = evaluate(WORLD, "rag", 1, **TINY)
    with pytest.raises(RunError, match="in memory only"):
        list(replay_run(run, run.episodes))


def test_an_environment_of_objects_is_replayed_where_it_is_at_hand(tmp_path: Path) -> None:
    env = gym.make("AtomMem-Custom-v0", source=dataset(), num_docs=8, num_questions=1)
    run = evaluate(env, "rag", 1, out=tmp_path / "r")
    (kept,) = read_traces(tmp_path / "r")
    with pytest.raises(RunError, match="given as a Python object"):
        replay(tmp_path / "r", kept)
    assert replay(env, kept).metrics == run.episodes[0]["metrics"]


def test_without_traces_none_are_written(tmp_path: Path) -> None:
    evaluate(WORLD, "rag", 1, out=tmp_path / "r", traces=False, **TINY)
    assert list(read_traces(tmp_path / "r")) == []
