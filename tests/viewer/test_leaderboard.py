"""The leaderboard: what cannot be compared stands apart, and each number is that of the table."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from atommem_env.cli import application
from atommem_env.report.tables import table
from atommem_env.runs import Run, RunError, evaluate
from atommem_env.runs.keys import episode_key
from atommem_env.viewer.leaderboard import first_task_page, leaderboard_page
from small_data import chats, hotpot_rows, records

NASTY = "</script><script>document.title = 'broken'</script><img src=x onerror=alert(1)>"
SMALL = {"num_docs": 8, "num_questions": 1, "chunk_tokens": 150, "chunk_overlap": 10}


def data_of(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found[1])


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """Runs of a file by capacity, of the same benchmark generated, and of conversations asked about afterwards."""
    base = tmp_path_factory.mktemp("board")
    file, told = base / "hotpot_dev_distractor_small.json", base / "chats.json"
    file.write_text(json.dumps(hotpot_rows(records(24))))
    told.write_text(json.dumps(chats()))
    hotpot = "AtomMem-HotpotQA-v0"
    policies = {"rag": "rag", NASTY: "memagent", "oracle": "oracle"}
    made = [
        ("real", [f"{hotpot}[capacity={size}]" for size in ("null", 20, 3)], {"source": str(file), **SMALL}),
        ("chats", ["AtomMem-Custom-v0"], {"source": str(told)}),
    ]
    real, asked = (
        evaluate(envs, policies, 2, out=base / name, progress=False, traces=False, **arguments)
        for name, envs, arguments in made
    )
    return [real, _generated(real, hotpot, "AtomMem-World-v0"), asked]


def _generated(run: Run, *ids: str) -> Run:
    """A run as if it were of these environments, on generated data."""
    envs = [{**env, "id": id, "name": id} for env, id in zip(run.settings["envs"][:1] * 2, ids, strict=True)]
    first = run.settings["envs"][0]["name"]
    episodes: Any = [
        {**episode, "env": id, "source": "generated:world", "engine": "world"}
        for id in ids
        for episode in run.episodes
        if episode["env"] == first
    ]
    return replace(run, settings={**run.settings, "envs": envs}, episodes=episodes, folder=None)


def test_real_and_generated_data_and_unknown_questions_stand_apart_with_their_engines(
    runs: list[Run],
) -> None:
    blocks = data_of(leaderboard_page(runs))["blocks"]
    assert [(block["generated"], block["engine"]) for block in blocks] == [
        (False, "rules"),
        (False, "rules"),
        (True, "world"),
    ]
    sections = [block["section"] for block in blocks]
    assert sections[0] == "Real data: questions known while reading"
    assert sections[1].endswith("nobody has asked yet while reading")
    assert all(
        column["source"].startswith("generated") == block["generated"]
        for block in blocks
        for column in block["columns"]
    )
    assert [column["capacity"] for column in blocks[0]["columns"]] == [3, 20, None]
    assert {column["settings"] for column in blocks[0]["columns"]} == {""}
    assert blocks[2]["columns"][0]["stand_in"]
    assert not blocks[2]["columns"][1]["stand_in"]


def test_each_number_is_that_of_the_table_and_controls_are_told_from_methods(runs: list[Run]) -> None:
    rows = json.loads(table(runs, "json"))["rows"]
    cells = [cell for block in data_of(leaderboard_page(runs))["blocks"] for cell in block["cells"]]
    assert len(cells) == len(rows) == 18
    known = {(row["env"].removesuffix(" (generated)"), row["policy"]): row for row in rows}
    for cell in cells:
        row = known[cell["filter"]["env"], cell["policy"]]
        assert cell["scores"]["em"][0] == row["scores"]["em"]["mean"]
        assert cell["funnel"] == row["funnel"]
        assert cell["episodes"] == row["episodes"]
        assert cell["control"] is (cell["policy"] == "oracle")


def test_a_judge_is_named_and_who_is_not_judged_by_it_stands_elsewhere(runs: list[Run]) -> None:
    run = runs[2]
    assert run.folder is not None
    (run.folder / "judge.json").write_text('{"model": "a-judge"}')
    keys = [episode_key(episode) for episode in run.episodes if episode["policy"] == "rag"]
    judged = replace(run, judgements={key: [1.0] * len(chats()[0]["questions"]) for key in keys})
    blocks = data_of(leaderboard_page([judged]))["blocks"]
    assert [block["judge"] and block["judge"].partition(":")[0] for block in blocks] == ["a-judge", None]
    assert [{cell["policy"] for cell in block["cells"]} for block in blocks] == [{"rag"}, {NASTY, "oracle"}]


def test_the_page_needs_nothing_else_and_no_text_is_more_than_text(runs: list[Run]) -> None:
    page = leaderboard_page(runs, title=NASTY)
    assert page.count("<script") == page.count("</script>") == 2
    assert "default-src 'none'" in page
    assert "http" not in page.replace("http-equiv", "")
    assert page == leaderboard_page(runs, title=NASTY)


def test_a_number_leads_to_its_runs_page_where_there_is_one(runs: list[Run]) -> None:
    folders = [run.folder for run in runs if run.folder is not None]
    (folders[0] / "view.html").write_text("a page")
    out = folders[0].parent / "site" / "board.html"
    words = ["leaderboard", *map(str, folders), "--out", str(out), "--policy", "rag"]
    assert CliRunner().invoke(application("leaderboard"), words).exit_code == 0
    data = data_of(out.read_text(encoding="utf-8"))
    assert [run["view"] for run in data["runs"]] == ["../real/view.html", None]
    assert {cell["policy"] for block in data["blocks"] for cell in block["cells"]} == {"rag"}
    assert not list(out.parent.glob("board-*"))
    with pytest.raises(RunError, match="no finished episode"):
        leaderboard_page([replace(runs[0], episodes=[])])


def test_the_first_task_on_generated_data_may_stand_beside_the_page_and_no_other(
    runs: list[Run], tmp_path: Path
) -> None:
    real, small = runs[2], {**SMALL, "world_size": 12}
    made = evaluate("AtomMem-World-v0", ["rag"], 2, out=tmp_path / "made", progress=False, **small)
    out = tmp_path / "site" / "board.html"
    words = ["leaderboard", str(real.folder), str(made.folder), "--first-tasks", "--out", str(out)]
    assert CliRunner().invoke(application("leaderboard"), words).exit_code == 0
    assert [run["first_task"] for run in data_of(out.read_text(encoding="utf-8"))["runs"]] == [
        None,
        ["board-2.html", 0],
    ]
    assert sorted(path.name for path in out.parent.iterdir()) == ["board-2.html", "board.html"]
    shown = data_of((out.parent / "board-2.html").read_text(encoding="utf-8"))
    assert len(shown["tasks"]) == len(shown["episodes"]) == 1
    assert first_task_page(real) is None


# --- in a browser -------------------------------------------------------------------------------------


@pytest.fixture(params=[(400, "light"), (1400, "dark")], ids=lambda each: f"{each[0]}-{each[1]}")
def board(browser: Any, runs: list[Run], tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Any]:
    width, scheme = request.param
    file = tmp_path / "board.html"
    page = leaderboard_page(runs, views={0: "../real/view.html"}, first_tasks={1: ("board-2.html", 0)})
    file.write_text(page, encoding="utf-8")
    opened = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    opened.goto(file.as_uri())
    yield opened
    opened.close()
    assert problems == []


@pytest.mark.heavy
def test_what_is_behind_a_number_is_reached_by_pointer_and_by_keyboard(board: Any) -> None:
    assert board.title() == "Leaderboard: atommem"
    assert board.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert board.locator("section.generated h2").first.inner_text().startswith("Generated data")
    assert board.locator(".card").count() == 0
    cells = board.locator(".cell")
    cells.first.focus()
    assert "written" in board.locator(".card").inner_text()
    assert "kept" in (cells.first.get_attribute("aria-label") or "")
    board.keyboard.press("Enter")
    assert board.evaluate("document.activeElement.href").endswith(
        "view.html#/?" + "env=AtomMem-HotpotQA-v0%5Bcapacity%3D3%5D&policy=rag"
    )
    board.keyboard.press("Escape")
    board.locator("section.generated .cell").first.focus()
    assert (board.locator(".card a").get_attribute("href") or "").startswith("board-2.html#/episode/AtomMem-")
    cells.first.focus()
    board.keyboard.press("Escape")
    assert board.locator(".card").count() == 0
    assert board.evaluate("document.activeElement.className").startswith("cell")
    board.keyboard.press("ArrowDown")
    assert NASTY in board.locator(".card h3").inner_text()
    box = board.locator(".card").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= board.viewport_size["width"]


@pytest.mark.heavy
def test_filters_hold_in_the_address(board: Any) -> None:
    board.select_option("#policy", "rag")
    board.select_option("#capacity", "20 entries")
    assert board.locator(".cell").count() == 1
    board.select_option("#score", "kept")
    assert "kept" in board.locator("thead").first.inner_text()
    board.reload()
    assert board.locator(".cell").count() == 1
    board.select_option("#engine", "world")
    assert board.locator(".cell").count() == 0
    assert "No result fits" in board.inner_text("#main")
