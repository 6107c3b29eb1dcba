"""The relations of the generated world: what holds between entities, and how questions speak of it."""

from __future__ import annotations

import functools
from typing import NamedTuple


class Relation(NamedTuple):
    """A fact about one kind of entity, for example that a film has a director.

    Attributes:
        domain: the kind of the subject.
        name: the fact's key in the templates.
        range: the kind of the object: an entity's kind, or ``"literal"``.
        label: the relation's name in evidence triples (Wikidata's where it has one).
        asks: questions for the object; ``{x}`` is the subject. The first serves as the sub-question.
        short_asks: more of them, fit for a subject of few words.
        nouns: phrases for the object that nest, as in "the director of {x}".
        phrases: phrases for the object with a verb, as in "the person who directed {x}".
        years: the range of (object's year minus subject's year).
        job: the profession of an object that is a person.
        form: which names an object that is an organisation may bear.
        state: whether it changes with time, so that a later document may supersede it.
    """

    domain: str
    name: str
    range: str
    label: str
    asks: tuple[str, ...]
    short_asks: tuple[str, ...] = ()
    nouns: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()
    years: tuple[int, int] = (0, 0)
    job: str = ""
    form: str = ""
    state: bool = False


RELATIONS: tuple[Relation, ...] = (
    Relation(
        "film",
        "director",
        "person",
        "director",
        ("Who directed {x}?",),
        nouns=("the director of {x}",),
        phrases=("the person who directed {x}", "the filmmaker who made {x}"),
        years=(-60, -28),
        job="film director",
    ),
    Relation(
        "film",
        "composer",
        "person",
        "composer",
        ("Who composed the music for {x}?",),
        nouns=("the composer of {x}", "the composer of the score of {x}"),
        phrases=("the person who wrote the music for {x}", "the musician who scored {x}"),
        years=(-60, -28),
        job="composer",
    ),
    Relation(
        "film",
        "company",
        "company",
        "production company",
        ("Which company produced {x}?",),
        nouns=("the production company of {x}",),
        phrases=("the company that produced {x}", "the studio behind {x}"),
        years=(-40, -2),
        form="studio",
    ),
    Relation(
        "film",
        "source",
        "novel",
        "based on",
        ("On which novel is {x} based?",),
        nouns=("the literary source of {x}",),
        phrases=("the novel on which {x} is based", "the book that was adapted as {x}"),
        years=(-40, -2),
    ),
    Relation("film", "release", "literal", "publication date", ("In what year was {x} first shown?",)),
    Relation(
        "novel",
        "author",
        "person",
        "author",
        ("Who wrote {x}?", "Who is the author of {x}?"),
        nouns=("the author of {x}",),
        phrases=("the person who wrote {x}", "the writer who gave us {x}"),
        years=(-60, -25),
        job="novelist",
    ),
    Relation(
        "novel",
        "publisher",
        "company",
        "publisher",
        ("Which company published {x}?", "Who is the publisher of {x}?"),
        nouns=("the publisher of {x}",),
        phrases=("the company that published {x}", "the firm that brought out {x}"),
        years=(-80, -3),
        form="press",
    ),
    Relation(
        "novel",
        "release",
        "literal",
        "publication date",
        ("In what year was {x} first published?", "When did {x} first appear?"),
    ),
    Relation(
        "album",
        "performer",
        "person",
        "performer",
        ("Who recorded {x}?",),
        nouns=("the performer of {x}",),
        phrases=("the person who recorded {x}", "the singer heard on {x}"),
        years=(-50, -20),
        job="singer",
    ),
    Relation(
        "album",
        "label",
        "company",
        "record label",
        ("Which company released {x}?",),
        nouns=("the record label of {x}",),
        phrases=("the company that released {x}", "the firm that issued {x}"),
        years=(-40, -2),
        form="label",
    ),
    Relation(
        "album",
        "producer",
        "person",
        "producer",
        ("Who produced {x}?",),
        nouns=("the producer of {x}",),
        phrases=("the person who produced {x}",),
        years=(-55, -25),
        job="record producer",
    ),
    Relation("album", "release", "literal", "publication date", ("In what year was {x} released?",)),
    Relation(
        "company",
        "founder",
        "person",
        "founded by",
        ("Who founded {x}?", "Who is the founder of {x}?"),
        nouns=("the founder of {x}",),
        phrases=("the person who founded {x}", "the person who set up {x}"),
        years=(-55, -25),
        job="merchant",
    ),
    Relation(
        "company",
        "inception",
        "literal",
        "inception",
        ("In what year was {x} founded?", "What is the founding year of {x}?"),
        ("When was {x} founded?",),
    ),
    Relation(
        "company",
        "headquarters",
        "town",
        "headquarters location",
        (
            "Which town is now home to the head office of {x}?",
            "In which town is the current headquarters of {x}?",
        ),
        ("Where is {x} based now?",),
        nouns=("the current headquarters location of {x}",),
        phrases=("the town now home to the head office of {x}", "the present seat of {x}"),
        state=True,
    ),
    Relation(
        "company",
        "chief",
        "person",
        "chief executive officer",
        ("Who is the current head of {x}?", "Who now runs {x}?"),
        nouns=("the current head of {x}",),
        phrases=("the person who now runs {x}", "the person now in charge of {x}"),
        years=(-50, -36),
        job="businessperson",
        state=True,
    ),
    Relation(
        "company", "employees", "literal", "employees", ("How many employees does {x} have now?",), state=True
    ),
    Relation(
        "school",
        "founder",
        "person",
        "founded by",
        ("Who founded {x}?", "Who is the founder of {x}?"),
        nouns=("the founder of {x}",),
        phrases=("the person who founded {x}", "the person who set up {x}"),
        years=(-65, -30),
        job="philanthropist",
    ),
    Relation(
        "school",
        "location",
        "town",
        "located in",
        ("In which town is {x}?", "Which town is the seat of {x}?"),
        ("Where is {x} situated?",),
        nouns=("the seat of {x}",),
        phrases=("the town that is home to {x}",),
    ),
    Relation(
        "school",
        "inception",
        "literal",
        "inception",
        ("In what year was {x} founded?", "What is the founding year of {x}?"),
        ("When was {x} founded?",),
    ),
    Relation(
        "school",
        "principal",
        "person",
        "director / manager",
        ("Who is the current principal of {x}?",),
        nouns=("the current principal of {x}",),
        phrases=("the person now at the head of {x}", "the person who is now principal of {x}"),
        years=(-50, -36),
        job="teacher",
        state=True,
    ),
    Relation(
        "structure",
        "architect",
        "person",
        "architect",
        ("Who designed {x}?",),
        nouns=("the architect of {x}", "the designer of {x}"),
        phrases=("the person who designed {x}",),
        years=(-60, -28),
        job="architect",
    ),
    Relation(
        "structure",
        "location",
        "town",
        "located in",
        ("In which town is {x}?",),
        nouns=("the location of {x}",),
        phrases=("the town where {x} stands", "the town that is home to {x}"),
    ),
    Relation(
        "structure",
        "owner",
        "company",
        "owned by",
        ("Which company now owns {x}?",),
        nouns=("the current owner of {x}",),
        phrases=("the company that now owns {x}",),
        years=(-60, -1),
        form="company",
        state=True,
    ),
    Relation(
        "structure", "opening", "literal", "date of official opening", ("In what year was {x} opened?",)
    ),
    Relation("structure", "length", "literal", "length", ("How many metres long is {x}?",)),
    Relation("structure", "height", "literal", "height", ("How many metres tall is {x}?",)),
    Relation(
        "event",
        "leader",
        "person",
        "organizer",
        ("Who led {x}?",),
        nouns=("the leader of {x}",),
        phrases=("the person who led {x}", "the person who organised {x}"),
        years=(-60, -28),
        job="explorer",
    ),
    Relation(
        "event",
        "venue",
        "town",
        "location",
        ("In which town was {x} held?",),
        nouns=("the host town of {x}",),
        phrases=("the town where {x} was held", "the town that hosted {x}"),
    ),
    Relation(
        "event",
        "sponsor",
        "company",
        "sponsor",
        ("Which company paid for {x}?",),
        nouns=("the sponsor of {x}",),
        phrases=("the company that paid for {x}", "the firm that sponsored {x}"),
        years=(-60, -1),
        form="company",
    ),
    Relation("event", "held", "literal", "point in time", ("In what year was {x} held?",)),
    Relation(
        "town",
        "mayor",
        "person",
        "head of government",
        ("Who is the current mayor of {x}?", "Who is now mayor of {x}?"),
        nouns=("the current mayor of {x}",),
        phrases=("the person who is now mayor of {x}",),
        years=(-50, -36),
        job="politician",
        state=True,
    ),
    Relation(
        "town",
        "twin",
        "town",
        "twinned administrative body",
        ("With which town is {x} twinned?", "Which town is the twin of {x}?"),
        nouns=("the twin town of {x}",),
        phrases=("the town that is twinned with {x}",),
    ),
    Relation(
        "town",
        "country",
        "literal",
        "country",
        ("In which country is {x}?", "Which country is home to {x}?"),
    ),
    Relation(
        "town",
        "river",
        "literal",
        "located next to body of water",
        ("Which river flows through {x}?", "What is the river that runs through {x}?"),
    ),
    Relation(
        "town", "population", "literal", "population", ("What is the current population of {x}?",), state=True
    ),
    Relation(
        "person",
        "spouse",
        "person",
        "spouse",
        ("Who is the spouse of {x}?", "Who was the spouse of {x}?"),
        ("Whom did {x} marry?", "To whom was {x} married?"),
        nouns=("the spouse of {x}",),
        phrases=("the person who married {x}",),
        years=(-7, 7),
    ),
    Relation(
        "person",
        "father",
        "person",
        "father",
        ("Who is the father of {x}?", "Who was the father of {x}?"),
        nouns=("the father of {x}",),
        phrases=("the man who was the father of {x}",),
        years=(-42, -23),
    ),
    Relation(
        "person",
        "mother",
        "person",
        "mother",
        ("Who is the mother of {x}?", "Who was the mother of {x}?"),
        nouns=("the mother of {x}",),
        phrases=("the woman who was the mother of {x}",),
        years=(-37, -20),
    ),
    Relation(
        "person",
        "birthplace",
        "town",
        "place of birth",
        (
            "Which town is the birthplace of {x}?",
            "What is the birthplace of {x}?",
            "What is the place of birth of {x}?",
        ),
        ("Where was {x} born?", "In which town was {x} born?"),
        nouns=("the birthplace of {x}", "the place of birth of {x}"),
        phrases=("the town that was the birthplace of {x}",),
    ),
    Relation(
        "person",
        "school",
        "school",
        "educated at",
        ("Which school educated {x}?", "Which school was attended by {x}?"),
        ("Where was {x} educated?", "Which school did {x} attend?"),
        nouns=("the school of {x}",),
        phrases=("the school that educated {x}", "the school attended by {x}"),
        years=(-120, -10),
        form="school",
    ),
    Relation(
        "person",
        "employer",
        "company",
        "employer",
        ("Which company was the last employer of {x}?", "Which firm was the latest employer of {x}?"),
        ("For which company did {x} work last?",),
        nouns=("the latest employer of {x}", "the last employer of {x}"),
        phrases=("the last company to employ {x}",),
        years=(-40, 20),
        form="company",
        state=True,
    ),
    Relation(
        "person",
        "birth",
        "literal",
        "date of birth",
        ("What is the date of birth of {x}?",),
        ("When was {x} born?", "On what date was {x} born?"),
    ),
    Relation("person", "death", "literal", "date of death", ("What is the date of death of {x}?",)),
    Relation("person", "life", "literal", "life", ("How long did {x} live?",)),
    Relation("person", "nat", "literal", "country of citizenship", ("What is the nationality of {x}?",)),
    Relation("person", "job", "literal", "occupation", ("What was the occupation of {x}?",)),
)

NAMED: dict[tuple[str, str], Relation] = {
    (relation.domain, relation.name): relation for relation in RELATIONS
}
"""Every relation, by domain and name."""

_COMPARED_ONLY = frozenset(
    {
        "release",
        "opening",
        "length",
        "height",
        "held",
        "employees",
        "population",
        "death",
        "life",
        "nat",
        "job",
    }
)
_NEVER_AFTER = {"spouse": {"father", "mother", "spouse"}}


@functools.cache
def paths(hops: int) -> tuple[tuple[Relation, ...], ...]:
    """Return every chain of ``hops`` relations that a question may follow, in a fixed order.

    A relation occurs once in a chain, all but the last lead to an entity, and the spouse of a parent is left
    to the inference questions.
    """
    chains: list[tuple[Relation, ...]] = [
        (relation,) for relation in RELATIONS if relation.name not in _COMPARED_ONLY
    ]
    for _ in range(hops - 1):
        chains = [
            (*chain, relation)
            for chain in chains
            for relation in _relations_of(chain[-1].range)
            if relation not in chain and chain[-1].name not in _NEVER_AFTER.get(relation.name, ())
        ]
    return tuple(chains)


@functools.cache
def starts(hops: int, stateful: bool) -> dict[str, tuple[tuple[Relation, ...], ...]]:
    """Return the chains of :func:`paths` by the kind of their first subject.

    Args:
        hops: the length of the chains.
        stateful: keep only those in which some relation changes with time.
    """
    found: dict[str, list[tuple[Relation, ...]]] = {}
    for path in paths(hops):
        if not stateful or any(relation.state for relation in path):
            found.setdefault(path[0].domain, []).append(path)
    return {kind: tuple(chains) for kind, chains in found.items()}


@functools.cache
def _relations_of(kind: str) -> tuple[Relation, ...]:
    return tuple(
        relation for relation in RELATIONS if relation.domain == kind and relation.name not in _COMPARED_ONLY
    )


class Order(NamedTuple):
    """A way to compare two entities of one kind by a number.

    Attributes:
        domain: the kind of both.
        relation: the name of the fact that gives the number.
        variant: a narrower kind, for structures.
        least: questions whose answer is the one with the least number; ``{a}`` and ``{b}`` are the two.
        most: questions whose answer is the one with the greatest.
    """

    domain: str
    relation: str
    least: tuple[str, ...]
    most: tuple[str, ...]
    variant: str = ""


ORDERS: tuple[Order, ...] = (
    Order(
        "person",
        "birth",
        ("Who was born first, {a} or {b}?", "Who was born earlier, {a} or {b}?", "Who is older, {a} or {b}?"),
        (
            "Who was born later, {a} or {b}?",
            "Of {a} and {b}, who was the younger?",
            "Who is younger, {a} or {b}?",
        ),
    ),
    Order(
        "person",
        "death",
        ("Who died first, {a} or {b}?", "Who died earlier, {a} or {b}?"),
        ("Who died later, {a} or {b}?", "Which of the two, {a} or {b}, was the last to die?"),
    ),
    Order(
        "person",
        "life",
        ("Who had the shorter life, {a} or {b}?", "Of {a} and {b}, who died at a younger age?"),
        ("Who lived longer, {a} or {b}?", "Of {a} and {b}, who reached the greater age?"),
    ),
    Order(
        "film",
        "release",
        ("Which film came out first, {a} or {b}?", "Which film was released earlier, {a} or {b}?"),
        ("Which film was released more recently, {a} or {b}?", "Which film came out later, {a} or {b}?"),
    ),
    Order(
        "novel",
        "release",
        ("Which novel was published first, {a} or {b}?", "Of the novels {a} and {b}, which is the older?"),
        ("Which novel was published later, {a} or {b}?", "Which is the more recent novel, {a} or {b}?"),
    ),
    Order(
        "album",
        "release",
        ("Which album was released first, {a} or {b}?", "Which album came out earlier, {a} or {b}?"),
        ("Which album was released later, {a} or {b}?", "Which is the more recent album, {a} or {b}?"),
    ),
    Order(
        "company",
        "inception",
        ("Which firm was founded first, {a} or {b}?", "Which company is older, {a} or {b}?"),
        ("Which firm was founded later, {a} or {b}?", "Which company is younger, {a} or {b}?"),
    ),
    Order(
        "school",
        "inception",
        ("Which school was founded first, {a} or {b}?", "Which school is older, {a} or {b}?"),
        ("Which school was founded later, {a} or {b}?", "Which is the younger school, {a} or {b}?"),
    ),
    Order(
        "structure",
        "opening",
        ("Which was opened first, {a} or {b}?", "Which is older, {a} or {b}?"),
        ("Which was opened later, {a} or {b}?", "Which was completed more recently, {a} or {b}?"),
    ),
    Order(
        "structure",
        "length",
        ("Which is shorter, {a} or {b}?", "Of {a} and {b}, which is the shorter?"),
        ("Which is longer, {a} or {b}?", "Of {a} and {b}, which has the greater length?"),
        "bridge",
    ),
    Order(
        "structure",
        "height",
        ("Which is lower, {a} or {b}?", "Of {a} and {b}, which is the less tall?"),
        ("Which is taller, {a} or {b}?", "Which rises higher, {a} or {b}?"),
        "tower",
    ),
    Order(
        "event",
        "held",
        ("Which took place first, {a} or {b}?", "Which was held earlier, {a} or {b}?"),
        ("Which took place later, {a} or {b}?", "Which was held more recently, {a} or {b}?"),
    ),
    Order(
        "town",
        "population",
        ("Which town now has fewer inhabitants, {a} or {b}?", "Which town is smaller today, {a} or {b}?"),
        ("Which town now has more inhabitants, {a} or {b}?", "Which town is larger today, {a} or {b}?"),
    ),
    Order(
        "company",
        "employees",
        (
            "Which firm now has fewer employees, {a} or {b}?",
            "Which company employs fewer people today, {a} or {b}?",
        ),
        (
            "Which firm now has more employees, {a} or {b}?",
            "Which company employs more people today, {a} or {b}?",
        ),
    ),
)

MEETINGS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "person",
        "nat",
        (
            "Are {a} and {b} of the same nationality?",
            "Were {a} and {b} citizens of the same country?",
            "Do {a} and {b} share a nationality?",
        ),
    ),
    ("person", "job", ("Are {a} and {b} both known as {jobs}?", "Were {a} and {b} both {jobs}?")),
    (
        "person",
        "school",
        ("Did {a} and {b} attend the same school?", "Were {a} and {b} educated at the same school?"),
    ),
    ("person", "employer", ("Did {a} and {b} have the same last employer?",)),
    (
        "person",
        "birthplace",
        ("Were {a} and {b} born in the same town?", "Do {a} and {b} share a birthplace?"),
    ),
    (
        "town",
        "country",
        ("Are {a} and {b} in the same country?", "Do {a} and {b} belong to the same country?"),
    ),
    (
        "film",
        "director",
        ("Were {a} and {b} directed by the same person?", "Do {a} and {b} have the same director?"),
    ),
    ("film", "company", ("Were {a} and {b} produced by the same company?",)),
    ("novel", "publisher", ("Did {a} and {b} have the same publisher?",)),
    ("album", "label", ("Were {a} and {b} released by the same company?",)),
    (
        "company",
        "headquarters",
        ("Are {a} and {b} now based in the same town?", "Do {a} and {b} now share a head office town?"),
    ),
    (
        "structure",
        "location",
        ("Do {a} and {b} stand in the same town?", "Are {a} and {b} in the same town?"),
    ),
    ("structure", "owner", ("Do {a} and {b} now belong to the same company?",)),
    ("event", "venue", ("Were {a} and {b} held in the same town?",)),
)
"""Yes/no questions: kind of both subjects, the fact in which they may meet, wordings."""

BRIDGED_ORDERS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("film", "director", ("birth", "death", "life")),
    ("film", "composer", ("birth", "death", "life")),
    ("novel", "author", ("birth", "death", "life")),
    ("album", "performer", ("birth", "death", "life")),
    ("film", "company", ("inception", "employees")),
    ("novel", "publisher", ("inception", "employees")),
    ("album", "label", ("inception", "employees")),
)
"""Comparisons of two works by their makers: the works' kind, the relation to the maker, what is compared."""

BRIDGED_ASKS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "birth": (
        (
            "Which {kind} has the {role} who was born earlier, {a} or {b}?",
            "Which {kind} has the older {role}, {a} or {b}?",
        ),
        (
            "Which {kind} has the {role} who was born later, {a} or {b}?",
            "Which {kind} has the younger {role}, {a} or {b}?",
        ),
    ),
    "death": (
        (
            "Which {kind} has the {role} who died earlier, {a} or {b}?",
            "Which {kind} has the {role} who died first, {a} or {b}?",
        ),
        ("Which {kind} has the {role} who died later, {a} or {b}?",),
    ),
    "life": (
        ("Which {kind} has the {role} who had the shorter life, {a} or {b}?",),
        ("Which {kind} has the {role} who lived longer, {a} or {b}?",),
    ),
    "inception": (
        ("Which {kind} has the {role} that was founded earlier, {a} or {b}?",),
        ("Which {kind} has the {role} that was founded later, {a} or {b}?",),
    ),
    "employees": (
        ("Which {kind} has the {role} that now has fewer employees, {a} or {b}?",),
        ("Which {kind} has the {role} that now has more employees, {a} or {b}?",),
    ),
}
"""Wordings of those comparisons, for the least and for the most."""

BRIDGED_MEETINGS: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("film", "director", "nat", ("Are the directors of {a} and {b} of the same nationality?",)),
    ("film", "composer", "nat", ("Are the composers of {a} and {b} from the same country?",)),
    ("novel", "author", "nat", ("Do the authors of {a} and {b} have the same nationality?",)),
    ("album", "performer", "nat", ("Are the performers of {a} and {b} citizens of the same country?",)),
    (
        "film",
        "company",
        "headquarters",
        ("Are the production companies of {a} and {b} now based in the same town?",),
    ),
    (
        "novel",
        "publisher",
        "headquarters",
        ("Are the publishers of {a} and {b} now based in the same town?",),
    ),
)
"""Yes/no questions about the makers of two works: kind, relation to the maker, the fact, wordings."""

ROLES = {
    "director": "director",
    "composer": "composer",
    "author": "author",
    "performer": "performer",
    "company": "production company",
    "publisher": "publisher",
    "label": "record label",
}
"""What a question calls the object of a relation between a work and its maker."""

INFERENCES: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    (
        "father",
        "father",
        "paternal grandfather",
        ("Who is the paternal grandfather of {x}?", "Who was {x}'s paternal grandfather?"),
    ),
    (
        "father",
        "mother",
        "paternal grandmother",
        ("Who is the paternal grandmother of {x}?", "Who was {x}'s paternal grandmother?"),
    ),
    (
        "mother",
        "father",
        "maternal grandfather",
        ("Who is the maternal grandfather of {x}?", "Who was {x}'s maternal grandfather?"),
    ),
    (
        "mother",
        "mother",
        "maternal grandmother",
        ("Who is the maternal grandmother of {x}?", "Who was {x}'s maternal grandmother?"),
    ),
    (
        "spouse",
        "father",
        "father-in-law",
        ("Who is the father-in-law of {x}?", "Who was {x}'s father-in-law?"),
    ),
    (
        "spouse",
        "mother",
        "mother-in-law",
        ("Who is the mother-in-law of {x}?", "Who was {x}'s mother-in-law?"),
    ),
    ("mother", "spouse", "father", ("Who is the father of {x}?", "Who was {x}'s father?")),
    ("father", "spouse", "mother", ("Who is the mother of {x}?", "Who was {x}'s mother?")),
)
"""Questions by one word for two relations: the relations, the word, wordings."""

CHAIN_STARTS: dict[str, tuple[str, ...]] = {
    "film": ("{s}", "the film {s}"),
    "novel": ("{s}", "the novel {s}"),
    "album": ("{s}", "the album {s}"),
    "structure": ("the {s}",),
    "event": ("the {s}",),
}
"""What a chain's question may call the entity that it starts from, by kind; elsewhere its name alone."""
