"""The engine that fits the data: ``world`` where the generated world wrote it, ``rules`` elsewhere."""

from __future__ import annotations

from typing import Any

from atommem_env.baselines.engines.rules.rules import RulesEngine
from atommem_env.baselines.engines.world import WorldEngine


class EngineByData:
    """One of the two engines without a model, chosen at each reset by where the task comes from.

    It has the abilities, and the name, of the one that was chosen last.
    """

    def __init__(self) -> None:
        self._chosen = RulesEngine()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # while it is copied or unpickled nothing is chosen yet
            raise AttributeError(name)
        return getattr(self._chosen, name)

    def suit(self, source: str) -> None:
        """Choose for an episode whose data comes from ``source`` (``info["source"]``)."""
        self._chosen = WorldEngine() if source.startswith("generated") else RulesEngine()
