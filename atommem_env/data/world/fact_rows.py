"""The world as numbered facts, of which the later holds, in the schema of MemoryAgentBench's conflict resolution."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from atommem_env.data.world.entities import Entity, Scene
from atommem_env.data.world.model import WorldConfig
from atommem_env.data.world.names import Names
from atommem_env.data.world.relations import RELATIONS, Relation
from atommem_env.data.world.templates import FACTS
from atommem_env.text import digest

FACT_COUNTS: Final = {"6k": 455, "32k": 2310, "64k": 4580, "262k": 18332}
"""About how many facts a list has, by what its length is called; as many as the benchmark's."""

_QUESTIONS: Final = 100
_CHANGED: Final = 0.35
_STARTS: Final = ("film", "novel", "album", "company", "school", "structure", "event", "town", "person")


class _Fact(NamedTuple):
    """A fact, and where it stands: at a share of the list."""

    place: float
    text: str


def fact_rows(config: WorldConfig, lengths: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """Yield a row for each length and each number of hops (``sh``: one, ``mh``: two).

    The two of a length share their facts. Of about a third of the facts a later one names another object; questions are
    about what holds at the end.

    Args:
        config: gives the seed.
        lengths: of :data:`FACT_COUNTS`.
    """
    for length in lengths:
        facts, single, several = _made(config.seed, length)
        listed = (f"{number}. {text}" for number, text in enumerate(facts))
        context = "\n".join(["Here is a list of facts:", *listed])
        for hop, asked in (("sh", single), ("mh", several)):
            source = f"factconsolidation_{hop}_{length}"
            yield {
                "context": context,
                "questions": [question for question, _ in asked],
                "answers": [[answer] for _, answer in asked],
                "metadata": {"source": source, "qa_pair_ids": [f"{source}_no{n}" for n in range(len(asked))]},
            }


_Asked = list[tuple[str, str]]


def _made(seed: int, length: str) -> tuple[list[str], _Asked, _Asked]:
    """Return the facts of a list, and questions of one hop and of two, with their answers."""
    rng = random.Random(int.from_bytes(digest("world facts", seed, length), "little"))
    count = FACT_COUNTS[length]
    facts: list[_Fact] = []
    single: _Asked = []
    several: _Asked = []
    block = 0
    while len(facts) < count:
        scene = Scene(rng, Names(block, seed, rng))
        block += 1
        for kind in _STARTS:
            entity = scene.new(kind)
            for relation in _relations(kind):
                fact, target = _fact(scene, entity, relation, rng.random())
                facts.append(fact)
                if rng.random() < _CHANGED:
                    place = fact.place + rng.random() * (1 - fact.place)
                    fact, target = _fact(scene, entity, relation, place)
                    facts.append(fact)
                single.append((relation.asks[0].format(x=_called(entity)), target.name))
                onward = _relations(target.kind)
                if onward:
                    second = onward[rng.randrange(len(onward))]
                    fact, end = _fact(scene, target, second, rng.random())
                    facts.append(fact)
                    words = relation.nouns[0].format(x=_called(entity))
                    several.append((second.asks[0].format(x=words), end.name))
    texts = [fact.text for fact in sorted(facts)]
    chosen, chains = (rng.sample(asked, min(_QUESTIONS, len(asked))) for asked in (single, several))
    return texts, chosen, chains


def _fact(scene: Scene, entity: Entity, relation: Relation, place: float) -> tuple[_Fact, Entity]:
    """Return a fact about ``entity`` that ends with its object, and the object."""
    target = scene.target(entity, relation)
    entity["o"] = target.name
    return _Fact(place, _ending(relation).format_map(entity)), target


def _relations(kind: str) -> list[Relation]:
    """Return the relations of a kind of entities to others that a sentence states with its object at the end."""
    return [item for item in RELATIONS if item.domain == kind and item.range in FACTS and _ending(item)]


def _ending(relation: Relation) -> str:
    return next(
        (text for text in FACTS[relation.domain].get(relation.name, ()) if text.endswith(" {o}.")), ""
    )


def _called(entity: Entity) -> str:
    return f"the {entity.name}" if entity.kind in ("structure", "event") else entity.name
