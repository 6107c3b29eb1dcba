"""Streams: questions between chunks, some asked before and after a fact changed."""

from __future__ import annotations

from collections import Counter
from typing import Any

import gymnasium as gym
import pytest
from gymnasium.utils.env_checker import check_env

from atommem_env import Answer, Create, Delete, MemoryEnv, Read, Update, rollout
from atommem_env.baselines import make_policy
from atommem_env.baselines.policy_wrapper import PolicyWrapper
from atommem_env.protocols import get_protocol
from atommem_env.runs.traces import replay, store_trace
from atommem_env.tasks.streams import interleaved
from atommem_env.viewer.evidence import EvidenceHistory
from atommem_env.viewer.steps import task_data

WORLD: dict[str, Any] = {
    "id": "AtomMem-World-v0", "stream": True, "revisions": 1.0, "world_size": 40, "num_docs": 40, "num_questions": 3,
    "chunk_tokens": 500, "chunk_overlap": 0,
}  # fmt: skip
CHAT: dict[str, Any] = {
    "id": "AtomMem-Chat-v0", "stream": True, "histories": 2, "sessions": 10, "turns": 8, "questions": 8,
}  # fmt: skip
BOTH = pytest.mark.parametrize("arguments", [WORLD, CHAT], ids=["world", "chat"])


def make(arguments: dict[str, Any], **more: Any) -> MemoryEnv:
    inner = gym.make(**{**arguments, **more}, disable_env_checker=True).unwrapped
    assert isinstance(inner, MemoryEnv)
    return inner


def act(observation: Any, info: Any = None) -> list[Any]:
    if observation["phase"] == 0:
        lines = [line for line in observation["chunk"].split("\n") if line]
        return [
            *map(Create, lines[:3]),
            Update(1, lines[-1]),
            Delete(observation["cursor"]),
            Read(lines[0], 2),
        ]
    if observation["looks_left"] == 3:
        return [Create("a note"), Read(observation["questions"][0])]
    return [Create("another"), Answer((*(row["content"] for row in observation["retrieved"]), "x")[0])]


class Acts:
    """The policy of :func:`act`."""

    def reset(self, observation: Any, info: Any) -> None:
        pass

    act = staticmethod(act)


class OfOneTask(PolicyWrapper):
    """A policy to which every task has one id, from which some seed a generator, and one number of questions."""

    def reset(self, observation: Any, info: Any) -> None:
        self.policy.reset({**observation, "num_questions": 9}, {**info, "task_id": "one"})

    def act(self, observation: Any, info: Any) -> Any:
        return self.policy.act({**observation, "num_questions": 9}, info)


@BOTH
def test_a_question_is_asked_after_its_evidence_and_again_after_a_revision(arguments: dict[str, Any]) -> None:
    env = make(arguments)
    again = 0
    for index in range(2):
        env.reset(options={"task_index": index})
        task = env.task
        place = {position: number for number, position in enumerate(task.positions)}
        assert [number for phase, number in task.positions if phase] == list(range(len(task.questions)))
        assert sum(phase == 0 for phase, _ in task.positions) == len(task.chunks)
        for unit in task.units:
            assert place[0, task.chunks_of(unit)[-1]] < place[1, unit.question]
        asked = Counter(question.question for question in task.questions)
        for text in (text for text, times in asked.items() if times == 2):
            first, second = (n for n, question in enumerate(task.questions) if question.question == text)
            assert not set(task.questions[first].answers) & set(task.questions[second].answers)
            old, new = ({u[3]: u.role for u in task.units if u.question == n} for n in (first, second))
            assert set(old.values()) == {"supporting"}
            assert [role for end, role in new.items() if end in old].count("superseded") == 1
            again += 1
    assert again >= 2


@BOTH
@pytest.mark.parametrize("name", ["oracle", "full-context"])
def test_a_perfect_memory_answers_with_what_was_true_then(arguments: dict[str, Any], name: str) -> None:
    env = make(arguments)
    assert rollout(env, make_policy(name), options={"task_index": 0}).metrics["em"] == 1.0


@BOTH
def test_stages_count_up_to_each_asking(arguments: dict[str, Any]) -> None:
    """A policy that writes everything at the last chunk has written nothing for what was asked before."""
    env = make(arguments, isolate_questions=False)
    observation, _ = env.reset(options={"task_index": 0})
    read, over = "", False
    while not over:
        last = observation["phase"] == 0 and observation["cursor"] == observation["num_chunks"] - 1
        read += observation["chunk"]
        action: list[Any] = [Create(read)] if last else [Answer("x")] if observation["phase"] else []
        observation, _, over, *_ = env.step(action)
    end = env.task.positions.index((0, len(env.task.chunks) - 1))
    for number, question in enumerate(env.metrics()["questions"]):
        if question["num_evidence"]:
            before = env.task.positions.index((1, number)) < end
            assert question["evidence"]["seen"] == 1.0
            assert question["evidence"]["written"] == question["evidence"]["kept"] == float(not before)


@BOTH
def test_gymnasium_and_replays_have_nothing_to_say(arguments: dict[str, Any]) -> None:
    env = make(arguments)
    check_env(env, skip_render_check=True)
    trace = rollout(env, Acts(), options={"task_index": 1})
    again = replay(env, store_trace(env, trace, "env", "policy", uses_buffer=False))
    assert again.metrics == trace.metrics
    assert again.observations == trace.observations
    history = EvidenceHistory(trace, env.task, env.dataset.word_shares)
    for number in range(len(env.task.questions)):
        assert history.shares(number) == {
            name: value
            for name, value in trace.metrics["questions"][number]["evidence"].items()
            if name != "answered"
        }
    assert task_data(env.task)["stream"] == [list(position) for position in env.task.positions]


def test_reading_goes_on_after_isolated_questions_as_if_nothing_had_been_asked() -> None:
    with_questions, without = (make({**CHAT, "histories": 1, "stream": on}) for on in (True, False))
    shown = []
    for env in (with_questions, without):
        trace = rollout(env, Acts(), options={"task_index": 0})
        reading = [each for each in trace.observations if each["phase"] == 0]
        shown.append([{**each, "num_questions": 0} for each in reading])
    assert shown[0] == shown[1]


@pytest.mark.parametrize(
    "name", ["recency", "reservoir", "mem0", "a-mem", "memory-bank", "generative-agents", "mem1", "learned"]
)
def test_a_policy_reads_on_from_where_it_was(name: str) -> None:
    """What an isolated question makes a policy note is gone: it reads as it would have without questions."""
    read = []
    for stream in (True, False):
        env = make({**CHAT, "histories": 1, "stream": stream}, capacity=12, overflow="evict_oldest")
        trace = rollout(env, OfOneTask(make_policy(name, engine="rules")), options={"task_index": 0})
        read.append([a for a, o in zip(trace.actions, trace.observations, strict=False) if o["phase"] == 0])
    assert read[0] == read[1]


@pytest.mark.parametrize("name", ["recency", "reservoir", "memory-bank", "keep-best", "generative-agents"])
def test_a_policy_knows_its_entries_across_questions_that_are_not_isolated(name: str) -> None:
    env = make(WORLD, capacity=8)
    metrics = rollout(env, make_policy(name), options={"task_index": 0}).metrics
    assert metrics["refused"]["unknown_id"] == 0
    assert metrics["memory_size"] <= 8


@pytest.mark.parametrize("protocol", ["atommem", "json", "released"])
def test_a_prompt_says_that_questions_come_in_between(protocol: str) -> None:
    teller = get_protocol(protocol)
    for arguments, count in ((CHAT, 1), ({**CHAT, "stream": False}, 0)):
        observation, info = make(arguments).reset(options={"task_index": 0})
        text = "\n".join(message["content"] for message in teller.render_prompt(observation, info["rules"]))
        assert ("come between chunks" in text, "asked after the last chunk" in text) == (
            bool(count),
            not count,
        )


@BOTH
def test_a_stream_takes_no_early_answer(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"early_answer=True with stream=True"):
        make(arguments, early_answer=True, questions_shown="always")


def test_a_stream_of_chats_has_sessions_for_chunks() -> None:
    with pytest.raises(ValueError, match=r"chunk_by='tokens': a stream asks its questions between sessions"):
        make(CHAT, chunk_by="tokens")


def test_questions_are_asked_after_their_chunks_in_order() -> None:
    assert interleaved(3, [-1, 0, 0, 2]) == ((1, 0), (0, 0), (1, 1), (1, 2), (0, 1), (0, 2), (1, 3))
