"""The blocks of the site that need a library of the trainers, and the programs that one of them starts."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from site_pages import (
    DOCS,
    PAGES,
    ROOT,
    SHELL,
    Block,
    blocks,
    calls,
    compiled,
    programs,
    small,
    understands,
)
from tiny_model import make_tiny_model
from trainers import library
from trainers import pytestmark as needs_a_library

LIBRARIES = ("trl", "gem", "openenv", "ray", "peft")
BLOCKS = [
    (page, needed)
    for page in PAGES
    for needed in LIBRARIES
    if any(block.runs_with == needed for block in blocks(page))
]

pytestmark = [
    *needs_a_library,
    pytest.mark.skipif(not DOCS.is_dir(), reason="the site is not next to the tests"),
]


@pytest.mark.parametrize(("page", "needed"), BLOCKS, ids=lambda value: getattr(value, "stem", value))
def test_the_blocks_of_a_page_run(
    page: Path, needed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = os.environ.get("ATOMMEM_TRAINERS", "").split()
    if listed and needed not in listed:
        pytest.skip(f"{needed} is here for another library, and has its own turn")
    library(needed)
    monkeypatch.chdir(tmp_path)
    space: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks(page):
        if block.runs_with != needed:
            continue
        if block.language in SHELL:
            run_commands(block, tmp_path)
        else:
            with STAND_INS.get(needed, nothing)() as (replaced, names):
                text = block.text
                for said, meant in replaced.items():
                    text = text.replace(said, meant)
                space |= names
                exec(compiled(block, text), space)


def run_commands(block: Block, folder: Path) -> None:
    """Run the commands of a block, each as a process of its own, on this machine alone."""
    for text in block.text.replace("\\\n", " ").splitlines():
        for program, *arguments in () if "RAY_ADDRESS=" in text else calls(text):
            if program == "atommem":
                words = [sys.executable, "-m", "atommem_env", *small(arguments, folder)]
                done = subprocess.run(words, capture_output=True, text=True, encoding="utf-8")
                assert done.returncode == 0, f"{block.place}: {shlex.join(words)}\n{done.stderr[-2000:]}"


Given = tuple[dict[str, str], dict[str, Any]]
"""What is replaced in a block, and names that it does not make."""


@contextlib.contextmanager
def nothing() -> Iterator[Given]:
    yield {}, {}


@contextlib.contextmanager
def tiny_trainings() -> Iterator[Given]:
    """A tiny model in the place of a large one, on the CPU; the trainers are made, other tests let them train."""
    if not Path("tiny").exists():
        for part in make_tiny_model():
            part.save_pretrained("tiny")
    config = 'GRPOConfig("out", use_cpu=True, bf16=False, report_to="none", '
    yield (
        {
            "Qwen/Qwen3-8B": "tiny",
            'GRPOConfig("out", ': config,
            "num_generations=16 * 12": "num_generations=2 * 12, per_device_train_batch_size=24",
            'source="hub"': 'source="generated"',
        },
        {},
    )


@contextlib.contextmanager
def a_server() -> Iterator[Given]:
    """The server that the page starts before."""
    uvicorn = library("uvicorn", "openenv")
    make_app = library("atommem_env.integrations.openenv", "openenv").make_app
    app = make_app("AtomMem-HotpotQA-v0", source="generated", num_docs=24)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield (
            {"http://127.0.0.1:8000": f"http://127.0.0.1:{port}"},
            {"model": lambda messages: "<answer>a</answer>"},
        )
    finally:
        server.should_exit = True
        thread.join()


STAND_INS: dict[str, Any] = {"trl": tiny_trainings, "openenv": a_server}

OF = {  # a program by what it imports
    "examples/learned_memory/train.py": "sb3_contrib",
    "examples/trainers/sb3_maskable_ppo.py": "sb3_contrib",
    "examples/trainers/rllib_ppo.py": "rllib",
    "examples/language_model": "peft",
}


@pytest.mark.parametrize(("program", "needed"), OF.items(), ids=[Path(program).stem for program in OF])
def test_a_program_understands_the_arguments_that_a_page_gives(
    program: str, needed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library("ray.rllib" if needed == "rllib" else needed, needed)
    monkeypatch.chdir(tmp_path)
    given = [
        (path, words) for _, path, words in programs() if str(path).startswith(str(ROOT / program)) and words
    ]
    assert given
    for path, words in given:
        understands(path, words, monkeypatch)
