"""Lets an agent that reads and writes text act in an environment."""

from __future__ import annotations

import os
from typing import Any, Final, SupportsFloat, cast

import gymnasium as gym
from gymnasium.error import InvalidAction, ResetNeeded

from atommem_env.core.rules import DEFAULT_RULES
from atommem_env.core.spaces import TextSpace
from atommem_env.core.types import Info, MalformedText, Observation
from atommem_env.protocols import Malformed, Parsed, Protocol, get_protocol
from atommem_env.protocols.rendering import BRIEF
from atommem_env.text import clean

PROMPT_MODES: Final = ("reset", "append")
PROMPTS: Final = ("full", BRIEF)


class TextProtocol(gym.Wrapper[str, str, Any, Any], gym.utils.RecordConstructorArgs):
    """The observation is a prompt (str), the action is what the agent answers (str).

    The well-formed operations of a text run in its order; pieces that are malformed are dropped and reported,
    to the agent in the next prompt and to the caller in the info. A text without operations is an empty
    action. An info has two more keys: ``malformed``, a list of ``{"text", "reason"}`` for the last text
    (empty after a reset), and ``num_malformed``, their number in the episode so far. Where questions are isolated
    nothing is told of the text before a question. In the mode ``"append"`` whoever keeps the conversation goes back to
    where reading ended at each question, which ``info["isolated_question"]`` tells
    (:class:`~atommem_env.protocols.conversation.Conversation`).

    Args:
        env: an environment whose observations, infos and actions are those of ``MemoryEnv``.
        protocol: ``"atommem"``, ``"released"``, ``"json"``, ``"module:name"``, or an instance; see
            :func:`atommem_env.protocols.get_protocol`.
        template: the complete prompt in other words, as a file's path or as text; see
            :mod:`atommem_env.protocols.rendering`.
        prompt_mode: ``"reset"``: every observation is a complete prompt that needs no history (the paper's
            context reset). ``"append"``: the first of an episode is, the others say what is new, for a
            conversation that is appended to.
        prompt: ``"full"``, or ``"brief"``: the operations' forms in a few lines, and no word more on how it goes
            on, for agents that are trained.

    Raises:
        ValueError: when an argument is none of these; lists the choices.
    """

    env: gym.Env[Any, Any]

    def __init__(
        self,
        env: gym.Env[Any, Any],
        protocol: str | Protocol = "atommem",
        template: str | os.PathLike[str] | None = None,
        prompt_mode: str = "reset",
        prompt: str = "full",
    ) -> None:
        short: dict[str, Any] = {} if prompt == "full" else {"prompt": prompt}
        gym.utils.RecordConstructorArgs.__init__(
            self, protocol=protocol, template=template, prompt_mode=prompt_mode, **short
        )
        super().__init__(env)
        if prompt_mode not in PROMPT_MODES:
            raise ValueError(
                f"prompt_mode={prompt_mode!r}: choose one of {', '.join(map(repr, PROMPT_MODES))}"
            )
        if prompt not in PROMPTS:
            raise ValueError(f"prompt={prompt!r}: choose one of {', '.join(map(repr, PROMPTS))}")
        if prompt == BRIEF and template is not None:
            raise ValueError("prompt='brief' is a template itself: leave out template")
        self.protocol = get_protocol(protocol, BRIEF if prompt == BRIEF else template)
        self.prompt_mode = prompt_mode
        self.observation_space = TextSpace()
        self.action_space = TextSpace()
        self._rules = DEFAULT_RULES
        self._observation: Observation | None = None
        self._messages: list[dict[str, str]] = []
        self._malformed: list[Malformed] = []
        self._num_malformed = 0
        self._question = -1
        self._told = True

    def reset(  # type: ignore[override]  # Gymnasium's infos are any dict
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[str, Info]:
        """Start an episode; see the environment's own ``reset``."""
        self._observation, info = self.env.reset(seed=seed, options=options)
        self._rules = info.get("rules", DEFAULT_RULES)
        self._malformed = []
        self._num_malformed = 0
        self._question, self._told = info.get("isolated_question", -1), True
        self._messages = self.render_prompt()
        return self._text(self._messages), self._extended(cast("Info", info))

    @property
    def messages(self) -> list[dict[str, str]]:
        """The last complete prompt that was shown: in the mode ``"append"`` the episode's first."""
        return [dict(message) for message in self._messages]

    def step(  # type: ignore[override]  # Gymnasium's infos are any dict
        self, action: str
    ) -> tuple[str, float, bool, bool, Info]:
        """Run the operations of the text ``action``.

        Raises:
            InvalidAction: when ``action`` is not a str.
            ResetNeeded: before the first reset.
        """
        parsed = self.parse_action(action)
        observation, reward, terminated, truncated, info = self.env.step(parsed.operations)
        return self.shown(
            parsed, observation, cast("float", reward), terminated, truncated, cast("Info", info)
        )

    def parse_action(self, action: str) -> Parsed:
        """Return the operations of the text ``action``, and what is malformed in it; nothing changes.

        Raises:
            InvalidAction: when ``action`` is not a str.
            ResetNeeded: before the first reset.
        """
        if not isinstance(action, str):
            raise InvalidAction(
                f"an action of TextProtocol is the agent's text, a str; got {type(action).__name__}. For "
                "lists of operations, step the environment without this wrapper"
            )
        if self._observation is None:
            raise ResetNeeded("step was called before the first reset: call reset() first")
        return self.protocol.parse(clean(action), self._observation)

    def shown(
        self,
        parsed: Parsed,
        observation: Observation,
        reward: SupportsFloat,
        terminated: bool,
        truncated: bool,
        info: Info,
    ) -> tuple[str, float, bool, bool, Info]:
        """Return what :meth:`step` returns, from what the environment returned for ``parsed``."""
        self._observation = observation
        self._malformed = parsed.malformed
        self._num_malformed += len(parsed.malformed)
        asked = info.get("isolated_question", -1)
        self._told, self._question = asked == self._question, asked
        if self.prompt_mode == "append":
            text = self.render_delta()
        else:
            self._messages = self.render_prompt()
            text = self._text(self._messages)
        return text, float(reward), terminated, truncated, self._extended(info)

    def get_state(self) -> Any:
        """Return a copy of the episode in progress: the environment's ``get_state()``, and what was last shown."""
        return (
            self.env.get_wrapper_attr("get_state")(),
            self._rules,
            self._observation,
            self._messages,
            self._malformed,
            self._num_malformed,
            self._question,
            self._told,
        )

    def set_state(self, state: Any) -> None:
        """Go back to ``state``, which may be used again."""
        inner, self._rules, self._observation, self._messages, *counted = state
        self._malformed, self._num_malformed, self._question, self._told = counted
        self.env.get_wrapper_attr("set_state")(inner)

    def render_prompt(self, observation: Observation | None = None) -> list[dict[str, str]]:
        """Return the messages of a complete prompt for ``observation`` (``None``: the last one).

        Raises:
            ResetNeeded: when there is no observation yet.
        """
        return self.protocol.render_prompt(
            self._given(observation),
            self._rules,
            history=self.prompt_mode == "append",
            malformed=self._malformed_of(observation),
        )

    def render_delta(self, observation: Observation | None = None) -> str:
        """Return the user turn that says what is new in ``observation`` (``None``: the last one).

        Raises:
            ResetNeeded: when there is no observation yet.
        """
        return self.protocol.render_delta(
            self._given(observation), self._rules, malformed=self._malformed_of(observation)
        )

    def _given(self, observation: Observation | None) -> Observation:
        given = self._observation if observation is None else observation
        if given is None:
            raise ResetNeeded("there is no observation to render before the first reset: call reset() first")
        return given

    def _malformed_of(self, observation: Observation | None) -> tuple[Malformed, ...]:
        """Return what was malformed, for the last observation, unless it is the first of an isolated question."""
        return tuple(self._malformed) if observation is None and self._told else ()

    @staticmethod
    def _text(messages: list[dict[str, str]]) -> str:
        return "\n\n".join(message["content"] for message in messages)

    def _extended(self, info: Info) -> Info:
        malformed: list[MalformedText] = [
            {"text": piece.text, "reason": piece.reason} for piece in self._malformed
        ]
        return {**info, "malformed": malformed, "num_malformed": self._num_malformed}
