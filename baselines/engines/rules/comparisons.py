"""Questions about two things: which of two, and whether both share something."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from atommem_env.baselines.engines.rules.facts import (
    country,
    country_of,
    is_person,
    life,
    nationality,
)
from atommem_env.baselines.engines.rules.passages import Passage, lookup, mentions
from atommem_env.baselines.engines.rules.places import ADJECTIVES, COUNTRIES, places_named
from atommem_env.baselines.engines.rules.questions import Question
from atommem_env.baselines.engines.rules.relations import related_names, relations_asked
from atommem_env.baselines.engines.rules.spans import dates, names, numbers
from atommem_env.core.words import content_stems, stem
from atommem_env.text import tokens

Value = tuple[float, ...]
Measure = Callable[[Passage], "Value | None"]

_EVENT = re.compile(
    r"\b(?:founded|established|formed|released|published|premiered|opened|created|built|launched|started|began|"
    r"incorporated|completed|introduced|aired|debuted|first|since|is an?|was an?)\b",
    re.IGNORECASE,
)


def _born(passage: Passage) -> Value | None:
    date = life(passage).born
    return date.key if date else None


def _died(passage: Passage) -> Value | None:
    date = life(passage).died
    return date.key if date else None


def _age(passage: Passage) -> Value | None:
    span = life(passage)
    if span.born is None or span.died is None:
        return None
    return (span.died.key[0] + span.died.key[1] / 12 - span.born.key[0] - span.born.key[1] / 12,)


def _happened(passage: Passage) -> Value | None:
    """Return the first date that stands near a word of beginning, else the first date."""
    for sentence in passage.sentences[:4]:
        found = dates(sentence.text)
        if found and _EVENT.search(sentence.text):
            year = found[0].key[0]
            return next(
                (date.key for date in dates(passage.text) if date.key[0] == year and date.key[1]),
                found[0].key,
            )
    anywhere = dates(passage.text)
    return anywhere[0].key if anywhere else _born(passage)


def _began(passage: Passage) -> Value | None:
    """Return when a person was born, or when anything else began."""
    return _born(passage) or _happened(passage)


def _amount(question: Question) -> Measure:
    wanted = set(question.stems)

    def measure(passage: Passage) -> Value | None:
        best: tuple[int, float] | None = None
        for sentence in passage.sentences:
            when = dates(sentence.text)
            for span in numbers(sentence.text):
                if any(date.start <= span.start < date.end for date in when):
                    continue
                near = len(
                    wanted & set(content_stems(sentence.text[max(0, span.start - 60) : span.end + 60]))
                )
                value = _number(span.text)
                if value is not None and (best is None or near > best[0]):
                    best = (near, value)
        return (best[1],) if best else None

    return measure


def _number(text: str) -> float | None:
    digits = re.sub(r"[^\d.]", "", text.replace(",", "")).strip(".")
    try:
        value = float(digits)
    except ValueError:
        return None
    for word, factor in (("thousand", 1e3), ("million", 1e6), ("billion", 1e9)):
        if word in text.lower():
            value *= factor
    return value


class _Rule(NamedTuple):
    asked: re.Pattern[str]
    measure: Measure | None
    largest: bool


def _rule(asked: str, measure: Measure | None, largest: bool) -> _Rule:
    return _Rule(re.compile(asked, re.IGNORECASE), measure, largest)


_RULES: Final = (
    _rule(r"\b(?:died|passed away)\b.*\b(?:first|earlier|before)\b|\bfirst to die\b", _died, False),
    _rule(r"\b(?:died|passed away)\b.*\b(?:later|last|recently|after)\b", _died, True),
    _rule(r"\b(?:lived|live)\b.*\blonger\b|\b(?:longer life|(?:greater|older|higher) age)\b", _age, True),
    _rule(r"\b(?:lived|live)\b.*\bshorter\b|\b(?:shorter life|(?:younger|lower) age)\b", _age, False),
    _rule(r"\byounger\b|\byoungest\b|\bborn\b.*\b(?:later|last|recently|after)\b", _born, True),
    _rule(r"\bborn\b.*\b(?:first|earlier|before)\b|\bborn\b", _born, False),
    _rule(r"\b(?:older|oldest|elder)\b", _began, False),
    _rule(r"\b(?:more recently|most recently|later|latest|newer|newest|second|last)\b", _happened, True),
    _rule(r"\b(?:first|earlier|earliest|before)\b", _happened, False),
    _rule(r"\b(?:fewer|less|least|fewest|smaller|smallest|shorter|shortest|lower|lowest)\b", None, False),
    _rule(
        r"\b(?:more|most|larger|largest|bigger|biggest|higher|highest|greater|taller|tallest|longer|longest)\b",
        None,
        True,
    ),
)


def choose(question: Question, passages: Sequence[Passage]) -> str:
    """Return the one of the question's two options that the passages speak for; the first when in doubt."""
    assert question.options is not None
    options = question.options
    found = [about(option, passages) for option in options]
    known = [passage for passage in found if passage is not None]
    rule = next((rule for rule in _RULES if rule.asked.search(_without(question.text, options))), None)
    winner = None
    if rule is not None and len(known) == 2:
        measure = rule.measure or _amount(question)
        left, right = (measure(hop(question.text, passage, passages)) for passage in known)
        winner = _compare(left, right, rule)
    return options[_better_supported(question, found) if winner is None else winner]


def _compare(left: Value | None, right: Value | None, rule: _Rule) -> int | None:
    """Return which of two values the rule asks for, 0 or 1, or ``None`` when that cannot be told."""
    if left is not None and right is not None:
        return None if left == right else int((right > left) == rule.largest)
    if rule.measure is _died and (left is None) != (right is None):
        # no date of death is taken for being alive: then the other one died first
        return int((left is None) != rule.largest)
    return None


def _without(text: str, options: tuple[str, str]) -> str:
    for option in options:
        text = text.replace(option, " ")
    return text


def _better_supported(question: Question, found: Sequence[Passage | None]) -> int:
    """Return the option whose passage shares more of the question's other words."""
    wanted = set(question.stems)
    for passage in found:
        if passage is not None:
            wanted -= {stem(word) for word in passage.title_words}
    shares = [len(wanted & passage.stems) if passage is not None else 0 for passage in found]
    return int(shares[1] > shares[0])


def about(name: str, passages: Sequence[Passage]) -> Passage | None:
    """Return the passage about ``name``, or the one that names it most."""
    found = lookup(name, passages)
    if found is not None:
        return found
    words = {stem(word) for word in tokens(name)}
    scored = [
        (len(words & {stem(w) for w in passage.title_words}), len(words & passage.stems))
        for passage in passages
    ]
    if not scored:
        return None
    best = max(range(len(scored)), key=lambda place: (scored[place], -place))
    return passages[best] if scored[best] > (0, 0) else None


def hop(text: str, passage: Passage, passages: Sequence[Passage]) -> Passage:
    """Return whom the question means: *the director of X* leads from the passage on X to the director's.

    A passage about a person is meant itself, and so is one from which no relation leads on.
    """
    if is_person(passage):
        return passage
    for asked in relations_asked(text):
        for name in related_names(passage, asked.relation):
            onward = lookup(name, passages)
            if onward is not None and onward is not passage:
                return onward
    return passage


# --- yes or no --------------------------------------------------------------------------------------

_SAME_COUNTRY = re.compile(
    r"\bsame (?:country|nationality|nation|countries)\b|\bsame\b.*\bcountry\b|\bshare\b.*\bnationality\b",
    re.IGNORECASE,
)
_SAME = re.compile(r"\b(?:same|share|in common|similar)\b", re.IGNORECASE)
_GENERAL = frozenset(
    content_stems("located born people person both two also type types kind known considered called")
)
_HELD = 0.5


def judge(question: Question, passages: Sequence[Passage]) -> str:
    """Return ``"yes"`` or ``"no"``: whether what the question says holds of all that it names."""
    subjects = [hop(question.text, passage, passages) for passage in entities(question, passages)]
    text = question.text
    if not subjects:
        return "yes"
    if len(subjects) > 1 and _SAME.search(text):
        return "yes" if _share(text, subjects) else "no"
    return "yes" if all(_holds(question, subject) for subject in subjects) else "no"


def entities(question: Question, passages: Sequence[Passage]) -> list[Passage]:
    """Return the passages about what the question names: titles first, else its names around *and*."""
    found = [mention.passage for mention in mentions(question.text, passages)]
    if len(found) >= 2:
        return found
    for span in names(question.text):
        passage = lookup(span.text, passages)
        if passage is not None and passage not in found:
            found.append(passage)
    return found


def _share(text: str, subjects: Sequence[Passage]) -> bool:
    if _SAME_COUNTRY.search(text):
        return _equal([_country(subject) for subject in subjects])
    return _same_class(subjects)


def _equal(values: Sequence[str | None]) -> bool:
    known = [value for value in values if value]
    return len(known) == len(values) and len(set(known)) == 1


def _country(passage: Passage) -> str | None:
    if life(passage).born is not None:
        words = nationality(passage)
        if words:
            return country_of(words)
    return country(passage)


def _same_class(subjects: Sequence[Passage]) -> bool:
    shared = _class_stems(subjects[0])
    for subject in subjects[1:]:
        shared = shared & _class_stems(subject)
    return bool(shared)


def _predicate(passage: Passage) -> list[str]:
    match = re.search(r"\b(?:is|was|are|were) (?:an?|the|one of)?\b(.{0,120})", passage.opening)
    return match.group(1).split() if match else []


def _class_stems(passage: Passage) -> frozenset[str]:
    """Return the stems of the words that say what a thing is, without nationalities and names."""
    plain = " ".join(word for word in _predicate(passage) if word[:1].islower())
    return frozenset(content_stems(plain))


def _holds(question: Question, passage: Passage) -> bool:
    """Tell whether the words that the question says of its subjects stand in ``passage``."""
    named = {
        stem(word) for mention in mentions(question.text, [passage]) for word in mention.passage.title_words
    }
    lands = [land for words, land in places_named(question.text) if words in ADJECTIVES or words in COUNTRIES]
    for land in lands:
        if land not in (_country(passage), *(other for _, other in places_named(passage.text[:600]))):
            return False
    predicate = _predicate_stems(question, passage, named)
    return not predicate or len(predicate & passage.stems) / len(predicate) >= _HELD


def _predicate_stems(question: Question, passage: Passage, named: set[str]) -> set[str]:
    capital = {stem(word) for span in names(question.text) for word in tokens(span.text)}
    plain = {word for word in question.stems if word not in capital}
    return plain - named - _GENERAL
