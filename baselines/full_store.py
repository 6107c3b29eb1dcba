"""What a policy does when the store is full and it creates: keep-best's rule, around any policy.

Most published systems never forget to make room. Under a capacity the environment then refuses what comes
late, or drops the oldest entry (its argument ``overflow``). This rule is the third choice: before each Create
that finds the store full, the entry that fits the questions worst is deleted, if the new content fits them better;
else the Create goes as it is, and is refused. Scores are those of
:class:`~atommem_env.baselines.keep_best.Relevance`, over the frequencies of all that the policy has written.

With it, ``rag`` holds the same documents as ``keep-best`` does.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from atommem_env.baselines.common import Info, Observation
from atommem_env.baselines.keep_best import Relevance, TextProfile, require_questions
from atommem_env.baselines.policy_wrapper import PolicyWrapper
from atommem_env.core.ledger import Ledger
from atommem_env.core.operations import (
    SCRATCHPAD,
    Create,
    Delete,
    Operation,
    ResultDict,
    Update,
    kind_of,
    parse,
)
from atommem_env.core.rules import DEFAULT_RULES
from atommem_env.policies import Policy


class _Sent(NamedTuple):
    """An element of an action, as it is and as an operation, the profile of what it writes, and whether it is ours."""

    item: object
    operation: Operation | None
    profile: TextProfile | None = None
    ours: bool = False


class KeepBestRule(PolicyWrapper):
    """A policy whose Creates make room for themselves where they fit the questions better than an entry.

    It is told of an entry that was deleted for it as of one that the environment evicted. What the rule notes about
    entries is numbers. A content over the environment's limit, or at least as long as one that was refused as too
    long, makes no room. Made for an environment with ``overflow="refuse"``.

    Args:
        policy: the policy.
    """

    def __init__(self, policy: Policy) -> None:
        super().__init__(policy)
        self._begin(())

    def reset(self, observation: Observation, info: Info) -> None:
        """Get ready for a new episode."""
        require_questions(info.get("rules", DEFAULT_RULES), "full_store='keep-best'")
        self._begin(observation["questions"])
        self.isolate(info)
        self._too_long = (info.get("rules", DEFAULT_RULES).entry_tokens or math.inf) + 1
        self.policy.reset(observation, info)

    def _begin(self, questions: Sequence[str]) -> None:
        self._relevance = Relevance(questions)
        self._entries: Ledger[TextProfile | None] = Ledger()
        self._too_long = math.inf
        self._sent: list[_Sent] = []

    def act(self, observation: Observation, info: Info) -> list[Any]:
        """Return the policy's action, with the Deletes that make room."""
        self.follow_questions(observation)
        results = self._follow(observation)
        action = self.policy.act({**observation, "results": results}, info)
        self._sent = list(self._make_room([self._read(item) for item in action], observation["capacity"]))
        self._entries.expect(sent.profile for sent in self._sent if kind_of(sent.item) == "create")
        return [sent.item for sent in self._sent]

    def _read(self, item: object) -> _Sent:
        """Return an operation of the policy's, and count what it writes."""
        operation = parse(item)
        if isinstance(operation, Create) or (isinstance(operation, Update) and operation.id != SCRATCHPAD):
            return _Sent(item, operation, self._relevance.count(operation.content))
        return _Sent(item, operation)

    def _make_room(self, action: Sequence[_Sent], capacity: int) -> Iterator[_Sent]:
        """Yield the operations of an action, with the Deletes that it needs."""
        score = self._relevance.score
        held = {id: score(profile) for id, profile in self._entries.records.items() if profile is not None}
        next_id = self._entries.next_id
        for sent in action:
            operation, profile = sent.operation, sent.profile
            if isinstance(operation, Delete):
                held.pop(operation.id, None)
            elif profile is not None and 0 < profile.size < self._too_long:
                if isinstance(operation, Update) and operation.id in held:
                    held[operation.id] = score(profile)
                elif isinstance(operation, Create):
                    full = 0 < capacity <= len(held)
                    worst = min(held, key=lambda id: (held[id], -id)) if full else None
                    if worst is not None and held[worst] < score(profile):
                        yield _Sent(Delete(worst), Delete(worst), ours=True)
                        del held[worst]
                        worst = None
                    if worst is None:
                        held[next_id] = score(profile)
            next_id += kind_of(sent.item) == "create"
            yield sent

    def _follow(self, observation: Observation) -> tuple[ResultDict, ...]:
        """Take in the results of the last action; return the results of the policy's own operations."""
        if not observation["results"]:  # the first observation of an isolated question tells of none
            self._reckon(observation["capacity"])
            return ()
        for profile, result in self._entries.follow(observation):
            if result["reason"] == "too_long" and profile is not None:
                self._too_long = min(self._too_long, profile.size)
        results: list[ResultDict] = []
        freed: int | None = None
        for sent, result in zip(self._sent, observation["results"], strict=True):
            if sent.ours:
                freed = result["id"] if result["ok"] else None
                continue
            operation = sent.operation
            if isinstance(operation, Update) and result["ok"] and operation.id in self._entries.records:
                self._entries.records[operation.id] = sent.profile
            results.append(result if freed is None else {**result, "evicted": freed})
            freed = None
        return tuple(results)

    def _reckon(self, capacity: int) -> None:
        """Note what the last action did, as the rules have it."""
        self._entries.expect(())
        records = self._entries.records
        for sent in self._sent:
            if isinstance(sent.operation, Delete):
                records.pop(sent.operation.id, None)
            elif kind_of(sent.item) == "create":
                too_long = sent.profile is None or sent.profile.size >= self._too_long
                if not too_long and not 0 < capacity <= len(records):
                    records[self._entries.next_id] = sent.profile
                self._entries.next_id += 1
        self._sent = []
