"""Answers from what was said: rules for conversations, in which the speaker is *I* and the other one *you*.

Read are the entries that workflows store of a chat (:mod:`atommem_env.baselines.entries`), and chunks. A question about
one speaker is answered from what that speaker tells; where what another one tells fits it better, or nothing fits it,
the answer is ``unknown``. Times are counted out from the day of speaking
(:mod:`atommem_env.baselines.engines.rules.days`). Other answers are words that the question does not
have, and such words of several turns where it asks for several things.
"""

from __future__ import annotations

import functools
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from typing import Final, TypeAlias

from atommem_env.baselines.engines.engine import UNKNOWN
from atommem_env.baselines.engines.rules.days import duration, when, written
from atommem_env.baselines.engines.rules.questions import find_options
from atommem_env.baselines.engines.rules.spans import MONTHS, dates, names, numbers
from atommem_env.baselines.engines.rules.spoken import Said
from atommem_env.core.words import STOP_WORDS, content_stems, stem, word_set
from atommem_env.text import tokens

COVERED: Final = 0.3
"""The share of a question's words, weighed by how rare they are, that a turn must hold to answer it."""

MARGIN: Final = 0.1
"""By how much more of the question another speaker's turn must hold to make it one about that speaker."""

_ALIKE: Final = 0.6  # how well a sentence fits, of how well the best does, to be read with it
_NEARLY: Final = 0.7
_ON_THE_DAY: Final = 0.3  # what it counts that a turn is of the day, or month, that the question names
_MOST_ITEMS: Final = 4
_MOST_WORDS: Final = 12

_WORD = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*")
_CLAUSE = re.compile(
    r"[.;:!?()\[\]\"“”]|,(?! (?:and|or) | [\w'-]+(?: [\w'-]+)?(?:,|$| and | or ))| [-–—]+ "  # a list's commas stay
    r"|\b(?:and|but|so|because|since|when|which|who|that|if|while|although|though) "
    r"(?=(?:i|it|we|they|he|she|you|my|our|the|this|that's|it's|i'm|i've)\b)",
    re.IGNORECASE,
)
_YES_NO = re.compile(r"(?:is|are|was|were|do|does|did|has|have|had|can|could|will|would|should) ")
_WHEN = re.compile(r"\bwhen\b|\b(?:which|what) (?:year|month|week|weekend|date|day)\b|\bhow long ago\b")
_KIND = re.compile(r"\b(?:what|which) (?:(?:kind|type|sort)s? of )?(?P<words>[\w' -]{1,80})")
_VERBS = word_set("is are was were do does did has have had can could will would should might")
_NEGATION = word_set("not no never none nobody don didn doesn isn wasn haven hasn couldn won")
_FRAME = frozenset(
    map(
        stem,
        """
        kind type sort many much long old name thing way something say said tell told mention mentioned share shared
        describe described according get got go going specific new recently able make made take took use used want
        wanted become
        """.split(),
    )
)
"""What a question has of words that say what is asked for rather than about what, as stems."""
_FILLING = STOP_WORDS | word_set(
    "really just so yeah yes hey hi thanks thank wow oh well okay ok sure definitely actually pretty quite ll ve re m "
    "d don t let glad totally absolutely haha lol gonna like got get still even too there here lot i it its always "
    "currently also shared photo photography picture"
)
"""Words that no answer begins or ends with."""
_NAMED = word_set(
    "book books movie movies film films song songs show shows series quote title novel album author authors band bands "
    "artist artists city cities country countries state states island company brand name names restaurant university"
)
"""What is asked for by a name."""
_ROLES = word_set("user assistant")
_PLACE = re.compile(
    r"\b(?:in|at|to|from|near|around|into|visit(?:ed|ing)?) (?P<place>(?:the |a |an |my )?(?:[a-z'-]+ ){0,2}"
    r"(?:[A-Z][\w'-]*(?: [A-Z][\w'-]*)*(?:, [A-Z][\w'-]*)?|[a-z'-]+))"
)
_REASON = re.compile(
    r"\b(?:because|since|as|so that|in order to|so i can|so we can|to|for) (?P<why>.+)", re.I
)
_QUOTE = re.compile(r"[\"“]([^\"“”]{2,80})[\"”]")
_MONTH_YEAR = re.compile(rf"(?:{'|'.join(MONTHS)}) \d{{4}}")

Reader: TypeAlias = Callable[[str], "str | None"]


def answer_speech(question: str, said: Sequence[Said]) -> str:
    """Return the answer to ``question`` from what was ``said``, ``"unknown"`` when nothing that was said fits."""
    return _Search(question, said).answer()


class _Search:
    """One question, and how well what was said fits it."""

    def __init__(self, question: str, said: Sequence[Said]) -> None:
        self._question = question.lower()
        self._words = set(tokens(question))
        self._original = question
        self._told = [line for line in said if line.tells]
        speakers = {line.speaker for line in said if line.speaker.lower() not in _ROLES} - {""}
        self._speakers = {word for name in speakers for word in tokens(name)}
        self._named = {name for name in speakers if self._words.intersection(tokens(name)[:1])}
        days = [found for found in dates(question) if found.key[1]]
        for found in days:
            question = question.replace(found.text, " ")
        spoken = {stem(word) for word in self._speakers}
        # In their order, as sums of numbers depend on it.
        asked = [word for word in dict.fromkeys(content_stems(question)) if word not in spoken]
        self._weight = self._weights(asked, said)
        self._turns = {
            turn: self._share(stems) + _ON_THE_DAY * any(_is_of(day, found.key) for found in days)
            for turn, (day, stems) in _by_turn(self._told).items()
        }

    def _weights(self, stems: Iterable[str], said: Sequence[Said]) -> dict[str, float]:
        """Return how much each word of the question counts, of 1: the rarer the more."""
        turns = _by_turn(said)
        held = Counter(word for _, turn in turns.values() for word in turn)
        weight = {
            word: (0.3 if word in _FRAME else 1.0) * math.log(1 + (len(turns) + 1) / max(1, held[word]))
            for word in stems
        }
        total = sum(weight.values()) or 1.0
        return {word: value / total for word, value in weight.items()}

    def _share(self, stems: frozenset[str]) -> float:
        return sum(weight for word, weight in self._weight.items() if word in stems)

    def _fit(self, line: Said) -> float:
        """Return how well a sentence fits, its turn counted in."""
        return self._share(line.stems) + 0.5 * self._turns[line.turn]

    def answer(self) -> str:
        """Return the answer, ``"unknown"`` where what was said does not tell it."""
        own = [line for line in self._told if not self._named or line.speaker in self._named]
        best = max((self._turns[line.turn] for line in own), default=0.0)
        others = (self._turns[line.turn] for line in self._told if line.speaker not in self._named)
        if best < COVERED or (self._named and max(others, default=0.0) > best + MARGIN):
            return UNKNOWN
        return self._pick(sorted(own, key=self._fit, reverse=True)) or UNKNOWN

    def _pick(self, ranked: Sequence[Said]) -> str | None:
        """Return what the question asks for, from sentences, best first."""
        asked = self._question
        if _WHEN.search(asked):
            return self._when(ranked)
        if re.search(r"\bhow (?:long|old)\b", asked):
            return self._first(ranked, duration)
        if re.search(r"\bhow (?:many|much)\b", asked):
            return self._first(ranked, _number) or self._phrase(ranked)
        if _YES_NO.match(asked):
            options = find_options(self._original, [])
            if options is not None:
                return max(options, key=lambda option: self._beside(option, ranked))
            return "No" if _NEGATION.intersection(tokens(ranked[0].text)) else "Yes"
        found = None
        if re.match(r"\W*who\b", asked):
            found = self._first(ranked, self._name)
        elif re.match(r"\W*where\b", asked):
            found = self._first(ranked, _place)
        elif re.match(r"\W*why\b", asked):
            found = self._first(ranked, _reason)
        return found or self._things(ranked)

    def _beside(self, option: str, ranked: Sequence[Said]) -> float:
        wanted = set(content_stems(option))
        return max(len(wanted & line.stems) * self._fit(line) for line in ranked)

    def _first(self, ranked: Sequence[Said], read: Reader) -> str | None:
        """Return what ``read`` finds first in the best turn and in the sentences that fit nearly as well."""
        least = _ALIKE * self._fit(ranked[0])
        near = (line for line in ranked if line.turn == ranked[0].turn or self._fit(line) >= least)
        return next((found for line in near if (found := read(line.text))), None)

    def _when(self, ranked: Sequence[Said]) -> str | None:
        """Return the time that the best turn tells of, else the day on which it was said."""
        day = ranked[0].day
        if day is None:
            return self._phrase(ranked)
        turn = (line.text for line in ranked if line.turn == ranked[0].turn)
        found = next((told for text in turn if (told := when(text, day))), written(day))
        part = None
        if re.search(r"\b(?:which|what) year\b", self._question):
            part = re.search(r"\b\d{4}\b", found)
        elif re.search(r"\b(?:which|what) month\b", self._question):
            part = _MONTH_YEAR.search(found)
        return part.group() if part else found

    def _things(self, ranked: Sequence[Said]) -> str:
        """Return a name, the words before the noun asked for (*fantasy forum*), or a phrase; several where asked."""
        noun, several = _noun(self._question)
        read: Reader | None = self._name if noun in _NAMED else None
        if several:
            return ", ".join(self._several(ranked, read))
        found = self._first(ranked, read) if read else None
        if found is None and noun:
            found = self._first(ranked, functools.partial(self._headed, stem(noun)))
        return found or self._phrase(ranked)

    def _several(self, ranked: Sequence[Said], read: Reader | None) -> list[str]:
        """Return a name or a phrase of each of the turns that fit nearly as well as the best."""
        least = _ALIKE * self._fit(ranked[0])
        best: dict[int, Said] = {}
        for line in ranked:
            if self._fit(line) >= least:
                best.setdefault(line.turn, line)
        found = [(read(line.text) if read else self._phrase([line])) or "" for line in best.values()]
        return [phrase for phrase in dict.fromkeys(found) if phrase][:_MOST_ITEMS]

    def _name(self, text: str) -> str | None:
        """Return a title in quotes, or the first name that the question does not have."""
        quote = _QUOTE.search(text)
        if quote:
            return quote[1].strip(" .,!")
        known = self._words | self._speakers
        found = (name.text for name in names(text) if name.start > 0 or " " in name.text)
        return next((name for name in found if not known & set(tokens(name)) and not _is_filling(name)), None)

    def _headed(self, noun: str, text: str) -> str | None:
        """Return the first ``noun`` that has words before it which are not the question's, with these."""
        for clause in _CLAUSE.split(text) if noun in content_stems(text) else ():
            words = _WORD.findall(clause)
            keys = [stem(word.lower()) for word in words]
            end = start = keys.index(noun) if noun in keys else 0
            while start and keys[start - 1] not in self._weight and not _is_filling(words[start - 1]):
                start -= 1
            if start < end:
                return _written(clause, start, end + 1)
        return None

    def _phrase(self, ranked: Sequence[Said]) -> str:
        """Return words other than those of the question, from the first two sentences, best those that follow them."""
        best, most = "", -math.inf
        for line in ranked[:2]:
            fit = self._fit(line) / (self._fit(ranked[0]) or 1.0)
            for clause in _CLAUSE.split(line.text) if fit >= _NEARLY else ():
                words = _WORD.findall(clause)
                keys = [stem(word.lower()) for word in words]
                held = [0.0 if key in _FRAME else self._weight.get(key, 0.0) for key in keys]
                for start, end in _runs(words, held):
                    content = sum(not _is_filling(word) for word in words[start:end])
                    score = fit + sum(held) + sum(held[:start]) + 0.3 * min(content, 3)
                    if score > most:
                        best, most = _written(clause, start, end), score
        return best


def _by_turn(said: Iterable[Said]) -> dict[int, tuple[date | None, frozenset[str]]]:
    """Return the day and the stems of each turn."""
    found: dict[int, tuple[date | None, frozenset[str]]] = {}
    for line in said:
        found[line.turn] = (
            line.day,
            line.stems | (found[line.turn][1] if line.turn in found else frozenset()),
        )
    return found


def _is_of(day: date | None, key: tuple[int, int, int]) -> bool:
    return day is not None and (day.year, day.month) == key[:2] and key[2] in (0, day.day)


def _noun(question: str) -> tuple[str, bool]:
    """Return the noun after *what* or *which*, and whether several are asked for: ``("pastries", True)``."""
    found = _KIND.search(question)
    noun, several = "", False
    for word in found["words"].split() if found else ():
        if word in _VERBS:
            several |= not noun and word == "are"
            break
        if word in STOP_WORDS:
            break
        noun = word
    return noun, several or (
        len(noun) > 3 and noun.endswith("s") and not noun.endswith(("ss", "'s", "us", "is"))
    )


def _runs(words: Sequence[str], held: Sequence[float]) -> Iterator[tuple[int, int]]:
    """Yield the stretches of words that the question does not have, without filling at their ends."""
    start = 0
    for place, weight in enumerate([*held, 1.0]):
        if weight:
            end = place
            while start < end and _is_filling(words[start]):
                start += 1
            end = min(end, start + _MOST_WORDS)
            while end > start and _is_filling(words[end - 1]):
                end -= 1
            if start < end:
                yield start, end
            start = place + 1


def _written(clause: str, start: int, end: int) -> str:
    """Return words ``start`` to ``end`` of a clause with what stands between them."""
    spans = [match.span() for match in _WORD.finditer(clause)]
    return clause[spans[start][0] : spans[end - 1][1]]


@functools.lru_cache(maxsize=1 << 14)
def _is_filling(words: str) -> bool:
    return all(token in _FILLING for token in tokens(words))


def _number(text: str) -> str | None:
    times = re.search(r"\b(?:once|twice)\b", text)
    return next((number.text for number in numbers(text)), times.group() if times else None)


def _place(text: str) -> str | None:
    places = [found["place"] for found in _PLACE.finditer(text) if found["place"].split()[-1] not in MONTHS]
    return next((place for place in places if not place.islower()), places[0] if places else None)


def _reason(text: str) -> str | None:
    found = _REASON.search(text)
    return " ".join(found["why"].rstrip(".!? ").split()[:_MOST_WORDS]) if found else None
