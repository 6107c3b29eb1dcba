"""The default engine: the one that fits the data."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from atommem_env.baselines import make_policy
from atommem_env.baselines.engines.by_data import EngineByData
from atommem_env.baselines.engines.engine import get_engine
from atommem_env.policies import rollout
from scripted import make_env


@pytest.mark.parametrize(
    ("env", "engine"),
    [
        ({"id": "AtomMem-World-v0", "source": "auto", "world_size": 20}, "world"),
        ({"id": "AtomMem-HotpotQA-v0", "source": "generated"}, "world"),
        ({}, "rules"),
    ],
)
def test_the_data_decides(env: dict[str, Any], engine: str) -> None:
    policy = make_policy("rag")
    rollout(make_env(**env), policy, options={"task_index": 0})
    assert policy.engine_name == engine  # type: ignore[attr-defined]


def test_it_may_change_from_one_episode_to_the_next() -> None:
    engine = EngineByData()
    for source, name in (("generated:world", "world"), ("file:mine.json", "rules")):
        engine.suit(source)
        assert engine.name == name
        assert pickle.loads(pickle.dumps(engine)).name == copy.deepcopy(engine).name == name


def test_asked_before_it_knows_the_data_it_says_what_to_do() -> None:
    engine = get_engine("auto")
    with pytest.raises(ValueError, match=r"suit\(info\['source'\]\).*get_engine\('world'\)"):
        engine.answer("Where is the mill?", ["The mill stands in Aune."])
    engine.suit("generated:world")  # type: ignore[attr-defined]
    assert engine.answer("Where is the mill?", [])
