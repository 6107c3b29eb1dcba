"""What an agent that reads prompts is told."""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path
from typing import Any

import pytest

from atommem_env.core.operations import KINDS, REASONS
from atommem_env.core.rules import Rules
from atommem_env.protocols import (
    PROTOCOLS,
    JSONProtocol,
    Malformed,
    ReleasedProtocol,
    XMLProtocol,
    get_protocol,
)
from atommem_env.protocols.rendering import STANDING, TURN

READING: dict[str, Any] = {
    "phase": 0,
    "questions": ("Who designed the Harbour Bridge?", "Is Vantor older than Orra?"),
    "chunk": "Document 1:\nVantor\nVantor lies on the Sill; a fare costs $2.\n\nDocument 2:\nOrra\nOrra is a town.",
    "scratchpad": "Bridge: still open.",
    "queries": ("Harbour Bridge", "Vantor age"),
    "retrieved": (
        {"id": 7, "content": "The bridge dates from 1931.", "score": 1.5, "query": 0},
        {"id": 2, "content": "Vantor had a mint.", "score": 0.5, "query": 1},
    ),
    "results": (),
    "cursor": 2,
    "num_chunks": 9,
    "num_questions": 2,
    "memory_size": 8,
    "capacity": 20,
    "looks_left": 3,
}
ANSWERING = {**READING, "phase": 1, "chunk": "", "questions": ("Is Vantor older than Orra?",), "cursor": 1}
OVER = {**ANSWERING, "questions": (), "queries": (), "retrieved": (), "cursor": 2, "looks_left": 0}
NAMES = sorted(PROTOCOLS)


def prompt(name: str, observation: dict[str, Any], *, history: bool = False, **rules: Any) -> str:
    messages = get_protocol(name).render_prompt(observation, Rules(**rules), history=history)
    assert messages[-1]["role"] == "user"
    return "\n\n".join(message["content"] for message in messages)


@pytest.mark.parametrize("name", NAMES)
def test_prompt_and_delta_hold_every_fact_of_a_reading_observation(name: str) -> None:
    for text in (prompt(name, READING), get_protocol(name).render_delta(READING)):
        for fact in (*READING["questions"], READING["chunk"], READING["scratchpad"], *READING["queries"]):
            assert fact in text
        for hit in READING["retrieved"]:
            assert hit["content"] in text
        assert "reading, chunk 3 of 9" in text
        assert "8 of at most 20" in text
        assert "Looks left here: 3." in text


@pytest.mark.parametrize("name", NAMES)
def test_while_answering_one_question_and_no_text_is_shown(name: str) -> None:
    for text in (prompt(name, ANSWERING), get_protocol(name).render_delta(ANSWERING)):
        assert "answering, question 2 of 2" in text
        assert "2. Is Vantor older than Orra?" in text
        assert "Text of this chunk" not in text


@pytest.mark.parametrize("name", NAMES)
def test_the_last_observation_can_be_shown_too(name: str) -> None:
    for text in (prompt(name, OVER), get_protocol(name).render_delta(OVER)):
        assert "the episode is over" in text
        assert "Looks left" not in text


def test_entries_are_known_by_id_or_by_rank() -> None:
    for name in ("atommem", "json"):
        assert "[id: 7] The bridge dates from 1931." in prompt(name, READING)
    text = prompt("released", READING)
    assert "Memory 1: The bridge dates from 1931.\nMemory 2: Vantor had a mint." in text
    assert "[id:" not in text


@pytest.mark.parametrize("name", NAMES)
def test_a_delta_has_no_standing_instructions_and_is_the_shorter_by_them(name: str) -> None:
    delta = get_protocol(name).render_delta(READING)
    whole = prompt(name, READING)
    assert whole.endswith(delta)
    assert "# Operations" in whole
    assert "# Operations" not in delta


def test_a_delta_repeats_no_chunk_that_its_position_has_shown() -> None:
    protocol = XMLProtocol()
    first = protocol.render_delta({**READING, "looks_left": 3}, Rules(max_looks=3))
    again = protocol.render_delta({**READING, "looks_left": 2}, Rules(max_looks=3))
    assert READING["chunk"] in first
    assert READING["chunk"] not in again
    assert "The chunk is the same as before." in again


@pytest.mark.parametrize("name", NAMES)
def test_every_result_is_told_in_words(name: str) -> None:
    done = [{"op": kind, "ok": True, "reason": None, "id": None, "evicted": None} for kind in KINDS]
    done[0].update(id=9, evicted=4)
    done[2].update(id=3)
    done[3].update(id=0)
    refused = [{"op": None, "ok": False, "reason": "malformed", "id": None, "evicted": None}]
    refused += [
        {"op": "update", "ok": False, "reason": reason, "id": 5, "evicted": None} for reason in REASONS
    ]
    text = get_protocol(name).render_delta({**READING, "results": (*done, *refused)})
    lines = [line for line in text.splitlines() if line.split(".")[0].isdigit() and ": " in line]
    assert sum("refused" in line for line in lines) == len(refused)
    assert "pushed out" in text
    assert "cleared" in text
    assert len({line.partition("refused")[2] for line in lines if "refused" in line}) == len(REASONS)


def test_results_call_operations_by_the_names_that_the_agent_uses() -> None:
    results = ({"op": "create", "ok": True, "reason": None, "id": 9, "evicted": None},)
    observation = {**READING, "results": results}
    assert "1. create_memory: stored as entry 9." in XMLProtocol().render_delta(observation)
    assert "1. add_memory: stored." in ReleasedProtocol().render_delta(observation)
    assert "1. create: stored as entry 9." in JSONProtocol().render_delta(observation)


def test_what_was_not_understood_is_told() -> None:
    malformed = (Malformed("<create_memory>", "it is not closed"),)
    text = XMLProtocol().render_delta(READING, malformed=malformed)
    assert "1. Not understood, and left out: <create_memory> (it is not closed)." in text


class TestRules:
    def test_the_defaults_are_those_of_the_environment(self) -> None:
        from atommem_env.env import MemoryEnv

        parameters = inspect.signature(MemoryEnv.__init__).parameters
        for field in dataclasses.fields(Rules):
            if field.name in parameters:
                assert parameters[field.name].default == field.default, field.name

    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.parametrize("kind", ["create", "read", "update", "delete"])
    def test_only_enabled_operations_are_explained(self, name: str, kind: str) -> None:
        protocol = get_protocol(name)
        with_it = prompt(name, READING, scratchpad=False)
        without = prompt(name, READING, scratchpad=False, operations=[k for k in KINDS if k != kind])
        form = {"json": f'{{"op": "{kind}"'}.get(name, f"<{protocol.labels()[kind]}>")  # type: ignore[attr-defined]
        assert form in with_it
        assert form not in without

    def test_without_reads_nothing_is_said_of_searching(self) -> None:
        text = prompt("atommem", {**READING, "queries": (), "retrieved": ()}, operations=("create", "answer"))
        assert "Standing queries" not in text
        assert "Entries found" not in text
        assert "every reply moves on to the next chunk" in text
        assert "Looks left" not in text

    def test_without_a_scratchpad_none_is_shown(self) -> None:
        assert "cratchpad" not in prompt("atommem", READING, scratchpad=False)

    def test_without_storage_only_the_scratchpad_is_left(self) -> None:
        text = prompt("atommem", {**READING, "queries": (), "retrieved": ()}, storage=False)
        assert "<scratchpad>" in text
        assert "<create_memory>" not in text
        assert "There is no store of entries." in text

    def test_without_any_memory_the_prompt_says_so(self) -> None:
        assert "You have no memory in this task" in prompt(
            "atommem", READING, storage=False, scratchpad=False
        )

    @pytest.mark.parametrize(
        ("rules", "phrase"),
        [
            ({"top_k": 11}, "at most 11 entries"),
            ({"entry_tokens": 256}, "An entry has at most 256 tokens"),
            ({"scratchpad_tokens": 77}, "The scratchpad has at most 77 tokens"),
            ({"overflow": "evict_oldest"}, "pushes the oldest one out"),
            ({}, "a new entry is refused until you make room"),
            ({"max_looks": 5}, "allows 5 looks"),
            ({"early_answer": True}, "ends the reading for good"),
            ({}, "Every message stands by itself"),
            ({"history": True}, "Earlier messages may be cut"),
        ],
    )
    def test_every_rule_is_told(self, rules: dict[str, Any], phrase: str) -> None:
        assert phrase in prompt("atommem", READING, **rules)
        if rules:
            assert phrase not in prompt("atommem", READING)

    def test_without_a_capacity_there_is_no_limit(self) -> None:
        text = prompt("atommem", {**READING, "capacity": 0})
        assert "Their number is not limited" in text
        assert "at most 0" not in text

    def test_a_last_chance_is_told(self) -> None:
        assert "whatever it says" in prompt("atommem", {**READING, "looks_left": 0})
        assert "gives this question up" in prompt("atommem", {**ANSWERING, "looks_left": 0})


class TestTemplates:
    def test_a_text_replaces_the_prompt(self) -> None:
        protocol = XMLProtocol(template="It costs $$1.\n\n$turn")
        text = protocol.render_prompt(READING)[0]["content"]
        assert text.startswith("It costs $1.\n\n# Now: reading")

    def test_a_file_replaces_the_prompt(self, tmp_path: Path) -> None:
        path = tmp_path / "mine.txt"
        path.write_text("Données: $turn", encoding="utf-8")
        for template in (path, str(path)):
            assert XMLProtocol(template=template).render_prompt(READING)[0]["content"].startswith("Données:")

    def test_every_placeholder_can_stand_by_itself(self) -> None:
        template = "\n\n".join(f"<{name}> ${name}" for name in (*STANDING, *TURN))
        text = XMLProtocol(template=template).render_prompt(READING)[0]["content"]
        assert all(f"<{name}>" in text for name in (*STANDING, *TURN))

    def test_a_paragraph_with_nothing_to_say_is_left_out(self) -> None:
        protocol = XMLProtocol(delta_template="$turn\n\nSee also:\n${chunk}\n\nEnd")
        assert "See also" in protocol.render_delta(READING)
        assert "See also" not in protocol.render_delta(ANSWERING)
        assert protocol.render_delta(ANSWERING).endswith("\n\nEnd")

    def test_dollars_in_what_is_shown_are_left_alone(self) -> None:
        observation = {**READING, "scratchpad": "$chunk and $$ and ${x}"}
        assert "$chunk and $$ and ${x}" in prompt("atommem", observation)

    @pytest.mark.parametrize(
        ("template", "message"),
        [
            ("$turn $chunks", r"unknown placeholder \$chunks; there are .*\$chunk"),
            ("$chunk", r"placeholder \$looks is missing"),
            ("$turn\ncosts $ 5", r"line 2: a \$ that begins no placeholder"),
            ("no_such_file.txt", "expected the path of a text file"),
        ],
    )
    def test_a_template_that_cannot_work_is_refused(self, template: str, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            XMLProtocol(template=template)
        with pytest.raises(ValueError, match=message):
            XMLProtocol(delta_template=template)

    def test_a_delta_knows_no_standing_instructions(self) -> None:
        with pytest.raises(ValueError, match=r"unknown placeholder \$reply"):
            XMLProtocol(delta_template="$reply $turn")

    def test_the_standing_instructions_can_be_a_message_of_the_system(self) -> None:
        one = XMLProtocol().render_prompt(READING)
        two = XMLProtocol(system=True).render_prompt(READING)
        assert [message["role"] for message in one] == ["user"]
        assert [message["role"] for message in two] == ["system", "user"]
        assert "\n\n".join(message["content"] for message in two) == one[0]["content"]
        assert [m["role"] for m in ReleasedProtocol().render_prompt(READING)] == ["system", "user"]
        assert [m["role"] for m in ReleasedProtocol(system=False).render_prompt(READING)] == ["user"]

    def test_a_template_that_cannot_be_split_is_refused_only_when_asked_to(self) -> None:
        with pytest.raises(ValueError, match=r"\$turn must come last"):
            XMLProtocol(template="$turn\n\n$reply", system=True)
        assert [m["role"] for m in ReleasedProtocol(template="$turn\n\n$reply").render_prompt(READING)] == [
            "user"
        ]


def test_rendering_changes_nothing_and_takes_lists_for_tuples() -> None:
    listed = {key: list(value) if isinstance(value, tuple) else value for key, value in READING.items()}
    before = repr(listed)
    assert XMLProtocol().render_prompt(listed) == XMLProtocol().render_prompt(READING)
    assert repr(listed) == before
