"""The expert that the language model learns from: it reads the world exactly, and knows no more than it has read.

It reads sentences and questions with the tables that the world writes from, as the engine `world` does, and looks at no
gold. A question of two hops asks for a fact of somebody whom another fact names. It keeps that first fact; of second
facts it keeps the one of the right person once the first is known, and until then as many as leave room for the
first; an entry that has turned out wrong it deletes when room is needed. With its first entry it searches for the
question, so that its entries are shown from then on: a second fact can be recognised by an entry alone. An entry is
a note: its subject as the title, and the fact in its plainest words; of a sentence that the chunk's end cuts nothing
is kept. Before each reply it says what is wanted still ("spouse of Leo Drainshaw"). Both are for the student: a small
model finds what stands beside the name of a fact, and hardly the first word of the sentence that holds it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from string import Formatter
from typing import NamedTuple

from setting import READER

from atommem_env.baselines.common import Info, LookThenAnswer, Observation, Operations
from atommem_env.baselines.engines.engine import EngineSpec
from atommem_env.baselines.second_look import SecondLook
from atommem_env.core.operations import Create, Delete, Read
from atommem_env.data.world.asked import Named, Reached, senses
from atommem_env.data.world.statements import Statement, stated
from atommem_env.data.world.templates import FACTS
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


def worded(fact: Statement, sentence: str) -> str:
    """Return a fact in its plainest words: the world's first sentence for it that says nothing else."""
    for template in FACTS[fact.kind].get(fact.relation, ()):
        if {slot for _, slot, _, _ in Formatter().parse(template) if slot} == {"s", "o"}:
            return template.format(s=fact.subject, o=fact.value)
    return sentence


def facts(lines: Iterable[str]) -> list[tuple[str, Statement]]:
    """Return the facts that whole sentences state, each with the entry that keeps it."""
    whole = (sentence.strip() for line in lines for sentence in sentences(line))
    return [
        (f"{fact.subject}\n{worded(fact, sentence)}", fact) for sentence in whole for fact in stated(sentence)
    ]


def facts_kept(question: str, evidence: Sequence[str], entries: Iterable[str]) -> float:
    """Return the share of a question's evidence of which an entry states what the question asks for, in any words.

    The funnel compares words, and passes over a plain note of a sentence that says more; the world's tables do not.

    Args:
        question: a question of two hops.
        evidence: the sentences that it rests on.
        entries: what is in memory.
    """

    def stating(sentences: Iterable[str]) -> set[tuple[str, ...]]:
        return {fact[:4] for text in sentences for _, fact in facts(text.splitlines())}

    pairs = {(chain.kind, chain.first) for chain in chains(question)}
    pairs |= {(chain.between, chain.second) for chain in chains(question)}
    held = {fact for fact in stating(entries) if (fact[0], fact[2]) in pairs}
    return sum(bool(stating([unit]) & held) for unit in evidence) / len(evidence)


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
        self.ask(observation["questions"][0])

    def ask(self, question: str) -> None:
        """Take the question that it is to read for."""
        self._chains = chains(question)

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

    def thought(self, observation: Observation) -> str:
        """Return what is wanted still, as far as the entries in view tell: what a reply begins with."""
        held = [
            fact for entry in observation["retrieved"] for _, fact in facts(entry["content"].splitlines())
        ]
        names = dict.fromkeys(fact.value for fact in held if self._is_first(fact))
        there = {fact.subject for fact in held if self._is_second(fact, set(names))}
        wanted = [
            f"{chain.second} of {name}" for chain in self._chains for name in names if name not in there
        ]
        if not names:
            for chain in self._chains:
                wanted += [f"{chain.first} of {chain.name}", f"then {chain.second} of that {chain.between}"]
        return "; ".join(dict.fromkeys(wanted)) or "nothing more"

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
