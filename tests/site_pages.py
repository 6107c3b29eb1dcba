"""The README and the site as tests read them: their blocks, and their commands, made small enough to run.

A comment right above a block says how it is tested. Without one it runs as it stands. ``<!-- run with: X -->`` names
what the tests put in the place of what the page speaks of: ``a server``, a scripted one; ``a model's run``, one of such
a server; ``generated data``; or the library without which the block cannot run, and the tests of adapters run it.
``<!-- not run: WHY -->``: it is compiled, or parsed.
"""

from __future__ import annotations

import argparse
import json
import re
import runpy
import shlex
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import atommem_env
from atommem_env.cli import application
from atommem_env.core.operations import KINDS
from atommem_env.report.paper import make_recipe
from atommem_env.report.recipe import Recipe

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = [
    page
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md")))
    if page.is_file()
]
SHELL = ("bash", "sh")
SERVER, MODEL_RUN, GENERATED = "a server", "a model's run", "generated data"


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

    @property
    def runs_with(self) -> str | None:
        """What stands in for what the page speaks of, ``""`` for nothing; ``None``: the block is not run."""
        if self.mark.startswith("not run"):
            return None
        return self.mark.removeprefix("run with: ") if self.mark.startswith("run with") else ""


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


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def compiled(block: Block, text: str | None = None) -> Any:
    return compile("\n" * (block.line - 1) + (text or block.text), block.place, "exec")


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


def programs() -> list[tuple[str, Path, list[str]]]:
    """Return where a page calls a program of the examples, the program, and its arguments."""
    found = []
    for page in PAGES:
        for block in blocks(page):
            folder = ROOT
            for program, *arguments in calls(block.text) if block.language in SHELL else ():
                if program == "cd":
                    folder = ROOT / arguments[0]
                elif program == "python" and arguments[0].endswith(".py"):
                    found.append((block.place, folder / arguments[0], arguments[1:]))
    return found


# --- commands, made small ---------------------------------------------------------------------------

SMALL = ("num_docs=8", "num_questions=1")


def small(words: list[str], folder: Path, address: str = "") -> list[str]:
    """Return the words of a command with one episode, few documents, and data and a server that are there."""
    made = [
        re.sub(r"num_docs=(\d+)", lambda n: f"num_docs={min(int(n[1]), max(24, int(n[1]) // 20))}", word)
        for word in words
    ]
    made = [word for word in made if word != "--open"]
    if "--base-url" in made:
        made[made.index("--base-url") + 1] = address
    if made[0] != "run":
        return made
    least = {"--episodes": "1", "--jobs": "1", "--max-tokens": "8"}
    for option, value in least.items():
        if option in made:
            made[made.index(option) + 1] = value
    if "--source" in made:
        place = made.index("--source") + 1
        if ":" not in made[place] and not (folder / made[place]).exists():
            made[place] = "generated"
    if "local" in made:  # a model's reading takes its time: one policy
        made = [re.sub("num_docs=4", "num_docs=2", word) for word in made]
        for place in reversed([place for place, word in enumerate(made) if word == "--policy"][1:]):
            del made[place : place + 2]
    if "--engine" in made and not any(word.startswith("num_docs") for word in made):
        made += [word for argument in SMALL for word in ("--arg", argument)]
    made += [] if "--episodes" in made else ["--episodes", "1"]
    file = folder / made[made.index("--config") + 1] if "--config" in made else folder
    if file.suffix == ".yaml" and "\nout:" in file.read_text(encoding="utf-8"):
        return made
    return made + ([] if "--out" in made else ["--out", f"runs/command-{len(list(folder.glob('runs/*')))}"])


def atommem(words: list[str], block: Block) -> None:
    """Run a command of a block in this process; it has to succeed.

    A recipe has all its environments, but of its policies only one, and those that the block names.
    """
    kept = {"rag", *re.findall(r"--policy (\S+)", block.text)}

    def small_recipe(*given: Any) -> Recipe:
        made = make_recipe(*given)
        envs = [replace(env, policies=tuple(p for p in env.policies or () if p in kept)) for env in made.envs]
        return replace(made, envs=tuple(envs), policies=tuple(p for p in made.policies if p in kept))

    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore", atommem_env.GeneratedDataWarning)
        patch.setattr("atommem_env.cli.run.make_recipe", small_recipe)
        done = CliRunner().invoke(application(), words)
    said = f"{done.output[-2000:]}\n{done.exception!r}"
    assert done.exit_code == 0, f"{block.place}: atommem {shlex.join(words)}\n{said}"


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
    "prices.json": [{"my-model": {"in": 0.15, "out": 0.6, "cached": 0.075}}],
}


PROGRESS = {  # a line of a training's progress
    "phase": "rl",
    "episodes": 1,
    "seconds": 1.0,
    "seed": 0,
    "train": {"reward": 0.1, "operations_per_step": dict.fromkeys(KINDS, 0.5)},
    "held_out": {"world": {"kept": 0.9, "read": 0.5, "em": 0.25, "return": 0.25, "tasks": 9}},
}


def prepare(page: Path, folder: Path) -> None:
    """Write the files that the commands of a page take, once."""
    if (folder / "chats.json").exists():
        return
    folder.mkdir(exist_ok=True)
    for training in ("full-0", "full-1", "no-storage-0"):
        (folder / "trainings" / training).mkdir(parents=True)
        (folder / "trainings" / training / "config.json").write_text(
            '{"sources": {"world": {"fit": "generated:world"}}}'
        )
        lines = [json.dumps({**PROGRESS, "decisions": number, "label": training[:-2]}) for number in (0, 200)]
        (folder / "trainings" / training / "progress.jsonl").write_text("\n".join([*lines, ""]))
    for file, rows in GIVEN.items():
        (folder / file).write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    shown = {block.language: block.text for block in reversed(blocks(page))}  # the first of each language
    (folder / "chats.json").write_text(shown.get("json", ""), encoding="utf-8")
    config = re.sub(r"source: .*", "source: generated", shown.get("yaml", "")).replace("out: runs/mine\n", "")
    (folder / "run.yaml").write_text(config.replace("num_docs: 200", "num_docs: 24"), encoding="utf-8")
    for file in (DOCS / "leaderboard").glob("*.yaml"):
        config = re.sub(
            r"policy:\s*\[.*?\]", "policy: [rag]", file.read_text(encoding="utf-8"), flags=re.DOTALL
        )
        (folder / file.name).write_text(config.replace("num_docs: 200", "num_docs: 24"), encoding="utf-8")
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


def forget_modules(folder: Path) -> None:
    """Let the modules of a folder be imported anew: another page has others of the same names."""
    for module, loaded in list(sys.modules.items()):
        if str(getattr(loaded, "__file__", None) or "").startswith(str(folder)):
            del sys.modules[module]


# --- programs ---------------------------------------------------------------------------------------


class _UnderstoodError(Exception):
    """A program has read its arguments."""


def understands(path: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Start a program of the examples, which has to take its arguments, and goes no further.

    The files that they name are made, empty, in the working folder.
    """
    arguments = [argument.replace("$FILES", "hotpotqa=dev.json") for argument in arguments]
    for file in (argument.rpartition("=")[2] for argument in arguments):
        if re.fullmatch(r"[\w.-]+\.[a-z]+", file):
            Path(file).touch()
    parse = argparse.ArgumentParser.parse_args

    def parse_args(*given: Any, **named: Any) -> Any:
        parse(*given, **named)
        raise _UnderstoodError

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_args)
    monkeypatch.setattr(sys, "argv", [str(path), *arguments])
    monkeypatch.syspath_prepend(path.parent)
    with pytest.raises(_UnderstoodError):
        runpy.run_path(str(path), run_name="__main__")
    forget_modules(path.parent)
