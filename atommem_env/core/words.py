"""Words as rules look at them: which carry meaning, their stems, and names without what stands in brackets."""

from __future__ import annotations

import functools
from typing import Final

from atommem_env.text import tokens

_STEM = 5


def word_set(words: str) -> frozenset[str]:
    """Return the words of a text written with spaces between them."""
    return frozenset(words.split())


STOP_WORDS: Final = word_set(
    """
    a about after all also although an and any are as at be because been before being besides between
    both but by can could did do does during each either for from had has have he her here him his how
    however if in into is it its itself may me more most much my no nor not of off on one only or other
    our out over own same she should since so some such than that the their them then there these they
    this those through to too under until up upon us very was we were what when where which while who
    whom whose why will with within would you your s
    """
)
"""Words that say nothing about what a question asks for."""


@functools.lru_cache(maxsize=1 << 16)
def stem(word: str) -> str:
    """Return the first letters of a long word, so that *directed*, *director* and *directs* are one.

    A short word loses its plural ending.
    """
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        word = word[:-1]
    return word[:_STEM] if len(word) > _STEM and not word.isdigit() else word


def content_stems(text: str) -> list[str]:
    """Return the stems of the words of ``text`` that are not stop words, in order, repeats kept."""
    return [stem(word) for word in tokens(text) if word not in STOP_WORDS]


def bare_title(title: str) -> str:
    """Return ``title`` without a final parenthesis."""
    end = title.rstrip()
    start = end.rfind("(") if end.endswith(")") else -1
    if start < 0 or ")" in end[start:-1]:
        return title
    return end[:start].rstrip() or title
