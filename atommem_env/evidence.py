"""The evidence funnel: where a policy loses the evidence that its questions need.

A unit of evidence (usually a supporting sentence) can reach four stages:

- *seen*: its last token has been shown in a chunk.
- *written*: some entry, the scratchpad included, held it at the end of some step.
- *kept*: one held it at the first observation that asked its question.
- *read*: the scratchpad or a retrieved entry held it in an observation that asked its question.

They count up to the last observation that asks the question. A text counts only from a write made at or after the
observation that showed the unit's last token. Whether a text holds a unit is decided by :func:`holds`; how often that
errs is measured by ``examples/funnel_quality.py``.
"""

from __future__ import annotations

import functools
import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias, cast

from atommem_env.data.records import SUPERSEDED, SUPPORTING
from atommem_env.text import sentence_spans, tokens, word_spans

if TYPE_CHECKING:
    from atommem_env.core.types import Gold, Metrics
    from atommem_env.tasks.task import Task

STAGES: Final = ("seen", "written", "kept", "read")
"""The stages that a unit of evidence can reach."""

STALE_STAGES: Final = ("stale_kept", "stale_read")
"""Kept and read of superseded units: those that a later fact, shown before the question was asked, replaces."""

READ_DOCUMENTS: Final = ("read_any", "read_all")
"""Whether a unit was read of one, or of each, of the documents (of a chat: sessions) that hold the supporting units."""

WordShares: TypeAlias = Callable[[Iterable[str]], Mapping[str, float]]
"""Gives the share of a dataset's documents that have each of some words: ``QADataset.word_shares``."""

STOP_WORDS: Final = frozenset(
    """a about above after again all also although am an and any are as at be because been before being below
    between both but by can could did do does doing down during each few for from further had has have having he
    her here hers him his how i if in into is it its itself just me more most my no nor not now of off on once
    only or other our out over own s same she should so some such t than that the their theirs them then there
    these they this those through to too under until up upon us very was we were what when where which while who
    whom whose why will with would you your""".split()
)
"""Words of English that say nothing of what a sentence is about, in a dataset of whatever size."""

_WORDS = re.compile(r"\w+")
_DIGIT = re.compile(r"\d")
_BRACKETS = re.compile(r"(?<!\s)\s*\([^()]*\)")
_ITEM = re.compile(r"\A\s*\d+[.)]\s+")

# The rule's numbers. Those of titled documents were chosen on the training samples of three benchmarks, those of turns
# on generated chats and two conversations of LoCoMo; both were confirmed on others.
_RARE = 0.001  # a word that a smaller share of documents has weighs no more
_RAREST = math.log(_RARE)
_COMMON = 0.01  # a single word with a capital begins a sentence as a name when a smaller share has it
_EVERY = 0.9  # the share of all words, by weight, that stands for all of them
_TELLING = (
    4.0  # names and numbers that weigh as much as this many of the rarest words tell a sentence by themselves
)
_SHORTEST = 16  # words of the shortest window
_SLACK = 4  # words that a line may have besides
_LONG_TURN = 60  # words of a turn that is one unit
_TURN_SENTENCES = 3  # units of a longer one


class _Least(NamedTuple):
    """How much of a unit a text must have.

    Attributes:
        overall: the share of all words, by weight.
        names: the share of the names, by weight.
        numbers: the share of the numbers.
        stretch: the length of a window, in lengths of the unit.
        power: what the weight of a word is raised to: below 1, words that many documents have count for more.
        weight: words that weigh so much, as far as this is less than ``most`` of all words.
        most: a share of all words, by weight.
    """

    overall: float
    names: float
    numbers: float = 0.65
    stretch: float = 1.5
    power: float = 1.0
    weight: float = 0.0
    most: float = 1.0

    def of(self, weight: float) -> float:
        """Return how much words must weigh, of a unit whose words weigh ``weight`` in all."""
        return max(self.overall * weight, min(self.weight, self.most * weight))


_TITLED = _Least(overall=0.55, names=0.65)
_NUMBERED_FACT = _Least(overall=0.65, names=0.65)
_TURN = _Least(overall=0.4, names=0.85, stretch=1.2, power=0.5, weight=2.4, most=0.7)


class EvidenceUnit(NamedTuple):
    """A unit of evidence, as the funnel looks for it.

    Attributes:
        text: what it says.
        title: its document's title; ``""`` where the document has none that names what it is about (a chat).
        question: the number of the question that it is evidence for.
        end: the offset in the task's text at which it ends.
        role: :data:`SUPPORTING` or :data:`SUPERSEDED`.
        document: the number of its document in the task.
        parts: of a unit that is a whole message: the texts each of which stands for it; none: ``text`` alone.
    """

    text: str
    title: str = ""
    question: int = 0
    end: int = 0
    role: str = SUPPORTING
    document: int = 0
    parts: tuple[str, ...] = ()


def gold_units(gold: Sequence[Gold]) -> list[EvidenceUnit]:
    """Return the units of evidence that ``info["gold"]`` lists, in its order."""
    return [
        EvidenceUnit(
            unit["sentence"] or unit["text"],
            "" if "id" in unit else unit["title"],
            number,
            role=unit.get("role", SUPPORTING),
        )
        for number, question in enumerate(gold)
        for unit in question["evidence"]
    ]


def mean_share(metrics: Metrics, stage: str) -> float | None:
    """Return the share of the evidence that reached a stage, in [0, 1]: the mean over the questions that have any.

    Args:
        metrics: an episode's ``info["metrics"]``.
        stage: one of :data:`STAGES`, of :data:`STALE_STAGES` for the share of what is superseded, or of
            :data:`READ_DOCUMENTS`, for which questions that cannot be answered do not count.

    Returns:
        ``None`` where nothing is known: no question has evidence, or the policy keeps text outside memory.
    """
    every = (
        cast("Mapping[str, float | None]", question["evidence"])
        for question in metrics["questions"]
        if stage not in READ_DOCUMENTS or question.get("answerable") is not False
    )
    shares = [reached.get(stage) for reached in every]
    known = [share for share in shares if share is not None]
    return sum(known) / len(known) if known else None


def holds(text: str, unit: str, title: str = "", word_shares: WordShares | None = None) -> bool:
    """Tell whether ``text`` holds ``unit``, a sentence of a document.

    Words weigh by how rare they are among the documents of the dataset; stop words weigh nothing. The text holds
    the unit when both are true:

    1. It says who or what the unit is about. Where the sentence itself has the title, or begins with a name, the
       text has these, word by word, before the end of the stretch of rule 2. Where it has neither ("She was born
       in 1931"), the text has the title there; or the sentence stands alone in a line, with all its names and
       numbers; or the text has all the names and numbers, which are together as rare as four of the rarest words,
       and nearly everything else.
    2. In a stretch of one and a half times the unit's length it has two thirds of the unit's names, by weight, two
       thirds of its numbers, and more than half of its words, by weight, those of the title left out (two
       thirds of a numbered fact, which is short and shares its frame with others).

    It also holds a unit that names what it is about when all the words of the unit stand, in whatever order, in a
    stretch of the unit's length. The exact shares are constants of this module.

    Args:
        text: a memory content of any length.
        unit: the unit of evidence.
        title: its document's title, ``""`` where there is none; what stands in brackets need not be said.
        word_shares: the share of the dataset's documents that have each word; ``None``: every word is rare.
    """
    return bool(Matcher([EvidenceUnit(unit, title)], word_shares).held(text))


def turn_spans(
    text: str, answers: Sequence[str], word_shares: WordShares | None = None
) -> list[tuple[int, int]]:
    """Return the ``(start, end)`` spans of the units of a chat's evidence turn.

    A turn of at most 60 words is one unit. Of a longer one it is at most three sentences, those that share most with
    an answer, by weight (and at least two content words), in their order; where there is none, the first 60 words.

    Args:
        text: the turn.
        answers: the answers of the question that it is evidence for.
        word_shares: the share of the dataset's documents that have each word; ``None``: every word is rare.
    """
    most = (len(text) + 1) // 2 if text.isascii() else len(text)
    if most <= _LONG_TURN or len(words := word_spans(text)) <= _LONG_TURN:
        return [(0, len(text))]
    spans = sentence_spans(text)
    gold = [set(tokens(answer)) - STOP_WORDS for answer in answers]
    shares = word_shares(sorted(set().union(*gold))) if word_shares and gold else {}
    ranked = []
    for number, (start, end) in enumerate(spans):
        said = set(tokens(text[start:end]))
        common = [said & wanted for wanted in gold]
        overlap = max(
            (
                math.fsum(_weight(shares.get(word, _RARE)) for word in both)
                for both in common
                if len(both) > 1
            ),
            default=0.0,
        )
        if overlap > 0:
            ranked.append((-overlap, number))
    if not ranked:
        return [(words[0][0], words[_LONG_TURN - 1][1])]
    return [spans[number] for number in sorted(number for _, number in sorted(ranked)[:_TURN_SENTENCES])]


# --- what identifies a unit -------------------------------------------------------------------------

Phrase: TypeAlias = tuple[str, ...]


class _Word(NamedTuple):
    """What a word of a unit counts: in all, as a name, as a number, and as what sets it apart from its rivals."""

    weight: float
    name: float
    number: float
    apart: float


class _Pattern(NamedTuple):
    """What to look for.

    Attributes:
        words: the unit's words without stop words and the title's.
        least: how much of each count of :class:`_Word` a text must have.
        all: how much of each count the unit has.
        window: the length of a stretch, in words.
        named: the names that the sentence has for what it is about: a text must have all of them.
        titles: where it has none: one of these will do, in place of more of the rest; none: nothing to be named.
        bag: where it has some: the unit's words without stop words, and how often; else empty.
        length: the unit's length in words.
        looked_for: the words whose places in a text matter.
    """

    words: dict[str, _Word]
    least: _Word
    all: _Word
    window: int
    named: tuple[Phrase, ...]
    titles: tuple[Phrase, ...]
    bag: dict[str, int]
    length: int
    looked_for: frozenset[str]


def _content(words: Sequence[str]) -> Phrase:
    """Return the words that are not stop words, all where there are no others."""
    return tuple([word for word in words if word not in STOP_WORDS]) or tuple(words)


@functools.lru_cache(maxsize=4096)  # few counts, and so few shares, make most words
def _weight(share: float) -> float:
    """Return the weight of a word that a share of documents has, in (0, 1]."""
    return max(min(math.log(share) / _RAREST, 1.0), 0.02)


def _forms(word: str) -> Sequence[str]:
    """Return the search tokens of a word as it stands in a text."""
    return (word.lower(),) if word.isascii() else tokens(word)


def _has(words: Phrase, phrase: Phrase) -> bool:
    return f" {' '.join(phrase)} " in f" {' '.join(words)} "  # a word has no space; the search is linear


def _leading_name(raw: Sequence[str], titled: bool, shares: Mapping[str, float]) -> Phrase:
    """Return the name that a sentence begins with, in search tokens; empty where it begins with none.

    It is the run of words with a capital at its start, an article left out. A single word may have its capital
    from the sentence alone, and every word of a chat's turn may ("Hey Mel"): these count where they are rare.
    """
    name, sure = _leading_words(raw)
    if not titled or not sure:
        name = [word for word in name if shares.get(word, _RARE) <= _COMMON]
    return tuple(name)


def _leading_words(raw: Sequence[str]) -> tuple[list[str], bool]:
    """Return the words of a name that a sentence may begin with, and whether it is sure to be one in a document."""
    start = 1 if len(raw) > 1 and raw[0].lower() in ("the", "a", "an") else 0
    run: list[str] = []
    for word in raw[start:]:
        if not word[0].isupper() or word.lower() in STOP_WORDS:
            break
        run.append(word)
    return [word for part in run for word in _forms(part)], len(run) != 1 or start > 0


def _names_and_numbers(raw: Sequence[str]) -> tuple[set[str], set[str]]:
    """Return the words with a capital, but for the first, and the numbers, in search tokens."""
    names: set[str] = set()
    numbers: set[str] = set()
    for place, word in enumerate(raw):
        if not word.isalpha() and (word.isdigit() or _DIGIT.search(word)):
            numbers.update(_forms(word))
        elif place and word[0].isupper():
            names.update(_forms(word))
    return names, numbers


class _Part(NamedTuple):
    """A text that stands for a unit: the unit itself, or one of its parts.

    Attributes:
        unit: the number of the unit.
        text: what it says.
        words: the search tokens of ``text``.
        content: those of them that are not stop words, all where there are no others.
        titles: the forms of the title of the unit's document.
        named: the first of them where ``text`` has it, which a text that holds the unit must have too; else empty.
        rule: how much of it a text must have.
        apart: the words that its rivals do not have; empty where it has no rivals.
    """

    unit: int
    text: str
    words: list[str]
    content: Phrase
    titles: tuple[Phrase, ...]
    named: Phrase
    rule: _Least
    apart: Collection[str]


class _Weights(NamedTuple):
    """What the words of a part weigh.

    Attributes:
        words: the weight of each word of its content, to the rule's power; those of a title that it has left out.
        least: how much of that a text must have.
        shares: the share of documents that have each of its words.
    """

    words: dict[str, float]
    least: float
    shares: Mapping[str, float]


def _weigh(part: _Part, shares: Mapping[str, float]) -> _Weights:
    """Return what the words of a part weigh, by the share of documents that have each."""
    words = {
        word: _weight(shares.get(word, _RARE)) ** part.rule.power
        for word in dict.fromkeys(part.content)
        if word not in part.named
    }
    return _Weights(words, part.rule.of(sum(words.values())) - 1e-9, shares)


def _pattern(part: _Part, weights: _Weights) -> _Pattern:
    """Return what to look for of a part."""
    raw = _WORDS.findall(part.text)
    names, numbers = _names_and_numbers(raw)
    titles = part.titles
    lead = _leading_name(raw, bool(titles), weights.shares)
    names.update(lead)
    named = [part.named] if part.named else []
    if lead and not (titles and set(lead) <= set(titles[0])):
        named.append(lead)
    counts = {}
    for word, weight in weights.words.items():
        number = word in numbers
        named_so = word in names and not number
        counts[word] = _Word(
            weight,
            _weight(weights.shares.get(word, _RARE)) if named_so else 0.0,
            float(number),
            float(word in part.apart),
        )
    whole = _Word(*map(sum, zip(*counts.values(), strict=True))) if counts else _Word(0.0, 0.0, 0.0, 0.0)
    rule = part.rule
    least = (rule.names * whole.name, rule.numbers * whole.number, 0.5 * whole.apart)
    return _Pattern(
        words=counts,
        least=_Word(weights.least, *[count - 1e-9 for count in least]),
        all=whole,
        window=max(_SHORTEST, int(rule.stretch * len(part.words))),
        named=tuple(named),
        titles=() if named else titles,
        bag=dict(Counter(part.content)) if named else {},
        length=len(part.words),
        looked_for=frozenset([*part.content, *[phrase[-1] for phrase in named or titles]]),
    )


def _needed(part: _Part) -> tuple[frozenset[str], ...]:
    """Return sets of words: a text that holds the part has all words of at least one of them.

    They follow from the part alone, whatever its words weigh: most texts that share a word with a part are passed over
    by them, before anything is weighed.
    """
    if part.named or not part.titles:
        return (frozenset(part.named),)  # empty: it may be any
    raw = _WORDS.findall(part.text)
    lead, sure = _leading_words(raw)
    if lead and sure and not set(lead) <= set(part.titles[0]):
        return (frozenset(lead),)  # the sentence itself names what it is about
    # It does not, or only by a word that may be none: then the title is named, or every name and number.
    names, numbers = _names_and_numbers(raw)
    told = names.union(numbers, lead if sure else ()).intersection(part.content)
    maybe = () if sure else [frozenset((word,)) for word in lead]
    return (frozenset(told), *map(frozenset, part.titles), *maybe)


class Matcher:
    """:func:`holds` for several units at once, in time proportional to the text.

    What identifies a unit is found out when it is needed: most texts share no word with most units, and few of those
    that do have enough of their words by weight.

    Args:
        units: the units of evidence.
        word_shares: the share of the dataset's documents that have each word; ``None``: every word is rare.
    """

    def __init__(self, units: Sequence[EvidenceUnit], word_shares: WordShares | None = None) -> None:
        self._word_shares = word_shares
        self._parts: list[_Part] = []
        self._parts_with: dict[str, list[int]] = {}
        self._needed: list[tuple[frozenset[str], ...]] = []
        self._weights: dict[int, _Weights] = {}
        self._patterns: dict[int, _Pattern] = {}
        rivals = _rival_words(units)
        for number, unit in enumerate(units):
            self._add(number, unit, rivals.get((unit.question, unit.role)))

    def _add(self, number: int, unit: EvidenceUnit, others: Set[str] | None) -> None:
        rule = _NUMBERED_FACT if _ITEM.match(unit.text) else _TITLED if unit.title else _TURN
        titles = _title_forms(unit.title)
        for text in _said(unit):
            words = tokens(text)
            content = _content(words)
            distinct = set(content)
            named = (
                titles[0] if titles and distinct.issuperset(titles[0]) and _has(content, titles[0]) else ()
            )
            apart = distinct - others - STOP_WORDS if others else ()
            place = len(self._parts)
            part = _Part(number, text, words, content, titles, named, rule, apart)
            needed = _needed(part)
            self._parts.append(part)
            self._needed.append(needed)
            # Of words that must all be there, one will do: the longest, which few texts have.
            for word in {max(each, key=len) for each in needed} if all(needed) else distinct:
                self._parts_with.setdefault(word, []).append(place)

    def held(self, text: str, among: Collection[int] | None = None) -> list[int]:
        """Return the numbers of the units that ``text`` holds, ascending.

        Args:
            text: a memory content of any length.
            among: the numbers of the units that count; ``None``: all.
        """
        words = tokens(text)
        likely = self._likely(words, among)
        if not likely:
            return []
        patterns = [(self._parts[part].unit, self._pattern(part)) for part in likely]
        looked_for = frozenset[str]().union(*[pattern.looked_for for _, pattern in patterns])
        places: dict[str, list[int]] = {}
        for place, word in [pair for pair in enumerate(words) if pair[1] in looked_for]:
            places.setdefault(word, []).append(place)
        found = _Found(text, words, places)
        return sorted({unit for unit, pattern in patterns if found.holds(pattern)})

    def _likely(self, words: Sequence[str], among: Collection[int] | None) -> list[int]:
        """Return the parts, of the units ``among``, that a text with these words has enough of by weight."""
        parts, parts_with = self._parts, self._parts_with
        if parts_with.keys().isdisjoint(words):
            return []
        had = set(words)
        near = [
            number
            for number in {number for word in parts_with.keys() & had for number in parts_with[word]}
            if (among is None or parts[number].unit in among)
            and any(map(had.issuperset, self._needed[number]))
        ]
        self._weigh([number for number in near if number not in self._weights])
        likely = []
        for number in near:
            weights = self._weights[number]
            if sum([each for word, each in weights.words.items() if word in had]) >= weights.least:
                likely.append(number)
        return likely

    def _weigh(self, parts: Sequence[int]) -> None:
        if parts:
            weighed = [self._parts[number] for number in parts]
            shares = (
                {}
                if self._word_shares is None
                else self._word_shares([word for part in weighed for word in part.words])
            )
            for number, part in zip(parts, weighed, strict=True):
                self._weights[number] = _weigh(part, shares)

    def _pattern(self, part: int) -> _Pattern:
        known = self._patterns.get(part)
        if known is None:
            known = self._patterns[part] = _pattern(self._parts[part], self._weights[part])
        return known


def _title_forms(title: str) -> tuple[Phrase, ...]:
    """Return a title's words, before them those without what stands in brackets; none without a title."""
    forms = (_BRACKETS.sub("", title), title) if "(" in title else (title,)
    return tuple([form for form in [_content(tokens(form)) for form in dict.fromkeys(forms)] if form])


def _said(unit: EvidenceUnit) -> list[str]:
    """Return the texts each of which stands for a unit, without the number before an item of a list."""
    return [_ITEM.sub("", part, count=1) or part for part in unit.parts or (unit.text,)]


def _rival_words(units: Sequence[EvidenceUnit]) -> dict[tuple[int, str], set[str]]:
    """Return, for each question and role, the words of the question's units of the other role."""
    rivals: dict[tuple[int, str], set[str]] = {}
    if any(unit.role == SUPERSEDED for unit in units):
        for unit in units:
            other = SUPPORTING if unit.role == SUPERSEDED else SUPERSEDED
            words = rivals.setdefault((unit.question, other), set())
            words.update(word for text in _said(unit) for word in tokens(text))
    return rivals


class _Found:
    """A text, and where the words that matter stand in it."""

    def __init__(self, text: str, words: list[str], places: dict[str, list[int]]) -> None:
        self._text = text
        self._words = words
        self._places = places
        self._firsts: dict[Phrase, int] = {}
        self._alones: dict[int, bool] = {}

    def holds(self, pattern: _Pattern) -> bool:
        """Tell whether the text holds the unit."""
        named = [self._first(phrase) for phrase in pattern.named]
        if all(place >= 0 for place in named):
            titled = [place for place in map(self._first, pattern.titles) if place >= 0]
            if pattern.titles and not titled:
                since = len(self._words) + pattern.window  # never
            else:
                since = max(named) if named else min(titled, default=-1)
            if self._within(pattern, since):
                return True
        return bool(pattern.bag) and self._whole(pattern)

    def _first(self, phrase: Phrase) -> int:
        """Return where the first occurrence of a phrase ends, stop words between its words left out; -1: nowhere."""
        known = self._firsts.get(phrase)
        if known is None:
            known = next(
                (place for place in self._places.get(phrase[-1], ()) if self._ends(phrase, place)), -1
            )
            self._firsts[phrase] = known
        return known

    def _ends(self, phrase: Phrase, place: int) -> bool:
        words = self._words
        for wanted in phrase[-2::-1]:
            place -= 1
            while place >= 0 and words[place] != wanted and words[place] in STOP_WORDS:
                place -= 1
            if place < 0 or words[place] != wanted:
                return False
        return True

    def _within(self, pattern: _Pattern, since: int) -> bool:
        """Tell whether a stretch has enough of the unit, and what it is about is named by its end.

        Args:
            pattern: what to look for.
            since: the place in the text from which on it is named.
        """
        words, least, window = pattern.words, pattern.least, pattern.window
        if not words:
            return True
        hits = sorted([(place, word) for word in words for place in self._places.get(word, ())])
        counts: dict[str, int] = {}
        weight = name = number = apart = 0.0
        first = 0
        for place, word in hits:
            count = counts.get(word, 0)
            counts[word] = count + 1
            if not count:
                each = words[word]
                weight += each.weight
                name += each.name
                number += each.number
                apart += each.apart
            while place - hits[first][0] >= window:
                left = hits[first][1]
                first += 1
                counts[left] -= 1
                if not counts[left]:
                    each = words[left]
                    weight -= each.weight
                    name -= each.name
                    number -= each.number
                    apart -= each.apart
            if weight < least.weight or name < least.name or number < least.number or apart < least.apart:
                continue
            if since < hits[first][0] + window:
                return True
            if pattern.titles and self._unnamed(pattern, _Word(weight, name, number, apart)):
                return True
        return False

    def _unnamed(self, pattern: _Pattern, had: _Word) -> bool:
        """Tell whether a stretch of the text has so much of the unit that its title need not be said."""
        whole = pattern.all
        if had.name < whole.name - 1e-9 or had.number < whole.number - 1e-9:
            return False
        every = had.weight >= _EVERY * whole.weight
        if every and whole.name + whole.number >= _TELLING:
            return True
        return (every or whole.name + whole.number > 0) and self._alone(pattern)

    def _alone(self, pattern: _Pattern) -> bool:
        """Tell whether a line of the text is the unit's sentence and little besides; looked for once."""
        known = self._alones.get(id(pattern))
        if known is None:
            known = self._alones[id(pattern)] = self._is_alone(pattern)
        return known

    def _is_alone(self, pattern: _Pattern) -> bool:
        for line in self._text.splitlines():
            words = tokens(line)
            if len(words) <= _TITLED.stretch * pattern.length + _SLACK:
                had = [pattern.words[word] for word in set(words) if word in pattern.words]
                if (
                    sum(count.weight for count in had) >= pattern.least.weight
                    and sum(count.name for count in had) >= pattern.all.name - 1e-9
                    and sum(count.number for count in had) >= pattern.all.number - 1e-9
                ):
                    return True
        return False

    def _whole(self, pattern: _Pattern) -> bool:
        """Tell whether all words of the unit stand in a stretch of its length, each as often as in the unit."""
        bag = pattern.bag
        if any(len(self._places.get(word, ())) < often for word, often in bag.items()):
            return False
        hits = sorted([(place, word) for word in bag for place in self._places[word]])
        counts = dict.fromkeys(bag, 0)
        lacking = len(bag)
        first = 0
        for place, word in hits:
            counts[word] += 1
            lacking -= counts[word] == bag[word]
            while place - hits[first][0] >= pattern.length:
                left = hits[first][1]
                first += 1
                lacking += counts[left] == bag[left]
                counts[left] -= 1
            if not lacking:
                return True
        return False


# --- the stages of an episode -----------------------------------------------------------------------


def evidence_units(task: Task, word_shares: WordShares | None = None) -> list[EvidenceUnit]:
    """Return the units of evidence of a task as the funnel looks for them.

    Args:
        task: the task.
        word_shares: the share of the dataset's documents that have each word; ``None``: every word is rare.
    """
    made = []
    for unit in task.units:
        text = task.unit_text(unit)
        parts: tuple[str, ...] = ()
        if unit.whole:
            spans = turn_spans(text, task.questions[unit.question].answers, word_shares)
            parts = tuple([text[start:end] for start, end in spans])
        title = "" if unit.turn >= 0 else task.documents[unit.document].title
        made.append(EvidenceUnit(text, title, unit.question, unit.end, unit.role, unit.document, parts))
    return made


class EvidenceTracker:
    """The funnel of one episode, kept up to date at a cost in proportion to what a step writes and shows.

    Args:
        units: the units of evidence.
        word_shares: the share of the dataset's documents that have each word; ``None``: every word is rare.
    """

    def __init__(self, units: Sequence[EvidenceUnit], word_shares: WordShares | None = None) -> None:
        self._matcher = Matcher(units, word_shares)
        self._of_question: dict[tuple[int, str], list[int]] = {}
        for number, unit in enumerate(units):
            self._of_question.setdefault((unit.question, unit.role), []).append(number)
        self._question_of = [unit.question for unit in units]
        self._document_of = [unit.document for unit in units]
        self._ends = sorted((unit.end, number) for number, unit in enumerate(units))
        self._num_seen = 0
        self._shown: set[int] = set()
        self._holders: list[set[int]] = [set() for _ in units]
        self._held: dict[int, list[int]] = {}
        self._asked: set[int] = set()
        self._closed: set[int] = set()
        self._reached: dict[str, set[int]] = {stage: set() for stage in STAGES}

    def show(self, end: int) -> None:
        """Note that a chunk up to offset ``end`` of the task's text has been shown."""
        while self._num_seen < len(self._ends) and self._ends[self._num_seen][0] <= end:
            unit = self._ends[self._num_seen][1]
            self._shown.add(unit)
            if self._question_of[unit] not in self._closed:
                self._reached["seen"].add(unit)
            self._num_seen += 1

    def write(self, changes: Iterable[tuple[int, str | None]], question: int | None = None) -> None:
        """Note what the entries that a step wrote say at its end.

        Args:
            changes: each entry that was written, and its content; ``None`` stands for a removed entry.
            question: where a step of this question counts for it alone; ``None``: it counts for all.
        """
        if not self._holders:
            return
        for id, content in changes:
            for unit in self._held.pop(id, ()):
                self._holders[unit].discard(id)
            if content and self._shown:
                units = self._matcher.held(content, self._shown)
                if units:
                    self._held[id] = units
                    for unit in units:
                        self._holders[unit].add(id)
                        if self._question_of[unit] in self._closed:
                            continue
                        if question is None or self._question_of[unit] == question:
                            self._reached["written"].add(unit)

    def ask(self, question: int, shown: Collection[int]) -> None:
        """Note an observation that asked ``question`` and showed the entries ``shown`` (scratchpad included)."""
        units = [
            unit for role in (SUPPORTING, SUPERSEDED) for unit in self._of_question.get((question, role), ())
        ]
        if question not in self._asked:
            self._asked.add(question)
            self._reached["kept"].update(unit for unit in units if self._holders[unit])
        read = self._reached["read"]
        for unit in units:
            if unit not in read and not self._holders[unit].isdisjoint(shown):
                read.add(unit)

    def close(self, question: int) -> None:
        """Note that ``question`` has been asked for the last time: what comes later does not count for it."""
        self._closed.add(question)

    def count(self, question: int, role: str = SUPPORTING) -> int:
        """Return the number of units of ``question`` that have a role."""
        return len(self._of_question.get((question, role), ()))

    def shares(self, question: int) -> dict[str, float | None]:
        """Return, for each stage, the share of the question's units that reached it; ``None`` without units.

        The keys are :data:`STAGES`, of the supporting units, :data:`STALE_STAGES`, of the superseded ones, and
        :data:`READ_DOCUMENTS`.
        """
        supporting = self._of_question.get((question, SUPPORTING), ())
        superseded = self._of_question.get((question, SUPERSEDED), ())
        shares = dict(zip(READ_DOCUMENTS, self._documents_read(supporting), strict=True))
        for stage in STAGES:
            shares[stage] = self._share(supporting, stage)
        for stage in STALE_STAGES:
            shares[stage] = self._share(superseded, stage.removeprefix("stale_"))
        return shares

    def _share(self, units: Sequence[int], stage: str) -> float | None:
        return len(self._reached[stage].intersection(units)) / len(units) if units else None

    def _documents_read(self, units: Sequence[int]) -> tuple[float | None, float | None]:
        """Return whether a unit was read of one document that holds some of the units, and of each."""
        if not units:
            return None, None
        documents = {self._document_of[unit] for unit in units}
        read = {self._document_of[unit] for unit in units if unit in self._reached["read"]}
        return float(bool(read)), float(read == documents)

    def holding(self) -> dict[int, list[int]]:
        """Return what the entries hold, by id, for :meth:`restore`."""
        return dict(self._held)

    def restore(self, holding: Mapping[int, list[int]]) -> None:
        """Go back to what the entries held when :meth:`holding` was called; what was reached stays reached."""
        now, self._held = self._held, dict(holding)
        for id, units in now.items():
            if holding.get(id) is not units:
                for unit in units:
                    self._holders[unit].discard(id)
        for id, units in holding.items():
            if now.get(id) is not units:
                for unit in units:
                    self._holders[unit].add(id)

    def copy(self) -> EvidenceTracker:
        """Return an independent copy."""
        copy = object.__new__(EvidenceTracker)
        copy._matcher, copy._of_question, copy._ends = self._matcher, self._of_question, self._ends
        copy._question_of, copy._document_of = self._question_of, self._document_of
        copy._num_seen = self._num_seen
        copy._shown = set(self._shown)
        copy._holders = [set(holders) for holders in self._holders]
        copy._held = dict(self._held)
        copy._asked = set(self._asked)
        copy._closed = set(self._closed)
        copy._reached = {stage: set(units) for stage, units in self._reached.items()}
        return copy


def evidence_of(task: Task, word_shares: WordShares | None = None) -> EvidenceTracker:
    """Return the funnel at the start of an episode of ``task``; what it looks for is made once for a task.

    Args:
        task: the task.
        word_shares: the share of the dataset's documents that have each word; ``None``: every word is rare.
    """
    return _untouched(task, word_shares).copy()


@functools.lru_cache(maxsize=8)
def _untouched(task: Task, word_shares: WordShares | None) -> EvidenceTracker:
    return EvidenceTracker(evidence_units(task, word_shares), word_shares)
