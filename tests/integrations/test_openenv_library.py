"""OpenEnv: real sessions over the web socket, on a server in this process."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

from atommem_env import Answer, Create, Delete, Read, Update
from atommem_env.integrations.text_episode import TextEpisode
from scripted_policy import ScriptedPolicy
from small_data import dataset
from trainers import library, pytestmark  # noqa: F401

openenv = library("openenv")

import uvicorn  # noqa: E402
from openenv.cli._validation import validate_running_environment  # noqa: E402
from openenv.core import GenericEnvClient  # noqa: E402
from openenv.validation import Level, Verdict, run_validation  # noqa: E402
from openenv.validation.graders import Subject  # noqa: E402
from openenv.validation.graders.runtime import (  # noqa: E402
    ObservationSchemaGrader,
    RewardWellFormedGrader,
    StateContractGrader,
)
from openenv.validation.parsers.openenv_yaml import OpenEnvYamlParser  # noqa: E402
from openenv.validation.runtime.collector import collect_runtime_evidence  # noqa: E402
from openenv.validation.runtime.contracts import RuntimePlan  # noqa: E402

from atommem_env.integrations.openenv import (  # noqa: E402
    AtomMemAction,
    AtomMemClient,
    AtomMemEnvironment,
    AtomMemObservation,
    app_from_environment,
    make_app,
)
from atommem_env.integrations.openenv.__main__ import main  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples" / "trainers"
ENV = "AtomMem-World-v0"
SMALL: dict[str, Any] = {"num_docs": 15, "num_questions": 2, "chunk_tokens": 400, "chunk_overlap": 20}
SESSIONS = 32


@contextlib.contextmanager
def serving(app: Any) -> Iterator[str]:
    """Run ``app`` in a thread and yield its address."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server with prompts that need no history."""
    with serving(make_app(ENV, sessions=SESSIONS, **SMALL)) as address:
        yield address


@pytest.fixture
def session(url: str) -> Iterator[Any]:
    with AtomMemClient(url).sync() as opened:
        yield opened


def direct() -> gym.Env[Any, Any]:
    return gym.make(ENV, **SMALL)


def memory_part(observation: AtomMemObservation) -> dict[str, Any]:
    """Return what ``MemoryEnv`` shows, in the JSON form of its own observation."""
    whole = observation.model_dump()
    return {name: whole[name] for name in direct().observation_space.spaces}


def plain(observation: dict[str, Any]) -> Any:
    return json.loads(json.dumps(observation))


def holds(condition: Callable[[], bool], seconds: float = 20) -> bool:
    """Return whether ``condition`` comes to hold: a server notes the end of a session in its own time."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


# --- episodes -------------------------------------------------------------------------------------------


def test_an_episode_of_texts_is_what_direct_play_is(session: Any) -> None:
    policy, local = ScriptedPolicy(), TextEpisode(direct())
    returns = []
    for index in range(6):
        trajectory = local.play(policy, index)
        seen = session.reset(task_index=index)
        rewards = []
        for turn in trajectory.turns:
            assert seen.observation.messages == turn.messages
            seen = session.step(policy(seen.observation.messages))
            rewards.append(seen.reward)
            assert seen.observation.results == turn.results
        assert seen.done
        assert rewards == [turn.reward for turn in trajectory.turns]
        assert seen.observation.messages == []
        assert seen.metadata["metrics"] == plain(trajectory.metrics)
        assert seen.metadata["truncated"] is False
        returns.append(sum(rewards))
    assert any(returns)


def test_in_append_mode_the_messages_of_a_session_make_the_conversation() -> None:
    env, data, policy = "AtomMem-Custom-v0", dataset(), ScriptedPolicy()
    local = TextEpisode(env, prompt_mode="append", source=data, **{**SMALL, "num_docs": 12})
    turns = local.play(policy, 1).turns
    with (
        serving(make_app(env, source=data, prompt_mode="append", **{**SMALL, "num_docs": 12})) as address,
        AtomMemClient(address).sync() as session,
    ):
        seen = session.reset(task_index=1)
        conversation = list(seen.observation.messages)
        while not seen.done:
            text = policy(conversation)
            seen = session.step(text)
            conversation += [{"role": "assistant", "content": text}, *seen.observation.messages]
    assert conversation[:-1] == turns[-1].messages


def test_an_episode_of_operations_shows_what_the_environment_shows(session: Any) -> None:
    env, policy = direct(), ScriptedPolicy()
    expected, _ = env.reset(options={"task_index": 2})
    seen = session.reset(task_index=2)
    over = False
    while not over:
        assert memory_part(seen.observation) == plain(expected)
        operations = policy.operations(seen.observation.messages)
        expected, reward, terminated, truncated, _ = env.step(operations)
        seen = session.step(operations)
        over = terminated or truncated
        assert (seen.reward, seen.done) == (reward, over)
    assert memory_part(seen.observation) == plain(expected)


def test_sessions_that_start_from_one_task_see_the_same_chunks(url: str) -> None:
    shown = []
    for _ in range(3):
        with AtomMemClient(url).sync() as session:
            seen = session.reset(task_index=5, seed=len(shown))
            chunks = []
            while not seen.done:
                chunks.append(seen.observation.chunk)
                seen = session.step([])
        shown.append(chunks)
    assert shown[0] == shown[1] == shown[2]
    assert len(set(shown[0])) > 2


def test_a_seed_draws_the_same_task_and_split_and_index_name_one(session: Any) -> None:
    drawn = [session.reset(seed=3).metadata["task_index"] for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert session.reset(split="validation", index=4).metadata["task_index"] == 4
    assert session.reset(split="dev", index=4).metadata["task_index"] == 4


def test_the_state_says_which_episode_goes_on(session: Any) -> None:
    assert session.state().task_id is None
    seen = session.reset(task_index=1, episode_id="mine")
    session.step([])
    state = session.state()
    assert (state.env, state.episode_id, state.step_count, state.done) == (ENV, "mine", 1, False)
    assert (state.task_index, state.task_id) == (1, seen.metadata["task_id"])
    assert session.reset(task_index=1).metadata == seen.metadata
    again = session.state()
    assert again.step_count == 0
    assert again.episode_id not in (None, "mine")


def test_the_gold_answers_stay_on_the_server_until_the_end(session: Any) -> None:
    seen = session.reset(task_index=1)
    assert set(seen.metadata) == {"task_id", "task_index", "source"}
    while not seen.done:
        seen = session.step([])
        assert set(seen.metadata) == ({"task_id", "metrics", "truncated"} if seen.done else {"task_id"})


# --- what is wrong --------------------------------------------------------------------------------------

NONSENSE: list[Any] = [
    ["create", None, 3, 2.5, True, [], {}, [[{"op": "create", "content": "a"}]]],
    [
        {"op": "forget", "id": 1},
        {"op": "create"},
        {"op": "create", "content": 5},
        {"op": "create", "content": " "},
    ],
    [{"op": "update", "id": 10**30, "content": "a"}, {"op": "delete", "id": "1"}, {"op": "delete", "id": 0}],
    [
        {"op": "read", "query": "a", "k": 0},
        {"op": "answer", "content": "early"},
        {"op": "create", "content": "kept"},
    ],
    [{"op": "create", "content": "\ud800 alone"}, {"op": "create", "content": "x" * 200_000}],
    [],
]


@pytest.mark.parametrize("operations", NONSENSE)
def test_bad_operations_are_data(session: Any, operations: list[Any]) -> None:
    env = direct()
    env.reset(options={"task_index": 0})
    expected = env.step(operations)[0]
    session.reset(task_index=0)
    seen = session.step(AtomMemAction(operations=operations))
    # A wrong element goes over the wire by its kind alone: its result is the same.
    assert memory_part(seen.observation) == plain(expected)
    assert len(seen.observation.results) == len(operations)


@pytest.mark.parametrize(
    "operations", [*NONSENSE, "create a", 7, {"op": "create", "content": "a"}, {"7": {}}]
)
def test_bad_operations_of_a_client_that_checks_nothing_are_data(url: str, operations: Any) -> None:
    with GenericEnvClient(base_url=url).sync() as session:
        session.reset(task_index=0)
        seen = session.step({"operations": operations})
    results = seen.observation["results"]
    assert len(results) == (len(operations) if isinstance(operations, list) else 1)
    assert all(result["ok"] or result["reason"] for result in results)
    assert seen.observation["cursor"] == 1


@pytest.mark.parametrize(
    "text", ["", "nothing to do", "<create_memory>", "</answer><answer>", "\ud83d\x00", 5, [], {}]
)
def test_any_text_is_data(url: str, text: Any) -> None:
    with GenericEnvClient(base_url=url).sync() as session:
        session.reset(task_index=0)
        seen = session.step({"text": text})
    assert seen.observation["cursor"] == 1
    assert seen.observation["results"] == []
    assert bool(seen.observation["malformed"]) == (text in ("<create_memory>", "</answer><answer>"))


def test_the_prompt_tells_a_model_what_was_malformed(session: Any) -> None:
    session.reset(task_index=0)
    seen = session.step("<create_memory>never closed")
    assert "is not closed" in seen.observation.malformed[0]["reason"]
    assert "is not closed" in seen.observation.messages[-1]["content"]


@pytest.mark.parametrize(
    ("action", "told"),
    [
        ({}, "either a list of operations"),
        ({"text": "a", "operations": []}, "either a list of operations"),
        ({"operation": []}, "VALIDATION_ERROR"),
    ],
)
def test_an_action_of_another_shape_is_an_error_and_moves_nothing(url: str, action: Any, told: str) -> None:
    with GenericEnvClient(base_url=url).sync() as session:
        session.reset(task_index=0)
        with pytest.raises(RuntimeError, match=told):
            session.step(action)
        assert session.state()["step_count"] == 0
        assert session.step({"operations": []}).observation["cursor"] == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"task_idx": 3}, "unknown arguments"),
        ({"task_index": "x"}, "task_index='x': expected an int of at least 0"),
        ({"task_index": 1, "index": 2}, "they name the same"),
        ({"split": "train", "index": 2}, "this server serves 'validation'"),
        ({"split": "every"}, "no such split"),
        ({"seed": -1}, "[Ss]eed"),
    ],
)
def test_a_wrong_reset_is_an_error_and_leaves_the_episode_as_it_is(
    session: Any, arguments: dict[str, Any], told: str
) -> None:
    session.reset(task_index=0, episode_id="first")
    with pytest.raises(RuntimeError, match=told):
        session.reset(**arguments)
    assert session.state().episode_id == "first"
    assert session.step([]).observation.cursor == 1


def test_steps_outside_an_episode_are_errors(session: Any) -> None:
    with pytest.raises(RuntimeError, match="before the first reset"):
        session.step([])
    seen = session.reset(task_index=0)
    while not seen.done:
        seen = session.step([])
    with pytest.raises(RuntimeError, match="call reset"):
        session.step([])


def test_the_server_refuses_wrong_arguments_when_it_is_made() -> None:
    with pytest.raises(ValueError, match="has no argument 'num_doc'"):
        make_app("AtomMem-World-v0", num_doc=5)
    with pytest.raises(ValueError, match="num_docs"):
        make_app("AtomMem-World-v0", num_docs=0)
    with pytest.raises(ValueError, match="no such id"):
        make_app("AtomMem-HotPot-v0")
    with pytest.raises(ValueError, match="sessions=0"):
        make_app("AtomMem-World-v0", sessions=0)


def test_environment_variables_configure_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATOMMEM_ENV", "AtomMem-World-v0[num_docs=15, num_questions=2]")
    monkeypatch.setenv("ATOMMEM_PROTOCOL", "json")
    monkeypatch.setenv("ATOMMEM_SESSIONS", "1")
    with serving(app_from_environment()) as address, AtomMemClient(address).sync() as session:
        seen = session.reset(task_index=0)
        assert seen.observation.num_questions == 2
        assert "/d15/" in seen.metadata["task_id"]
        session.step('[{"name": "create", "arguments": {"content": "a"}}]')
        with pytest.raises(RuntimeError, match="CAPACITY_REACHED"), AtomMemClient(address).sync() as other:
            other.reset()
    monkeypatch.setenv("ATOMMEM_SESSIONS", "many")
    with pytest.raises(ValueError, match="ATOMMEM_SESSIONS='many'"):
        app_from_environment()


def test_the_command_refuses_wrong_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--env", "AtomMem-World-v0", "--arg", "num_doc=5"])
    assert "did you mean 'num_docs'?" in capsys.readouterr().err


# --- many sessions --------------------------------------------------------------------------------------


def environments() -> int:
    gc.collect()
    return sum(isinstance(item, AtomMemEnvironment) for item in gc.get_objects())


async def scripted_episode(client: AtomMemClient, task_index: int) -> list[Any]:
    policy = ScriptedPolicy()
    seen = await client.reset(task_index=task_index)
    shown = [seen.observation.chunk]
    while not seen.done:
        seen = await client.step(policy(seen.observation.messages))
        shown.append(seen.observation.chunk)
    return [*shown, seen.reward, json.dumps(seen.metadata["metrics"], sort_keys=True)]


async def at_once(url: str, play: Callable[[AtomMemClient, int], Awaitable[Any]]) -> list[Any]:
    clients = [AtomMemClient(url) for _ in range(SESSIONS)]
    played = await asyncio.gather(*(play(client, number) for number, client in enumerate(clients)))
    await asyncio.gather(*(client.close() for client in clients))
    return played


def test_many_sessions_at_once_play_like_one_and_leave_nothing_behind(url: str) -> None:
    assert holds(lambda: environments() == 0)
    threads = threading.active_count()
    alone, local = {}, TextEpisode(direct())
    for index in range(8):
        alone[index] = json.dumps(plain(local.play(ScriptedPolicy(), index).metrics), sort_keys=True)
    for _ in range(3):
        played = asyncio.run(at_once(url, lambda client, number: scripted_episode(client, number % 8)))
        for number, episode in enumerate(played):
            assert episode == played[number % 8]
            assert episode[-1] == alone[number % 8]
        assert holds(lambda: environments() == 0)
        assert holds(lambda: threading.active_count() <= threads)


def test_a_client_that_vanishes_leaves_nothing_behind(url: str) -> None:
    async def vanish(client: AtomMemClient, number: int) -> None:
        await client.reset(task_index=number)
        assert number or environments() >= 1
        client._ws.transport.abort()

    asyncio.run(at_once(url, vanish))
    assert holds(lambda: environments() == 0)
    with AtomMemClient(url).sync() as session:  # its place is free
        assert session.reset(task_index=0).observation.chunk


# --- OpenEnv's other routes and its own validation ------------------------------------------------------


def request(address: str, data: Any = None) -> tuple[int, Any]:
    body = None if data is None else json.dumps(data).encode()
    asked = urllib.request.Request(address, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(asked) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_the_task_api_lists_what_reset_takes(url: str, session: Any) -> None:
    assert request(f"{url}/{ENV}/splits") == (200, [{"name": "validation", "type": "validation"}])
    count = direct().unwrapped.num_tasks  # type: ignore[attr-defined]
    assert request(f"{url}/{ENV}/num_tasks", {"split": "validation"}) == (200, {"num_tasks": count})
    tasks = request(f"{url}/{ENV}/tasks", {"split": "validation"})[1]["tasks"]
    assert len(tasks) == count
    assert request(f"{url}/{ENV}/task_range", {"split": "validation", "start": -2})[1]["tasks"] == tasks[-2:]
    task = request(f"{url}/{ENV}/task", {"split": "validation", "index": 3})[1]["task"]
    assert task == tasks[3]
    assert session.reset(**task).metadata["task_index"] == 3
    assert request(f"{url}/{ENV}/task", {"split": "validation", "index": count})[0] == 400
    status, told = request(f"{url}/{ENV}/num_tasks", {"split": "train"})
    assert status == 422
    assert "this server serves 'validation'" in told["detail"]


def test_http_keeps_no_episode_and_says_so(url: str) -> None:
    status, answer = request(f"{url}/reset", {"task_index": 1})
    assert status == 200
    assert answer["observation"]["chunk"]
    status, told = request(f"{url}/step", {"action": {"operations": []}})
    assert status == 422
    assert "played over the web socket, /ws" in told["detail"]
    status, told = request(f"{url}/reset", {"task_idx": 1})
    assert status == 422
    assert "unknown arguments ['task_idx']" in told["detail"]


def test_openenv_validates_the_running_server(url: str) -> None:
    report = validate_running_environment(url)
    assert report["passed"], report["criteria"]


def test_openenv_validates_the_layout() -> None:
    report = run_validation(EXAMPLES / "openenv_server", max_level=Level.STATIC)
    assert report.verdict is Verdict.PASS, report


def test_openenv_finds_its_runtime_contract_kept(url: str, tmp_path: Path) -> None:
    texts = ["", "<create_memory>a</create_memory>", "<create_memory>"]
    operations = [Create("a"), Read("a"), Update(0, "b"), Delete(9), Answer("c")]
    client = AtomMemClient(url)
    actions = [client._step_payload(action) for action in [*texts, *[[item] for item in operations]]]
    plan = RuntimePlan.model_validate(
        {
            "plan_schema_version": "1",
            "reset": {"episode_id": "probe", "seed": 0, "options": {"task_index": 1}},
            "actions": [*actions, *[{"operations": []}] * 30],
        }
    )
    manifest = OpenEnvYamlParser().parse(EXAMPLES / "openenv_server")
    evidence = collect_runtime_evidence(url, plan, episode_timeout_s=60.0)
    assert evidence.failure_reason is None
    subject = Subject(tmp_path, manifest, None, None, tmp_path, runtime_evidence=evidence)
    for grader in (RewardWellFormedGrader(), ObservationSchemaGrader(), StateContractGrader()):
        result = grader.run(subject)
        assert result.status.value == "pass", result


def test_the_example_plays_over_loopback() -> None:
    example = EXAMPLES / "openenv_loopback.py"
    done = subprocess.run(
        [sys.executable, str(example)], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "the data are generated, the policy is scripted" in done.stdout
    assert "steps/s" in done.stdout
