"""``evaluate``: the same records whatever the number of processes, and nothing lost on the way."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

import atommem_env
from atommem_env import Answer, Create, rollout
from atommem_env.runs import EpisodeError, Run, RunError, evaluate
from atommem_env.runs.evaluation import make_plan
from small_data import dataset

ENV = "AtomMem-Custom-v0"
SMALL = {"num_docs": 15, "num_questions": 2, "chunk_tokens": 400, "chunk_overlap": 20}


class Shout:
    """A policy of a user's own; writes a little and answers with the task's name."""

    name = "shout"

    def __init__(self, word: str = "hey") -> None:
        self.word = word

    def reset(self, observation: dict[str, Any], info: dict[str, Any]) -> None:
        self.word = self.word[:3] + info["task_id"][-1]

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> list[Any]:
        return [Create(self.word)] if observation["phase"] == 0 else [Answer(self.word)]


class Fragile(Shout):
    """Fails at the third task, once ``whole`` is not there."""

    whole: Path | None = None

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> list[Any]:
        if info["task_id"].endswith("/2") and not (self.whole and self.whole.exists()):
            raise KeyError("lost")
        return super().act(observation, info)


class Buffered(Shout):
    uses_buffer = True


def run(policies: Any, episodes: int = 4, **arguments: Any) -> Run:
    return evaluate(ENV, policies, episodes, source=dataset(), **{**SMALL, **arguments})


def test_every_policy_runs_every_task() -> None:
    found = run(["write-nothing", "rag"], episodes=3)
    assert [(e["policy"], e["task_index"]) for e in found.episodes] == [
        ("write-nothing", 0),
        ("write-nothing", 1),
        ("write-nothing", 2),
        ("rag", 0),
        ("rag", 1),
        ("rag", 2),
    ]
    first = found.episodes[0]
    assert list(first) == ["env", "policy", "engine", "task_id", "task_index", "source", "metrics"]
    assert first["source"] == dataset().source


def test_a_record_is_what_a_rollout_gives() -> None:
    env = gym.make(ENV, source=dataset(), **SMALL)
    trace = rollout(env, Shout(), options={"task_index": 2})
    assert run(Shout).episodes[2]["metrics"] == trace.metrics


def test_a_folder_holds_what_the_run_holds(tmp_path: Path) -> None:
    found = run(["rag"], out=tmp_path / "run")
    again = Run.load(tmp_path / "run")
    assert again.episodes == found.episodes
    assert again.settings == found.settings
    assert again.table() == found.table()


def test_settings_name_everything_that_the_run_depends_on() -> None:
    settings = run({"mine": "rag"}, seed=7).settings
    assert settings["atommem_env"] == atommem_env.__version__
    (env,) = settings["envs"]
    assert env["arguments"]["num_docs"] == 15
    assert env["arguments"]["top_k"] == 6  # a default
    assert env["source"] == dataset().source
    assert env["data_hash"] == dataset().hash
    assert settings["policies"] == [{"name": "mine", "policy": "rag", "arguments": {}}]
    assert (settings["seed"], settings["engine"], settings["episodes"]) == (7, "auto", 4)
    json.dumps(settings, allow_nan=False)


def test_the_bytes_are_the_same_for_one_process_and_two(tmp_path: Path) -> None:
    for jobs in (1, 2):
        policies = {"rag": "rag", "random": "random", "class": Shout, "object": Shout("abc")}
        run(policies, jobs=jobs, out=tmp_path / str(jobs))
    for name in ("run.json", "episodes.jsonl", "traces.jsonl.gz"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


def test_the_policies_seed_decides_what_the_random_policy_does() -> None:
    assert run("random", seed=1).episodes == run("random", seed=1).episodes
    assert run("random", seed=1).episodes != run("random", seed=2).episodes


def test_an_unfinished_run_goes_on_with_what_is_missing(tmp_path: Path) -> None:
    run(["rag", "oracle"], out=tmp_path / "whole")
    run(["rag", "oracle"], out=tmp_path / "part")
    whole = (tmp_path / "whole" / "episodes.jsonl").read_bytes()
    lines = whole.splitlines(keepends=True)
    (tmp_path / "part" / "episodes.jsonl").write_bytes(lines[5] + lines[1] + lines[0][:40])
    (tmp_path / "part" / "timing.jsonl").unlink()
    run(["rag", "oracle"], out=tmp_path / "part")
    assert (tmp_path / "part" / "episodes.jsonl").read_bytes() == whole
    assert len((tmp_path / "part" / "timing.jsonl").read_text().splitlines()) == 6


def test_a_finished_run_is_not_touched(tmp_path: Path) -> None:
    first = run("rag", out=tmp_path / "run")
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "run").iterdir()}
    assert run("rag", out=tmp_path / "run").episodes == first.episodes
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "run").iterdir()} == before


def test_other_arguments_are_refused(tmp_path: Path) -> None:
    run("rag", out=tmp_path / "run")
    with pytest.raises(RunError, match=r"num_docs: 15 there, 12 now"):
        run("rag", out=tmp_path / "run", num_docs=12)


@pytest.mark.heavy
@pytest.mark.parametrize("jobs", [1, 2])
def test_an_error_of_a_policy_names_it_and_keeps_the_episodes_before(tmp_path: Path, jobs: int) -> None:
    with pytest.raises(EpisodeError, match=rf"policy 'Fragile' on {ENV}, task index 2: KeyError: 'lost'"):
        run({"Fragile": Fragile}, jobs=jobs, out=tmp_path / "run")
    kept = [episode["task_index"] for episode in Run.load(tmp_path / "run").episodes]
    assert set(kept) <= {0, 1, 3}
    assert {0, 1} <= set(kept) or jobs == 2


def test_a_run_goes_on_once_the_policy_is_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EpisodeError):
        run({"it": Fragile}, out=tmp_path / "run")
    monkeypatch.setattr(Fragile, "whole", tmp_path)
    assert len(run({"it": Fragile}, out=tmp_path / "run").episodes) == 4


def test_a_stop_keeps_the_episodes_and_gives_the_folder_back(tmp_path: Path) -> None:
    class Stops(Shout):
        def reset(self, observation: dict[str, Any], info: dict[str, Any]) -> None:
            if info["task_index"] == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run({"it": Stops}, out=tmp_path / "run")
    assert len(Run.load(tmp_path / "run").episodes) == 2
    assert not (tmp_path / "run" / ".lock").exists()


def test_policies_may_be_given_in_every_form() -> None:
    forms: list[Any] = ["rag", Shout, Shout("abc"), ["rag"], {"x": Shout}, lambda: Shout("xyz")]
    names = [run(form, episodes=1).episodes[0]["policy"] for form in forms]
    assert names == ["rag", "shout", "shout", "rag", "x", "<lambda>"]


def test_arguments_reach_the_policy() -> None:
    found = run({"a": Shout}, episodes=1, policy_arguments={"a": {"word": "ooh"}})
    assert found.episodes[0]["metrics"]["questions"][0]["prediction"] == "ooh0"
    assert found.settings["policies"][0]["arguments"] == {"word": "ooh"}


def test_a_buffer_has_no_funnel() -> None:
    found = run(Buffered, episodes=1)
    assert found.episodes[0]["metrics"]["questions"][0]["evidence"]["kept"] is None


def test_an_environment_may_be_given_made_or_as_a_specification() -> None:
    made = gym.make(ENV, source=dataset(), **SMALL)
    wanted = run("rag").episodes
    found = evaluate(made, "rag", 4)
    assert found.episodes == wanted
    assert found.settings["envs"][0]["arguments"]["num_docs"] == 15
    made.reset(seed=0)  # still open
    assert made.spec is not None
    assert evaluate(made.spec, "rag", 4).episodes == wanted


def test_several_environments_run_in_their_order() -> None:
    world = "AtomMem-World-v0"
    small = {**SMALL, "num_questions": 1, "num_docs": 10}
    made = gym.make(ENV, source=dataset(), **small)
    found = evaluate(
        [world, "AtomMem-MuSiQue-v0"], "oracle", 1, source="generated", **{**small, "num_docs": 20}
    )
    assert [episode["env"] for episode in found.episodes] == [world, "AtomMem-MuSiQue-v0"]
    with pytest.raises(RunError, match="made already"):
        evaluate(made, "rag", 1, num_docs=3)


def test_one_environment_may_come_several_times_under_names() -> None:
    text = f"{ENV}[top_k=2]"
    found = evaluate([ENV, text], "rag", 1, source=dataset(), **SMALL)
    assert [episode["env"] for episode in found.episodes] == [ENV, text]
    assert [env["arguments"]["top_k"] for env in found.settings["envs"]] == [6, 2]
    named = evaluate({"a": ENV, "b": text}, "rag", 1, source=dataset(), **SMALL)
    assert [episode["env"] for episode in named.episodes] == ["a", "b"]
    assert [e["metrics"] for e in named.episodes] == [e["metrics"] for e in found.episodes]
    with pytest.raises(RunError, match="given twice; tell them apart by their arguments"):
        evaluate([text, text], "rag", 1, source=dataset(), **SMALL)


def test_episodes_are_chosen_by_the_names_of_environment_and_policy() -> None:
    found = run(["rag", "oracle"], episodes=2)
    assert [e["policy"] for e in found.select(policies=["oracle"])] == ["oracle", "oracle"]
    assert [e["task_index"] for e in found.select([ENV], task_index=1)] == [1, 1]
    with pytest.raises(RunError, match="environment 'X' is not in this run; it has AtomMem-Custom-v0"):
        found.select(["X"])


def test_an_id_stands_for_all_environments_that_have_it() -> None:
    names = ["AtomMem-Chat-v0[capacity=3]", "AtomMem-Chat-v0[capacity=4]"]
    found = evaluate(names, "abstain", 1, progress=False, histories=1)
    for part in (found.only(["AtomMem-Chat-v0"]), found.part(["AtomMem-Chat-v0"], [])):
        assert part is not None
        assert [env["name"] for env in part.settings["envs"]] == names
    assert found.part(["AtomMem-World-v0"], []) is None


def test_a_plan_says_when_questions_repeat() -> None:
    plan = make_plan(ENV, "rag", 10_000, env_arguments={"source": dataset(), **SMALL})
    assert any("10000 episodes go beyond" in note for note in plan.notes)


def test_a_whole_history_is_run_once() -> None:
    chats = "AtomMem-Chat-v0[histories=2]"
    whole = make_plan(chats, "abstain", 20)
    assert whole.total == 2
    assert "2 histories" in whole.notes[0]
    assert make_plan(chats, "abstain", 20, env_arguments={"num_questions": 1}).total == 20
    assert make_plan(ENV, "rag", 2, env_arguments={"source": dataset(), **SMALL}).notes == ()


def test_a_plans_name_depends_on_its_settings_alone() -> None:
    def name(**changes: Any) -> str:
        return make_plan(
            ENV, ["rag", "random"], 5, env_arguments={"source": dataset(), **SMALL, **changes}
        ).name

    assert name() == name()
    assert name().startswith("custom_rag+random_5_")
    assert name() != name(top_k=3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: run("rga"), "'rga' is unknown"),
        (lambda: run([]), "no policy was given"),
        (lambda: run(["rag", "rag"]), "the policy 'rag' was given twice"),
        (lambda: run("rag", episodes=0), "episodes=0"),
        (lambda: run("rag", episodes=True), "episodes=True"),
        (lambda: run("rag", jobs=-1), "jobs=-1"),
        (lambda: run("rag", seed="x"), "seed='x'"),
        (lambda: run("rag", num_dcos=3), "did you mean 'num_docs'"),
        (lambda: run({"x": 3}), "policy 'x': expected an object with reset"),
        (lambda: run("rag", policy_arguments={"oracle": {}}), "arguments are given for policy 'oracle'"),
        (lambda: evaluate([], "rag"), "no environment was given"),
        (lambda: evaluate("AtomMem-Wurld-v0", "rag"), "did you mean 'AtomMem-World-v0'"),
    ],
)
def test_a_wrong_argument_is_refused_before_anything_runs(call: Callable[[], Run], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("[", r"\[")):
        call()


def test_what_cannot_be_sent_to_a_process_is_refused_with_the_mend() -> None:
    with pytest.raises(RunError, match=r"cannot be pickled.*or use jobs=1"):
        run({"x": lambda: Shout()}, jobs=2)
