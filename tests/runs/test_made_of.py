"""Nothing old is shown as new: a run knows what made it, and does again what something else would make."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from atommem_env.runs import RunError, evaluate
from atommem_env.runs.errors import RunWarning
from atommem_env.runs.made_of import (
    LARGE,
    CannotHashError,
    file_hash,
    find_module,
    made_of,
    package_hash,
    sources,
)

SMALL: dict[str, Any] = {"num_docs": 8, "num_questions": 1, "chunk_tokens": 300, "chunk_overlap": 20}
WORLD = "AtomMem-World-v0"

POLICY = """
from pathlib import Path
from helpers.words import WORD


class Says:
    def __init__(self, weights=None):
        self.weights = weights

    def reset(self, observation, info):
        pass

    def act(self, observation, info):
        said = WORD if self.weights is None else Path(self.weights).read_text()
        return [] if observation["phase"] == 0 else [{"op": "answer", "content": said}]
"""


def answers(run: Any) -> list[str]:
    return [episode["metrics"]["questions"][0]["prediction"] for episode in run.episodes]


def say_in_a_process(folder: Path, *arguments: str) -> tuple[list[str], str]:
    """Run ``atommem run`` on the policy of ``folder`` and return what it answered, and what was said."""
    words = [
        "run",
        "--env",
        WORLD,
        "--policy",
        "said_policy:Says",
        "--episodes",
        "2",
        "--out",
        "run",
        *arguments,
    ]
    sizes = [word for name, value in SMALL.items() for word in ("--arg", f"{name}={value}")]
    code = "from atommem_env.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *words, *sizes], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = (folder / "run" / "episodes.jsonl").read_text().splitlines()
    return [json.loads(line)["metrics"]["questions"][0]["prediction"] for line in lines], done.stderr


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """A policy's module in a folder that is not on the path; returns the folder."""
    (tmp_path / "helpers").mkdir()
    (tmp_path / "helpers" / "__init__.py").touch()
    (tmp_path / "helpers" / "words.py").write_text("WORD = 'one'")
    (tmp_path / "said_policy.py").write_text(POLICY)
    (tmp_path / "unrelated.py").write_text("raise RuntimeError")
    return tmp_path


@pytest.mark.heavy
def test_a_changed_policy_module_and_what_it_imports_are_noticed(module: Path) -> None:
    assert say_in_a_process(module)[0] == ["one", "one"]  # found in the working folder
    said, told = say_in_a_process(module)
    assert "All 2 episodes are in run already" in told
    (module / "helpers" / "words.py").write_text("WORD = 'two'")
    said, told = say_in_a_process(module)
    assert said == ["two", "two"]
    assert "helpers/words.py changed" in told
    (module / "unrelated.py").write_text("x = 1")
    assert "already" in say_in_a_process(module)[1]


def test_changed_weights_behind_the_same_path_are_noticed(
    module: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(module))
    weights = module / "weights.bin"
    arguments = {"said_policy:Says": {"weights": str(weights)}}
    for word in ("old", "new"):
        weights.write_text(word)
        run = functools.partial(
            evaluate, WORLD, "said_policy:Says", 1, out=module / "run", policy_arguments=arguments, **SMALL
        )
        if word == "new":
            with pytest.warns(RunWarning, match=r"done again, since weights\.bin changed"):
                assert answers(run()) == ["new"]
        assert answers(run()) == [word]
    for name in list(sys.modules):
        if name == "said_policy" or name.startswith("helpers"):
            del sys.modules[name]


def test_another_lambda_as_a_retriever_is_noticed(tmp_path: Path) -> None:
    from atommem_env.retrieval.base import RandomRetriever
    from atommem_env.retrieval.bm25 import BM25

    def scores(make: Any) -> list[float]:
        run = evaluate(WORLD, "write-everything", 3, out=tmp_path / "run", retriever=make, top_k=1, **SMALL)
        return [episode["metrics"]["em"] for episode in run.episodes]

    first = scores(lambda: BM25())
    assert scores(lambda: BM25()) == first
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["envs"][0]["made_of"]
    with pytest.warns(RunWarning, match="done again"):
        second = scores(lambda: RandomRetriever())
    evaluate(WORLD, "write-everything", 3, out=tmp_path / "other", retriever="random", top_k=1, **SMALL)
    lines = (tmp_path / "other" / "episodes.jsonl").read_text().splitlines()
    assert second == [json.loads(line)["metrics"]["em"] for line in lines]


class Locked:
    """A policy with something that has no hash."""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def reset(self, observation: Any, info: Any) -> None:
        pass

    def act(self, observation: Any, info: Any) -> list[Any]:
        return [] if observation["phase"] == 0 else [{"op": "answer", "content": "x"}]


def test_what_cannot_be_hashed_is_never_reused_and_the_record_says_so(tmp_path: Path) -> None:
    policies = {"locked": Locked(), "oracle": "oracle"}
    evaluate(WORLD, policies, 2, out=tmp_path / "run", **SMALL)
    first, second = json.loads((tmp_path / "run" / "run.json").read_text())["policies"]
    assert first["made_of"] is None
    assert "_thread.lock does not show its state" in first["unhashed"]
    assert "made_of" not in second
    with pytest.warns(
        RunWarning, match="'locked': its episodes are done again, since they cannot be compared"
    ):
        evaluate(WORLD, policies, 2, out=tmp_path / "run", **SMALL)


def test_another_package_is_refused_until_the_run_is_done_anew(tmp_path: Path) -> None:
    evaluate(WORLD, "oracle", 1, out=tmp_path / "run", **SMALL)
    path = tmp_path / "run" / "run.json"
    path.write_text(path.read_text().replace(package_hash(), "0" * 32))
    with pytest.raises(RunError, match=r"code: .*\n.*--fresh"):
        evaluate(WORLD, "oracle", 1, out=tmp_path / "run", **SMALL)
    evaluate(WORLD, "oracle", 1, out=tmp_path / "run", fresh=True, **SMALL)
    assert package_hash() in path.read_text()


# --- hashes -------------------------------------------------------------------------------------------


def outer(value: Any) -> Any:
    return lambda: value


def with_default(value: Any) -> Any:
    def inner(x: Any = value) -> Any:
        return x

    return inner


class Holder:
    def __init__(self, value: Any) -> None:
        self.value = value


DIFFERENT = [
    *(outer(value) for value in (1, 2, "1", (1,), [1], {"a": 1}, {1, 2})),
    *(with_default(value) for value in (1, 2)),
    *(Holder(value) for value in (1, 2, np.zeros(2), np.zeros(3), np.ones(2), np.zeros(2, np.float32))),
    Holder(Holder(1)),
    Holder(Holder(2)),
    lambda x: x + 1,
    lambda x: x + 2,
    functools.partial(outer, 1),
    functools.partial(outer, 2),
    Holder(1).__init__,  # type: ignore[misc]
    Holder,
    outer,
]


def test_what_does_something_else_has_another_hash() -> None:
    hashes = [json.dumps(made_of(value), sort_keys=True) for value in DIFFERENT]
    assert len(set(hashes)) == len(hashes)
    assert [json.dumps(made_of(value), sort_keys=True) for value in DIFFERENT] == hashes


def test_plain_data_and_this_packages_own_need_none() -> None:
    assert made_of(1, "rag", None, {"a": [1.5, True]}, "atommem_env.baselines.rag:RAG") == {}


@pytest.mark.heavy
def test_hashes_do_not_depend_on_the_seed_of_hashes() -> None:
    code = (
        "from atommem_env.runs.made_of import made_of, package_hash\n"
        "f = lambda x: x in {'a', 'b', 'c'}\n"
        "print(made_of(f, {'p', 'q', 'r'}), package_hash())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1


def test_a_module_is_found_with_its_imports_and_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pack" / "deep").mkdir(parents=True)
    files = {
        "pack/__init__.py": "",
        "pack/deep/__init__.py": "raise RuntimeError('imported')",
        "pack/deep/one.py": "from . import two\nfrom ..three import x\nimport beside, json, numpy\n",
        "pack/deep/two.py": "def f():\n    import pack.four\n",
        "pack/three.py": "x = 'lazy:thing'",
        "pack/four.py": "this is no Python",
        "beside.py": "",
        "lazy.py": "",
        "other.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    file = find_module("pack.deep.one")
    assert file is not None
    assert {label for _, label in sources(file, "pack.deep.one")} == set(files) - {"other.py"}
    assert find_module("no_such_module") is None
    with pytest.raises(CannotHashError, match="no_such_module"):
        made_of("no_such_module:Thing")


def test_a_large_files_hash_is_remembered_until_it_changes(tmp_path: Path) -> None:
    large = tmp_path / "weights.bin"
    with open(large, "wb") as file:
        file.truncate(LARGE + 1)
    first = file_hash(large)
    assert file_hash(large) == first
    with open(large, "r+b") as file:
        file.write(b"x")
    os.utime(large, ns=(1, 1))
    assert file_hash(large) != first


def test_a_folder_counts_with_all_its_files(tmp_path: Path) -> None:
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "a.bin").write_text("1")
    first = made_of(str(tmp_path / "adapter"))
    (tmp_path / "adapter" / "b.bin").write_text("2")
    assert made_of(str(tmp_path / "adapter")) != first
