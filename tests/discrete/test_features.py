"""The features of texts, next to a plain implementation that works on the texts themselves."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np
import pytest

from atommem_env.core.words import STOP_WORDS, bare_title, stem
from atommem_env.discrete.features import FEATURES, text_features
from atommem_env.discrete.notes import Notes
from atommem_env.text import PieceTokenizer, tokens

TITLES = ("Ambry", "Vale Hall", "The Tower (film)", "River Corvane", "Elin Vale", "1850", "Of the", "")
WORDS = (
    "ambry vale hall Vale Hall the The Tower river River Corvane Elin 1850 built lies where town of".split()
)

Text = tuple[str, str]


def words_of(text: str) -> list[str]:
    return re.findall(r"\w+", text)


def runs(words: Sequence[str], width: int) -> list[tuple[str, ...]]:
    return [tuple(words[start : start + width]) for start in range(len(words) - width + 1)]


def holds_name(words: Sequence[str], name: Sequence[str], any_case: bool) -> bool:
    """Whether up to 6 words in a row are ``name``, the first with a capital or a digit if case matters."""
    if not 1 <= len(name) <= 6:
        return False
    return any(
        [word.casefold() for word in run] == list(name)
        and (any_case or run[0][0].isupper() or run[0][0].isdigit())
        for run in runs(words, len(name))
    )


class Reference:
    """Keeps the texts themselves, and computes everything from them each time."""

    def __init__(self, questions: Sequence[str]) -> None:
        self.questions = questions
        self.taken: list[Text] = []
        self.ranked: list[set[float]] = [set() for _ in questions]

    def wanted(self, question: str) -> list[str]:
        return [word for word in tokens(question) if word not in STOP_WORDS]

    def score(self, text: Text, question: str) -> float:
        words = tokens("\n".join(text))
        lengths = [len(tokens("\n".join(other))) for other in self.taken]
        total = 0.0
        for word in self.wanted(question):
            count = words.count(word)
            if count:
                holding = sum(word in tokens("\n".join(other)) for other in self.taken)
                spread = 1.5 * (1 - 0.75 + 0.75 * len(words) / (sum(lengths) / len(lengths)))
                total += math.log((len(lengths) + 1) / holding) * (1 + count * 2.5 / (count + spread))
        return total

    def highest(self, question: str) -> float:
        total = 0.0
        for word in self.wanted(question):
            holding = sum(word in tokens("\n".join(other)) for other in self.taken)
            total += math.log((len(self.taken) + 1) / max(holding, 1)) * 3.5
        return total

    def coverage(self, text: Text, question: str) -> float:
        stems = {stem(word) for word in tokens("\n".join(text))}
        found = total = 0.0
        for wanted in {stem(word) for word in self.wanted(question)}:
            holding = sum(wanted in {stem(word) for word in tokens("\n".join(other))} for other in self.taken)
            weight = math.log((len(self.taken) + 1) / max(holding, 1))
            total += weight
            found += weight * (wanted in stems)
        return found / max(total, 1e-9)

    def name(self, text: Text) -> list[str]:
        return [word.casefold() for word in words_of(bare_title(text[0]))]

    def mentions(self, left: Text, right: Text) -> bool:
        """Whether ``left`` mentions the title of ``right``, which is not its own."""
        name = self.name(right)
        return self.name(left) != name and holds_name(words_of(left[1]), name, any_case=False)

    def features(self, texts: Sequence[Text]) -> list[list[dict[str, float]]]:
        asked = [
            [holds_name(words_of(question), self.name(text), any_case=True) for question in self.questions]
            for text in texts
        ]
        scores = [[self.score(text, question) for question in self.questions] for text in texts]
        to_best, places = [[0.0] * len(self.questions) for _ in texts], []
        for number in range(len(self.questions)):
            column = [round(row[number], 4) for row in scores]
            self.ranked[number].update(column)
            best = sorted(self.ranked[number], reverse=True)
            places.append([best.index(score) for score in column])
            for row, score in enumerate(scores):
                to_best[row][number] = score[number] / max(best[0], 1e-6)
        found = []
        for row, text in enumerate(texts):
            per_question = []
            same = [other for other in range(len(texts)) if self.name(texts[other]) == self.name(text)]
            links_in = [other for other in range(len(texts)) if self.mentions(texts[other], text)]
            links_out = [other for other in range(len(texts)) if self.mentions(text, texts[other])]
            for number, question in enumerate(self.questions):
                strength = [
                    max(to_best[other][number] * math.exp(-places[number][other] / 6), asked[other][number])
                    for other in range(len(texts))
                ]
                column = [score[number] for score in scores]
                here = sorted(range(len(texts)), key=lambda other: (-column[other], other)).index(row)
                content = {word for word in self.name(text) if word not in STOP_WORDS}
                shared = len(content & set(self.wanted(question)))

                def rare(source: int, target: int) -> float:
                    times = sum(self.mentions(texts[other], texts[target]) for other in range(len(texts)))
                    return 1 / math.sqrt(times) if self.mentions(texts[source], texts[target]) else 0.0

                named = sum(line[number] for line in asked)
                per_question.append(
                    {
                        "score": column[row] / max(self.highest(question), 1e-6),
                        "score_to_best": to_best[row][number],
                        "rank": 1 / (1 + places[number][row]),
                        "rank_here": math.exp(-here / 6),
                        "best_question": scores[row][number] >= max(scores[row]) - 1e-6,
                        "coverage": self.coverage(text, question),
                        "title_asked": asked[row][number],
                        "title_share": shared / len(content) if content else 0.0,
                        "question_names_one": named > 0,
                        "question_names": min(named, 3) / 3,
                        "mentioned_by_strong": max((strength[other] for other in links_in), default=0),
                        "mentioned_by_strong_rare": max(
                            (rare(other, row) * strength[other] for other in links_in), default=0
                        ),
                        "mentions_strong": max(
                            (rare(row, other) * strength[other] for other in links_out), default=0
                        ),
                        "mentioned_by_asked": any(asked[other][number] for other in links_in),
                        "mentions_asked": any(asked[other][number] for other in links_out),
                        "mentions": min(len(links_in), 5) / 5,
                        "same_title": min(len(same) - 1, 2) / 2,
                        "newer_same_title": any(
                            self.taken.index(texts[other]) > self.taken.index(text) for other in same
                        ),
                        "length": min(math.log1p(len(tokens("\n".join(text)))) / 7, 1),
                    }
                )
            found.append(per_question)
        return found


def drawn(generator: np.random.Generator) -> tuple[list[str], list[list[Text]]]:
    """Return questions, and texts in groups; no two texts are the same."""

    def sentence(words: int) -> str:
        return " ".join(generator.choice(WORDS, words))

    questions = [f"Where is {sentence(4)}?" for _ in range(int(generator.integers(1, 4)))]
    groups = [
        [
            (
                str(generator.choice(TITLES)),
                f"{sentence(int(generator.integers(1, 15)))} {group}.{place}",
            )
            for place in range(5)
        ]
        for group in range(3)
    ]
    return questions, groups


@pytest.mark.parametrize("seed", range(12))
def test_the_features_equal_those_computed_from_the_texts(seed: int) -> None:
    generator = np.random.default_rng(seed)
    questions, groups = drawn(generator)
    notes, reference = Notes(questions), Reference(questions)
    held: list[Text] = []
    note_of = {}
    for group in groups:
        for title, text in group:
            note_of[title, text] = notes.take(title, text)
        reference.taken += group
        compared = [*held, *group]
        found = text_features(notes, [note_of[text] for text in compared])
        for row, per_question in enumerate(reference.features(compared)):
            for number, expected in enumerate(per_question):
                assert list(expected) == list(FEATURES)
                np.testing.assert_allclose(
                    found[row, number],
                    np.clip(list(expected.values()), 0, 1).astype(np.float32),
                    atol=2e-4,
                    err_msg=f"{compared[row]} for {questions[number]!r}",
                )
        held = [compared[place] for place in sorted(generator.choice(len(compared), 3, replace=False))]


def test_no_text_has_no_features() -> None:
    assert text_features(Notes(["Who?", "Where?"]), []).shape == (0, 2, len(FEATURES))


def test_what_serves_a_question_stands_out() -> None:
    notes = Notes(["Who directed the film Vale Hall?"])
    texts = [
        ("Vale Hall", "Vale Hall is a film directed by Elin Corvane."),
        ("Elin Corvane", "Elin Corvane is a director from Ambry."),
        ("Ambry", "Ambry is a town."),
    ]
    found = text_features(notes, [notes.take(*text) for text in texts])[:, 0]

    def feature(name: str) -> list[float]:
        return found[:, FEATURES.index(name)].round(3).tolist()  # type: ignore[no-any-return]

    assert feature("title_asked") == [1, 0, 0]
    assert feature("mentioned_by_asked") == [0, 1, 0]
    assert feature("mentions_asked") == [0, 0, 0]
    assert feature("rank") == [1, 0.5, 0.5]
    assert feature("mentioned_by_strong")[1] > feature("mentioned_by_strong")[2]


def test_a_note_is_numbers() -> None:
    """No word of a text can be found in its note."""
    note = Notes(["Who built the mill?"]).take("Mill", "The mill was built by Jo Falk.")
    for name in type(note).__slots__:
        value = getattr(note, name)
        numbers = value if isinstance(value, frozenset) else np.atleast_1d(value)
        assert all(np.issubdtype(type(number), np.number) or isinstance(number, int) for number in numbers)


def test_the_size_is_what_the_environment_measures() -> None:
    note = Notes(["Who?"]).take("A title", "A text of several words.")
    assert note.size == PieceTokenizer().count("A title\nA text of several words.")
