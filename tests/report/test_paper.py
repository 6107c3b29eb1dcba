"""The recipes of the paper's tables, and what they measured next to what the paper reports."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from atommem_env.registration import PAPER_ENVS, POLICIES
from atommem_env.report.paper import RECIPES, TRAINED, figures, make_recipe
from atommem_env.report.paper_columns import comparisons
from atommem_env.report.tables import table, terminal_lines
from atommem_env.runs import Run, RunError, evaluate
from atommem_env.runs.arguments import check_arguments, env_arguments, find_spec
from atommem_env.runs.evaluation import make_plan
from atommem_env.runs.keys import planned_keys
from atommem_env.runs.variants import EnvVariant

HOTPOT = "AtomMem-HotpotQA-v0"


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("engine", ["rules", "llm"])
def test_a_recipe_names_what_exists(name: str, engine: str) -> None:
    made = make_recipe(name, engine, {"encoder": "x"} if name == "paper-table4" else {})
    assert set(made.policies) <= set(POLICIES)
    assert ("atommem" in made.policies) is (engine == "llm")
    names = [env.name for env in made.envs]
    assert len(set(names)) == len(names)
    for env in made.envs:
        check_arguments(env.id, env.arguments, env_arguments(find_spec(env.id)))
        assert env.policies
        assert set(env.policies) <= set(made.policies)


def test_the_first_table_compares_methods_at_both_sizes() -> None:
    made = make_recipe("paper-table1")
    assert [env.name for env in made.envs] == [
        f"{id}[num_docs={size}]" for id in PAPER_ENVS for size in (200, 800)
    ]
    assert [env.episodes for env in made.envs] == [30, 10] * 3
    assert {env.episodes for env in make_recipe("paper-table1", episodes=2).envs} == {2}
    assert {"rag", "mem0", "a-mem", "generative-agents", "memagent", "oracle"} <= set(made.policies)


def test_an_ablation_is_run_where_it_takes_something_away() -> None:
    by_name = {env.name: env for env in make_recipe("paper-table2").envs}
    assert by_name[f"{HOTPOT}[without update]"].policies == ("mem0", "a-mem")
    assert by_name[f"{HOTPOT}[without update]"].arguments["operations"] == (
        "create",
        "read",
        "delete",
        "answer",
    )
    assert "memagent" in (by_name[f"{HOTPOT}[without scratchpad]"].policies or ())
    assert "rag" not in (by_name[f"{HOTPOT}[without scratchpad]"].policies or ())
    assert len(by_name[f"{HOTPOT}[num_docs=200]"].policies or ()) == 9


def test_the_third_table_has_every_size_of_chunks_and_of_retrieval() -> None:
    made = make_recipe("paper-table3")
    assert len(made.envs) == 27
    assert {(e.arguments["chunk_tokens"], e.arguments["top_k"]) for e in made.envs} == {
        (size, k) for size in (2048, 4096, 8192) for k in (3, 6, 12)
    }


def test_dense_retrieval_waits_for_an_encoder() -> None:
    without = make_recipe("paper-table4", arguments={"source": "s"})
    assert {env.arguments["retriever"] for env in without.envs} == {"random", "bm25"}
    assert any("encoder" in note for note in without.notes)
    made = make_recipe("paper-table4", arguments={"encoder": "my:encoder", "source": "s"})
    assert {env.arguments["retriever"] for env in made.envs} == {"random", "bm25", "dense", "hybrid"}
    assert {env.arguments.get("encoder") for env in made.envs} == {None, "my:encoder"}
    assert made.arguments == {"source": "s"}


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("paper-table5", {}, "expected one of paper-table1"),
        ("paper-table1", {"num_docs": 50}, "only source, split, encoder, tokenizer can be given"),
        ("paper-table2", {"encoder": "x"}, "searches with BM25"),
    ],
)
def test_what_would_be_another_experiment_is_refused(
    name: str, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(RunError, match=message):
        make_recipe(name, arguments=arguments)


def test_the_papers_figures_are_fractions_by_environment() -> None:
    assert figures("paper-table1", f"{HOTPOT}[num_docs=800]")["rag"] == pytest.approx(0.631)
    assert figures("paper-table1", "AtomMem-MuSiQue-v0[num_docs=200]")[TRAINED] == pytest.approx(0.551)
    assert figures("paper-table2", "AtomMem-2WikiMultihopQA-v0[without update]") == {
        TRAINED: pytest.approx(0.626)
    }
    assert figures("paper-table4", f"{HOTPOT}[retriever=random]") == {TRAINED: pytest.approx(0.685)}
    assert figures("paper-table3", f"{HOTPOT}[chunk_tokens=2048, top_k=3]") == {}
    assert figures("paper-table1", HOTPOT) == {}


def test_a_plan_of_a_recipe_has_each_environments_own_policies_and_episodes() -> None:
    envs = [
        EnvVariant("AtomMem-World-v0", {"num_docs": 12}, name="w[a]", policies=("rag",), episodes=3),
        EnvVariant("AtomMem-World-v0", {"num_docs": 14}, name="w[b]", policies=("rag", "oracle")),
    ]
    plan = make_plan(envs, ["rag", "oracle"], 2, recipe="paper-table1", env_arguments={"num_questions": 1})
    assert plan.total == 3 + 2 * 2
    assert plan.settings["recipe"] == "paper-table1"
    assert [env["arguments"]["num_docs"] for env in plan.settings["envs"]] == [12, 14]
    assert list(planned_keys(json.loads(json.dumps(plan.settings)))) == [
        *[("w[a]", "rag", index) for index in range(3)],
        *[("w[b]", policy, index) for policy in ("rag", "oracle") for index in range(2)],
    ]


# --- next to the paper ---------------------------------------------------------------------------------


def measured(source: str = "file:dev.json#1", engine: Any = "rules", label: str = "num_docs=200") -> Run:
    question = {"num_evidence": 0, "evidence": {"answered": 0.0}}
    metrics = {
        "em": 0.25,
        "f1": 0.5,
        "cover_em": 0.5,
        "questions": [question],
        "refused": {},
        "memory_peak": 1,
        "entries_shown": 1,
        "steps": 1,
    }
    names = [f"{id}[{label}]" for id in PAPER_ENVS[:2]]
    settings = {
        "atommem_env": "0",
        "recipe": "paper-table1",
        "envs": [
            {"name": name, "id": id, "arguments": {}} for name, id in zip(names, PAPER_ENVS, strict=False)
        ],
        "policies": [{"name": "rag"}, {"name": "memagent"}],
        "engine": engine,
        "episodes": 1,
        "seed": 0,
    }
    episodes = [
        {
            "env": name,
            "policy": policy,
            "engine": "rules",
            "task_id": "0",
            "task_index": 0,
            "source": source,
            "metrics": metrics,
        }
        for name in names
        for policy in ("rag", "memagent")
    ]
    return Run(settings, episodes)


def test_a_trained_agents_figure_never_stands_beside_a_measured_score() -> None:
    (comparison,) = comparisons(measured())
    cells = dict(comparison.lines)
    assert [figure for _, figure in cells["memagent"]] == [None, None]
    assert [row for row, _ in cells["MemAgent (trained)"]] == [None, None]
    assert [figure for _, figure in cells["rag"]] == pytest.approx([0.678, 0.465])
    assert [row.em.mean if row else None for row, _ in cells["rag"]] == [0.25, 0.25]


@pytest.mark.parametrize("format", ["terminal", "markdown"])
def test_a_table_says_what_is_measured_and_what_the_papers_is(format: str) -> None:
    text = table([measured()], format)
    assert "measured (engine rules, sample)" in text
    assert "paper (Qwen3-8B)" in text
    row = next(line for line in text.splitlines() if line.strip("| ").startswith("AtomMem (trained)"))
    assert [cell for cell in row.replace("|", " ").split() if cell not in ("AtomMem", "(trained)")] == [
        "–",
        "77.8",
        "–",
        "67.5",
    ]
    model = table([measured(engine={"name": "llm", "model": "Qwen3-8B"})], format)
    assert "measured (engine llm, Qwen3-8B, sample)" in model


def test_the_papers_figures_have_rows_and_a_column_of_their_own_in_csv() -> None:
    rows = list(csv.DictReader(io.StringIO(table([measured()], "csv"))))
    ours = [row for row in rows if row["em"]]
    papers = [row for row in rows if row["paper_em"]]
    assert len(ours) == 4
    assert len(ours) + len(papers) == len(rows)
    assert {row["paper"] for row in papers} == {"AtomMem, arXiv 2601.08323; Qwen3-8B"}
    assert {row["episodes"] for row in papers} == {""}


def test_generated_data_is_not_compared() -> None:
    run = measured("generated:world(seed=0)#1")
    assert comparisons(run) == []
    assert "paper" not in table([run])


def test_what_is_no_recipes_run_has_no_comparison() -> None:
    run = measured()
    assert comparisons(Run({**run.settings, "recipe": "paper-table3"}, run.episodes)) == []
    assert comparisons(evaluate("AtomMem-World-v0", "rag", 1, num_docs=12, num_questions=1)) == []


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_comparison_fits_the_terminal(width: int) -> None:
    texts = [text for _, text in terminal_lines([measured()], False, width)]
    start = next(n for n, text in enumerate(texts) if text.startswith("paper-table1"))
    block = texts[start + 2 : texts.index("", start + 4)]
    assert max(map(len, block)) <= width
    assert sum(text.startswith("AtomMem (trained)") for text in texts) == (2 if width == 60 else 1)


@pytest.mark.heavy
def test_every_recipe_of_the_paper_runs_on_the_samples(samples: Path, tmp_path: Path) -> None:
    for name in [recipe for recipe in RECIPES if recipe.startswith("paper-")]:
        made = make_recipe(name, arguments={"source": str(samples)}, episodes=1)
        run = evaluate(
            [env for env in made.envs if "800" not in env.name],
            list(made.policies),
            1,
            2,
            out=tmp_path / name,
            progress=False,
            **made.arguments,
        )
        assert len(run.episodes) == run.total


def test_the_recipe_of_histories_crosses_methods_benchmarks_and_capacities() -> None:
    made = make_recipe("histories", arguments={"source": "data"})
    by_name = {env.name: env for env in made.envs}
    assert len(by_name) == 9
    assert {env.arguments["capacity"] for env in made.envs} == {20, 100, None}
    limited, free = by_name["AtomMem-LoCoMo-v0[capacity=20]"], by_name["AtomMem-Chat-v0[capacity=none]"]
    assert {"closed-book", "abstain", "vague", "recency", "reservoir", "rag"} <= set(limited.policies or ())
    assert "reservoir" not in (free.policies or ())
    assert free.arguments["source"] == "generated"
    assert "keep-best" not in made.policies
    assert "n/a: keep-best" in made.notes[0]
