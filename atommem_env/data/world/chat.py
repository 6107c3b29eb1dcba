"""The world in conversation: dated chats of a user and an assistant, and questions about what was said.

A history is a function of the configuration, the split and its index. Facts about the user's life and about the world
are stated in passing, between small talk, and some are corrected later; the assistant recommends; the questions are of
every kind that LongMemEval asks, each with the turns that its answer rests on and the turns that a later one replaced.

    >>> history = generate_chat(ChatConfig(sessions=12), "test", 0)
    >>> len(history["sessions"])
    12
"""

from __future__ import annotations

import datetime
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypedDict

from atommem_env.core.operations import as_index
from atommem_env.data.world.chat_templates import (
    ASIDES,
    ASSISTANT_TALK,
    CHAINS,
    CHOICES,
    ORDERED,
    SPANS,
    SUMS,
    TOPIC,
    USER_TALK,
    Topic,
)
from atommem_env.data.world.entities import Entity, Scene
from atommem_env.data.world.model import SPLITS
from atommem_env.data.world.names import Names
from atommem_env.data.world.templates import FACTS, MONTHS, WORDS
from atommem_env.text import digest

CHAT_TYPES: Final = ("user", "assistant", "multi", "order", "span", "date", "update", "preference")
"""The types of questions: a fact of one session by user or by assistant, facts of several sessions, the order of
events, the days between them, the date of one, a fact that was corrected, and what the user likes."""

_NOTHING_SAID: Final = "The chats do not say."
_FEWEST: Final = {"sessions": 4, "turns": 2, "questions": 1, "size": 1}


@dataclass(frozen=True)
class ChatConfig:
    """The knobs of the world in conversation.

    Args:
        seed: which world.
        size: histories in each split; more exist too.
        sessions: sessions of a history, at least 4, spread over months.
        turns: turns of a session, an even number; each second one is the assistant's.
        noise: the share of exchanges, 0 to 1, that are small talk; more facts than the questions need fill the rest
            (at most ``MOST_UNASKED``), and where the questions need more than the rest, they have it.
        revisions: the share of facts that can change, 0 to 1, that a later session corrects (of ``update`` questions
            all do).
        unanswerable: the share of questions, 0 to 1, about what was never said.
        questions: questions of a history.
        stream: whether questions are asked while the history goes on, each at its own date some time after its
            evidence, and one about a fact that is corrected also before that. The sessions are the same with and
            without.

    Raises:
        ValueError: when a value is out of its range, or there are too few turns for the questions.
    """

    seed: int = 0
    size: int = 100
    sessions: int = 20
    turns: int = 10
    noise: float = 0.5
    revisions: float = 0.3
    unanswerable: float = 0.1
    questions: int = 16
    stream: bool = False

    def __post_init__(self) -> None:
        for name in ("seed", "size", "sessions", "turns", "questions"):
            number = as_index(getattr(self, name))
            least = _FEWEST.get(name)
            if number is None or (least is not None and number < least) or (name == "turns" and number % 2):
                kind = "an even number" if name == "turns" else "a whole number"
                bound = "" if least is None else f" of at least {least}"
                raise ValueError(f"{name}={getattr(self, name)!r}: expected {kind}{bound}.")
            object.__setattr__(self, name, number)
        for name in ("noise", "revisions", "unanswerable"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
                raise ValueError(f"{name}={value!r}: expected a share from 0 to 1, for example 0.25.")
            object.__setattr__(self, name, float(value))
        if not isinstance(self.stream, bool):
            raise ValueError(f"stream={self.stream!r}: expected True or False.")
        if self.questions > MOST_QUESTIONS:
            raise ValueError(f"questions={self.questions}: expected at most {MOST_QUESTIONS}.")
        room = self.sessions * self.turns // 2
        if room < 4 * self.questions:
            raise ValueError(
                f"sessions={self.sessions}, turns={self.turns}: {self.questions} questions need "
                f"{4 * self.questions} exchanges, and there are {room}; ask fewer, or make the chats longer."
            )


MOST_QUESTIONS: Final = 40
"""The most questions of a history: each is about something of its own."""

MOST_UNASKED: Final = 200
"""The most facts of a history that nobody asks for; whatever room a long one has beyond is small talk."""


class ChatTurn(TypedDict):
    """A message; ``id`` is ``D3:11`` for the eleventh of the third session."""

    speaker: str
    text: str
    id: str


class ChatSession(TypedDict):
    """A session: when it took place (``2023-05-30 18:40``), and its messages."""

    date: str
    turns: list[ChatTurn]


class ChatQuestion(TypedDict):
    """A question, and the ids of the turns that its answer rests on, and of those that were replaced."""

    question: str
    answers: list[str]
    date: str
    type: str
    answerable: bool
    evidence: list[str]
    superseded: list[str]


class ChatHistory(TypedDict):
    """A history in the form of one's own data (``QADataset.from_histories``)."""

    id: str
    sessions: list[ChatSession]
    questions: list[ChatQuestion]


@dataclass(slots=True)
class _Said:
    """A fact as it is said: in which session, in which words, and in which turn it ended up."""

    session: int
    text: str
    speaker: str = "user"
    lead: str = ""
    id: str = ""
    value: str = ""


@dataclass(slots=True)
class _Asked:
    question: str
    answers: list[str]
    type: str
    facts: list[_Said] = field(default_factory=list)
    replaced: list[_Said] = field(default_factory=list)
    answerable: bool = True


def generate_chat(config: ChatConfig, split: str, index: int) -> ChatHistory:
    """Return history ``index`` of ``split``: a pure function of the arguments.

    Args:
        config: the knobs.
        split: ``"train"``, ``"validation"`` or ``"test"``.
        index: any integer from 0; it may exceed ``config.size``.

    Raises:
        ValueError: when the split is unknown or the index is negative.
    """
    number = as_index(index)
    if split not in SPLITS or number is None or number < 0:
        raise ValueError(
            f"split={split!r}, index={index!r}: expected one of {', '.join(SPLITS)}, and a whole number from 0 up."
        )
    seed = digest("world chat", config.seed, split, number)
    writer = _Writer(
        config, random.Random(int.from_bytes(seed, "little")), number * len(SPLITS) + SPLITS.index(split)
    )
    return writer.history(f"chat-{seed[:8].hex()}")


class _Writer:
    """One history while it is being made."""

    def __init__(self, config: ChatConfig, rng: random.Random, block: int) -> None:
        self.config = config
        self.rng = rng
        self.scene = Scene(rng, Names(block, config.seed, rng))
        self.room = [config.turns // 2] * config.sessions
        self.said: list[_Said] = []
        self.left = {name: rng.sample(topic.keys, len(topic.keys)) for name, topic in TOPIC.items()}
        day = datetime.datetime(2022 + rng.randrange(3), 1 + rng.randrange(12), 1 + rng.randrange(28), 8)
        self.dates: list[datetime.datetime] = []
        for _ in range(config.sessions):
            day += datetime.timedelta(days=2 + rng.randrange(12))
            self.dates.append(day + datetime.timedelta(minutes=rng.randrange(12 * 60)))

    def history(self, id: str) -> ChatHistory:
        """Return the whole history."""
        asked = self._questions()
        self._unasked()
        sessions = self._sessions()
        date = f"{self.dates[-1] + datetime.timedelta(days=1 + self.rng.randrange(20)):%Y-%m-%d %H:%M}"
        self.rng.shuffle(asked)
        times = self._times(asked) if self.config.stream else [(date, item) for item in asked]
        return {
            "id": id,
            "sessions": sessions,
            "questions": [
                {
                    "question": item.question,
                    "answers": item.answers,
                    "date": when,
                    "type": item.type,
                    "answerable": item.answerable,
                    "evidence": [fact.id for fact in item.facts],
                    "superseded": [fact.id for fact in item.replaced],
                }
                for when, item in times
            ],
        }

    def _times(self, asked: Sequence[_Asked]) -> list[tuple[str, _Asked]]:
        """Return when each question is asked, in that order; one about a corrected fact also before the correction."""
        last = self.config.sessions - 1
        times = []
        for item in asked:
            said = max((fact.session for fact in item.facts), default=0)
            times.append((self._moment(min(said + 1, last), last), item))
            if item.type == "update" and item.replaced:
                first, corrected = item.replaced[-1], item.facts[-1].session
                before = _Asked(item.question, [first.value], "user", [first], item.replaced[:-1])
                times.append((self._moment(min(first.session + 1, corrected - 1), corrected - 1), before))
        return sorted(times, key=lambda pair: pair[0])

    def _moment(self, first: int, last: int) -> str:
        """Return a moment some hours after one of the sessions ``first`` to ``last``, before the one that follows."""
        date = self.dates[self.rng.randint(first, last)] + datetime.timedelta(hours=self.rng.randint(1, 20))
        return f"{date:%Y-%m-%d %H:%M}"

    # --- questions ----------------------------------------------------------------------------------

    def _questions(self) -> list[_Asked]:
        never = round(self.config.questions * self.config.unanswerable)
        types = [CHAT_TYPES[number % len(CHAT_TYPES)] for number in range(self.config.questions)]
        made = [self._never(type) for type in types[:never]]
        return made + [self._ask(type) for type in types[never:]]

    def _ask(self, type: str) -> _Asked:
        if type == "multi":
            return self._sum() if self.rng.random() < 0.4 else self._chain()
        if type in ("order", "span", "date"):
            return self._visits(type)
        name = {"assistant": "advice", "preference": "taste"}.get(type) or self._any("contact", "home", "job")
        topic = TOPIC[name]
        key = self._key(topic)
        value, facts = self._state(topic, key, type == "update")
        return _Asked(self._pick(topic.ask).format(k=key), [value], type, facts[-1:], facts[:-1])

    def _never(self, type: str) -> _Asked:
        """Return a question like any of ``type``, about something of which nothing is ever said."""
        if type == "multi":
            question = self._pick(SUMS).format(a=self._key(TOPIC["price"]), b=self._key(TOPIC["price"]))
        elif type in ("order", "span", "date"):
            names = dict(zip("abc", (self._place() for _ in range(3)), strict=True))
            asks = {"order": ORDERED, "span": SPANS, "date": TOPIC["visit"].ask}[type]
            question = self._pick(asks).format(k=names["a"], **names)
        else:
            name = {"assistant": "advice", "preference": "taste"}.get(type) or self._any(
                "contact", "home", "job"
            )
            question = self._pick(TOPIC[name].ask).format(k=self._key(TOPIC[name]))
        return _Asked(question, [_NOTHING_SAID], type, answerable=False)

    def _chain(self) -> _Asked:
        name, kind, relation, wordings = self._pick(CHAINS)
        key = self._key(TOPIC[name])
        value, facts = self._state(TOPIC[name], key, self.rng.random() < self.config.revisions)
        entity = self._entity(kind, value)
        world = self._world(entity, relation, {fact.session for fact in facts})
        return _Asked(
            self._pick(wordings).format(k=key), [entity[relation]], "multi", [facts[-1], world], facts[:-1]
        )

    def _sum(self) -> _Asked:
        keys = [self._key(TOPIC["price"]) for _ in range(2)]
        sessions = self._apart(2)
        amounts, facts = [], []
        for key, session in zip(keys, sessions, strict=True):
            amount = str(self.rng.randrange(15, 900))
            amounts.append(int(amount))
            facts.append(self._say(session, self._pick(TOPIC["price"].say).format(k=key, o=amount)))
        question = self._pick(SUMS).format(a=keys[0], b=keys[1])
        return _Asked(question, [str(sum(amounts))], "multi", facts)

    def _visits(self, type: str) -> _Asked:
        count = {"order": 3, "span": 2, "date": 1}[type]
        places = [self._place() for _ in range(count)]
        days, facts = [], []
        for place, session in zip(places, self._apart(count), strict=True):
            day, fact = self._visit(place, session)
            days.append(day)
            facts.append(fact)
        if type == "date":
            (date,) = days
            other = f"{MONTHS[date.month - 1]} {date.day}, {date.year}"
            question = self._pick(TOPIC["visit"].ask).format(k=places[0])
            return _Asked(question, [_written(date), other, date.isoformat()], type, facts)
        if type == "span":
            question = self._pick(SPANS).format(a=places[0], b=places[1])
            return _Asked(question, [str(abs((days[0] - days[1]).days))], type, facts)
        named = places[1:] + places[:1]  # never the order in which they were
        self.rng.shuffle(named)
        if named == places:
            named.reverse()
        question = self._pick(ORDERED).format(**dict(zip("abc", named, strict=True)))
        return _Asked(question, [", ".join(places)], type, facts)

    # --- facts --------------------------------------------------------------------------------------

    def _state(self, topic: Topic, key: str, corrected: bool) -> tuple[str, list[_Said]]:
        """Say a fact, once or with a correction later, and return its last value and how it was said."""
        sessions = self._apart(2 if corrected and topic.correct else 1)
        facts: list[_Said] = []
        value = ""
        for session in sessions:
            value = self._value(topic, key)
            wording = self._pick(topic.correct if facts else topic.say).format(k=key, o=value)
            lead = self._pick(topic.lead).format(k=key) if topic.lead else ""
            fact = self._say(session, wording, topic.speaker, lead)
            fact.value = value
            facts.append(fact)
        return value, facts

    def _visit(self, place: str, session: int) -> tuple[datetime.date, _Said]:
        wording = self._pick(TOPIC["visit"].say)
        day = self.dates[session].date()
        if "{o}" in wording or "yesterday" in wording:
            day -= datetime.timedelta(days=1)
        return day, self._say(session, wording.format(k=place, o=_written(day)))

    def _world(self, entity: Entity, relation: str, without: set[int]) -> _Said:
        entity["o"] = entity[relation]
        text = self._pick(FACTS[entity.kind][relation]).format_map(entity)
        return self._say(self._apart(1, without)[0], text, lead=self._pick(ASIDES))

    def _unasked(self) -> None:
        """Fill the exchanges that are to be no small talk with facts that nobody asks for."""
        exchanges = self.config.sessions * (self.config.turns // 2)
        wanted = min(round(exchanges * (1 - self.config.noise)), len(self.said) + MOST_UNASKED)
        names = [*self.left, "world"]
        turn = 0
        while len(self.said) < wanted and turn < MOST_UNASKED:
            name = names[turn % len(names)]
            turn += 1
            if name == "world":
                kind = self._any("company", "town")
                entity = self._entity(kind, self.scene.name(kind, self.scene.fresh_stem(kind), "company"))
                self._world(entity, self._any(*(item[2] for item in CHAINS if item[1] == kind)), set())
            elif name == "visit":
                self._visit(self._place(), self._apart(1)[0])
            elif self.left[name]:
                corrected = wanted - len(self.said) > 1 and self.rng.random() < self.config.revisions
                self._state(TOPIC[name], self._key(TOPIC[name]), corrected)

    def _say(self, session: int, text: str, speaker: str = "user", lead: str = "") -> _Said:
        said = _Said(session, text, speaker, lead)
        self.said.append(said)
        self.room[session] -= 1
        return said

    # --- what facts are made of ---------------------------------------------------------------------

    def _pick(self, items: Any) -> Any:
        return items[self.rng.randrange(len(items))]

    def _any(self, *names: str) -> str:
        left = [name for name in names if self.left.get(name, [""])]
        return str(self._pick(left))

    def _key(self, topic: Topic) -> str:
        return self.left[topic.name].pop()

    def _apart(self, count: int, without: set[int] | None = None) -> list[int]:
        """Return ``count`` different sessions with room, those with the most, in the order of time."""
        free = [number for number, room in enumerate(self.room) if room and number not in (without or set())]
        self.rng.shuffle(free)
        return sorted(sorted(free, key=lambda number: -self.room[number])[:count])

    def _value(self, topic: Topic, key: str) -> str:
        scene = self.scene
        if topic.value == "choice":
            return str(self._pick(CHOICES[key]))
        if topic.value == "amount":
            return str(self.rng.randrange(15, 900))
        if topic.value == "person":
            return scene.any_person()
        return scene.name(
            {"title": "novel"}.get(topic.value, topic.value), scene.fresh_stem(topic.value), "company"
        )

    def _place(self) -> str:
        form = self._any("bridge", "tower")
        return self.scene.name("structure", self.scene.fresh_stem("structure"), form)

    def _entity(self, kind: str, name: str) -> Entity:
        entity = self.scene.new(kind)
        entity["s"] = entity.plain = name
        return entity

    # --- text ---------------------------------------------------------------------------------------

    def _sessions(self) -> list[ChatSession]:
        made: list[ChatSession] = []
        for number, date in enumerate(self.dates):
            facts: list[_Said | None] = [fact for fact in self.said if fact.session == number]
            facts += [None] * (self.config.turns // 2 - len(facts))
            self.rng.shuffle(facts)
            turns: list[ChatTurn] = []
            for fact in facts:
                for speaker in ("user", "assistant"):
                    id = f"D{number + 1}:{len(turns) + 1}"
                    turns.append({"speaker": speaker, "text": self._text(fact, speaker), "id": id})
                    if fact is not None and fact.speaker == speaker:
                        fact.id = id
            made.append({"date": f"{date:%Y-%m-%d %H:%M}", "turns": turns})
        return made

    def _text(self, fact: _Said | None, speaker: str) -> str:
        talk = self._pick(USER_TALK if speaker == "user" else ASSISTANT_TALK)
        words = str(talk.format_map(_Slots(self.rng)))
        if fact is None:
            return words
        if fact.speaker != speaker:
            return fact.lead or words
        if speaker == "assistant":
            return f"{fact.text} {words}"
        return f"{fact.lead or words} {fact.text}"


class _Slots(dict[str, str]):
    """Words for small talk, drawn when they are asked for."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self._rng = rng

    def __missing__(self, slot: str) -> str:
        return WORDS[slot][self._rng.randrange(len(WORDS[slot]))]


def _written(day: datetime.date) -> str:
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"
