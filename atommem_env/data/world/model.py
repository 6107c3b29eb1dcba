"""What the generated world is made of: its configuration, and a question with its paragraphs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from atommem_env.core.operations import as_index

SPLITS = ("train", "validation", "test")
"""The splits of the world; no entity occurs in two of them."""

QUESTION_KINDS: Mapping[str, str] = MappingProxyType(
    {
        "bridge": "a chain of facts in relative clauses: the town that was the birthplace of the person who ...",
        "compositional": "a chain of facts in nested nouns: the founder of the employer of ...",
        "inference": "two facts named by one word: a paternal grandfather, a mother-in-law",
        "comparison": "which of two named entities is the older, larger, longer, ...",
        "yes_no": "whether two named entities have something in common",
        "bridge_comparison": "a comparison, or yes/no question, about the makers of two named works",
    }
)
"""The kinds of questions."""

FIXED_HOPS: Mapping[str, int] = MappingProxyType(
    {"inference": 2, "comparison": 2, "yes_no": 2, "bridge_comparison": 4}
)
"""The number of supporting paragraphs of the kinds for which it is not a choice."""

MAX_PARAGRAPHS = 40


@dataclass(frozen=True)
class WorldConfig:
    """The knobs of the generated world.

    Args:
        seed: which world; another seed has other names, facts and questions.
        size: questions in each split. Questions past it exist too (see ``generate``).
        hops: the fewest and the most supporting paragraphs of ``bridge`` and ``compositional`` questions, 2 to
            4. The other kinds have their own number (``FIXED_HOPS``).
        kinds: the kinds of questions, from ``QUESTION_KINDS``, equally often; a kind named twice comes twice as often.
        num_paragraphs: paragraphs of a question, supporting ones and distractors, at most 40.
        revisions: the share of questions, 0 to 1, in which a later document supersedes one of the facts.
            ``inference`` questions are never among them: their facts do not change.

    Raises:
        ValueError: when a value is out of its range; the message names it and what was expected.
    """

    seed: int = 0
    size: int = 500
    hops: tuple[int, int] = (2, 4)
    kinds: tuple[str, ...] = ("bridge", "comparison", "yes_no", "compositional")
    num_paragraphs: int = 10
    revisions: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "seed", _integer("seed", self.seed))
        object.__setattr__(self, "size", _integer("size", self.size, 1))
        object.__setattr__(self, "hops", _hops(self.hops))
        object.__setattr__(self, "kinds", _kinds(self.kinds))
        object.__setattr__(self, "num_paragraphs", _integer("num_paragraphs", self.num_paragraphs))
        object.__setattr__(self, "revisions", _share("revisions", self.revisions))
        least = self._paragraphs_needed()
        if not least <= self.num_paragraphs <= MAX_PARAGRAPHS:
            raise ValueError(
                f"num_paragraphs={self.num_paragraphs}: expected {least} to {MAX_PARAGRAPHS}. The kinds, hops and "
                f"revisions asked for need up to {least} paragraphs; give at least that, or lower them."
            )

    def _paragraphs_needed(self) -> int:
        gold = max(FIXED_HOPS.get(kind, self.hops[1]) for kind in self.kinds)
        return gold + (2 if self.revisions else 0)


def _integer(name: str, value: object, least: int | None = None) -> int:
    number = as_index(value)
    if number is None or (least is not None and number < least):
        bound = "" if least is None else f" of at least {least}"
        raise ValueError(f"{name}={value!r}: expected a whole number{bound}.")
    return number


def _share(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError(f"{name}={value!r}: expected a share from 0 to 1, for example 0.25.")
    return float(value)


def _hops(value: object) -> tuple[int, int]:
    numbers = [as_index(item) for item in value] if isinstance(value, list | tuple) else []
    if len(numbers) == 2:
        low, high = numbers
        if low is not None and high is not None and 2 <= low <= high <= 4:
            return low, high
    raise ValueError(
        f"hops={value!r}: expected the fewest and the most, two whole numbers from 2 to 4, such as (2, 4)."
    )


def _kinds(value: object) -> tuple[str, ...]:
    known = ", ".join(QUESTION_KINDS)
    if not isinstance(value, list | tuple) or not value:
        raise ValueError(f"kinds={value!r}: expected a non-empty list of kinds from {known}.")
    unknown = [kind for kind in value if not isinstance(kind, str) or kind not in QUESTION_KINDS]
    if unknown:
        raise ValueError(f"kinds={value!r}: unknown {unknown}; choose from {known}.")
    return tuple(value)


class WorldParagraph(NamedTuple):
    """A titled paragraph, as sentences without surrounding white space."""

    title: str
    sentences: tuple[str, ...]


class SupportingFact(NamedTuple):
    """A sentence that the answer rests on: a position among the paragraphs, and one among its sentences."""

    paragraph: int
    sentence: int


class WorldHop(NamedTuple):
    """One step to the answer.

    Attributes:
        question: the step as a question; ``#1`` stands for the answer of the first step, and so on.
        answer: its answer.
        paragraph: the position of the paragraph that gives it.
    """

    question: str
    answer: str
    paragraph: int


class Triple(NamedTuple):
    """A fact: the subject's name, the relation, the object's name or value."""

    subject: str
    relation: str
    object: str


@dataclass(frozen=True, slots=True)
class WorldQuestion:
    """A question of the generated world, with its paragraphs.

    Attributes:
        id: 24 hexadecimal digits, unique over seeds, splits and indices.
        block: the question's number over all splits, from 0.
        kind: a key of ``QUESTION_KINDS``.
        hops: the number of supporting paragraphs.
        question: the question.
        answer: the answer.
        aliases: other forms of it.
        paragraphs: supporting ones and distractors, shuffled; titles are unique.
        supporting: the sentences that the answer rests on, one per hop, in the order of the hops.
        decomposition: the steps, in order.
        evidences: the facts, in the order of the hops (two for a step that needs two dates).
        superseded: the sentence whose fact a later one supersedes, or ``None``.
        former: the answer while that fact held, then its other forms; empty where no fact was superseded, or the
            paragraphs do not say.
    """

    id: str
    block: int
    kind: str
    hops: int
    question: str
    answer: str
    aliases: tuple[str, ...]
    paragraphs: tuple[WorldParagraph, ...]
    supporting: tuple[SupportingFact, ...]
    decomposition: tuple[WorldHop, ...]
    evidences: tuple[Triple, ...]
    superseded: SupportingFact | None = None
    former: tuple[str, ...] = ()
