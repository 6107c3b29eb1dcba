"""Each workflow's sequence of operations, on observations written by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from atommem_env.baselines import make_policy
from atommem_env.core.operations import REASONS, SCRATCHPAD, Answer, Create, Read, Update
from atommem_env.core.rules import DEFAULT_RULES
from atommem_env.registration import POLICIES
from atommem_env.text import PieceTokenizer
from scripted import named

INFO: dict[str, Any] = {"task_id": "t0", "gold": []}
CHUNKS = (
    "Document 1:\nMill\nThe mill was built by Jo Falk.\n\nDocument 2:\nFalk\nJo Falk was",
    " born in Duluth.\n\nDocument 3:\nTea\nTea is a drink.",
)
QUESTIONS = ("Who built the mill?", "Where was Jo Falk born?")


class Spy:
    """An engine that notes what it was shown."""

    name = "spy"

    def __init__(self) -> None:
        self.shown: list[tuple[str, tuple[str, ...]]] = []
        self.budgets: list[int] = []

    def answer(self, question: str, passages: Sequence[str]) -> str:
        self.shown.append((question, tuple(passages)))
        return f"answer {len(self.shown)}"

    def compress(self, questions: Sequence[str], memory: str, chunk: str, budget_tokens: int) -> str:
        self.budgets.append(budget_tokens)
        return f"{memory}+{len(chunk)}"


def observe(phase: int, cursor: int, **changes: Any) -> dict[str, Any]:
    """Return an observation; ``changes`` replace its defaults."""
    observation: dict[str, Any] = {
        "phase": phase,
        "questions": QUESTIONS if phase == 0 else (QUESTIONS[cursor],),
        "chunk": CHUNKS[cursor] if phase == 0 else "",
        "scratchpad": "",
        "queries": (),
        "retrieved": (),
        "results": (),
        "cursor": cursor,
        "num_chunks": len(CHUNKS),
        "num_questions": len(QUESTIONS),
        "memory_size": 0,
        "capacity": 0,
        "looks_left": 3,
    }
    return {**observation, **changes}


def entry(id: int, content: str) -> dict[str, Any]:
    return {"id": id, "content": content, "score": 1.0, "query": 0}


def read_both_chunks(policy: Any, info: dict[str, Any] = INFO) -> list[list[Any]]:
    policy.reset(observe(0, 0), info)
    return [policy.act(observe(0, 0), info), policy.act(observe(0, 1), info)]


def test_closed_book_reads_nothing_and_answers_without_a_look() -> None:
    spy = Spy()
    policy = make_policy("closed-book", engine=spy)
    assert read_both_chunks(policy) == [[], []]
    shown = observe(1, 0, retrieved=(entry(1, "leak"),), scratchpad="leak")
    assert policy.act(shown, INFO) == [Answer("answer 1")]
    assert spy.shown == [(QUESTIONS[0], ())]


@pytest.mark.parametrize("name", ["write-nothing", "write-everything", "rag", "oracle"])
def test_a_question_gets_a_look_of_its_own_and_then_an_answer(name: str) -> None:
    spy = Spy()
    policy = make_policy(name, engine=spy)
    read_both_chunks(policy)
    stale = (entry(9, "found by the last question's query"),)
    assert policy.act(observe(1, 0, retrieved=stale), INFO) == [Read(QUESTIONS[0])]
    found = (entry(2, "b"), entry(1, "a"))
    assert policy.act(observe(1, 0, retrieved=found, looks_left=2), INFO) == [Answer("answer 1")]
    assert policy.act(observe(1, 1, retrieved=found), INFO) == [Read(QUESTIONS[1])]
    assert policy.act(observe(1, 1, looks_left=2), INFO) == [Answer("answer 2")]
    assert spy.shown == [(QUESTIONS[0], ("b", "a")), (QUESTIONS[1], ())]


def test_what_is_unknown_is_said_in_the_words_of_the_task() -> None:
    policy = make_policy("rag", engine="world")
    for abstain, answer in (("not mentioned", "not mentioned"), ("", "unknown")):
        policy.reset(observe(0, 0), {**INFO, "rules": replace(DEFAULT_RULES, abstain=abstain)})
        assert policy.act(observe(1, 0, looks_left=0), INFO) == [Answer(answer)]


def test_without_a_look_left_it_answers_at_once() -> None:
    policy = make_policy("rag", engine=Spy())
    read_both_chunks(policy)
    assert policy.act(observe(1, 0, looks_left=0), INFO) == [Answer("answer 1")]


def test_a_refused_answer_is_given_again_without_another_look() -> None:
    policy = make_policy("rag", engine=Spy())
    read_both_chunks(policy)
    policy.act(observe(1, 0), INFO)
    policy.act(observe(1, 0, looks_left=2), INFO)
    refused = ({"op": "answer", "ok": False, "reason": "too_long", "id": None, "evicted": None},)
    assert policy.act(observe(1, 0, looks_left=1, results=refused), INFO) == [Answer("answer 2")]


def test_a_new_episode_looks_again_at_its_first_question() -> None:
    policy = make_policy("write-nothing", engine=Spy())
    for _ in range(2):
        read_both_chunks(policy)
        assert policy.act(observe(1, 0), INFO) == [Read(QUESTIONS[0])]


def test_write_everything_stores_the_chunks_as_they_are() -> None:
    assert read_both_chunks(make_policy("write-everything")) == [[Create(CHUNKS[0])], [Create(CHUNKS[1])]]


def test_write_nothing_writes_nothing() -> None:
    assert read_both_chunks(make_policy("write-nothing")) == [[], []]


def test_rag_stores_each_document_once_it_is_complete() -> None:
    policy = make_policy("rag")
    expected = [
        [Create("Mill\nThe mill was built by Jo Falk.")],
        [Create("Falk\nJo Falk was born in Duluth."), Create("Tea\nTea is a drink.")],
    ]
    assert read_both_chunks(policy) == expected
    assert read_both_chunks(policy) == expected  # nothing of the last episode is left


def test_oracle_stores_each_gold_paragraph_once_where_its_evidence_ends() -> None:
    falk = {
        "title": "Falk",
        "text": "Jo Falk was born in Duluth.",
        "sentence": "Jo Falk was",
        "chunks": [0, 1],
    }
    mill = {"title": "Mill", "text": "The mill.", "sentence": "The mill.", "chunks": [0]}
    gold = [
        {"answers": ["never stored"], "evidence": [mill, {**falk, "chunks": [0]}]},
        {"answers": ["never stored"], "evidence": [falk]},
        {"answers": ["never stored"], "evidence": None},
    ]
    actions = read_both_chunks(make_policy("oracle"), {"task_id": "t0", "gold": gold})
    assert actions == [[Create("Mill\nThe mill.")], [Create("Falk\nJo Falk was born in Duluth.")]]


def test_oracle_looks_for_what_the_question_and_what_is_shown_lead_to() -> None:
    texts = {"Ilva": "Ilva met Oda.", "Oda (1990)": "Oda left Ulm.", "Ulm": "Ulm is far."}
    evidence = [
        {"title": title, "text": text, "sentence": text, "chunks": [0]} for title, text in texts.items()
    ]
    policy = make_policy("oracle", engine=Spy())
    read_both_chunks(policy, {"task_id": "t0", "gold": [{"answers": ["far"], "evidence": evidence}]})

    def act(*titles: str, looks_left: int, number: int = 0) -> Any:
        shown = tuple(entry(1, f"{title}\n{texts[title]}") for title in titles)
        return policy.act(observe(1, number, retrieved=shown, looks_left=looks_left), INFO)

    question = Read(QUESTIONS[0])
    assert act(looks_left=3) == [question]
    assert act("Ilva", looks_left=2) == [question, Read("Oda (1990)", 3)]
    assert act("Ilva", "Oda (1990)", looks_left=1) == [question, Read("Oda (1990)", 3), Read("Ulm", 3)]
    assert act("Ilva", "Oda (1990)", "Ulm", looks_left=1) == [Answer("answer 1")]

    question = Read(QUESTIONS[1])  # the queries before it still show an entry when it is first asked
    assert act("Oda (1990)", looks_left=3, number=1) == [question]
    assert act("Ilva", looks_left=2, number=1) == [question, Read("Oda (1990)", 3), Read("Ulm", 3)]


def test_memagent_rewrites_the_scratchpad_and_answers_from_it_alone() -> None:
    spy = Spy()
    policy = make_policy("memagent", engine=spy)
    policy.reset(observe(0, 0), INFO)
    assert policy.act(observe(0, 0, scratchpad="old"), INFO) == [Update(SCRATCHPAD, f"old+{len(CHUNKS[0])}")]
    answering = observe(1, 0, scratchpad="A\none\n\nB\ntwo", retrieved=(entry(1, "not its own"),))
    assert policy.act(answering, INFO) == [Answer("answer 1")]
    assert spy.shown == [(QUESTIONS[0], ("A\none", "B\ntwo"))]
    assert spy.budgets == [1024]


def test_memagent_shrinks_its_budget_when_a_memory_was_too_long() -> None:
    spy = Spy()
    policy = make_policy("memagent", engine=spy, budget_tokens=100)
    refused = ({"op": "update", "ok": False, "reason": "too_long", "id": 0, "evicted": None},)
    policy.reset(observe(0, 0), INFO)
    policy.act(observe(0, 0), INFO)
    policy.act(observe(0, 1, results=refused), INFO)
    policy.reset(observe(0, 0), INFO)
    policy.act(observe(0, 0), INFO)
    assert spy.budgets == [100, 75, 100]


def test_memagent_with_rules_stays_within_its_budget() -> None:
    policy = make_policy("memagent", budget_tokens=9)
    policy.reset(observe(0, 0), INFO)
    (update,) = policy.act(observe(0, 0), INFO)
    assert isinstance(update, Update)
    assert 0 < PieceTokenizer().count(update.content) <= 9


def test_memagent_leaves_the_memory_when_nothing_is_worth_keeping() -> None:
    policy = make_policy("memagent")
    policy.reset(observe(0, 0), INFO)
    assert policy.act(observe(0, 0, questions=("Zanzibar?",)), INFO) == []


def test_random_depends_on_its_seed_and_the_task_alone() -> None:
    def run(seed: int, task_id: str, before: int = 0) -> list[Any]:
        policy = make_policy("random", seed=seed)
        for _ in range(before):
            read_both_chunks(policy)
        info = {"task_id": task_id, "gold": []}
        return [read_both_chunks(policy, info), [policy.act(observe(1, 0), info) for _ in range(8)]]

    assert run(0, "a") == run(0, "a", before=3)
    assert run(0, "a") != run(1, "a")
    assert run(0, "a") != run(0, "b")


def test_random_names_no_id_that_was_gone_before_the_action() -> None:
    policy = make_policy("random", seed=3)
    policy.reset(observe(0, 0), INFO)
    results: list[dict[str, Any]] = []
    alive: set[int] = set()
    created = 0
    named = 0
    for _ in range(300):
        action: Any = policy.act(observe(0, 0, results=tuple(results)), INFO)
        results, known = [], {SCRATCHPAD, *alive}
        for operation in action:
            result = {"op": operation.op, "ok": True, "reason": None, "id": None, "evicted": None}
            if operation.op == "create":
                created += 1
                result["id"] = created
                alive.add(created)
                if len(alive) > 4:
                    result["evicted"] = min(alive)
                    alive.remove(min(alive))
            elif operation.op in ("update", "delete"):
                assert operation.id in known
                named += operation.id != SCRATCHPAD
                result["id"] = operation.id
                if operation.op == "delete":
                    alive.discard(operation.id)
            results.append(result)
    assert named > 50


def test_each_says_its_name_and_engine_and_whether_it_keeps_a_buffer() -> None:
    for name in POLICIES:
        policy: Any = named(name)
        assert policy.name == name
        assert policy.uses_buffer is (name in ("full-context", "memgpt"))
        assert policy.engine_name == {"random": None, "atommem": "scripted"}.get(name, "rules")


def test_every_reason_for_a_refusal_is_survived() -> None:
    for name in POLICIES:
        policy = named(name)
        policy.reset(observe(0, 0), INFO)
        for reason in REASONS:
            refused = ({"op": None, "ok": False, "reason": reason, "id": None, "evicted": None},)
            assert isinstance(policy.act(observe(0, 1, results=refused), INFO), list)
            assert policy.act(observe(1, 0, results=refused), INFO)
