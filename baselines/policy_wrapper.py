"""What policies around other policies share: they say of themselves what the policy within says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from atommem_env.baselines.common import Info, Isolation, Observation
from atommem_env.core.rules import DEFAULT_RULES
from atommem_env.policies import Policy


class PolicyWrapper:
    """A policy that changes what another one does.

    Args:
        policy: the other.
    """

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._isolation: Isolation | None = None

    @property
    def name(self) -> str | None:
        """The policy's name."""
        return getattr(self.policy, "name", None)

    @property
    def engine_name(self) -> str | None:
        """The name of the policy's engine."""
        return getattr(self.policy, "engine_name", None)

    @property
    def uses_buffer(self) -> bool:
        """Whether the policy keeps text outside memory."""
        return bool(getattr(self.policy, "uses_buffer", False))

    def costs(self) -> dict[str, int]:
        """Return what the policy says its work has cost."""
        costs = getattr(self.policy, "costs", None)
        return costs() if callable(costs) else {}

    def unreadable(self) -> dict[str, list[int]]:
        """Return how many replies of the policy's engine could not be read, and of how many."""
        told = getattr(self.policy, "unreadable", None)
        return told() if callable(told) else {}

    def take_said(self) -> list[dict[str, Any]]:
        """Return what the policy's engine has said since this was last called."""
        take = getattr(self.policy, "take_said", None)
        return take() if callable(take) else []

    def isolate(self, info: Info) -> None:
        """Start an episode: where its questions are isolated, what is noted at one is gone at the next."""
        isolated = info.get("rules", DEFAULT_RULES).isolate_questions
        self._isolation = Isolation(("policy", "_isolation")) if isolated else None

    def follow_questions(self, observation: Observation) -> None:
        """Discard at each new isolated question what was noted since the first one."""
        if self._isolation is not None:
            self._isolation.follow(self, observation)

    def reset(self, observation: Observation, info: Info) -> None:
        """Get ready for a new episode."""
        self.policy.reset(observation, info)

    def act(self, observation: Observation, info: Info) -> Sequence[Any]:
        """Return the policy's action."""
        return self.policy.act(observation, info)
