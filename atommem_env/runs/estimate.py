"""How many calls a run is going to make to a language model, and how many tokens: before the first is made.

Each policy reads and answers the first task of each environment with the engine ``rules`` in the place of the model,
which costs nothing, and what it asks of it is counted: texts of four letters a token, and the words of a prompt around
them. A task that takes too long is broken off, and what it asked until then stands for the rest in proportion. A
policy that is not this package's own is not tried: it may ask on its own account.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit

from atommem_env.core.resolve import resolve
from atommem_env.registration import ENGINES, POLICIES
from atommem_env.runs.keys import Key

if TYPE_CHECKING:
    import gymnasium as gym

    from atommem_env.runs.evaluation import Plan
    from atommem_env.runs.variants import EnvVariant, PolicyVariant

MOST_CALLS: Final = 1000
"""How many calls to somebody else's server a run makes without a question."""

_SECONDS: Final = 15.0
_LEAST_SECONDS: Final = 0.3
_LETTERS_PER_TOKEN: Final = 4
_PROMPT_TOKENS: Final = 200
"""What a prompt has of its own, about."""

_MOST_A_DOCUMENT: Final = 8
"""The calls that no workflow exceeds for a document, a question, or a chunk."""

_TURNS: Final = 50
"""The messages of a session, and more."""

_HERE: Final = ("localhost", "::1", "0.0.0.0")
_CHATTED: Final = "<answer>unknown</answer>"


@dataclass(frozen=True)
class Estimate:
    """What a run is going to ask of a language model, about.

    Attributes:
        address: where, as a reader should know it.
        calls: how many calls.
        prompt_tokens, completion_tokens: how many tokens.
    """

    address: str
    calls: int
    prompt_tokens: int
    completion_tokens: int


def is_elsewhere(address: str | None) -> bool:
    """Return whether a server is on another machine; ``None``: OpenAI's own."""
    host = "api.openai.com" if address is None else urlsplit(address).hostname or ""
    return not (host in _HERE or host.startswith("127.") or host.endswith(".localhost"))


def estimate(plan: Plan, missing: Sequence[Key], say: Callable[[str], None]) -> Estimate | None:
    """Return what the episodes of a run that are missing are going to ask of a server elsewhere.

    Args:
        plan: the run.
        missing: its episodes that have not been run.
        say: told when this is going to take a while.

    Returns:
        The estimate; ``None`` when no server elsewhere is asked, or at most :data:`MOST_CALLS` times.
    """
    policies = {policy.name: policy for policy in plan.policies if hasattr(policy.engine, "address")}
    addresses = {cast("Any", policy.engine).address for policy in policies.values()}
    if not any(map(is_elsewhere, addresses)):
        return None
    wanted = Counter((env, policy) for env, policy, _ in missing if policy in policies)
    if sum(_most_calls(variant) * _sum_of(wanted, variant) for variant in plan.envs) <= MOST_CALLS:
        return None
    say("Each policy tries its first task without the model, to estimate what the run is going to ask of it")
    total: Counter[str] = Counter()
    seconds = max(_LEAST_SECONDS, _SECONDS / len(wanted))
    for (name, policy), count in wanted.items():
        variant = next(env for env in plan.envs if env.name == name)
        with _made(variant) as env:
            for what, number in _asked(env, policies[policy], seconds).items():
                total[what] += round(number * count)
    if total["calls"] <= MOST_CALLS:
        return None
    from atommem_env.llm.endpoint import OPENAI
    from atommem_env.llm.secrets import masked_address

    where = " and ".join(sorted(str(masked_address(address or OPENAI)) for address in addresses))
    return Estimate(where, total["calls"], total["prompt_tokens"], total["completion_tokens"])


@contextlib.contextmanager
def _made(variant: EnvVariant) -> Iterator[gym.Env[Any, Any]]:
    env = variant.make()
    try:
        yield env
    finally:
        if env is not variant.given:
            env.close()


def _sum_of(wanted: Mapping[tuple[str, str], int], variant: EnvVariant) -> int:
    return sum(count for (env, _), count in wanted.items() if env == variant.name)


def _most_calls(variant: EnvVariant) -> int:
    """Return how many calls an episode has at most: of a history each message may have some."""
    with _made(variant) as env:
        observation, _ = env.reset(options={"task_index": 0})
        own = getattr(getattr(env.unwrapped, "config", None), "num_docs", None)
        documents = own or _TURNS * observation["num_chunks"]
        return int(observation["num_chunks"] + observation["num_questions"] + documents) * _MOST_A_DOCUMENT


def _asked(env: gym.Env[Any, Any], policy: PolicyVariant, seconds: float) -> dict[str, float]:
    """Return what a policy asks in an episode, about."""
    if policy.policy in POLICIES:
        try:
            return _tried(env, policy, seconds)
        except Exception:  # whatever is wrong with it, the run will say
            pass
    observation, _ = env.reset(options={"task_index": 0})
    calls = 2 * (observation["num_chunks"] + observation["num_questions"])
    prompt = _PROMPT_TOKENS + len(observation["chunk"]) // _LETTERS_PER_TOKEN
    return {"calls": calls, "prompt_tokens": calls * prompt, "completion_tokens": calls * _PROMPT_TOKENS}


def _tried(env: gym.Env[Any, Any], policy: PolicyVariant, seconds: float) -> dict[str, float]:
    """Return what a policy asks in the first task, the part that was not reached in proportion."""
    engine = _Counting()
    made: Any = replace(policy, engine=cast("Any", engine)).make()
    deadline = time.monotonic() + seconds
    observation, info = env.reset(options={"task_index": 0})
    engine.begin(str(info.get("source", "")))
    made.reset(observation, info)
    places = observation["num_chunks"] + observation["num_questions"]
    done, over = 0, False
    while not over and (time.monotonic() < deadline or done == 0):
        observation, _, terminated, truncated, info = env.step(made.act(observation, info))
        over = terminated or truncated
        done = observation["cursor"] + (observation["num_chunks"] if observation["phase"] else 0)
    share = 1.0 if over else max(done, 1) / places
    return {name: count / share for name, count in engine.counts.items()}


class _Counting:
    """The engine ``rules``, with what it is asked counted as a model's calls and tokens."""

    name = "estimate"

    def __init__(self) -> None:
        self._engine: Any = cast("Callable[[], Any]", resolve(ENGINES["rules"]))()
        self.counts: Counter[str] = Counter()

    def begin(self, source: str) -> None:
        """Begin an episode."""
        self.counts.clear()

    def answer(self, question: str, passages: Sequence[str]) -> str:
        """Answer as the engine does."""
        return self._counted(self._engine.answer)(question, passages)  # type: ignore[no-any-return]

    def compress(self, questions: Sequence[str], memory: str, chunk: str, budget_tokens: int) -> str:
        """Make a new memory as the engine does."""
        made = self._counted(self._engine.compress)(questions, memory, chunk, budget_tokens)
        return cast("str", made)

    def chat(self, messages: Sequence[Mapping[str, str]]) -> str:
        """Reply with an answer, which while reading is refused and lets the next chunk come."""
        return cast("str", self._counted(lambda _: _CHATTED)(messages))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name in ("costs", "reset_costs", "unreadable", "take_said", "suit"):
            raise AttributeError(name)
        return self._counted(getattr(self._engine, name))

    def _counted(self, ability: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            result = ability(*arguments, **named)
            self.counts["calls"] += 1
            letters = sum(map(_letters, (*arguments, *named.values())))
            self.counts["prompt_tokens"] += _PROMPT_TOKENS + letters // _LETTERS_PER_TOKEN
            self.counts["completion_tokens"] += 1 + len(str(result)) // _LETTERS_PER_TOKEN
            return result

        return call


def _letters(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping):
        return sum(map(_letters, value.values()))
    return sum(map(_letters, value)) if isinstance(value, (list, tuple)) else 0
