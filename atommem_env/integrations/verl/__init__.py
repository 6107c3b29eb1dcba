"""verl's agent loop with the paper's context reset, and the rows of verl's dataset.

Route: ``AgentLoopBase``, tested with verl 0.9.1. Each step of an episode has its own prompt that needs no
history (AtomMem, arXiv 2601.08323, section 3), so ``AtomMemAgentLoop`` returns a list of outputs, one per step, with
the episode's return as the reward of the last. verl's V1 trainer, the default, makes a training row of each; GRPO
there computes a group's advantages from the last row of each episode and gives every row of an episode the same.

verl finds the loop by a YAML file, at ``actor_rollout_ref.rollout.agent.agent_loop_config_path``::

    - name: atommem
      _target_: atommem_env.integrations.verl.AtomMemAgentLoop

and chooses it for the rows whose ``agent_name`` is ``"atommem"``, which :func:`write_dataset` makes. The loop itself,
:func:`run_episode`, needs no verl.
"""

from __future__ import annotations

import asyncio
import os
import random
import warnings
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from time import perf_counter
from typing import Any, Final, Protocol
from uuid import uuid4

from atommem_env.core.checks import positive_or_none
from atommem_env.integrations.text_episode import (
    Message,
    TextEpisode,
    Trajectory,
    load_library,
    row_episode,
    task_rows,
)

AGENT_NAME: Final = "atommem"
"""What verl calls the loop: the ``agent_name`` of rows and the ``name`` in the YAML file."""


class Reply(Protocol):
    """What a model wrote after a prompt, as verl's ``TokenOutput`` has it."""

    token_ids: list[int]
    log_probs: list[float] | None


@dataclass(frozen=True)
class StepRow:
    """A step of an episode, as a training row.

    Attributes:
        prompt_ids: the tokens of the complete prompt.
        response_ids: the tokens that the model wrote, all of them trained on.
        reply: what they are taken from.
        seconds_generating: the time that the model took.
        seconds_stepping: the time that the environment took.
    """

    prompt_ids: list[int]
    response_ids: list[int]
    reply: Reply
    seconds_generating: float
    seconds_stepping: float

    @property
    def response_mask(self) -> list[int]:
        """1 for each token that the model wrote."""
        return [1] * len(self.response_ids)

    @property
    def response_logprobs(self) -> list[float] | None:
        """The log-probability of each token, where the model gives them."""
        return list(self.reply.log_probs[: len(self.response_ids)]) if self.reply.log_probs else None


@dataclass(frozen=True)
class Rollout:
    """An episode that has ended.

    Attributes:
        rows: its steps in their order, without those that were not drawn.
        trajectory: its record.
        overlong: whether a prompt outgrew the limit.
    """

    rows: list[StepRow]
    trajectory: Trajectory
    overlong: bool

    def scores(self) -> dict[str, float]:
        """Return what is logged of it: :meth:`Trajectory.scores`, and ``overlong``."""
        return {**self.trajectory.scores(), "overlong": float(self.overlong)}


async def run_episode(
    episode: TextEpisode,
    task_index: int,
    generate: Callable[[list[int]], Awaitable[Reply]],
    encode: Callable[[list[Message]], Sequence[int]],
    decode: Callable[[list[int]], str],
    *,
    prompt_length: int,
    response_length: int,
    max_rows: int | None = None,
) -> Rollout:
    """Play the episode of a task to its end, with a model that maps tokens to tokens.

    What the model writes is data, and no prompt is ever cut. A model that lets its prompt outgrow the limit writes
    no further: the episode goes on without it to its end, and open questions are forfeited. The environment and
    ``encode`` run in threads, so that other episodes of the event loop go on.

    Args:
        episode: the environment, in the prompt mode ``"reset"``.
        task_index: the task, the same for all rollouts of a group.
        generate: the model.
        encode: returns the tokens of messages, with those that begin the model's turn.
        decode: returns the text of what the model wrote.
        prompt_length: the longest prompt, in tokens.
        response_length: the longest reply, in tokens; what is over is cut before it is decoded.
        max_rows: the most rows that are kept, ``None`` for all; of more steps they are drawn, each as likely as the
            others, by a generator that the replies seed.

    Raises:
        ValueError: when the first prompt is longer than the limit, ``max_rows`` is below 1, or the task cannot be
            made.
    """
    positive_or_none("max_rows", max_rows)
    rows: list[StepRow] = []
    overlong = False
    messages = await asyncio.to_thread(episode.reset, task_index)
    while messages:
        prompt_ids = list(await asyncio.to_thread(encode, messages))
        if len(prompt_ids) > prompt_length:
            _check_first(episode, len(prompt_ids), prompt_length)
            overlong = True
            await asyncio.to_thread(_forfeit, episode)
            break
        begin = perf_counter()
        reply = await generate(prompt_ids)
        response_ids = list(reply.token_ids[:response_length])
        replied = perf_counter()
        messages = await asyncio.to_thread(episode.step, decode(response_ids))
        if response_ids:
            rows.append(StepRow(prompt_ids, response_ids, reply, replied - begin, perf_counter() - replied))
    if max_rows is not None and len(rows) > max_rows:
        draw = random.Random(f"{task_index} {[row.response_ids for row in rows]}")
        rows = [rows[number] for number in sorted(draw.sample(range(len(rows)), max_rows))]
    return Rollout(rows, episode.trajectory, overlong)


def _check_first(episode: TextEpisode, length: int, limit: int) -> None:
    """Refuse a first prompt over the limit, and warn of a later one."""
    mend = "raise data.max_prompt_length, or lower chunk_tokens, top_k, entry_tokens or scratchpad_tokens"
    if not episode.trajectory.turns:
        raise ValueError(
            f"the first prompt of {episode.trajectory.trace.task_id} has {length} tokens, and prompt_length is "
            f"{limit}: {mend}"
        )
    warnings.warn(
        f"a prompt outgrew prompt_length={limit}: its episode went on without the model, and the score overlong "
        f"counts such episodes; {mend}",
        RuntimeWarning,
        stacklevel=2,
    )


def _forfeit(episode: TextEpisode) -> None:
    while not episode.over:
        episode.step("")


# --- verl ---------------------------------------------------------------------------------------------


def __getattr__(name: str) -> Any:
    if name == "AtomMemAgentLoop":
        return _agent_loop_class()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@cache
def _agent_loop_class() -> type[Any]:
    library = load_library("verl.experimental.agent_loop.agent_loop", "verl", "AtomMemAgentLoop")

    class AtomMemAgentLoop(library.AgentLoopBase):  # type: ignore[name-defined, misc]
        """The agent loop of an AtomMem environment; see the module.

        Args:
            *args: verl's own.
            protocol: how operations are written, see :func:`atommem_env.protocols.get_protocol`.
            template: the complete prompt in other words, as a file's path or as text.
            max_rows: the most rows that are kept of an episode, see :func:`run_episode`.
            **kwargs: verl's own.

        Raises:
            ValueError: when the trainer takes no list of outputs.
        """

        def __init__(
            self,
            *args: Any,
            protocol: str = "atommem",
            template: str | None = None,
            max_rows: int | None = None,
            **kwargs: Any,
        ) -> None:
            super().__init__(*args, **kwargs)
            if not self.config.trainer.get("use_v1", True):
                raise ValueError(
                    "trainer.use_v1=False: an episode is several rows here, which verl's V1 trainer alone takes; "
                    "set trainer.use_v1=True"
                )
            self._open = partial(row_episode, protocol=protocol, template=template)
            self._max_rows = max_rows

        async def run(self, sampling_params: dict[str, Any], **row: Any) -> list[Any]:
            """Play the task of a row that :func:`write_dataset` made, and return an output per step."""
            request_id = uuid4().hex  # one per episode: its prompts begin alike, so one server is to see them

            async def generate(prompt_ids: list[int]) -> Any:
                return await self.server_manager.generate(
                    request_id=request_id, prompt_ids=prompt_ids, sampling_params=dict(sampling_params)
                )

            task = row.get("extra_info") or {}
            episode = await asyncio.to_thread(self._open, task)
            try:
                rollout = await run_episode(
                    episode,
                    task["task_index"],
                    generate,
                    # Not ct_build_initial_tokens, which cuts a long prompt at its beginning.
                    self.continuous_token_builder.build_initial_tokens,
                    partial(self.tokenizer.decode, skip_special_tokens=True),
                    prompt_length=self.rollout_config.prompt_length,
                    response_length=self.rollout_config.response_length,
                    max_rows=self._max_rows,
                )
            finally:
                episode.close()
            outputs = [_output(library, step, len(rollout.trajectory.turns)) for step in rollout.rows]
            if outputs:
                outputs[-1].reward_score = rollout.trajectory.episode_return
                outputs[-1].extra_fields["reward_extra_info"] = rollout.scores()
            return outputs

    AtomMemAgentLoop.__qualname__ = "AtomMemAgentLoop"
    return AtomMemAgentLoop


def _output(library: Any, step: StepRow, steps: int) -> Any:
    """Return verl's output of a step; it takes over what verl's server says of the reply."""
    reply: Any = step.reply
    preempted = reply.num_preempted
    return library.AgentLoopOutput(
        prompt_ids=step.prompt_ids,
        response_ids=step.response_ids,
        response_mask=step.response_mask,
        response_logprobs=step.response_logprobs,
        routed_experts=reply.routed_experts,
        num_turns=steps,
        metrics=library.AgentLoopMetrics(
            generate_sequences=step.seconds_generating,
            tool_calls=step.seconds_stepping,
            num_preempted=-1 if preempted is None else preempted,
        ),
        extra_fields=dict(reply.extra_fields),
    )


def write_dataset(
    path: str | os.PathLike[str], envs: str | Iterable[str], task_indices: Iterable[int], **arguments: Any
) -> int:
    """Write the rows of verl's dataset, one per task, as a parquet file; return their number.

    A row refers to its task and holds none of its text: ``extra_info`` has what :func:`run_episode` needs to make
    it again, and ``prompt``, which verl wants, only names it. ``data_source``, by which verl groups its validation
    scores, is the environment's id. There is no gold answer in it: the reward is the environment's.

    Args:
        path: the file, which must end in ``.parquet``.
        envs: one or several ids; the tasks of all of them take turns.
        task_indices: the tasks.
        **arguments: the arguments of ``gym.make``, plain data, such as ``split="train"``.

    Raises:
        ValueError: when the path has another ending, there is no task, an argument is not plain data, or a task
            cannot be made.
    """
    if not os.fspath(path).endswith(".parquet"):
        raise ValueError(
            f"{os.fspath(path)}: verl reads a dataset by its ending; write it to a .parquet file"
        )
    rows = [
        _dataset_row(number, row, str(arguments.get("split", "")))
        for number, row in enumerate(task_rows(envs, task_indices, **arguments))
    ]
    if not rows:
        raise ValueError(f"task_indices of {path} are empty: a dataset has at least one task")
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(rows), path)
    return len(rows)


def _dataset_row(number: int, row: dict[str, Any], split: str) -> dict[str, Any]:
    task = {name: row[name] for name in ("env", "env_arguments", "task_index", "task_id", "source")}
    return {
        "data_source": row["env"],
        "prompt": [{"role": "user", "content": f"{row['env']}, task {row['task_index']}"}],
        "ability": "memory",
        "reward_model": {"style": "rule", "ground_truth": ""},
        "extra_info": {"index": number, "split": split, **task},
        "agent_name": AGENT_NAME,
    }
