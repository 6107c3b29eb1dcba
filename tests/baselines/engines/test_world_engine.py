"""The engine of the generated world: exact where the facts are in view, and never a guess."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import atommem_env
from atommem_env.baselines import make_policy
from atommem_env.baselines.engines.engine import UNKNOWN, get_engine
from atommem_env.baselines.engines.world import WorldEngine
from atommem_env.data.world import QUESTION_KINDS, WorldConfig, WorldQuestion, generate
from scripted import make_env


def question(index: int, hops: int, revisions: float) -> WorldQuestion:
    config = WorldConfig(seed=9, kinds=tuple(QUESTION_KINDS), hops=(2, hops), revisions=revisions)
    return generate(config, "validation", index)


questions = st.builds(
    question, st.integers(0, 10_000), st.sampled_from((2, 3, 4)), st.sampled_from((0.0, 1.0))
)
ENGINE = WorldEngine()


def texts(asked: WorldQuestion, without: tuple[int, int] | None = None, stale: bool = True) -> list[str]:
    """Return the paragraphs as entries hold them, without one sentence, or without what was superseded."""
    return [
        "\n".join([title, " ".join(text for at, text in enumerate(sentences) if (number, at) != without)])
        for number, (title, sentences) in enumerate(asked.paragraphs)
        if stale or asked.superseded is None or number != asked.superseded.paragraph
    ]


@given(questions)
def test_with_everything_in_view_the_answer_is_right(asked: WorldQuestion) -> None:
    assert ENGINE.answer(asked.question, texts(asked)) == asked.answer


@given(questions)
def test_the_supporting_sentences_are_enough(asked: WorldQuestion) -> None:
    gold = [asked.paragraphs[paragraph].sentences[sentence] for paragraph, sentence in asked.supporting]
    assert ENGINE.answer(asked.question, gold) == asked.answer


@given(questions, st.data())
def test_without_any_one_of_them_the_answer_is_unknown(asked: WorldQuestion, data: st.DataObject) -> None:
    missing = data.draw(st.sampled_from(asked.supporting))
    assert ENGINE.answer(asked.question, texts(asked, without=missing, stale=False)) == UNKNOWN


def test_the_latest_value_in_view_counts() -> None:
    old, new = (
        "In 1990 the headquarters of Alex Bank were in Blury.",
        "Alex Bank has its head office in Crowick.",
    )
    moved = "In 1999 Alex Bank moved its head office to Fenton, where it has been since."
    ask = "Where is Alex Bank based now?"
    assert ENGINE.answer(ask, [old]) == "Blury"
    assert ENGINE.answer(ask, [moved, new, old]) == "Fenton"
    assert ENGINE.answer(ask, [new]) == "Crowick"


def test_of_other_texts_it_understands_nothing() -> None:
    assert ENGINE.answer("Where is Duluth?", ["Duluth\nDuluth is a city in Minnesota."]) == UNKNOWN
    assert ENGINE.answer("", []) == UNKNOWN


def test_it_turns_the_page_until_it_knows() -> None:
    ask = "Where is Alex Bank based now?"
    assert ENGINE.answer_or_search(ask, ["The head of Alex Bank is Otto Man."], "") is None
    assert ENGINE.answer_or_search(ask, [], "Alex Bank has its head office in Crowick.") == "Crowick"


def test_it_is_found_by_its_name() -> None:
    engine = get_engine("world")
    assert isinstance(engine, WorldEngine)
    assert engine.name == "world"


@pytest.mark.parametrize("revisions", [0.0, 1.0])
def test_a_perfect_memory_answers_everything(revisions: float) -> None:
    env = make_env(
        id="AtomMem-World-v0",
        source="auto",
        num_docs=30,
        chunk_tokens=2048,
        revisions=revisions,
        world_size=60,
    )
    for index in range(20):
        trace = atommem_env.rollout(env, make_policy("oracle", engine="world"), options={"task_index": index})
        assert trace.metrics["em"] == 1.0
