"""RLlib: an environment and a module for PPO on ``DiscreteOperations``, with what is not possible masked out.

Route: the new API stack. :class:`MaskedObservations` puts the masks where RLlib passes them on, into the
observation, and :class:`MaskedModule` is an ``RLModule`` that reads them there. Tested with ray 2.60.0, which pins
gymnasium 1.2.2.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from atommem_env.discrete.wrapper import DiscreteOperations
from atommem_env.integrations.text_episode import load_library

_WHAT = "atommem_env.integrations.rllib"
torch = load_library("torch", "rllib", _WHAT)
load_library("ray", "rllib", _WHAT)

from ray.rllib.core.columns import Columns  # noqa: E402
from ray.rllib.core.rl_module.apis.value_function_api import ValueFunctionAPI  # noqa: E402
from ray.rllib.core.rl_module.torch.torch_rl_module import TorchRLModule  # noqa: E402
from torch import nn  # noqa: E402

_IMPOSSIBLE = -1e9


class MaskedObservations(gym.ObservationWrapper[Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Shows ``{"action_mask": (n,), "observations": ...}``: what is possible, and what the wrapper below shows.

    Args:
        env: a ``DiscreteOperations``, or a wrapper around one.
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        gym.utils.RecordConstructorArgs.__init__(self)
        super().__init__(env)
        count = int(self.action_space.n)  # type: ignore[attr-defined]
        self.observation_space = spaces.Dict(
            {"action_mask": spaces.Box(0, 1, (count,)), "observations": env.observation_space}
        )

    def observation(self, observation: Any) -> dict[str, Any]:
        """Return ``observation`` with the masks next to it."""
        masks = self.get_wrapper_attr("action_masks")()
        return {"action_mask": masks.astype(np.float32), "observations": observation}


def make_env(config: dict[str, Any]) -> gym.Env[Any, Any]:
    """Return an environment for RLlib; register it with ``ray.tune.registry.register_env(name, make_env)``.

    Args:
        config: ``id``, an environment's (without one ``AtomMem-World-v0``); ``discrete``, the arguments of
            ``DiscreteOperations``; the rest are the environment's own.
    """
    told = dict(config)
    discrete = told.pop("discrete", {})
    return MaskedObservations(
        DiscreteOperations(gym.make(told.pop("id", "AtomMem-World-v0"), **told), **discrete)
    )


class MaskedModule(TorchRLModule, ValueFunctionAPI):  # type: ignore[misc]
    """Two perceptrons over the whole observation, one for the actions and one for the value.

    The ``model_config`` may have ``hidden``, the width of their two layers (64).
    """

    def setup(self) -> None:
        """Build the layers."""
        parts = self.observation_space["observations"].spaces.values()
        size, hidden = sum(int(np.prod(part.shape)) for part in parts), self.model_config.get("hidden", 64)
        self.actions, self.value = (
            nn.Sequential(
                nn.Linear(size, hidden),
                nn.Tanh(),
                nn.Linear(hidden, hidden),
                nn.Tanh(),
                nn.Linear(hidden, outputs),
            )
            for outputs in (int(self.action_space.n), 1)
        )

    def _forward(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        scores = self.actions(_flat(batch))
        possible = batch[Columns.OBS]["action_mask"] > 0
        return {Columns.ACTION_DIST_INPUTS: scores.masked_fill(~possible, _IMPOSSIBLE)}

    def compute_values(self, batch: dict[str, Any], embeddings: Any = None) -> Any:
        """Return the value of each observation, of shape (batch,)."""
        return self.value(_flat(batch))[..., 0]

    def choose(self, observation: dict[str, Any]) -> int:
        """Return the best possible action for one observation of :class:`MaskedObservations`."""
        tensors = {
            "action_mask": torch.from_numpy(observation["action_mask"])[None],
            "observations": {
                name: torch.from_numpy(part)[None] for name, part in observation["observations"].items()
            },
        }
        with torch.no_grad():
            scores = self._forward({Columns.OBS: tensors})[Columns.ACTION_DIST_INPUTS]
        return int(scores.argmax())


def _flat(batch: dict[str, Any]) -> Any:
    observations = batch[Columns.OBS]["observations"]
    return torch.cat([observations[name].flatten(1) for name in sorted(observations)], dim=1)
