"""The episodes of one process behind a ``MemoryVectorEnv``: they step together and encode in one call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, cast

import gymnasium as gym
from gymnasium.error import InvalidAction, ResetNeeded
from gymnasium.vector import AutoresetMode

from atommem_env.core.episode import Episode, Planned, whole_steps
from atommem_env.core.types import Info
from atommem_env.env import MemoryEnv, check_step
from atommem_env.protocols import Parsed, Protocol
from atommem_env.wrappers import TextProtocol

if TYPE_CHECKING:
    from atommem_env.retrieval.encoders import CachedEncoder, Kind

Shown: TypeAlias = tuple[Any, Info | None]
"""What a reset returns for one environment; the info is ``None`` when it was not reset."""


_State: TypeAlias = tuple[list[tuple[Any, dict[str, Any]]], Any]
"""The attributes of a member's objects, and the state of its generator."""


class Step(NamedTuple):
    """What a step returns for one environment.

    Attributes:
        final: ``final_obs`` and ``final_info`` of an episode that ended and was reset in this step.
    """

    observation: Any
    reward: float
    terminated: bool
    truncated: bool
    info: Info
    final: dict[str, Any] | None = None


class _Member:
    """One environment: its current episode, and how the vector environment's own limit stands."""

    def __init__(self, inner: MemoryEnv, text: TextProtocol | None, limit: int | None) -> None:
        self.inner = inner
        self.text = text
        self.env: gym.Env[Any, Any] = inner if text is None else text
        self.ended = False
        self._limit = limit
        self._elapsed = 0
        self._prompt: str | None = None
        self._parsed = Parsed()

    @property
    def episode(self) -> Episode:
        """The current episode."""
        return self.inner._running()

    def reset(self, seed: int | None, options: dict[str, Any] | None) -> tuple[Any, Info]:
        observation, info = self.env.reset(seed=seed, options=options)
        self._elapsed, self.ended = 0, False
        if self.text is not None:
            self._prompt = observation
        return observation, cast("Info", info)

    def ahead(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> Callable[[], tuple[Any, Info]]:
        """Make the next episode; the environment stays as it is until what is returned is called."""
        before, mode = self._state(), self.inner.render_mode
        try:
            self.inner.render_mode = None  # it is shown when it begins
            shown = self.reset(seed, options)
            self.inner.render_mode = mode
            after = self._state()
        finally:
            self._go_to(before)

        def begin() -> tuple[Any, Info]:
            self._go_to(after)
            if mode == "human":
                self.inner.render()
            return shown

        return begin

    def _state(self) -> _State:
        generator = self.inner._np_random
        objects = [self, self.inner] if self.text is None else [self, self.inner, self.text]
        return (
            [(each, dict(each.__dict__)) for each in objects],
            None if generator is None else generator.bit_generator.state,
        )

    def _go_to(self, state: _State) -> None:
        attributes, generator = state
        for each, values in attributes:
            each.__dict__.clear()
            each.__dict__.update(values)
        if self.inner._np_random is not None:
            self.inner._np_random.bit_generator.state = generator

    def again(self) -> Shown:
        """Show the current observation once more."""
        return (self.episode.observe() if self.text is None else self._prompt), None

    def will_end(self, planned: Planned) -> bool:
        """Tell whether the episode ends with the step."""
        return self._elapsed + 1 == self._limit or self.episode.will_end(planned)

    def check(self, action: Any) -> Any:
        """Return the operations of ``action``, before anything is carried out."""
        if self.text is not None:
            self._parsed = self.text.parse_action(action)
            action = self._parsed.operations
        check_step(self.inner.episode, action)
        return action

    def end(self) -> Step:
        """Return the result of the step that was carried out."""
        observation, reward, terminated, truncated, info = self.episode.finish()
        step = Step(observation, reward, terminated, truncated, info)
        if self.inner.render_mode == "human":
            self.inner.render()
        if self.text is not None:
            step = Step(*self.text.shown(self._parsed, *step[:5]))
            self._prompt = step.observation
        self._elapsed += 1
        if self._limit is not None and self._elapsed >= self._limit:
            step = step._replace(truncated=True)
        self.ended = step.terminated or step.truncated
        return step


class Episodes:
    """The environments of one process, as one object whose methods take and return lists.

    Args:
        make: makes the first environment; the others are its siblings.
        count: how many.
        mode: when an ended episode is reset.
        limit: truncates after so many steps, or ``None``.
        protocol: ``TextProtocol``'s argument of this name, a mapping of its arguments, or ``None``.

    Raises:
        TypeError: when ``make`` makes anything but a ``MemoryEnv``.
    """

    def __init__(
        self,
        make: Callable[[], MemoryEnv],
        count: int,
        mode: AutoresetMode,
        limit: int | None,
        protocol: str | Protocol | Mapping[str, Any] | None,
    ) -> None:
        inner = make()
        if not isinstance(inner, MemoryEnv):
            raise TypeError(
                f"a MemoryVectorEnv runs MemoryEnvs, and {make!r} made {inner!r}; for wrapped environments use "
                "gym.make_vec(..., vectorization_mode='sync')"
            )
        self._mode = mode
        options = dict(protocol) if isinstance(protocol, Mapping) else {"protocol": protocol}
        self._members: list[_Member] = []
        for number in range(count):
            env = inner if number == 0 else inner._sibling()
            text = None if protocol is None else TextProtocol(env, **options)
            if text is not None:
                options = {**options, "protocol": text.protocol, "template": None}
            self._members.append(_Member(env, text, limit))
        self.envs = [member.env for member in self._members]

    def reset(
        self,
        seeds: Sequence[int | None],
        options: Sequence[dict[str, Any] | None],
        mask: Sequence[bool],
    ) -> list[Shown]:
        """Reset the environments of ``mask``, all or none; the others show their observation again."""
        begins: list[Callable[[], Shown]] = [
            member.ahead(seed, chosen) if wanted else member.again
            for member, seed, chosen, wanted in zip(self._members, seeds, options, mask, strict=True)
        ]
        return [begin() for begin in begins]

    def step(self, actions: Sequence[Any]) -> list[Step]:
        """Take one action in each environment; those that have ended are reset instead, or refuse."""
        ended = [member.ended for member in self._members]
        if any(ended) and self._mode != AutoresetMode.NEXT_STEP:
            raise ResetNeeded(
                f"the episodes of environments {[i for i, over in enumerate(ended) if over]} have "
                f"ended, and autoreset_mode is {self._mode.name.lower()!r}: call "
                "reset(options={'reset_mask': terminated | truncated}) first"
            )
        begun: list[tuple[Episode, Planned]] = []
        begins: dict[int, Callable[[], tuple[Any, Info]]] = {}
        for number, (member, action) in enumerate(zip(self._members, actions, strict=True)):
            over = member.ended
            if not over:
                try:
                    operations = member.check(action)
                except InvalidAction as error:
                    raise InvalidAction(f"environment {number}: {error}") from error
                planned = member.episode.plan(operations)
                begun.append((member.episode, planned))
                over = self._mode == AutoresetMode.SAME_STEP and member.will_end(planned)
            if over:
                begins[number] = member.ahead()
        episodes = [episode for episode, _ in begun]
        # none steps before all have been checked, their answers scored, and the next episodes made
        with whole_steps(episodes):
            for episode, planned in begun:
                episode.carry_out(planned)
            with _encoded(episodes):
                for episode in episodes:
                    episode.show()
        return [self._finish(member, begins.get(number)) for number, member in enumerate(self._members)]

    @staticmethod
    def _finish(member: _Member, begin: Callable[[], tuple[Any, Info]] | None) -> Step:
        """Return what the step came to in one environment; ``begin`` begins the next episode, if it is due."""
        if member.ended and begin is not None:
            observation, info = begin()
            return Step(observation, 0.0, False, False, info)
        step = member.end()
        if begin is not None:
            final = {"final_obs": step.observation, "final_info": step.info}
            observation, info = begin()
            step = step._replace(observation=observation, info=info, final=final)
        return step

    def call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        """Return each environment's attribute ``name``, called if it can be."""
        found = []
        for env in self.envs:
            value = env.get_wrapper_attr(name)
            found.append(value(*args, **kwargs) if callable(value) else value)
        return found

    def set_attr(self, name: str, values: Sequence[Any]) -> None:
        """Set each environment's attribute ``name``."""
        for env, value in zip(self.envs, values, strict=True):
            env.set_wrapper_attr(name, value)

    def close(self) -> None:
        """Close the environments."""
        for env in self.envs:
            env.close()


@contextmanager
def _encoded(episodes: Sequence[Episode]) -> Iterator[None]:
    """Encode what finishing the steps takes, in one call for each encoder, for as long as the block lasts."""
    wanted: dict[CachedEncoder, list[tuple[Kind, str]]] = {}
    for episode in episodes:
        for encoder, kind, text in episode.pending_texts():
            wanted.setdefault(encoder, []).append((kind, text))
    with ExitStack() as stack:
        for encoder, texts in wanted.items():
            stack.enter_context(encoder.batch([text for _, text in texts], [kind for kind, _ in texts]))
        yield
