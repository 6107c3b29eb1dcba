"""Pictures of trainings, and of operations with and without a limit on memory."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

matplotlib = pytest.importorskip("matplotlib")

from matplotlib.figure import Figure  # noqa: E402
from matplotlib.text import Text  # noqa: E402

from atommem_env import Create, Delete, Read, Update  # noqa: E402
from atommem_env.cli import application  # noqa: E402
from atommem_env.report.plots import TRAINING_PICTURES, frequencies, plot, plot_trainings, style  # noqa: E402
from atommem_env.report.plots.operations import profiles  # noqa: E402
from atommem_env.report.plots.training import band_of, draw_curves, draw_operations  # noqa: E402
from atommem_env.report.summary import summarise  # noqa: E402
from atommem_env.report.trainings import Training  # noqa: E402
from atommem_env.runs import Run, RunError, evaluate  # noqa: E402

SOURCE = "generated:world(size=500)#0123456789"


def record(
    decisions: int, label: str, seed: int, create: float | None, read: float | None, phase: str = "rl"
) -> dict[str, Any]:
    """Return a line of a training's progress; what is ``None`` was not measured."""
    often = {"create": create, "read": 0.5, "update": 1.5, "delete": 0.0, "answer": 0.4}
    reached = {"kept": 0.9, "read": read, "em": 0.25, "return": 0.25, "tasks": 9}
    return {
        "phase": phase,
        "decisions": decisions,
        "episodes": decisions // 200,
        "seconds": decisions / 1000,
        "label": label,
        "seed": seed,
        "train": None if create is None else {"reward": 0.1, "operations_per_step": often},
        "held_out": None if read is None else {"world": reached},
    }


def write(folder: Path, records: Sequence[Mapping[str, Any]], torn: str = "") -> Path:
    """Write a training's folder."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(
        json.dumps({"sources": {"world": {"fit": SOURCE, "held_out": "other"}}})
    )
    lines = [json.dumps(each) + "\n" for each in records]
    (folder / "progress.jsonl").write_text("".join(lines) + torn)
    return folder


def training(folder: Path, label: str = "full", seed: int = 0, shift: float = 0.0) -> Training:
    """Return a training of a warm start and two updates."""
    records = [
        record(0, label, seed, None, 0.2 + shift, "warm-start"),
        record(1000, label, seed, 4.0 + shift, 0.6 + shift, "warm-start"),
        record(2000, label, seed, 3.0 + shift, None),
        record(3000, label, seed, 2.0 + shift, 0.7 + shift),
    ]
    return Training.load(write(folder / f"{label}{seed}", records))


@pytest.fixture
def drawing() -> Iterator[None]:
    with style.look():
        yield


def words(figure: Figure) -> str:
    return " ".join(" ".join(text.get_text() for text in figure.findobj(Text)).split())


def line_of(axes: Any, colour: str) -> list[tuple[float, float]]:
    """Return the points of a panel's one line of a colour."""
    (line,) = [each for each in axes.get_lines() if each.get_color() == colour and len(each.get_xdata()) > 2]
    return [(float(x), float(y)) for x, y in line.get_xydata()]


# --- the folder -------------------------------------------------------------------------------------


def test_a_training_is_read_while_it_is_written(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", [record(0, "full", 3, 1.0, None), record(10, "full", 3, 2.0, 0.5)], '{"ph')
    found = Training.load(folder)
    assert (found.label, found.seed, len(found.records)) == ("full", 3, 2)
    assert found.curve(lambda each: each["held_out"] and each["held_out"]["world"]["read"]) == {10: 0.5}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("", "nothing to plot yet"),
        ('{"phase": "rl"}\n', "line 1 is not a record"),
        ("[1]\n", "line 1 is not"),
    ],
)
def test_a_broken_folder_is_named_with_the_mend(tmp_path: Path, lines: str, message: str) -> None:
    folder = write(tmp_path / "a", [], lines)
    with pytest.raises(RunError, match=message):
        Training.load(folder)
    with pytest.raises(RunError, match="is not a training's folder"):
        Training.load(tmp_path)


# --- curves of several seeds ------------------------------------------------------------------------


def test_seeds_are_one_line_in_a_band_over_what_all_of_them_reached() -> None:
    band = band_of([{0: 0.0, 100: 10.0}, {0: 2.0, 50: 4.0, 200: 9.0}])
    assert band.decisions.tolist() == [0, 50, 100]
    assert band.mean.tolist() == [1.0, 4.5, pytest.approx((10 + 4 + 5 / 3) / 2)]
    assert band.low.tolist() == [0.0, 4.0, pytest.approx(4 + 5 / 3)]
    assert band.high.tolist() == [2.0, 5.0, 10.0]
    with pytest.raises(RunError, match="no stretch of training in common"):
        band_of([{0: 0.0, 10: 1.0}, {20: 0.0, 30: 1.0}])


# --- pictures of trainings --------------------------------------------------------------------------


def test_learning_curves_have_a_row_for_each_data_and_a_line_for_each_label(
    drawing: None, tmp_path: Path
) -> None:
    trainings = [
        training(tmp_path),
        training(tmp_path, seed=1, shift=0.1),
        training(tmp_path, "no storage", shift=-0.2),
    ]
    figure = draw_curves(trainings)
    read, em = figure.axes
    assert line_of(read, "#aa3377") == [(0, 25), (1000, pytest.approx(65)), (3000, pytest.approx(75))]
    assert line_of(read, "#0072b2") == [(0, 0), (1000, pytest.approx(40)), (3000, pytest.approx(50))]
    assert [y for _, y in line_of(em, "#aa3377")] == [25, 25, 25]
    assert (read.get_ylabel(), em.get_ylabel()) == ("evidence read, percent", "exact match, percent")
    said = words(figure)
    for part in (
        "full",
        "no storage",
        "world (generated)",
        "9 held-out tasks",
        SOURCE,
        "Dashed",
        "Line and band",
    ):
        assert part in said


def test_operations_over_training_have_a_panel_for_each_label(drawing: None, tmp_path: Path) -> None:
    trainings = [training(tmp_path), training(tmp_path, "no storage", seed=7, shift=1.0)]
    figure = draw_operations(trainings)
    full, bare = figure.axes
    assert line_of(full, "#0072b2") == [(1000, 4), (2000, 3), (3000, 2)]
    assert line_of(bare, "#0072b2") == [(1000, 5), (2000, 4), (3000, 3)]
    said = words(figure)
    for part in ("create", "read", "update", "delete", "seed 0", "seed 7", SOURCE):
        assert part in said
    assert "Line and band" not in said
    assert "answer" not in [name.get_text() for name in full.texts]


def test_without_a_warm_start_there_is_no_border(drawing: None, tmp_path: Path) -> None:
    alone = [record(x, "rl", 0, 1.0, 0.1) for x in (0, 10, 20)]
    figure = draw_curves([Training.load(write(tmp_path / "a", alone))])
    assert "Dashed" not in words(figure)


def test_what_a_training_lacks_is_left_out_or_refused_when_asked_for(tmp_path: Path) -> None:
    bare = Training.load(write(tmp_path / "a", [record(0, "full", 0, None, 0.1)]))
    made = plot_trainings([bare], tmp_path / "out")
    assert [path.name for path in made.files] == ["learning-curves.png"]
    assert "operations_per_step" in made.left_out["training-operations"]
    with pytest.raises(RunError, match=r"training-operations: .*operations_per_step"):
        plot_trainings([bare], tmp_path / "out", ["training-operations"])
    blind = Training.load(write(tmp_path / "b", [record(0, "full", 0, 1.0, None)]))
    assert "held_out" in plot_trainings([blind], tmp_path / "out").left_out["learning-curves"]
    with pytest.raises(RunError, match="'full' with seed 0"):
        plot_trainings([bare, blind], tmp_path / "out", ["learning-curves"])


@pytest.mark.heavy
def test_the_command_knows_a_trainings_folder(tmp_path: Path) -> None:
    folders = [str(training(tmp_path, seed=seed).folder) for seed in (0, 1)]
    app = application()
    for out in ("one", "two"):
        done = CliRunner().invoke(app, ["plot", *folders, "--format", "svg", "--out", str(tmp_path / out)])
        assert done.exit_code == 0, done.output
        assert [Path(line).stem for line in done.stdout.splitlines()] == list(TRAINING_PICTURES)
    for kind in TRAINING_PICTURES:
        assert (tmp_path / "one" / f"{kind}.svg").read_bytes() == (
            tmp_path / "two" / f"{kind}.svg"
        ).read_bytes()
    for extra, message in (
        (["--policy", "rag"], "choose a part of a run"),
        (["--kind", "scores"], "expected one of training-operations, learning-curves"),
        ([str(tmp_path)], "not a training's folder"),
    ):
        refused = CliRunner().invoke(app, ["plot", *folders, *extra])
        assert refused.exit_code == 2
        assert message in " ".join(refused.stderr.split())


# --- operations with and without a limit ------------------------------------------------------------


class Hoarder:
    """Looks once at each chunk, then creates two entries, or replaces the first where two are held already."""

    def reset(self, observation: Mapping[str, Any], info: Mapping[str, Any]) -> None:
        pass

    def act(self, observation: Mapping[str, Any], info: Mapping[str, Any]) -> list[Any]:
        if observation["phase"] == 1:
            return [Delete(1)]
        if observation["looks_left"] == 3:
            return [Read("a")]
        if observation["capacity"] and observation["memory_size"] >= 2:
            return [Update(1, "again")]
        return [Create("x"), Create("y")]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("runs") / "run"
    envs = ["AtomMem-World-v0[capacity=2]", "AtomMem-World-v0"]
    evaluate(
        envs,
        [f"{__name__}:Hoarder", "rag"],
        2,
        out=folder,
        world_size=40,
        num_docs=16,
        num_questions=1,
        chunk_tokens=300,
        chunk_overlap=0,
        max_looks=3,
    )
    return Run.load(folder)


def test_a_profile_says_how_often_an_operation_is_made_per_step_while_reading(run: Run) -> None:
    found = {env: profile for (_, env, policy), profile in profiles([run]).items() if "Hoarder" in policy}
    for profile in found.values():
        assert profile.per_step("read") == [0.5, 0.5]  # every other step is a look
        assert profile.per_step("delete") == [0, 0]  # what is done while answering does not count
    limited, free = found["AtomMem-World-v0[capacity=2]"], found["AtomMem-World-v0"]
    assert free.per_step("create") == [1, 1]
    for profile, create, update in zip(
        limited.chunks, limited.per_step("create"), limited.per_step("update"), strict=True
    ):
        assert create == pytest.approx(1 / len(profile))
        assert update == pytest.approx((len(profile) - 1) / (2 * len(profile)))


def test_frequencies_have_a_panel_for_each_policy_and_a_bar_for_each_capacity(
    drawing: None, run: Run
) -> None:
    figure = frequencies.draw(summarise([run]), [run])
    assert len(figure.axes) == 2
    said = words(figure)
    for part in ("Hoarder", "rag", "none", "create", "delete", "generated:world("):
        assert part in said
    assert "capacity=2" not in said
    kinds = [tick.get_text() for tick in figure.axes[0].get_xticklabels()]
    assert kinds == ["create", "read", "update", "delete"]
    assert len(figure.axes[0].patches) == 8


def test_frequencies_need_two_capacities(run: Run, tmp_path: Path) -> None:
    one = run.only(["AtomMem-World-v0"])
    with pytest.raises(RunError, match=r"with and without a limit.*capacity=20"):
        plot([one], tmp_path, ["operation-frequencies"])
