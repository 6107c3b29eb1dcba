"""What tests of workflows share: an engine that does as it is told, and a small environment to run them in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import gymnasium as gym

import atommem_env  # noqa: F401  (registers the environments)
from atommem_env.baselines import make_policy
from atommem_env.policies import Policy, Trace, rollout
from small_data import dataset


class ScriptedEngine:
    """An engine whose abilities are given; it answers "so", and notes every call.

    Args:
        **abilities: an ability's function, or its results one after the other (the last one for ever).

    Attributes:
        calls: the arguments of each call, by ability.
    """

    name = "scripted"
    answer: Callable[[str, Sequence[str]], str]
    compress: Callable[[Sequence[str], str, str, int], str]

    def __init__(self, **abilities: Callable[..., Any] | Iterable[Any]) -> None:
        self.calls: dict[str, list[tuple[Any, ...]]] = {}
        for name, ability in {"answer": lambda *_: "so", "compress": lambda *_: "", **abilities}.items():
            setattr(self, name, self._noted(name, ability if callable(ability) else _in_turn(ability)))

    def _noted(self, name: str, ability: Callable[..., Any]) -> Callable[..., Any]:
        calls = self.calls.setdefault(name, [])

        def call(*arguments: Any) -> Any:
            calls.append(arguments)
            return ability(*arguments)

        return call


def _in_turn(results: Iterable[Any]) -> Callable[..., Any]:
    def turns() -> Iterator[Any]:
        last = None
        for last in results:
            yield last
        while True:
            yield last

    following = turns()
    return lambda *_: next(following)


def named(name: str, **arguments: Any) -> Any:
    """Return the policy ``name`` with the engine ``rules``, or, where it must chat, with one that says "so"."""
    engine = ScriptedEngine(chat=lambda _: "<answer>so</answer>") if name == "atommem" else "rules"
    return make_policy(name, engine=engine, **arguments)


def make_env(id: str = "AtomMem-Custom-v0", **arguments: Any) -> gym.Env[Any, Any]:
    """Return an environment of 10 documents in 3 chunks and one question; ``arguments`` replace its own."""
    own = {"num_docs": 10, "num_questions": 1, "chunk_tokens": 120, "chunk_overlap": 20, "source": dataset()}
    return gym.make(id, **{**own, **arguments})


def play(policy: Policy, **arguments: Any) -> Trace:
    """Run ``policy`` through the first task of :func:`make_env`."""
    return rollout(make_env(**arguments), policy, options={"task_index": 0})


def operations(trace: Trace, *kinds: str) -> list[dict[str, Any]]:
    """Return the operations of a trace that are of one of ``kinds``, in order."""
    return [item for action in trace.actions for item in action if item["op"] in kinds]  # type: ignore[index]
