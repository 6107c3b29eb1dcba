"""The classes that verifiers loads; import them from :mod:`atommem_env.integrations.verifiers`, which says the rest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, cast

import verifiers.v1 as vf
from openai import AsyncOpenAI
from pydantic import Field, model_validator

from atommem_env.integrations.text_episode import BENCHMARKS, Message, TextEpisode
from atommem_env.integrations.verifiers.playing import EpisodeSummary, play
from atommem_env.protocols import get_protocol

ID = "atommem_env"


class TaskData(vf.TaskData):  # type: ignore[misc]
    """A row: which task, and of which environment.

    Attributes:
        env: the environment's id.
        env_arguments: the arguments of ``gym.make``.
        task_index: the task; all rollouts of a group have the same.
        source: where the rows of the data come from, as the environment names it.
    """

    env: str
    env_arguments: dict[str, Any]
    task_index: int
    source: str


class AtomMemTask(vf.Task[TaskData, vf.State, vf.TaskConfig]):  # type: ignore[misc]
    """What an episode earned, from the record that the harness left in the trace's info."""

    @vf.reward  # type: ignore[untyped-decorator]
    async def episode_return(self, trace: vf.Trace) -> float:
        """Return the sum of the episode's rewards, in [0, 1]."""
        return float(_played(trace)["return"])

    @vf.metric  # type: ignore[untyped-decorator]
    async def scores(self, trace: vf.Trace) -> dict[str, float]:
        """Return the scores and counts of the episode, each its own metric."""
        return dict(_played(trace)["scores"])


class TasksetConfig(vf.TasksetConfig):  # type: ignore[misc]
    """Which tasks, under ``--env.taskset.*``; the defaults are the paper's."""

    env: str = "hotpotqa"
    """An environment's id, or a benchmark: hotpotqa, 2wikimultihopqa, musique."""
    split: str = "validation"
    source: str = "auto"
    """Where its rows come from: auto, hub, generated, or the path of an official file or folder."""
    first_task: int = Field(0, ge=0)
    """The first task's index."""
    num_tasks: int | None = Field(None, ge=1)
    """How many tasks; unset: as many as use each question of the split once at most."""
    num_docs: int = 200
    num_questions: int | tuple[int, int] = (1, 10)
    """How many questions a task has; (low, high): low with probability 0.5, the others share 0.5."""
    chunk_tokens: int = 4096
    chunk_overlap: int = 100
    retriever: str = "bm25"
    """bm25, dense, hybrid, random, or module:name."""
    encoder: str | None = None
    """What a dense retriever embeds with."""
    top_k: int = 6
    """How many entries a Read finds."""
    capacity: int | None = None
    """The largest number of entries; unset: any."""
    max_looks: int = 3
    reward: str = "em"
    """em, f1, cover_em, or module:function."""
    reward_timing: Literal["terminal", "immediate"] = "terminal"
    env_arguments: dict[str, Any] = Field(default_factory=dict)
    """More arguments of gym.make, such as {"entry_tokens": 256}; one named above is overruled."""

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of ``gym.make``: those that were set, since histories have their own defaults."""
        own = set(TasksetConfig.__annotations__) - {"env", "first_task", "num_tasks", "env_arguments"}
        return {**self.model_dump(mode="json", include=own, exclude_unset=True), **self.env_arguments}


class VerifiersTaskset(vf.Taskset[AtomMemTask, TasksetConfig]):  # type: ignore[misc]
    """The tasks of an environment, by their indices."""

    def load(self) -> Iterator[AtomMemTask]:
        """Yield the tasks.

        Raises:
            ValueError: when an argument of the environment is out of range, or its data is not there.
        """
        config = self.config
        env, arguments = BENCHMARKS.get(config.env, config.env), config.arguments
        episode = TextEpisode(env, **arguments)
        episode.reset(config.first_task)
        source = episode.trajectory.trace.source
        count = episode.env.get_wrapper_attr("num_tasks") if config.num_tasks is None else config.num_tasks
        episode.close()
        for index in range(config.first_task, config.first_task + count):
            name = f"{env}#{index} ({source})"
            data = TaskData(
                name=name,
                prompt=f"{name}. The harness {ID} shows the text of this task, a chunk at each step.",
                env=env,
                env_arguments=arguments,
                task_index=index,
                source=source,
            )
            yield AtomMemTask(data, config.task)


class HarnessConfig(vf.HarnessConfig):  # type: ignore[misc]
    """How an episode is told to the model, under ``--env.agent.harness.*``."""

    id: str = ID
    prompt_mode: Literal["reset", "append"] = "reset"
    """reset: each prompt is complete and starts a branch (the paper's); append: one conversation."""
    protocol: str = "atommem"
    """How operations are written: atommem, released, json, or module:name."""
    template: str | None = None
    """The prompt in other words: a file's path, or the text."""

    @model_validator(mode="after")
    def _check(self) -> HarnessConfig:
        get_protocol(self.protocol, self.template)
        return self


class VerifiersHarness(vf.Harness[HarnessConfig]):  # type: ignore[misc]
    """Plays an episode in this process; only the model is elsewhere."""

    APPENDS_SYSTEM_PROMPT = True
    EXECUTES_CODE = False
    NEEDS_CONTAINER = False

    async def launch(
        self,
        ctx: vf.ModelContext,
        trace: vf.Trace,
        runtime: vf.Runtime,
        endpoint: str,
        secret: str,
        mcp_urls: dict[str, str],
        data: vf.TaskData,
    ) -> vf.ProgramResult:
        """Play the task's episode, and leave its record in ``trace.info["episode"]``.

        Raises:
            TypeError: when the task is not of this taskset.
        """
        if not isinstance(data, TaskData):
            raise TypeError(f"the harness {ID} plays tasks of the taskset {ID}, not {type(data).__name__}")
        system = [] if data.system_prompt is None else [{"role": "system", "content": data.system_prompt}]
        said: list[dict[str, Any]] = []

        async def reply(messages: list[Message]) -> str:
            # A past answer goes back as it came, with its reasoning, or else it would start a new branch.
            del said[
                sum(message["role"] == "assistant" for message in messages) :
            ]  # an isolated question goes back
            past = iter(said)
            wire = [next(past) if message["role"] == "assistant" else message for message in messages]
            answer = await client.chat.completions.create(model=ctx.model, messages=[*system, *wire])
            message = answer.choices[0].message
            text = message.content or ""
            said.append({**message.model_dump(exclude_none=True), "content": text})
            return text

        config = self.config
        episode = TextEpisode(
            data.env,
            protocol=config.protocol,
            template=config.template,
            prompt_mode=config.prompt_mode,
            **data.env_arguments,
        )
        # No limit on a call's time: those of the run hold (--client.timeout, --env.agent.timeout).
        async with AsyncOpenAI(base_url=endpoint, api_key=secret, timeout=None) as client:
            try:
                await play(episode, data.task_index, reply, trace.info)
            finally:
                episode.close()
        return vf.ProgramResult(exit_code=0, stdout="", stderr="")


class EnvConfig(vf.SingleAgentEnvConfig):  # type: ignore[misc]
    """One agent, with this harness, in this process."""

    agent: vf.AgentConfig = vf.AgentConfig(harness=HarnessConfig(), runtime=vf.SubprocessConfig())


class VerifiersEnv(vf.SingleAgentEnv, vf.Env[EnvConfig]):  # type: ignore[misc]
    """Plays each task once, with one agent."""


def _played(trace: vf.Trace) -> EpisodeSummary:
    if "episode" not in trace.info:
        raise ValueError(
            f"no episode was played: a task of {ID} needs the harness {ID}, not {trace.agent.config.harness.id!r}; "
            f"leave --env.agent.harness.id out, or pass {ID}"
        )
    return cast("EpisodeSummary", trace.info["episode"])
