"""What each write of an episode is worth: the score that is lost when it alone is refused."""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import pytest

from atommem_env import (
    Answer,
    Create,
    Delete,
    DiscreteOperations,
    MemoryEnv,
    QADataset,
    Read,
    RecordTrace,
    Trace,
    Update,
    rollout,
)
from atommem_env.baselines import make_policy
from atommem_env.baselines.engines.engine import get_engine
from atommem_env.credit import EntryValue, entry_values, leave_one_out_rewards
from small_data import chats, dataset

RIVERS = {"Ambry": "Ouse", "Brenholt": "Tarn", "Corvane": "Wye", "Dunmarsh": "Exe", "Estrell": "Tamar"}
SMALL = {"num_docs": 8, "num_questions": 2, "chunk_tokens": 100, "chunk_overlap": 10}


def towns() -> QADataset:
    """Five questions, each about the river of one town."""
    return QADataset.from_records(
        [
            {
                "id": town,
                "question": f"On which river lies {town}?",
                "answers": [river],
                "documents": [
                    {"title": town, "text": f"{town} lies on the {river}. It has a mill and a bridge."}
                ],
                "supporting": [{"document": 0, "sentence": f"{town} lies on the {river}."}],
            }
            for town, river in RIVERS.items()
        ],
        name="rivers",
    )


def rivers(**arguments: Any) -> MemoryEnv:
    """One task that asks all five questions, read in five chunks or more."""
    made = {"num_docs": 5, "num_questions": 5, "chunk_tokens": 20, "chunk_overlap": 0, **arguments}
    env = gym.make("AtomMem-Custom-v0", source=towns(), **made).unwrapped
    assert isinstance(env, MemoryEnv)
    return env


class Scripted:
    """Reads by a script, an action for each step; then looks, and answers what the entries shown lead to."""

    def __init__(self, *script: Sequence[Any]) -> None:
        self._script = script

    def reset(self, observation: dict[str, Any], info: dict[str, Any]) -> None:
        self._actions = iter(self._script)

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> Sequence[Any]:
        if observation["phase"] == 0:
            return next(self._actions, [])
        question = observation["questions"][0]
        if not observation["queries"] or observation["queries"] != (question,):
            return [Read(question, 32)]
        shown = [observation["scratchpad"], *(entry["content"] for entry in observation["retrieved"])]
        return [Answer(self._river(question.rstrip("?").split()[-1], " ".join(shown)))]

    def _river(self, town: str, text: str) -> str:
        river = re.search(rf"\b{town} lies on the (\w+)", text)
        near = re.search(rf"\b{town} lies near (\w+)", text)
        if river is not None:
            return river.group(1)
        return "unknown" if near is None else self._river(near.group(1), text)


def worth(values: Sequence[EntryValue]) -> dict[str, float]:
    return {value.content: value.value for value in values}


def steps_taken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that grows with each step of an environment."""
    taken: list[int] = []
    step = MemoryEnv.step

    def counted(self: MemoryEnv, action: Any) -> Any:
        taken.append(1)
        return step(self, action)

    monkeypatch.setattr(MemoryEnv, "step", counted)
    return taken


# --- known values -----------------------------------------------------------------------------------


def test_each_write_is_worth_what_is_lost_without_it() -> None:
    policy = Scripted(
        [Create("Ambry lies on the Ouse"), Create("A mill and a bridge")],  # needed; useless
        [Create("Corvane lies on the Wye"), Create("Mind: Corvane lies on the Wye")],  # one of both is enough
        [Create("Dunmarsh lies on the Exe"), Update(2, "A mill and two bridges")],
        [Update(5, "Dunmarsh has a mill")],  # destroys what is needed
        [Create("Brenholt lies near Estrell"), Create("Estrell lies on the Tarn")],  # both are needed
    )
    trace, values = entry_values(rivers(), policy, {"task_index": 0})
    assert trace.metrics["em"] == pytest.approx(3 / 5)  # Estrell lies on the Tamar, Dunmarsh was destroyed
    assert worth(values) == pytest.approx(
        {
            "Ambry lies on the Ouse": 0.2,
            "A mill and a bridge": 0.0,
            "Corvane lies on the Wye": 0.0,
            "Mind: Corvane lies on the Wye": 0.0,
            "Dunmarsh lies on the Exe": 0.0,  # destroyed later, and so worth nothing
            "A mill and two bridges": 0.0,
            "Dunmarsh has a mill": -0.2,
            "Brenholt lies near Estrell": 0.2,
            "Estrell lies on the Tarn": 0.2,
        }
    )


def test_a_value_says_which_operation_it_is_of() -> None:
    policy = Scripted([Read("Ambry"), Create("Ambry lies on the Ouse")], [], [Update(1, "Ambry has a mill")])
    trace, values = entry_values(rivers(), policy, {"task_index": 0})
    assert [(value.step, value.position, value.op, value.id) for value in values] == [
        (0, 1, "create", 1),
        (2, 0, "update", 1),
    ]
    for value in values:
        operation = trace.actions[value.step][value.position]
        assert isinstance(operation, dict)
        assert (operation["op"], operation["content"]) == (value.op, value.content)


def test_ids_mean_the_same_when_an_earlier_create_is_refused() -> None:
    policy = Scripted(
        [Create("A mill"), {"op": "create", "content": "A bridge"}, Create("Ambry has a mill")],
        [Update(3, "Ambry lies on the Ouse"), Delete(1), Delete(2)],
    )
    _, values = entry_values(rivers(), policy, {"task_index": 0})
    assert worth(values) == pytest.approx(
        {"A mill": 0.0, "A bridge": 0.0, "Ambry has a mill": 0.2, "Ambry lies on the Ouse": 0.2}
    )


def test_without_an_update_the_old_content_stays() -> None:
    policy = Scripted(
        [Create("Ambry lies on the Exe")], [Update(1, "Ambry lies on the Ouse"), Update(1, "Gone")]
    )
    _, values = entry_values(rivers(), policy, {"task_index": 0})
    assert worth(values) == pytest.approx(
        {"Ambry lies on the Exe": 0.0, "Ambry lies on the Ouse": 0.0, "Gone": -0.2}
    )


@pytest.mark.parametrize(
    ("overflow", "first", "second"), [("refuse", "A mill", "Ambry lies on the Ouse"), ("evict_oldest",) * 3]
)
def test_an_entry_that_takes_the_place_of_a_needed_one_costs_its_worth(
    overflow: str, first: str, second: str
) -> None:
    if overflow == "evict_oldest":
        first, second = "Ambry lies on the Ouse", "A mill"
    policy = Scripted([Create(first)], [Create(second)])
    _, values = entry_values(rivers(capacity=1, overflow=overflow), policy, {"task_index": 0})
    assert worth(values)["A mill"] == pytest.approx(-0.2)
    assert [value.content for value in values] == ([first] if overflow == "refuse" else [first, second])


def test_the_scratchpad_is_written_too() -> None:
    policy = Scripted([Update(0, "Ambry lies on the Ouse"), Update(0, "Ambry lies on the Ouse; a mill")])
    _, values = entry_values(rivers(), policy, {"task_index": 0})
    assert [value.id for value in values] == [0, 0]
    assert [value.value for value in values] == [0.0, 0.0]
    _, values = entry_values(rivers(), Scripted([Update(0, "Ambry lies on the Ouse")]), {"task_index": 0})
    assert [value.value for value in values] == [pytest.approx(0.2)]


def test_refused_writes_have_no_value() -> None:
    policy = Scripted([Create(""), Update(9, "Ambry lies on the Ouse"), {"op": "create"}, None])
    trace, values = entry_values(rivers(), policy, {"task_index": 0})
    assert sum(trace.metrics["refused"].values()) == 4
    assert values == []


def test_an_early_answer_is_replayed_as_it_was() -> None:
    policy = Scripted([Create("Ambry lies on the Ouse")], [Answer("Ouse")])
    env = rivers(num_questions=1, early_answer=True)
    trace, values = entry_values(env, policy, {"task_index": 0})
    assert trace.terminated
    assert [value.value for value in values] == [0.0]


def random_script(generator: random.Random) -> list[list[Any]]:
    """Three actions of random operations on a few ids."""
    contents = [f"{town} lies on the {river}" for town, river in RIVERS.items()] + ["A mill", ""]

    def operation() -> Any:
        content, id = generator.choice(contents), generator.randrange(5)
        return generator.choice(
            [Create(content), Create(content), Update(id, content), Delete(id), Read(content, 1)]
        )

    return [[operation() for _ in range(generator.randrange(1, 5))] for _ in range(3)]


@pytest.mark.parametrize("seed", range(20))
def test_values_are_those_of_whole_episodes_in_which_the_write_is_refused(seed: int) -> None:
    generator = random.Random(seed)
    env = rivers(capacity=2, overflow=generator.choice(["refuse", "evict_oldest"]))
    script = random_script(generator)
    trace, values = entry_values(env, Scripted(*script), {"task_index": 0})
    reading = trace.actions[: sum(observation["phase"] == 0 for observation in trace.observations)]
    for value in values:
        refused = [list(action) for action in reading]
        refused[value.step][value.position] = {"op": value.op}
        without = rollout(env, Scripted(*refused), options={"task_index": 0})
        assert value.value == pytest.approx(trace.metrics["em"] - without.metrics["em"])


# --- scores -----------------------------------------------------------------------------------------


def test_the_score_may_be_a_stage_of_the_evidence_or_a_function_of_the_metrics() -> None:
    sentences = [f"{town} lies on the {river}." for town, river in RIVERS.items()]
    policy = Scripted([*(Create(sentence) for sentence in sentences), Update(1, "Nothing")])

    def answered(metrics: Mapping[str, Any]) -> float:
        return float(sum(question["em"] for question in metrics["questions"]))

    env = rivers(chunk_tokens=4000)
    for score, unit in (("read", 0.2), ("kept", 0.2), ("f1", 0.2), ("cover_em", 0.2), (answered, 1.0)):
        _, values = entry_values(env, policy, {"task_index": 0}, score)  # type: ignore[arg-type]
        assert [value.value for value in values] == pytest.approx([0.0, unit, unit, unit, unit, -unit])


def test_values_of_what_each_entry_alone_holds_add_up_to_the_score() -> None:
    for index in range(3):
        env = rivers(num_questions=2)
        trace, values = entry_values(env, make_policy("oracle"), {"task_index": index}, "kept")
        kept = [question["evidence"]["kept"] for question in trace.metrics["questions"]]
        assert sum(value.value for value in values) == pytest.approx(sum(kept) / len(kept))


def test_an_unknown_score_is_refused_with_the_choices() -> None:
    with pytest.raises(ValueError, match="score='exact': expected 'em' or 'f1'"):
        entry_values(rivers(), Scripted(), {"task_index": 0}, "exact")


def test_a_stage_of_the_evidence_says_nothing_of_a_policy_with_a_buffer() -> None:
    env = gym.make("AtomMem-Custom-v0", source=dataset(), **SMALL)
    with pytest.raises(ValueError, match="keeps text outside memory; choose one of the answers' scores"):
        entry_values(env, make_policy("full-context"), {"task_index": 0}, "read")


# --- the environment and the policy -----------------------------------------------------------------

STORED = ["rag", "keep-best", "memagent", "mem0", "a-mem", "memory-bank", "generative-agents", "random"]


@pytest.mark.parametrize("name", STORED)
def test_every_workflow_can_be_asked_and_the_same_is_said_again(name: str) -> None:
    env = gym.make("AtomMem-Custom-v0", source=dataset(), capacity=4, **SMALL)
    first = entry_values(env, make_policy(name, seed=1), {"task_index": 1}, "f1")
    again = entry_values(env, make_policy(name, seed=1), {"task_index": 1}, "f1")
    assert first[1] == again[1] != []
    assert first[0].actions == rollout(env, make_policy(name, seed=1), options={"task_index": 1}).actions
    assert all(-1.0 <= value.value <= 1.0 for value in first[1])


def test_the_environment_is_left_as_it_was() -> None:
    env, other = (gym.make("AtomMem-Custom-v0", source=dataset(), **SMALL) for _ in range(2))
    for made in (env, other):
        made.reset(seed=5)
        made.step([Create("The town of Ambry0 lies on a river"), Read("Ambry0")])
    entry_values(env, make_policy("rag"))
    entry_values(env, make_policy("rag"), {"task_index": 2})
    with pytest.raises(ValueError, match="unknown reset options"):
        entry_values(env, make_policy("rag"), {"index": 2})
    assert env.step([Create("b")]) == other.step([Create("b")])
    assert env.unwrapped.metrics() == other.unwrapped.metrics()  # type: ignore[attr-defined]
    assert env.reset()[1]["task_index"] == other.reset()[1]["task_index"]


def test_the_cost_is_the_steps_from_each_write_on(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = steps_taken(monkeypatch)
    policy = Scripted([Create("Ambry lies on the Ouse"), Create("A mill")], [], [Create("A bridge")])
    trace, values = entry_values(rivers(), policy, {"task_index": 0})
    reading = sum(observation["phase"] == 0 for observation in trace.observations)
    answering = len(trace.actions) - reading
    further = len(taken) - len(trace.actions)
    assert further == sum(reading - value.step + answering for value in values)
    assert further <= len(values) * (reading + answering)


def test_a_policy_that_cannot_be_copied_is_refused_with_what_to_do() -> None:
    policy = Scripted([Create("Ambry lies on the Ouse")])
    policy.lock = threading.Lock()  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=r"policy Scripted cannot be copied \(TypeError.*__deepcopy__"):
        entry_values(rivers(), policy, {"task_index": 0})


def test_another_package_s_environment_is_refused() -> None:
    with pytest.raises(ValueError, match="expected an environment of this package"):
        entry_values(gym.make("CartPole-v1"), Scripted())


# --- an agent driven by another's loop, and its rewards ---------------------------------------------


def played(capacity: int, seed: int) -> Trace:
    """The trace of random choices in ``DiscreteOperations``."""
    inner = RecordTrace(gym.make("AtomMem-Custom-v0", source=dataset(), capacity=capacity, **SMALL))
    env = DiscreteOperations(inner, answer=get_engine("rules").answer)
    env.reset(options={"task_index": seed})
    env.action_space.seed(seed)
    over = False
    while not over:
        _, _, terminated, truncated, _ = env.step(env.action_space.sample(env.action_masks().astype("int8")))
        over = terminated or truncated
    (trace,) = inner.traces
    return trace


def test_a_trace_s_reading_can_be_valued_with_a_policy_that_answers() -> None:
    env = gym.make("AtomMem-Custom-v0", source=dataset(), capacity=6, **SMALL)
    trace = played(6, 3)
    again, values = entry_values(env, make_policy("rag"), {"task_index": 3}, "read", reading=trace)
    reading = sum(observation["phase"] == 0 for observation in trace.observations)
    assert again.actions[:reading] == trace.actions[:reading]
    assert again.metrics == trace.metrics  # the wrapper looks and answers as RAG does
    assert values


def test_a_policy_s_own_trace_gives_its_own_values() -> None:
    env = gym.make("AtomMem-Custom-v0", source=dataset(), capacity=6, **SMALL)
    trace, values = entry_values(env, make_policy("keep-best"), {"task_index": 0})
    assert entry_values(env, make_policy("rag"), {"task_index": 0}, reading=trace)[1] == values


def test_a_trace_of_another_task_is_refused() -> None:
    env = gym.make("AtomMem-Custom-v0", source=dataset(), capacity=6, **SMALL)
    trace = rollout(env, make_policy("rag"), options={"task_index": 2})
    with pytest.raises(ValueError, match=r"begins otherwise than task .*'task_index': 2"):
        entry_values(env, make_policy("rag"), {"task_index": 0}, reading=trace)


@pytest.mark.parametrize("timing", ["terminal", "immediate"])
def test_rewards_of_a_trace_are_the_values_of_its_writes_and_sum_to_the_return(timing: str) -> None:
    policy = Scripted(
        [Create("Ambry lies on the Ouse"), Create("Brenholt lies near Corvane")],
        [],
        [Create("Corvane lies on the Tarn")],
    )
    trace, values = entry_values(rivers(reward_timing=timing), policy, {"task_index": 0})
    rewards = leave_one_out_rewards(trace, values)
    assert rewards[:3] == pytest.approx([0.4, 0.0, 0.2])
    assert sum(rewards) == pytest.approx(trace.episode_return) == pytest.approx(0.4)
    assert rewards[-1] == pytest.approx(-0.2)  # what two entries have done together was told twice


def test_of_a_history_a_write_is_worth_the_isolated_questions_that_it_alone_serves() -> None:
    env = gym.make("AtomMem-Custom-v0", source=QADataset.from_histories(chats(1), name="chats"))
    trace, values = entry_values(env, make_policy("rag", engine="rules"), {"task_index": 0}, "kept")
    questions = [question for question in trace.metrics["questions"] if question["num_evidence"]]
    assert all(question["evidence"]["kept"] == 1.0 for question in questions)
    worth = {value.content: value.value for value in values if value.value}
    assert list(worth.values()) == pytest.approx([1 / len(questions)] * len(questions))
    assert all("I went to" in content for content in worth)


def test_of_a_stream_no_write_has_a_value() -> None:
    chat = {"histories": 1, "sessions": 8, "questions": 8, "stream": True}
    with pytest.raises(ValueError, match=r"stream=True"):
        entry_values(gym.make("AtomMem-Chat-v0", **chat), make_policy("rag"))
