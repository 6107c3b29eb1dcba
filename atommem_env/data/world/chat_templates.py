"""The sentences of the world in conversation: what a user and an assistant say, and what is asked about it later.

Templates are filled and read back (see ``chat_reading``): ``{k}`` is what a sentence is about (a dentist, a brother, a
building), ``{o}`` what it says of it; any other slot is a word of ``WORDS`` or ``CHAT_WORDS``. No template holds a
colon and a space, which is what divides a speaker from what is said.
"""

from __future__ import annotations

from typing import NamedTuple

from atommem_env.data.world.templates import WORDS


def _words(text: str) -> tuple[str, ...]:
    return tuple(" ".join(word.split()) for word in text.split(","))


class Topic(NamedTuple):
    """Something that a chat says in passing, and that can be asked for later.

    Attributes:
        name: the topic's key in the tables.
        keys: what it may be about; empty: an invented name.
        value: what is said of it: ``"person"``, ``"town"``, ``"company"``, ``"title"``, ``"date"``, ``"amount"`` or
            ``"choice"`` (of ``CHOICES``).
        say: sentences that state it.
        ask: questions for it.
        correct: sentences that replace an earlier value; none: it does not change.
        speaker: who says it.
        lead: what the user says before, where the assistant says it.
    """

    name: str
    keys: tuple[str, ...]
    value: str
    say: tuple[str, ...]
    ask: tuple[str, ...]
    correct: tuple[str, ...] = ()
    speaker: str = "user"
    lead: tuple[str, ...] = ()


CHOICES: dict[str, tuple[str, ...]] = {
    "drink": _words(
        "black tea, green tea, cocoa, cider, apple juice, ginger beer, milk, mint tea, barley water"
    ),
    "dish": _words(
        "bean soup, potato salad, fish pie, mushroom stew, pancakes, onion tart, rice pudding, dumplings"
    ),
    "colour": _words("dark green, pale blue, orange, violet, deep red, yellow, grey, silver"),
    "flower": _words("tulips, lilies, asters, poppies, roses, daisies, irises, violets"),
    "game": _words("chess, draughts, dominoes, backgammon, whist, bridge, ninepins, darts"),
    "season": _words("spring, summer, autumn, winter"),
    "fruit": _words("pears, plums, cherries, apples, quinces, grapes, figs, melons"),
    "seat": _words("the window seat, the aisle seat, the front row, the back row"),
    "fabric": _words("linen, wool, cotton, silk, velvet, felt, denim"),
    "breakfast": _words("porridge, toast, boiled eggs, yoghurt, muesli, rolls and butter"),
}
"""What a user may like best, by what it is a choice of."""

RELATIVES = _words(
    "brother, sister, mother, father, aunt, uncle, cousin, niece, nephew, grandmother, grandfather, daughter, son, "
    "godmother, godfather, flatmate, neighbour, best friend"
)
"""Whom a user may speak of."""

TOPICS: tuple[Topic, ...] = (
    Topic(
        "contact",
        _words(
            "dentist, doctor, landlord, piano teacher, accountant, plumber, hairdresser, tax adviser, boss, optician, "
            "driving instructor, trainer, florist, baker, tailor, lawyer, gardener, language tutor"
        ),
        "person",
        (
            "My {k} is {o}.",
            "By the way, {o} is my {k}.",
            "I have an appointment with my {k}, {o}, next week.",
        ),
        ("Who is my {k} now?", "What is the name of my current {k}?"),
        ("My new {k} is {o}.", "Since last week {o} has been my {k}.", "I changed to another {k}, {o}."),
    ),
    Topic(
        "home",
        RELATIVES,
        "town",
        (
            "My {k} lives in {o}.",
            "My {k} has a small flat in {o}.",
            "I spent the weekend in {o}, where my {k} lives.",
        ),
        ("In which town does my {k} live now?", "Which town is now home to my {k}?"),
        ("My {k} has moved to {o}.", "My {k} has left town and lives in {o} now."),
    ),
    Topic(
        "job",
        RELATIVES,
        "company",
        ("My {k} works for {o}.", "My {k} has a desk job at {o}."),
        ("Which company does my {k} work for now?", "Which firm now employs my {k}?"),
        ("My {k} has changed jobs and works for {o} now.", "My {k} has been hired by {o}."),
    ),
    Topic(
        "taste",
        tuple(CHOICES),
        "choice",
        (
            "My favourite {k} is {o}.",
            "When it comes to the {k}, I always go for {o}.",
            "I like {o} best, whatever other {k} there is.",
        ),
        ("Which {k} should you choose for me?", "Which {k} would please me most?"),
    ),
    Topic(
        "advice",
        WORDS["theme"],
        "title",
        (
            "You could try {o}, which is about {k}.",
            "I recommend {o}, a novel about {k}.",
            "A novel about {k} that I can suggest is {o}.",
        ),
        (
            "Which novel about {k} did you suggest to me?",
            "What was the novel about {k} that you recommended?",
        ),
        (),
        "assistant",
        ("Can you think of a novel about {k}?", "I would like to read something about {k}."),
    ),
    Topic(
        "visit",
        (),
        "date",
        ("I visited the {k} today.", "I went to see the {k} yesterday.", "I visited the {k} on {o}."),
        ("On which date did I visit the {k}?",),
    ),
    Topic(
        "price",
        _words(
            "lamp, armchair, bicycle, raincoat, teapot, bookcase, radio, carpet, kettle, suitcase, mirror, clock, "
            "tent, camera, desk, umbrella, telescope, rucksack"
        ),
        "amount",
        ("I paid {o} crowns for the {k}.", "The {k} cost me {o} crowns."),
        ("How many crowns did I pay for the {k}?",),
    ),
)
"""What chats say in passing."""

TOPIC = {topic.name: topic for topic in TOPICS}
"""Every topic by its name."""

CHAINS: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("job", "company", "founder", ("Who founded the company that my {k} works for now?",)),
    ("job", "company", "inception", ("In what year was the company founded that my {k} works for now?",)),
    ("home", "town", "country", ("In which country is the town where my {k} lives now?",)),
    ("home", "town", "river", ("Which river flows through the town where my {k} lives now?",)),
    ("home", "town", "twin", ("With which town is the town twinned where my {k} lives now?",)),
)
"""Questions that need a fact about the world too: the topic, and the relation of its value (kind and name)."""

SUMS = ("How many crowns did I pay for the {a} and the {b} together?",)
"""Questions for the sum of two prices."""

SPANS = ("How many days passed between my visits to the {a} and the {b}?",)
"""Questions for the days between two visits."""

ORDERED = ("In which order did I visit the {a}, the {b} and the {c}?",)
"""Questions for the order of three visits; the answer names them in it."""

ASIDES = (
    "I read something curious in the paper.",
    "A colleague told me this over lunch.",
    "I learned this on a guided walk.",
    "My neighbour keeps telling me this.",
)
"""What a user says before a fact about the world."""

USER_TALK = (
    "It has been raining here since the morning and I am in no hurry.",
    "I spent an hour looking for my keys and found them in the fridge.",
    "I am trying to get better at sleeping early.",
    "The bus was late again and I had to stand.",
    "I have been reading about {things} and cannot stop.",
    "Can you explain to me how people used to make {trade}?",
    "I wonder whether {crop} grows on a balcony.",
    "What would be a good way to clean {material}?",
    "I heard somebody play the {instrument} through an open window.",
    "Is {subject} hard to learn late in life?",
    "I am bored and would like to talk about {things}.",
    "Could you write two lines about {theme} for a card?",
    "My shoes are wet and I am in a bad mood.",
    "I tried to draw {emblem} and it looks like a potato.",
    "I slept well for once.",
    "The meeting took all day and nothing was decided.",
)
"""Small talk of the user."""

ASSISTANT_TALK = (
    "That sounds like a day to put the kettle on.",
    "I am glad to hear it.",
    "Small steps are often the ones that last.",
    "People have argued about {things} for a long time, and there is no need to settle it today.",
    "In short, it takes patience, clean tools and a dry room.",
    "With enough light {crop} does better than one would think.",
    "For {material}, lukewarm water and a soft brush will do.",
    "The {instrument} carries far on a quiet evening.",
    "A quarter of an hour of {subject} a day is a good beginning.",
    "Tell me more whenever you like.",
    "There is a lot to say about {things}, so let us begin with what you find most curious.",
    "A picture of {emblem} needs a steady hand and a bad one has its charm.",
    "Let me know how it goes.",
    "I can make a list if that helps.",
)
"""Small talk of the assistant."""
