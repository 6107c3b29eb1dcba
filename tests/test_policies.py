"""A rollout is one episode of a policy, and its trace is all that happened."""

from __future__ import annotations

from typing import Any

import gymnasium as gym

from atommem_env import Answer, Create, MemoryEnv, Policy, Read, RecordTrace, TextProtocol, rollout
from atommem_env.baselines import make_policy
from atommem_env.policies import plain_action
from small_data import dataset


class Scripted:
    """Stores a note at every chunk and answers with what it finds first."""

    def __init__(self) -> None:
        self.episodes = 0

    def reset(self, observation: dict[str, Any], info: dict[str, Any]) -> None:
        assert "gold" in info
        self.episodes += 1

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> list[Any]:
        if observation["phase"] == 0:
            return [Create(f"note {observation['cursor']}"), {"op": "forget"}]
        return (
            [Read("note")]
            if not observation["retrieved"]
            else [Answer(observation["retrieved"][0]["content"])]
        )


class Hoarder(Scripted):
    """Says that it keeps text of its own."""

    uses_buffer = True


def make(**kwargs: Any) -> MemoryEnv:
    arguments: dict[str, Any] = {"num_docs": 12, "num_questions": 2, "chunk_tokens": 120, "chunk_overlap": 20}
    return MemoryEnv(dataset(), **{**arguments, **kwargs})


def test_a_rollout_records_every_step() -> None:
    env, policy = make(), Scripted()
    assert isinstance(policy, Policy)
    trace = rollout(env, policy, seed=1, options={"task_index": 3})
    assert policy.episodes == 1
    assert trace.task_index == 3
    assert trace.terminated
    assert not trace.truncated
    steps = len(trace.actions)
    assert len(trace.observations) == len(trace.infos) == steps + 1
    assert len(trace.rewards) == steps == trace.metrics["steps"]
    assert trace.actions[0] == [{"op": "create", "content": "note 0"}, {"op": None}]
    assert trace.observations[0]["chunk"].startswith("Document 1:")
    assert trace.episode_return == trace.metrics["em"] == 0.0
    assert trace.metrics["questions"][0]["prediction"] == "note 0"


def test_the_same_seed_gives_the_same_trace() -> None:
    assert rollout(make(), Scripted(), seed=5) == rollout(make(), Scripted(), seed=5)


def test_a_policy_with_a_buffer_has_no_funnel() -> None:
    plain, hoarder = (rollout(make(), policy, seed=1).metrics for policy in (Scripted(), Hoarder()))
    for with_buffer, without in zip(hoarder["questions"], plain["questions"], strict=True):
        assert with_buffer["evidence"] == {
            **dict.fromkeys(
                ("seen", "written", "kept", "read", "stale_kept", "stale_read", "read_any", "read_all")
            ),
            "answered": 0.0,
        }
        assert without["evidence"]["seen"] == 1.0
        assert with_buffer["num_evidence"] == without["num_evidence"] == 2


def test_an_episode_that_a_wrapper_cuts_off_has_metrics_all_the_same() -> None:
    trace = rollout(gym.wrappers.TimeLimit(make(), 2), Scripted(), seed=1)
    assert trace.truncated
    assert trace.metrics["steps"] == 2


def test_a_policy_does_the_same_in_rollout_and_in_any_other_loop() -> None:
    env = gym.make("AtomMem-World-v0", num_docs=30, num_questions=2, chunk_tokens=1024, entry_tokens=80)
    trace = rollout(env, make_policy("rag"), options={"task_index": 0})
    policy = make_policy("rag")
    observation, info = env.reset(options={"task_index": 0})
    policy.reset(observation, info)
    actions, over = [], False
    while not over:
        actions.append(plain_action(policy.act(observation, info)))
        observation, _, terminated, truncated, info = env.step(actions[-1])
        over = terminated or truncated
    assert actions == trace.actions
    assert info["metrics"] == trace.metrics
    assert info["metrics"]["refused"]["too_long"] == 0
    assert info["metrics"]["memory_size"] >= 30


def test_record_trace_keeps_finished_episodes() -> None:
    env = RecordTrace(make())
    policy = Scripted()
    traces = [rollout(env, policy, options={"task_index": index}) for index in (0, 1)]
    env.reset()
    env.step([])
    env.reset()
    assert env.traces == traces


def test_record_trace_may_hand_traces_on() -> None:
    ended: list[Any] = []
    env = RecordTrace(make(), on_end=ended.append)
    trace = rollout(env, Scripted(), seed=1)
    assert ended == [trace]
    assert env.traces == []


def test_a_trace_of_text_holds_the_texts() -> None:
    class Mute:
        def reset(self, observation: str, info: dict[str, Any]) -> None: ...

        def act(self, observation: str, info: dict[str, Any]) -> str:
            return "<answer>x</answer>"

    trace = rollout(TextProtocol(make()), Mute(), seed=1)  # type: ignore[arg-type]
    assert trace.actions[-1] == "<answer>x</answer>"
    assert trace.metrics["questions"][1]["prediction"] == "x"
