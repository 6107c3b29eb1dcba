"""Whole episodes with a language model behind a socket: workflows that ask it for little, much and everything."""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

import atommem_env
from atommem_env.baselines import make_policy
from atommem_env.llm import ChatError, ChatSettings
from atommem_env.policies import Trace
from atommem_env.runs.errors import EpisodeError
from fake_server import Answer, FakeServer, failed, said
from small_data import dataset


def model(prompt: str) -> str:
    """Reply as a model that reads well would: it keeps every sentence, and follows a birthplace to its river."""
    if '{"facts"' in prompt:
        return json.dumps({"facts": re.findall(r"[A-Z][^.\n]* (?:born in|lies on) [^.\n]*\.", prompt)})
    if '{"edits"' in prompt:
        facts = prompt.partition("New facts:")[2].partition("For each fact")[0]
        return json.dumps({"edits": [{"kind": "add", "text": fact} for fact in re.findall(r"- (.*)", facts)]})
    if "<create_memory>" in prompt and "reading, chunk" in prompt:
        documents = re.findall(r"Document \d+:\n(.*?)(?:\n\n|\Z)", prompt, re.S)
        return "".join(f"<create_memory>{text}</create_memory>" for text in documents)
    asked = prompt.rpartition("where ")[2]
    person = asked.partition(" was born")[0]
    place = re.search(rf"{person} was born in (\w+)", prompt.replace("\n", " "))
    river = place and re.search(rf"town of {place.group(1)} lies on the (River \w+)", prompt)
    answer = river.group(1) if river else "unknown"
    return f"<answer>{answer}</answer>" if "<answer>" in prompt and "<read_memory>" in prompt else answer


@pytest.fixture
def server(chat_server: FakeServer) -> FakeServer:
    return chat_server.begin(model)


def settings(server: FakeServer, **changes: Any) -> ChatSettings:
    return ChatSettings("m", server.address, **{"pause": 0.001, "retries": 2, **changes})


def episode(policy: str, chosen: ChatSettings, **arguments: Any) -> tuple[Trace, dict[str, int]]:
    env = gym.make(
        "AtomMem-Custom-v0",
        source=dataset(),
        num_docs=20,
        num_questions=2,
        chunk_tokens=256,
        chunk_overlap=0,
        top_k=32,
    )
    made: Any = make_policy(policy, engine=chosen, **arguments)  # type: ignore[arg-type]
    return atommem_env.rollout(env, made, options={"task_index": 1}), made.costs()


def test_rag_asks_once_a_question(server: FakeServer) -> None:
    trace, costs = episode("rag", settings(server))
    assert costs["calls"] == 2 == len(server.asked)
    assert trace.metrics["em"] > 0


def test_mem0_asks_for_facts_and_edits_at_every_chunk(server: FakeServer) -> None:
    trace, costs = episode("mem0", settings(server))
    assert costs["calls"] == len(server.asked) > 2 * trace.observations[0]["num_chunks"]
    assert costs["unparsed"] == 0
    assert trace.metrics["operations"]["create"] > 0


def test_atommem_asks_at_every_step(server: FakeServer) -> None:
    trace, costs = episode("atommem", settings(server))
    assert costs["calls"] == trace.metrics["steps"]
    assert trace.metrics["operations"]["create"] == 20
    assert trace.metrics["operations"]["answer"] == 2


@pytest.mark.parametrize("policy", ["rag", "mem0", "atommem"])
def test_a_model_that_talks_nonsense_costs_points_and_nothing_else(server: FakeServer, policy: str) -> None:
    server.reply = lambda prompt: '{[<create_memory>\x00 As a language model, {"facts": 3'
    trace, _ = episode(policy, settings(server))
    assert trace.terminated
    assert trace.metrics["em"] == 0


@pytest.mark.parametrize("policy", ["rag", "mem0", "atommem"])
def test_faults_that_pass_change_nothing(server: FakeServer, policy: str) -> None:
    undisturbed, costs = episode(policy, settings(server))
    server.plan = [failed(429, "slow down"), failed(500, "oops")]
    disturbed, _ = episode(policy, settings(server))
    assert disturbed.actions == undisturbed.actions
    assert len(server.asked) == 2 * costs["calls"] + 2


@pytest.mark.parametrize("policy", ["rag", "mem0", "atommem"])
def test_a_repeated_episode_costs_nothing(server: FakeServer, policy: str, tmp_path: Path) -> None:
    chosen = settings(server, cache=tmp_path)
    first, paid = episode(policy, chosen)
    asked = len(server.asked)
    again, costs = episode(policy, chosen)
    assert again.actions == first.actions
    assert len(server.asked) == asked
    assert costs == {**paid, "cached": costs["calls"]}


def test_a_run_in_threads_has_the_same_bytes_and_no_key(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    folders = [tmp_path / "one", tmp_path / "four"]
    for folder, jobs in zip(folders, (1, 4), strict=True):
        atommem_env.evaluate(
            "AtomMem-Custom-v0",
            ["closed-book", "rag"],
            episodes=4,
            jobs=jobs,
            engine=settings(server),
            out=folder,
            source=dataset(),
            num_docs=20,
            num_questions=2,
        )
    for name in ("run.json", "episodes.jsonl"):
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()
    assert server.keys[0] == "Bearer sk-secret"
    assert not any(b"sk-secret" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    costs = [json.loads(line) for line in (folders[1] / "timing.jsonl").read_text().splitlines()]
    assert {cost["calls"] for cost in costs} == {2}
    assert {cost["prompt_tokens"] for cost in costs} == {22}


def test_a_key_that_is_refused_stops_the_episode(server: FakeServer) -> None:
    server.plan = [failed(401, "bad key")]
    with pytest.raises(ChatError, match="OPENAI_API_KEY") as caught:
        episode("rag", settings(server))
    assert caught.value.fatal


def test_a_thinking_model_acts_on_its_reply_alone(server: FakeServer) -> None:
    def thinking(prompt: str) -> str:
        return f"<think>Shall I <create_memory>this?</create_memory></think>{model(prompt)}"

    plain, _ = episode("atommem", settings(server))
    server.reply = thinking
    assert episode("atommem", settings(server))[0].actions == plain.actions
    server.plan = [said(None, reasoning={"reasoning_content": "so much to"}, finish="length")]
    with pytest.warns(UserWarning, match="raise max_tokens"):
        trace, _ = episode("atommem", settings(server))
    assert trace.actions[0] == []


# --- what was said, and what could not be read --------------------------------------------------------


def run(server: FakeServer, policies: list[str], folder: Path, **changes: Any) -> Any:
    return atommem_env.evaluate(
        "AtomMem-Custom-v0",
        policies,  # type: ignore[arg-type]
        episodes=2,
        engine=settings(server, **changes),
        out=folder,
        source=dataset(),
        num_docs=20,
        num_questions=2,
    )


@pytest.mark.parametrize("policy", ["rag", "mem0", "atommem"])
def test_a_trace_keeps_each_reply_as_it_came(server: FakeServer, policy: str, tmp_path: Path) -> None:
    from atommem_env.runs.traces import read_traces

    server.reply = lambda prompt: f"<think>hm</think>{model(prompt)}<|im_end|>"
    trace, costs = episode(policy, settings(server))
    said_ = [piece for step in trace.said for piece in step]
    assert len(trace.said) == len(trace.actions)
    assert len(said_) == costs["calls"]
    assert all(piece["reply"].startswith("<think>hm</think>") for piece in said_)
    assert {piece["reasoning"] for piece in said_} == {"hm"}
    assert {piece["prompt_tokens"] for piece in said_} == {11}
    assert not any("prompt" in piece for piece in said_)
    run(server, [policy], tmp_path / "r", keep_prompts=True)
    stored = [piece for one in read_traces(tmp_path / "r") for step in one.said for piece in step]
    assert stored
    assert all(piece["reply"].endswith("<|im_end|>") and piece["prompt"] for piece in stored)


def test_a_policy_without_a_model_stores_nothing_said(server: FakeServer, tmp_path: Path) -> None:
    from atommem_env.runs.traces import read_traces

    done = run(server, ["random"], tmp_path / "r")
    assert not any(one.said for one in read_traces(tmp_path / "r"))
    assert "unreadable" not in done.episodes[0]


@pytest.mark.parametrize("policy", ["mem0", "atommem"])
def test_a_model_that_writes_nothing_readable_is_counted_and_said(
    server: FakeServer, policy: str, tmp_path: Path
) -> None:
    from atommem_env.runs.engines import unreadable_share

    server.reply = lambda prompt: '{"op": "create" "content"}' if policy == "atommem" else ""
    with pytest.warns(UserWarning, match=f"policy '{policy}': none of the .* replies .* could be read"):
        done = run(server, [policy], tmp_path / "r")
    counts, share = unreadable_share(done.episodes)
    assert share == 1
    assert set(counts) == ({"chat"} if policy == "atommem" else {"extract_facts", "answer"})
    server.reply = model
    _, share = unreadable_share(run(server, [policy], tmp_path / "s").episodes)
    assert share == 0


@pytest.mark.parametrize("jobs", [1, 4])
def test_a_run_says_each_thing_once_whatever_the_number_of_workers(server: FakeServer, jobs: int) -> None:
    server.plan = [said(None, reasoning={"reasoning": "hm"})] * 8
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        atommem_env.evaluate(
            "AtomMem-Custom-v0",
            ["rag"],
            episodes=4,
            jobs=jobs,
            engine=settings(server),
            source=dataset(),
            num_docs=20,
            num_questions=2,
        )
    assert sum("reasoning and no text" in str(warning.message) for warning in caught) == 1
    assert sum("could be read" in str(warning.message) for warning in caught) == 1


# --- a server that misbehaves in every way ------------------------------------------------------------


def choice(finish: str = "stop", **message: Any) -> Answer:
    return Answer(body={"choices": [{"finish_reason": finish, "message": message}]})


def cut(text: str) -> Answer:
    answer = said(text)
    answer.body["usage"]["prompt_tokens"] = 256  # of more than 400 words
    return answer


ASKED_AGAIN = [
    failed(400, "temperature and top_p cannot both be specified"),
    Answer(422, {"detail": [{"loc": ["body", "seed"], "msg": "extra fields not permitted"}]}),
    failed(429, "60 requests per minute"),
    Answer(body={"choices": []}),
    Answer(body={"choices": None}),
    choice("error", content="half a rep"),
    said(""),
]
FILTERED = failed(400, "The prompt was filtered", code="content_filter")
ONLY_REASONING = choice(content=None, reasoning="It may be the River Brenholt.")
STOPS = [
    Answer(400, {"error": "the model is loaded with context length of only 4096 tokens"}),
    Answer(body={"error": {"message": "Insufficient credits", "code": 402}}),
]
CALLS = [{"type": "function", "function": {"name": "create", "arguments": '{"content": "from a call"}'}}]
PARTS = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "create(content='from a part')"}]


def test_a_run_on_a_server_that_misbehaves_in_every_way_in_turn(server: FakeServer, tmp_path: Path) -> None:
    heard: list[str] = []

    def run_into(folder: str, *policies: Any) -> Any:
        """Start the run until nothing stops it any more; note what was said on the way."""
        while True:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                try:
                    return atommem_env.evaluate(
                        "AtomMem-Custom-v0",
                        policies,
                        episodes=1,
                        jobs=1,
                        engine=settings(server, cache=tmp_path / "replies", retries=6),
                        out=tmp_path / folder,
                        source=dataset(),
                        num_docs=20,
                        num_questions=2,
                        chunk_tokens=400,
                        chunk_overlap=0,
                    )
                except EpisodeError as stopped:
                    heard.append(str(stopped))
                finally:
                    heard.extend(str(warning.message) for warning in caught)

    counted = [FILTERED, ONLY_REASONING]
    server.plan = [
        *ASKED_AGAIN,
        cut("(nothing)"),
        choice(content=None, tool_calls=CALLS),
        choice(content=PARTS),
    ]
    server.plan += [STOPS[0], FILTERED, STOPS[1], *counted]
    run_into("one", "atommem")
    server.plan = list(counted)
    done = run_into("one", "atommem", "mem0")

    for words in ("lower chunk_tokens", "Insufficient credits", "num_ctx", "reasoning and no text"):
        assert sum(words in text for text in heard) >= 1, words
    unreadable = {episode["policy"]: episode["unreadable"] for episode in done.episodes}
    assert unreadable["atommem"] == {"chat": [2, 7]}
    assert unreadable["mem0"]["extract_facts"][0] == 2
    assert all(name in str(done) for name in ("chat 2 of 7", "extract_facts 2 of"))
    assert done.episodes[0]["metrics"]["operations"]["create"] == 2  # of the call, and of the part
    assert not {"seed", "top_p"} & set(server.asked[-1])

    kept = [json.loads(file.read_bytes()) for file in (tmp_path / "replies").rglob("*") if file.is_file()]
    assert all(reply["text"].strip() and reply["finish_reason"] == "stop" for reply in kept)
    calls = sum(of for counts in unreadable.values() for _, of in counts.values())
    assert len(kept) == calls - 4

    asked = len(server.asked)
    assert run_into("one", "atommem", "mem0").episodes == done.episodes
    assert len(server.asked) == asked
    server.plan = [*counted, *counted]
    assert run_into("two", "atommem", "mem0").episodes == done.episodes
    assert len(server.asked) == asked + 4
