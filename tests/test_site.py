"""Every Python block and every command of the README and the site: it runs, or at least compiles or is understood.

A page's Python blocks run in order, in one namespace and an empty folder, and so do its ``atommem`` commands, with
fewer episodes and documents and on generated data. What stands in for a server or a file, and what is not run and why,
says a comment above the block (``site_pages``). A page that speaks of a run that it has not made finds a small one.
"""

from __future__ import annotations

import configparser
import doctest
import json
import re
import runpy
import shutil
import sys
import warnings
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
import yaml
from typer.main import get_command

import atommem_env
from atommem_env.cli import application
from atommem_env.llm import ChatSettings
from atommem_env.registration import CONTROLS, ENVS, POLICIES
from atommem_env.report.paper import RECIPES, make_recipe
from atommem_env.viewer.leaderboard import leaderboard_page
from fake_server import FakeServer
from site_pages import (
    DOCS,
    GENERATED,
    MODEL_RUN,
    PAGES,
    ROOT,
    SERVER,
    SHELL,
    SMALL,
    atommem,
    blocks,
    calls,
    compiled,
    forget_modules,
    name,
    prepare,
    programs,
    python_of,
    shell_calls,
    small,
    understands,
)

pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="the site is not next to the tests")
HERE = ("", SERVER, MODEL_RUN, GENERATED)
"""What a block may run with in this environment."""

WITH_PYTHON = [page for page in PAGES if any(block.runs_with in HERE for block in python_of(page))]


def test_every_python_block_compiles_and_says_why_it_does_not_run() -> None:
    """A mark says what a block runs with or why it does not, or is one of the README's commands, which CI takes."""
    for page in PAGES:
        for block in blocks(page):
            if block.language == "python":
                compiled(block)
            assert not block.mark or re.match(r"(not run|run with): \S|command: (run|test)$", block.mark), (
                block.place
            )


@pytest.mark.heavy
@pytest.mark.parametrize("page", WITH_PYTHON, ids=name)
def test_the_python_of_a_page_runs(
    page: Path, chat_server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("OPENAI_BASE_URL", chat_server.begin().address)
    Path("my_module.py").write_text("class MyEncoder:\n    def encode(self, texts, kind): ...\n")
    if "runs/mine" in page.read_text(encoding="utf-8"):
        env = gym.make("AtomMem-World-v0", num_docs=20, num_questions=2)
        atommem_env.evaluate(env, ["rag", "memagent"], episodes=2, out="runs/mine")
    space: dict[str, Any] = {"__name__": "__main__"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", atommem_env.GeneratedDataWarning)
        for block in python_of(page):
            text = block.text
            if block.runs_with == SERVER:
                text = text.replace("http://localhost:8000/v1", chat_server.address)
                text = text.replace("episodes=20", f"episodes=1, {', '.join(SMALL)}")
            elif block.runs_with == GENERATED:
                text = re.sub(r'source="[^"]*"', 'source="generated"', text)
            if block.runs_with in HERE:
                exec(compiled(block, text), space)
    assert page.name != "README.md" or space["reward"] > 0
    forget_modules(tmp_path)


@pytest.mark.parametrize(
    "page", [p for p in PAGES if any(b.language == "pycon" for b in blocks(p))], ids=name
)
def test_what_a_page_shows_of_a_session_is_what_happens(page: Path) -> None:
    found = doctest.testfile(str(page), module_relative=False)
    assert found.attempted
    assert not found.failed


def test_a_tutorial_is_committed_with_what_it_shows_and_without_a_machine_s_paths() -> None:
    notebooks = sorted(DOCS.rglob("*.ipynb"))
    assert len(notebooks) >= 5
    for notebook in notebooks:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        code = [cell for cell in cells if cell["cell_type"] == "code"]
        assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1)), notebook
        shown = [output for cell in code for output in cell["outputs"]]
        assert all(output["output_type"] in ("execute_result", "stream") for output in shown), notebook
        assert all(output.get("name") != "stderr" for output in shown), notebook
        assert any("<table" in "".join(output.get("data", {}).get("text/html", "")) for output in shown), (
            notebook
        )
        assert not re.search(r"/(?:home|tmp|work|usr|Users)/", json.dumps(shown)), notebook


@pytest.mark.heavy
def test_the_command_line_understands_every_command() -> None:
    known = get_command(application()).commands  # type: ignore[attr-defined]
    seen = 0
    for place, (program, *arguments) in shell_calls():
        if program != "atommem":
            continue
        seen += 1
        assert arguments[0] in known, f"{place}: no command {arguments[0]}"
        try:
            given = known[arguments[0]].make_context(arguments[0], arguments[1:]).params
        except Exception as error:  # of click, or of the copy of it that typer brings
            pytest.fail(f"{place}: {error!r}")
        for policy in given.get("policy") or ():
            assert ":" in policy or policy.partition("[")[0] in POLICIES, f"{place}: {policy}"
        envs = given.get("env") or ()
        for env in [envs] if isinstance(envs, str) else envs:
            assert env.partition("[")[0] in ENVS, f"{place}: {env}"
        assert given.get("recipe") in (None, *RECIPES), place
    assert seen > 20


# --- the commands of a page, made small -------------------------------------------------------------

WITH_COMMANDS = [
    page
    for page in PAGES
    if any(
        block.runs_with in HERE and "atommem " in block.text
        for block in blocks(page)
        if block.language in SHELL
    )
]


@pytest.fixture(scope="session")
def a_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "run"
    env = gym.make("AtomMem-World-v0", num_docs=20, num_questions=2)
    atommem_env.evaluate(env, ["rag", "memagent", "oracle"], episodes=2, out=folder)
    return folder


@pytest.fixture(scope="session")
def a_run_of_a_model(chat_server: FakeServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "run"
    env = gym.make("AtomMem-World-v0", num_docs=8, num_questions=1)
    settings = ChatSettings("my-model", chat_server.begin().address)
    atommem_env.evaluate(env, ["rag", "memagent"], episodes=1, engine=settings, out=folder)
    return folder


@pytest.mark.heavy
@pytest.mark.parametrize("page", WITH_COMMANDS, ids=name)
def test_the_commands_of_a_page_run(
    page: Path,
    a_run: Path,
    a_run_of_a_model: Path,
    chat_server: FakeServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    address = chat_server.begin(lambda prompt: "yes").address
    for block in blocks(page):
        if block.runs_with not in HERE or block.language not in SHELL:
            continue
        model = block.runs_with == MODEL_RUN
        folder, run = (tmp_path / "model", a_run_of_a_model) if model else (tmp_path, a_run)
        prepare(page, folder)
        monkeypatch.chdir(folder)
        for program, *arguments in calls(block.text):
            if program != "atommem" and "examples/updates_table.py" not in arguments:
                continue
            words = small(arguments, folder, address)
            made = words[words.index("--out") + 1] if words[0] == "run" and "--out" in words else ""
            for name_of_run in re.findall(r"runs/[\w-]+", " ".join(words)):
                if name_of_run != made and not (folder / name_of_run).exists():
                    shutil.copytree(run, folder / name_of_run)
            if program == "atommem":
                atommem(words, block)
            else:
                monkeypatch.setattr(sys, "argv", words)
                runpy.run_path(str(ROOT / words[0]), run_name="__main__")
    forget_modules(tmp_path)


OF_A_LIBRARY = ("examples/trainers/", "examples/language_model/", "examples/learned_memory/train.py")
"""Programs that the tests of adapters start."""


@pytest.mark.heavy
def test_a_program_understands_the_arguments_that_a_page_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tried = set()
    for _, path, arguments in programs():
        program = path.relative_to(ROOT).as_posix()
        assert path.exists(), program
        if (
            arguments
            and not program.startswith(OF_A_LIBRARY)
            and "argparse" in path.read_text(encoding="utf-8")
        ):
            tried.add(path.stem)
            understands(path, arguments, monkeypatch)
    assert {"compare", "compare_unseen", "funnel_quality", "retrieval_quality"} <= tried


# --- the site's leaderboard ---------------------------------------------------------------------------


def board() -> dict[str, Any]:
    """Return the data of the site's leaderboard."""
    return board_data((DOCS / "leaderboard.html").read_text(encoding="utf-8"))


def board_data(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found[1])


def test_the_leaderboard_has_what_its_files_ask_for() -> None:
    shown = board()
    assert shown["version"] == atommem_env.__version__
    asked = {}
    for number, run in enumerate(shown["runs"]):
        config = yaml.safe_load((DOCS / "leaderboard" / f"{run['name']}.yaml").read_text(encoding="utf-8"))
        policies = config.get("policy")
        envs = dict.fromkeys(config.get("env", ()), policies)
        if "recipe" in config:
            envs = {env.name: env.policies for env in make_recipe(config["recipe"]).envs}
        asked |= {
            (number, env, policy): config["episodes"] for env, named in envs.items() for policy in named
        }
        assert run["episodes"] == run["total"]
        assert run["first_task"] is None or (DOCS / run["first_task"][0]).is_file()
    cells = [cell for block in shown["blocks"] for cell in block["cells"]]
    found = {(cell["run"], cell["filter"]["env"], cell["policy"]): cell["episodes"] for cell in cells}
    assert found.keys() == asked.keys()
    assert all(found[each] <= asked[each] for each in found)
    assert sum(page.stat().st_size for page in DOCS.glob("leaderboard*.html")) < 3_000_000


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("name_of_run", "env", "policy", "data"),
    [
        ("chats", "AtomMem-Chat-v0", "mem0", None),
        ("chats", "AtomMem-LoCoMo-v0", "rag", "locomo10.sample.json.gz"),
        ("facts", "AtomMem-World-v0", "learned", None),
    ],
)
def test_a_part_of_the_leaderboard_made_again_is_what_it_says(
    name_of_run: str, env: str, policy: str, data: str | None, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    config = yaml.safe_load((DOCS / "leaderboard" / f"{name_of_run}.yaml").read_text(encoding="utf-8"))
    source = {} if data is None else {"source": str(request.getfixturevalue("samples") / data)}
    variant = next(
        each
        for each in make_recipe(config["recipe"], arguments=source).envs
        if each.id == env and each.arguments["capacity"] == 20
    )
    run = atommem_env.evaluate(
        env, [policy], config["episodes"], out=tmp_path / "run", traces=False, **source, **variant.arguments
    )
    (made,) = [cell for block in board_data(leaderboard_page([run]))["blocks"] for cell in block["cells"]]
    (shown,) = [
        cell
        for block in board()["blocks"]
        for cell in block["cells"]
        if cell["filter"] == {"env": variant.name, "policy": policy}
    ]
    numbers = ("scores", "funnel", "stale", "answerable", "episodes", "questions", "steps", "refused")
    assert {key: made[key] for key in numbers} == {key: shown[key] for key in numbers}


def test_the_page_of_workflows_lists_every_policy_and_other_pages_count_them_right() -> None:
    tables = (DOCS / "workflows.md").read_text(encoding="utf-8")
    controls, workflows = (
        re.findall(r"^\| `([\w-]+)` \|", part.split("\n## ")[0], re.MULTILINE)
        for part in re.split(r"^## (?:Controls|The workflows)$", tables, flags=re.MULTILINE)[1:]
    )
    assert sorted([*controls, *workflows]) == sorted(POLICIES)
    too = re.findall(r"`([\w-]+)`", re.findall(r"^(.*) choose nothing", tables, re.MULTILINE)[0])
    assert sorted([*controls, *too]) == sorted(CONTROLS)
    words = {15: "fifteen", 16: "sixteen", 17: "seventeen"}
    for page in PAGES:
        for number in re.findall(r"(\w+) (?:others|workflows)\b", page.read_text(encoding="utf-8")):
            assert number not in set(words.values()) - {words.get(len(workflows))}, page


def test_every_program_and_every_extra_that_a_page_names_is_there() -> None:
    setup = configparser.ConfigParser(interpolation=None)
    setup.read(ROOT / "setup.cfg")
    extras = set(setup["options.extras_require"])
    for place, (_, *arguments) in shell_calls():
        for argument in arguments:
            if argument.startswith(("examples/", "tests/", ".ci/")) and "*" not in argument:
                assert (ROOT / argument).exists(), f"{place}: {argument}"
            for named in re.findall(r"^(?:\.|atommem_env)\[([\w,]+)\]$", argument):
                assert set(named.split(",")) <= extras, f"{place}: {argument}"
