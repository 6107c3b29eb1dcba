"""The numbers of a table: means, intervals, the funnel, and what tells rows apart."""

from __future__ import annotations

from typing import Any

import pytest

from atommem_env.report.summary import bootstrap, summarise
from atommem_env.runs.run import Run


def question(em: float = 1.0, read: float | None = 1.0, units: int = 2) -> dict[str, Any]:
    shares = dict.fromkeys(("seen", "written", "kept"), None if read is None else 1.0)
    return {"num_evidence": units, "evidence": {**shares, "read": read, "answered": em}}


def metrics(em: float, *questions: dict[str, Any], peak: int = 3, refused: int = 0) -> dict[str, Any]:
    return {
        "em": em,
        "f1": em,
        "cover_em": em,
        "questions": list(questions) or [question(em)],
        "refused": {"empty": refused, "malformed": 1},
        "memory_peak": peak,
        "entries_shown": 4,
        "steps": 5,
    }


def run(
    *scores: dict[str, Any],
    env: str = "AtomMem-HotpotQA-v0",
    source: str = "file:dev.json#1",
    policies: tuple[str, ...] = ("rag",),
    engine: str | None = "rules",
    arguments: dict[str, Any] | None = None,
    seed: int = 0,
) -> Run:
    episodes = [
        {
            "env": env,
            "policy": policy,
            "engine": engine,
            "task_id": str(index),
            "task_index": index,
            "source": source,
            "metrics": score,
        }
        for policy in policies
        for index, score in enumerate(scores)
    ]
    settings = {
        "atommem_env": "0",
        "envs": [
            {"name": env, "id": env, "arguments": {"source": "auto", "num_docs": 200, **(arguments or {})}}
        ],
        "policies": [{"name": policy} for policy in policies],
        "episodes": len(scores),
        "seed": seed,
    }
    return Run(settings, episodes)


def test_scores_are_means_over_episodes_and_the_funnel_over_questions() -> None:
    one = metrics(1.0, question(1.0, read=1.0), peak=2)
    two = metrics(1 / 3, question(1.0, read=0.5), question(0.0, read=0.0), question(0.0, read=0.0), peak=7)
    (row,) = summarise([run(one, two)])
    assert row.em.mean == pytest.approx(2 / 3)
    assert (row.episodes, row.questions) == (2, 4)
    assert row.funnel["read"] == pytest.approx(1.5 / 4)
    assert row.funnel["answered"] == pytest.approx(0.5)
    assert (row.memory_peak, row.steps, row.entries_shown) == (4.5, 5.0, 4.0)


def test_refused_operations_are_counted_over_all_reasons() -> None:
    (row,) = summarise([run(metrics(1.0, refused=2), metrics(1.0, refused=0))])
    assert row.refused == 2.0


def test_questions_without_evidence_are_left_out_of_the_funnel_and_counted() -> None:
    bare = {
        "num_evidence": 0,
        "evidence": {**dict.fromkeys(("seen", "written", "kept", "read")), "answered": 1.0},
    }
    (row,) = summarise([run(metrics(0.5, question(0.0, read=0.25), bare))])
    assert row.without_evidence == 1
    assert row.funnel["read"] == 0.25
    assert row.funnel["answered"] == 0.0
    assert not row.uses_buffer


def test_a_policy_with_a_buffer_has_no_funnel_but_its_answers() -> None:
    (row,) = summarise([run(metrics(1.0, question(1.0, read=None)))])
    assert row.uses_buffer
    assert row.funnel == {"seen": None, "written": None, "kept": None, "read": None, "answered": 1.0}


def test_generated_data_never_passes_for_the_benchmark() -> None:
    (row,) = summarise([run(metrics(1.0), source="generated:world(seed=0)#1")])
    assert row.label == "AtomMem-HotpotQA-v0 (generated)"
    (row,) = summarise([run(metrics(1.0))])
    assert row.label == "AtomMem-HotpotQA-v0"
    (row,) = summarise([run(metrics(1.0), env="AtomMem-World-v0", source="generated:world(seed=0)#1")])
    assert row.label == "AtomMem-World-v0"


def test_arguments_that_differ_between_runs_are_in_the_label() -> None:
    rows = summarise(
        [run(metrics(1.0)), run(metrics(0.0), arguments={"num_docs": 800, "source": "x"}, seed=1)]
    )
    assert [row.label for row in rows] == [
        "AtomMem-HotpotQA-v0, num_docs=200, policy_seed=0",
        "AtomMem-HotpotQA-v0, num_docs=800, policy_seed=1",
    ]


def test_rows_of_one_environment_stand_together_in_the_order_of_the_runs() -> None:
    rows = summarise(
        [
            run(metrics(1.0), policies=("rag", "oracle")),
            run(metrics(1.0), env="AtomMem-MuSiQue-v0"),
            run(metrics(1.0), policies=("memagent",)),
        ]
    )
    assert [(row.env, row.policy) for row in rows] == [
        ("AtomMem-HotpotQA-v0", "rag"),
        ("AtomMem-HotpotQA-v0", "oracle"),
        ("AtomMem-HotpotQA-v0", "memagent"),
        ("AtomMem-MuSiQue-v0", "rag"),
    ]


def test_equal_rows_of_two_runs_are_numbered_and_engines_tell_rows_apart() -> None:
    rows = summarise([run(metrics(1.0)), run(metrics(0.0)), run(metrics(0.0), engine="llm")])
    assert [(row.policy, row.engine) for row in rows] == [
        ("rag #1", "rules"),
        ("rag #2", "rules"),
        ("rag", "llm"),
    ]


def test_a_policy_without_an_episode_yet_has_no_row() -> None:
    unfinished = run(metrics(1.0), policies=("rag", "oracle"))
    unfinished.episodes.pop()
    assert [row.policy for row in summarise([unfinished])] == ["rag"]


def test_an_interval_holds_the_mean_and_shrinks_with_more_episodes() -> None:
    few, many = bootstrap([0.0, 1.0] * 5), bootstrap([0.0, 1.0] * 500)
    for interval in (few, many):
        assert interval.low < interval.mean == 0.5 < interval.high
    assert many.high - many.low < few.high - few.low
    # the normal approximation at n = 1000: 1.96 * sqrt(0.25 / 1000) on each side
    assert many.high - many.low == pytest.approx(2 * 0.031, abs=0.004)


def test_an_interval_is_the_same_every_time_and_flat_for_equal_values() -> None:
    assert bootstrap([0.1, 0.7, 0.3]) == bootstrap([0.1, 0.7, 0.3])
    flat = bootstrap([0.25])
    assert (flat.mean, flat.low, flat.high) == (0.25, 0.25, 0.25)
