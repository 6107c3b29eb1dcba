"""The engine that fits the data: ``world`` where the generated world wrote it, ``rules`` elsewhere."""

from __future__ import annotations

from typing import Any, NoReturn

from atommem_env.baselines.engines.rules.rules import RulesEngine
from atommem_env.baselines.engines.world import WorldEngine


class EngineByData:
    """One of the two engines without a model, chosen at each reset by where the task comes from.

    It has the abilities, and the name, of the one that was chosen last.
    """

    def __init__(self) -> None:
        self._chosen = RulesEngine()
        self._suited = False

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # while it is copied or unpickled nothing is chosen yet
            raise AttributeError(name)
        found = getattr(self._chosen, name)
        return found if self._suited or not callable(found) else _not_suited

    def suit(self, source: str) -> None:
        """Choose for an episode whose data comes from ``source`` (``info["source"]``)."""
        self._suited = True
        self._chosen = WorldEngine() if source.startswith("generated") else RulesEngine()


def _not_suited(*args: object, **kwargs: object) -> NoReturn:
    """Stand for an ability until it is known where the task comes from.

    Raises:
        ValueError: always.
    """
    raise ValueError(
        "engine 'auto' was asked before it knew where the task comes from: call engine.suit(info['source']) in "
        "reset(observation, info), or choose: get_engine('world') reads generated data, 'rules' any other"
    )
