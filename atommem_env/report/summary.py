"""What a policy reached on an environment, in numbers: scores with their intervals, and the funnel."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import numpy.typing as npt

from atommem_env.core.types import Metrics, QuestionMetrics, score_of
from atommem_env.evidence import READ_DOCUMENTS, STAGES, STALE_STAGES, mean_share
from atommem_env.registration import WORLD_ENVS, short_name
from atommem_env.runs.engines import unreadable_share
from atommem_env.runs.forms import EpisodeRecord, Record, TimingRecord
from atommem_env.runs.keys import episode_key
from atommem_env.scoring import SCORES
from atommem_env.scoring.official import EVENT_RECALL, second_scores

if TYPE_CHECKING:
    from atommem_env.runs.recorded import RecordedRun

RESAMPLES: Final = 2000
"""How often episodes are drawn again for an interval."""

FEWEST_HISTORIES: Final = 10
"""With fewer histories than this, an interval over them would say little, and none is given."""

_SEED = 20260108
_BLOCK = 100


@dataclass(frozen=True)
class Interval:
    """A mean over episodes and its 95 % bootstrap interval (percentile method), each in [0, 1].

    The bounds are ``None`` where there is no interval: see :data:`FEWEST_HISTORIES`.
    """

    mean: float
    low: float | None = None
    high: float | None = None

    @property
    def bounds(self) -> tuple[float, float] | None:
        """The lower and the upper bound."""
        return None if self.low is None or self.high is None else (self.low, self.high)


@dataclass(frozen=True)
class Abstention:
    """How a policy dealt with questions that can be answered and with those that cannot.

    Attributes:
        counts: by ``(answerable, abstained)``, how many questions.
        answerable: the share of the answerable questions that were answered rightly; ``None`` without any.
        unanswerable: the share of the others on which it abstained.
    """

    counts: Mapping[tuple[bool, bool], int]
    answerable: float | None
    unanswerable: float | None


@dataclass(frozen=True)
class Row:
    """One line of a table: a policy on an environment in a run.

    Scores and the funnel are weighted alike: the mean over episodes, of each the mean over its questions.

    Attributes:
        env: the environment's name in its run: its id, unless the run has several of that id.
        generated: whether generated data stands in for the benchmark that the environment is of.
        source: where the data came from.
        settings: the arguments in which environments of this name differ within the table, ``name=value``.
        questions_shown: ``"always"`` or ``"when_asked"``: rows of the two are never compared.
        stream: whether questions were asked between chunks.
        policy: the policy's name in its run.
        name: what tells its rows apart within the table: its name, with what differs where that is not enough.
        engine: its engine's name, ``None`` when it has none.
        episodes: the number of episodes.
        questions: the number of questions in them.
        histories: the number of histories that these are about, ``None`` when they are not about histories.
        without_evidence: how many of the questions have no evidence in the data; the funnel leaves them out.
        uses_buffer: whether the policy keeps text outside memory, so that its funnel says nothing.
        scores: by name: ``em``, ``f1``, ``cover_em``; ``official`` where the benchmark has its own score;
            ``judge`` where a judge has judged all of the episodes; ``event_recall`` where questions are EventQA's,
            over those alone.
        funnel: by stage, the mean; ``None`` where undefined.
        stale: by stage of :data:`STALE_STAGES`, likewise; all ``None`` where no evidence is superseded.
        documents: by name of :data:`READ_DOCUMENTS`, likewise, over the questions that can be answered.
        abstention: ``None`` unless some question cannot be answered.
        memory_peak, entries_shown, steps, refused: means over the episodes.
        calls: calls to the engine, the mean over the episodes of which they are known; ``None``: of none.
        reads, prompt_tokens, completion_tokens, cached_tokens: accepted Reads, and the engine's tokens, likewise (the
            last: those of the prompts that its server had cached).
        cost: what these tokens cost, likewise, where prices are known (:mod:`atommem_env.report.prices`).
        unread: the share of a language model's replies that could not be read; ``None`` where none was asked.
        unread_by: by ability, how many could not be read and of how many, of those that had any.
        run: the place of its run among those that were summarised.
    """

    env: str
    generated: bool
    source: str
    settings: tuple[str, ...]
    questions_shown: str
    stream: bool
    policy: str
    name: str
    engine: str | None
    episodes: int
    questions: int
    histories: int | None
    without_evidence: int
    uses_buffer: bool
    scores: Mapping[str, Interval]
    funnel: Mapping[str, float | None]
    stale: Mapping[str, float | None]
    documents: Mapping[str, float | None]
    abstention: Abstention | None
    memory_peak: float
    entries_shown: float
    steps: float
    refused: float
    calls: float | None = None
    reads: float | None = None
    prompt_tokens: float | None = None
    completion_tokens: float | None = None
    cached_tokens: float | None = None
    cost: float | None = None
    unread: float | None = None
    unread_by: Mapping[str, Sequence[int]] = field(default_factory=dict)
    run: int = 0

    @property
    def label(self) -> str:
        """The environment's name as a table shows it: generated data never passes for the benchmark's."""
        name = f"{self.env} (generated)" if self.generated else self.env
        return ", ".join([name, *self.settings])

    @property
    def em(self) -> Interval:
        """Exact match, which every row has."""
        return self.scores["em"]


def summarise(runs: Sequence[RecordedRun]) -> list[Row]:
    """Return the rows of a table over ``runs``: those of one environment and source together.

    The order is otherwise that of the runs, and of the policies in each. A policy without an episode is left
    out, and so are episodes that say nothing of it (:func:`applicable`).
    """
    rows: list[Row] = []
    differing = _differing(runs)
    for number, run in enumerate(runs):
        by_key = _by_pair(applicable(run.episodes))
        costs = _by_pair(run.timings)
        for env in run.settings["envs"]:
            settings = _shown_settings(run, env, differing[env["name"]])
            for policy in run.settings["policies"]:
                key = env["name"], policy["name"]
                if key in by_key:
                    row = _row(run, env, policy["name"], by_key[key], costs.get(key, []))
                    rows.append(replace(row, run=number, settings=settings))
    return [row for group in by_environment(rows) for row in _told_apart(group, runs)]


def by_environment(rows: Sequence[Row]) -> list[list[Row]]:
    """Return ``rows`` in groups, each of one environment and source, with questions shown at the same time."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.label, row.source, row.questions_shown), []).append(row)
    return list(groups.values())


def about_histories(episodes: Sequence[EpisodeRecord]) -> bool:
    """Return whether episodes are about histories, from which nothing is sampled."""
    return any("history" in episode for episode in episodes)


def applicable(episodes: Iterable[EpisodeRecord]) -> list[EpisodeRecord]:
    """Return the episodes that say something of their policy: not those whose text did not fit its context."""
    return [episode for episode in episodes if "not_applicable" not in episode]


def history_of(episode: EpisodeRecord) -> str:
    """Return what an episode's history is known by; without histories, its task."""
    return str(episode.get("history", episode["task_id"]))


def bootstrap(
    values: Sequence[float], resamples: int = RESAMPLES, units: Sequence[str] | None = None
) -> Interval:
    """Return the mean of ``values``, one per episode, with its 95 % interval.

    Args:
        values: at least one.
        resamples: how often they are drawn again, a multiple of 100.
        units: of each value, what is drawn as a whole, such as its history; ``None``: each by itself.
    """
    array = np.asarray(values, dtype=np.float64)
    names = range(len(values)) if units is None else list(dict.fromkeys(units))
    if len(names) == len(values):
        means = np.concatenate([array[block].mean(axis=1) for block in _resamples(len(array), resamples)])
    else:
        numbers = np.array(
            [{name: number for number, name in enumerate(names)}[unit] for unit in units or ()]
        )
        sums, counts = np.bincount(numbers, array), np.bincount(numbers)
        means = np.concatenate(
            [
                sums[block].sum(axis=1) / counts[block].sum(axis=1)
                for block in _resamples(len(names), resamples)
            ]
        )
    low, high = np.percentile(means, [2.5, 97.5])
    return Interval(float(array.mean()), float(low), float(high))


@functools.lru_cache(maxsize=4)
def _resamples(size: int, count: int) -> tuple[npt.NDArray[np.int32], ...]:
    generator = np.random.Generator(np.random.PCG64(_SEED))
    return tuple(
        generator.integers(size, size=(_BLOCK, size), dtype=np.int32) for _ in range(count // _BLOCK)
    )


def _by_pair(records: Sequence[Record]) -> dict[tuple[str, str], list[Record]]:
    pairs: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        pairs.setdefault((record["env"], record["policy"]), []).append(record)
    return pairs


def _row(
    run: RecordedRun,
    env: Mapping[str, Any],
    policy: str,
    episodes: Sequence[EpisodeRecord],
    costs: Sequence[TimingRecord],
) -> Row:
    metrics = [episode["metrics"] for episode in episodes]
    questions = [question for metric in metrics for question in metric["questions"]]
    with_evidence = [question for question in questions if question["num_evidence"] > 0]
    uses_buffer = any(question["evidence"].get("seen") is None for question in with_evidence)
    source = str(episodes[0]["source"])
    replies, unread = unreadable_share(episodes)
    units = [history_of(episode) for episode in episodes]
    histories = len(set(units)) if about_histories(episodes) else None
    scores = {name: _score(values, units, histories) for name, values in _values(run, episodes).items()}
    recalled = [_event_recall(env["id"], episode) for episode in episodes]
    if any(value is not None for value in recalled):
        pairs = [(value, unit) for value, unit in zip(recalled, units, strict=True) if value is not None]
        about = None if histories is None else len({unit for _, unit in pairs})
        scores[EVENT_RECALL] = _score([value for value, _ in pairs], [unit for _, unit in pairs], about)
    return Row(
        env=env["name"],
        generated=source.startswith("generated") and env["id"] not in WORLD_ENVS,
        source=source,
        settings=(),
        questions_shown=str(env["arguments"].get("questions_shown", "always")),
        stream=env["arguments"].get("stream") is True,
        policy=policy,
        name=policy,
        engine=episodes[0]["engine"],
        episodes=len(episodes),
        questions=len(questions),
        histories=histories,
        without_evidence=len(questions) - len(with_evidence),
        uses_buffer=uses_buffer,
        scores=scores,
        funnel={stage: None if uses_buffer else _mean_of_shares(metrics, stage) for stage in STAGES},
        stale={stage: None if uses_buffer else _mean_of_shares(metrics, stage) for stage in STALE_STAGES},
        documents={name: None if uses_buffer else _mean_of_shares(metrics, name) for name in READ_DOCUMENTS},
        abstention=_abstention(questions),
        memory_peak=_mean([metric["memory_peak"] for metric in metrics]),
        entries_shown=_mean([metric["entries_shown"] for metric in metrics]),
        steps=_mean([metric["steps"] for metric in metrics]),
        refused=_mean([sum(metric["refused"].values()) for metric in metrics]),
        calls=_known_mean(costs, "calls"),
        reads=_known_mean(costs, "reads"),
        prompt_tokens=_known_mean(costs, "prompt_tokens"),
        completion_tokens=_known_mean(costs, "completion_tokens"),
        cached_tokens=_known_mean(costs, "cached_tokens"),
        unread=unread if replies else None,
        unread_by={ability: counts for ability, counts in replies.items() if counts[0]},
    )


def _values(run: RecordedRun, episodes: Sequence[EpisodeRecord]) -> dict[str, list[float]]:
    """Return each score of the episodes, by its name: those that all of them have."""
    found = {
        name: [score_of(episode["metrics"], name) for episode in episodes] for name in (*SCORES, "official")
    }
    verdicts = [run.judgements.get(episode_key(episode)) for episode in episodes]
    found["judge"] = [_mean(verdict) if verdict else None for verdict in verdicts]
    known = {name: [value for value in values if value is not None] for name, values in found.items()}
    return {name: values for name, values in known.items() if len(values) == len(episodes)}


def _event_recall(env: str, episode: EpisodeRecord) -> float | None:
    """Return the mean of EventQA's recall over an episode's questions of it; ``None`` where it has none."""
    found = [
        second_scores(
            short_name(env),
            str(question.get("type")),
            question.get("prediction"),
            question.get("answers", ()),
        ).get(EVENT_RECALL)
        for question in episode["metrics"]["questions"]
    ]
    known = [value for value in found if value is not None]
    return _mean(known) if known else None


def _score(values: Sequence[float], units: Sequence[str], histories: int | None) -> Interval:
    if histories is not None and histories < FEWEST_HISTORIES:
        return Interval(_mean(values))
    return bootstrap(values, units=None if histories is None else units)


def _abstention(questions: Sequence[QuestionMetrics]) -> Abstention | None:
    if all(question.get("answerable") in (None, True) for question in questions):
        return None
    counts = {(answerable, abstained): 0 for answerable in (True, False) for abstained in (True, False)}
    right: dict[bool, list[float]] = {True: [], False: []}
    for question in questions:
        answerable = question.get("answerable") is not False
        counts[answerable, bool(question.get("abstained"))] += 1
        right[answerable].append(question["em"])
    return Abstention(counts, *(_mean(right[side]) if right[side] else None for side in (True, False)))


def _known_mean(costs: Sequence[TimingRecord], name: str) -> float | None:
    values = [cast("Mapping[str, float]", cost)[name] for cost in costs if name in cost]
    return _mean(values) if values else None


def _mean_of_shares(metrics: Sequence[Metrics], stage: str) -> float | None:
    values = [value for metric in metrics if (value := mean_share(metric, stage)) is not None]
    return _mean(values) if values else None


def _mean(values: Sequence[float]) -> float:
    return float(sum(values) / len(values))


def _differing(runs: Sequence[RecordedRun]) -> dict[str, list[str]]:
    """Return for each environment the settings that are not the same in all runs."""
    seen: dict[str, dict[str, dict[str, None]]] = {}
    for run in runs:
        for env in run.settings["envs"]:
            values = seen.setdefault(env["name"], {})
            for name, value in _all_settings(run, env).items():
                values.setdefault(name, {})[json.dumps(value, sort_keys=True)] = None
    return {env: [name for name, found in values.items() if len(found) > 1] for env, values in seen.items()}


def _all_settings(run: RecordedRun, env: Mapping[str, Any]) -> dict[str, Any]:
    arguments = {name: value for name, value in env["arguments"].items() if name != "source"}
    return {**arguments, "policy_seed": run.settings["seed"], "atommem_env": run.settings["atommem_env"]}


def _shown_settings(run: RecordedRun, env: Mapping[str, Any], names: Sequence[str]) -> tuple[str, ...]:
    values = _all_settings(run, env)
    return tuple(f"{name}={_plain(values.get(name))}" for name in names)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _told_apart(rows: Sequence[Row], runs: Sequence[RecordedRun]) -> list[Row]:
    """Return ``rows`` of one environment with names that tell them apart, where those in their runs do not.

    Rows of one policy differ by its arguments, else by its engine's settings, else by their run's folder.
    """
    groups: dict[tuple[str, str | None], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.policy, row.engine), []).append(row)
    names: dict[int, str] = {}
    for (policy, _), group in groups.items():
        if len(group) > 1:
            marks = _marks(group, [runs[row.run] for row in group])
            for row, mark in zip(group, marks, strict=True):
                names[id(row)] = f"{policy} [{mark}]" if mark else policy
    return [replace(row, name=names.get(id(row), row.policy)) for row in rows]


def _marks(rows: Sequence[Row], runs: Sequence[RecordedRun]) -> list[str]:
    """Return for each row of one policy what the others' differs from."""
    arguments = [
        next(policy for policy in run.settings["policies"] if policy["name"] == row.policy).get(
            "arguments", {}
        )
        for row, run in zip(rows, runs, strict=True)
    ]
    engines = [run.settings.get("engine") for run in runs]
    folders = [
        {"": f"run {row.run + 1}" if run.folder is None else str(run.folder)}
        for row, run in zip(rows, runs, strict=True)
    ]
    for facts in (arguments, [engine if isinstance(engine, Mapping) else {} for engine in engines]):
        marks = _differences(facts)
        if len(set(marks)) == len(marks):
            return marks
    return [
        ", ".join(filter(None, pair))
        for pair in zip(_differences(arguments), _differences(folders), strict=True)
    ]


def _differences(facts: Sequence[Mapping[str, Any]]) -> list[str]:
    names = dict.fromkeys(name for fact in facts for name in fact)
    differing = [
        name for name in names if len({json.dumps(fact.get(name), sort_keys=True) for fact in facts}) > 1
    ]
    return [
        ", ".join(
            f"{name}={_plain(fact[name])}" if name else fact[name] for name in differing if name in fact
        )
        for fact in facts
    ]
