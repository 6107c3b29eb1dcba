"""Every Python block and every command of the README and the site: it runs, or at least compiles or is understood.

A page's Python blocks run in order, in one namespace and an empty folder, and so do its ``atommem`` commands, with
fewer episodes and documents and on generated data. What needs a network, a GPU, a benchmark's files or a library that
the tests do not have stands below a comment that says so, ``<!-- not run: ... -->``, and is compiled, or parsed. A
page that speaks of a run that it has not made finds a small one.
"""

from __future__ import annotations

import configparser
import doctest
import json
import re
import shlex
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
from typer.main import get_command

import atommem_env
from atommem_env.cli import application
from atommem_env.registration import CONTROLS, ENVS, POLICIES
from atommem_env.report.paper import RECIPES

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = [
    page
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md")))
    if page.is_file()
]
SHELL = ("bash", "sh")

pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="the site is not next to the tests")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes:
        place: the page and the line at which the block's text begins.
        line: that line's number.
        mark: the comment right above the block, or nothing.
    """

    place: str
    line: int
    language: str
    mark: str
    text: str


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    pattern = r"^(?:<!-- (.*?) -->\n)?([ ]*)```(\w*)\n(.*?)^\2```$"
    found = []
    for match in re.finditer(pattern, text, re.DOTALL | re.MULTILINE):
        line = text.count("\n", 0, match.start(4)) + 1
        place = f"{page.relative_to(ROOT)}:{line}"
        body = re.sub(rf"^{match[2]}", "", match[4], flags=re.MULTILINE)
        found.append(Block(place, line, match[3], match[1] or "", body))
    return found


def python_of(page: Path) -> list[Block]:
    return [block for block in blocks(page) if block.language == "python"]


def calls(text: str) -> Iterator[list[str]]:
    """Yield the commands of a shell text as words, without assignments before them."""
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|")
        lexer.whitespace_split = True
        words: list[str] = []
        for word in [*lexer, ";"]:
            if word.strip(";&|"):
                words.append(word)
                continue
            while words and re.match(r"\w+=", words[0]):
                del words[0]
            if words:
                yield words
            words = []


def shell_calls() -> list[tuple[str, list[str]]]:
    return [
        (block.place, call)
        for page in PAGES
        for block in blocks(page)
        if block.language in (*SHELL, "")
        for call in calls(block.text)
    ]


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


WITH_PYTHON = [page for page in PAGES if python_of(page)]


def compiled(block: Block) -> Any:
    return compile("\n" * (block.line - 1) + block.text, block.place, "exec")


def test_every_python_block_compiles_and_says_why_it_does_not_run() -> None:
    """A mark is one of two: what does not run, and the README's commands, which CI takes from there."""
    for page in PAGES:
        for block in blocks(page):
            if block.language == "python":
                compiled(block)
            assert not block.mark or re.match(r"not run: \S|command: (run|test)$", block.mark), block.place


@pytest.mark.heavy
@pytest.mark.parametrize("page", WITH_PYTHON, ids=name)
def test_the_python_of_a_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    if "runs/mine" in page.read_text(encoding="utf-8"):
        env = gym.make("AtomMem-World-v0", num_docs=20, num_questions=2)
        atommem_env.evaluate(env, ["rag", "memagent"], episodes=2, out="runs/mine")
    space: dict[str, Any] = {"__name__": "__main__"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", atommem_env.GeneratedDataWarning)
        for block in python_of(page):
            if not block.mark:
                exec(compiled(block), space)
    assert page.name != "README.md" or space["reward"] > 0


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
    if any(not block.mark and "atommem " in block.text for block in blocks(page) if block.language in SHELL)
]
GIVEN = {  # what pages speak of, and do not show
    "dev.jsonl": [
        {
            "id": "dev_0",
            "question": "Where is the mill?",
            "golden_answers": ["Aune"],
            "metadata": {
                "context": {"title": ["Mill"], "sentences": [["The mill stands in Aune."]]},
                "supporting_facts": {"title": ["Mill"], "sent_id": [0]},
            },
        }
    ],
}


def small(words: list[str], folder: Path) -> list[str]:
    """Return the words of a command with one episode, few documents, and data that is there."""
    made = [
        re.sub(r"num_docs=(\d+)", lambda n: f"num_docs={min(int(n[1]), max(24, int(n[1]) // 20))}", word)
        for word in words
    ]
    made = [word for word in made if word != "--open"]
    if made[0] != "run":
        return made
    for option, value in (("--episodes", "1"), ("--jobs", "1")):
        if option in made:
            made[made.index(option) + 1] = value
    if "--source" in made:
        place = made.index("--source") + 1
        if ":" not in made[place] and not (folder / made[place]).exists():
            made[place] = "generated"
    made += [] if "--episodes" in made else ["--episodes", "1"]
    return made + ([] if "--out" in made else ["--out", f"runs/command-{len(list(folder.glob('runs/*')))}"])


def prepare(page: Path, folder: Path) -> None:
    """Write the files that the commands of a page take."""
    for file, rows in GIVEN.items():
        (folder / file).write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    shown = {block.language: block.text for block in reversed(blocks(page))}  # the first of each language
    (folder / "chats.json").write_text(shown.get("json", ""), encoding="utf-8")
    config = re.sub(r"source: .*", "source: generated", shown.get("yaml", "")).replace(
        "num_docs: 200", "num_docs: 24"
    )
    (folder / "run.yaml").write_text(config.replace("out: runs/mine\n", ""), encoding="utf-8")
    (folder / "my_memory.py").write_text(shown.get("python", ""), encoding="utf-8")
    if page.name == "your_data.md":
        space: dict[str, Any] = {}
        for block in python_of(page)[:1]:
            exec(compiled(block), space)
        records = json.dumps(space["records"])
        (folder / "bridges.json").write_text(records, encoding="utf-8")
        code = (
            f"from atommem_env import QADataset\nDATASET = QADataset.from_records({records}, name='mine')\n"
        )
        (folder / "my_module.py").write_text(code, encoding="utf-8")


@pytest.fixture(scope="session")
def a_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "run"
    env = gym.make("AtomMem-World-v0", num_docs=20, num_questions=2)
    atommem_env.evaluate(env, ["rag", "memagent", "oracle"], episodes=2, out=folder)
    return folder


@pytest.mark.heavy
@pytest.mark.parametrize("page", WITH_COMMANDS, ids=name)
def test_the_commands_of_a_page_run(
    page: Path, a_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    prepare(page, tmp_path)
    for block in blocks(page):
        if block.mark.startswith("not run") or block.language not in SHELL:
            continue
        for program, *arguments in calls(block.text):
            if program != "atommem":
                continue
            words = small(arguments, tmp_path)
            made = words[words.index("--out") + 1] if words[0] == "run" else ""
            for name_of_run in re.findall(r"runs/[\w-]+", " ".join(words)):
                if name_of_run != made and not (tmp_path / name_of_run).exists():
                    shutil.copytree(a_run, tmp_path / name_of_run)
            done = subprocess.run(
                [sys.executable, "-m", "atommem_env", *words],
                capture_output=True,
                text=True,
                encoding="utf-8",
            )
            assert done.returncode == 0, f"{block.place}: atommem {shlex.join(words)}\n{done.stderr[-2000:]}"


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
