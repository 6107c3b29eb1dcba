"""Registers the environments with Gymnasium."""

from __future__ import annotations

import importlib.util
from typing import Final

import gymnasium as gym

ENVS: Final = {
    "AtomMem-HotpotQA-v0": "atommem_env.envs.hotpotqa:HotpotQAEnv",
    "AtomMem-2WikiMultihopQA-v0": "atommem_env.envs.wiki2:TwoWikiMultihopQAEnv",
    "AtomMem-MuSiQue-v0": "atommem_env.envs.musique:MuSiQueEnv",
    "AtomMem-World-v0": "atommem_env.envs.world:WorldEnv",
    "AtomMem-Custom-v0": "atommem_env.envs.custom:CustomEnv",
}
"""Every id, with the place of its class."""

VECTOR_ENVS: Final = {
    "AtomMem-HotpotQA-v0": "atommem_env.vector.vector_env:hotpotqa",
    "AtomMem-2WikiMultihopQA-v0": "atommem_env.vector.vector_env:wiki2",
    "AtomMem-MuSiQue-v0": "atommem_env.vector.vector_env:musique",
    "AtomMem-World-v0": "atommem_env.vector.vector_env:world",
    "AtomMem-Custom-v0": "atommem_env.vector.vector_env:custom",
}
"""Every id, with the place of what ``gym.make_vec`` calls by default: a ``MemoryVectorEnv`` over its class."""


def register_envs() -> None:
    """Register every id that is not registered yet; calling it again does nothing.

    Raises:
        ImportError: when the package's other parts cannot be imported from here.
    """
    if importlib.util.find_spec("atommem_env.envs") is None:
        raise ImportError(
            "atommem_env was imported from a checkout's folder atommem_env/, which has no envs and baselines beside "
            "it. In a checkout, install it in editable mode: pip install -e . (a plain install is shadowed by the "
            "folder); or start Python from another folder."
        )
    for id, entry_point in ENVS.items():
        if id not in gym.registry:
            gym.register(id, entry_point=entry_point, vector_entry_point=VECTOR_ENVS[id])
