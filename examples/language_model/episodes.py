"""Episodes that a model writes and a frozen reader answers, played side by side, and kept as a run for the viewer."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import gymnasium as gym
from expert import facts_kept
from setting import BRIEF, ENV, MAX_TOKENS, READER
from training import Row

from atommem_env.baselines import make_policy
from atommem_env.integrations.branching import fork
from atommem_env.integrations.text_episode import Message, TextEpisode
from atommem_env.llm.generation import LanguageModel
from atommem_env.protocols.thinking import split_thinking
from atommem_env.runs.evaluation import make_plan
from atommem_env.runs.folder import RunFolder
from atommem_env.runs.traces import store_trace
from atommem_env.text import digest
from atommem_env.wrappers import TextProtocol


class _Reply:
    """An engine whose model has replied already: what drives the policy `atommem` from outside."""

    name = "local"
    text = ""

    def chat(self, messages: Sequence[Mapping[str, str]]) -> str:
        return self.text

    def answer(self, question: str, passages: Sequence[str]) -> str:
        raise AssertionError("the reader answers")

    def compress(self, questions: Sequence[str], memory: str, chunk: str, budget_tokens: int) -> str:
        raise AssertionError("nobody asks for it")


class _Seen(gym.Wrapper[Any, Any, Any, Any]):
    """Keeps what the environment showed last."""

    observation: Any = None
    told: Any = None

    def reset(self, **options: Any) -> Any:
        self.observation, self.told = self.env.reset(**options)
        return self.observation, self.told

    def step(self, action: Any) -> Any:
        self.observation, reward, terminated, truncated, self.told = self.env.step(action)
        return self.observation, reward, terminated, truncated, self.told


class WrittenEpisode(TextEpisode):
    """A text episode in which the model writes, and the frozen reader looks and answers at each question.

    Attributes:
        replies: how many of its turns are the model's: the first ones.
    """

    def __init__(self, **arguments: Any) -> None:
        self.seen = _Seen(gym.make(ENV, disable_env_checker=True, **arguments))
        super().__init__(TextProtocol(self.seen, prompt=BRIEF))
        self._begin()

    def _begin(self) -> None:
        self.reply, self.replies = _Reply(), 0
        self.policy: Any = make_policy(
            "atommem", engine=self.reply, template=BRIEF, reader=READER, second_look="bridge"
        )

    def reset(self, task_index: int | None = None, seed: int | None = None) -> list[Message]:
        messages = super().reset(task_index, seed)
        self._begin()
        self.policy.reset(self.seen.observation, self.seen.told)
        return messages

    def step(self, text: str) -> list[Message]:
        self.reply.text = text
        self.replies += 1
        self.policy.act(self.seen.observation, self.seen.told)  # it notes what was written
        messages = super().step(text)
        while messages and self.seen.observation["phase"]:
            operations = self.policy.act(self.seen.observation, self.seen.told)
            messages = super().step(self.env.protocol.render_operations(operations))
        return messages

    @property
    def kept(self) -> float:
        """The share of the question's evidence that the entries state."""
        env = self.seen.unwrapped
        (gold,) = env.task.gold()
        sentences = [unit["sentence"] for unit in gold["evidence"]]
        return facts_kept(env.task.questions[0].question, sentences, env.episode.store.entries.values())

    def get_state(self) -> Any:
        seen = self.seen.observation, self.seen.told
        return super().get_state(), seen, copy.deepcopy(self.policy), self.replies

    def set_state(self, state: Any) -> None:
        inner, seen, policy, self.replies = state
        super().set_state(inner)
        self.seen.observation, self.seen.told = seen
        self.policy = copy.deepcopy(policy)
        self.reply = self.policy.policy.engine._engine


@dataclass
class Played:
    """An episode, with a row for each reply of the model, and where it branches off.

    Attributes:
        episode: the episode.
        task: its task's index.
        path: the names of its parts, see :func:`atommem_env.integrations.branching.branch_advantages`.
        rows: prompt and completion of each reply, with the number of the part that it belongs to.
        states: the state before each reply, where they were asked for.
    """

    episode: WrittenEpisode
    task: int
    path: tuple[Any, ...]
    rows: list[tuple[Row, int]] = field(default_factory=list)
    states: list[Any] = field(default_factory=list)

    def reward(self, kind: str) -> float:
        """Return the episode's reward: `em`, `evidence` (the share of it that entries state), or `evidence+form`."""
        if kind == "em":
            return self.episode.trajectory.episode_return
        kept = self.episode.kept
        return kept if kind == "evidence" else kept + 0.1 * self.readable

    @property
    def readable(self) -> float:
        """The share of its replies that hold an operation and nothing malformed, or nothing but a thought."""
        turns = self.episode.trajectory.turns[: self.episode.replies]
        return sum(
            not turn.malformed and bool(turn.operations or not split_thinking(turn.text)[1]) for turn in turns
        ) / len(turns)


class Table:
    """Plays episodes of one setting side by side; environments are made once and used again.

    Args:
        lm: the model.
        batch: the most prompts that are written at once.
        temperature: 0 is greedy.
        max_tokens: the longest reply.
    """

    def __init__(
        self, lm: LanguageModel, batch: int = 16, temperature: float = 1.0, max_tokens: int = MAX_TOKENS
    ) -> None:
        self.lm, self.batch, self.temperature, self.max_tokens = lm, batch, temperature, max_tokens
        self._free: dict[str, list[WrittenEpisode]] = {}
        self.seconds = 0.0

    def make(self, arguments: dict[str, Any]) -> WrittenEpisode:
        """Return an episode that is free."""
        free = self._free.setdefault(repr(arguments), [])
        return free.pop() if free else WrittenEpisode(**arguments)

    def release(self, played: Sequence[Played], arguments: dict[str, Any]) -> None:
        """Let episodes be used again."""
        self._free[repr(arguments)] += [each.episode for each in played]

    def group(self, tasks: Sequence[int], size: int, arguments: dict[str, Any], seed: Any) -> list[Played]:
        """Return so many episodes of each task, played to their ends."""
        played = []
        for task in tasks:
            for number in range(size):
                episode = self.make(arguments)
                episode.reset(task)
                played.append(Played(episode, task, (number,)))
        self.play(played, seed)
        return played

    def branched(
        self, tasks: Sequence[int], stems: int, size: int, arguments: dict[str, Any], seed: Any
    ) -> list[Played]:
        """Return a group of each task in which `stems` episodes go on in so many ways from a step in their middle."""
        started = []
        for task in tasks:
            for number in range(stems):
                episode = self.make(arguments)
                episode.reset(task)
                started.append(Played(episode, task, (number,)))
        self.play(started, seed, keep_states=True)
        branches = []
        for stem in started:
            at = digest(str(seed), stem.task, stem.path[0])[0] % len(stem.rows)
            stem.episode.set_state(stem.states[at])
            for number, episode in enumerate(fork(stem.episode, size, lambda: self.make(arguments))):
                rows = [(row, 0) for row, _ in stem.rows[:at]] if number == 0 else []
                branches.append(Played(episode, stem.task, (*stem.path, number), rows))
        self.release(started, arguments)
        self.play(branches, (seed, "branches"), part=1)
        return branches

    def play(self, played: Sequence[Played], seed: Any, keep_states: bool = False, part: int = 0) -> None:
        """Play episodes to their ends, a step of all of them at a time; each reply is drawn with its own seed."""
        begun = time.perf_counter()
        with self.lm.merged():
            self._play(played, seed, keep_states, part)
        self.seconds += time.perf_counter() - begun

    def _play(self, played: Sequence[Played], seed: Any, keep_states: bool, part: int) -> None:
        while live := [each for each in played if not each.episode.over]:
            prompts = [self.lm.prompt_ids(each.episode.messages) for each in live]
            seeds = [
                int.from_bytes(digest(str(seed), each.task, str(each.path), len(each.rows))[:7], "little")
                for each in live
            ]
            for start in range(0, len(live), self.batch):
                some = slice(start, start + self.batch)
                written = self.lm.write(
                    prompts[some], self.max_tokens, temperature=self.temperature, seeds=seeds[some], pad_to=1
                )
                for each, prompt, reply in zip(live[some], prompts[some], written, strict=True):
                    if keep_states:
                        each.states.append(each.episode.get_state())
                    each.rows.append((Row(tuple(prompt), tuple(reply.ids)), part))
                    each.episode.step(reply.text)


def keep_as_run(played: Sequence[Played], arguments: dict[str, Any], folder: Path) -> None:
    """Write episodes as a run that `atommem view` and `atommem show` open: each rollout of a group is a policy."""
    first = min(each.task for each in played)
    labels = {id(each): f"rollout {'.'.join(map(str, each.path))}" for each in played}
    names = sorted(set(labels.values()))
    last = max(each.task for each in played)
    plan = make_plan(ENV, dict.fromkeys(names, "write-nothing"), last + 1, env_arguments=arguments)
    settings = {
        **plan.settings,
        "policies": [{"name": name, "policy": "atommem", "arguments": {}} for name in names],
    }
    with RunFolder(folder, settings, fresh=True) as book:
        for each in sorted(played, key=lambda each: (each.task - first, each.path)):
            trajectory = each.episode.trajectory
            said = [
                [{"ability": "chat", "reply": turn.text}] for turn in trajectory.turns[: each.episode.replies]
            ]
            trace = replace(
                trajectory.trace,
                actions=[turn.operations for turn in trajectory.turns],
                said=[*said, *([] for _ in trajectory.turns[len(said) :])],
            )
            name = labels[id(each)]
            record = {
                "env": ENV,
                "policy": name,
                "engine": "local",
                "task_id": trace.task_id,
                "task_index": each.task,
                "source": trace.source,
                "metrics": trace.metrics,
            }
            timing = {"env": ENV, "policy": name, "task_index": each.task, "seconds": 0.0, "reads": 0}
            stored = store_trace(each.episode.env, trace, ENV, name, uses_buffer=False)
            book.append(record, timing, stored.encode())  # type: ignore[arg-type]
