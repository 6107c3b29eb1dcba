"""What a question asks for: yes or no, one of two, or a span of a certain type."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from atommem_env.baselines.engines.rules.passages import Passage, mentions
from atommem_env.baselines.engines.rules.spans import names
from atommem_env.core.words import STOP_WORDS, content_stems, word_set
from atommem_env.text import tokens

AnswerType: TypeAlias = Literal["yes/no", "option", "person", "place", "date", "year", "number", "thing"]

_AUXILIARY = word_set("is are was were am do does did has have had can could will would should")
_IMPERATIVES = word_set("name identify give list tell find state")
_WH = word_set("what which who whom whose when where why how")
_LAST_SENTENCE = re.compile(r"(?<=\w\w[.!?])\s+(?=[A-Z])")
_OR = re.compile(r",?\s+or\s+", re.IGNORECASE)
_PERSON_NOUNS: Final = word_set(
    """
    man woman person people actor actress singer writer author director composer artist player musician
    politician president king queen prince princess emperor poet novelist producer screenwriter
    journalist scientist architect general painter philosopher rapper star comedian guitarist drummer
    songwriter footballer quarterback boxer driver wrestler mother father brother sister wife husband son
    daughter child spouse sibling grandfather grandmother founder hitman explorer host winner leader
    governor senator mayor premier minister coach manager performer celebrity character economist
    mathematician physicist historian businessman entrepreneur
    """
)
_PLACE_NOUNS: Final = word_set(
    """
    city town village country state county province region district continent island river lake mountain
    place location capital borough territory area neighborhood municipality nation suburb birthplace
    """
)
_KNOWN_NOUNS = _PERSON_NOUNS | _PLACE_NOUNS | {"year", "date"}
_PREDICATE = word_set("the a an have has had is was been born who which that")
_BETWEEN = re.compile(
    r"\b(?:between|of)\b.*\b(?:who|which|what)\b.*\b(?:older|younger|first|later|earlier|more|less|larger|smaller"
    r"|longer|shorter|greater|fewer|taller|higher|lower)\b"
    r"|\b(?:older|younger|first|later|earlier|larger|longer)\b.*\bbetween\b",
    re.IGNORECASE,
)
_FILLER = word_set("a an the of is was are were did does do in for to")


@dataclass(frozen=True, slots=True)
class Question:
    """A question as the rules see it.

    Attributes:
        text: the question.
        type: the type of its answer.
        noun: the noun after *what* or *which* (the class of thing asked for), ``""`` when there is none.
        stems: stems of its content words, each once, in order.
        options: the two things to choose between, when ``type`` is ``"option"``.
    """

    text: str
    type: AnswerType
    noun: str
    stems: tuple[str, ...]
    options: tuple[str, str] | None


def read_question(text: str, passages: list[Passage]) -> Question:
    """Tell what ``text`` asks for; ``passages`` help to tell where a name in it begins and ends."""
    options = find_options(text, passages)
    stems = tuple(dict.fromkeys(content_stems(text)))
    words = tokens(text)
    noun = _noun(words)
    if options is not None:
        return Question(text, "option", noun, stems, options)
    if _is_yes_no(text):
        return Question(text, "yes/no", "", stems, None)
    return Question(text, _answer_type(text, noun), noun, stems, None)


def _is_yes_no(text: str) -> bool:
    last = _LAST_SENTENCE.split(text.strip())[-1]
    words = tokens(last)
    if not words or words[0] in _IMPERATIVES:
        return False
    return words[0] in _AUXILIARY or (_WH.isdisjoint(words) and not _AUXILIARY.isdisjoint(words))


def _noun(words: list[str]) -> str:
    """Return the class of thing that *what* or *which* asks for, ``""`` when the question has neither."""
    place = next((place for place, word in enumerate(words) if word in ("what", "which")), None)
    if place is None:
        return ""
    phrase = _noun_phrase(words[place + 1 : place + 7])
    known = [word for word in phrase if word in _KNOWN_NOUNS]
    if known:
        return known[0]
    return phrase[:3][-1] if phrase else _noun_after_copula(words[place + 1 :])


def _noun_phrase(words: list[str]) -> list[str]:
    """Return the words up to the first stop word or what looks like a participle."""
    phrase: list[str] = []
    for word in words:
        if word in STOP_WORDS or (phrase and len(word) > 4 and word.endswith(("ed", "ing"))):
            break
        phrase.append(word)
    return phrase


def _noun_after_copula(words: list[str]) -> str:
    """Return the noun of "what is the name of the noun ..."."""
    if not words or words[0] not in ("is", "was", "are", "were"):
        return ""
    content = [word for word in words[:8] if word not in _FILLER]
    if content[:1] == ["name"]:
        content = content[1:]
    return content[0] if content else ""


def _answer_type(text: str, noun: str) -> AnswerType:
    lower = text.lower()
    if re.search(r"\bhow (?:many|much|old|long|tall|far|high|large|big)\b|\bat what age\b", lower):
        return "number"
    if noun in ("year", "decade") or re.search(r"\bin (?:which|what) year\b", lower):
        return "year"
    if noun in ("date", "birthday") or re.search(r"\bwhen\b", lower[:12]) or _ends_with(lower, "when"):
        return "date"
    if noun in _PERSON_NOUNS or re.match(r"\W*(?:who|whom|whose)\b", lower):
        return "person"
    if noun in _PLACE_NOUNS or re.match(r"\W*where\b", lower) or _ends_with(lower, "where"):
        return "place"
    if noun in ("population", "number", "percentage", "age", "code"):
        return "number"
    if noun == "" and re.search(r"\bwho\b", lower) and not re.search(r"\b(?:what|which)\b", lower):
        return "person"
    return "thing"


def _ends_with(text: str, word: str) -> bool:
    return text.rstrip(" ?").endswith(" " + word)


# --- one of two -------------------------------------------------------------------------------------


def find_options(text: str, passages: list[Passage]) -> tuple[str, str] | None:
    """Return the two things that ``text`` offers to choose between ("..., A or B?"), or ``None``."""
    body = text.strip().rstrip("?. ")
    named = _named_options(body, passages)
    if named is not None:
        return named
    places = list(_OR.finditer(body))
    if not places:
        return None
    place = places[-1]
    left, right = _left_option(body[: place.start()]), _right_option(body[place.end() :])
    return (left, right) if left and right else None


def _named_options(body: str, passages: list[Passage]) -> tuple[str, str] | None:
    """Return options that are passages' names standing on both sides of an *or*."""
    found = mentions(body, passages)
    words = tokens(body)
    allowed = [["or"], ["or", "the"], ["or", "a"]]
    if _BETWEEN.search(body):
        allowed += [["and"], ["and", "the"]]
    for left, right in itertools.pairwise(found):
        between = words[left.end : right.start]
        if between in allowed:
            return _as_written(body, left.start, left.end), _as_written(body, right.start, right.end)
    return None


def _as_written(body: str, start: int, end: int) -> str:
    """Return words ``start`` to ``end`` of ``body`` with their signs and capitals."""
    position, low, high = 0, 0, len(body)
    for count, word in enumerate(tokens(body)):
        place = body.lower().find(word, position)
        if place < 0:
            continue
        if count == start:
            low = place
        position = place + len(word)
        if count == end - 1:
            high = position
            break
    if "(" in body[low:high] and body[high : high + 1] == ")":
        high += 1
    return body[low:high]


def _left_option(left: str) -> str:
    """Return the name that ``left`` ends with, or the first that stands after a comma."""
    pieces = [piece.strip() for piece in re.split(r",\s+|:\s+|\bbetween\s+", left)]
    if len(pieces) > 1:
        if pieces[-1] and not pieces[-1][0].islower():
            return pieces[-1]
        capital = [piece for piece in pieces[1:] if piece and not piece[0].islower()]
        if capital:
            return capital[0]
    found = names(left)
    if not found:
        return ""
    last = found[-1]
    return left[last.start :].strip() if len(left) - last.end < 25 else ""


def _right_option(right: str) -> str:
    """Return the name that ``right`` starts with, or a few plain words that are all of it."""
    right = right.strip()
    if right[:1].islower() and len(right.split()) <= 4 and not right.startswith(("a ", "in ", "the ")):
        return right
    found = names(right)
    if not found or found[0].start > 6:
        return ""
    rest = tokens(right[found[0].end :])
    if len(rest) >= 6 or (rest and rest[0] in _PREDICATE):
        return found[0].text
    return right
