"""What a policy may note about the entries of a store: numbers by id, never what an entry says."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Generic, TypeVar

from atommem_env.core.operations import ResultDict
from atommem_env.core.types import Observation

Record = TypeVar("Record")


class Ledger(Generic[Record]):
    """What a policy notes about each entry that exists: its own record for every id, never the content.

    With each action, :meth:`expect` takes the records of its Creates; at the next observation, :meth:`follow`
    files them under the ids that the environment gave, and drops those of entries that are gone. A refused
    Create leaves no record, so ``records`` holds the ids that are alive and no other. Where the results of an action
    are never told, before the first of isolated questions, all its Creates count as accepted.

    A record is a value: it is replaced, never changed, so that a deep copy of a ledger shares them.

    Attributes:
        records: the records by id, in the order of creation.
        next_id: the id that the next Create gets; every Create consumes one, refused or not.
    """

    def __init__(self) -> None:
        self.records: dict[int, Record] = {}
        self.next_id = 1
        self._expected: list[Record] = []

    def __deepcopy__(self, memo: dict[int, object]) -> Ledger[Record]:
        """Return a ledger of its own with the same records."""
        made: Ledger[Record] = Ledger()
        made.records, made.next_id = dict(self.records), self.next_id
        made._expected = list(self._expected)
        return made

    def expect(self, records: Iterable[Record]) -> None:
        """Note the records of the Creates of the action about to be submitted, one for each, in order."""
        self._expected = list(records)

    def follow(self, observation: Observation) -> list[tuple[Record, ResultDict]]:
        """Take in the results of the last action; return the expected records, each with its Create's result."""
        if self._expected and not observation["results"]:
            return self._assume()
        expected = iter(self._expected)
        self._expected = []
        created = []
        for result in observation["results"]:
            id = result["id"]
            gone = id if result["op"] == "delete" and result["ok"] else result["evicted"]
            if gone is not None and gone in self.records:
                del self.records[gone]
            if result["op"] == "create":
                self.next_id = (id or self.next_id) + 1
                for record in itertools.islice(expected, 1):
                    created.append((record, result))
                    if id is not None:
                        self.records[id] = record
        return created

    def _assume(self) -> list[tuple[Record, ResultDict]]:
        """File the expected records as if nothing had been refused: an isolated question begins without results."""
        for id, record in enumerate(self._expected, self.next_id):
            self.records[id] = record
        self.next_id += len(self._expected)
        self._expected = []
        return []
