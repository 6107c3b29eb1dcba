"""A policy that raises, whatever it raises, ends with its name and task, and takes no other policy with it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from atommem_env.cli import application
from atommem_env.runs import EpisodeError, evaluate
from atommem_env.runs.evaluation import Plan

WORLD = "AtomMem-World-v0"
SMALL: dict[str, Any] = {"num_docs": 8, "num_questions": 1, "chunk_tokens": 300, "chunk_overlap": 20}


class UnprintableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError


class Raises:
    """Raises in tasks 1 and 2."""

    def __init__(self, kind: str = "KeyError") -> None:
        self.kind = kind

    def reset(self, observation: Any, info: Any) -> None:
        self.bad = info["task_index"] in (1, 2)

    def act(self, observation: Any, info: Any) -> list[Any]:
        if self.bad:
            kinds: dict[str, type[BaseException]] = {
                "UnprintableError": UnprintableError,
                "SystemExit": SystemExit,
            }
            kinds |= {"GeneratorExit": GeneratorExit, "KeyError": KeyError}
            raise kinds[self.kind](0)
        return [] if observation["phase"] == 0 else [{"op": "answer", "content": "x"}]


def there(folder: Path) -> list[tuple[str, int]]:
    lines = (folder / "episodes.jsonl").read_text().splitlines()
    return sorted((record["policy"], record["task_index"]) for record in map(json.loads, lines))


@pytest.mark.parametrize("kind", ["KeyError", "SystemExit", "GeneratorExit", "UnprintableError"])
def test_what_a_policy_raises_ends_it_alone(tmp_path: Path, kind: str) -> None:
    policies = {"raises": Raises(kind), "oracle": "oracle"}
    with pytest.raises(EpisodeError, match=rf"policy 'raises' on {WORLD}, task index 1: {kind}") as caught:
        evaluate(WORLD, policies, 4, out=tmp_path / "run", **SMALL)
    assert "--keep-going" in str(caught.value)
    assert there(tmp_path / "run") == [*(("oracle", number) for number in range(4)), ("raises", 0)]


@pytest.mark.heavy
@pytest.mark.parametrize("jobs", [1, 2])
def test_keep_going_runs_all_that_can_be_run(tmp_path: Path, jobs: int) -> None:
    policies = {"raises": Raises("SystemExit"), "oracle": "oracle"}
    with pytest.raises(EpisodeError) as caught:
        evaluate(WORLD, policies, 4, jobs=jobs, out=tmp_path / "run", keep_going=True, **SMALL)
    assert str(caught.value).count("task index") == 2
    found = [*(("oracle", number) for number in range(4)), ("raises", 0), ("raises", 3)]
    assert there(tmp_path / "run") == found


# --- every kind, in every mode ------------------------------------------------------------------------


class ReprRaises:
    """A value that cannot be printed."""

    def __repr__(self) -> str:
        raise RuntimeError


def unprintable() -> None:
    raise UnprintableError


def leave() -> None:
    raise SystemExit(0)


def leave_as_generator() -> None:
    raise GeneratorExit


def divide() -> float:
    return 1 / 0


KINDS: dict[str, Any] = {
    "exit": leave, "generator": leave_as_generator, "unprintable": unprintable, "zero": divide,
    "nothing": lambda: None, "text": lambda: "1", "nan": lambda: float("nan"), "more": lambda: 1.5,
    "less": lambda: -1, "list": lambda: [1.0], "huge": lambda: 10**5000, "odd": ReprRaises,
}  # fmt: skip
MODES = {"alone": (1, False), "processes": (2, False), "threads": (2, True)}


class Says:
    """Answers every question with one word."""

    def __init__(self, word: str = "fine") -> None:
        self.word = word

    def reset(self, observation: Any, info: Any) -> None:
        pass

    def act(self, observation: Any, info: Any) -> list[Any]:
        return [] if observation["phase"] == 0 else [{"op": "answer", "content": self.word}]


class Does(Says):
    """Does what a word stands for."""

    def act(self, observation: Any, info: Any) -> list[Any]:
        if self.word in KINDS:
            KINDS[self.word]()
        return super().act(observation, info)


def reward_of_word(prediction: str, answers: Any) -> Any:
    """Return, or do, what the answered word stands for."""
    return KINDS[prediction]() if prediction in KINDS else 1.0


@pytest.mark.parametrize("mode", ["alone", "threads", pytest.param("processes", marks=pytest.mark.heavy)])
def test_whatever_a_reward_or_a_policy_does_the_run_names_it_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    jobs, waits = MODES[mode]
    monkeypatch.setattr(Plan, "waits", property(lambda plan: waits))
    policies = {kind: Says(kind) for kind in KINDS}
    policies |= {f"does {kind}": Does(kind) for kind in ("exit", "generator", "unprintable", "zero")}
    policies["fine"] = Says()
    with pytest.raises(EpisodeError) as caught:
        evaluate(WORLD, policies, 1, jobs=jobs, out=tmp_path / "run", reward=reward_of_word, **SMALL)
    told = str(caught.value)
    assert "and 8 more episodes failed" in told
    assert told.count(f"on {WORLD}, task index 0: ") == 8
    assert there(tmp_path / "run") == [("fine", 0)]


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_reward_did_is_told_by_its_kind(kind: str) -> None:
    with pytest.raises(EpisodeError) as caught:
        evaluate(WORLD, {"p": Says(kind)}, 1, reward=reward_of_word, **SMALL)
    raised = {"exit": "SystemExit", "generator": "GeneratorExit", "unprintable": "UnprintableError"}
    raised["zero"] = "ZeroDivisionError"
    said = raised.get(kind, "ValueError: reward=")
    assert f"policy 'p' on {WORLD}, task index 0: {said}" in str(caught.value)


@pytest.mark.parametrize("kind", ["exit", "generator", "unprintable"])
@pytest.mark.parametrize("where", ["policy", "reward"])
def test_the_command_ends_with_a_status_and_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, where: str
) -> None:
    (tmp_path / "acts.py").write_text(
        "class Unprintable(Exception):\n    def __str__(self):\n        raise RuntimeError\n\n\n"
        "KINDS = {'exit': SystemExit(0), 'generator': GeneratorExit(), 'unprintable': Unprintable()}\n\n\n"
        f"def score(prediction, answers):\n    raise KINDS[{kind!r}]\n\n\n"
        "class Acts:\n    def reset(self, observation, info):\n        pass\n\n"
        f"    def act(self, observation, info):\n        raise KINDS[{kind!r}]\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "acts", raising=False)
    policy = "acts:Acts" if where == "policy" else "rag"
    words = ["run", "--env", WORLD, "--policy", policy, "--episodes", "1", "--out", str(tmp_path / "run")]
    words += [word for name, value in SMALL.items() for word in ("--arg", f"{name}={value}")]
    words += ["--arg", "reward=acts:score"] if where == "reward" else []
    result = CliRunner().invoke(application(), words)
    assert result.exit_code == 2
    assert f"policy {policy!r}" in result.stderr
    assert "task index 0" in result.stderr
    monkeypatch.delitem(sys.modules, "acts", raising=False)
