"""verl's agent loop without verl: the loop's logic, with a model that maps characters to characters, and the rows."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import pyarrow.parquet as pq
import pytest

from atommem_env.integrations import verl
from atommem_env.integrations.text_episode import Message, TextEpisode, row_episode
from atommem_env.integrations.verl import Rollout, run_episode, write_dataset
from scripted_policy import ScriptedPolicy
from small_data import dataset

SMALL: dict[str, Any] = {"num_docs": 12, "num_questions": 2, "chunk_tokens": 300, "chunk_overlap": 20}
GENERATED: dict[str, Any] = {"source": "generated", "num_docs": 8, "num_questions": 1}


@dataclass
class Written:
    """A reply in characters."""

    token_ids: list[int]
    log_probs: list[float] | None = None


def encode(messages: list[Message]) -> list[int]:
    return [ord(character) for character in messages[-1]["content"]]


def decode(token_ids: list[int]) -> str:
    return "".join(map(chr, token_ids))


def small_episode() -> TextEpisode:
    return TextEpisode(gym.make("AtomMem-Custom-v0", source=dataset(), **SMALL))


def play(policy: Callable[[str], str], task_index: int = 1, **limits: Any) -> Rollout:
    return asyncio.run(playing(policy, task_index, **limits))


async def playing(policy: Callable[[str], str], task_index: int, **limits: Any) -> Rollout:
    async def generate(prompt_ids: list[int]) -> Written:
        await asyncio.sleep(0)
        text = policy(decode(prompt_ids))
        return Written([ord(character) for character in text], [-0.5] * len(text))

    return await run_episode(
        small_episode(),
        task_index,
        generate,
        encode,
        decode,
        **{"prompt_length": 100_000, "response_length": 10_000, **limits},
    )


def scripted(**options: Any) -> Callable[[str], str]:
    policy = ScriptedPolicy(**options)
    return lambda prompt: policy([{"role": "user", "content": prompt}])


def test_each_step_is_a_row_with_its_own_complete_prompt() -> None:
    rollout = play(scripted())
    played = small_episode().play(ScriptedPolicy(), 1)
    assert [decode(row.prompt_ids) for row in rollout.rows] == [
        t.messages[-1]["content"] for t in played.turns
    ]
    assert [decode(row.response_ids) for row in rollout.rows] == [turn.text for turn in played.turns]
    assert rollout.trajectory.metrics == played.metrics
    assert rollout.trajectory.episode_return == played.episode_return
    for row in rollout.rows:
        assert row.response_mask == [1] * len(row.response_ids)
        assert row.response_logprobs == [-0.5] * len(row.response_ids)
        assert row.seconds_generating >= 0 <= row.seconds_stepping
    assert rollout.scores()["overlong"] == 0.0


def test_a_model_without_log_probabilities_gives_rows_without_them() -> None:
    async def generate(prompt_ids: list[int]) -> Written:
        return Written([ord("x")], [])

    rollout = asyncio.run(
        run_episode(small_episode(), 0, generate, encode, decode, prompt_length=10**6, response_length=9)
    )
    assert {row.response_logprobs for row in rollout.rows} == {None}


def test_a_reply_is_cut_before_it_is_read() -> None:
    rollout = play(lambda prompt: "<create_memory>a</create_memory>" * 3, response_length=40)
    assert {len(row.response_ids) for row in rollout.rows} == {40}
    assert {len(row.response_logprobs or ()) for row in rollout.rows} == {40}
    assert len(rollout.trajectory.turns[0].operations) == 1


def test_a_prompt_that_outgrows_the_limit_ends_the_models_part() -> None:
    limit = len(encode(small_episode().reset(1))) + 500
    with pytest.warns(RuntimeWarning, match=f"prompt_length={limit}"):
        rollout = play(lambda prompt: f"<scratchpad>{'note ' * 400}</scratchpad>", prompt_length=limit)
    assert rollout.overlong
    assert rollout.scores()["overlong"] == 1.0
    assert rollout.trajectory.over
    assert len(rollout.rows) == 1 < len(rollout.trajectory.turns)
    assert all(question["forfeited"] for question in rollout.trajectory.metrics["questions"])


@pytest.mark.filterwarnings("ignore:a prompt outgrew:RuntimeWarning")
def test_what_was_answered_before_a_prompt_outgrew_the_limit_counts() -> None:
    episode = small_episode()
    _, info = episode.env.reset(options={"task_index": 1})
    first = info["gold"][0]["answers"][0]

    def grows(prompt: str) -> str:
        reads = "## Text of this chunk" in prompt
        return "" if reads else f"<answer>{first}</answer><scratchpad>{'note ' * 1000}</scratchpad>"

    limit = max(len(turn.messages[-1]["content"]) for turn in episode.play(lambda messages: "", 1).turns)
    rollout = play(grows, prompt_length=limit)
    assert [question["forfeited"] for question in rollout.trajectory.metrics["questions"]] == [False, True]
    assert rollout.trajectory.episode_return == 0.5


def test_a_first_prompt_over_the_limit_is_an_error_with_the_numbers() -> None:
    length = len(encode(small_episode().reset(1)))
    with pytest.raises(ValueError, match=rf"has {length} tokens, and prompt_length is 100: .*chunk_tokens"):
        play(scripted(), prompt_length=100)


def test_no_reply_raises_and_every_episode_ends() -> None:
    for text in ("", "nothing", "<answer <read_memory>\x00 {'op': 1} </create_memory>"):
        rollout = play(lambda prompt, text=text: text)  # type: ignore[misc]
        assert rollout.trajectory.over
        assert rollout.trajectory.episode_return == 0.0
        assert len(rollout.rows) == (len(rollout.trajectory.turns) if text else 0)


def test_rows_over_the_most_are_drawn_as_the_replies_say() -> None:
    every, kept = play(scripted()).rows, [play(scripted(), max_rows=3).rows for _ in range(2)]
    assert [row.prompt_ids for row in kept[0]] == [row.prompt_ids for row in kept[1]]
    places = [[row.prompt_ids for row in every].index(row.prompt_ids) for row in kept[0]]
    assert len(places) == 3 < len(every)
    assert places == sorted(places)
    assert len(play(scripted(), max_rows=100).rows) == len(every)
    with pytest.raises(ValueError, match="max_rows=0"):
        play(scripted(), max_rows=0)


def test_episodes_of_one_event_loop_do_not_meet() -> None:
    async def together() -> list[Rollout]:
        return await asyncio.gather(*(playing(scripted(forget=0.4, seed=seed), 3) for seed in range(4)))

    for seed, rollout in enumerate(asyncio.run(together())):
        alone = play(scripted(forget=0.4, seed=seed), 3)
        assert [row.prompt_ids for row in rollout.rows] == [row.prompt_ids for row in alone.rows]
        assert rollout.trajectory.metrics == alone.trajectory.metrics


# --- the dataset --------------------------------------------------------------------------------------


def test_a_row_refers_to_its_task_and_holds_none_of_its_text(tmp_path: Path) -> None:
    path = tmp_path / "tasks.parquet"
    envs = ["AtomMem-HotpotQA-v0", "AtomMem-MuSiQue-v0"]
    assert write_dataset(path, envs, [5, 6], split="validation", **GENERATED) == 4
    rows = pq.read_table(path).to_pylist()
    assert [(row["data_source"], row["extra_info"]["task_index"]) for row in rows] == [
        (env, index) for index in (5, 6) for env in envs
    ]
    for number, row in enumerate(rows):
        assert set(row) == {"data_source", "prompt", "ability", "reward_model", "extra_info", "agent_name"}
        assert row["agent_name"] == verl.AGENT_NAME
        info = row["extra_info"]
        assert (info["index"], info["split"]) == (number, "validation")
        episode = row_episode(info)
        chunk = episode.reset(info["task_index"])[-1]["content"]
        assert episode.trajectory.trace.task_id == info["task_id"]
        assert row["prompt"] == [{"role": "user", "content": f"{info['env']}, task {info['task_index']}"}]
        assert len(json.dumps(row)) < len(chunk) / 2


def test_the_same_tasks_give_the_same_bytes(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.parquet", "b.parquet")]
    for path in paths:
        write_dataset(path, "AtomMem-HotpotQA-v0", range(3), **GENERATED)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_a_dataset_that_verl_could_not_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"train\.csv: .* \.parquet"):
        write_dataset(tmp_path / "train.csv", "AtomMem-World-v0", [0])
    with pytest.raises(ValueError, match="at least one task"):
        write_dataset(tmp_path / "train.parquet", "AtomMem-HotpotQA-v0", [], **GENERATED)
    with pytest.raises(ValueError, match="plain data"):
        write_dataset(tmp_path / "train.parquet", "AtomMem-Custom-v0", [0], source=dataset())
    assert not list(tmp_path.iterdir())


# --- the library --------------------------------------------------------------------------------------


def test_a_missing_library_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    verl._agent_loop_class.cache_clear()
    monkeypatch.setitem(sys.modules, "verl", None)
    for name in [name for name in sys.modules if name.startswith("verl.")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ImportError, match=r"AtomMemAgentLoop needs .* 'atommem_env\[verl\]'"):
        _ = verl.AtomMemAgentLoop


def test_any_other_name_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="no attribute 'AgentLoop'"):
        _ = verl.AgentLoop
