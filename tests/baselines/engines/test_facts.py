"""Facts that stand in the set forms of encyclopedias are read from them."""

from __future__ import annotations

import pytest

from atommem_env.baselines.engines.rules.fact_rules import decide_edits, extract_facts
from atommem_env.baselines.engines.rules.facts import (
    attribute_asked,
    cause_of_death,
    country,
    life,
    nationality,
)
from atommem_env.baselines.engines.rules.passages import Passage, read_passages


def passage(text: str) -> Passage:
    return read_passages(["Ada Holm\n" + text])[0]


@pytest.mark.parametrize(
    ("text", "born", "died", "birth_place", "death_place"),
    [
        ("Ada Holm (3 May 1900 – 4 June 1980) was a poet.", "3 May 1900", "4 June 1980", None, None),
        ("Ada Holm (born May 3, 1900) is a poet.", "May 3, 1900", None, None, None),
        ("Ada Holm( born 3 May 1900 in Bergen) is a poet.", "3 May 1900", None, "Bergen", None),
        ("Ada Holm (3 May 1900, Bergen – 4 June 1980, Oslo) was", "3 May 1900", "4 June 1980", "Bergen", "Oslo"),
        ("Ada Holm( 3 May 1900, Bergen- 4 June 1980, Oslo) was", "3 May 1900", "4 June 1980", "Bergen", "Oslo"),
        ("Ada Holm (930–985) was a queen.", "930", "985", None, None),
        ("Ada Holm wrote. She was born in Bergen on 3 May 1900 and died in Oslo", "3 May 1900", None, "Bergen", "Oslo"),
        ("Ada Holm was a poet.", None, None, None, None),
    ],
)  # fmt: skip
def test_a_life_is_read(
    text: str, born: str | None, died: str | None, birth_place: str | None, death_place: str | None
) -> None:
    found = life(passage(text))
    assert (found.born.text if found.born else None) == born
    assert (found.died.text if found.died else None) == died
    assert found.birth_place == birth_place
    assert found.death_place == death_place


def test_nationality_and_country() -> None:
    assert nationality(passage("Ada Holm is a West German poet living in France.")) == "West German"
    assert country(passage("Ada Holm is a West German poet.")) == "Germany"
    assert country(passage("Ada Holm is a village in the Cold County, Norway.")) == "Norway"
    assert country(passage("Ada Holm is a bird.")) is None
    assert nationality(passage("Ada Holm was a poet, and a citizen of Ruritania.")) == "Ruritania"


def test_cause_of_death() -> None:
    assert cause_of_death(passage("She died in Oslo from a heart attack in 1980.")) == "heart attack"


def test_only_set_forms_ask_for_an_attribute() -> None:
    assert attribute_asked("When was Ada Holm born?") is not None
    assert attribute_asked("Which bird sings?") is None


@pytest.mark.parametrize(
    ("entry", "fact", "kind"),
    [
        ("7. Brann was founded by Ada Holt.", "9. Brann was founded by Cy Lunt.", "update"),
        ("[2024-01-02] user: Bo Rask lives in Kew.", "[2024-02-03] user: Bo Rask lives in Ryde.", "update"),
        ("[2024-01-02] user: I live in Kew.", "[2024-02-03] user: I live in Kew.", "none"),
        ("7. The tower stands on the hill of Kew.", "9. The tower stands on the hill of Ryde.", "add"),
    ],
)
def test_a_date_a_speaker_and_a_number_are_no_part_of_a_fact(entry: str, fact: str, kind: str) -> None:
    (edit,) = decide_edits([fact], [entry])
    assert edit.kind == kind


def test_the_number_of_a_listed_fact_is_no_sentence() -> None:
    assert extract_facts("Session 1:\n7. Brann is a firm. It is old.\n") == [
        "7. Brann is a firm.",
        "It is old.",
    ]
