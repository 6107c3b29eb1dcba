"""Exported episodes: complete records, and chat samples whose completions read back as what was done."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium as gym
import pyarrow.parquet as pq
import pytest

from atommem_env import Answer, Create, Read, TextProtocol, Update
from atommem_env.core.operations import parse
from atommem_env.integrations.trl.tools import MemoryTools
from atommem_env.protocols import get_protocol
from atommem_env.runs import Run, RunError, evaluate
from atommem_env.runs.export import ROWS, export
from atommem_env.runs.traces import ReplayError, find_trace, replay

WORLD = "AtomMem-World-v0"
TINY = {"num_docs": 12, "num_questions": 2, "chunk_tokens": 300, "chunk_overlap": 20}


class Notes:
    """Writes, looks, rewrites and answers."""

    name = "notes"

    def reset(self, observation: dict[str, Any], info: dict[str, Any]) -> None:
        pass

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> list[Any]:
        if observation["phase"] == 0:
            return [Create("a note\non two lines"), Update(0, "a <b>plan</b>"), Update(1, 'with "quotes"')]
        return [Read("note", 3)] if observation["looks_left"] == 3 else [Answer("the Ambry")]


class Spoilt(Notes):
    """Writes something that is not an operation."""

    name = "spoilt"

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> list[Any]:
        return [{"op": "create"}, *super().act(observation, info)]


class Tagged:
    name = "tagged"

    def reset(self, observation: str, info: dict[str, Any]) -> None:
        pass

    def act(self, observation: str, info: dict[str, Any]) -> str:
        return "Thinking. <create_memory>a note</create_memory><answer>Ambry</answer>"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("runs") / "r"
    return evaluate([WORLD, f"{WORLD}[top_k=2]"], {"notes": Notes, "oracle": "oracle"}, 3, out=folder, **TINY)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_record_has_the_whole_episode(run: Run, tmp_path: Path) -> None:
    done = export(run, tmp_path / "x.jsonl", "episodes")
    rows = lines(tmp_path / "x.jsonl")
    assert (done.episodes, done.rows, len(rows)) == (12, 12, 12)
    for row, episode in zip(rows, run.episodes, strict=True):
        assert row["metrics"] == episode["metrics"]
        assert row["source"] == episode["source"]
        assert len(row["steps"]) == episode["metrics"]["steps"]
        assert sum(step["reward"] for step in row["steps"]) == row["return"]
        assert row["steps"][0]["observation"]["chunk"].startswith("Document 1:")
    assert len({row["trajectory_id"] for row in rows}) == 12


@pytest.mark.parametrize("protocol", ["atommem", "released", "json"])
def test_a_completion_reads_back_as_the_operations_that_were_done(
    run: Run, tmp_path: Path, protocol: str
) -> None:
    done = export(run, tmp_path / "x.jsonl", "turns", policies=["oracle"], protocol=protocol)
    assert (done.episodes, done.left_out) == (6, [])
    reader = get_protocol(protocol)
    for row in lines(tmp_path / "x.jsonl"):
        assert run.folder is not None
        kept = find_trace(run.folder, (row["env"], row["policy"], row["task_index"]))
        assert kept is not None
        trace = replay(run.folder, kept)
        (message,) = row["completion"]
        assert message["role"] == "assistant"
        parsed = reader.parse(message["content"], trace.observations[row["step"]])
        assert parsed.malformed == []
        assert parsed.operations == [parse(item) for item in kept.actions[row["step"]]]
        assert row["prompt"][-1]["role"] == "user"


def test_a_turns_prompt_is_the_one_that_a_text_agent_would_see(run: Run, tmp_path: Path) -> None:
    export(run, tmp_path / "x.jsonl", "turns", envs=[WORLD], policies=["notes"])
    first = lines(tmp_path / "x.jsonl")[0]
    text_env = TextProtocol(gym.make(WORLD, **TINY))
    prompt, _ = text_env.reset(options={"task_index": 0})
    assert "\n\n".join(message["content"] for message in first["prompt"]) == prompt
    assert "top 2" not in prompt


def test_the_turns_of_an_episode_share_its_id_and_return(run: Run, tmp_path: Path) -> None:
    export(run, tmp_path / "x.jsonl", "turns")
    for episode in run.episodes:
        name = f"{episode['env']}/{episode['policy']}/{episode['task_index']}"
        own = [row for row in lines(tmp_path / "x.jsonl") if row["trajectory_id"] == name]
        assert [row["step"] for row in own] == list(range(episode["metrics"]["steps"]))
        assert len({row["return"] for row in own}) == 1
        assert sum(row["reward"] for row in own) == pytest.approx(own[0]["return"])


def test_a_conversation_alternates_and_says_the_instructions_once(run: Run, tmp_path: Path) -> None:
    export(run, tmp_path / "x.jsonl", "messages", policies=["notes"])
    for row in lines(tmp_path / "x.jsonl"):
        roles = [message["role"] for message in row["messages"]]
        assert roles == ["user", "assistant"] * (len(roles) // 2)
        assert "<create_memory>a note\non two lines</create_memory>" in row["messages"][1]["content"]
        sizes = [len(message["content"]) for message in row["messages"][::2]]
        assert "Document 1:" in row["messages"][0]["content"]
        assert "Document 1:" not in row["messages"][2]["content"]
        assert sizes[0] > sizes[-1]


@pytest.mark.parametrize("policy", [Notes, "keep-best"])
def test_calls_of_tools_do_what_was_done(tmp_path: Path, policy: Any) -> None:
    run = evaluate(WORLD, {"p": policy}, 3, out=tmp_path / "r", **TINY)
    done = export(run, tmp_path / "x.jsonl", "tools")
    assert (done.episodes, done.rows, done.left_out) == (3, 3, [])
    for row in lines(tmp_path / "x.jsonl"):
        tools = MemoryTools(WORLD, **TINY)
        first, *others, last = row["messages"]
        assert first == {"role": "user", "content": tools.reset(row["task_index"])}
        assert last == {"role": "assistant", "content": "Done."}
        returned = []
        for message in others:
            if message["role"] == "assistant":
                assert not returned
                calls = [call["function"] for call in message["tool_calls"]]
                assert [call["name"] in ("read", "answer", "next") for call in calls] == [False] * (
                    len(calls) - 1
                ) + [True]
                returned = [
                    (c["name"], getattr(tools, c["name"])(**json.loads(c["arguments"]))) for c in calls
                ]
            else:
                assert (message["name"], message["content"]) == returned.pop(0)
        assert tools.trajectory.over
        assert tools.get_reward() == row["return"]
        assert tools.trajectory.metrics["em"] == row["em"]
        names = [tool["function"]["name"] for tool in json.loads(row["tools"])]
        assert sorted(names) == ["answer", "create", "delete", "next", "read", "update"]


class Hasty(Notes):
    """Searches twice in one action."""

    name = "hasty"

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> list[Any]:
        return [Read("a"), Read("b"), *super().act(observation, info)]


def test_what_calls_of_tools_cannot_say_is_left_out(tmp_path: Path) -> None:
    run = evaluate(WORLD, [Hasty(), Spoilt()], 1, out=tmp_path / "r", **TINY)
    done = export(run, tmp_path / "x.jsonl", "tools")
    assert done.rows == 0
    assert "hasty/0: an action has read and read, each of which" in done.left_out[0]
    assert "spoilt/0: {'op': 'create'} is not a well-formed operation" in done.left_out[1]
    text = evaluate(TextProtocol(gym.make(WORLD, **TINY)), Tagged(), 1, out=tmp_path / "t")
    assert "is not a call of tools" in export(text, tmp_path / "x.jsonl", "tools").left_out[0]


def test_an_episode_with_two_reads_in_one_action_is_no_row_of_tools(run: Run, tmp_path: Path) -> None:
    export(run, tmp_path / "x.jsonl", "episodes", policies=["oracle"])
    several = {
        row["trajectory_id"]
        for row in lines(tmp_path / "x.jsonl")
        if any(sum(done["op"] == "read" for done in step["action"]) > 1 for step in row["steps"])
    }
    done = export(run, tmp_path / "x.jsonl", "tools", policies=["oracle"])
    assert {line.partition(": ")[0] for line in done.left_out} == several != set()
    assert done.episodes == 6 - len(several)


@pytest.mark.parametrize("rows", ROWS)
def test_parquet_holds_what_json_lines_hold(run: Run, tmp_path: Path, rows: str) -> None:
    for name in ("x.jsonl", "x.parquet"):
        export(run, tmp_path / name, rows)
    plain = lines(tmp_path / "x.jsonl")
    table = pq.read_table(tmp_path / "x.parquet").to_pylist()
    if rows == "episodes":
        for row in table:
            row["metrics"] = json.loads(row["metrics"])
            for step in row["steps"]:
                step.update({name: json.loads(step[name]) for name in ("observation", "action")})
    if rows == "tools":
        for row in table:
            row["messages"] = [{k: v for k, v in m.items() if v is not None} for m in row["messages"]]
    assert table == plain


@pytest.mark.parametrize("score", ["em", "f1", "cover_em", "reward"])
def test_episodes_are_chosen_by_their_score(run: Run, tmp_path: Path, score: str) -> None:
    name = "em" if score == "reward" else score
    wanted = [e["metrics"][name] for e in run.episodes if e["metrics"][name] >= 0.5]
    assert 0 < len(wanted) < len(run.episodes)
    done = export(run, tmp_path / "x.jsonl", "episodes", score=score, min_score=0.5)
    assert [row[name] for row in lines(tmp_path / "x.jsonl")] == wanted
    assert done.episodes == len(wanted)


def test_what_a_protocol_cannot_say_is_left_out_and_counted(tmp_path: Path) -> None:
    run = evaluate(WORLD, [Spoilt(), Notes()], 2, out=tmp_path / "r", **TINY)
    done = export(run, tmp_path / "x.jsonl", "turns")
    assert done.episodes == 2
    assert len(done.left_out) == 2
    assert "spoilt/0: {'op': 'create'} is not a well-formed operation" in done.left_out[0]
    assert {row["policy"] for row in lines(tmp_path / "x.jsonl")} == {"notes"}


def test_what_a_text_agent_wrote_is_kept_word_for_word(tmp_path: Path) -> None:
    run = evaluate(TextProtocol(gym.make(WORLD, **TINY)), Tagged(), 1, out=tmp_path / "r")
    export(run, tmp_path / "x.jsonl", "turns")
    rows = lines(tmp_path / "x.jsonl")
    assert {row["completion"][0]["content"] for row in rows} == {Tagged().act("", {})}
    assert "Document 1:" in rows[0]["prompt"][0]["content"]


def test_no_file_is_left_when_an_episode_cannot_be_made_again(tmp_path: Path) -> None:
    run = evaluate(WORLD, Notes(), 1, out=tmp_path / "r", **TINY)
    run.episodes[0]["metrics"]["steps"] += 1
    for name in ("x.jsonl", "x.parquet"):
        with pytest.raises(ReplayError):
            export(run, tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["r"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rows": "tokens"}, "rows 'tokens': expected one of episodes, messages, turns, tools"),
        ({"score": "bleu"}, "score 'bleu': expected one of em"),
        ({"envs": ["X"]}, "environment 'X' is not in this run"),
        ({"policies": ["X"]}, "policy 'X' is not in this run"),
        ({"min_score": 1.1}, "no episode"),
        ({"min_score": 1.1, "score": "reward"}, "no episode"),
        ({"protocol": "html"}, "protocol='html'"),
    ],
)
def test_a_wrong_argument_is_refused(
    run: Run, tmp_path: Path, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        export(run, tmp_path / "x.jsonl", **arguments)
    assert not (tmp_path / "x.jsonl").exists()


def test_a_run_without_traces_says_so(tmp_path: Path) -> None:
    run = evaluate(WORLD, Notes(), 1, out=tmp_path / "r", traces=False, **TINY)
    with pytest.raises(RunError, match="has no stored traces"):
        export(run, tmp_path / "x.jsonl")
