"""The expert that the language model learns from: it reads the world exactly, and knows no more than it has read.

It reads sentences and questions with the tables that the world writes from, as the engine `world` does, and looks at no
gold. A question of two hops asks for a fact of somebody whom another fact names. It keeps that first fact; of second
facts it keeps the one of the right person once the first is known, and until then as many as leave room for the
first; an entry that has turned out wrong it deletes when room is needed. In its first reply it searches for the
question, so that its entries are shown from then on: a second fact can be recognised by an entry alone. An entry is
a note: its subject as the title, and the fact in its plainest words; of a sentence that the chunk's end cuts nothing
is kept. Before each reply it says of each fact that is wanted what this chunk tells: "spouse of Leo Drainshaw: not
here". Both are for the student: a small model finds what stands beside the name of a fact, and hardly the first word of
the sentence that holds it; and whether to keep anything follows from what it has just said. `drill` asks the same of
other facts that a chunk states, or might.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from string import Formatter
from typing import Final, NamedTuple

from setting import READER

from atommem_env.baselines.common import Info, LookThenAnswer, Observation, Operations
from atommem_env.baselines.engines.engine import EngineSpec
from atommem_env.baselines.second_look import SecondLook
from atommem_env.core.operations import Create, Delete, Read
from atommem_env.data.world.asked import Named, Reached, senses
from atommem_env.data.world.statements import Statement, stated
from atommem_env.data.world.templates import FACTS
from atommem_env.text import sentences

NOT_HERE: Final = "not here"
"""What is said of a fact of which a chunk tells nothing."""


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


def drill(chunk: str, around: Iterable[str], size: int, draw: random.Random) -> list[tuple[str, str]]:
    """Return facts by their names, and what a chunk tells of each: half of them, where it states so many, nothing.

    Args:
        chunk: a chunk.
        around: all chunks of the text, this one too: their people and things are asked about.
        size: the most facts.
        draw: which, and in which order.
    """

    def stating(text: str) -> list[Statement]:
        return [fact for _, fact in facts(text.splitlines()) if fact.relation in FACTS[fact.kind]]

    told = [stating(text) for text in around]
    # A sentence may fit two kinds, since films and albums are both produced: the one that is said more often counts.
    votes = Counter((fact.subject, fact.kind) for text in told for fact in text)
    kinds = {name: kind for (name, kind), _ in reversed(votes.most_common())}
    fitting = [fact for fact in stating(chunk) if fact.kind == kinds[fact.subject]]
    here = {(fact.subject, fact.relation): fact.value for fact in fitting}
    asked = {(fact.kind, fact.relation) for text in told for fact in text}
    every = [(name, relation) for name in kinds for kind, relation in sorted(asked) if kind == kinds[name]]
    missing = [pair for pair in every if pair not in here]
    some = draw.sample(sorted(here), min(len(here), size - size // 2))
    some += draw.sample(missing, min(len(missing), size // 2))
    draw.shuffle(some)
    return [(f"{relation} of {name}", here.get((name, relation), NOT_HERE)) for name, relation in some]


def _held(observation: Observation) -> list[tuple[int, list[tuple[str, Statement]]]]:
    """Return the facts of each entry in view, by its id."""
    return [(entry["id"], facts(entry["content"].splitlines())) for entry in observation["retrieved"]]


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
        room = observation["capacity"] - observation["memory_size"]
        held = _held(observation)
        told = self._told(observation)
        names = {fact.value for _, pairs in held for _, fact in pairs if self._is_first(fact)}
        names |= {fact.value for _, _, fact in told if fact and self._is_first(fact)}
        wrong = [
            id
            for id, pairs in held
            if not any(self._is_first(fact) or self._is_second(fact, names) for _, fact in pairs)
        ]
        texts = [text for _, text, fact in told if fact]
        gone = wrong[: max(0, len(texts) - room)]
        looks = [] if observation["queries"] else [Read(observation["questions"][0])]
        return [*map(Delete, gone), *map(Create, texts[: room + len(gone)]), *looks]

    def thought(self, observation: Observation) -> str:
        """Return what a reply begins with: each fact that is wanted, and what this chunk tells of it."""
        told = self._told(observation)
        return (
            "\n".join(f"{name}: {fact.value if fact else NOT_HERE}" for name, _, fact in told)
            or "nothing more"
        )

    def _told(self, observation: Observation) -> list[tuple[str, str, Statement | None]]:
        """Return the facts that are wanted: the name of each, its entry, and what this chunk states."""
        new = facts(observation["chunk"].splitlines())
        held = [fact for _, pairs in _held(observation) for _, fact in pairs]
        names = list(dict.fromkeys(fact.value for fact in held if self._is_first(fact)))
        told: dict[str, tuple[str, Statement | None]] = {}
        if not names:
            for chain in self._chains:
                here = [pair for pair in new if self._is_first(pair[1])]
                told[f"{chain.first} of {chain.name}"] = here[0] if here else ("", None)
                names += [fact.value for _, fact in here[:1] if fact.value not in names]
        there = {fact.subject for fact in held if self._is_second(fact, set(names))}
        for chain in self._chains:
            for name in names:
                if name not in there:
                    here = [pair for pair in new if self._is_second(pair[1], {name})]
                    told[f"{chain.second} of {name}"] = here[0] if here else ("", None)
        if not names:
            room = observation["capacity"] - observation["memory_size"]
            other = {
                f"{fact.relation} of {fact.subject}": (text, fact)
                for text, fact in new
                if self._is_second(fact, set())
            }
            told |= dict(list(other.items())[: max(0, room - 1)])
        return [(name, *pair) for name, pair in told.items()]

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
