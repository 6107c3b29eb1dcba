"""TRL's ``GRPOTrainer`` with the paper's context reset: its ``rollout_func``, and the rows and reward that go with it.

Route: ``rollout_func``, tested with TRL 1.16.0. TRL wants one row per prompt, and an episode with context resets is
one row per step (AtomMem, arXiv 2601.08323, section 3). So ``rows_per_episode`` (K) adjacent prompts of a task are
one episode: ``num_generations`` is K times the number of episodes in a group, each step has a row with its own prompt,
and all K rows have the episode's return for a reward. An episode of fewer steps is filled up with rows that are masked
out; of one with more steps K are drawn, each step as likely as the others. The group's mean is then that of the
episodes; its deviation differs by the small-sample correction alone.

A prompt of the dataset is a reference to its task, made by :func:`rollout_rows`, since TRL gives a ``rollout_func``
nothing but the prompt; the model sees the environment's prompts. For example::

    GRPOTrainer(
        model,
        reward_funcs=episode_return,
        rollout_func=make_rollout_func(8),
        args=GRPOConfig(num_generations=4 * 8, ...),
        train_dataset=Dataset.from_list(list(rollout_rows("AtomMem-HotpotQA-v0", range(1000)))),
    )

Sampling, weights and vLLM are the trainer's own. For a conversation that is appended to, see
:mod:`atommem_env.integrations.trl.tools`.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from atommem_env.integrations.text_episode import Message, TextEpisode, row_episode, task_rows
from atommem_env.protocols import Protocol

BatchPolicy = Callable[[list[list[Message]]], Sequence[str]]
"""Maps a batch of prompts, one for each episode that goes on, to a text for each."""

_REFERENCE: Final = ("env", "env_arguments", "task_index")


def rollout_rows(
    envs: str | Iterable[str], task_indices: Iterable[int], **arguments: Any
) -> Iterator[dict[str, Any]]:
    """Yield the row of each task for a dataset: its ``prompt`` refers to the task, and holds none of its text.

    The arguments, the other columns and the errors are those of
    :func:`atommem_env.integrations.text_episode.task_rows`.
    """
    for row in task_rows(envs, task_indices, **arguments):
        reference = json.dumps({name: row[name] for name in _REFERENCE}, ensure_ascii=False)
        yield {**row, "prompt": reference}


def episode_return(
    env_reward: Sequence[float],
    env_scores: Sequence[Mapping[str, float]],
    log_metric: Callable[[str, float], None] | None = None,
    **_: Any,
) -> list[float]:
    """Return the reward of each row, its episode's return in [0, 1]: a reward function for TRL.

    It also logs the means of the episodes' scores and counts, as ``env/em`` and so on.
    """
    if log_metric is not None:
        for name in env_scores[0]:
            log_metric(f"env/{name}", sum(scores[name] for scores in env_scores) / len(env_scores))
    return list(env_reward)


def make_rollout_func(
    rows_per_episode: int,
    *,
    protocol: str | Protocol = "atommem",
    template: str | None = None,
    max_prompt_tokens: int | None = None,
    generate: BatchPolicy | None = None,
    seed: int = 0,
) -> Callable[[list[str], Any], dict[str, Any]]:
    """Return a ``rollout_func`` for ``trl.GRPOTrainer``.

    It plays the episodes of a batch side by side, with one generation for the next step of all of them. Rows have
    ``env_reward`` and ``env_scores`` for :func:`episode_return`, and ``env_mask``. What the model writes is data. A
    model that lets its prompt outgrow the limit writes no further: the episode goes on without it to its end, and
    ``env_scores["overlong"]`` is 1.

    Args:
        rows_per_episode: the rows that an episode is given, at least 1; best the number of steps of most episodes.
            ``num_generations``, and each process's share of a batch, must be a multiple of it.
        protocol: how operations are written, see :func:`atommem_env.protocols.get_protocol`.
        template: the complete prompt in other words, as a file's path or as text.
        max_prompt_tokens: the longest prompt; ``None``: what the model's context leaves for
            ``max_completion_length``.
        generate: writes instead of the trainer's model, for example a script.
        seed: of the draw of steps, with the trainer's step.

    Raises:
        ValueError: when ``rows_per_episode`` is below 1; at the call, when the trainer's settings do not fit, a
            prompt refers to no task, or an episode's first prompt is longer than the limit.
    """
    if rows_per_episode < 1:
        raise ValueError(
            f"rows_per_episode={rows_per_episode}: expected at least 1, best an episode's number of steps"
        )
    options = {"protocol": protocol, "template": template}
    pool: dict[str, list[TextEpisode]] = {}

    def rollout_func(prompts: list[str], trainer: Any) -> dict[str, Any]:
        references = _one_per_episode(prompts, rows_per_episode, trainer)
        episodes = [_Played(episode) for episode in _open(references, pool, options)]
        limit = _prompt_limit(trainer) if max_prompt_tokens is None else max_prompt_tokens
        _play(episodes, trainer, limit, generate)
        rows: list[_Row] = []
        for number, played in enumerate(episodes):
            draw = random.Random(
                f"{seed} {trainer.state.global_step} {trainer.accelerator.process_index} {number}"
            )
            rows += _packed(played.rows, rows_per_episode, draw, trainer.processing_class.eos_token_id)
        with_logprobs = all(row.logprobs is not None for row in rows)
        scores = [played.scores() for played in episodes for _ in range(rows_per_episode)]
        return {
            "prompt_ids": [row.prompt_ids for row in rows],
            "completion_ids": [row.completion_ids for row in rows],
            "logprobs": [row.logprobs for row in rows] if with_logprobs else None,
            "env_mask": [row.mask for row in rows],
            "env_reward": [score["return"] for score in scores],
            "env_scores": scores,
        }

    return rollout_func


@dataclass(frozen=True)
class _Row:
    """What is trained on: a step, or nothing."""

    prompt_ids: list[int]
    completion_ids: list[int]
    logprobs: list[float] | None
    written: bool = True

    @property
    def mask(self) -> list[int]:
        return [int(self.written)] * len(self.completion_ids)


@dataclass
class _Played:
    """An episode, with the rows of its steps."""

    episode: TextEpisode
    rows: list[_Row] = field(default_factory=list)
    overlong: bool = False

    def scores(self) -> dict[str, float]:
        trajectory = self.episode.trajectory
        return {**trajectory.scores(), "return": trajectory.episode_return, "overlong": float(self.overlong)}

    def forfeit(self) -> None:
        """Let the episode go on to its end without the model."""
        self.overlong = True
        while not self.episode.over:
            self.episode.step("")


def _one_per_episode(prompts: Sequence[Any], share: int, trainer: Any) -> list[str]:
    """Return each episode's prompt, of the ``share`` that it is given.

    Raises:
        ValueError: when they cannot be shared out so.
    """
    training = trainer.model.training
    name = "num_generations" if training else "num_generations_eval"
    group = getattr(trainer, name)
    if group % share or (training and group < 2 * share):
        raise ValueError(
            f"{name}={group} with rows_per_episode={share}: expected {share} times the number of episodes in a "
            "group, which is at least 2 in training"
        )
    if len(prompts) % share:
        raise ValueError(
            f"a process has {len(prompts)} rows of a batch with rows_per_episode={share}: expected a multiple; "
            "change the batch size per device, or the number of processes"
        )
    slots = [prompts[start : start + share] for start in range(0, len(prompts), share)]
    for own in slots:
        if any(prompt != own[0] for prompt in own):
            raise ValueError(
                f"the {share} rows of an episode are of different tasks ({own[0]!r}, ...): rows of a task must be "
                "adjacent, as the trainer's own sampler gives them"
            )
    return [own[0] for own in slots]


def _open(
    references: Iterable[Any], pool: dict[str, list[TextEpisode]], options: Mapping[str, Any]
) -> Iterator[TextEpisode]:
    """Yield an episode at its start for each reference; environments are kept in ``pool`` for the next time."""
    used: dict[str, int] = {}
    for reference in references:
        row = _read(reference)
        kind = json.dumps([row["env"], row["env_arguments"]])
        known, number = pool.setdefault(kind, []), used.get(kind, 0)
        if number == len(known):
            known.append(row_episode(row, **options))
        used[kind] = number + 1
        known[number].reset(row["task_index"])
        yield known[number]


def _read(reference: Any) -> dict[str, Any]:
    try:
        row = json.loads(reference)
        if set(row) == set(_REFERENCE):
            return dict(row)
    except (TypeError, ValueError):
        pass
    raise ValueError(
        f"the prompt {str(reference)[:120]!r} refers to no task: make the dataset of "
        "atommem_env.integrations.trl.rollouts.rollout_rows"
    )


def _play(episodes: Sequence[_Played], trainer: Any, limit: int, generate: BatchPolicy | None) -> None:
    """Play the episodes to their ends, a step of all of them at a time."""
    while True:
        live = list(_fitting([played for played in episodes if not played.episode.over], trainer, limit))
        if not _anywhere(trainer, len(live)):
            return
        if generate is None:
            replies = _written(trainer, [ids for _, ids in live])
        else:
            replies = _given(
                trainer, generate([played.episode.messages for played, _ in live]) if live else []
            )
        for (played, ids), (text, completion, logprobs) in zip(live, replies, strict=True):
            played.rows.append(_Row(ids, completion, logprobs))
            played.episode.step(text)


def _fitting(live: Sequence[_Played], trainer: Any, limit: int) -> Iterator[tuple[_Played, list[int]]]:
    """Yield the episodes that the model can go on with, with the tokens of their prompts; end the others.

    Raises:
        ValueError: when the first prompt of an episode is too long.
    """
    if not live:
        return
    prompts = trainer._tokenize_prompts([played.episode.messages for played in live])[0]
    for played, ids in zip(live, prompts, strict=True):
        if len(ids) <= limit:
            yield played, list(ids)
        elif played.rows:
            played.forfeit()
        else:
            raise ValueError(
                f"the first prompt of a task has {len(ids)} tokens, and the limit is {limit}: lower chunk_tokens or "
                "max_completion_length, or raise max_prompt_tokens or the model's context"
            )


_Reply = tuple[str, list[int], "list[float] | None"]


def _written(trainer: Any, prompts: list[list[int]]) -> list[_Reply]:
    """Return what the trainer's model writes after each prompt: the text, its tokens, their log-probabilities."""
    tokenizer = trainer.processing_class
    # Where another process goes on, this one generates too: that may need all of them.
    asked = prompts or [[tokenizer.eos_token_id]]
    completions, logprobs = trainer._generate_single_turn(asked, None, {}, 1)
    texts = tokenizer.batch_decode(completions, skip_special_tokens=True)
    replies = list(zip(texts, completions, logprobs or [None] * len(texts), strict=True))
    return replies[: len(prompts)]


def _given(trainer: Any, texts: Sequence[str]) -> list[_Reply]:
    """Return ``texts`` as if the model had written them."""
    tokenizer = trainer.processing_class
    return [
        (text, [*tokenizer(text, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id], None)
        for text in texts
    ]


def _packed(rows: Sequence[_Row], count: int, draw: random.Random, eos: int) -> list[_Row]:
    """Return ``count`` rows: all of ``rows`` and rows that are masked out, or a draw of them in their order."""
    if len(rows) > count:
        return [rows[number] for number in sorted(draw.sample(range(len(rows)), count))]
    empty = _Row([eos], [eos], [0.0], written=False)
    return [*rows, *[empty] * (count - len(rows))]


def _prompt_limit(trainer: Any) -> int:
    """Return the tokens that the model's context leaves for a prompt."""
    context = getattr(trainer.model.config.get_text_config(), "max_position_embeddings", sys.maxsize)
    if trainer.use_vllm and trainer.args.vllm_max_model_length is not None:
        context = min(context, trainer.args.vllm_max_model_length)
    return int(context) - int(trainer.max_completion_length)


def _anywhere(trainer: Any, live: int) -> bool:
    """Return whether an episode goes on, in this process or in another."""
    accelerator = trainer.accelerator
    if accelerator.num_processes == 1:
        return live > 0
    import torch

    return bool(accelerator.gather(torch.tensor([live], device=accelerator.device)).any())
