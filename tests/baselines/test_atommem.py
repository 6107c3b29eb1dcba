"""AtomMem, prompted: a language model is shown the environment's prompt and chooses every operation."""

from __future__ import annotations

from typing import Any

import pytest

from atommem_env.baselines import make_policy
from atommem_env.wrappers import TextProtocol
from scripted import ScriptedEngine, make_env, operations, play

NOTE = "<create_memory>a note</create_memory>"
ANSWER = "<answer>River Glenmoor9</answer>"


def atommem(*replies: str, **arguments: Any) -> tuple[Any, ScriptedEngine]:
    engine = ScriptedEngine(chat=list(replies))
    return make_policy("atommem", engine=engine, **arguments), engine


def prompts(engine: ScriptedEngine) -> list[str]:
    return ["\n\n".join(message["content"] for message in messages) for (messages,) in engine.calls["chat"]]


def test_the_operations_of_a_reply_are_the_action() -> None:
    reply = f"I keep this. {NOTE} <read_memory>note</read_memory> {ANSWER}"
    policy, _ = atommem(reply)
    trace = play(policy)
    assert trace.actions[0] == [
        {"op": "create", "content": "a note"},
        {"op": "read", "query": "note", "k": None},
        {"op": "answer", "content": "River Glenmoor9"},
    ]
    assert trace.metrics["em"] == 1.0


def test_with_a_reader_the_model_writes_and_the_reader_looks_and_answers() -> None:
    reader = ScriptedEngine(answer=["River Glenmoor9"])
    policy, engine = atommem(NOTE, template="brief", reader=reader)
    trace = play(policy)
    assert {call["op"] for action in trace.actions[:-2] for call in action} == {"create"}
    assert trace.actions[-2:] == [
        [{"op": "read", "query": trace.metrics["questions"][0]["question"], "k": None}],
        [{"op": "answer", "content": "River Glenmoor9"}],
    ]
    assert len(engine.calls["chat"]) == len(trace.actions) - 2
    assert policy.engine_name == "scripted, reader scripted"
    assert policy.costs()["calls"] == len(engine.calls["chat"])


@pytest.mark.parametrize("protocol", ["atommem", "json", "released"])
def test_its_prompts_are_those_of_the_text_protocol(protocol: str) -> None:
    replies = {
        "atommem": [NOTE, "nonsense <read_memory>", ANSWER],
        "json": ['[{"op": "create", "content": "a note"}]', "{", '[{"op": "answer", "content": "x"}]'],
        "released": [
            "<add_memory>a note</add_memory>",
            "<modify_memory>Memory 9: x</modify_memory>",
            "<final_answer>x</final_answer>",
        ],
    }[protocol]
    arguments = {"operations": ("create", "read", "answer"), "capacity": 7, "max_looks": 2}
    policy, engine = atommem(*replies, protocol=protocol)
    play(policy, **arguments)
    env = TextProtocol(make_env(**arguments), protocol)
    shown, _ = env.reset(options={"task_index": 0})
    expected = []
    over = False
    while not over:
        expected.append(shown)
        shown, _, over, *_ = env.step([*replies, *[replies[-1]] * 99][len(expected) - 1])
    assert prompts(engine) == expected


def test_a_malformed_piece_is_dropped_counted_and_told_in_the_next_prompt() -> None:
    policy, engine = atommem(f"{NOTE}<update_memory>no id</update_memory>", ANSWER)
    trace = play(policy)
    assert trace.actions[0] == [{"op": "create", "content": "a note"}]
    first, second, third = prompts(engine)[:3]
    assert "no id" not in first
    assert "no id" in second
    assert "no id" not in third
    assert policy.costs()["malformed"] == 1


def test_costs_count_the_replies_of_the_episode() -> None:
    policy, engine = atommem("nothing", ANSWER)
    play(policy)
    once = len(engine.calls["chat"])
    assert policy.costs() == {"calls": once, "malformed": 0}
    play(policy)
    assert policy.costs() == {"calls": len(engine.calls["chat"]) - once, "malformed": 0}


def test_a_model_that_says_nothing_forfeits_and_the_episode_ends() -> None:
    policy, _ = atommem("")
    trace = play(policy)
    assert trace.terminated
    assert operations(trace, "create", "read", "update", "delete", "answer") == []
    assert trace.metrics["questions"][0]["forfeited"]


def test_a_reply_may_hold_what_no_encoding_takes() -> None:
    policy, _ = atommem("<create_memory>\ud800</create_memory>", ANSWER)
    assert play(policy).actions[0] == [{"op": "create", "content": "\ufffd"}]


def test_a_prompt_of_ones_own() -> None:
    policy, engine = atommem(ANSWER, template="Now: $turn")
    play(policy)
    assert all(prompt.startswith("Now: ") for prompt in prompts(engine))


def test_the_rules_engine_is_refused_with_a_word_on_what_to_use() -> None:
    with pytest.raises(ValueError, match=r"'atommem' needs an engine that has chat.*--engine"):
        make_policy("atommem", engine="rules")


def test_an_unknown_protocol_is_refused() -> None:
    with pytest.raises(ValueError, match="protocol='yaml'"):
        atommem(ANSWER, protocol="yaml")
