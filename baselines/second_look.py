"""A second look before each answer, around any policy: for the entries whose titles the entries shown mention.

Many questions need two documents, and the second shares no word with the question: the first one names it. When the
policy is about to answer, its last queries are asked once more together with those titles of its other entries that
stand in what is shown (at most 4, of 2 entries each); the policy then answers from all that is shown. The policy
``learned`` has the same second look (the query ``"bridge"`` of :mod:`atommem_env.discrete.decisions`), so that the
two can be compared with nothing but what they keep between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from atommem_env.baselines.common import READING, Info, Observation
from atommem_env.baselines.policy_wrapper import PolicyWrapper
from atommem_env.core.ledger import Ledger
from atommem_env.core.operations import SCRATCHPAD, Answer, Create, Read, ResultDict, Update, parse
from atommem_env.discrete.notes import bridges, title_fingerprint
from atommem_env.policies import Policy

_REFUSED: Final[ResultDict] = {
    "op": "answer",
    "ok": False,
    "reason": "wrong_phase",
    "id": None,
    "evicted": None,
}


class SecondLook(PolicyWrapper):
    """A policy that looks once more before it answers, for what the entries shown mention.

    An answer that is held back for the look is one that the policy is told was refused; it is asked again
    afterwards, which costs its engine a second call. What is noted of an entry is the fingerprint of its title, the
    first line of its content. Where nothing is mentioned, no look is left, or the answer comes with other operations,
    nothing changes.

    Args:
        policy: the policy.
    """

    def __init__(self, policy: Policy) -> None:
        super().__init__(policy)
        self._begin()

    def reset(self, observation: Observation, info: Info) -> None:
        """Get ready for a new episode."""
        self._begin()
        self.isolate(info)
        self.policy.reset(observation, info)

    def _begin(self) -> None:
        self._titles: Ledger[int] = Ledger()
        self._updates: dict[int, int] = {}
        self._reads: list[Read] = []
        self._question = -1
        self._held_back = False

    def act(self, observation: Observation, info: Info) -> Sequence[Any]:
        """Return the policy's action, or the second look in place of its answer."""
        self.follow_questions(observation)
        self._follow(observation)
        if self._held_back:
            observation = {**observation, "results": (_REFUSED,)}
            self._held_back = False
        action = self.policy.act(observation, info)
        operations = [parse(item) for item in action]
        reads = [operation for operation in operations if isinstance(operation, Read)]
        answers = len(operations) == 1 and isinstance(operations[0], Answer)
        if observation["phase"] != READING and answers and self._question != observation["cursor"]:
            self._question = observation["cursor"]
            look = self._look(observation)
            if look:
                self._held_back = True
                return look
        self._reads = reads or self._reads
        self._titles.expect(_title(item.content) for item in operations if isinstance(item, Create))
        self._updates = {
            item.id: _title(item.content)
            for item in operations
            if isinstance(item, Update) and item.id != SCRATCHPAD
        }
        return action

    def _look(self, observation: Observation) -> list[Read]:
        """Return the reads of the second look; none where it would show nothing new."""
        if not observation["looks_left"]:
            return []
        shown = {entry["id"] for entry in observation["retrieved"]}
        hidden = {title for id, title in self._titles.records.items() if id not in shown}
        found = bridges(observation["retrieved"], hidden)
        return [*(self._reads or [Read(observation["questions"][0])]), *found] if found else []

    def _follow(self, observation: Observation) -> None:
        self._titles.follow(observation)
        for result in observation["results"]:
            if result["op"] == "update" and result["ok"] and result["id"] in self._updates:
                self._titles.records[result["id"]] = self._updates[result["id"]]
        self._updates = {}


def _title(content: str) -> int:
    return title_fingerprint(content.partition("\n")[0])
