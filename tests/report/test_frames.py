"""A run as data frames: tidy, and joined by what an episode is known by."""

from __future__ import annotations

from pathlib import Path

import pytest

from atommem_env.report.comparisons import Side, compare
from atommem_env.runs import Run, RunError, evaluate

pytest.importorskip("pandas")

KEY = ["env", "policy", "task_index"]
SMALL = {"num_docs": 8, "num_questions": 2, "chunk_tokens": 150, "chunk_overlap": 0}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("frames") / "run"
    return evaluate("AtomMem-World-v0", ["rag", "closed-book"], 3, out=folder, progress=False, **SMALL)


def test_each_frame_has_a_row_for_each_thing(run: Run) -> None:
    made = run.to_pandas()
    assert len(made.episodes) == 6
    assert len(made.questions) == sum(len(e["metrics"]["questions"]) for e in run.episodes)
    assert not made.episodes[KEY].duplicated().any()
    assert not made.questions[[*KEY, "number"]].duplicated().any()
    accepted = made.episodes.set_index(KEY)["num_create"].sum()
    assert (made.operations["op"] == "create").sum() >= accepted > 0


def test_the_frames_join_and_say_what_the_table_says(run: Run) -> None:
    made = run.to_pandas()
    means = made.episodes.groupby("policy")["em"].mean()
    by_question = made.questions.groupby(KEY)["em"].mean().groupby("policy").mean()
    assert means.to_dict() == pytest.approx(by_question.to_dict())
    joined = made.operations.merge(made.episodes, on=KEY)
    assert len(joined) == len(made.operations)


def test_a_run_in_memory_has_no_operations_and_names_are_no_objects(run: Run) -> None:
    made = Run(run.settings, run.episodes).to_pandas()
    assert made.operations.empty
    assert list(made.operations.columns)[:3] == KEY
    assert made.episodes["em"].dtype == float


def test_a_run_shows_itself_briefly_and_as_a_table_in_a_notebook(run: Run) -> None:
    assert "6 of 6 episodes" in repr(run)
    assert len(repr(run)) < 200
    assert run._repr_html_().startswith("<table")


# --- comparisons --------------------------------------------------------------------------------------


def test_two_policies_of_a_run_are_compared_on_their_common_tasks(run: Run) -> None:
    sides = [Side(run, "AtomMem-World-v0", name) for name in ("rag", "closed-book")]
    found = {each.measure: each for each in compare(*sides)}
    assert set(found) >= {"em", "f1", "cover_em", "seen", "kept", "read"}
    em = found["em"]
    assert em.difference.mean == pytest.approx(em.first - em.second)
    assert (em.over, sum(em.signs), len(em.by_task)) == ("tasks", 3, 3)
    back = {each.measure: each for each in compare(*sides[::-1])}["em"]
    assert back.difference.mean == pytest.approx(-em.difference.mean)
    assert back.signs == em.signs[::-1]


def test_few_histories_have_differences_of_their_own_and_an_interval_over_questions(run: Run) -> None:
    (env,) = run.settings["envs"]
    episodes = [{**episode, "history": episode["task_id"]} for episode in run.episodes]
    histories = Run(run.settings, episodes)
    (em,) = compare(*(Side(histories, env["name"], name) for name in ("rag", "closed-book")), ["em"])
    assert em.over == "questions within these histories"
    assert em.by_history is not None
    assert len(em.by_history) == 3


def test_what_cannot_be_compared_is_refused_with_the_reason(run: Run, tmp_path: Path) -> None:
    (env,) = run.settings["envs"]
    blind = {**env, "arguments": {**env["arguments"], "questions_shown": "when_asked"}}
    other = Run({**run.settings, "envs": [blind]}, run.episodes)
    with pytest.raises(RunError, match="questions shown 'always' and 'when_asked'"):
        compare(Side(run, env["name"], "rag"), Side(other, env["name"], "rag"))
    moved = Run(run.settings, [{**episode, "source": "elsewhere"} for episode in run.episodes])
    with pytest.raises(RunError, match="cannot be compared: data"):
        compare(Side(run, env["name"], "rag"), Side(moved, env["name"], "rag"))
    with pytest.raises(RunError, match=r"'official'.* do not both have it"):
        compare(Side(run, env["name"], "rag"), Side(run, env["name"], "closed-book"), ["official"])
