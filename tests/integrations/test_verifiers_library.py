"""The adapter to verifiers with the library itself: episodes through its endpoint, from Python and from its command."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from atommem_env.integrations.text_episode import TextEpisode, Trajectory
from fake_server import Answer, FakeServer, failed, said, serving
from scripted_policy import ScriptedPolicy
from trainers import library, pytestmark  # noqa: F401

vf = library("verifiers.v1")

ROOT = Path(__file__).resolve().parents[2]
SMALL: dict[str, Any] = {
    "source": "generated",
    "num_docs": 12,
    "num_questions": 2,
    "chunk_tokens": 400,
    "chunk_overlap": 40,
}
OFFLINE = {**os.environ, "HF_HUB_OFFLINE": "1"}


def scripted(prompt: str) -> str:
    return ScriptedPolicy()([{"role": "user", "content": prompt}])


@pytest.fixture(scope="module")
def endpoint() -> Iterator[FakeServer]:
    with serving() as server:
        yield server


@pytest.fixture
def model(endpoint: FakeServer) -> FakeServer:
    return endpoint.begin(scripted)


def configuration(agent: dict[str, Any] | None = None, **taskset: Any) -> Any:
    return vf.resolve_env_config({"taskset": {"id": "atommem_env", **SMALL, **taskset}, "agent": agent or {}})


def unchanged(task: Any) -> Any:
    return task


def evaluate(
    config: Any, url: str, tasks: int = 1, rollouts: int = 1, change: Callable[[Any], Any] = unchanged
) -> list[Any]:
    """Return the traces of ``rollouts`` of each of the first ``tasks``."""
    context = vf.ModelContext(model="m", client=vf.EvalClientConfig(base_url=url, api_key_var="NO_KEY"))

    async def run() -> list[Any]:
        env = vf.load_environment(config)
        slots = [slot for task in env.taskset.take(tasks) for slot in env.slots(change(task), rollouts)]
        async with env.serving():
            return await asyncio.gather(*(env.run_slot(slot, context) for slot in slots))

    episodes = asyncio.run(run())
    assert all(len(episode.traces) == 1 and not episode.errors for episode in episodes)
    return [episode.traces[0] for episode in episodes]


def directly(task_index: int, **options: Any) -> Trajectory:
    return TextEpisode("AtomMem-HotpotQA-v0", **options, **SMALL).play(ScriptedPolicy(), task_index)


def texts(branch: Any) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in branch.messages]


def test_a_row_is_a_task_and_no_text_of_it() -> None:
    tasks = list(vf.load_taskset(configuration(num_tasks=3, first_task=5).taskset))
    assert [task.data.task_index for task in tasks] == [5, 6, 7]
    data = tasks[0].data.model_dump(mode="json", exclude_defaults=True)
    assert len(json.dumps(data)) < 1000
    assert data["env"] == "AtomMem-HotpotQA-v0"
    assert data["env_arguments"].items() >= SMALL.items()
    assert "generated:" in data["source"]
    assert "generated:" in data["name"]
    assert len({task.key for task in tasks}) == 3


def test_the_defaults_are_the_environments_own_and_one_epoch_of_its_tasks() -> None:
    config = vf.resolve_env_config({"taskset": {"id": "atommem_env", "source": "generated"}}).taskset
    own = TextEpisode("AtomMem-HotpotQA-v0", source="generated")
    assert len(list(vf.load_taskset(config))) == own.env.get_wrapper_attr("num_tasks")
    assert TextEpisode("AtomMem-HotpotQA-v0", **config.arguments).reset(4) == own.reset(4)


def test_a_context_reset_is_a_branch(model: FakeServer) -> None:
    (trace,) = evaluate(configuration(), model.address)
    direct = directly(0)
    assert trace.ok
    assert len(direct.turns) > 4
    assert [texts(branch) for branch in trace.branches] == [
        [("user", turn.messages[0]["content"]), ("assistant", turn.text)] for turn in direct.turns
    ]
    assert all(branch.trainable for branch in trace.branches)


@pytest.mark.parametrize("reasoning", [{}, {"reasoning_content": "hm"}])
def test_append_is_one_branch_also_where_the_model_reasons(
    model: FakeServer, reasoning: dict[str, str]
) -> None:
    direct = directly(0, prompt_mode="append")
    plan = [said(turn.text, reasoning=reasoning) for turn in direct.turns]
    model.begin(scripted, *plan)
    (trace,) = evaluate(configuration({"harness": {"prompt_mode": "append"}}), model.address)
    last = direct.turns[-1]
    (branch,) = trace.branches
    whole = [*last.messages, {"role": "assistant", "content": last.text}]
    assert texts(branch) == [(message["role"], message["content"]) for message in whole]
    assert trace.metrics["steps"] == len(direct.turns)


@pytest.mark.parametrize("prompt_mode", ["reset", "append"])
def test_rewards_and_metrics_are_those_of_the_episodes_played_directly(
    model: FakeServer, prompt_mode: str
) -> None:
    traces = evaluate(configuration({"harness": {"prompt_mode": prompt_mode}}), model.address, tasks=4)
    direct = [directly(index, prompt_mode=prompt_mode) for index in range(4)]
    assert [trace.reward for trace in traces] == [one.episode_return for one in direct]
    assert [trace.metrics for trace in traces] == [one.scores() for one in direct]
    assert any(trace.reward for trace in traces)
    assert [trace.info["episode"]["task_id"] for trace in traces] == [one.trace.task_id for one in direct]


def test_a_group_starts_from_one_task(model: FakeServer) -> None:
    drawn = iter(ScriptedPolicy(forget=0.5, seed=seed) for seed in range(1000))
    model.begin(lambda prompt: next(drawn)([{"role": "user", "content": prompt}]))
    traces = evaluate(configuration(), model.address, rollouts=4)
    assert len({texts(trace.branches[0])[0] for trace in traces}) == 1
    assert len({trace.info["episode"]["task_id"] for trace in traces}) == 1
    assert len({trace.task.key for trace in traces}) == 1
    assert len({trace.metrics["num_create"] for trace in traces}) > 1


def test_a_failing_endpoint_is_recorded_and_the_others_go_on(model: FakeServer) -> None:
    model.begin(
        scripted, said("<create_memory>a note</create_memory>"), failed(400, "the prompt is too long")
    )
    config = configuration()
    (trace,) = evaluate(config, model.address)
    assert not trace.ok
    assert trace.stop_condition == "provider_error"
    assert "the prompt is too long" in trace.last_error.message
    assert not trace.info["episode"]["over"]
    assert trace.info["episode"]["scores"]["num_create"] == 1.0
    (after,) = evaluate(config, model.address)
    assert after.ok


def test_a_model_that_never_answers_runs_out_of_its_time(model: FakeServer) -> None:
    model.begin(scripted, said("<create_memory>a note</create_memory>"), Answer(hangs=True))
    (trace,) = evaluate(configuration({"timeout": {"rollout": 2.0}}), model.address)
    assert trace.stop_condition == "agent_timeout"
    assert trace.reward == 0.0
    assert not trace.info["episode"]["over"]


def test_a_limit_of_the_run_scores_what_was_done(model: FakeServer) -> None:
    (trace,) = evaluate(configuration({"max_turns": 2}), model.address)
    assert trace.ok
    assert trace.stop_condition == "max_turns"
    assert trace.metrics["steps"] == 2.0
    assert trace.reward == 0.0


@pytest.mark.parametrize("text", ["no idea", "<create_memory>never closed", None, "<answer> </answer>"])
def test_nonsense_is_data(model: FakeServer, text: str | None) -> None:
    model.begin(scripted, *[said(text)] * 60)
    (trace,) = evaluate(configuration(), model.address)
    assert trace.ok
    assert trace.info["episode"]["over"]
    assert trace.reward == 0.0
    assert trace.num_branches == trace.metrics["steps"]


def test_a_system_prompt_of_the_run_stands_before_each_prompt(model: FakeServer) -> None:
    evaluate(configuration(), model.address, change=lambda task: task.with_system_prompt("Be brief."))
    assert len(model.asked) > 4
    for request in model.asked:
        assert [message["role"] for message in request["messages"]] == ["system", "user"]
        assert request["messages"][0]["content"] == "Be brief."


@pytest.mark.parametrize(
    ("agent", "taskset", "match"),
    [
        ({"harness": {"protocol": "latin"}}, {}, "protocol='latin': choose one of"),
        ({"harness": {"prompt_mode": "both"}}, {}, "'reset' or 'append'"),
        ({}, {"num_docs": 0}, "num_docs=0: expected"),
        ({}, {"num_dogs": 1}, "num_dogs"),
        ({}, {"env": "hotpot"}, "hotpot"),
        ({}, {"env_arguments": {"dogs": 1}}, "dogs"),
    ],
)
def test_a_wrong_configuration_is_an_error_before_any_rollout(
    agent: dict[str, Any], taskset: dict[str, Any], match: str
) -> None:
    with pytest.raises(Exception, match=match):
        list(vf.load_taskset(configuration(agent, **taskset).taskset))


def test_a_task_played_by_another_harness_says_which_it_needs() -> None:
    (task,) = vf.load_taskset(configuration(num_tasks=1).taskset)
    harness = SimpleNamespace(id="bash")
    trace = SimpleNamespace(info={}, agent=SimpleNamespace(config=SimpleNamespace(harness=harness)))
    with pytest.raises(ValueError, match="needs the harness atommem_env, not 'bash'"):
        asyncio.run(task.episode_return(trace))


def test_a_served_environment_plays_a_task_that_comes_over_the_wire(model: FakeServer) -> None:
    from verifiers.v1.serve.client import EnvClient
    from verifiers.v1.serve.server import EnvServer

    config = configuration()
    task = next(iter(vf.load_taskset(config.taskset)))

    async def run() -> Any:
        server = EnvServer(config, "tcp://127.0.0.1:0")
        serving = asyncio.ensure_future(server.run())
        client = EnvClient(server.address)
        endpoint = vf.EvalClientConfig(base_url=model.address, api_key_var="NO_KEY")
        try:
            return await client.run(endpoint, "m", vf.SamplingConfig(), task.data.model_dump(mode="json"))
        finally:
            await client.close()
            serving.cancel()
            await serving

    episode = asyncio.run(run())
    assert episode.traces[0].num_branches == len(directly(0).turns)
    assert episode.traces[0].reward == directly(0).episode_return


def test_the_command_evaluates_and_scores_again(model: FakeServer, tmp_path: Path) -> None:
    bin = Path(sys.executable).parent
    options = [f"--env.taskset.{key.replace('_', '-')}={value}" for key, value in SMALL.items()]
    command = [bin / "vf-eval", "atommem_env", *options, "-n", "2", "-r", "2", "-m", "m", "-o", tmp_path]
    endpoint = ["--client.base-url", model.address, "--client.api-key-var", "NO_KEY"]
    quiet = ["--no-push", "--no-rich", "--run.name", "first"]
    done = subprocess.run(
        [*command, *endpoint, *quiet], env=OFFLINE, capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stdout + done.stderr
    traces = read(tmp_path / "first")
    assert [trace["task"]["data"]["task_index"] for trace in traces] == [0, 0, 1, 1]
    scores = [(trace["rewards"], trace["metrics"]) for trace in traces]
    expected = [directly(index) for index in (0, 0, 1, 1)]
    assert [rewards["episode_return"]["score"] for rewards, _ in scores] == [
        one.episode_return for one in expected
    ]
    assert [metrics for _, metrics in scores] == [one.scores() for one in expected]
    again = [bin / "vf-replay", tmp_path / "first", "--no-rich", "-o", tmp_path / "again"]
    done = subprocess.run(again, env=OFFLINE, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [(trace["rewards"], trace["metrics"]) for trace in read(tmp_path / "again")] == scores


def read(folder: Path) -> list[dict[str, Any]]:
    """Return the traces of a run, by task."""
    lines = (folder / "traces.jsonl").read_text(encoding="utf-8").splitlines()
    traces = [trace for line in lines for trace in json.loads(line)["traces"]]
    return sorted(traces, key=lambda trace: trace["task"]["data"]["task_index"])


def test_the_example_runs(tmp_path: Path) -> None:
    example = ROOT / "examples" / "trainers" / "verifiers_eval.py"
    if not example.exists():
        pytest.skip("the examples are not next to the tests")
    environment = {name: value for name, value in OFFLINE.items() if name != "OPENAI_BASE_URL"}
    done = subprocess.run(
        [sys.executable, example], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "branches 7 of 2 messages" in done.stdout
    assert "branches 1 of 14 messages" in done.stdout
    assert "scripted policy" in done.stdout
    assert "generated" in done.stdout
