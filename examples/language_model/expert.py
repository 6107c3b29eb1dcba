"""The expert that the language model learns from: it reads the world exactly, and knows no more than it has read.

It reads sentences and questions with the tables that the world writes from, as the engine `world` does, and looks at no
gold. A question of two hops asks for a fact of somebody whom another fact names. It keeps that first fact; of second
facts it keeps the one of the right person once the first is known, and until then as many as leave room for the
first; an entry that has turned out wrong it deletes when room is needed. With its first entry it searches for the
question, so that its entries are shown from then on: a second fact can be recognised by an entry alone. An entry
is a sentence as the chunk shows it; of one that the chunk's end cuts nothing is kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from setting import READER

from atommem_env.baselines.common import Info, LookThenAnswer, Observation, Operations
from atommem_env.baselines.engines.engine import EngineSpec
from atommem_env.baselines.second_look import SecondLook
from atommem_env.core.operations import Create, Delete, Read
from atommem_env.data.world.asked import Named, Reached, senses
from atommem_env.data.world.statements import Statement, stated
from atommem_env.text import sentences


class Chain(NamedTuple):
    """A question of two hops in one of its senses: `second` of whoever is `first` of `name`."""

    kind: str
    name: str
    first: str
    between: str
    second: str


def chains(question: str) -> list[Chain]:
    """Return the senses of a question of two hops."""
    return [
        Chain(
            sense.start.start.kind,
            sense.start.start.name,
            sense.start.relation,
            sense.start.kind,
            sense.relation,
        )
        for sense in senses(question)
        if isinstance(sense, Reached)
        and isinstance(sense.start, Reached)
        and isinstance(sense.start.start, Named)
    ]


def facts(lines: Iterable[str]) -> list[tuple[str, Statement]]:
    """Return the facts that whole sentences state, each with its sentence."""
    whole = (sentence.strip() for line in lines for sentence in sentences(line))
    return [(f"{fact.subject}\n{sentence}", fact) for sentence in whole for fact in stated(sentence)]


class CarefulWriter(LookThenAnswer):
    """Keeps the two facts that a question of the generated world asks for, as far as they can be told on reading.

    Args:
        engine: who answers.
    """

    name = "careful"

    def __init__(self, engine: EngineSpec = READER) -> None:
        super().__init__(engine)
        self._chains: list[Chain] = []

    def reset(self, observation: Observation, info: Info) -> None:
        """Get ready for a new episode."""
        super().reset(observation, info)
        self._chains = chains(observation["questions"][0])

    def read_chunk(self, observation: Observation) -> Operations:
        """Keep what the question asks about, or may turn out to ask about."""
        new = facts(observation["chunk"].splitlines())
        held = {entry["id"]: facts(entry["content"].splitlines()) for entry in observation["retrieved"]}
        known = [fact for _, fact in (*new, *(pair for pairs in held.values() for pair in pairs))]
        names = {fact.value for fact in known if self._is_first(fact)}
        room = observation["capacity"] - observation["memory_size"]
        wanted = [text for text, fact in new if self._is_first(fact) or self._is_second(fact, names)]
        texts = list(dict.fromkeys(wanted))
        if not names:
            texts = texts[: max(0, room - 1)]
        wrong = [
            id
            for id, pairs in held.items()
            if not any(self._is_first(fact) or self._is_second(fact, names) for _, fact in pairs)
        ]
        gone = wrong[: max(0, len(texts) - room)]
        texts = texts[: room + len(gone)]
        looks = [Read(observation["questions"][0])] if texts and not observation["queries"] else []
        return [*map(Delete, gone), *map(Create, texts), *looks]

    def _is_first(self, fact: Statement) -> bool:
        return any(
            (fact.kind, fact.subject, fact.relation) == (chain.kind, chain.name, chain.first)
            for chain in self._chains
        )

    def _is_second(self, fact: Statement, names: set[str]) -> bool:
        """Whether it is a second fact, of one of these names, or of anybody where none is known."""
        return any(
            (fact.kind, fact.relation) == (chain.between, chain.second) for chain in self._chains
        ) and (not names or fact.subject in names)


def expert() -> SecondLook:
    """Return the expert with the reader that all writers have."""
    return SecondLook(CarefulWriter())
