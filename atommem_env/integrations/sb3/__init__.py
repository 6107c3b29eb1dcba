"""Stable-Baselines3: a policy for ``DiscreteOperations`` whose weights serve every slot and every question.

Route: :class:`~atommem_env.discrete.wrapper.DiscreteOperations` is the environment (its
``action_masks`` are found by ``sb3_contrib.MaskablePPO``, and ``MultiInputPolicy`` works on it as it is);
:class:`SlotPolicy` is a policy with the structure of :class:`~atommem_env.discrete.network.Network`, which
:func:`to_network` makes of it, for use without torch. Tested with stable-baselines3 2.9.2, sb3-contrib 2.9.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np

from atommem_env.discrete.decisions import SLOT_FEATURES, STATE_FEATURES
from atommem_env.discrete.network import ACTION_KINDS, Network
from atommem_env.integrations.text_episode import load_library

_WHAT = "atommem_env.integrations.sb3"
torch = load_library("torch", "sb3", _WHAT)
load_library("sb3_contrib", "sb3", _WHAT)

from sb3_contrib.common.maskable.policies import MaskableMultiInputActorCriticPolicy  # noqa: E402
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor  # noqa: E402
from torch import nn  # noqa: E402

_NONE = -1e9
_BIAS = (0.0, 300.0, -0.5, -300.0)
_DELETE = {"last": 300.0, "filled": 100.0, "questions": -300.0}
"""At first: create where there is room, and replace what is worth less. At the end of the text, delete what is worth
the least until 6 entries are left for each question, which is what a look shows; then ask."""
_SPEED = 30.0
"""How much faster the biases learn than the rest: they are few, and have far to go."""
_VALUE = 16


class SlotNetwork(BaseFeaturesExtractor):  # type: ignore[misc]
    """Scores every action, and sums up the view for the value.

    Its output, of shape (batch, actions + 16), is taken apart by :class:`SlotPolicy`.

    Args:
        observation_space: the wrapper's.
        queries: how many queries can be chosen.
        hidden: H, the width of the layers.
        trim: whether it begins by deleting, at the end of the text, what a look would not show.
    """

    def __init__(
        self, observation_space: gym.spaces.Dict, queries: int = 1, hidden: int = 48, trim: bool = True
    ) -> None:
        slots, _, features = observation_space["slots"].shape  # type: ignore[misc]
        inputs = features + len(SLOT_FEATURES) + len(STATE_FEATURES)
        self.num_actions = 2 + 2 * slots + queries
        super().__init__(observation_space, self.num_actions + _VALUE)
        self.text = nn.ModuleList(
            [nn.Linear(inputs, hidden), nn.Linear(hidden, hidden), nn.Linear(hidden, 1)]
        )
        self.bias = nn.Linear(len(STATE_FEATURES), len(ACTION_KINDS) + queries)
        nn.init.zeros_(self.bias.weight)
        with torch.no_grad():
            self.bias.bias.copy_(torch.tensor([*_BIAS, *[1.0] * queries]) / _SPEED)
            for name, value in _DELETE.items() if trim else ():
                place = STATE_FEATURES.index(name)
                self.bias.weight[ACTION_KINDS.index("delete"), place] = value / _SPEED
                self.bias.weight[ACTION_KINDS.index("create"), place] = -value / _SPEED
        self.value = nn.Sequential(nn.Linear(len(STATE_FEATURES) + 4, _VALUE), nn.Tanh())

    def each(self, view: Mapping[str, Any]) -> Any:
        """Return what each text is worth for each question, of shape (batch, 1 + S, Q): the candidate first."""
        state, slot_state = view["state"], view["slot_state"]
        texts = torch.cat([view["candidate"][:, None], view["slots"]], dim=1)
        batch, count, questions, _ = texts.shape
        own = torch.cat([slot_state.new_zeros(batch, 1, len(SLOT_FEATURES)), slot_state], dim=1)
        inputs = torch.cat(
            [
                texts,
                own[:, :, None].expand(-1, -1, questions, -1),
                state[:, None, None].expand(-1, count, questions, -1),
            ],
            dim=3,
        )
        first, second, third = self.text
        each = third(torch.relu(second(torch.relu(first(inputs)))))[..., 0]
        return each.masked_fill(view["questions"][:, None] == 0, _NONE)

    def worth(self, view: Mapping[str, Any]) -> Any:
        """Return what each text is worth, of shape (batch, 1 + S): the candidate's, then the slots'."""
        return torch.logsumexp(self.each(view), dim=2).clamp(min=-50)

    def forward(self, view: Mapping[str, Any]) -> Any:
        """Return the scores of the actions and what the value is computed from."""
        state, worth = view["state"], self.worth(view)
        bias, count = self.bias(state) * _SPEED, worth.shape[1]
        candidate, held = worth[:, :1], worth[:, 1:]
        kinds = [bias[:, number : number + 1] for number in range(len(ACTION_KINDS))]
        scores = torch.cat(
            [
                kinds[0],
                kinds[1] + candidate,
                kinds[2] + candidate - held,
                kinds[3] - held,
                bias[:, len(ACTION_KINDS) :],
            ],
            dim=1,
        )
        filled = view["slot_state"][:, :, 0]
        sizes = filled.sum(1, keepdim=True)
        kept = torch.sigmoid(held) * filled
        summary = torch.cat(
            [
                torch.sigmoid(candidate),
                kept.sum(1, keepdim=True) / count,
                kept.sum(1, keepdim=True) / sizes.clamp(min=1),
                sizes / count,
            ],
            dim=1,
        )
        return torch.cat([scores, self.value(torch.cat([state, summary.detach()], dim=1))], dim=1)


class _Part(nn.Module):  # type: ignore[misc]
    """Takes some of the columns."""

    def __init__(self, begin: int, end: int) -> None:
        super().__init__()
        self.begin, self.end = begin, end

    def forward(self, values: Any) -> Any:
        return values[:, self.begin : self.end]


class SlotPolicy(MaskableMultiInputActorCriticPolicy):  # type: ignore[misc]
    """For example ``MaskablePPO(SlotPolicy, DiscreteOperations(env), ...)``.

    Args:
        observation_space: the wrapper's.
        action_space: the wrapper's.
        lr_schedule: the learning rate.
        hidden: the width of the layers.
        trim: see :class:`SlotNetwork`.
        **kwargs: see ``MaskableActorCriticPolicy``.
    """

    def __init__(
        self,
        observation_space: Any,
        action_space: Any,
        lr_schedule: Any,
        hidden: int = 48,
        trim: bool = True,
        **kwargs: Any,
    ) -> None:
        slots = observation_space["slots"].shape[0]
        kwargs.update(
            net_arch=[],
            ortho_init=False,
            features_extractor_class=SlotNetwork,
            features_extractor_kwargs={
                "queries": int(action_space.n) - 2 - 2 * slots,
                "hidden": hidden,
                "trim": trim,
            },
        )
        super().__init__(observation_space, action_space, lr_schedule, **kwargs)

    def _build(self, lr_schedule: Any) -> None:
        super()._build(lr_schedule)
        actions = self.features_extractor.num_actions
        self.action_net = _Part(0, actions)
        self.value_net = nn.Sequential(_Part(actions, actions + _VALUE), nn.Linear(_VALUE, 1))
        self.optimizer = self.optimizer_class(self.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs)


def to_network(policy: Any, about: Mapping[str, Any] | None = None) -> Network:
    """Return the NumPy network that scores as ``policy`` does, to 1e-5.

    Args:
        policy: a :class:`SlotPolicy`.
        about: what to tell of it, such as the data that it was trained on.
    """
    state = policy.features_extractor.state_dict()
    weights = {
        name: np.asarray(value.cpu()) * (_SPEED if name.startswith("bias.") else 1)
        for name, value in state.items()
        if not name.startswith("value.")
    }
    return Network(weights, about)


def load_network(policy: Any, network: Network) -> None:
    """Give ``policy``, a :class:`SlotPolicy`, the weights of a network, so that it scores as that does."""
    weights = {
        name: torch.as_tensor(values) / (_SPEED if name.startswith("bias.") else 1)
        for name, values in network.weights.items()
    }
    policy.features_extractor.load_state_dict(weights, strict=False)
