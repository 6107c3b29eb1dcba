"""The numbers of a table: means, intervals, the funnel, and what tells rows apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from atommem_env.report.summary import bootstrap, by_environment, summarise
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


def test_scores_are_means_over_episodes_weighted_as_the_funnel_is() -> None:
    one = metrics(1.0, question(1.0, read=1.0), peak=2)
    two = metrics(1 / 3, question(1.0, read=0.5), question(0.0, read=0.0), question(0.0, read=0.0), peak=7)
    (row,) = summarise([run(one, two)])
    assert row.em.mean == pytest.approx(2 / 3)
    assert (row.episodes, row.questions) == (2, 4)
    assert row.funnel["read"] == pytest.approx((1.0 + 0.5 / 3) / 2)
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
    assert not row.uses_buffer


def test_a_policy_with_a_buffer_has_no_funnel_but_its_answers() -> None:
    (row,) = summarise([run(metrics(1.0, question(1.0, read=None)))])
    assert row.uses_buffer
    assert row.funnel == {"seen": None, "written": None, "kept": None, "read": None}


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


def with_arguments(scores: dict[str, Any], arguments: dict[str, Any], folder: str | None = None) -> Run:
    made = run(scores)
    settings = {**made.settings, "policies": [{"name": "rag", "arguments": arguments}]}
    return Run(settings, made.episodes, None if folder is None else Path(folder))


def test_variants_of_a_policy_are_told_apart_by_their_arguments() -> None:
    runs = [
        with_arguments(metrics(1.0), arguments) for arguments in ({}, {"k": 12}, {"k": 6, "look": "bridge"})
    ]
    rows = summarise([*runs, run(metrics(0.0), engine="llm")])
    assert [row.name for row in rows] == ["rag", "rag [k=12]", "rag [k=6, look=bridge]", "rag"]
    assert {row.policy for row in rows} == {"rag"}


def test_equal_variants_are_told_apart_by_their_engines_settings_or_their_folders() -> None:
    models = [
        Run({**made.settings, "engine": {"name": "llm", "model": model}}, made.episodes)
        for made, model in ((run(metrics(1.0), engine="llm"), "a/b"), (run(metrics(0.0), engine="llm"), "c"))
    ]
    assert [row.name for row in summarise(models)] == ["rag [model=a/b]", "rag [model=c]"]
    alike = [with_arguments(metrics(1.0), {}, folder) for folder in ("runs/a", "runs/b", None)]
    assert [row.name for row in summarise(alike)] == ["rag [runs/a]", "rag [runs/b]", "rag [run 3]"]


def test_a_benchmarks_own_score_and_a_judges_join_by_name() -> None:
    made = run({**metrics(1.0), "official": 0.5}, {**metrics(0.0), "official": 0.0})
    judged = Run(
        made.settings,
        made.episodes,
        judgements={("AtomMem-HotpotQA-v0", "rag", index): [True] for index in range(2)},
    )
    (row,) = summarise([judged])
    assert list(row.scores) == ["em", "f1", "cover_em", "official", "judge"]
    assert (row.scores["official"].mean, row.scores["judge"].mean) == (0.25, 1.0)
    (row,) = summarise([run({**metrics(1.0), "official": None})])
    assert list(row.scores) == ["em", "f1", "cover_em"]


def of_histories(count: int) -> Run:
    made = run(*[metrics(float(n % 2)) for n in range(count)], arguments={"questions_shown": "when_asked"})
    for episode in made.episodes:
        episode["history"] = episode["task_id"]
    return made


def test_few_histories_have_no_interval_and_many_are_drawn_as_wholes() -> None:
    (row,) = summarise([of_histories(4)])
    assert (row.histories, row.em.mean, row.em.bounds) == (4, 0.5, None)
    made = of_histories(40)
    (row,) = summarise([made])
    assert row.em.bounds is not None
    for episode in made.episodes:
        episode["history"] = str(episode["task_index"] % 10)  # all of a history's tasks score alike
    (whole,) = summarise([made])
    assert (whole.histories, whole.em.mean) == (10, 0.5)
    assert whole.em.bounds is not None
    assert whole.em.bounds[1] - whole.em.bounds[0] > row.em.bounds[1] - row.em.bounds[0]


def test_questions_shown_at_different_times_are_never_in_one_group() -> None:
    rows = summarise([run(metrics(1.0)), run(metrics(1.0), arguments={"questions_shown": "when_asked"})])
    assert [row.questions_shown for row in rows] == ["always", "when_asked"]
    assert [len(group) for group in by_environment(rows)] == [1, 1]


def asked(em: float, answerable: bool, abstained: bool) -> dict[str, Any]:
    return {**question(em), "em": em, "answerable": answerable, "abstained": abstained}


def test_a_policy_that_always_abstains_is_seen_to() -> None:
    (row,) = summarise([run(metrics(0.5, asked(0.0, True, True), asked(1.0, False, True)))])
    assert row.abstention is not None
    assert (row.abstention.answerable, row.abstention.unanswerable) == (0.0, 1.0)
    assert row.abstention.counts == {
        (True, True): 1,
        (True, False): 0,
        (False, True): 1,
        (False, False): 0,
    }
    (row,) = summarise([run(metrics(0.5, asked(0.0, True, True)))])
    assert row.abstention is None


def test_stale_evidence_is_reported_where_there_is_any() -> None:
    stale = question()
    stale["evidence"] |= {"stale_kept": 0.5, "stale_read": 0.0}
    fresh = question()
    fresh["evidence"] |= {"stale_kept": None, "stale_read": None}
    (row,) = summarise([run(metrics(1.0, stale, fresh), metrics(1.0, fresh))])
    assert row.stale == {"stale_kept": 0.5, "stale_read": 0.0}
    (row,) = summarise([run(metrics(1.0, fresh))])
    assert row.stale == {"stale_kept": None, "stale_read": None}


def test_replies_that_could_not_be_read_are_a_share_of_all() -> None:
    made = run(metrics(1.0), metrics(1.0))
    made.episodes[0]["unreadable"] = {"facts": [2, 40], "answer": [0, 10]}
    made.episodes[1]["unreadable"] = {"facts": [1, 50]}
    (row,) = summarise([made])
    assert (row.unread, row.unread_by) == (0.03, {"facts": [3, 90]})
    (row,) = summarise([run(metrics(1.0))])
    assert row.unread is None


def test_a_policy_without_an_episode_yet_has_no_row() -> None:
    unfinished = run(metrics(1.0), policies=("rag", "oracle"))
    unfinished.episodes.pop()
    assert [row.policy for row in summarise([unfinished])] == ["rag"]


def test_an_interval_holds_the_mean_and_shrinks_with_more_episodes() -> None:
    few, many = bootstrap([0.0, 1.0] * 5), bootstrap([0.0, 1.0] * 500)
    widths = []
    for interval in (few, many):
        assert interval.bounds is not None
        low, high = interval.bounds
        assert low < interval.mean == 0.5 < high
        widths.append(high - low)
    assert widths[1] < widths[0]
    # the normal approximation at n = 1000: 1.96 * sqrt(0.25 / 1000) on each side
    assert widths[1] == pytest.approx(2 * 0.031, abs=0.004)


def test_an_interval_is_the_same_every_time_and_flat_for_equal_values() -> None:
    assert bootstrap([0.1, 0.7, 0.3]) == bootstrap([0.1, 0.7, 0.3])
    flat = bootstrap([0.25])
    assert (flat.mean, flat.low, flat.high) == (0.25, 0.25, 0.25)
