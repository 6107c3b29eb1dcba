"""The generated world: pure, balanced, answerable from its supporting sentences and from nothing less."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import subprocess
import sys
from collections import Counter
from datetime import date, datetime
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atommem_env.data.world import (
    BENCHMARKS,
    FIXED_HOPS,
    QUESTION_KINDS,
    SPLITS,
    WorldConfig,
    WorldQuestion,
    benchmark_config,
    generate,
    hotpotqa_row,
    musique_row,
    rows,
    wiki2_row,
    world_record,
)
from atommem_env.data.world.names import FIRMS, RIVERS, SURNAMES, TOWNS, Names
from atommem_env.data.world.relations import NAMED, RELATIONS, paths
from atommem_env.data.world.templates import COLOUR, DATED, FACTS, LEADS, UPDATES
from atommem_env.text import sentences, tokens

ALL = WorldConfig(kinds=tuple(QUESTION_KINDS))
REVISED = WorldConfig(kinds=tuple(kind for kind in QUESTION_KINDS if kind != "inference"), revisions=1.0)


def questions(config: WorldConfig, count: int, split: str = "train") -> list[WorldQuestion]:
    return [generate(config, split, index) for index in range(count)]


@pytest.fixture(scope="module")
def sample() -> list[WorldQuestion]:
    return questions(ALL, 900)


@pytest.fixture(scope="module")
def revised() -> list[WorldQuestion]:
    return questions(REVISED, 400)


def supporting_sentences(question: WorldQuestion) -> list[str]:
    return [question.paragraphs[fact.paragraph].sentences[fact.sentence] for fact in question.supporting]


def contains(text: str, part: str) -> bool:
    words, wanted = tokens(text), tokens(part)
    return any(words[start : start + len(wanted)] == wanted for start in range(len(words) - len(wanted) + 1))


# --- determinism ------------------------------------------------------------------------------------


def test_a_question_depends_on_its_arguments_alone() -> None:
    first = [generate(ALL, "validation", index) for index in (7, 3, 900_000)]
    again = [
        generate(WorldConfig(kinds=list(QUESTION_KINDS)), "validation", index) for index in (900_000, 3, 7)
    ]  # type: ignore[arg-type]
    assert first == again[::-1]
    assert generate(ALL, "train", 3) != generate(ALL, "test", 3)
    assert generate(ALL, "train", 3) != generate(WorldConfig(seed=1, kinds=tuple(QUESTION_KINDS)), "train", 3)


def test_any_kind_of_integer_is_an_index() -> None:
    assert generate(ALL, "train", np.int64(11)) == generate(ALL, "train", 11)


def test_the_size_does_not_change_a_question() -> None:
    assert generate(WorldConfig(size=7), "train", 5) == generate(WorldConfig(size=70_000), "train", 5)


def test_more_paragraphs_leave_the_question_and_its_support_as_they_were() -> None:
    for index in range(20):
        few = generate(ALL, "train", index)
        many = generate(WorldConfig(kinds=tuple(QUESTION_KINDS), num_paragraphs=20), "train", index)
        assert (few.question, few.answer) == (many.question, many.answer)
        assert supporting_sentences(few) == supporting_sentences(many)


@pytest.mark.heavy
@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_questions_are_the_same_in_every_process(hash_seed: str) -> None:
    program = (
        "import hashlib\n"
        "from atommem_env.data.world import QUESTION_KINDS, WorldConfig, generate\n"
        "config = WorldConfig(kinds=tuple(QUESTION_KINDS), revisions=0.5)\n"
        "text = repr([generate(config, 'test', index) for index in range(40)])\n"
        "print(hashlib.sha256(text.encode()).hexdigest())\n"
    )
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    config = WorldConfig(kinds=tuple(QUESTION_KINDS), revisions=0.5)
    text = repr([generate(config, "test", index) for index in range(40)])
    assert done.stdout.strip() == hashlib.sha256(text.encode()).hexdigest()


# --- names ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("grammar", [SURNAMES, TOWNS, FIRMS, RIVERS])
def test_a_grammar_never_gives_one_word_twice(grammar: Any) -> None:
    words = {grammar.word(code, offset=12345) for code in range(20_000)}
    words |= {grammar.word(code, offset=12345) for code in range(10**9, 10**9 + 2000)}
    assert len(words) == 22_000
    ambiguous = [(a, b) for a in grammar.endings for b in grammar.endings if a != b and a.endswith(b)]
    assert ambiguous == []


def every_name(names: Names) -> set[str]:
    found = []
    for stem in range(3):
        for _ in range(16):
            found += [
                *names.person(stem, True),
                *names.person(stem, False),
                names.town(stem),
                names.title(stem),
            ]
            found += [names.firm(kind, stem) for kind in ("company", "school", "bridge", "event", "press")]
    return {*found, *(names.river() for _ in range(20))}


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**7), st.integers(0, 10**7), st.integers(-5, 5))
def test_two_questions_own_different_names(first: int, second: int, seed: int) -> None:
    if first == second:
        second += 1
    assert every_name(Names(first, seed, Random(0))).isdisjoint(every_name(Names(second, seed, Random(1))))


def test_a_question_hands_out_a_name_once() -> None:
    names = Names(5, 0, Random(3))
    people = [
        names.person(stem, female)[1] for stem in range(5) for female in (True, False) for _ in range(40)
    ]
    towns = [names.town(stem) for stem in range(4) for _ in range(100)]
    titles = [names.title(stem) for stem in range(3) for _ in range(48)]
    firms = [names.firm("studio", stem) for stem in range(4) for _ in range(24)]
    for group in (people, towns, titles, firms):
        assert len(set(group)) == len(group)


def test_pooled_paragraphs_of_many_questions_have_different_titles() -> None:
    titles = [
        paragraph.title
        for split in SPLITS
        for index in [*range(250), *range(60_000, 60_100)]
        for paragraph in generate(ALL, split, index).paragraphs
    ]
    assert len(set(titles)) == len(titles)


def test_the_largest_questions_do_not_run_out_of_names() -> None:
    config = WorldConfig(kinds=tuple(QUESTION_KINDS), num_paragraphs=40, revisions=0.5)
    for index in range(120):
        titles = {paragraph.title for paragraph in generate(config, "train", index).paragraphs}
        assert len(titles) == 40


def test_distractors_share_name_parts_with_every_supporting_paragraph(sample: list[WorldQuestion]) -> None:
    shared = total = 0
    for question in sample:
        gold = {fact.paragraph for fact in question.supporting}
        others = {
            word
            for place, text in enumerate(question.paragraphs)
            if place not in gold
            for word in tokens(text.title)
        }
        for place in sorted(gold):
            words = set(tokens(question.paragraphs[place].title)) - {"the", "of", "in"}
            total += 1
            shared += bool(words & others)
    assert shared / total > 0.9


# --- answers ----------------------------------------------------------------------------------------


def test_every_supporting_sentence_states_its_fact_by_itself(sample: list[WorldQuestion]) -> None:
    for question in sample:
        triples = iter(question.evidences)
        for sentence in supporting_sentences(question):
            triple = next(triples)
            facts = (
                [triple, next(triples)]
                if triple.relation == "date of birth" and "lived" in kind_of_life(question)
                else [triple]
            )
            for fact in facts:
                assert contains(sentence, fact.subject), (sentence, fact)
                # "Arvonian" states the country Arvonia
                assert contains(sentence, fact.object) or fact.object in sentence, (sentence, fact)


def kind_of_life(question: WorldQuestion) -> str:
    return "lived" if any(hop.question.startswith("How long did") for hop in question.decomposition) else ""


def test_following_the_facts_gives_the_answer(sample: list[WorldQuestion]) -> None:
    for question in sample:
        assert solve(question) == question.answer, question


def test_the_steps_agree_with_the_facts_and_the_paragraphs(sample: list[WorldQuestion]) -> None:
    for question in sample:
        assert [hop.paragraph for hop in question.decomposition] == [
            fact.paragraph for fact in question.supporting
        ]
        assert (
            len(question.decomposition)
            == question.hops
            == len({hop.paragraph for hop in question.decomposition})
        )
        if question.kind in ("bridge", "compositional", "inference"):
            assert question.decomposition[-1].answer == question.answer
            assert [hop.answer for hop in question.decomposition] == [
                fact.object for fact in question.evidences
            ]
            for step, hop in enumerate(question.decomposition[1:], start=1):
                assert f"#{step}" in hop.question


def test_a_chain_names_its_first_subject_only(sample: list[WorldQuestion]) -> None:
    for question in sample:
        if question.kind in ("bridge", "compositional", "inference"):
            first, *others = [fact.subject for fact in question.evidences]
            assert contains(question.question, first)
            assert not any(
                contains(question.question, name) for name in [*others, question.answer, *question.aliases]
            )


def test_hops_stay_in_their_range() -> None:
    for low, high in [(2, 2), (3, 4), (4, 4)]:
        config = WorldConfig(kinds=("bridge", "compositional", "comparison"), hops=(low, high))
        found = {(question.kind, question.hops) for question in questions(config, 90)}
        chains = {(kind, hops) for kind in ("bridge", "compositional") for hops in range(low, high + 1)}
        assert found == {*chains, ("comparison", 2)}


def test_aliases_are_other_forms_of_the_answer(sample: list[WorldQuestion]) -> None:
    found = Counter[str]()
    for question in sample:
        for alias in question.aliases:
            assert alias != question.answer
            if re.fullmatch(r"\d+ \w+ \d{4}", question.answer):
                assert datetime.strptime(alias, "%B %d, %Y") == datetime.strptime(question.answer, "%d %B %Y")
                found["date"] += 1
            else:
                assert set(tokens(alias)) < set(tokens(question.answer))
                found["name"] += 1
    assert found["date"] > 3
    assert found["name"] > 5


LEAST = re.compile(r"\b(first|earlier|older|shorter|younger age|fewer|smaller|lower|less tall)\b")
MOST = re.compile(r"\b(later|younger|longer|greater|recent|recently|more|larger|taller|higher|last)\b")


def solve(question: WorldQuestion) -> str:
    """Answer a question from its words and its triples alone."""
    facts = question.evidences
    if question.kind in ("bridge", "compositional", "inference"):
        for before, after in pairwise(facts):
            assert before.object == after.subject
        return facts[-1].object
    if question.kind == "bridge_comparison":
        makers = {fact.subject: fact.object for fact in facts[:2]}
        works = {maker: work for work, maker in makers.items()}
        values = facts[2:]
    else:
        works = {fact.subject: fact.subject for fact in facts}
        values = facts
    if question.question.startswith(("Are", "Were", "Do", "Did")):
        job = re.search(r"both (?:known as )?(\w+)s\?", question.question)
        if job and facts[0].relation == "occupation":
            return "yes" if {fact.object for fact in values} == {job[1]} else "no"
        return "yes" if len({fact.object for fact in values}) == 1 else "no"
    scores: dict[str, Any] = {}
    for name in works:
        own = [fact.object for fact in values if fact.subject == name]
        scores[name] = number(own[0]) if len(own) == 1 else number(own[1]) - number(own[0])
    least = bool(LEAST.search(question.question))
    assert least or MOST.search(question.question)
    assert len(set(scores.values())) == 2
    return works[(min if least else max)(scores, key=lambda name: scores[name])]


def number(value: str) -> int:
    if re.fullmatch(r"[\d,]+", value):
        return int(value.replace(",", ""))
    return (
        datetime.strptime(value, "%d %B %Y").date().toordinal()
        if " " in value
        else date(int(value), 1, 1).toordinal()
    )


# --- no tricks --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def many() -> list[WorldQuestion]:
    return questions(WorldConfig(kinds=tuple(QUESTION_KINDS), num_paragraphs=4), 2700)


def options(question: WorldQuestion) -> tuple[str, str]:
    first, second = (fact.subject for fact in question.evidences[:2])
    if first == second:  # two dates of one person
        second = question.evidences[2].subject
    assert question.question.index(first) < question.question.index(second)
    return first, second


@pytest.mark.heavy
def test_yes_and_no_are_equally_often_right(many: list[WorldQuestion]) -> None:
    for kind in ("yes_no", "bridge_comparison"):
        answers = [
            question.answer for question in many if question.kind == kind and question.answer in ("yes", "no")
        ]
        assert len(answers) >= 150
        assert 0.45 <= answers.count("yes") / len(answers) <= 0.55


def test_either_option_is_equally_often_right(many: list[WorldQuestion]) -> None:
    for kind in ("comparison", "bridge_comparison"):
        asked = [
            question for question in many if question.kind == kind and question.answer not in ("yes", "no")
        ]
        right = [options(question)[0] == question.answer for question in asked]
        assert {question.answer in options(question) for question in asked} == {True}
        assert 0.45 <= sum(right) / len(right) <= 0.55
        for wording in (LEAST, MOST):
            right = [
                options(question)[0] == question.answer
                for question in asked
                if wording.search(question.question)
            ]
            assert 0.42 <= sum(right) / len(right) <= 0.58


@pytest.mark.heavy
def test_what_closed_book_strategies_score() -> None:
    asked = questions(WorldConfig(num_paragraphs=4), 2400)
    answers = Counter(question.answer for question in asked)
    (frequent, _), *_ = answers.most_common(1)
    rng = Random(0)
    scores = Counter[str]()
    open_questions = guessed = 0
    for question in asked:
        named = re.findall(r"[A-Z][\w.]*(?: [A-Z][\w.]*)*", question.question[1:])
        scores["yes"] += question.answer == "yes"
        scores["no"] += question.answer == "no"
        scores["frequent"] += question.answer == frequent
        scores["name"] += bool(named) and rng.choice(named) == question.answer
        scores["first"] += question.kind == "comparison" and options(question)[0] == question.answer
        if question.kind not in ("comparison", "yes_no"):
            open_questions += 1
            assert not contains(question.question, question.answer)
            guessed += question.answer == "Arvonia"
    shares = {strategy: count / len(asked) for strategy, count in scores.items()}
    assert 0.11 <= shares["yes"] <= 0.14
    assert 0.11 <= shares["no"] <= 0.14
    assert 0.11 <= shares["first"] <= 0.14
    assert shares["frequent"] <= 0.14
    assert shares["name"] <= 0.14
    assert guessed / open_questions < 0.03
    chained = Counter(question.answer for question in asked if question.kind in ("bridge", "compositional"))
    assert chained.most_common(1)[0][1] / open_questions < 0.03


def test_the_kinds_come_equally_often_and_as_often_as_named() -> None:
    counts = Counter(
        question.kind for question in questions(WorldConfig(kinds=("bridge", "bridge", "yes_no")), 90)
    )
    assert counts == {"bridge": 60, "yes_no": 30}


def test_gold_paragraphs_and_supporting_sentences_stand_anywhere(sample: list[WorldQuestion]) -> None:
    places = Counter(fact.paragraph for question in sample for fact in question.supporting)
    total = sum(places.values())
    assert set(places) == set(range(10))
    assert max(places.values()) / total < 0.14
    sentences_used = Counter(fact.sentence for question in sample for fact in question.supporting)
    assert all(sentences_used[position] / total > 0.05 for position in range(5))


# --- paragraphs -------------------------------------------------------------------------------------


def test_paragraphs_have_three_to_seven_sentences_of_an_encyclopedia_s_length(
    sample: list[WorldQuestion],
) -> None:
    words = []
    for question in sample[:300]:
        assert len(question.paragraphs) == 10
        for paragraph in question.paragraphs:
            assert 3 <= len(paragraph.sentences) <= 7
            assert len(set(paragraph.sentences)) == len(paragraph.sentences)
            words.append(sum(len(sentence.split()) for sentence in paragraph.sentences))
    assert 70 <= sum(words) / len(words) <= 95
    assert sum(55 <= count <= 115 for count in words) / len(words) > 0.98


def test_sentences_are_what_the_package_takes_for_sentences(sample: list[WorldQuestion]) -> None:
    for question in sample[:300]:
        for paragraph in question.paragraphs:
            assert tuple(sentences(" ".join(paragraph.sentences))) == paragraph.sentences


def test_articles_fit(sample: list[WorldQuestion]) -> None:
    for question in sample[:300]:
        for text in [
            question.question,
            *(" ".join(paragraph.sentences) for paragraph in question.paragraphs),
        ]:
            assert not re.search(r"\b[Aa] [aeiouAEIO]", text), text
            assert not re.search(r"\b[Aa]n [^aeiouAEIOU]", text), text
            assert not re.search(r"[{}]|  |\bthe the\b|\bThe the\b", text), text


def test_every_fact_has_several_wordings_that_name_subject_and_object() -> None:
    for kind, facts in FACTS.items():
        for fact, wordings in facts.items():
            literal = NAMED[kind, fact].range == "literal"
            assert len(wordings) + len(DATED.get(kind, {}).get(fact, ())) >= 2
            for text in wordings:
                assert "{s}" in text
                assert literal or "{o}" in text
    for table, slot in ((DATED, "{asof}"), (UPDATES, "{moved}")):
        for kind, facts in table.items():
            for fact, wordings in facts.items():
                assert NAMED[kind, fact].state
                assert all(slot in text and "{s}" in text and "{o}" in text for text in wordings)
    states = {(relation.domain, relation.name) for relation in RELATIONS if relation.state}
    assert states == {(kind, fact) for kind, facts in UPDATES.items() for fact in facts}
    assert states == {(kind, fact) for kind, facts in DATED.items() for fact in facts}
    assert set(COLOUR) == set(LEADS) == set(FACTS)
    assert min(len(templates) for templates in COLOUR.values()) >= 12  # a revised subject has two paragraphs


def test_every_path_can_be_put_into_words() -> None:
    for hops in (2, 3, 4):
        for path in paths(hops):
            assert path[-1].asks
            assert all(relation.nouns and relation.phrases for relation in path[:-1])
            assert all(before.range == after.domain for before, after in pairwise(path))


# --- revisions --------------------------------------------------------------------------------------

LATER = re.compile(r" \((\d{4})\)$")


def test_without_revisions_nothing_is_superseded(sample: list[WorldQuestion]) -> None:
    for question in sample:
        assert question.superseded is None
        assert not any(LATER.search(paragraph.title) for paragraph in question.paragraphs)


def test_a_revised_question_rests_on_the_later_of_two_dated_documents(revised: list[WorldQuestion]) -> None:
    for question in revised:
        assert question.superseded is not None
        earlier = question.paragraphs[question.superseded.paragraph]
        gold = {fact.paragraph: fact.sentence for fact in question.supporting}
        assert question.superseded.paragraph not in gold
        (place,) = [place for place in gold if LATER.search(question.paragraphs[place].title)]
        later = question.paragraphs[place]
        found = LATER.search(later.title)
        assert found
        assert later.title == f"{earlier.title} ({found[1]})"
        assert found[1] in later.sentences[gold[place]]
        dated = [
            int(year)
            for sentence in earlier.sentences
            for year in re.findall(r"^(?:As of|In|The census of) (\d{4})", sentence)
        ]
        assert dated
        assert min(dated) < int(found[1])


def test_a_revised_question_asks_for_the_present_state(revised: list[WorldQuestion]) -> None:
    for question in revised:
        assert solve(question) == question.answer
        assert re.search(r"\b(now|current|present|today|last|latest)\b", question.question), question.question


def test_the_superseded_document_alone_misleads(revised: list[WorldQuestion]) -> None:
    compared = 0
    for question in revised:
        assert question.superseded is not None
        earlier = " ".join(question.paragraphs[question.superseded.paragraph].sentences)
        facts = [
            fact
            for fact in question.evidences
            if fact.subject == question.paragraphs[question.superseded.paragraph].title
        ]
        (fact,) = facts
        stated = [
            sentence
            for sentence in question.paragraphs[question.superseded.paragraph].sentences
            if contains(sentence, fact.object)
        ]
        assert not stated, (fact, earlier)
        compared += question.kind in ("comparison", "bridge_comparison")
    assert compared > 50


def test_revisions_are_a_share_of_the_questions() -> None:
    found = [
        question.superseded is not None
        for question in questions(WorldConfig(num_paragraphs=6, revisions=0.3), 600)
    ]
    assert 0.25 <= sum(found) / len(found) <= 0.35


def test_namesakes_are_revised_too(revised: list[WorldQuestion]) -> None:
    extra = [
        sum(bool(LATER.search(paragraph.title)) for paragraph in question.paragraphs) - 1
        for question in revised
    ]
    assert sum(count > 0 for count in extra) / len(extra) > 0.4


# --- rows -------------------------------------------------------------------------------------------

KEYS = {
    "hotpotqa": {"_id", "answer", "question", "supporting_facts", "context", "type", "level"},
    "2wikimultihopqa": {
        *("_id", "type", "question", "context", "entity_ids", "supporting_facts"),
        *("evidences", "answer", "evidences_id", "answer_id"),
    },
    "musique": {
        "id",
        "paragraphs",
        "question",
        "question_decomposition",
        "answer",
        "answer_aliases",
        "answerable",
    },
}
TYPES = {
    "hotpotqa": {"bridge", "comparison"},
    "2wikimultihopqa": {"comparison", "bridge_comparison", "compositional", "inference"},
}
FILES = {
    "hotpotqa": "hotpot_dev_distractor_v1.sample.json.gz",
    "2wikimultihopqa": "2wikimultihopqa_dev.sample.json.gz",
    "musique": "musique_ans_v1.0_dev.sample.jsonl.gz",
}


@pytest.mark.parametrize("name", list(BENCHMARKS))
def test_rows_have_the_official_keys(name: str) -> None:
    made = list(rows(name, WorldConfig(size=60), "validation"))
    assert len(made) == 60
    assert all(set(row) == KEYS[name] for row in made)
    assert len({row.get("_id") or row["id"] for row in made}) == 60
    assert json.loads(json.dumps(made)) == made


@pytest.mark.parametrize("name", ["hotpotqa", "2wikimultihopqa"])
def test_rows_have_the_types_and_gold_of_their_benchmark(name: str) -> None:
    space = " " if name == "hotpotqa" else ""
    seen = set()
    for row in rows(name, WorldConfig(size=120), "train"):
        seen.add(row["type"])
        gold = {title for title, _ in row["supporting_facts"]}
        assert len(gold) == (4 if row["type"] == "bridge_comparison" else 2)
        context = dict(row["context"])
        assert len(context) == len(row["context"]) == 10
        for title, number in row["supporting_facts"]:
            assert context[title][number]
        for parts in context.values():
            assert not parts[0].startswith(" ")
            assert all(part.startswith(space) and not part.startswith("  ") for part in parts[1:])
            assert space or not any(part.startswith(" ") for part in parts)
    assert seen == TYPES[name]


def test_musique_rows_point_from_each_step_to_its_paragraph() -> None:
    seen = set()
    for row in rows("musique", WorldConfig(size=90), "train"):
        seen.add(row["id"].split("__")[0])
        assert [paragraph["idx"] for paragraph in row["paragraphs"]] == list(range(20))
        steps = row["question_decomposition"]
        marked = {paragraph["idx"] for paragraph in row["paragraphs"] if paragraph["is_supporting"]}
        assert {step["paragraph_support_idx"] for step in steps} == marked
        assert row["id"].split("__")[1] == "_".join(str(step["id"]) for step in steps)
        assert steps[-1]["answer"] == row["answer"]
        for step in steps:
            assert contains(
                row["paragraphs"][step["paragraph_support_idx"]]["paragraph_text"], step["answer"]
            )
    assert seen == {"2hop", "3hop1", "4hop1"}


@pytest.mark.parametrize("name", list(BENCHMARKS))
def test_rows_are_shaped_like_the_official_ones(name: str) -> None:
    file = Path(__file__).resolve().parents[2] / "../shared/data" / FILES[name]
    if not file.exists():
        pytest.skip(f"{file.name} is not here")
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        official = json.loads(lines.readline()) if name == "musique" else json.load(lines)[0]
    made = next(rows(name, WorldConfig(), "validation"))
    assert list(made) == list(official) or set(made) == set(official)
    assert shape(made) == shape(official)


def shape(value: Any) -> Any:
    """Return the types inside ``value``; of a list, those of its first element."""
    if isinstance(value, dict):
        # whether these are empty or null varies from row to row
        return {
            key: shape(item)
            for key, item in value.items()
            if key not in ("answer_aliases", "evidences_id", "answer_id")
        }
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value)


def test_a_question_that_a_benchmark_lacks_has_no_row_there() -> None:
    (yes_no,) = questions(WorldConfig(kinds=("yes_no",)), 1)
    (three,) = questions(WorldConfig(kinds=("bridge",), hops=(3, 3)), 1)
    with pytest.raises(ValueError, match="MuSiQue has no yes_no questions"):
        musique_row(yes_no)
    with pytest.raises(ValueError, match="HotpotQA has no bridge questions of 3 hops"):
        hotpotqa_row(three)
    with pytest.raises(ValueError, match="2WikiMultihopQA has no bridge questions"):
        wiki2_row(three)


def test_rows_keep_seed_size_and_revisions() -> None:
    config = WorldConfig(seed=9, size=20, revisions=1.0)
    made = list(rows("hotpotqa", config, "test"))
    assert [row["_id"] for row in made] == [
        generate(benchmark_config("hotpotqa", config), "test", index).id for index in range(20)
    ]
    assert all(any(LATER.search(title) for title, _ in row["supporting_facts"]) for row in made)


def test_records_hold_the_supporting_sentences_as_evidence(sample: list[WorldQuestion]) -> None:
    for question in sample[:200]:
        record = world_record(question)
        assert record.answers == (question.answer, *question.aliases)
        assert record.type == question.kind
        assert not record.missing
        texts = [record.documents[unit.document].text[unit.start : unit.end] for unit in record.evidence]
        assert texts == supporting_sentences(question)
        assert record.gold == tuple(sorted({unit.document for unit in record.evidence}))


# --- bad input --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": "x"}, "seed='x'"),
        ({"size": 0}, "size=0"),
        ({"size": True}, "size=True"),
        ({"hops": (1, 2)}, r"hops=\(1, 2\)"),
        ({"hops": (4, 2)}, r"hops=\(4, 2\)"),
        ({"hops": 2}, "hops=2"),
        ({"kinds": ()}, r"kinds=\(\)"),
        ({"kinds": "bridge"}, "kinds='bridge'"),
        ({"kinds": ("bridge", "riddle")}, "riddle"),
        ({"num_paragraphs": 3}, "num_paragraphs=3: expected 4 to 40"),
        ({"num_paragraphs": 5, "revisions": 0.1}, "expected 6 to 40"),
        ({"num_paragraphs": 41}, "num_paragraphs=41"),
        ({"revisions": 1.5}, "revisions=1.5"),
        ({"revisions": "no"}, "revisions='no'"),
    ],
)
def test_a_bad_knob_is_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        WorldConfig(**arguments)


def test_a_config_made_from_json_equals_the_one_it_came_from() -> None:
    config = WorldConfig(seed=3, hops=(2, 3), kinds=("bridge",), revisions=1)
    assert WorldConfig(**json.loads(json.dumps(config.__dict__))) == config


@pytest.mark.parametrize(
    ("split", "index", "message"),
    [("dev", 0, "split='dev'"), ("train", -1, "index=-1"), ("train", 1.5, "index=1.5")],
)
def test_a_bad_split_or_index_is_named(split: str, index: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        generate(WorldConfig(), split, index)


def test_an_unknown_benchmark_is_named() -> None:
    with pytest.raises(ValueError, match="benchmark='squad'"):
        next(rows("squad", WorldConfig(), "train"))


def test_the_fixed_numbers_of_hops_hold(sample: list[WorldQuestion]) -> None:
    for question in sample:
        assert question.hops == FIXED_HOPS.get(question.kind, question.hops)
        assert 2 <= question.hops <= 4
