"""Span picking: which words of some passages answer a question best."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from atommem_env.baselines.engines.rules.passages import Passage, Sentence, find_words, mentions
from atommem_env.baselines.engines.rules.places import ADJECTIVES, COUNTRIES
from atommem_env.baselines.engines.rules.questions import Question
from atommem_env.baselines.engines.rules.spans import Span, candidates, names
from atommem_env.core.words import content_stems, stem
from atommem_env.text import tokens


class Weights(NamedTuple):
    """How much each sign counts; set by random search on training rows of the benchmarks, then rounded.

    Attributes:
        sentence: the share of the question's words that the candidate's sentence holds.
        near: the share that stands close to the candidate.
        type: how well the candidate fits the type asked for.
        passage: the share that the candidate's passage holds.
        about: the share that the passage about the candidate holds.
        titled: whether there is a passage about the candidate.
        linked: whether the question names the candidate's passage or leads to it.
    """

    sentence: float = 1.0
    near: float = 3.0
    type: float = 4.0
    passage: float = 1.0
    about: float = 0.8
    titled: float = 0.1
    linked: float = 0.2


WEIGHTS = Weights()
_HOME_NATIONS = frozenset({"England", "Scotland", "Wales", "Northern Ireland"})
_SENTENCES = 14
_WINDOW = 12
_ORGANISATION = re.compile(
    r"\b(?:University|College|School|Company|Inc|Corporation|League|Team|Club|Party|Records|Band|Association|"
    r"Festival|Award|Awards|Church|Museum|Airport|Series|Studios|Entertainment|Championship|Cup|Army|Navy|"
    r"Railway|River|Lake|County|City|State|Street|Park|Stadium|Building|Island|Islands|Mountain|Mountains)\b"
)
_LIVED = re.compile(r"\((?:[^()]{0,80})(?:born|b\.|\d{4} ?[–—-])")
_PLACE_BEFORE = re.compile(r"\b(?:in|at|on|from|near|of|to|into|across|outside) (?:the )?$")
_PLACE_IS = re.compile(
    r"\b(?:is|was) (?:a|an|the) [^.]{0,60}\b(?:city|town|village|county|country|state|province|region|island|"
    r"district|municipality|capital|river|borough|suburb|commune|territory|community)\b"
)


@dataclass(frozen=True, slots=True)
class _Scored:
    passage: Passage
    sentence: Sentence
    position: int
    overlap: float


def best_span(
    question: Question, passages: Sequence[Passage], target: Passage | None = None, weights: Weights = WEIGHTS
) -> str:
    """Return the span of ``passages`` that answers ``question`` best, ``""`` when there is no span at all.

    Args:
        question: what is asked.
        passages: where to look.
        target: a passage that the question's relations lead to, when one was found.
        weights: how much each sign counts.
    """
    reader = _Reader(question, passages, target, weights)
    best, best_score = "", -math.inf
    for scored in reader.ranked_sentences():
        for span in candidates(scored.sentence.text):
            if reader.is_on_the_way(span.text):
                continue
            score = reader.score(scored, span)
            if score > best_score:
                best, best_score = span.text, score
    return best


def by_relevance(question: Question, passages: Sequence[Passage]) -> list[Passage]:
    """Return ``passages`` with those first that share most with the question or that it leads to."""
    reader = _Reader(question, passages, None, WEIGHTS)
    return sorted(passages, key=lambda passage: -reader.relevance(passage))


class _Reader:
    """One reading of some passages for one question."""

    def __init__(
        self, question: Question, passages: Sequence[Passage], target: Passage | None, weights: Weights
    ) -> None:
        self._question = question
        self._passages = passages
        self._weights = weights
        self._words = tokens(question.text)
        self._passed = target.name_words if target is not None and question.type != "person" else ()
        self._rarity = _rarity(question.stems, passages)
        self._total = sum(self._rarity.values()) or 1.0
        self._by_name = _by_name(passages)
        self._linked = _linked(question, passages, target)
        self._share = {id(passage): self._weight(passage.stems) for passage in passages}
        self._about: dict[tuple[str, ...], tuple[float, Passage | None]] = {}

    def _weight(self, stems: frozenset[str]) -> float:
        return sum(weight for word, weight in self._rarity.items() if word in stems) / self._total

    def relevance(self, passage: Passage) -> float:
        """Return how much ``passage`` shares with the question, links counted in."""
        return self._share[id(passage)] + 0.5 * self._linked.get(id(passage), 0.0)

    def ranked_sentences(self) -> list[_Scored]:
        """Return the sentences worth reading, best first."""
        found = []
        for passage in self._passages:
            title = frozenset(content_stems(passage.title))
            for position, sentence in enumerate(passage.sentences):
                own = self._weight(sentence.stems)
                overlap = own + 0.5 * self._weight(title - sentence.stems)
                found.append(_Scored(passage, sentence, position, overlap))
        found.sort(key=lambda scored: -scored.overlap - 0.5 * self._linked.get(id(scored.passage), 0.0))
        return found[:_SENTENCES]

    def is_on_the_way(self, text: str) -> bool:
        """Tell whether ``text`` is what the question says itself, or what it leads to but does not ask for."""
        words = tokens(text)
        return find_words(words, self._words) >= 0 or tuple(words) == self._passed

    def score(self, scored: _Scored, span: Span) -> float:
        """Return how well ``span`` of a sentence answers the question."""
        weights = self._weights
        words = tuple(tokens(span.text))
        about, own = self._about_span(words)
        return (
            weights.sentence * scored.overlap
            + weights.near * self._near(scored.sentence.text, span)
            + weights.type * self._type(scored, span, own)
            + weights.passage * self._share[id(scored.passage)]
            + weights.about * about
            + weights.titled * (own is not None)
            + weights.linked * self._linked.get(id(scored.passage), 0.0)
        )

    def _near(self, text: str, span: Span) -> float:
        """Return the share of the question's words that stand near ``span``, closer ones counting more."""
        before = [stem(word) for word in tokens(text[max(0, span.start - 100) : span.start])][-_WINDOW:]
        after = [stem(word) for word in tokens(text[span.end : span.end + 100])][:_WINDOW]
        close: dict[str, float] = {}
        for words in (reversed(before), after):
            for distance, word in enumerate(words):
                if word in self._rarity:
                    close[word] = max(close.get(word, 0.0), 1.0 - distance / (_WINDOW + 1))
        return sum(self._rarity[word] * value for word, value in close.items()) / self._total

    def _about_span(self, words: tuple[str, ...]) -> tuple[float, Passage | None]:
        """Return how much the passage about a candidate shares with the question, and that passage."""
        if words not in self._about:
            own = self._by_name.get(words)
            share = self._share[id(own)] if own is not None else 0.0
            self._about[words] = (share, own)
        return self._about[words]

    def _type(self, scored: _Scored, span: Span, own: Passage | None) -> float:
        return type_fit(self._question, scored.sentence.text, span, own)


def _by_name(passages: Sequence[Passage]) -> dict[tuple[str, ...], Passage]:
    """Return the passages by name and by the name their text opens with, which is often the fuller one."""
    found: dict[tuple[str, ...], Passage] = {}
    for passage in passages:
        if passage.name_words:
            found.setdefault(passage.name_words, passage)
    for passage in passages:
        for span in names(passage.opening[:80])[:1]:
            words = tuple(tokens(span.text))
            if span.start < 4 and set(words) & set(passage.name_words):
                found.setdefault(words, passage)
    return found


def _rarity(stems: Sequence[str], passages: Sequence[Passage]) -> dict[str, float]:
    """Return for each stem how rare it is among the passages; a stem that none holds weighs nothing."""
    rarity = {}
    for word in stems:
        holders = sum(word in passage.stems for passage in passages)
        if holders:
            rarity[word] = math.log(1 + (len(passages) + 1) / holders)
    return rarity


def _linked(question: Question, passages: Sequence[Passage], target: Passage | None) -> dict[int, float]:
    """Return the passages that the question names, or that those lead to, with how strongly."""
    anchors = [mention.passage for mention in mentions(question.text, passages)]
    linked: dict[int, float] = {}
    for anchor in anchors:
        linked[id(anchor)] = 0.5
    for anchor in anchors:
        for mention in mentions(anchor.text, passages):
            linked.setdefault(id(mention.passage), 1.0)
        own = anchor.name_words
        for passage in passages:
            if len(own) > 1 and id(passage) not in linked and find_words(own, tokens(passage.text)) >= 0:
                linked[id(passage)] = 0.6
    if target is not None:
        linked[id(target)] = 2.0
    return linked


def type_fit(question: Question, sentence: str, span: Span, own: Passage | None) -> float:
    """Return how well a candidate fits the type that is asked for: from -1 to 1."""
    wanted = question.type
    if wanted in ("date", "year"):
        return _date_fit(wanted, span)
    if wanted == "number":
        return (
            (1.0 if span.text[0].isdigit() else 0.7)
            if span.kind == "number"
            else -0.2
            if span.kind == "date"
            else -1.0
        )
    if span.kind in ("date", "number"):
        return -1.0
    if span.start == 0 and own is None and span.kind == "name" and " " not in span.text:
        return -0.3  # most likely a plain word, capitalised because it opens the sentence
    if wanted == "person":
        return _person_fit(span, own) + 0.3 * _noun_beside(question, sentence, span)
    if wanted == "place":
        return _place_fit(question, sentence, span, own)
    return _thing_fit(question, sentence, span, own)


def _date_fit(wanted: str, span: Span) -> float:
    if span.kind != "date":
        return -1.0
    is_year = span.text.isdigit()
    if wanted == "year":
        return 1.0 if is_year else 0.3
    return 0.6 if is_year else 1.0


def _person_fit(span: Span, own: Passage | None) -> float:
    if span.kind == "quote":
        return -0.3
    if own is not None:
        return 1.0 if _LIVED.search(own.text[:200]) else 0.3
    if _ORGANISATION.search(span.text) or span.text in COUNTRIES or "," in span.text:
        return -0.6
    words = span.text.split()
    return 0.8 if 2 <= len(words) <= 4 else 0.0


def _place_fit(question: Question, sentence: str, span: Span, own: Passage | None) -> float:
    if own is not None and _LIVED.search(own.text[:200]):
        return -0.6
    if question.noun in ("country", "nation"):
        return 1.0 if COUNTRIES.get(span.text) == span.text or span.text in _HOME_NATIONS else -0.3
    if question.noun == "state" and span.text in COUNTRIES:
        return 1.0 if COUNTRIES[span.text] != span.text and span.text not in ADJECTIVES else -0.3
    fit = -0.6 if span.text in ADJECTIVES else -0.2 if span.kind == "quote" else 0.0
    if own is not None and _PLACE_IS.search(own.opening):
        fit += 0.7
    if _PLACE_BEFORE.search(sentence[max(0, span.start - 12) : span.start]):
        fit += 0.6
    if "," in span.text:
        fit += 0.2
    if question.noun and stem(question.noun) in content_stems(span.text):
        fit += 0.5
    return min(fit, 1.0)


def _thing_fit(question: Question, sentence: str, span: Span, own: Passage | None) -> float:
    noun = stem(question.noun) if question.noun else ""
    if not noun:
        return 0.2
    if noun in content_stems(span.text):
        return 0.9
    if own is not None:
        return 1.0 if noun in content_stems(own.opening) else 0.2
    return 0.6 if _noun_beside(question, sentence, span) else 0.1


def _noun_beside(question: Question, sentence: str, span: Span) -> bool:
    """Tell whether the class of thing asked for stands next to the candidate, as in *the actress Ann Bell*."""
    if not question.noun:
        return False
    around = sentence[max(0, span.start - 30) : span.start] + " " + sentence[span.end : span.end + 25]
    return stem(question.noun) in content_stems(around)
