"""Where each unit of evidence went, step by step: what the viewer's page says of the funnel."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, NamedTuple, cast

from atommem_env.core.operations import SCRATCHPAD
from atommem_env.evidence import EvidenceTracker, WordShares, evidence_units
from atommem_env.policies import Trace
from atommem_env.tasks.task import Task
from atommem_env.text import clean

EVENTS: Final = ("seen", "written", "lost", "kept", "read")
"""What can happen to a unit of evidence."""


class Event(NamedTuple):
    """Something that happened to a unit of evidence.

    Attributes:
        kind: one of :data:`EVENTS`. A unit that was lost may be written again.
        step: the step, from 1: the one whose action wrote or lost the unit, or whose observation showed or
            asked for it.
        id: the entry that holds it (``written``, ``kept``, ``read``) or held it last (``lost``).
        operation: the position in the step's action of the operation that wrote or lost it.
    """

    kind: str
    step: int
    id: int | None = None
    operation: int | None = None


class EvidenceHistory(EvidenceTracker):
    """The funnel of an episode, and when each unit reached its stages.

    Attributes:
        events: for each unit, what happened to it, in order.
        holds: ``(step, id, units)``, whenever the units that an entry holds change.

    Args:
        trace: an episode whose observations are the environment's own.
        task: its task.
        word_shares: the environment's, or ``None``: every word is rare.
    """

    def __init__(self, trace: Trace, task: Task, word_shares: WordShares | None = None) -> None:
        units = evidence_units(task, word_shares)
        super().__init__(units, word_shares)
        self.events: list[list[Event]] = [[] for _ in units]
        self.holds: list[tuple[int, int, list[int]]] = []
        self._step = 1
        self._causes: dict[int, int] = {}
        self._follow(trace, task)

    def _follow(self, trace: Trace, task: Task) -> None:
        contents: dict[int, str] = {}
        last = len(trace.actions)
        isolated = bool(getattr(trace.infos[0].get("rules"), "isolate_questions", False))
        place: tuple[int, int] | None = None
        base: tuple[dict[int, str], dict[int, list[int]]] | None = None
        for number, observation in enumerate(trace.observations[: last + (not trace.over)]):
            self._step = number + 1
            shown = {SCRATCHPAD, *(row["id"] for row in observation["retrieved"])}
            reading = observation["phase"] == 0
            here = observation["phase"], observation["cursor"]
            if place is not None and place[0] and here != place:
                self.close(place[1])
            if isolated and place is not None and here != place:
                if base is not None:
                    contents = dict(base[0])
                    self.restore(base[1])
                base = None if reading else (dict(contents), self.holding())
            place = here
            if reading:
                self.show(task.chunks[observation["cursor"]][1])
            else:
                self.ask(observation["cursor"], shown)
            if number == last:
                break
            results = trace.infos[number + 1]["results"]
            early = reading and any(result.op == "answer" and result.ok for result in results)
            if early:
                self.ask(0, shown)
            action = cast("list[dict[str, Any]]", trace.actions[number])
            self._causes = changes(action, results, contents)
            asked = observation["cursor"] if isolated and not reading else None
            self.write([(id, contents.get(id)) for id in self._causes], asked)
            if early:
                self.close(0)

    def restore(self, holding: Mapping[int, list[int]]) -> None:
        """Go back to what the entries held before a question, which is not an event."""
        old = self.holding()
        super().restore(holding)
        for id in old.keys() | holding.keys():
            if old.get(id, []) != holding.get(id, []):
                self.holds.append((self._step, id, holding.get(id, [])))

    def show(self, end: int) -> None:
        """Note that a chunk up to offset ``end`` of the task's text has been shown."""
        before = self._num_seen
        super().show(end)
        for _, unit in self._ends[before : self._num_seen]:
            self.events[unit].append(Event("seen", self._step))

    def write(self, changes: Iterable[tuple[int, str | None]], question: int | None = None) -> None:
        """Note what the entries that a step wrote say at its end; ``None`` stands for a removed entry."""
        changed = list(changes)
        before = [set(holders) for holders in self._holders]
        held = {id: self._held.get(id, []) for id, _ in changed}
        super().write(changed, question)
        for id, _ in changed:
            if self._held.get(id, []) != held[id]:
                self.holds.append((self._step, id, self._held.get(id, [])))
        for unit, (old, new) in enumerate(zip(before, self._holders, strict=True)):
            if bool(old) != bool(new):
                id = min(new) if new else max(old, key=self._causes.__getitem__)
                kind = "written" if new else "lost"
                self.events[unit].append(Event(kind, self._step, id, self._causes[id]))

    def ask(self, question: int, shown: Collection[int]) -> None:
        """Note an observation that asked ``question`` and showed the entries ``shown`` (scratchpad included)."""
        before = {stage: set(self._reached[stage]) for stage in ("kept", "read")}
        super().ask(question, shown)
        for stage, units in before.items():
            for unit in sorted(self._reached[stage] - units):
                holders = self._holders[unit] if stage == "kept" else self._holders[unit] & set(shown)
                self.events[unit].append(Event(stage, self._step, min(holders)))


def changes(
    action: Iterable[Mapping[str, Any]], results: Iterable[Any], contents: dict[int, str]
) -> dict[int, int]:
    """Carry out the accepted operations of ``action`` on ``contents``, and return what each entry was changed by.

    Args:
        action: the operations in plain form.
        results: the result of each, as ``OperationResult``.
        contents: the entries' contents by id, the scratchpad under 0; changed in place.

    Returns:
        For each entry that changed, the position of the last operation that did it.
    """
    causes: dict[int, int] = {}
    for position, (operation, result) in enumerate(zip(action, results, strict=True)):
        if not result.ok or result.id is None:
            continue
        for id in (result.evicted, result.id):
            if id is not None:
                causes[id] = position
        contents.pop(result.evicted, None)
        if result.op == "delete":
            contents.pop(result.id, None)
        else:
            contents[result.id] = clean(operation["content"])
    return causes
