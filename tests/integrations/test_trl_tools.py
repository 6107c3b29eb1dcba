"""An environment as tools: what waits, what moves on, what is refused."""

from __future__ import annotations

import inspect
import pickle
import re
from typing import Any

import gymnasium as gym
import pytest

from atommem_env.core.operations import Answer, Create, Read, Update
from atommem_env.core.rules import Rules
from atommem_env.integrations.text_episode import BENCHMARKS, TextEpisode
from atommem_env.integrations.trl.text import TextTools, set_text_templates
from atommem_env.integrations.trl.tools import (
    OVER,
    MemoryTools,
    log_scores,
    make_environment_factory,
    tool_rows,
)
from atommem_env.protocols.tool_calls import ToolProtocol, calls_of
from scripted_policy import ScriptedPolicy
from small_data import dataset

CUSTOM = "AtomMem-Custom-v0"
SMALL = {"source": dataset(), "num_docs": 8, "num_questions": 1, "chunk_tokens": 100, "chunk_overlap": 20}


def started(**arguments: Any) -> MemoryTools:
    tools = MemoryTools(CUSTOM, **{**SMALL, **arguments})
    tools.reset(task_index=0)
    return tools


def methods(cls: type) -> list[str]:
    """Return what TRL takes for the tools of a class."""
    names = [name for name, _ in inspect.getmembers(cls, inspect.isfunction) if not name.startswith("_")]
    return [name for name in names if name not in ("reset", "get_reward")]


def played(tools: MemoryTools) -> None:
    policy = ScriptedPolicy("json")
    shown = tools.reset(task_index=0)
    while shown != OVER:
        for name, arguments in calls_of(policy.answer_view(shown)):
            shown = getattr(tools, name)(**arguments)


def position(shown: str) -> str:
    found = re.search(r"# Now: (.+)", shown)
    assert found is not None
    return found[1]


def test_the_tools_are_the_five_operations_and_next() -> None:
    assert methods(MemoryTools) == ["answer", "create", "delete", "next", "read", "update"]
    assert methods(TextTools) == ["reply"]
    assert not issubclass(MemoryTools, gym.Env)


def test_a_prompt_names_the_tools_and_says_what_waits() -> None:
    prompt = MemoryTools(CUSTOM, **SMALL).reset(task_index=0, prompt=[], further="column")
    for form in ("create(content)", "read(query, k)", "update(id, content)", "delete(id)", "answer(content)"):
        assert f"\n{form}\n" in prompt
    assert "waits until" in prompt
    assert "`next`" in prompt
    assert "reply" not in prompt.partition("# Your reply")[2].partition("# Now")[0]
    assert position(prompt) == "reading, chunk 1 of 3"


def test_a_prompt_speaks_of_the_tools_that_there_are() -> None:
    prompt = MemoryTools(CUSTOM, **SMALL, operations=("create", "answer"), scratchpad=False).reset(0)
    assert "While you read, `next` moves on to the next chunk." in prompt
    for tool in ("read", "update", "delete"):
        assert f"{tool}(" not in prompt
        assert f"`{tool}`" not in prompt


def test_a_prompt_in_other_words() -> None:
    assert (
        MemoryTools(CUSTOM, template="Be brief.\n\n$turn", **SMALL).reset(0).startswith("Be brief.\n\n# Now")
    )


def test_writes_wait_and_are_sent_as_one_action_in_their_order() -> None:
    tools = started()
    assert tools.create("The town lies on a river.") == "Waiting: 1."
    assert tools.update(1, "The town lies on a lake.") == "Waiting: 2."
    assert tools.update(0, "Look for the lake.") == "Waiting: 3."
    assert tools.trajectory.turns == []
    shown = tools.next()
    assert position(shown) == "reading, chunk 2 of 3"
    assert "1. create: stored as entry 1.\n2. update: entry 1 replaced.\n3. scratchpad: written." in shown
    assert [item["op"] for item in tools.trajectory.turns[0].operations] == ["create", "update", "update"]
    assert "## Scratchpad\nLook for the lake." in shown


def test_a_read_is_a_look_when_nothing_waits_and_moves_on_otherwise() -> None:
    tools = started()
    assert position(tools.read("river")) == "reading, chunk 1 of 3"
    tools.create("A river.")
    shown = tools.read("river", k=1)
    assert position(shown) == "reading, chunk 2 of 3"
    assert "[id: 1] A river." in shown
    assert tools.trajectory.turns[1].operations[-1] == {"op": "read", "query": "river", "k": 1}


def test_next_moves_on_with_nothing_to_send() -> None:
    assert position(started().next()) == "reading, chunk 2 of 3"


def test_an_answer_sends_what_waits_and_ends_the_episode_with_its_reward() -> None:
    tools = started()
    for _ in range(3):
        shown = tools.next()
    assert position(shown) == "answering, question 1 of 1"
    gold = tools.trajectory.trace.infos[0]["gold"][0]["answers"][0]
    tools.create("The last word.")
    assert tools.get_reward() == 0.0
    assert tools.answer(gold) == OVER
    assert tools.get_reward() == 1.0
    assert [item["op"] for item in tools.trajectory.turns[-1].operations] == ["create", "answer"]


def test_after_the_end_every_tool_says_so_and_does_nothing() -> None:
    tools = started()
    for _ in range(3):
        tools.next()
    tools.answer("nothing")
    steps = len(tools.trajectory.turns)
    calls = [
        tools.create("x"),
        tools.read("x"),
        tools.update(1, "x"),
        tools.delete(1),
        tools.answer("x"),
        tools.next(),
    ]
    assert set(calls) == {OVER}
    assert len(tools.trajectory.turns) == steps
    assert tools.get_reward() == 0.0


def test_a_model_that_stops_has_forfeited_but_keeps_what_it_earned_at_once() -> None:
    for timing, reward in (("terminal", 0.0), ("immediate", 0.5)):
        tools = started(num_questions=2, num_docs=10, reward_timing=timing)
        shown = tools.next()
        while "answering" not in shown:
            shown = tools.next()
        tools.answer(tools.trajectory.trace.infos[0]["gold"][0]["answers"][0])
        assert tools.get_reward() == reward


def test_bad_calls_are_reported_and_refused() -> None:
    tools = started()
    bad: Any = ["A number would be taken as text."]
    tools.create(bad)
    tools.update(5, "No such entry.")
    tools.delete("3")  # type: ignore[arg-type]  # a model may write a number so
    tools.create("</think> is text like any other \ud800")
    shown = tools.answer("too early")
    assert position(shown) == "reading, chunk 2 of 3"
    assert "update (entry 5): refused, there is no such entry." in shown
    assert "delete (entry 3): refused, there is no such entry." in shown
    assert "create: stored as entry 1." in shown
    assert "answer: refused, no question is being asked yet." in shown
    assert "Not understood, and left out: " in shown
    assert len(tools.trajectory.turns[0].malformed) == 1


def test_a_reset_forgets_everything() -> None:
    tools = started()
    first = tools.reset(task_index=1)
    tools.create("Waiting still.")
    tools.next()
    assert tools.reset(task_index=1) == first
    tools.next()
    assert tools.trajectory.turns[0].operations == []
    assert tools.get_reward() == 0.0


def test_a_row_without_a_task_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"no task_index; it has \['prompt'\]"):
        MemoryTools(CUSTOM, **SMALL).reset(prompt=[])


def test_the_script_finds_the_answer_through_the_tools() -> None:
    tools = MemoryTools(CUSTOM, **SMALL)
    played(tools)
    assert tools.trajectory.over
    assert tools.trajectory.metrics["questions"][0]["evidence"]["read"] > 0


def test_a_factory_can_be_pickled_and_makes_separate_episodes() -> None:
    factory = pickle.loads(pickle.dumps(make_environment_factory(CUSTOM, **SMALL)))
    one, two = factory(), factory()
    assert type(one) is type(two)
    assert type(one).__name__ == "MemoryTools"
    assert one.reset(task_index=3) == two.reset(task_index=3)
    one.create("Mine alone.")
    one.next()
    assert two.trajectory.turns == []


def test_each_benchmark_has_a_class_of_its_own_so_that_its_rewards_have_a_column() -> None:
    factories = make_environment_factory(dict.fromkeys(BENCHMARKS, CUSTOM), **SMALL)
    classes = {name: type(factory()) for name, factory in factories.items()}
    assert {name: cls.__name__ for name, cls in classes.items()} == {name: name for name in BENCHMARKS}
    assert len(set(classes.values())) == 3
    assert type(factories["musique"]()) is classes["musique"]
    assert methods(classes["musique"]) == methods(MemoryTools)


def test_tools_of_disabled_operations_are_hidden() -> None:
    for arguments, left in (
        (
            {"operations": ("create", "read", "answer")},
            ["answer", "create", "delete", "next", "read", "update"],
        ),
        ({"operations": ("create", "answer"), "scratchpad": False}, ["answer", "create", "next"]),
        ({"storage": False}, ["answer", "delete", "next", "update"]),
    ):
        factory = make_environment_factory(CUSTOM, source=dataset(), num_docs=6, **arguments)
        assert methods(type(factory())) == left
        assert [tool["function"]["name"] for tool in ToolProtocol().tools(Rules(**arguments))] == left


def test_a_factory_wants_an_id() -> None:
    env: Any = gym.make(CUSTOM, **SMALL)
    with pytest.raises(ValueError, match="an environment's id"):
        make_environment_factory(env)


def test_rows_hold_an_index_and_no_text() -> None:
    assert tool_rows([4]) == [{"prompt": [{"role": "user", "content": ""}], "task_index": 4}]
    rows = tool_rows(range(2), BENCHMARKS)
    assert [(row["environment"], row["task_index"]) for row in rows] == [
        (name, index) for index in range(2) for name in BENCHMARKS
    ]


def test_scores_are_logged_of_finished_episodes() -> None:
    done, open_ = MemoryTools(CUSTOM, **SMALL), started()
    played(done)
    logged: dict[str, float] = {}
    assert log_scores([done, open_], logged.__setitem__, prompts=[]) == [0.0, 0.0]
    assert logged["env/over"] == 0.5
    assert logged["env/em"] == done.trajectory.metrics["em"]
    log_scores([open_], logged.__setitem__)
    assert logged["env/over"] == 0.0


def test_a_message_is_an_action_of_the_text_protocol() -> None:
    tools = TextTools(CUSTOM, **SMALL)
    episode = TextEpisode(CUSTOM, prompt_mode="append", **SMALL)
    policy = ScriptedPolicy()
    shown, messages = tools.reset(task_index=0), episode.reset(task_index=0)
    while messages:
        assert shown == messages[-1]["content"]
        text = policy(messages)
        shown, messages = tools.reply(text), episode.step(text)
    assert shown == OVER
    assert tools.reply("<create_memory>More.</create_memory>") == OVER
    assert tools.trajectory.trace.actions == episode.trajectory.trace.actions
    assert tools.get_reward() == episode.trajectory.episode_return


def test_updates_and_unclosed_tags_are_read_by_the_protocol_itself() -> None:
    tools = TextTools(CUSTOM, **SMALL)
    tools.reset(task_index=0)
    shown = tools.reply(
        "<create_memory>A</create_memory><update_memory>id: 1\nB</update_memory><read_memory>never"
    )
    assert "1. create_memory: stored as entry 1.\n2. update_memory: entry 1 replaced." in shown
    assert "<read_memory> is not closed" in shown
    assert position(tools.reply("")) == "reading, chunk 3 of 3"


def test_text_templates_want_chatml() -> None:
    class Tokenizer:
        eos_token = "</s>"

        def get_vocab(self) -> dict[str, int]:
            return {"</s>": 0}

    with pytest.raises(ValueError, match="expected ChatML"):
        set_text_templates(Tokenizer())


def test_calls_of_an_action_end_with_the_one_that_sends_it() -> None:
    assert calls_of([Create("a"), Read("b"), Update(0, "c")]) == [
        ("create", {"content": "a"}),
        ("update", {"id": 0, "content": "c"}),
        ("read", {"query": "b"}),
    ]
    assert calls_of([]) == [("next", {})]
    with pytest.raises(ValueError, match="read and answer"):
        calls_of([Read("a"), Answer("b")])
