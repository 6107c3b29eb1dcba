"""What an episode over a history does: questions unseen while reading, isolated, and scored as the benchmark does."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import pytest

from atommem_env import Answer, Create
from atommem_env.core.types import Metrics
from atommem_env.data.dataset import QADataset
from atommem_env.env import MemoryEnv
from atommem_env.policies import rollout
from small_data import chats, dataset


def histories(name: str = "chats") -> QADataset:
    return QADataset.from_histories(chats(1), name=name)


def make(name: str = "chats", **arguments: Any) -> MemoryEnv:
    env = gym.make("AtomMem-Custom-v0", source=histories(name), disable_env_checker=True, **arguments)
    assert isinstance(env.unwrapped, MemoryEnv)
    return env.unwrapped


class Says:
    """Answers every question with one text, and keeps every chunk."""

    def __init__(self, text: str) -> None:
        self.text = text

    def reset(self, observation: Any, info: Any) -> None:
        pass

    def act(self, observation: Any, info: Any) -> list[Any]:
        return [Create(observation["chunk"])] if observation["phase"] == 0 else [Answer(self.text)]


def play(env: MemoryEnv, text: str) -> tuple[Metrics, float]:
    trace = rollout(env, Says(text), options={"task_index": 0})
    return env.metrics(), trace.episode_return


def test_where_nothing_answers_a_question_only_an_abstention_is_right() -> None:
    for text, right in (("I do not know.", 1.0), ("a blue one", 0.0)):
        *answerable, last = play(make(), text)[0]["questions"]
        assert (last["answerable"], last["abstained"]) == (False, bool(right))
        assert last["em"] == last["f1"] == last["cover_em"] == last["evidence"]["answered"] == right
        assert all(row["answerable"] and row["em"] == 0.0 for row in answerable)


@pytest.mark.parametrize("reward", ["em", "f1", "cover_em"])
def test_the_reward_of_an_abstention_is_that_of_its_scores(reward: str) -> None:
    metrics, paid = play(make(reward=reward), "I do not know.")
    assert paid == pytest.approx(metrics[reward]) == pytest.approx(1 / len(metrics["questions"]))  # type: ignore[literal-required]


def test_a_benchmark_without_a_score_of_its_own_has_null_official() -> None:
    metrics, _ = play(make(), "x")
    assert metrics["official"] is None
    assert {row["official"] for row in metrics["questions"]} == {None}


def test_a_benchmark_with_a_score_of_its_own_has_it_at_any_time() -> None:
    env = make("locomo", reward="official")
    env.reset(options={"task_index": 0})
    assert env.metrics()["official"] == 0.0
    metrics, paid = play(env, "Not mentioned in the conversation; " + chats(1)[0]["questions"][0]["answer"])
    official = [row["official"] for row in metrics["questions"]]
    assert all(type(score) is float for score in official)
    assert 0 < official[0] < 1  # type: ignore[operator]
    # The question that nothing answers earns what an abstention does, whatever the benchmark's own score makes of it.
    assert paid == pytest.approx((sum(official[:-1]) + 1.0) / len(official))  # type: ignore[arg-type]
    assert metrics["official"] == pytest.approx(sum(official) / len(official))  # type: ignore[arg-type]


def test_official_is_no_reward_where_there_is_no_score_without_a_judge() -> None:
    with pytest.raises(ValueError, match=r"reward='official'.*judge"):
        make(reward="official")
    with pytest.raises(ValueError, match=r"reward='official': some questions of .* need a judge"):
        make("memoryagentbench", reward="official")
    with pytest.raises(ValueError, match=r"reward='official'"):
        MemoryEnv(dataset(), num_docs=12, reward="official")


def test_the_phrase_that_abstains_is_a_rule_and_gold_evidence_names_its_turn() -> None:
    _, info = make().reset(options={"task_index": 0})
    assert info["rules"].abstain
    assert (info["history"], info["isolated_question"]) == ("chat-0", -1)
    unit = info["gold"][0]["evidence"][0]
    assert (unit["id"], unit["role"], unit["chunks"]) == ("D1:1", "supporting", [0])
    assert unit["text"] == f"I went to {info['gold'][0]['answers'][0]} today."


def test_what_is_written_for_isolated_questions_is_gone_at_the_end() -> None:
    class Writes(Says):
        def act(self, observation: Any, info: Any) -> list[Any]:
            return [Create("a note"), *super().act(observation, info)]

    env = make()
    rollout(env, Writes("x"), options={"task_index": 0})
    metrics = env.metrics()
    read = 2 * len(env.task.chunks)
    assert (metrics["memory_size"], metrics["memory_peak"]) == (read, read + 1)
    assert metrics["operations"]["create"] == read + len(metrics["questions"])
