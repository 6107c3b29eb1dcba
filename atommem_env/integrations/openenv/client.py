"""The client: a session with a server, by typed actions and observations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from openenv.core import EnvClient
from openenv.core.client_types import StepResult

from atommem_env.integrations.openenv.models import AtomMemAction, AtomMemObservation, AtomMemState
from atommem_env.policies import plain_action


class AtomMemClient(EnvClient[AtomMemAction, AtomMemObservation, AtomMemState]):  # type: ignore[misc]
    """A session with a server of this package; asynchronous, or with ``.sync()`` not.

    ``step`` takes an :class:`AtomMemAction`, or what it is made of: a model's text, or a sequence of operations
    such as ``[Create("...")]``. For example::

        with AtomMemClient("http://127.0.0.1:8000").sync() as session:
            seen = session.reset(task_index=7)
            while not seen.done:
                seen = session.step(model(seen.observation.messages))
            print(seen.reward)
    """

    def _step_payload(self, action: AtomMemAction | str | Sequence[Any]) -> dict[str, Any]:
        if not isinstance(action, AtomMemAction):
            return {"text" if isinstance(action, str) else "operations": plain_action(action)}
        payload: dict[str, Any] = action.model_dump(exclude_none=True)
        if action.operations is not None:
            payload["operations"] = plain_action(action.operations)
        return payload

    def _parse_result(self, payload: dict[str, Any]) -> StepResult[AtomMemObservation]:
        told = {"reward": payload["reward"], "done": payload["done"]}
        observation = AtomMemObservation(**payload["observation"], **told)
        return StepResult(observation=observation, metadata=observation.metadata, **told)

    def _parse_state(self, payload: dict[str, Any]) -> AtomMemState:
        return AtomMemState(**payload)
