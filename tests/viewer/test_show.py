"""An episode on the terminal: every step that was asked for, the results, and where the evidence went."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

from atommem_env import Answer, Create, Read, Trace, Update, rollout
from atommem_env.runs import Run, RunError, evaluate
from atommem_env.runs.variants import recorded_env, recorded_policy
from atommem_env.viewer.terminal import View, episode_lines, parse_steps
from small_data import dataset

SMALL = {"num_docs": 8, "num_questions": 1, "chunk_tokens": 150, "chunk_overlap": 10}


class Script:
    """Writes each chunk, asks, and answers wrongly; makes one bad operation on the way."""

    def reset(self, observation: dict[str, Any], info: dict[str, Any]) -> None:
        self.looked = False

    def act(self, observation: dict[str, Any], info: dict[str, Any]) -> list[Any]:
        if observation["phase"] == 0:
            return [Create(observation["chunk"]), Update(99, "nobody"), Update(0, "on my way")]
        if not self.looked:
            self.looked = True
            return [Read(observation["questions"][0])]
        return [Answer("the wrong river")]


@pytest.fixture(scope="module")
def trace() -> Trace:
    env = gym.make("AtomMem-Custom-v0", source=dataset(), **SMALL)
    return rollout(env, Script(), options={"task_index": 0})


def text(trace: Trace, **view: Any) -> str:
    return "\n".join(line for _, line in episode_lines(trace, "script", View(**view)))


def test_every_step_its_operations_and_their_results_are_shown(trace: Trace) -> None:
    shown = text(trace)
    steps = len(trace.actions)
    assert shown.count("── step ") == steps
    assert "step 1: reading chunk 1 of " in shown
    assert f"step {steps}: answering question 1 of 1" in shown
    assert "+ create 1: " in shown
    assert "x update 99 refused: unknown_id: nobody" in shown
    assert "+ update scratchpad: on my way" in shown
    assert "scratchpad  on my way" in shown


def test_the_outcome_has_prediction_gold_and_evidence(trace: Trace) -> None:
    shown = text(trace)
    assert "prediction  the wrong river" in shown
    assert f"gold        {' | '.join(trace.metrics['questions'][0]['answers'])}" in shown
    assert "scores      EM 0" in shown
    assert "evidence    of 2: seen 2, written 2, kept 2" in shown
    assert "1 look" in shown


def test_gold_marks_the_texts_that_hold_evidence(trace: Trace) -> None:
    assert "[e" not in text(trace)
    shown = text(trace, gold=True)
    first, second = (unit["sentence"] for unit in trace.infos[0]["gold"][0]["evidence"])
    assert f"): {first}" in shown
    assert f"): {second}" in shown
    written = [line for line in shown.splitlines() if "+ create" in line and "[e" in line]
    assert written


def test_steps_can_be_chosen(trace: Trace) -> None:
    shown = text(trace, first=2, last=3)
    assert "step 2" in shown
    assert "step 3" in shown
    assert "step 1:" not in shown
    assert f"{len(trace.actions) - 2} of {len(trace.actions)} steps not shown" in shown


def test_lines_fit_the_width_unless_a_word_is_longer(trace: Trace) -> None:
    for full in (False, True):
        assert max(len(line) for line in text(trace, width=90, full=full).splitlines()[3:]) <= 90


def test_full_shows_whole_chunks(trace: Trace) -> None:
    last_words = trace.observations[0]["chunk"].split()[-3:]
    assert " ".join(last_words) not in text(trace, last=1)
    assert " ".join(last_words) in text(trace, last=1, full=True, width=4000)


def test_a_chat_is_shown_session_by_session_and_its_questions_where_they_are_asked() -> None:
    env = gym.make(
        "AtomMem-Chat-v0", source="generated", histories=2, sessions=4, questions=4, num_questions=4
    )
    chat = rollout(env, Script(), options={"task_index": 0})
    questions = [question["question"] for question in chat.metrics["questions"]]
    shown = text(chat)
    assert "questions   4, shown to the policy when they are asked" in shown
    assert [f"session {number} of 4 (" in shown for number in range(1, 6)] == [*[True] * 4, False]
    assert shown.index(questions[0]) > shown.index("answering question 1 of 4")
    first = next(step for step, each in enumerate(chat.observations, 1) if each["phase"] == 1)
    part = text(chat, first=first, last=first)
    assert questions[0] in part
    assert questions[1] not in part
    assert "3 of 4 questions not shown" in part


@pytest.mark.parametrize(
    ("given", "wanted"),
    [("3", (3, 3)), ("3:7", (3, 7)), ("3:", (3, None)), (":7", (1, 7)), ("1:", (1, None))],
)
def test_steps_are_read(given: str, wanted: tuple[int, int | None]) -> None:
    assert parse_steps(given) == wanted


@pytest.mark.parametrize("given", ["", ":", "0", "a", "7:3", "1:2:3", "-1"])
def test_wrong_steps_are_refused(given: str) -> None:
    with pytest.raises(RunError, match="expected a step such as 3"):
        parse_steps(given)


def test_an_episode_of_a_run_is_found_and_made_again(tmp_path: Path) -> None:
    run = evaluate(
        "AtomMem-World-v0", ["random", "rag"], 1, num_docs=12, num_questions=1, out=tmp_path / "run"
    )
    settings = Run.load(tmp_path / "run").settings
    env, policy = recorded_env(settings), recorded_policy(settings, "rag")
    trace = rollout(env.make(), policy.make(), options={"task_index": 0})
    assert trace.metrics == run.episodes[1]["metrics"]
    assert recorded_policy(settings).name == "random"
    with pytest.raises(RunError, match="policy 'x' is not in this run; it has random, rag"):
        recorded_policy(settings, "x")


def test_what_was_given_as_an_object_cannot_be_made_again() -> None:
    run = evaluate("AtomMem-Custom-v0", "rag", 1, source=dataset(), **SMALL)
    with pytest.raises(
        RunError, match="environment AtomMem-Custom-v0 of this run was given as a Python object"
    ):
        recorded_env(run.settings)
    run = evaluate("AtomMem-World-v0", Script(), 1, num_docs=12, num_questions=1)
    with pytest.raises(RunError, match="policy 'Script' of this run was given as a Python object"):
        recorded_policy(run.settings)
