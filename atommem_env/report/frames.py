"""A run as tidy data frames, a row for each episode, question and operation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from atommem_env.evidence import STAGES, mean_share
from atommem_env.runs.keys import episode_key
from atommem_env.runs.traces import read_traces

if TYPE_CHECKING:
    import pandas as pd

    from atommem_env.runs.recorded import RecordedRun

_EPISODE: Final = ["env", "policy", "task_index"]
_NESTED: Final = ("questions", "operations", "refused", "source")


class Frames(NamedTuple):
    """A run as data frames, which join on ``env``, ``policy`` and ``task_index``.

    Attributes:
        episodes: ``engine``, ``task_id``, ``source``, each number of the metrics, the funnel's stages (means over the
            episode's questions), ``created``, ``read_count`` ... of operations by kind, ``refused_...`` by reason, and
            times and costs as far as they are known.
        questions: ``number`` (from 0), all that the metrics say of a question, the stages as columns, ``judge`` where
            a judge has judged it.
        operations: ``step`` (from 1), ``position`` in the action, ``op``, ``id``, ``content``, ``query``, ``k``: what
            the policy asked for, refused or not; empty without stored traces.
    """

    episodes: pd.DataFrame
    questions: pd.DataFrame
    operations: pd.DataFrame


def frames(run: RecordedRun) -> Frames:
    """Return a run as data frames.

    Raises:
        ImportError: when pandas is not installed.
        RunError: when the stored traces are damaged.
    """
    import pandas as pd

    operations = list(_operations(run))
    columns = [*_EPISODE, "step", "position", "op", "id", "content", "query", "k"]
    return Frames(
        pd.DataFrame(list(_episodes(run))),
        pd.DataFrame(list(_questions(run))),
        pd.DataFrame(operations, columns=columns),
    )


def _episodes(run: RecordedRun) -> Iterator[dict[str, Any]]:
    costs = {episode_key(timing): timing for timing in run.timings}
    for episode in run.episodes:
        metrics = episode["metrics"]
        yield {
            **{name: value for name, value in episode.items() if name != "metrics"},
            **{name: value for name, value in metrics.items() if name not in _NESTED},
            **{stage: mean_share(metrics, stage) for stage in STAGES},
            **{f"num_{kind}": count for kind, count in metrics.get("operations", {}).items()},
            **{f"refused_{reason}": count for reason, count in metrics["refused"].items()},
            **{
                name: value
                for name, value in costs.get(episode_key(episode), {}).items()
                if name not in _EPISODE
            },
        }


def _questions(run: RecordedRun) -> Iterator[dict[str, Any]]:
    for episode in run.episodes:
        verdicts = run.judgements.get(episode_key(episode))
        for number, question in enumerate(episode["metrics"]["questions"]):
            yield {
                **{
                    name: cast("Mapping[str, Any]", episode)[name]
                    for name in (*_EPISODE, "engine", "task_id")
                },
                "number": number,
                **{name: value for name, value in question.items() if name != "evidence"},
                **{stage: value for stage, value in question["evidence"].items() if stage != "answered"},
                **({} if verdicts is None else {"judge": verdicts[number]}),
            }


def _operations(run: RecordedRun) -> Iterator[dict[str, Any]]:
    if run.folder is None:
        return
    wanted = set(map(episode_key, run.episodes))
    for stored in read_traces(run.folder):
        if stored.key not in wanted:
            continue
        for step, action in enumerate(stored.actions, 1):
            for position, operation in enumerate([] if isinstance(action, str) else action):
                yield {
                    **dict(zip(_EPISODE, stored.key, strict=True)),
                    "step": step,
                    "position": position,
                    **operation,
                }
