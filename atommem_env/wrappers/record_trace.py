"""Records each episode of an environment as a trace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import gymnasium as gym

from atommem_env.core.types import Info
from atommem_env.policies import Trace, plain_action


class RecordTrace(gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Keeps the traces of the episodes that ended, for a policy that is driven by somebody else's loop.

    Args:
        env: the environment.
        on_end: called with each finished trace; without it, finished traces gather in :attr:`traces`.
    """

    def __init__(self, env: gym.Env[Any, Any], on_end: Callable[[Trace], None] | None = None) -> None:
        gym.utils.RecordConstructorArgs.__init__(self, on_end=on_end)
        super().__init__(env)
        self.traces: list[Trace] = []
        self._on_end = on_end
        self._trace: Trace | None = None

    def reset(  # type: ignore[override]  # Gymnasium's infos are any dict
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, Info]:
        """Start an episode, and its trace; an unfinished one is dropped."""
        observation, told = self.env.reset(seed=seed, options=options)
        info = cast("Info", told)
        self._trace = Trace.begin(observation, info)
        return observation, info

    def step(  # type: ignore[override]  # Gymnasium's infos are any dict
        self, action: Any
    ) -> tuple[Any, float, bool, bool, Info]:
        """Take a step and record it."""
        observation, reward, terminated, truncated, told = self.env.step(action)
        info = cast("Info", told)
        trace = self._trace
        if trace is not None:
            trace.add(plain_action(action), observation, float(reward), terminated, truncated, info)
            if terminated or truncated:
                trace.metrics = (
                    info["metrics"] if "metrics" in info else self.env.get_wrapper_attr("metrics")()
                )
                self._trace = None
                if self._on_end is None:
                    self.traces.append(trace)
                else:
                    self._on_end(trace)
        return observation, float(reward), terminated, truncated, info
