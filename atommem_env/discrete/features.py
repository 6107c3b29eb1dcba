"""How well each text serves each question, as arrays: what a policy that chooses among texts can see of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from atommem_env.discrete.notes import Array, Note, Notes, log_length

FEATURES: Final = (
    "score",  # BM25+ of the text for the question, over the highest that any text could have
    "score_to_best",  # over the best of all texts read so far
    "rank",  # 1 / (1 + its place among all texts read so far)
    "rank_here",  # falls with its place among the texts compared: the entries and the chunk's texts
    "best_question",  # no other question has a higher score
    "coverage",  # the share of the question's words in the text, rare ones counting more
    "title_asked",  # the question holds the text's title
    "title_share",  # the share of the title's words in the question
    "question_names_one",  # some text compared has a title that the question holds
    "question_names",  # how many have, over 3
    "mentioned_by_strong",  # a text that serves the question mentions this one's title
    "mentioned_by_strong_rare",  # the same, less when many mention it
    "mentions_strong",  # it mentions the title of a text that serves the question
    "mentioned_by_asked",  # a text whose title the question holds mentions this one's title
    "mentions_asked",  # it mentions a title that the question holds
    "mentions",  # how many texts compared mention its title, over 5
    "same_title",  # how many other texts compared have its title, over 2
    "newer_same_title",  # whether one of them was read later
    "length",  # its length, on a logarithmic scale
)
"""What is said of a text for a question; all in [0, 1]."""

TEXT_FEATURES: Final = (*FEATURES, "rank_held")
"""What is said of a text next to the entries: also its place among those held now (falls with it)."""

_FADE: Final = 6.0


class TextComparison:
    """Texts beside the questions and one another.

    Args:
        notes: where the texts were taken.
        texts: the texts' notes: the entries', then those at hand.
    """

    def __init__(self, notes: Notes, texts: Sequence[Note]) -> None:
        self._features = text_features(notes, texts)

    def beside(self, rows: Sequence[int], held: Sequence[int]) -> Array:
        """Return the features of some texts next to the entries held, of shape (rows, questions, features)."""
        texts = self._features[list(rows)]
        return np.concatenate([texts, rank_among(texts, self._features[list(held)])], axis=2)


def rank_among(texts: Array, held: Array) -> Array:
    """Return how few of the texts ``held`` have more of the first feature, of shape (texts, questions, 1)."""
    better = (held[None, :, :, 0] > texts[:, None, :, 0]).sum(1)
    return np.asarray(np.exp(-better / _FADE)[:, :, None], np.float32)


def text_features(notes: Notes, texts: Sequence[Note]) -> Array:
    """Compare texts with the questions, and with one another.

    Args:
        notes: where the texts were taken.
        texts: the texts' notes: the entries' and the chunk's.

    Returns:
        An array of shape (texts, questions, ``len(FEATURES)``), in [0, 1].
    """
    count, questions = len(texts), len(notes.questions)
    if not count:
        return np.zeros((0, questions, len(FEATURES)), np.float32)
    scores, coverage = notes.relevance(texts)
    places, best = notes.rank(scores)
    to_best = scores / np.maximum(best, 1e-6)
    here = np.argsort(np.argsort(-scores, axis=0, kind="stable"), axis=0).astype(np.float32)
    asked = np.stack([note.asked for note in texts])
    strength = np.maximum(to_best * np.exp(-places / _FADE), asked)
    mentions, same = title_links(texts)
    times = mentions.sum(0)
    rare = mentions / np.sqrt(np.maximum(times, 1))
    newer = same * (np.array([note.order for note in texts])[None] > [[note.order] for note in texts])
    every = np.ones((count, questions), np.float32)
    columns = (
        scores / np.maximum(notes.highest(), 1e-6),
        to_best,
        1 / (1 + places),
        np.exp(-here / _FADE),
        scores >= scores.max(1, keepdims=True) - 1e-6,
        coverage,
        asked,
        np.stack([note.title_share for note in texts]),
        every * asked.max(0),
        every * np.minimum(asked.sum(0), 3) / 3,
        _strongest(mentions.T, strength),
        _strongest(rare.T, strength),
        _strongest(rare, strength),
        _strongest(mentions.T, asked),
        _strongest(mentions, asked),
        every * (np.minimum(times, 5) / 5)[:, None],
        every * (np.minimum(same.sum(1), 2) / 2)[:, None],
        every * newer.max(1)[:, None],
        every * np.array([[log_length(note.length)] for note in texts]),
    )
    return np.asarray(np.clip(np.stack(columns, axis=2), 0, 1), np.float32)


def title_links(texts: Sequence[Note]) -> tuple[Array, Array]:
    """Return who mentions whose title (row mentions column), and whose titles are the same, both without selves."""
    by_title: dict[int, list[int]] = {}
    for number, note in enumerate(texts):
        by_title.setdefault(note.title, []).append(number)
    mentions = np.zeros((len(texts), len(texts)), np.float32)
    same = np.zeros_like(mentions)
    for number, note in enumerate(texts):
        for title in note.names & by_title.keys():
            mentions[number, by_title[title]] = 1
        same[number, by_title[note.title]] = 1
    mentions[same > 0] = 0
    np.fill_diagonal(same, 0)
    return mentions, same


def _strongest(links: Array, strength: Array) -> Array:
    """Return, for each text and question, the greatest strength among those it is linked with."""
    return np.asarray((links[:, :, None] * strength[None]).max(1), np.float32)
