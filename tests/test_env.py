"""The decision process, rule by rule (docs/process.md)."""

from __future__ import annotations

import dataclasses
import enum
import itertools
import random
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import InvalidAction, ResetNeeded
from hypothesis import given, settings
from hypothesis import strategies as st

from atommem_env import SCRATCHPAD, Answer, Create, Delete, MemoryEnv, Read, Update
from atommem_env.core.operations import KINDS, REASONS, from_json, to_json
from atommem_env.tasks.pooled import PooledTasks
from atommem_env.tasks.task import Task
from small_data import dataset

DATA = dataset()
OBSERVATION_KEYS = {
    "phase", "questions", "chunk", "scratchpad", "queries", "retrieved", "results", "cursor", "num_chunks",
    "num_questions", "now", "memory_size", "capacity", "looks_left",
}  # fmt: skip
METRIC_KEYS = {
    "em", "f1", "cover_em", "questions", "official", "operations", "refused", "memory_size", "memory_peak",
    "entries_shown", "steps", "looks", "tokens_shown", "tokens_written", "source",
}  # fmt: skip


def make(**kwargs: Any) -> MemoryEnv:
    """Return a small environment: 12 documents, 2 questions, chunks of 120 tokens."""
    return MemoryEnv(
        DATA, **{"num_docs": 12, "num_questions": 2, "chunk_tokens": 120, "chunk_overlap": 20, **kwargs}
    )


def start(env: MemoryEnv, index: int = 0) -> tuple[dict[str, Any], dict[str, Any]]:
    return env.reset(seed=0, options={"task_index": index})


def to_questions(env: MemoryEnv) -> dict[str, Any]:
    """Step through the reading phase and return the first observation that asks a question."""
    observation: dict[str, Any] = {"phase": 0}
    while observation["phase"] == 0:
        observation = env.step([])[0]
    return observation


def reasons(observation: dict[str, Any]) -> list[str | None]:
    return [result["reason"] for result in observation["results"]]


# --- observation and info ---------------------------------------------------------------------------


def test_the_first_observation_shows_all_questions_and_the_first_chunk() -> None:
    env = make()
    observation, info = start(env)
    assert observation.keys() == OBSERVATION_KEYS
    assert observation in env.observation_space
    assert (
        observation["phase"]
        == observation["cursor"]
        == observation["memory_size"]
        == observation["capacity"]
        == 0
    )
    assert len(observation["questions"]) == observation["num_questions"] == 2
    assert observation["chunk"].startswith("Document 1:\n")
    assert observation["looks_left"] == 3
    assert observation["results"] == observation["queries"] == observation["retrieved"] == ()
    assert info.keys() == {"task_id", "results", "task_index", "source", "rules", "gold"}
    assert info["source"].startswith("records:towns#")


def test_gold_is_in_the_info_of_reset_alone() -> None:
    env = make()
    observation, info = start(env)
    for question, gold in zip(observation["questions"], info["gold"], strict=True):
        assert gold.keys() == {"answers", "evidence"}
        assert len(gold["answers"]) == 2
        assert [unit.keys() for unit in gold["evidence"]] == [{"title", "text", "sentence", "chunks"}] * 2
        assert gold["evidence"][0]["title"] in question
        assert all(unit["sentence"] in unit["text"] and unit["chunks"] for unit in gold["evidence"])
    while not (step := env.step([Answer("x")]))[2]:
        assert step[4].keys() == {"task_id", "results"}
    assert step[4].keys() == {"task_id", "results", "metrics"}


def test_evidence_stands_in_the_chunks_that_gold_names() -> None:
    env = make()
    for index in range(8):
        observation, info = start(env, index)
        chunks = []
        while observation["phase"] == 0:
            chunks.append(observation["chunk"])
            observation = env.step([])[0]
        for gold in info["gold"]:
            for unit in gold["evidence"]:
                assert any(unit["sentence"] in chunks[number] for number in unit["chunks"])
                assert all(
                    number in unit["chunks"]
                    for number, chunk in enumerate(chunks)
                    if unit["sentence"] in chunk
                )


def test_chunks_overlap_and_cover_the_text() -> None:
    env = make()
    observation, _ = start(env)
    chunks = []
    while observation["phase"] == 0:
        chunks.append(observation["chunk"])
        observation = env.step([])[0]
    assert len(chunks) > 2
    from atommem_env.tasks.documents import overlap
    from atommem_env.text import PieceTokenizer

    text = chunks[0]
    for left, right in itertools.pairwise(chunks):
        shared = overlap(left, right)
        assert PieceTokenizer().count(left) == 120
        assert PieceTokenizer().count(right[:shared]) == 20
        text += right[shared:]
    assert 20 < PieceTokenizer().count(chunks[-1]) <= 120
    assert [f"Document {number}:\n" in text for number in range(1, 13)] == [True] * 12
    assert "Document 13:" not in text


# --- operations -------------------------------------------------------------------------------------


def test_operations_run_in_order_and_report_one_result_each() -> None:
    env = make()
    start(env)
    observation, reward, terminated, truncated, info = env.step(
        [
            Create("red stone"),
            {"op": "create", "content": "blue water"},
            Update(1, "green stone"),
            Delete(2),
            Delete(9),
        ]
    )
    assert (reward, terminated, truncated) == (0.0, False, False)
    assert type(reward) is float
    assert observation["results"] == tuple(result.as_dict() for result in info["results"])
    assert [(r.op, r.ok, r.reason, r.id, r.evicted) for r in info["results"]] == [
        ("create", True, None, 1, None),
        ("create", True, None, 2, None),
        ("update", True, None, 1, None),
        ("delete", True, None, 2, None),
        ("delete", False, "unknown_id", 9, None),
    ]
    assert observation["memory_size"] == 1
    assert observation["cursor"] == 1


@pytest.mark.parametrize(
    "action", ["create", {"op": "create", "content": "x"}, None, Create("x"), 3, {1}, b"x"]
)
def test_an_action_that_is_no_list_raises(action: Any) -> None:
    env = make()
    start(env)
    with pytest.raises(InvalidAction, match="list or tuple of operations"):
        env.step(action)
    assert env.step([])[0]["cursor"] == 1


def test_bad_operations_are_refused_with_a_reason_and_change_nothing() -> None:
    env = make(entry_tokens=5, scratchpad_tokens=4)
    start(env)
    observation, *_, info = env.step(
        [
            42,
            {"op": "forget"},
            {"op": "create"},
            Create(" \n"),
            Create("one two three four five six"),
            Update(7, "x"),
            Update(-1, "x"),
            Update(SCRATCHPAD, "one two three four five"),
            Update(SCRATCHPAD, ""),
            Delete(1),
            Read(""),
            Answer("x"),
        ]
    )
    assert reasons(observation) == [
        "malformed", "malformed", "malformed", "empty", "too_long", "unknown_id", "unknown_id", "too_long", "empty",
        "unknown_id", "empty", "wrong_phase",
    ]  # fmt: skip
    assert [result.op for result in info["results"][:3]] == [None, None, "create"]
    assert observation["memory_size"] == 0
    assert observation["scratchpad"] == ""
    assert set(filter(None, reasons(observation))) <= set(REASONS)


def test_every_create_consumes_an_id_refused_or_not() -> None:
    env = make(entry_tokens=3)
    start(env)
    observation = env.step([Create("a"), Create(""), {"op": "create"}, Create("b b b b"), Create("c")])[0]
    assert [result["id"] for result in observation["results"]] == [1, None, None, None, 5]
    env.step([Delete(5)])
    assert env.step([Create("d")])[0]["results"][0]["id"] == 6


def test_ids_may_be_numpy_integers_and_never_bools() -> None:
    env = make()
    start(env)
    observation = env.step(
        [Create("a"), Update(np.int64(1), "b"), Update(True, "c"), Delete(np.bool_(True))]
    )[0]
    assert reasons(observation) == [None, None, "malformed", "malformed"]


def test_lone_surrogates_become_replacement_characters() -> None:
    env = make()
    start(env)
    observation = env.step([Update(0, "a\ud800b"), Create("x\udfff"), Read("x\udfff")])[0]
    assert observation["scratchpad"] == "a\ufffdb"
    assert observation["queries"] == ("x\ufffd",)
    assert observation["retrieved"][0]["content"] == "x\ufffd"


def test_the_scratchpad_is_shown_never_found_and_outside_capacity() -> None:
    env = make(capacity=1)
    start(env)
    observation = env.step([Update(0, "red stone"), Create("red water"), Read("red")])[0]
    assert observation["scratchpad"] == "red stone"
    assert [row["id"] for row in observation["retrieved"]] == [1]
    assert observation["memory_size"] == 1
    assert observation["capacity"] == 1
    observation = env.step([Delete(0), Delete(0)])[0]
    assert observation["scratchpad"] == ""
    assert reasons(observation) == [None, None]


# --- capacity ---------------------------------------------------------------------------------------


def test_a_full_store_refuses() -> None:
    env = make(capacity=2)
    start(env)
    observation = env.step([Create("a"), Create("b"), Create("c"), Delete(1), Create("d")])[0]
    assert reasons(observation) == [None, None, "capacity", None, None]
    assert [result["id"] for result in observation["results"]] == [1, 2, None, 1, 4]


def test_or_drops_the_lowest_id_which_an_update_does_not_renew() -> None:
    env = make(capacity=2, overflow="evict_oldest")
    start(env)
    observation = env.step(
        [Create("a"), Create("b"), Update(1, "aa"), Create("c"), Update(1, "x"), Read("b c aa")]
    )[0]
    assert observation["results"][3] == {"op": "create", "ok": True, "reason": None, "id": 3, "evicted": 1}
    assert observation["results"][4]["reason"] == "unknown_id"
    assert {row["id"] for row in observation["retrieved"]} == {2, 3}
    assert observation["memory_size"] == 2


# --- reading back -----------------------------------------------------------------------------------


def test_reads_are_answered_after_the_whole_action() -> None:
    env = make()
    start(env)
    env.step([Create("red stone"), Create("red water")])
    observation = env.step([Read("red"), Delete(1), Create("red sky")])[0]
    assert sorted(row["id"] for row in observation["retrieved"]) == [2, 3]


def test_the_first_accepted_read_replaces_the_standing_queries_and_others_append() -> None:
    env = make()
    start(env)
    assert env.step([Read(""), Read("one"), Read("two")])[0]["queries"] == ("one", "two")
    assert env.step([Create("x")])[0]["queries"] == ("one", "two")
    assert env.step([Read(" ")])[0]["queries"] == ("one", "two")
    assert env.step([Read("three")])[0]["queries"] == ("three",)


def test_queries_stand_and_are_run_again_at_every_step() -> None:
    env = make()
    start(env)
    env.step([Read("stone")])
    assert env.step([Create("red stone")])[0]["retrieved"][0]["content"] == "red stone"
    assert env.step([Update(1, "blue stone")])[0]["retrieved"][0]["content"] == "blue stone"
    assert to_questions(env)["retrieved"][0]["content"] == "blue stone"
    assert env.step([Answer("x")])[0]["retrieved"][0]["content"] == "blue stone"
    assert env.step([Answer("x")])[0]["retrieved"] == ()


def test_an_entry_found_twice_is_shown_once_under_the_first_query() -> None:
    env = make()
    start(env)
    observation = env.step([Create("red stone"), Create("blue stone"), Read("blue", 1), Read("stone red")])[0]
    assert [(row["id"], row["query"]) for row in observation["retrieved"]] == [(2, 0), (1, 1)]
    assert all(type(row["score"]) is float for row in observation["retrieved"])


def test_only_entries_that_share_a_token_are_hits_and_ties_go_to_the_lower_id() -> None:
    env = make(top_k=2)
    start(env)
    observation = env.step([Create("red"), Create("sky"), Create("red"), Create("red"), Read("red")])[0]
    assert [row["id"] for row in observation["retrieved"]] == [1, 3]
    assert [row["id"] for row in env.step([Read("red", 32)])[0]["retrieved"]] == [1, 3, 4]
    assert env.step([Read("stone")])[0]["retrieved"] == ()


# --- the cursor -------------------------------------------------------------------------------------


def test_reads_alone_are_a_look_and_anything_else_moves_on() -> None:
    env = make(chunk_tokens=60)
    start(env)
    assert env.step([Read("x")])[0]["cursor"] == 0
    assert env.step([Read("x"), {"op": "read"}])[0]["looks_left"] == 1
    observation = env.step([Read("x"), Create("y")])[0]
    assert (observation["cursor"], observation["looks_left"]) == (1, 3)
    assert env.step([])[0]["cursor"] == 2
    assert env.step([Answer("x")])[0]["cursor"] == 3
    assert env.step([17])[0]["cursor"] == 4


def test_a_look_at_zero_is_carried_out_and_moves_on() -> None:
    env = make(max_looks=1)
    start(env)
    env.step([Create("red stone")])
    assert env.step([Read("x")])[0]["looks_left"] == 0
    observation = env.step([Read("stone")])[0]
    assert (observation["cursor"], observation["looks_left"]) == (2, 1)
    assert observation["retrieved"][0]["id"] == 1


def test_while_answering_every_step_but_an_accepted_answer_is_a_look() -> None:
    env = make()
    start(env)
    observation = to_questions(env)
    assert (observation["phase"], observation["cursor"], observation["chunk"]) == (1, 0, "")
    assert len(observation["questions"]) == 1
    for action, left in (([], 2), ([Create("x")], 1), ([Answer(" ")], 0)):
        observation = env.step(action)[0]
        assert (observation["cursor"], observation["looks_left"]) == (0, left)
    observation = env.step([Create("y")])[0]
    assert (observation["cursor"], observation["looks_left"], observation["memory_size"]) == (1, 3, 2)
    first = env.metrics()["questions"][0]
    assert first["forfeited"]
    assert first["prediction"] is None
    assert first["em"] == 0.0


def test_one_answer_per_action_and_the_operations_around_it_run() -> None:
    env = make()
    start(env)
    to_questions(env)
    observation = env.step([Answer(""), Create("a"), Answer("one"), Answer("two"), Create("b")])[0]
    assert reasons(observation) == ["empty", None, None, "already_answered", None]
    assert (observation["cursor"], observation["memory_size"]) == (1, 2)
    assert env.metrics()["questions"][0]["prediction"] == "one"
    assert env.metrics()["questions"][1]["prediction"] is None


@pytest.mark.parametrize("max_looks", [0, 1, 3])
def test_an_episode_without_progress_takes_a_known_number_of_steps(max_looks: int) -> None:
    env = make(max_looks=max_looks)
    observation, _ = start(env)
    terminated, steps = False, 0
    while not terminated:
        _, reward, terminated, truncated, info = env.step([Read("x")])
        steps += 1
        assert not truncated
    assert steps == (max_looks + 1) * (observation["num_chunks"] + observation["num_questions"])
    assert reward == 0.0
    assert info["metrics"]["looks"] == info["metrics"]["steps"] == steps


def test_the_terminal_observation() -> None:
    env = make()
    start(env)
    env.step([Create("red"), Read("red")])
    to_questions(env)
    env.step([Answer("x")])
    observation, _, terminated, _, _ = env.step([Answer("x"), Create("blue")])
    assert terminated is True
    assert (observation["phase"], observation["cursor"]) == (1, 2)
    assert observation["questions"] == observation["retrieved"] == ()
    assert observation["chunk"] == ""
    assert observation["looks_left"] == 0
    assert observation["memory_size"] == 2
    assert len(observation["results"]) == 2
    with pytest.raises(ResetNeeded, match="after the end"):
        env.step([])
    with pytest.raises(ResetNeeded, match="before the first reset"):
        make().step([])


def test_an_early_answer_answers_question_0_and_ends_reading() -> None:
    env = make(early_answer=True)
    observation, info = start(env)
    answer = info["gold"][0]["answers"][0]
    observation, reward, terminated, _, _ = env.step([Create("x"), Answer(answer), Answer("y"), Create("z")])
    assert reasons(observation) == [None, None, "already_answered", None]
    assert (observation["phase"], observation["cursor"], observation["memory_size"]) == (1, 1, 2)
    assert not terminated
    assert reward == 0.0
    _, reward, terminated, _, info = env.step([Answer("wrong")])
    assert terminated
    assert reward == 0.5
    assert info["metrics"]["questions"][0]["evidence"]["seen"] < 1.0


def test_an_early_answer_to_the_only_question_ends_the_episode() -> None:
    env = make(early_answer=True, num_questions=1)
    start(env)
    assert env.step([Answer("x")])[2] is True


def test_max_steps_truncates_forfeits_and_pays() -> None:
    env = make(reward_timing="terminal")
    observation, info = start(env)
    limit = observation["num_chunks"] + 1
    env = make(max_steps=limit)
    start(env)
    to_questions(env)
    observation, reward, terminated, truncated, info = env.step([Answer(info["gold"][0]["answers"][1])])
    assert (terminated, truncated) == (False, True)
    assert reward == 0.5
    assert (observation["phase"], observation["cursor"], observation["looks_left"]) == (1, 2, 0)
    assert [question["forfeited"] for question in info["metrics"]["questions"]] == [False, True]


def test_an_episode_that_ends_at_the_limit_is_terminated() -> None:
    env = make()
    observation, _ = start(env)
    env = make(max_steps=observation["num_chunks"] + observation["num_questions"])
    start(env)
    to_questions(env)
    env.step([Answer("x")])
    assert env.step([Answer("x")])[2:4] == (True, False)


# --- switches ---------------------------------------------------------------------------------------


def test_without_storage_there_is_the_scratchpad_alone() -> None:
    env = make(storage=False)
    start(env)
    observation = env.step(
        [Create("x"), Read("x"), Update(1, "x"), Delete(3), Update(0, "y"), Delete(0), Update(0, "z")]
    )[0]
    assert reasons(observation) == ["disabled"] * 4 + [None] * 3
    assert observation["scratchpad"] == "z"
    assert observation["queries"] == ()


def test_without_the_scratchpad_entry_0_is_disabled() -> None:
    env = make(scratchpad=False)
    start(env)
    assert reasons(env.step([Update(0, "x"), Delete(0), Create("y")])[0]) == ["disabled", "disabled", None]


def test_operations_govern_stored_entries_and_the_scratchpad_governs_itself() -> None:
    env = make(operations=["create", "answer"])
    start(env)
    observation = env.step([Create("x"), Update(1, "y"), Delete(1), Read("x"), Update(0, "n"), Delete(0)])[0]
    assert reasons(observation) == [None, "disabled", "disabled", "disabled", None, None]
    assert observation["queries"] == observation["retrieved"] == ()
    assert env.step([Read("x")])[0]["looks_left"] == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"operations": ("create",)}, "'answer' cannot be removed"),
        ({"operations": ("answer", "forget")}, "forget"),
        ({"operations": "answer"}, "answer"),
        ({"capacity": 0}, "capacity=0"),
        ({"capacity": True}, "capacity=True"),
        ({"overflow": "drop"}, "overflow='drop'"),
        ({"top_k": 0}, "top_k=0"),
        ({"top_k": 33}, "top_k=33"),
        ({"max_looks": -1}, "max_looks=-1"),
        ({"max_steps": 0}, "max_steps=0"),
        ({"num_questions": 0}, "num_questions=0"),
        ({"num_questions": (3, 2)}, "num_questions="),
        ({"num_questions": 11}, "num_questions=11"),
        ({"num_docs": 0}, "num_docs=0"),
        ({"num_docs": 10_000}, "num_docs=10000"),
        ({"num_docs": "12"}, "num_docs='12'"),
        ({"num_docs": 12.0}, "num_docs=12.0"),
        ({"chunk_tokens": None}, "chunk_tokens=None"),
        ({"chunk_overlap": -1}, "chunk_overlap=-1"),
        ({"chunk_tokens": 0}, "chunk_tokens=0"),
        ({"chunk_overlap": 120}, "chunk_overlap=120"),
        ({"reward": "bleu"}, "reward='bleu'"),
        ({"reward_timing": "later"}, "reward_timing='later'"),
        ({"early_answer": True, "questions_shown": "when_asked"}, "questions_shown='when_asked'"),
        ({"retriever": "google"}, "google"),
        ({"render_mode": "rgb_array"}, "render_mode='rgb_array'"),
        ({"entry_tokens": 0}, "entry_tokens=0"),
    ],
)
def test_a_wrong_argument_is_a_clear_error(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(**arguments)


def test_gold_that_exceeds_num_docs_is_an_error_with_the_numbers() -> None:
    env = make(num_docs=3, num_questions=2)
    with pytest.raises(ValueError, match=r"num_docs=3: the 2 questions of task 0 have 4 gold"):
        start(env)


# --- rewards and metrics ----------------------------------------------------------------------------


@pytest.mark.parametrize("timing", ["terminal", "immediate"])
def test_right_answers_pay_their_share(timing: str) -> None:
    env = make(reward_timing=timing, num_questions=3)
    _, info = start(env)
    to_questions(env)
    rewards = [env.step([Answer(info["gold"][0]["answers"][0].upper())])[1], env.step([Answer("wrong")])[1]]
    _, reward, terminated, _, last = env.step([Answer(f"the {info['gold'][2]['answers'][1]}!")])
    assert terminated
    rewards.append(reward)
    assert rewards == pytest.approx([1 / 3, 0, 1 / 3] if timing == "immediate" else [0, 0, 2 / 3])
    assert last["metrics"]["em"] == pytest.approx(2 / 3)


def test_all_reward_comes_on_the_last_step_even_when_that_is_a_forfeit() -> None:
    env = make(max_looks=0)
    _, info = start(env)
    to_questions(env)
    assert env.step([Answer(info["gold"][0]["answers"][0])])[1] == 0.0
    assert env.step([])[1:3] == (0.5, True)


def test_the_answers_of_one_question_earn_nothing_for_another() -> None:
    env = make()
    _, info = start(env)
    to_questions(env)
    for _ in range(2):
        *_, last = env.step([Answer(info["gold"][0]["answers"][0])])
    assert last["metrics"]["em"] == 0.5


@pytest.mark.parametrize("count", range(1, 11))
@pytest.mark.parametrize("timing", ["terminal", "immediate"])
def test_a_perfect_return_lies_in_the_unit_interval(count: int, timing: str) -> None:
    env = make(num_questions=count, num_docs=60, reward_timing=timing)
    _, info = start(env)
    to_questions(env)
    total = sum(env.step([Answer(gold["answers"][0])])[1] for gold in info["gold"])
    assert total == pytest.approx(1.0)
    assert total <= 1.0


def test_a_reward_of_ones_own() -> None:
    env = make(reward=lambda prediction, answers: 0.5 * (prediction in answers))
    _, info = start(env)
    to_questions(env)
    env.step([Answer(info["gold"][0]["answers"][0])])
    assert env.step([Answer("x")])[1] == 0.25


def test_metrics_have_fixed_keys_and_types_at_any_time() -> None:
    env = make()
    start(env)
    early = env.metrics()
    env.step([Create("x"), Create(""), 3, Read("x")])
    to_questions(env)
    env.step([Answer("x")])
    *_, info = env.step([Answer("x")])
    late = info["metrics"]
    for metrics in (early, late):
        assert metrics.keys() == METRIC_KEYS
        assert set(metrics["operations"]) == set(KINDS)
        assert set(metrics["refused"]) == set(REASONS)
        for name in ("em", "f1", "cover_em"):
            assert type(metrics[name]) is float
        for name in (
            "memory_size",
            "memory_peak",
            "entries_shown",
            "steps",
            "looks",
            "tokens_shown",
            "tokens_written",
        ):
            assert type(metrics[name]) is int
        for question in metrics["questions"]:
            assert question.keys() == {
                "id", "type", "question", "answers", "prediction", "em", "f1", "cover_em", "official", "answerable",
                "abstained", "forfeited", "num_evidence", "num_superseded", "evidence",
            }  # fmt: skip
            evidence = question["evidence"]
            assert evidence.keys() == {
                "seen",
                "written",
                "kept",
                "read",
                "answered",
                "stale_kept",
                "stale_read",
                "read_any",
                "read_all",
            }
            assert all(type(share) is float for name, share in evidence.items() if "stale" not in name)
            assert evidence["stale_kept"] is evidence["stale_read"] is None
            assert (question["num_evidence"], question["num_superseded"]) == (2, 0)
    assert late["operations"] == {"create": 2, "read": 1, "update": 0, "delete": 0, "answer": 2}
    assert late["refused"]["empty"] == late["refused"]["malformed"] == 1
    assert late["memory_peak"] == 1


def test_tokens_are_counted_as_shown_and_written() -> None:
    env = make(chunk_overlap=0, num_questions=1)
    observation, _ = start(env)
    from atommem_env.text import PieceTokenizer

    total = PieceTokenizer().count(observation["chunk"])
    observation = env.step([Create("red stone"), Update(0, "blue water today"), Read("red")])[0]
    assert env.metrics()["tokens_written"] == 5
    while observation["phase"] == 0:
        total += PieceTokenizer().count(observation["chunk"]) + 5
        observation = env.step([])[0]
    total += 5
    *_, info = env.step([Answer("x")])
    assert info["metrics"]["tokens_shown"] == total
    assert info["metrics"]["entries_shown"] == observation["num_chunks"]


# --- the funnel -------------------------------------------------------------------------------------


def funnel(env: MemoryEnv, question: int = 0) -> dict[str, float]:
    shares: dict[str, float] = env.metrics()["questions"][question]["evidence"]
    return {stage: share for stage, share in shares.items() if "stale" not in stage and "_a" not in stage}


def start_at_the_last_chunk(env: MemoryEnv) -> dict[str, Any]:
    observation, info = start(env)
    while observation["cursor"] + 1 < observation["num_chunks"]:
        observation = env.step([])[0]
    return info


def test_a_policy_that_writes_and_reads_everything_has_a_full_funnel() -> None:
    env = make()
    info = start_at_the_last_chunk(env)
    env.step([Create(unit["sentence"]) for gold in info["gold"] for unit in gold["evidence"]])
    question = to_questions(env)["questions"][0]
    assert funnel(env) == {"seen": 1.0, "written": 1.0, "kept": 1.0, "read": 0.0, "answered": 0.0}
    env.step([Read(question), Read(info["gold"][0]["evidence"][1]["title"])])
    env.step([Answer(info["gold"][0]["answers"][0])])
    assert funnel(env) == {"seen": 1.0, "written": 1.0, "kept": 1.0, "read": 1.0, "answered": 1.0}


def test_what_is_written_and_destroyed_in_one_action_was_never_written() -> None:
    env = make()
    info = start_at_the_last_chunk(env)
    sentence = info["gold"][0]["evidence"][0]["sentence"]
    env.step([Create(sentence), Delete(1)])
    assert (funnel(env)["written"], funnel(env)["kept"]) == (0.0, 0.0)


def test_what_is_written_and_then_overwritten_is_not_kept() -> None:
    env = make(num_questions=2)
    info = start_at_the_last_chunk(env)
    env.step([Create(info["gold"][1]["evidence"][0]["sentence"])])
    env.step([Update(1, "nothing")])
    env.step([Answer("x")])
    assert (funnel(env, 1)["written"], funnel(env, 1)["kept"]) == (0.5, 0.0)


def test_what_is_written_before_the_text_shows_it_never_counts() -> None:
    env = make()
    _, info = start(env)
    units = [unit for unit in info["gold"][0]["evidence"] if unit["chunks"][-1] > 0]
    assert units
    env.step([Create(unit["sentence"]) for unit in units])
    to_questions(env)
    assert (funnel(env)["written"], funnel(env)["kept"]) == (0.0, 0.0)


def test_an_evicted_entry_is_not_kept() -> None:
    env = make(capacity=1, overflow="evict_oldest", num_questions=2)
    info = start_at_the_last_chunk(env)
    env.step([Create(info["gold"][1]["evidence"][0]["sentence"])])
    env.step([Create("x")])
    env.step([Answer("x")])
    assert (funnel(env, 1)["written"], funnel(env, 1)["kept"]) == (0.5, 0.0)


def test_a_question_without_gold_has_null_evidence() -> None:
    from atommem_env import QADataset
    from small_data import records

    data = QADataset.from_records([{**record, "supporting": []} for record in records()], name="nogold")
    env = MemoryEnv(data, num_docs=12, num_questions=1, chunk_tokens=120, chunk_overlap=20)
    _, info = env.reset(options={"task_index": 0})
    assert info["gold"][0]["evidence"] == []
    question = env.metrics()["questions"][0]
    assert question["num_evidence"] == 0
    assert question["evidence"] == {
        "seen": None,
        "written": None,
        "kept": None,
        "read": None,
        "answered": 0.0,
        "stale_kept": None,
        "stale_read": None,
        "read_any": None,
        "read_all": None,
    }


# --- tasks and state --------------------------------------------------------------------------------


def test_reset_options_are_checked() -> None:
    env = make()
    for options in (
        {"task": 1},
        {"task_index": -1},
        {"task_index": "1"},
        {"task_index": True},
        {"task_index": 1.0},
    ):
        with pytest.raises(ValueError, match="task_index"):
            env.reset(options=options)
    assert env.reset(options={"task_index": np.int64(10**6)})[1]["task_index"] == 10**6


def test_a_seed_decides_the_tasks_and_an_index_draws_nothing() -> None:
    env, twin = make(), make()
    env.reset(seed=5)
    twin.reset(seed=5)
    env.reset(options={"task_index": 3})
    drawn = [env.reset()[1]["task_index"] for _ in range(5)]
    assert [twin.reset()[1]["task_index"] for _ in range(5)] == drawn
    assert len(set(drawn)) > 1
    assert all(0 <= index < 64 * env.num_tasks for index in drawn)


def test_a_task_does_not_depend_on_the_agents_side() -> None:
    plain = start(make(), 4)
    other = start(make(capacity=3, retriever="random", top_k=2, max_looks=0), 4)
    assert plain[0]["chunk"] == other[0]["chunk"]
    assert {**plain[1], "rules": None} == {**other[1], "rules": None}


def _play(env: MemoryEnv, generator: random.Random, steps: int) -> list[Any]:
    """Act at random and return everything that came back."""
    record = []
    for _ in range(steps):
        words = [generator.choice("river town painter stone born".split()) for _ in range(2)]
        action = [
            generator.choice(
                [
                    Create(" ".join(words)),
                    Read(words[0]),
                    Update(generator.randrange(5), words[1]),
                    Delete(generator.randrange(5)),
                ]
            )
            for _ in range(generator.randrange(3))
        ]
        if generator.random() < 0.4:
            action.append(Answer(words[0]))
        step = env.step(action)
        record.append(step)
        if step[2]:
            break
    return record


@given(st.integers(0, 10**6), st.integers(0, 12))
@settings(max_examples=25, deadline=None)
def test_a_state_goes_back_exactly_and_may_be_used_again(seed: int, before: int) -> None:
    env = make(capacity=3, overflow="evict_oldest")
    env.reset(seed=seed)
    played = _play(env, random.Random(seed), before)
    if not (played and played[-1][2]):
        state = env.get_state()
        first = _play(env, random.Random(seed + 1), 50), env.reset()[1]["task_index"]
        for target in (env, make(capacity=3, overflow="evict_oldest")):
            target.reset(seed=1)
            target.set_state(state)
            assert (_play(target, random.Random(seed + 1), 50), target.reset()[1]["task_index"]) == first


def test_random_actions_never_raise_and_every_episode_ends() -> None:
    generator = random.Random(0)
    env = make(capacity=4, overflow="evict_oldest", entry_tokens=20, early_answer=True, max_steps=40)
    junk: list[Any] = [
        None, 0, "x", {}, {"op": 1}, {"op": "create"}, {"op": "read", "query": "x", "k": 99}, Create(1), [],
        Update(None, "x"),
        {"op": "update", "id": 10**30, "content": "x"}, Delete(-3), Create("\ud800"), Answer("x" * 5000), Read("?!"),
        float("nan"), {"op": "answer", "content": None}, {1: 2}, Answer(""), object(),
    ]  # fmt: skip
    env.action_space.seed(0)
    for episode in range(400):
        env.reset(seed=episode)
        ended = False
        steps = 0
        while not ended:
            action = [*env.action_space.sample(), *generator.sample(junk, generator.randrange(3))]
            observation, reward, terminated, truncated, _ = env.step(action)
            ended = terminated or truncated
            steps += 1
            assert steps <= 40
            assert 0.0 <= reward <= 1.0
            assert len(observation["results"]) == len(action)
        assert observation in env.observation_space


# --- rendering --------------------------------------------------------------------------------------


def test_rendering_shows_the_step(capsys: pytest.CaptureFixture[str]) -> None:
    env = make(render_mode="ansi")
    observation, _ = start(env)
    env.step([Create("red stone"), Update(0, "a plan"), Delete(5), Read("red")])
    page = env.render()
    assert page is not None
    for part in (
        "reading chunk 2",
        observation["questions"][0][:40],
        "red stone",
        "a plan",
        "unknown_id",
        "looks left: 3",
    ):
        assert part in page
    loud = make(render_mode="human")
    start(loud)
    loud.step([])
    assert capsys.readouterr().out.count("reading chunk") == 2


def test_rendering_without_a_mode_warns() -> None:
    env = make()
    start(env)
    with pytest.warns(UserWarning, match="render_mode"):
        assert env.render() is None


def test_the_space_samples_what_is_enabled() -> None:
    env = make(operations=("create", "answer"), scratchpad=False)
    assert env.action_space != gym.spaces.Discrete(2)
    assert {operation.op for _ in range(100) for operation in env.action_space.sample()} == {
        "create",
        "answer",
    }


def test_the_rules_are_told_at_reset() -> None:
    rules = start(make(capacity=3, overflow="evict_oldest", entry_tokens=9, operations=["answer", "read"]))[
        1
    ]["rules"]
    assert rules.as_dict() == {
        "capacity": 3, "overflow": "evict_oldest", "entry_tokens": 9, "scratchpad_tokens": 1024, "query_tokens": 1024,
        "top_k": 6, "max_looks": 3, "operations": ("read", "answer"), "scratchpad": True, "storage": True,
        "early_answer": False, "questions_shown": "always", "isolate_questions": False, "abstain": "",
        "stream": False,
    }  # fmt: skip


def test_a_query_over_the_limit_is_refused_and_the_standing_ones_stay() -> None:
    env = make(query_tokens=3)
    start(env)
    observation, *_ = env.step([Read("red blue water")])
    assert observation["results"][0]["ok"]
    observation, *_ = env.step([Read("red blue water stone")])
    assert [result["reason"] for result in observation["results"]] == ["too_long"]
    assert observation["queries"] == ("red blue water",)


def test_the_peak_of_memory_outlives_a_delete() -> None:
    env = make()
    start(env)
    env.step([Create("red"), Create("blue"), Create("green")])
    env.step([Delete(1), Delete(2)])
    assert (env.metrics()["memory_peak"], env.metrics()["memory_size"]) == (3, 1)


def test_what_an_early_answer_is_given_from_counts_as_kept_and_read() -> None:
    env = make(early_answer=True, num_questions=1)
    _, info = start(env)
    sentences = [unit["sentence"] for unit in info["gold"][0]["evidence"]]
    last = max(chunk for unit in info["gold"][0]["evidence"] for chunk in unit["chunks"])
    for _ in range(last):
        env.step([])
    env.step([*map(Create, sentences), Read(" ".join(sentences))])
    *_, terminated, _, info = env.step([Answer("x")])
    assert terminated
    evidence = info["metrics"]["questions"][0]["evidence"]
    assert (evidence["seen"], evidence["kept"], evidence["read"]) == (1.0, 1.0, 1.0)


def test_a_cleared_scratchpad_is_shown_no_more() -> None:
    written, cleared = make(chunk_overlap=0), make(chunk_overlap=0)
    for env, action in ((written, []), (cleared, [Delete(0)])):
        start(env)
        env.step([Update(0, "red blue water")])
        env.step(action)
    assert written.metrics()["tokens_shown"] - cleared.metrics()["tokens_shown"] == 3


def test_a_unit_is_in_no_chunk_that_ends_where_it_begins() -> None:
    env = make()
    start(env)
    task = env.task
    for unit in task.units:
        for number, (first, last) in enumerate(task.chunks):
            assert (number in task.chunks_of(unit)) == (first < unit.end and unit.start < last)
    unit = task.units[0]
    cut = dataclasses.replace(
        task, chunks=((0, unit.start), (unit.start, unit.end), (unit.end, len(task.text)))
    )
    assert cut.chunks_of(unit) == [1]


# --- what is odd ------------------------------------------------------------------------------------


class Text(str):
    """A str that is not a plain one."""

    __slots__ = ()

    def __str__(self) -> str:
        raise RuntimeError("no")


class Hostile(dict[str, Any]):
    """A mapping that cannot be read."""

    def get(self, *_: Any) -> Any:
        raise RuntimeError("no")


class Keyless(dict[str, Any]):
    """A mapping whose keys cannot be had."""

    def keys(self) -> Any:
        raise RuntimeError("no")


class Note(Create, frozen=True, tag="note"):
    """An operation under another tag."""


class Lying(Create, frozen=True, tag="lie"):
    """An operation that says of itself that it is none."""

    @property
    def op(self) -> str:
        raise RuntimeError("no")


class Longer(Update, frozen=True, tag="longer"):
    """An operation with a field too many."""

    why: str = ""


class Silent(Delete, frozen=True, tag="silent"):
    """An operation whose id cannot be read."""

    def __getattribute__(self, name: str) -> Any:
        if name == "id":
            raise RuntimeError("no")
        return super().__getattribute__(name)


class Nothing:
    """An object that raises whatever it is asked."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("no")

    @property
    def __class__(self) -> Any:
        raise RuntimeError("no")


class Number:
    """An object whose number cannot be had."""

    def __index__(self) -> int:
        raise OverflowError("no")


class Falling(list[Any]):
    """A list that cannot be walked."""

    def __iter__(self) -> Any:
        raise RuntimeError("no")


class Colour(str, enum.Enum):
    RED = "red stone"


def test_texts_and_ints_are_exact_ones_at_the_border() -> None:
    env = make()
    start(env)
    odd = [Create(np.str_("blue water")), Create(Text("green hill")), Create(Colour.RED), Read(Text("hill"))]
    more = [Update(np.int64(1), Text("blue")), {"op": Text("create"), "content": Text("x")}]
    observation, *_ = env.step([*odd, *more])  # type: ignore[list-item]
    assert reasons(observation) == [None] * 6
    assert env.episode is not None
    assert env.episode.store.entries == {1: "blue", 2: "green hill", 3: "red stone", 4: "x"}
    contents = [*env.episode.store.entries.values(), *observation["queries"]]
    assert {type(content) for content in contents} == {str}


ODD: list[Any] = [
        Delete(10**5000), Update(-(10**5000), "x"), {"op": "delete", "id": 10**5000}, Hostile(op="create", content="x"),
        Keyless(op="create", content="x"), {"op": ["create"]}, {"op": "update", "id": 0, "content": 3},
        Longer(1, "x"), Silent(1), Nothing(), Number(), Delete(Number()), Update(Number(), "x"), Read("x", Number()),
        Create(Nothing()), {"op": Nothing()}, {"op": "create", "content": Nothing()}, {Nothing(): "create"},
        {"op": "delete", "id": 2**63}, {"op": "read", "query": "x", "k": 10**5000}, Create(b"x"), Create(["x"]),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(ODD)))
def test_what_is_odd_is_malformed_and_never_raises(number: int) -> None:
    env = make()
    start(env)
    assert reasons(env.step([ODD[number], Create("y")])[0]) == ["malformed", None]
    assert env.metrics()["memory_size"] == 1


def test_an_operation_of_a_subclass_is_what_it_comes_from() -> None:
    env = make()
    start(env)
    observation, *_ = env.step(Falling([Note("red stone"), Lying("blue water")]))
    assert reasons(observation) == [None, None]
    assert [result["op"] for result in observation["results"]] == ["create", "create"]
    assert env.metrics()["operations"]["create"] == 2


def test_json_has_no_lone_surrogate() -> None:
    assert from_json(to_json([Create("a\ud800b"), Delete(3)])) == [Create("a\ufffdb"), Delete(3)]


class Unprintable:
    """An object that cannot be printed."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


WRONG_REWARDS = [
    None, "1", b"1", 2.0, -0.5, float("nan"), float("inf"), [0.5], (), {}, 1j, 10**5000, Unprintable(), Number(),
    "x" * 10**6,
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(WRONG_REWARDS)))
def test_a_reward_that_is_no_score_is_an_error_and_leaves_the_episode_as_it_was(number: int) -> None:
    env = make(reward=lambda prediction, answers: WRONG_REWARDS[number])
    start(env)
    to_questions(env)
    before = env.metrics()
    with pytest.raises(ValueError, match=r"reward=.*returned .*a score is a number that lies in \[0, 1\]"):
        env.step([Create("a note"), Update(0, "x"), Answer("y")])
    assert env.metrics() == before
    assert env.step([Create("a note")])[0]["results"][0]["id"] == 1


# --- questions while reading, and isolated ones ------------------------------------------------------


def test_when_asked_no_question_is_shown_while_reading() -> None:
    env = make(questions_shown="when_asked")
    observation, info = start(env)
    assert info["rules"].questions_shown == "when_asked"
    assert observation["num_questions"] == 2
    while observation["phase"] == 0:
        assert observation["questions"] == ()
        observation = env.step([])[0]
    assert len(observation["questions"]) == 1


def test_an_isolated_question_starts_from_the_end_of_reading() -> None:
    env = make(isolate_questions=True, num_questions=3)
    start(env)
    env.step([Create("red stone"), Create("blue water"), Update(0, "note"), Read("red")])
    first = to_questions(env)
    assert first["results"] == ()
    assert env.episode is not None
    reading = dict(env.episode.store.entries)
    for number in range(3):
        observation = env.episode.observe()
        assert {**observation, "questions": (), "cursor": 0} == {**first, "questions": (), "cursor": 0}
        changes = [Delete(1), Update(2, "green"), Create("new"), Update(0, f"{number}"), Read("new")]
        observation, *_ = env.step(changes)
        assert observation["results"][2]["id"] == 3
        assert [hit["content"] for hit in observation["retrieved"]] == ["new"]
        *_, terminated, _, info = env.step([Answer("x")])
    assert terminated
    assert info["results"][0].op == "answer"
    assert env.episode.store.entries == reading
    metrics = info["metrics"]
    assert (metrics["memory_size"], metrics["memory_peak"]) == (2, 2)
    assert metrics["operations"] == {"create": 5, "read": 4, "update": 7, "delete": 3, "answer": 3}


@pytest.mark.parametrize("isolated", [False, True])
def test_what_is_written_for_one_question_counts_for_it_alone(isolated: bool) -> None:
    env = make(isolate_questions=isolated)
    _, info = start(env)
    to_questions(env)
    texts = [f"{unit['title']}: {unit['sentence']}" for gold in info["gold"] for unit in gold["evidence"]]
    env.step([*map(Create, texts), Read(" ".join(texts), 32)])
    env.step([Answer("x")])
    *_, last = env.step([Answer("x")])
    first, second = (question["evidence"] for question in last["metrics"]["questions"])
    assert (first["written"], first["read"]) == (1.0, 1.0)
    expected = (0.0, 0.0, 0.0) if isolated else (1.0, 1.0, 1.0)
    assert (second["written"], second["kept"], second["read"]) == expected


def test_a_state_within_an_isolated_question_can_be_gone_back_to() -> None:
    env = make(isolate_questions=True)
    start(env)
    to_questions(env)
    env.step([Create("one")])
    state = env.get_state()
    ends = []
    for _ in range(2):
        env.set_state(state)
        env.step([Create("two")])
        observation = env.step([Answer("x")])[0]
        ends.append((observation, env.step([Answer("x")])[4]["metrics"]))
    assert ends[0] == ends[1]
    assert ends[0][0]["memory_size"] == 0


def test_an_isolated_question_that_is_cut_off_leaves_readings_memory() -> None:
    env = make(isolate_questions=True)
    start(env)
    env = make(isolate_questions=True, max_steps=len(env.task.chunks) + 1)
    start(env)
    to_questions(env)
    *_, truncated, info = env.step([Create("new")])
    assert truncated
    assert info["metrics"]["memory_size"] == 0


# --- composers --------------------------------------------------------------------------------------


class Interleaved:
    """One's own composer: its tasks ask a question after each of the first chunks."""

    def __init__(self, stream: bool = True) -> None:
        self.dataset = DATA
        self._pooled = PooledTasks(DATA, 12, 2, 120, 0)
        self._stream = stream

    @property
    def num_tasks(self) -> int:
        return self._pooled.num_tasks

    def build(self, index: int) -> Task:
        task = self._pooled.build(index)
        reading, answering = task.positions[: len(task.chunks)], task.positions[len(task.chunks) :]
        stream = (reading[0], answering[1], reading[1], answering[0], *reading[2:]) if self._stream else ()
        dates = tuple(f"2024-01-{number:02}" for number in range(1, len(task.chunks) + 1))
        return dataclasses.replace(task, stream=stream, dates=dates)


def test_any_composer_will_do() -> None:
    env = MemoryEnv(Interleaved(stream=False))
    assert env.num_tasks == make().num_tasks
    observation, _ = start(env)
    assert observation["now"] == "2024-01-01"
    assert env.step([])[0]["now"] == "2024-01-02"
    with pytest.raises(ValueError, match=r"\['num_docs'\]: the composer that was given has its own"):
        MemoryEnv(Interleaved(), num_docs=12)


@pytest.mark.parametrize("isolated", [False, True])
def test_a_stream_asks_between_chunks_and_ends_with_its_last_position(isolated: bool) -> None:
    env = MemoryEnv(Interleaved(), isolate_questions=isolated)
    observation, _ = start(env)
    walked, sizes, over = [], [], False
    while not over:
        walked.append((observation["phase"], observation["cursor"], len(observation["questions"])))
        sizes.append(observation["memory_size"])
        observation, _, over, _, info = env.step([Create("a note"), Answer("x")])
    assert walked[:5] == [(0, 0, 2), (1, 1, 1), (0, 1, 1), (1, 0, 1), (0, 2, 0)]
    assert sizes[:5] == ([0, 1, 1, 2, 2] if isolated else [0, 1, 2, 3, 4])
    assert (observation["phase"], observation["cursor"], observation["now"]) == (1, 2, "")
    assert [question["prediction"] for question in info["metrics"]["questions"]] == ["x", "x"]


def test_a_stream_takes_no_early_answer() -> None:
    with pytest.raises(ValueError, match=r"early_answer=True: task .* asks questions between chunks"):
        start(MemoryEnv(Interleaved(), early_answer=True))
