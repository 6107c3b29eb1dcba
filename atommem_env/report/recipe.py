"""What a recipe runs: environments, policies, and what its user should know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from atommem_env.runs.variants import EnvVariant


@dataclass(frozen=True)
class Recipe:
    """What a recipe runs.

    Attributes:
        envs: the environments, each with what differs in its name and with its own policies and episodes.
        policies: all policies.
        arguments: what all environments are given besides.
        notes: what its user should know, a sentence each.
    """

    envs: tuple[EnvVariant, ...]
    policies: tuple[str, ...]
    arguments: dict[str, Any]
    notes: tuple[str, ...] = ()
