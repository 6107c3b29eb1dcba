"""The evidence funnel: where a policy loses the evidence that its questions need.

A unit of evidence (usually a supporting sentence) can reach four stages:

- *seen*: its last token has been shown in a chunk.
- *written*: some entry, the scratchpad included, held it at the end of some step.
- *kept*: one held it at the first observation that asked its question.
- *read*: the scratchpad or a retrieved entry held it in an observation that asked its question.

Whether a text holds a unit is decided by :func:`holds`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from atommem_env.text import tokens

STAGES: Final = ("seen", "written", "kept", "read")
"""The stages that a unit of evidence can reach."""

_STOPWORDS = frozenset(
    """a about above after again all also although am an and any are as at be because been before being below
    between both but by can could did do does doing down during each few for from further had has have having he
    her here hers him his how i if in into is it its itself just me more most my no nor not now of off on once
    only or other our out over own s same she should so some such t than that the their theirs them then there
    these they this those through to too under until up upon us very was we were what when where which while who
    whom whose why will with would you your""".split()
)
_WORDS = re.compile(r"\w+")


def mean_share(metrics: Mapping[str, Any], stage: str) -> float | None:
    """Return the share of the evidence that reached a stage, in [0, 1]: the mean over the questions that have any.

    Args:
        metrics: an episode's ``info["metrics"]``.
        stage: one of :data:`STAGES`.

    Returns:
        ``None`` where nothing is known: no question has evidence, or the policy keeps text outside memory.
    """
    shares = [question["evidence"][stage] for question in metrics["questions"]]
    known = [share for share in shares if share is not None]
    return sum(known) / len(known) if known else None


def content_words(unit: str) -> frozenset[str]:
    """Return the search tokens of ``unit`` that carry its content: no stop words, but every name and number.

    A stop word with a capital inside the unit counts as a name ("The Who" keeps "who"). A unit of stop words
    alone keeps them all.
    """
    return _content_words(unit, tokens(unit))


def _content_words(unit: str, words: list[str]) -> frozenset[str]:
    """Return the content words of ``unit``, whose search tokens are ``words``."""
    later = _WORDS.findall(unit)[1:]
    names = set(tokens(" ".join([word for word in later if word[0].isupper()])))
    content = [word for word in words if word not in _STOPWORDS or word in names]
    return frozenset(content or words)


def holds(text: str, unit: str, threshold: float = 0.6) -> bool:
    """Tell whether ``text`` holds ``unit``.

    It does when some window of ``text``, at most three times as many words long as ``unit``, contains at least
    the share ``threshold`` of the unit's distinct content words (:func:`content_words`). So a sentence that is
    copied, cut or paraphrased with its names and numbers is held, and thousands of unrelated words are not.

    Args:
        text: a memory content of any length.
        unit: the unit of evidence.
        threshold: a share in (0, 1].
    """
    matcher = Matcher([unit], threshold)
    return 0 in matcher.held(text)


class _Pattern(NamedTuple):
    required: int
    window: int


class Matcher:
    """:func:`holds` for several units at once, in time proportional to the text.

    Args:
        units: the units of evidence.
        threshold: a share in (0, 1].

    Raises:
        ValueError: when ``threshold`` is outside (0, 1].
    """

    def __init__(self, units: Sequence[str], threshold: float = 0.6) -> None:
        if not 0.0 < threshold <= 1.0:
            raise ValueError(
                f"evidence_threshold={threshold!r}: expected a share in (0, 1], the default is 0.6"
            )
        self._patterns: list[_Pattern] = []
        self._units_of: dict[str, list[int]] = {}
        for number, unit in enumerate(units):
            words = tokens(unit)
            content = _content_words(unit, words)
            required = max(1, math.ceil(threshold * len(content) - 1e-9))
            self._patterns.append(_Pattern(required, 3 * len(words)))
            for word in content:
                self._units_of.setdefault(word, []).append(number)
        self._words = frozenset(self._units_of)

    def held(self, text: str) -> list[int]:
        """Return the numbers of the units that ``text`` holds, ascending."""
        words = tokens(text)
        if self._words.isdisjoint(words):
            return []
        units_of = self._units_of
        hits: dict[int, list[tuple[int, str]]] = {}
        for position, word in [pair for pair in enumerate(words) if pair[1] in units_of]:
            for number in units_of[word]:
                hits.setdefault(number, []).append((position, word))
        return sorted(number for number, found in hits.items() if _within(found, *self._patterns[number]))


def _within(hits: list[tuple[int, str]], required: int, window: int) -> bool:
    """Tell whether ``required`` distinct words of ``hits`` stand within ``window`` positions."""
    if len(hits) < required:
        return False
    counts: dict[str, int] = {}
    first = 0
    for position, word in hits:
        counts[word] = counts.get(word, 0) + 1
        while position - hits[first][0] >= window:
            left = hits[first][1]
            counts[left] -= 1
            if not counts[left]:
                del counts[left]
            first += 1
        if len(counts) >= required:
            return True
    return False


class EvidenceTracker:
    """The funnel of one episode, kept up to date at a cost in proportion to what a step writes and shows.

    Args:
        units: the text of each unit.
        questions: the question that each unit belongs to.
        ends: the offset in the task's text at which each unit ends.
        threshold: see :func:`holds`.
    """

    def __init__(
        self, units: Sequence[str], questions: Sequence[int], ends: Sequence[int], threshold: float = 0.6
    ) -> None:
        self._matcher = Matcher(units, threshold)
        self._of_question: dict[int, list[int]] = {}
        for unit, question in enumerate(questions):
            self._of_question.setdefault(question, []).append(unit)
        self._ends = sorted((end, unit) for unit, end in enumerate(ends))
        self._num_seen = 0
        self._holders: list[set[int]] = [set() for _ in units]
        self._held: dict[int, list[int]] = {}
        self._asked: set[int] = set()
        self._reached: dict[str, set[int]] = {stage: set() for stage in STAGES}

    def show(self, end: int) -> None:
        """Note that a chunk up to offset ``end`` of the task's text has been shown."""
        while self._num_seen < len(self._ends) and self._ends[self._num_seen][0] <= end:
            self._reached["seen"].add(self._ends[self._num_seen][1])
            self._num_seen += 1

    def write(self, changes: Iterable[tuple[int, str | None]]) -> None:
        """Note what the entries that a step changed say at its end; ``None`` stands for a removed entry."""
        if not self._holders:
            return
        for id, content in changes:
            for unit in self._held.pop(id, ()):
                self._holders[unit].discard(id)
            if content:
                units = self._matcher.held(content)
                if units:
                    self._held[id] = units
                    self._reached["written"].update(units)
                    for unit in units:
                        self._holders[unit].add(id)

    def ask(self, question: int, shown: Collection[int]) -> None:
        """Note an observation that asked ``question`` and showed the entries ``shown`` (scratchpad included)."""
        units = self._of_question.get(question, ())
        if question not in self._asked:
            self._asked.add(question)
            self._reached["kept"].update(unit for unit in units if self._holders[unit])
        read = self._reached["read"]
        for unit in units:
            if unit not in read and not self._holders[unit].isdisjoint(shown):
                read.add(unit)

    def count(self, question: int) -> int:
        """Return the number of units of ``question``."""
        return len(self._of_question.get(question, ()))

    def shares(self, question: int) -> dict[str, float | None]:
        """Return, for each stage, the share of the question's units that reached it; ``None`` without units."""
        units = self._of_question.get(question, ())
        if not units:
            return dict.fromkeys(STAGES)
        return {stage: sum(unit in self._reached[stage] for unit in units) / len(units) for stage in STAGES}

    def copy(self) -> EvidenceTracker:
        """Return an independent copy."""
        copy = object.__new__(EvidenceTracker)
        copy._matcher, copy._of_question, copy._ends = self._matcher, self._of_question, self._ends
        copy._num_seen = self._num_seen
        copy._holders = [set(holders) for holders in self._holders]
        copy._held = dict(self._held)
        copy._asked = set(self._asked)
        copy._reached = {stage: set(units) for stage, units in self._reached.items()}
        return copy
