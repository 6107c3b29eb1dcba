"""How a question of the generated world is made: its facts first, then its words, then its paragraphs."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from atommem_env.core.operations import as_index
from atommem_env.data.world.entities import ENTITY_KINDS, Entity, Scene
from atommem_env.data.world.model import (
    SPLITS,
    SupportingFact,
    Triple,
    WorldConfig,
    WorldHop,
    WorldParagraph,
    WorldQuestion,
)
from atommem_env.data.world.names import Names
from atommem_env.data.world.relations import (
    BRIDGED_ASKS,
    BRIDGED_MEETINGS,
    BRIDGED_ORDERS,
    CHAIN_STARTS,
    INFERENCES,
    MEETINGS,
    NAMED,
    ORDERS,
    ROLES,
    Order,
    Relation,
    starts,
)
from atommem_env.data.world.templates import COUNTRIES, JOBS
from atommem_env.text import digest


def generate(config: WorldConfig, split: str, index: int) -> WorldQuestion:
    """Return question ``index`` of ``split``: a pure function of the arguments.

    Args:
        config: the world.
        split: ``"train"``, ``"validation"`` or ``"test"``.
        index: any integer from 0; it may exceed ``config.size``.

    Raises:
        ValueError: when the split is unknown or the index is negative.
    """
    block = _block(split, index)
    index = block // len(SPLITS)  # a plain int, whatever came in
    group, slot = divmod(index, _plan_size(config.kinds))
    kind, coin, variant = _plan(config.kinds, config.seed, split, group)[slot]
    seed = digest("world question", config.seed, split, index)
    rng = random.Random(int.from_bytes(seed, "little"))
    scene = Scene(rng, Names(block, config.seed, rng))
    request = _Request(
        kind,
        scene.between(*config.hops),
        coin,
        variant,
        scene.chance(config.revisions) and kind != "inference",
    )
    return _assemble(
        scene, request, _MAKERS[kind](scene, request), block, seed[:12].hex(), config.num_paragraphs
    )


def _block(split: str, index: int) -> int:
    if split not in SPLITS:
        raise ValueError(f"split={split!r}: the generated world has the splits {', '.join(SPLITS)}.")
    number = as_index(index)
    if number is None or number < 0:
        raise ValueError(f"index={index!r}: expected a whole number from 0 up.")
    return number * len(SPLITS) + SPLITS.index(split)


_VARIANTS = 3


def _plan_size(kinds: tuple[str, ...]) -> int:
    return 2 * _VARIANTS * len(kinds)


@functools.lru_cache(maxsize=64)
def _plan(kinds: tuple[str, ...], seed: int, split: str, group: int) -> tuple[tuple[str, bool, int], ...]:
    """Return the kinds of a group of consecutive questions, each with either coin and any variant equally often.

    The coin decides between yes and no, and between the first and the second option, so that both come
    equally often in each group, whatever the variant.
    """
    slots = [
        (kind, coin, variant) for kind in kinds for coin in (False, True) for variant in range(_VARIANTS)
    ]
    random.Random(int.from_bytes(digest("world plan", seed, split, group), "little")).shuffle(slots)
    return tuple(slots)


class _Request(NamedTuple):
    kind: str
    hops: int
    coin: bool
    variant: int
    revised: bool


class _Fact(NamedTuple):
    """A fact that the answer rests on, and the step that it answers.

    Attributes:
        entity: the subject.
        relation: the relation.
        ask: the step as a question.
        target: the object, when it is an entity with paragraphs.
        old: the object before a revision; ``None`` when the fact was not revised.
        former: the forms of ``old`` as an answer.
    """

    entity: Entity
    relation: Relation
    ask: str
    target: Entity | None = None
    old: str | None = None
    former: tuple[str, ...] = ()

    @property
    def value(self) -> str:
        """The object's name or value."""
        return self.entity[self.relation.name]

    @property
    def triples(self) -> tuple[Triple, ...]:
        """The fact as triples."""
        name = self.entity.name
        if self.relation.name == "life":
            return (
                Triple(name, "date of birth", self.entity["birth"]),
                Triple(name, "date of death", self.entity["death"]),
            )
        value = self.entity["country"] if self.relation.name == "nat" else self.value
        return (Triple(name, self.relation.label, value),)

    @property
    def answer(self) -> str:
        """The answer of the step."""
        return self.entity["country"] if self.relation.name == "nat" else self.value


@dataclass(slots=True)
class _Draft:
    """A question before it has paragraphs.

    Attributes:
        question: the question.
        answer: the answer.
        aliases: other forms of it.
        facts: what the answer rests on, in order.
        chains: the facts by the entity that they start from; distractors are modelled on them.
        detours: facts about what a superseded fact leads to.
        former: the answer while a superseded fact held, and its other forms; empty where the paragraphs do not say.
    """

    question: str
    answer: str
    aliases: tuple[str, ...]
    facts: list[_Fact]
    chains: list[list[_Fact]]
    detours: list[tuple[Entity, str]] = field(default_factory=list)
    former: tuple[str, ...] = ()


# --- chains -----------------------------------------------------------------------------------------


def _called(entity: Entity) -> str:
    """Return what a question calls ``entity``."""
    return f"the {entity.name}" if entity.kind in ("structure", "event") else entity.name


def _chain(scene: Scene, request: _Request) -> _Draft:
    table = starts(request.hops, request.revised)
    paths = table[scene.pick(tuple(table))]
    path = paths[scene.below(len(paths))]
    facts, detours = _follow(scene, path, _revised_hop(scene, path) if request.revised else None)
    words = scene.pick(CHAIN_STARTS.get(path[0].domain, ("{s}",))).format_map(facts[0].entity)
    for relation in path[:-1]:
        words = scene.pick(relation.phrases if request.kind == "bridge" else relation.nouns).format(x=words)
    last = path[-1]
    question = scene.pick(last.asks + last.short_asks if request.hops == 2 else last.asks).format(x=words)
    return _Draft(question, facts[-1].value, _aliases(facts[-1]), facts, [facts], detours, facts[-1].former)


def _revised_hop(scene: Scene, path: tuple[Relation, ...]) -> int:
    hops = [hop for hop, relation in enumerate(path) if relation.state]
    return hops[scene.below(len(hops))]


def _follow(
    scene: Scene, path: tuple[Relation, ...], revised: int | None = None, first: Entity | None = None
) -> tuple[list[_Fact], list[tuple[Entity, str]]]:
    """Make the entities of a chain; ``revised`` is the hop whose fact is superseded."""
    entity = first or scene.new(path[0].domain)
    facts: list[_Fact] = []
    detours: list[tuple[Entity, str]] = []
    for hop, relation in enumerate(path):
        target = old = None
        names: tuple[str, ...] = ()
        if relation.range != "literal":
            target = scene.target(entity, relation, revised=hop == revised)
            entity[relation.name] = target.name
            if hop == revised:
                former = scene.target(entity, relation, stem=target.stem)
                old = former.name
                names = _forms(former)
                if hop + 1 < len(path):
                    detours.append((former, path[hop + 1].name))
        subject = _called(entity) if hop == 0 else f"#{hop}"
        facts.append(_Fact(entity, relation, relation.asks[0].format(x=subject), target, old, names))
        if target is not None:
            entity = target
    return facts, detours


def _inference(scene: Scene, request: _Request) -> _Draft:
    first, second, _, wordings = INFERENCES[scene.below(len(INFERENCES))]
    person = scene.new("person")
    path = (NAMED["person", first], NAMED["person", second])
    facts, _ = _follow(scene, path, first=person)
    question = scene.pick(wordings).format(x=person.name)
    return _Draft(question, facts[-1].value, _aliases(facts[-1]), facts, [facts])


def _forms(entity: Entity) -> tuple[str, ...]:
    """Return an entity's name, and the plain one where that is another."""
    return (entity.name,) if entity.plain == entity.name else (entity.name, entity.plain)


def _aliases(fact: _Fact) -> tuple[str, ...]:
    """Return the other forms of a fact's object."""
    value = fact.value
    if fact.target is not None:
        return () if fact.target.plain == value else (fact.target.plain,)
    if fact.relation.name == "birth":
        day, month, year = value.split(" ")
        return (f"{month} {day}, {year}",)
    if fact.relation.name == "river":
        return (value.removeprefix("River "),)
    return ()


# --- comparisons ------------------------------------------------------------------------------------


def _comparison(scene: Scene, request: _Request) -> _Draft:
    orders = [order for order in ORDERS if not request.revised or _named(order).state]
    order = orders[scene.below(len(orders))]
    pair = (scene.new(order.domain, order.variant), scene.new(order.domain, order.variant))
    least = scene.chance(0.5)
    facts = _ordered_facts(scene, order, pair, least, request)
    question = scene.pick(order.least if least else order.most).format(a=_called(pair[0]), b=_called(pair[1]))
    return _options_draft(question, pair, facts, [[fact] for fact in facts], request)


def _options_draft(
    question: str,
    pair: tuple[Entity, Entity],
    facts: list[_Fact],
    chains: list[list[_Fact]],
    request: _Request,
) -> _Draft:
    winner, loser = pair if request.coin else (pair[1], pair[0])
    name, *aliases = _forms(winner)
    former = _forms(loser) if request.revised else ()
    return _Draft(question, name, tuple(aliases), facts, chains, former=former)


def _named(order: Order) -> Relation:
    return NAMED[order.domain, order.relation]


def _ordered_facts(
    scene: Scene,
    order: Order,
    pair: tuple[Entity, Entity],
    least: bool,
    request: _Request,
    step: int | None = None,
) -> list[_Fact]:
    """Give both entities values such that the one the coin says is the answer, and return the two facts.

    Args:
        scene: the question.
        order: what is compared.
        pair: the entities, in the order of the question.
        least: whether the one with the least value is the answer.
        request: holds the coin (true: the first is the answer) and whether one value is revised.
        step: the step whose answer is the first entity, when the question does not name the two.
    """
    low, high = pair if least == request.coin else (pair[1], pair[0])
    relation = _named(order)
    _set_order(scene, relation.name, low, high)
    revised = scene.below(2) if request.revised else None
    facts = []
    for position, entity in enumerate(pair):
        old = None
        if position == revised:
            bound = int((high if entity is low else low)[relation.name].replace(",", ""))
            ratio = 1.05 + scene.rng.random() * 0.7
            old = f"{int(bound * ratio) + 1 if entity is low else int(bound / ratio):,}"
        name = _called(entity) if step is None else f"#{step + position}"
        facts.append(_Fact(entity, relation, relation.asks[0].format(x=name), None, old))
    return facts


def _set_order(scene: Scene, fact: str, low: Entity, high: Entity) -> None:
    """Give two entities values of ``fact`` that differ clearly: the lower one to ``low``."""
    if fact == "birth":
        low.year = scene.between(1850, 1958)
        high.year = low.year + scene.between(1, 18)
    elif fact == "death":
        low.death_year = scene.between(1895, 2000)
        high.death_year = low.death_year + scene.between(1, 18)
        for entity in (low, high):
            entity.year = (entity.death_year or 0) - scene.between(50, 88)
    elif fact == "life":
        span = scene.between(48, 80)
        for entity, age in ((low, span), (high, span + scene.between(2, 16))):
            entity.year = scene.between(1820, 1925)
            entity.death_year = entity.year + age
    elif fact in ("population", "employees", "length", "height"):
        number = int(low[fact].replace(",", ""))
        low[fact] = f"{number:,}"
        high[fact] = f"{int(number * (1.06 + scene.rng.random() * 0.8)) + 1:,}"
    else:
        high.year = low.year + scene.between(1, 9)


# --- yes or no --------------------------------------------------------------------------------------


def _yes_no(scene: Scene, request: _Request) -> _Draft:
    meetings = [item for item in MEETINGS if not request.revised or NAMED[item[0], item[1]].state]
    kind, fact, wordings = meetings[scene.below(len(meetings))]
    pair = (scene.new(kind), scene.new(kind))
    facts = _met_facts(scene, NAMED[kind, fact], pair, request)
    jobs = pair[scene.below(2)]["job"] + "s" if fact == "job" else ""
    question = scene.pick(wordings).format(a=_called(pair[0]), b=_called(pair[1]), jobs=jobs)
    return _yes_no_draft(question, facts, [[fact] for fact in facts], request)


def _yes_no_draft(question: str, facts: list[_Fact], chains: list[list[_Fact]], request: _Request) -> _Draft:
    answer, other = ("yes", "no") if request.coin else ("no", "yes")
    return _Draft(question, answer, (), facts, chains, former=(other,) if request.revised else ())


def _met_facts(
    scene: Scene, relation: Relation, pair: tuple[Entity, Entity], request: _Request, step: int | None = None
) -> list[_Fact]:
    """Give both entities the same object of ``relation`` when the coin says yes, else two."""
    same, other = _two_values(scene, relation)
    values = (same, same) if request.coin else (same, other)
    revised = scene.below(2) if request.revised else None
    facts = []
    for position, (entity, value) in enumerate(zip(pair, values, strict=True)):
        if relation.name in ("nat", "country"):
            entity.settle_country(int(value))
        else:
            entity[relation.name] = value
        old = None
        if position == revised:
            old = other if request.coin else values[1 - position]
        name = _called(entity) if step is None else f"#{step + position}"
        facts.append(_Fact(entity, relation, relation.asks[0].format(x=name), None, old))
    return facts


def _two_values(scene: Scene, relation: Relation) -> tuple[str, str]:
    """Return two different objects of ``relation``; countries as numbers."""
    if relation.name in ("nat", "country"):
        return _two(scene, [str(number) for number in range(len(COUNTRIES))])
    if relation.name == "job":
        return _two(scene, list(JOBS))
    if relation.range == "person":
        return scene.any_person(), scene.any_person()
    stem = scene.fresh_stem(relation.range)
    return scene.any_object(relation, stem), scene.any_object(
        relation, stem if scene.chance(0.5) else scene.fresh_stem(relation.range)
    )


def _two(scene: Scene, items: list[str]) -> tuple[str, str]:
    first = scene.below(len(items))
    return items[first], items[(first + 1 + scene.below(len(items) - 1)) % len(items)]


# --- comparisons of makers --------------------------------------------------------------------------


def _bridge_comparison(scene: Scene, request: _Request) -> _Draft:
    return (_bridged_order if request.variant else _bridged_meeting)(scene, request)


def _makers(
    scene: Scene, kind: str, role: str
) -> tuple[tuple[Entity, Entity], tuple[Entity, Entity], list[_Fact]]:
    """Make two works with their makers, and the facts that link them."""
    relation = NAMED[kind, role]
    works = (scene.new(kind), scene.new(kind))
    makers = (scene.target(works[0], relation), scene.target(works[1], relation))
    facts = []
    for work, maker in zip(works, makers, strict=True):
        work[role] = maker.name
        facts.append(_Fact(work, relation, relation.asks[0].format(x=work.name), maker))
    return works, makers, facts


def _interleave(links: list[_Fact], ends: list[_Fact]) -> list[list[_Fact]]:
    return [[link, end] for link, end in zip(links, ends, strict=True)]


def _bridged_order(scene: Scene, request: _Request) -> _Draft:
    items = [
        (kind, role, fact)
        for kind, role, facts in BRIDGED_ORDERS
        for fact in facts
        if not request.revised or NAMED[NAMED[kind, role].range, fact].state
    ]
    kind, role, fact = items[scene.below(len(items))]
    works, makers, links = _makers(scene, kind, role)
    order = next(order for order in ORDERS if (order.domain, order.relation) == (makers[0].kind, fact))
    least = scene.chance(0.5)
    ends = _ordered_facts(scene, order, makers, least, request, step=1)
    wordings = BRIDGED_ASKS[fact][0 if least else 1]
    question = scene.pick(wordings).format(kind=kind, role=ROLES[role], a=works[0].name, b=works[1].name)
    return _options_draft(question, works, links + ends, _interleave(links, ends), request)


def _bridged_meeting(scene: Scene, request: _Request) -> _Draft:
    items = [
        item
        for item in BRIDGED_MEETINGS
        if not request.revised or NAMED[NAMED[item[0], item[1]].range, item[2]].state
    ]
    kind, role, fact, wordings = items[scene.below(len(items))]
    works, makers, links = _makers(scene, kind, role)
    ends = _met_facts(scene, NAMED[makers[0].kind, fact], makers, request, step=1)
    question = scene.pick(wordings).format(a=works[0].name, b=works[1].name)
    return _yes_no_draft(question, links + ends, _interleave(links, ends), request)


_MAKERS: dict[str, Callable[[Scene, _Request], _Draft]] = {
    "bridge": _chain,
    "compositional": _chain,
    "inference": _inference,
    "comparison": _comparison,
    "yes_no": _yes_no,
    "bridge_comparison": _bridge_comparison,
}


# --- paragraphs -------------------------------------------------------------------------------------


def _assemble(
    scene: Scene, request: _Request, draft: _Draft, block: int, id: str, count: int
) -> WorldQuestion:
    """Write the paragraphs of ``draft``, add distractors up to ``count``, and shuffle."""
    paragraphs: list[WorldParagraph] = []
    sentences: list[int] = []
    old: list[tuple[WorldParagraph, int]] = []
    for fact in draft.facts:
        entity, name = fact.entity, fact.relation.name
        if fact.old is None:
            paragraph, sentence = scene.paragraph(entity, name)
        else:
            old.append(scene.paragraph(entity, name, wording="dated", value=fact.old))
            title = f"{entity.name} ({entity['moved']})"
            paragraph, sentence = scene.paragraph(entity, name, wording="update", title=title)
        paragraphs.append(paragraph)
        sentences.append(sentence)
    gold = len(paragraphs)
    paragraphs += [paragraph for paragraph, _ in old]
    paragraphs += [scene.paragraph(entity, name)[0] for entity, name in draft.detours]
    paragraphs += _distractors(scene, draft, request, count - len(paragraphs))
    order = list(range(count))
    scene.rng.shuffle(order)
    place = {position: rank for rank, position in enumerate(order)}
    return WorldQuestion(
        id=id,
        block=block,
        kind=request.kind,
        hops=gold,
        question=draft.question,
        answer=draft.answer,
        aliases=draft.aliases,
        paragraphs=tuple(paragraphs[position] for position in order),
        supporting=tuple(SupportingFact(place[hop], sentence) for hop, sentence in enumerate(sentences)),
        decomposition=tuple(
            WorldHop(fact.ask, fact.answer, place[hop]) for hop, fact in enumerate(draft.facts)
        ),
        evidences=tuple(triple for fact in draft.facts for triple in fact.triples),
        superseded=SupportingFact(place[gold], old[0][1]) if old else None,
        former=draft.former,
    )


def _distractors(scene: Scene, draft: _Draft, request: _Request, count: int) -> list[WorldParagraph]:
    """Return ``count`` paragraphs like the supporting ones, about namesakes of what those are about."""
    made: list[WorldParagraph] = []
    turn = scene.below(len(draft.chains))
    while len(made) < count:
        if scene.chance(0.1):
            made.append(_stranger(scene))
            continue
        shadow = _shadow(scene, draft.chains[turn % len(draft.chains)], count - len(made))
        made += shadow
        turn += 1
    return made


def _stranger(scene: Scene) -> WorldParagraph:
    entity = scene.new(scene.pick(ENTITY_KINDS))
    relations = starts(2, False)[entity.kind]
    return scene.paragraph(entity, relations[scene.below(len(relations))][0].name)[0]


def _shadow(scene: Scene, chain: list[_Fact], room: int) -> list[WorldParagraph]:
    """Return at most ``room`` paragraphs that tell of a chain like ``chain`` among namesakes.

    When a fact of ``chain`` was revised, some shadows have a revision there as well, so that being a revision
    does not set the supporting paragraph apart.
    """
    shift = scene.between(-12, 12)
    entity = scene.namesake(chain[0].entity, shift)
    made: list[WorldParagraph] = []
    for fact in chain:
        name = fact.relation.name
        target = None
        if fact.target is not None:
            target = scene.namesake(fact.target, shift)
            entity[name] = target.name
        if fact.old is not None and room - len(made) > 1 and scene.chance(0.5):
            old = _former(scene, fact)
            made.append(scene.paragraph(entity, name, wording="dated", value=old)[0])
            title = f"{entity.name} ({entity['moved']})"
            made.append(scene.paragraph(entity, name, wording="update", title=title)[0])
        else:
            made.append(scene.paragraph(entity, name)[0])
        if target is None:
            break
        entity = target
    if len(made) <= room:
        return made
    return made[:room] if scene.chance(0.5) else made[-room:]


def _former(scene: Scene, fact: _Fact) -> str:
    if fact.relation.range == "literal":
        return f"{int(int(fact.value.replace(',', '')) * (0.4 + scene.rng.random())):,}"
    return scene.any_object(fact.relation)
