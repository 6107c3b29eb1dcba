"""The values of an episode's writes for the viewer's page: what a score loses when a write is refused."""

from __future__ import annotations

from typing import Any, Final

import gymnasium as gym

from atommem_env.credit import entry_values
from atommem_env.policies import Trace
from atommem_env.runs.recorded import RecordedRun
from atommem_env.runs.variants import recorded_policy

_OTHERWISE: Final = (
    "run again, the policy does something else: it is not deterministic, or it, its engine or this package "
    "has changed"
)


def add_values(
    data: dict[str, Any],
    run: RecordedRun,
    env: gym.Env[Any, Any],
    trace: Trace,
    policy: str,
    score: str,
) -> None:
    """Add to an episode's data the ``value`` of each write, and under ``credit`` the ``score`` that it is of.

    The policy is made again from the run's record, and has to do again what the trace says. Where it cannot or
    does not, ``credit`` says ``why`` there are no values.

    Args:
        data: what :func:`~atommem_env.viewer.steps.episode_data` returned.
        run: the run.
        env: its environment; left as it is.
        trace: the episode.
        policy: the policy's name within the run.
        score: one of :data:`atommem_env.credit.CREDIT_SCORES`.
    """
    data["credit"] = {"score": score}
    try:
        made = recorded_policy(run.settings, policy, run.trust, run.base_url).make()
        again, values = entry_values(env, made, {"task_index": trace.task_index}, score)
    except Exception as error:  # a policy may raise anything; the episode is shown all the same
        data["credit"]["why"] = str(error) or type(error).__name__
        return
    if again.actions != trace.actions:
        data["credit"]["why"] = _OTHERWISE
        return
    for value in values:
        data["steps"][value.step]["action"][value.position]["value"] = round(value.value, 4)
