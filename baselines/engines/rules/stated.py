"""Which name in a passage stands in a relation to the thing that the passage is about.

A stand-in for reading: a name is judged by how close it stands to a word that states the relation, by its side
of that word, and by what kind of thing it looks like.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from atommem_env.baselines.engines.rules.links import Kind
from atommem_env.baselines.engines.rules.passages import Passage, Sentence, find_words, mentions
from atommem_env.baselines.engines.rules.places import ADJECTIVES, COUNTRIES
from atommem_env.baselines.engines.rules.spans import Span, dates, names
from atommem_env.baselines.engines.rules.steps import Step
from atommem_env.text import tokens

LEAST: Final = 0.5
"""The score from which a find counts."""

MOST_CUES: Final = 8
"""How many words of a sentence are taken to state the relation."""

PRONOUN: Final = re.compile(
    r"\b(?:he|she|it|they|his|her|its|their|him|them|who|whose|which)\b", re.IGNORECASE
)
_MOST_SENTENCES = 60
_MOST_NAMES = 40
_FAR = 200
_OF_NAME = re.compile(r"\s+(?:of|to)\s+(?:the\s+)?$", re.IGNORECASE)
_BY_NAME = re.compile(r"\bby\s+(?:the\s+)?(?:\w+\s+){0,2}$")
_IN_NAME = re.compile(r"\b(?:in|at|near) (?:the )?(?:\w+ of )?$")
_OFFSPRING = re.compile(r"\b(?:son|daughter|child)\b", re.IGNORECASE)
_ROLE = re.compile(
    r"(?:er|or|st|ther|head|wife|husband|spouse|principal|chancellor|consort|man|woman)s?$", re.I
)
_ORIGIN = re.compile(r"[A-Z]\w+(?:ian|an|ish|ese)")
_OTHER_PERSON = re.compile(
    r"\b(?:confused with|mistaken for|namesake|not related|no relation|cousin|uncle|aunt|nephew|niece)\b",
    re.IGNORECASE,
)
_GROUP_NAME = re.compile(
    r"\b(?:University|College|School|Academy|Institute|Conservatory|Seminary|Lyceum|Polytechnic|Company|Inc|Ltd"
    r"|Corporation|Bank|Press|Books|Publishers|Publishing|Records|Recordings|Pictures|Films|Studios?|Productions?"
    r"|\w*[Ww]orks|Mills|Brewery|Foundry|Insurance|Engineering|Editions|House|Music|Group|League|Club|Party|Church)\b"
)
_LIFE = re.compile(r"\bborn\b|\(\D{0,20}\d{0,2} ?\w* ?\d{4} ?[–—-]", re.IGNORECASE)
_HE_OR_SHE = re.compile(r"\b(?:he|she)\b", re.IGNORECASE)
_IS_A = re.compile(r"\b(?:is|was) (?:an?|the|one of) ([^.]{1,80})")
_NOUNS_OF_KIND: Final[tuple[tuple[Kind, re.Pattern[str]], ...]] = (
    ("work", re.compile(r"\b(?:film|novel|album|song|single|book|play|poem|series)\b")),
    (
        "organisation",
        re.compile(
            r"\b(?:company|firm|school|university|college|institution|publisher|label|organi[sz]ation|bank)\b"
        ),
    ),
    (
        "place",
        re.compile(
            r"\b(?:city|town|village|county|country|state|province|region|island|district|municipality|river|suburb)\b"
        ),
    ),
)


class Found(NamedTuple):
    """A name, how well it fits, and the latest year that its sentence or title gives (0: none)."""

    text: str
    score: float
    year: int


def names_stated(
    step: Step, name: str, where: Sequence[Passage], passages: Sequence[Passage], *, named: bool = False
) -> Iterator[Found]:
    """Yield the names in ``where`` that may stand in the relation of ``step`` to ``name``."""
    words = tokens(name)
    for tier, stated in enumerate(step.link.stated):
        any_found = False
        for passage, sentence in _sentences(where):
            if named and find_words(words, tokens(sentence.text)) < 0:
                continue
            for find in _in_sentence(step, words, stated, passage, sentence, passages):
                any_found = any_found or find.score >= LEAST
                yield find._replace(score=find.score - 0.5 * tier)
        if any_found:
            return


def _sentences(where: Sequence[Passage]) -> Iterator[tuple[Passage, Sentence]]:
    pairs = ((passage, sentence) for passage in where for sentence in passage.sentences)
    return itertools.islice(pairs, _MOST_SENTENCES)


def _in_sentence(
    step: Step,
    words: Sequence[str],
    stated: re.Pattern[str],
    passage: Passage,
    sentence: Sentence,
    passages: Sequence[Passage],
) -> Iterator[Found]:
    text = sentence.text
    cues = list(itertools.islice(stated.finditer(text), MOST_CUES))
    if not cues:
        return
    spans = names(text) if step.kind != "work" else [*_titles(text, passages), *names(text)]
    own = set(words)
    subject = 0.0 if own & set(tokens(text)) or PRONOUN.search(text) else -1.0
    if _OTHER_PERSON.search(text):
        subject -= 2.0
    year = _year(text, passage)
    for span in spans[:_MOST_NAMES]:
        if _is_subject(tokens(span.text), words) or _is_adjective(span, text):
            continue
        nearness = [
            _nearness(cue, span, text, own)
            for cue in cues
            if step.noun == "river" or not any(other.start <= cue.start() < other.end for other in spans)
        ]
        if nearness:
            score = 2.0 + subject + max(nearness) + _kind_fit(step, span, text, passages)
            yield Found(span.text, score, year)


def _is_adjective(span: Span, text: str) -> bool:
    """Tell whether a name is an adjective of origin, as in *a Norwegian poet*; also of an unknown country."""
    if span.text in ADJECTIVES:
        return True
    return _ORIGIN.fullmatch(span.text) is not None and re.match(r" [a-z]", text[span.end :]) is not None


def _titles(text: str, passages: Sequence[Passage]) -> list[Span]:
    """Return the names of passages that ``text`` gives: a title may hold words that are in no name."""
    found = []
    for mention in mentions(text, passages):
        place = place_of(tokens(text)[mention.start : mention.end], text)
        if place is not None:
            found.append(Span(*place, text[place[0] : place[1]], "name"))
    return found


def place_of(words: Sequence[str], text: str) -> tuple[int, int] | None:
    """Return where ``words`` stand in ``text``, whatever signs stand between them."""
    match = re.search(r"\W+".join(re.escape(word) for word in words), text, re.IGNORECASE)
    return match.span() if match else None


def _is_subject(found: Sequence[str], words: Sequence[str]) -> bool:
    """Tell whether the words ``found`` are another form of the name ``words``."""
    if set(found) <= set(words) or set(words) <= set(found):
        return True
    return len(words) > 1 and len(found) > 1 and found[0] == words[0] and found[-1] == words[-1]


def _nearness(cue: re.Match[str], span: Span, text: str, own: set[str]) -> float:
    """Return how closely a name stands to a word that states the relation, from about -3 to 1."""
    if span.start >= cue.end():
        between = text[cue.end() : span.start]
        if _OF_NAME.fullmatch(between) and _is_role(cue.group()):
            return -4.0  # "the mother of NAME" says whose mother, not who
        bonus = 0.5 if _BY_NAME.search(between) and len(between) < 30 else 0.0
    else:
        between = text[span.end : cue.start()]
        bonus = 0.0
    if len(between) > _FAR:
        return -3.0
    gap = sum(word not in own for word in tokens(between))
    return bonus - min(0.2 * gap, 3.0)


def _is_role(cue: str) -> bool:
    return _ROLE.search(cue) is not None and _OFFSPRING.search(cue) is None


def _kind_fit(step: Step, span: Span, text: str, passages: Sequence[Passage]) -> float:
    """Return how well a name fits the kind of thing that is meant, from -2 to 1."""
    if step.noun == "river":
        return 1.0 if re.search(r"\bRiver\b", span.text) else -1.0
    if step.noun == "country" and span.text in COUNTRIES:
        return 1.0
    looks, sure = _looks_like(span, text, passages)
    if step.kind == "maker":
        return 0.5 if looks in ("person", "organisation") else 0.0
    if looks == step.kind:
        return 1.0 if sure else 0.3
    if looks is None:
        return 0.0
    return -2.0 if sure else -0.5


def _looks_like(span: Span, text: str, passages: Sequence[Passage]) -> tuple[Kind | None, bool]:
    """Return what kind of thing a name is, and whether that is sure.

    It is told by the name's words, by the passage about it, or by the word before it.
    """
    if _GROUP_NAME.search(span.text):
        return "organisation", True
    words = tuple(tokens(span.text))
    own = next((passage for passage in passages if passage.name_words == words), None)
    if own is not None:
        return _described(own)
    if span.text in COUNTRIES or _IN_NAME.search(text[max(0, span.start - 20) : span.start]):
        return "place", span.text in COUNTRIES
    return ("person", False) if 2 <= len(words) <= 4 else (None, False)


def _described(passage: Passage) -> tuple[Kind | None, bool]:
    """Return what kind of thing a passage is about."""
    if _LIFE.search(passage.opening[:160]) or _HE_OR_SHE.search(passage.text):
        return "person", True
    predicate = _IS_A.search(passage.opening)
    if predicate is None:
        return None, False
    for kind, nouns in _NOUNS_OF_KIND:
        if nouns.search(predicate.group(1)):
            return kind, True
    return None, False


def _year(text: str, passage: Passage) -> int:
    """Return the latest year that a sentence or its passage's title gives, 0 when neither gives one."""
    return max((date.key[0] for date in (*dates(text), *dates(passage.title))), default=0)
