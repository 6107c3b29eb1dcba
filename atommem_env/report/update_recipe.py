"""The recipe ``updates``: what workflows do to facts that a later one replaces, by capacity.

MemoryAgentBench's lists of facts are real data; the world and its chats, with revisions, are generated, and asked as
streams. Entries and scratchpad hold at most 256 tokens everywhere, as in the recipe ``histories``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from atommem_env.report.recipe import Recipe
from atommem_env.runs.engines import MODELS
from atommem_env.runs.variants import EnvVariant

NAME: Final = "updates"

CAPACITIES: Final = (20, 100, None)
"""How many entries a memory has; ``None``: no bound."""

_LIMITS: Final = {"entry_tokens": 256, "scratchpad_tokens": 256}
_FACTS: Final = "AtomMem-MemoryAgentBench-v0"
_WORLD: Final = "AtomMem-World-v0"
_GENERATED: Final = {"source": "generated", "stream": True, "revisions": 1.0}
_ENVS: Final[dict[str, tuple[str, dict[str, Any], int]]] = {
    "length=6k": (_FACTS, {"subset": "conflict_resolution", "hop": "single", "length": "6k"}, 1),
    "length=64k": (_FACTS, {"subset": "conflict_resolution", "hop": "single", "length": "64k"}, 1),
    "world": (_WORLD, {**_GENERATED, "num_docs": 100, "num_questions": 8, "chunk_tokens": 1024}, 5),
    "chat": ("AtomMem-Chat-v0", _GENERATED, 5),
}
"""The environments by label, with their arguments and how many episodes each policy has."""

_LONG: Final = "length=64k"
_COSTLY: Final[tuple[str, ...]] = ("a-mem", "memory-bank")
_POLICIES: Final = (
    "closed-book", "oracle", "recency", "reservoir", "rag", "merge", "mem0", "a-mem", "memory-bank", "learned",
)  # fmt: skip


def update_recipe(engine: str, given: Mapping[str, Any], episodes: int | None) -> Recipe:
    """Return the recipe.

    Args:
        engine: the engine's name; without ``"llm"`` the prompted agent is left out.
        given: the environments' arguments that are given besides; a ``source`` is one of MemoryAgentBench.
        episodes: the number of episodes everywhere; ``None``: one of each list of facts, five of what is generated.
    """
    prompted = ("atommem",) if engine in MODELS else ()
    envs = tuple(
        EnvVariant(
            id,
            {"capacity": capacity, **_LIMITS, **own},
            name=f"{id}[{label if id == _FACTS else 'stream'}, capacity={'none' if capacity is None else capacity}]",
            policies=(*_policies(id, label, capacity), *prompted),
            episodes=number if episodes is None else episodes,
        )
        for label, (id, own, number) in _ENVS.items()
        for capacity in CAPACITIES
    )
    notes = [
        "n/a: keep-best on facts and chats, where it would choose by questions that nobody has asked yet",
        "a-mem and memory-bank are left out on the long list, whose facts they work on one by one",
        "learned is left out where there is no capacity: it keeps 20 entries then",
    ]
    if engine not in MODELS:
        notes.append("the prompted agent (atommem) needs --engine llm or local; it is left out")
    return Recipe(envs, (*_POLICIES, "keep-best", *prompted), dict(given), tuple(notes))


def _policies(id: str, label: str, capacity: int | None) -> tuple[str, ...]:
    """Return what is run; without a capacity the controls that keep a part keep all, as RAG does,
    and learned keeps as many as with 20."""
    policies = (*_POLICIES, "keep-best") if id == _WORLD else _POLICIES
    left_out = _COSTLY if label == _LONG else ()
    if capacity is None:
        left_out += ("recency", "reservoir", "keep-best", "learned")
    return tuple(name for name in policies if name not in left_out)
