"""A policy that raises, whatever it raises, ends with its name and task, and takes no other policy with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from atommem_env.runs import EpisodeError, evaluate

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


@pytest.mark.parametrize("jobs", [1, 2])
def test_keep_going_runs_all_that_can_be_run(tmp_path: Path, jobs: int) -> None:
    policies = {"raises": Raises("SystemExit"), "oracle": "oracle"}
    with pytest.raises(EpisodeError) as caught:
        evaluate(WORLD, policies, 4, jobs=jobs, out=tmp_path / "run", keep_going=True, **SMALL)
    assert str(caught.value).count("task index") == 2
    found = [*(("oracle", number) for number in range(4)), ("raises", 0), ("raises", 3)]
    assert there(tmp_path / "run") == found
