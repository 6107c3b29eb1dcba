"""Pictures of runs: what they say, that they are the same every time, and what they refuse to draw."""

from __future__ import annotations

import importlib.util
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

matplotlib = pytest.importorskip("matplotlib")

from matplotlib.figure import Figure  # noqa: E402
from matplotlib.patches import Rectangle  # noqa: E402
from matplotlib.text import Text  # noqa: E402

from atommem_env import Answer, Create, Delete, Read, Update  # noqa: E402
from atommem_env.cli import application  # noqa: E402
from atommem_env.policies import rollout  # noqa: E402
from atommem_env.report.plots import PICTURES, costs, documents, funnel, operations, plot, scores, style  # noqa: E402
from atommem_env.report.plots import question_types as types  # noqa: E402
from atommem_env.report.plots.labels import Point, beside_points, spread  # noqa: E402
from atommem_env.report.summary import STAGES, Interval, Row, summarise  # noqa: E402
from atommem_env.runs import Run, RunError, evaluate  # noqa: E402

ENV = "AtomMem-World-v0"
SMALL: dict[str, Any] = {
    "world_size": 40,
    "num_questions": 2,
    "chunk_tokens": 300,
    "chunk_overlap": 0,
    "capacity": 9,
}
POLICIES = ["rag", "full-context", "oracle"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three policies on texts of two lengths, one of which is longer than the memory."""
    path = tmp_path_factory.mktemp("runs") / "run"
    evaluate([f"{ENV}[num_docs=8]", f"{ENV}[num_docs=16]"], POLICIES, 2, out=path, **SMALL)
    return path


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    return Run.load(folder)


@pytest.fixture(scope="module")
def rows(run: Run) -> list[Row]:
    return summarise([run])


@pytest.fixture
def drawing() -> Iterator[None]:
    with style.look():
        yield


def texts(figure: Figure) -> list[str]:
    """Return what is written in a figure."""
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def words(figure: Figure) -> str:
    """Return all that is written in a figure, without its line breaks."""
    return " ".join("\n".join(texts(figure)).split())


def with_funnel(row: Row, *shares: float, **changes: Any) -> Row:
    *stages, answered = shares
    scores = {**row.scores, "em": Interval(answered, answered, answered)}
    return replace(row, funnel=dict(zip(STAGES, stages, strict=True)), scores=scores, **changes)


def test_names_and_sources_of_others_are_text_in_every_picture(
    rows: list[Row], run: Run, drawing: None, tmp_path: Path
) -> None:
    odd = [
        replace(row, name="$\\frac{$ [k=12]\x1b[2J\n", source="$\\sqrt{$\x00\u202e", env="$a$b$")
        for row in rows[:1]
    ]
    for picture in (scores, funnel):
        figure = picture.draw(odd, [run])
        style.save(figure, tmp_path / "odd.png")
        assert "$\\frac{$ [k=12]" in words(figure)
        assert not set("\x1b\x00\u202e") & set(words(figure))


@pytest.mark.heavy
def test_a_pdf_has_no_date_and_a_bare_page_neither_title_nor_notes(run: Run, tmp_path: Path) -> None:
    files = [run.plot(tmp_path / name, ["scores"], ("pdf", "svg"), bare=True) for name in "ab"]
    assert files[0][0].read_bytes() == files[1][0].read_bytes()
    assert files[0][0].read_bytes().startswith(b"%PDF")
    (whole,) = run.plot(tmp_path / "c", ["scores"], ("svg",))
    heights = [
        float(ElementTree.parse(path).getroot().attrib["height"].removesuffix("pt"))
        for path in (files[0][1], whole)
    ]
    assert heights[0] < heights[1] - 60  # a title of one line, and notes of several


# --- files ------------------------------------------------------------------------------------------


def test_every_picture_is_drawn_and_the_same_run_gives_the_same_bytes(run: Run, tmp_path: Path) -> None:
    made = plot([run], tmp_path / "all", formats=("svg",))
    assert list(made.left_out) == ["operation-frequencies"]  # which needs a run without the limit
    assert [path.stem for path in made.files] == [kind for kind in PICTURES if kind not in made.left_out]
    assert {ElementTree.parse(path).getroot().tag for path in made.files} == {
        "{http://www.w3.org/2000/svg}svg"
    }
    for path in run.plot(tmp_path / "again", ["funnel"], ("svg",)):
        assert path.read_bytes() == (tmp_path / "all" / path.name).read_bytes()


def test_both_formats_are_written_and_the_users_own_settings_neither_count_nor_change(
    run: Run, tmp_path: Path
) -> None:
    plain = run.plot(tmp_path / "plain", ["scores"], ("png", "svg"))
    assert [path.name for path in plain] == ["scores.png", "scores.svg"]
    assert plain[0].read_bytes().startswith(b"\x89PNG")
    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "red", "svg.hashsalt": "mine"}):
        before = dict(matplotlib.rcParams)
        (changed,) = run.plot(tmp_path / "changed", ["scores"], ("svg",))
        assert dict(matplotlib.rcParams) == before
    assert changed.read_bytes() == plain[1].read_bytes()


@pytest.mark.heavy
def test_what_the_runs_lack_is_left_out_with_the_reason_or_refused_when_asked_for(
    run: Run, tmp_path: Path
) -> None:
    name = run.settings["envs"][0]["name"]
    bare = Run(run.settings, run.select([name]))
    made = plot([bare], tmp_path / "out")
    assert [path.stem for path in made.files] == ["scores", "types", "funnel", "memory"]
    assert "no traces" in made.left_out["operations"]
    assert "timing.jsonl" in made.left_out["calls"]
    assert "more than one number of documents" in made.left_out["documents"]
    with pytest.raises(RunError, match=r"documents: no policy has scores.*num_docs=50"):
        plot([bare], tmp_path / "none", ["documents"])
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda run: plot([run], "x", ["pie"]), "kind 'pie': expected one of scores, types"),
        (lambda run: plot([run], "x", formats=["gif"]), "format 'gif': expected one of png, svg, pdf"),
        (lambda run: plot([replace(run, episodes=[])], "x"), "no episode has ended yet"),
    ],
)
def test_what_cannot_be_drawn_is_refused(run: Run, call: Callable[[Run], object], message: str) -> None:
    with pytest.raises(RunError, match=message):
        call(run)


def test_without_matplotlib_the_command_to_install_it_is_named(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "matplotlib" else real(name, *rest)
    )
    with pytest.raises(ImportError, match=r"pip install 'atommem_env\[plot\]'"):
        plot([run], "x")


def by_type(run: Run, kinds: Sequence[str]) -> Run:
    """Return ``run`` with questions of these types, of which the first is right and the others a quarter."""
    episodes = []
    for episode in run.episodes:
        asked = [
            {**question, "type": kind, "em": 0.25 if number else 1.0, "official": None}
            for number, (question, kind) in enumerate(
                zip(episode["metrics"]["questions"], kinds, strict=True)
            )
        ]
        episodes.append({**episode, "metrics": {**episode["metrics"], "questions": asked}})
    return replace(run, episodes=episodes)


def test_scores_by_type_stand_in_a_field_of_numbers(rows: list[Row], run: Run, drawing: None) -> None:
    figure = types.draw(rows[:1], [by_type(run, ("when-asked", "who"))])
    assert {"when-\nasked", "who", "all", "100", "25", "62"} <= set(texts(figure))
    assert "EM, the mean over the questions of a type" in words(figure)
    with pytest.raises(RunError, match="no environment has questions of several types"):
        types.draw(rows[:1], [by_type(run, ("who", "who"))])


def test_the_command_names_the_files_and_what_it_left_out(folder: Path, tmp_path: Path) -> None:
    app = application()
    done = CliRunner().invoke(app, ["plot", str(folder), "--kind", "memory", "--format", "both"])
    assert done.exit_code == 0, done.output
    assert [Path(line).name for line in done.stdout.splitlines()] == ["memory.png", "memory.svg"]
    assert (folder / "plots" / "memory.png").exists()
    refused = CliRunner().invoke(app, ["plot", str(folder), "--out", str(tmp_path / "x"), "--kind", "pie"])
    assert refused.exit_code == 2
    assert "kind 'pie'" in refused.stderr
    assert not (tmp_path / "x").exists()


# --- what every picture says ------------------------------------------------------------------------


@pytest.mark.heavy
@pytest.mark.parametrize(
    "draw", [scores.draw, funnel.draw, operations.draw, costs.draw_memory, documents.draw]
)
def test_a_picture_names_source_engine_episodes_arguments_and_policies(
    drawing: None, run: Run, rows: list[Row], draw: Callable[[Sequence[Row], Sequence[Run]], Figure]
) -> None:
    said = words(draw(rows, [run]))
    assert "generated:world(" in said
    assert run.episodes[0]["source"][-9:] in said  # the end of its hash, however short the space is
    assert "engine world: reads the generated world's sentences exactly" in said
    assert "2 episodes, 4 questions per policy" in said
    assert "capacity=9" in said
    for policy in POLICIES:
        assert policy in said
    assert "full-context †" in said


def test_generated_data_never_goes_under_a_benchmarks_name_alone(
    drawing: None, run: Run, rows: list[Row]
) -> None:
    said = words(
        scores.draw([replace(row, env="AtomMem-HotpotQA-v0", generated=True) for row in rows[:3]], [run])
    )
    assert "AtomMem-HotpotQA-v0 (generated)" in said
    assert "say nothing about the benchmark" in said


def test_many_environments_stand_in_rows_of_three(drawing: None, run: Run, rows: list[Row]) -> None:
    many = [replace(rows[0], env=f"Env-{number}") for number in range(4)]
    for draw in (scores.draw, funnel.draw, costs.draw_memory):
        figure = draw(many, [run])
        assert words(figure).count("questions per policy") == 4
        lefts = [round(axes.get_position().x0, 3) for axes in figure.axes]
        assert len(set(lefts)) == 3
        assert figure.get_figwidth() < 16


def test_a_part_of_a_run_is_drawn_as_if_it_were_all(run: Run) -> None:
    name = run.settings["envs"][1]["name"]
    part = run.only([name], ["rag", "oracle"])
    assert [(row.env, row.policy) for row in summarise([part])] == [(name, "rag"), (name, "oracle")]
    assert len(part.episodes) == part.total == 4
    assert set(operations.profiles([part])) == {(0, name, "rag"), (0, name, "oracle")}
    with pytest.raises(RunError, match="policy 'rga' is not in this run"):
        run.only(policies=["rga"])


def test_two_engines_of_one_policy_are_told_apart(drawing: None, run: Run, rows: list[Row]) -> None:
    both = [rows[0], replace(rows[0], engine="llm")]
    assert {"rag, world", "rag, llm"} <= set(texts(scores.draw(both, [run])))


def test_a_policy_looks_the_same_in_every_run_and_none_is_like_another() -> None:
    assert style.look_of("rag") == style.look_of("rag[k=12]")
    assert style.look_of("my_module:Mine") == style.look_of("my_module:Mine")
    known = [style.look_of(name) for name in style.LOOKS]
    assert len(set(known)) == len(known)


# --- the funnel -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shares", "stage", "finding"),
    [
        ((1, 0.2, 0.2, 0.2, 0.1), "written", "never wrote it"),
        ((1, 1, 0.3, 0.2, 0.1), "kept", "destroyed it"),
        ((1, 1, 1, 0.4, 0.3), "read", "could not find it"),
        ((1, 1, 1, 0.9, 0.3), "answered", "could not use it"),
        ((1, 1, 1, 1, 1), None, ""),
    ],
)
def test_the_funnel_says_where_most_was_lost(
    drawing: None, run: Run, rows: list[Row], shares: tuple[float, ...], stage: str | None, finding: str
) -> None:
    row = with_funnel(rows[0], *shares)
    assert funnel.largest_loss(row) == stage
    said = texts(funnel.draw([row], [run]))
    found = {each for _, each in funnel.LOSSES.values()} & set(said)
    assert found == ({finding} if finding else set())
    for before, after in itertools.pairwise(shares):
        if after < before:
            assert f"−{100 * (before - after):.0f}" in said


def test_more_than_the_stage_before_is_hatched(drawing: None, run: Run, rows: list[Row]) -> None:
    def hatched(figure: Figure) -> int:
        return sum(bool(bar.get_hatch()) for bar in figure.findobj(Rectangle))

    guesses = funnel.draw([with_funnel(rows[0], 1, 0, 0, 0, 0.25)], [run])
    assert hatched(guesses) == 1
    assert "Hatched: more than the stage before" in words(guesses)
    whole = funnel.draw([with_funnel(rows[0], 1, 1, 1, 1, 1)], [run])
    assert hatched(whole) == 0
    assert "Hatched" not in words(whole)


def test_a_policy_with_a_buffer_has_its_answers_alone(drawing: None, run: Run, rows: list[Row]) -> None:
    (buffered,) = [row for row in rows if row.policy == "full-context" and "num_docs=8" in row.env]
    other = with_funnel(rows[0], 1, 1, 1, 1, 1)
    assert "keeps text outside memory" in texts(funnel.draw([other, buffered], [run]))
    with pytest.raises(RunError, match="no funnel to draw"):
        funnel.draw([buffered], [run])


# --- operations -------------------------------------------------------------------------------------


class Script:
    """Looks once at each chunk, then edits; reads once and answers."""

    def reset(self, observation: Mapping[str, Any], info: Mapping[str, Any]) -> None:
        pass

    def act(self, observation: Mapping[str, Any], info: Mapping[str, Any]) -> list[Any]:
        if observation["phase"] == 1:
            read = observation["looks_left"] == 3
            return [Read("who")] if read else [Answer("x"), Delete(77)]
        if observation["looks_left"] == 3:
            return [Read("a"), Read("b")]
        return [Create("x"), Create("y"), Update(1, "z"), Update(0, "note"), Delete(0), Update(99, "lost")]


def test_a_profile_counts_what_was_done_at_each_chunk_and_at_each_step_of_a_question(run: Run) -> None:
    from atommem_env.runs.variants import recorded_env

    env = recorded_env(run.settings).make()
    profile = operations.Profile()
    for index in range(2):
        profile.add(rollout(env, Script(), options={"task_index": index}))
    env.close()
    first = {"read": 2, "create": 2, "update": 1, "scratchpad": 2, "refused": 1}
    reading = profile.reading()
    assert len(reading) == min(map(len, profile.chunks)) > 1
    assert reading[0] == first
    assert profile.answering() == [{"read": 1.0}, {"refused": 1.0}]


def test_a_question_that_took_fewer_steps_counts_as_nothing_at_the_others() -> None:
    from collections import Counter

    profile = operations.Profile([[Counter()]], [[Counter(read=1), Counter(read=1)], [Counter(read=1)]])
    assert profile.answering() == [{"read": 1.0}, {"read": 0.5}]
    assert profile.reading() == [{}]


# --- what a score costs -----------------------------------------------------------------------------


def test_documents_make_a_line_for_each_policy_and_a_panel_for_each_setting(
    drawing: None, run: Run, rows: list[Row], tmp_path: Path
) -> None:
    (panel,) = documents.draw(rows, [run]).axes
    assert [tick.get_text() for tick in panel.get_xticklabels()] == ["8", "16"]
    other = replace(
        run, settings={**run.settings, "seed": 3, "envs": [dict(env) for env in run.settings["envs"]]}
    )
    drawn = documents.draw(summarise([run, other]), [run, other])
    assert [axes.get_title(loc="left") for axes in drawn.axes] == [
        f"{ENV}, policy_seed=0",
        f"{ENV}, policy_seed=3",
    ]


def test_costs_that_are_never_0_stand_on_a_logarithmic_scale(
    drawing: None, run: Run, rows: list[Row]
) -> None:
    some = [replace(row, calls=float(10 + number)) for number, row in enumerate(rows[:3])]
    assert costs.draw_calls(some, [run]).axes[0].get_xscale() == "log"
    assert costs.draw_calls([replace(some[0], calls=0.0), *some[1:]], [run]).axes[0].get_xscale() == "symlog"


# --- names in the picture ---------------------------------------------------------------------------


def test_names_of_a_crowd_of_points_do_not_lie_over_one_another(drawing: None) -> None:
    figure = Figure(figsize=(5, 4))
    axes = figure.subplots()
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    beside_points(figure, axes, [Point(0.5 + i / 500, 0.5, f"policy-{i}", "black") for i in range(12)])
    figure.draw_without_rendering()
    boxes = [Text.get_window_extent(note) for note in axes.texts]
    assert len(boxes) == 12
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))


@given(st.lists(st.floats(0, 100), min_size=1, max_size=12).map(sorted), st.floats(1, 8))
def test_names_are_spread_in_order_within_the_panel(wanted: list[float], size: float) -> None:
    places = spread(wanted, [size] * len(wanted), 0.0, 100.0)
    assert all(after - before >= size - 1e-6 for before, after in itertools.pairwise(places))
    assert places[0] >= 0
    assert places[-1] <= 100 + 1e-6


def test_names_that_have_room_stay_where_they_belong() -> None:
    assert spread([10.0, 50.0, 90.0], [8.0] * 3, 0.0, 100.0) == [10.0, 50.0, 90.0]


@pytest.mark.parametrize(("high", "limit"), [(0.0, 5), (0.049, 5), (0.213, 30), (0.61, 80), (1.0, 100)])
def test_an_axis_of_percent_ends_just_above_what_it_shows(high: float, limit: int) -> None:
    assert style.percent_limit([Interval(0.0), Interval(high / 2, 0.0, high)]) == limit
