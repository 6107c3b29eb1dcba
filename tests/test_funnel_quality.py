"""How often the evidence funnel errs, within the bounds of its documentation."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import gymnasium as gym
import pytest

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "funnel_quality.py"

pytestmark = pytest.mark.skipif(not EXAMPLE.exists(), reason="the examples are not next to the tests")


@pytest.fixture(scope="module")
def quality() -> ModuleType:
    spec = importlib.util.spec_from_file_location("funnel_quality", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["funnel_quality"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def _within_bounds(counts: dict, ghosts: float) -> None:  # type: ignore[type-arg]
    assert counts["ghosts"].percent <= ghosts
    for kind, missed in {
        "copy": 1,
        "sentence": 1,
        "note": 3,
        "bare": 5,
        "several": 3,
        "reworded": 10,
    }.items():
        assert 100 - counts[kind].percent <= missed, kind
    if counts["other subject"].of:
        assert counts["other subject"].percent <= 5


def test_in_the_generated_world(quality: ModuleType) -> None:
    _within_bounds(quality.measure(gym.make("AtomMem-World-v0", world_size=120), tasks=15), ghosts=2)


def test_texts_labelled_by_hand(quality: ModuleType) -> None:
    judged = list(quality.judge_labels())
    wrong = [(kind, text) for _, kind, wanted, found, text in judged if wanted != found]
    assert len(wrong) <= 0.06 * len(judged), wrong
    assert not [text for kind, text in wrong if kind in ("copy", "note", "reworded", "bare", "other subject")]


@pytest.mark.heavy
@pytest.mark.parametrize("split", ["train", "validation"])
@pytest.mark.parametrize("name", ["HotpotQA", "2WikiMultihopQA", "MuSiQue"])
def test_on_the_samples(quality: ModuleType, samples: Path, name: str, split: str) -> None:
    env = gym.make(f"AtomMem-{name}-v0", source=str(samples), split=split)
    _within_bounds(quality.measure(env, tasks=400), ghosts=5)


@pytest.mark.heavy
def test_in_generated_chats(quality: ModuleType) -> None:
    _within_bounds(quality.measure(gym.make("AtomMem-Chat-v0"), tasks=20), ghosts=4)


@pytest.mark.heavy
def test_on_the_sample_of_conversations(quality: ModuleType, samples: Path) -> None:
    _within_bounds(quality.measure(gym.make("AtomMem-LoCoMo-v0", source=str(samples)), tasks=7), ghosts=5)
