"""The recipe ``histories``: workflows and controls on conversations that nobody has asked about yet, by capacity.

Entries and scratchpad hold at most 256 tokens everywhere, so that a capacity bounds what is kept and not only how
many pieces it is cut into.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from atommem_env.report.recipe import Recipe
from atommem_env.runs.engines import MODELS
from atommem_env.runs.variants import EnvVariant

NAME: Final = "histories"

CAPACITIES: Final = (20, 100, None)
"""How many entries a memory has; ``None``: no bound."""

EPISODES: Final = {"AtomMem-LoCoMo-v0": 10, "AtomMem-LongMemEval-v0": 30, "AtomMem-Chat-v0": 10}
"""The environments, and how many histories each policy reads in each."""

_LIMITS: Final = {"entry_tokens": 256, "scratchpad_tokens": 256}
_CONTROLS: Final = ("closed-book", "abstain", "vague", "oracle", "recency", "reservoir")
_WORKFLOWS: Final = (
    "rag", "memagent", "mem1", "generative-agents", "mem0", "a-mem", "memory-bank", "memgpt",
)  # fmt: skip


def history_recipe(engine: str, given: Mapping[str, Any], episodes: int | None) -> Recipe:
    """Return the recipe.

    Args:
        engine: the engine's name; without ``"llm"`` the prompted agent is left out.
        given: the environments' arguments that are given besides; a ``source`` is not for the chats, which are
            always generated.
        episodes: the number of episodes everywhere; ``None``: :data:`EPISODES`.
    """
    workflows = (*_WORKFLOWS, "atommem") if engine in MODELS else _WORKFLOWS
    envs = tuple(
        EnvVariant(
            id,
            {"capacity": capacity, **_LIMITS, **({"source": "generated"} if id == "AtomMem-Chat-v0" else {})},
            name=f"{id}[capacity={'none' if capacity is None else capacity}]",
            policies=_policies(capacity, workflows),
            episodes=number if episodes is None else episodes,
        )
        for id, number in EPISODES.items()
        for capacity in CAPACITIES
    )
    notes = ["n/a: keep-best, and full_store='keep-best', choose by questions that nobody has asked yet"]
    if engine not in MODELS:
        notes.append("the prompted agent (atommem) needs --engine llm or local; it is left out")
    return Recipe(envs, (*_CONTROLS, "full-context", *workflows), dict(given), tuple(notes))


def _policies(capacity: int | None, workflows: tuple[str, ...]) -> tuple[str, ...]:
    """Return what is run under a capacity; without one, the controls that keep a part keep all, as RAG does."""
    if capacity is not None:
        return (*_CONTROLS, *workflows)
    controls = tuple(name for name in _CONTROLS if name not in ("recency", "reservoir"))
    return (*controls, "full-context", *workflows)
