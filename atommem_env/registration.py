"""One table of names: the environments' ids, the policies and the engines, each with the place of what it names.

A new benchmark is a module in ``envs/`` and a row here, a new workflow a module in ``baselines/`` and a row here.
Everything else (Gymnasium's registry, vector environments, the command line, the trainers' port) reads this table.
"""

from __future__ import annotations

import importlib.util
from typing import Final

import gymnasium as gym

ENVS: Final[dict[str, str]] = {
    "AtomMem-HotpotQA-v0": "atommem_env.envs.hotpotqa:HotpotQAEnv",
    "AtomMem-2WikiMultihopQA-v0": "atommem_env.envs.wiki2:TwoWikiMultihopQAEnv",
    "AtomMem-MuSiQue-v0": "atommem_env.envs.musique:MuSiQueEnv",
    "AtomMem-World-v0": "atommem_env.envs.world:WorldEnv",
    "AtomMem-Chat-v0": "atommem_env.envs.chat:ChatEnv",
    "AtomMem-LoCoMo-v0": "atommem_env.envs.locomo:LoCoMoEnv",
    "AtomMem-LongMemEval-v0": "atommem_env.envs.longmemeval:LongMemEvalEnv",
    "AtomMem-MemoryAgentBench-v0": "atommem_env.envs.memoryagentbench:MemoryAgentBenchEnv",
    "AtomMem-BEAM-v0": "atommem_env.envs.beam:BEAMEnv",
    "AtomMem-Custom-v0": "atommem_env.envs.custom:CustomEnv",
}
"""Every id, with the place of its class."""

PAPER_ENVS: Final = ("AtomMem-HotpotQA-v0", "AtomMem-2WikiMultihopQA-v0", "AtomMem-MuSiQue-v0")
"""The environments of the paper's tables."""

WORLD_ENVS: Final = ("AtomMem-World-v0", "AtomMem-Chat-v0")
"""The environments of the generated world itself, where generated data stands in for nothing else."""

POLICIES: Final[dict[str, str]] = {
    "closed-book": "atommem_env.baselines.closed_book:ClosedBook",
    "random": "atommem_env.baselines.random_policy:RandomPolicy",
    "write-everything": "atommem_env.baselines.write_everything:WriteEverything",
    "write-nothing": "atommem_env.baselines.write_nothing:WriteNothing",
    "oracle": "atommem_env.baselines.oracle:Oracle",
    "full-context": "atommem_env.baselines.full_context:FullContext",
    "keep-best": "atommem_env.baselines.keep_best:KeepBest",
    "rag": "atommem_env.baselines.rag:RAG",
    "memagent": "atommem_env.baselines.memagent:MemAgent",
    "mem1": "atommem_env.baselines.mem1:MEM1",
    "generative-agents": "atommem_env.baselines.generative_agents:GenerativeAgents",
    "mem0": "atommem_env.baselines.mem0:Mem0",
    "a-mem": "atommem_env.baselines.a_mem:AMem",
    "memory-bank": "atommem_env.baselines.memory_bank:MemoryBank",
    "memgpt": "atommem_env.baselines.memgpt:MemGPT",
    "atommem": "atommem_env.baselines.atommem:AtomMem",
    "learned": "atommem_env.baselines.learned:Learned",
    "recency": "atommem_env.baselines.recency:Recency",
    "reservoir": "atommem_env.baselines.reservoir:Reservoir",
    "merge": "atommem_env.baselines.merge:Merge",
    "abstain": "atommem_env.baselines.abstain:Abstain",
    "vague": "atommem_env.baselines.vague:Vague",
}
"""The policies by name, with the place of each one's class."""

CONTROLS: Final = frozenset(
    "closed-book random write-everything write-nothing oracle full-context recency reservoir abstain vague".split()
)
"""Those of the policies that others are read against: a result is worth what it is above them."""

ENGINES: Final[dict[str, str]] = {
    "auto": "atommem_env.baselines.engines.by_data:EngineByData",
    "rules": "atommem_env.baselines.engines.rules.rules:RulesEngine",
    "llm": "atommem_env.baselines.engines.llm:make_llm_engine",
    "local": "atommem_env.baselines.engines.llm:make_local_engine",
    "world": "atommem_env.baselines.engines.world:WorldEngine",
}
"""The engines by name, with the place of what makes each. Every result names the engine it was made with."""

MAKE_POLICY: Final = "atommem_env.baselines:make_policy"
"""What makes a policy of its name."""

ENGINE_PROMPTS: Final = "atommem_env.baselines.engines"
"""The package whose folder ``prompts`` holds the engines' templates."""

_VECTOR: Final = "atommem_env.vector.vector_env"


def short_name(id: str) -> str:
    """Return an id as trainers' data names it: ``AtomMem-HotpotQA-v0`` is ``hotpotqa``."""
    return id.removeprefix("AtomMem-").removesuffix("-v0").lower()


def register_envs() -> None:
    """Register every id that is not registered yet; calling it again does nothing.

    Raises:
        ImportError: when the package's other parts cannot be imported from here.
    """
    if importlib.util.find_spec("atommem_env.envs") is None:
        raise ImportError(
            "atommem_env was imported from a checkout's folder atommem_env/, which has no envs and baselines next to "
            "it. In a checkout, install it in editable mode: pip install -e . (a plain install is shadowed by the "
            "folder); or start Python from another folder."
        )
    for id, entry_point in ENVS.items():
        if id not in gym.registry:
            gym.register(id, entry_point=entry_point, vector_entry_point=f"{_VECTOR}:{id}")
