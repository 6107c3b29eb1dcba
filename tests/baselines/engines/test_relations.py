"""Relations are told from a question, and lead from a passage to a name."""

from __future__ import annotations

import pytest

from atommem_env.baselines.engines.rules.passages import Passage, read_passages
from atommem_env.baselines.engines.rules.relations import related_names, relation, relations_asked


def passage(text: str) -> Passage:
    return read_passages(["Ada Holm\n" + text])[0]


@pytest.mark.parametrize(
    ("asked", "text", "name"),
    [
        ("director", "It is a 1950 film directed by Tove Lind.", "Tove Lind"),
        ("director", "It is a film, written and directed by American director J. R. Moss.", "J. R. Moss"),
        ("performer", "It is a song by the English singer Bo Lark from the album Sea.", "Bo Lark"),
        ("composer", "The music was composed by Ira Stone.", "Ira Stone"),
        ("father", "She was the younger daughter of Karl Holm and his wife Eva Falk.", "Karl Holm"),
        ("mother", "She was the younger daughter of Karl Holm and his wife Eva Falk.", "Eva Falk"),
        ("director", "Hugh Marlow directed it in one week.", "Hugh Marlow"),
        ("composer", "Ira Stone composed the score.", "Ira Stone"),
        ("spouse", "In 1920 she married Olaf Berg.", "Olaf Berg"),
    ],
)
def test_a_relation_leads_to_a_name(asked: str, text: str, name: str) -> None:
    assert related_names(passage(text), relation(asked))[0] == name


def test_a_relation_that_is_not_stated_leads_nowhere() -> None:
    assert related_names(passage("Ada Holm was a poet."), relation("director")) == []


def test_a_grandparent_is_two_relations() -> None:
    asked = [found.relation for found in relations_asked("Who is Ada Holm's maternal grandfather?")]
    assert asked == [relation("mother"), relation("father")]
