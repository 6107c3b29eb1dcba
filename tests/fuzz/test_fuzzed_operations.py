"""Seeded actions, well-formed and odd, against a plain model of the decision process (docs/process.md).

The model keeps dicts and lists and knows nothing of the package but how it counts and splits tokens.
The quick suite plays a few episodes; ``--faults N`` plays 25 times N.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from rank_bm25 import BM25Plus

from atommem_env import Answer, Create, Delete, MemoryEnv, Read, Update
from atommem_env.core.operations import KINDS, REASONS
from atommem_env.scoring import exact_match
from atommem_env.text import PieceTokenizer, tokens
from small_data import dataset

EPISODES = 25  # for each fault that is asked for

DATA = dataset()
COUNT = PieceTokenizer().count
WORDS = "red blue green hill town river Ada Vale stone 7 of the Straße ﬁre 水 עיר ١٢ e\u0301 \u202e \x00 \x1b[2J".split(
    " "
)
BLANK = ["", " ", "\n\t", "\u3000", "\x1f"]


def draw_text(draw: random.Random) -> str:
    kind = draw.random()
    if kind < 0.08:
        return draw.choice(BLANK)
    if kind < 0.12:
        return "\ud800" * draw.randrange(1, 4) + draw.choice(WORDS)
    if kind < 0.16:
        return draw.choice(WORDS) * draw.choice((40, 400))
    return draw.choice((" ", " ", "\n", "-")).join(draw.choices(WORDS, k=draw.randrange(1, 9)))


class Text(str):
    """A str that is not a plain one."""

    __slots__ = ()

    def __str__(self) -> str:
        raise RuntimeError("no")


class Raising:
    """An object whose number cannot be had."""

    def __index__(self) -> int:
        raise ValueError("no")


def draw_item(draw: random.Random, answers: list[str]) -> tuple[Any, str | None, dict[str, Any] | None]:
    """Return an element of an action, the kind that it is of, and its fields; ``None`` when it is malformed."""
    if draw.random() < 0.06:
        junk = (
            None,
            0,
            "create",
            {},
            [],
            {"op": "fly"},
            {"op": None, "content": "x"},
            {1: 2},
            Raising(),
            b"x",
            1j,
        )
        return draw.choice(junk), None, None
    kind = draw.choice(("create", "create", "create", "read", "update", "update", "delete", "answer"))
    fields: dict[str, Any] = {}
    if kind in ("update", "delete"):
        fields["id"] = draw.choice((0, 1, 2, 3, 4, 5, 6, 8, 12, -1, 10**9, 2**63 - 1))
    if kind in ("create", "update", "answer"):
        right = kind == "answer" and draw.random() < 0.5
        fields["content"] = draw.choice(answers) if right else draw_text(draw)
    if kind == "read":
        fields["query"] = draw_text(draw)
        fields["k"] = draw.choice((None, None, 1, 2, 5, 32))
    exact = dict(fields)
    if draw.random() < 0.2:  # another class of the same value
        for name, value in fields.items():
            other = {str: Text, int: np.int64}.get(type(value), lambda same: same)
            fields[name] = other(value)
    if draw.random() < 0.1:  # a value that is none
        name = draw.choice(sorted(fields))
        fields[name] = draw.choice((True, 1.5, b"x", [], {}, Raising(), 10**5000, object()))
        if draw.random() < 0.5:
            return {"op": kind, **fields}, kind, None
        return (
            {"create": Create, "read": Read, "update": Update, "delete": Delete, "answer": Answer}[kind](
                **fields
            ),
            kind,
            None,
        )
    if draw.random() < 0.05:  # a field too many, or too few
        broken: dict[str, Any] = {"op": kind, **fields}
        if draw.random() < 0.5:
            broken["x"] = 1
        else:
            broken.pop(draw.choice([name for name in fields if name != "k"]))
        return broken, kind, None
    if draw.random() < 0.3:
        return {"op": kind, **fields}, kind, exact
    types: dict[str, Any] = {
        "create": Create, "read": Read, "update": Update, "delete": Delete, "answer": Answer
    }  # fmt: skip
    return types[kind](**fields), kind, exact


# --- the model ----------------------------------------------------------------------------------------


@dataclass
class Memory:
    """What an isolated question starts from."""

    entries: dict[int, str] = field(default_factory=dict)
    scratchpad: str = ""
    next_id: int = 1
    queries: list[tuple[str, int]] = field(default_factory=list)

    def copy(self) -> Memory:
        return replace(self, entries=dict(self.entries), queries=list(self.queries))


class Model:
    """The decision process, as plainly as it can be written."""

    def __init__(self, arguments: dict[str, Any], answers: list[list[str]], chunks: int) -> None:
        self.arguments, self.answers = arguments, answers
        self.positions = [(0, number) for number in range(chunks)]
        self.positions += [(1, number) for number in range(len(answers))]
        self.place, self.looks_left, self.over, self.truncated = 0, arguments["max_looks"], False, False
        self.memory = Memory()
        self.before: Memory | None = None
        self.predictions: list[str | None] = [None] * len(answers)
        self.forfeited = [False] * len(answers)
        self.operations, self.refused = dict.fromkeys(KINDS, 0), dict.fromkeys(REASONS, 0)
        self.steps = self.looks = self.peak = 0
        self.results: list[dict[str, Any]] = []
        self.paid = 0.0

    def allows(self, kind: str) -> bool:
        return self.arguments["storage"] and kind in self.arguments["operations"]

    def long(self, text: str, limit: str) -> bool:
        return self.arguments[limit] is not None and COUNT(text) > self.arguments[limit]

    def step(self, items: list[tuple[str | None, dict[str, Any] | None]]) -> float:
        """Carry out an action; returns the reward."""
        self.read = self.answered = False
        self.results = [self.run(kind, fields) for kind, fields in items]
        self.steps += 1
        self.move({kind for kind, _ in items})
        if not self.over and self.steps == self.arguments["max_steps"]:
            self.truncated = True
            self.end()
        earned = sum(
            exact_match(said, gold)
            for said, gold in zip(self.predictions, self.answers, strict=True)
            if said is not None
        ) / len(self.answers)
        if not (self.over or self.arguments["reward_timing"] == "immediate"):
            return 0.0
        reward, self.paid = earned - self.paid, earned
        return reward

    def run(self, kind: str | None, fields: dict[str, Any] | None) -> dict[str, Any]:
        if kind is not None:
            self.operations[kind] += 1
        id: int | None = None
        evicted: int | None = None
        reason: str | None = None
        memory = self.memory
        given = {
            name: value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            if isinstance(value, str)
            else value
            for name, value in (fields or {}).items()
        }
        content = given.get("content", given.get("query", ""))
        if kind == "create":
            number = memory.next_id
            memory.next_id += 1
        if fields is None:
            reason = "malformed"
        elif kind == "create":
            if not self.allows(kind):
                reason = "disabled"
            elif not content.strip():
                reason = "empty"
            elif self.long(content, "entry_tokens"):
                reason = "too_long"
            elif self.arguments["capacity"] == len(memory.entries) and self.arguments["overflow"] == "refuse":
                reason = "capacity"
            else:
                if self.arguments["capacity"] == len(memory.entries):
                    evicted = min(memory.entries)
                    del memory.entries[evicted]
                memory.entries[number] = content
                id = number
                self.peak = max(self.peak, len(memory.entries))
        elif kind == "read":
            if not self.allows(kind):
                reason = "disabled"
            elif not content.strip():
                reason = "empty"
            elif self.long(content, "query_tokens"):
                reason = "too_long"
            else:
                memory.queries = [
                    *(memory.queries if self.read else []), (content, given["k"] or self.arguments["top_k"])
                ]  # fmt: skip
                self.read = True
        elif kind == "answer":
            reading = self.positions[self.place][0] == 0
            if reading and not self.arguments["early_answer"]:
                reason = "wrong_phase"
            elif self.answered:
                reason = "already_answered"
            elif not content.strip():
                reason = "empty"
            else:
                self.predictions[0 if reading else self.positions[self.place][1]] = content
                self.answered = True
        else:
            id = given["id"]
            scratchpad = id == 0
            if not (self.arguments["scratchpad"] if scratchpad else self.allows(str(kind))):
                reason = "disabled"
            elif kind == "update" and not content.strip():
                reason = "empty"
            elif not scratchpad and id not in memory.entries:
                reason = "unknown_id"
            elif kind == "update" and self.long(
                content, "scratchpad_tokens" if scratchpad else "entry_tokens"
            ):
                reason = "too_long"
            elif scratchpad:
                memory.scratchpad = content
            elif kind == "delete":
                del memory.entries[given["id"]]
            else:
                memory.entries[given["id"]] = content
        if reason is not None:
            self.refused[reason] += 1
        return {"op": kind, "ok": reason is None, "reason": reason, "id": id, "evicted": evicted}

    def move(self, kinds: set[str | None]) -> None:
        phase, cursor = self.positions[self.place]
        if not self.answered and (phase == 1 or kinds == {"read"}):
            self.looks += 1
            if self.looks_left > 0:
                self.looks_left -= 1
                return
            if phase == 1:
                self.forfeited[cursor] = True
        if phase == 1:
            self.leave()
        elif self.answered:
            self.place = next(place for place, at in enumerate(self.positions) if at == (1, 0))
        self.place += 1
        if self.place == len(self.positions):
            self.end()
            return
        self.looks_left = self.arguments["max_looks"]
        if self.positions[self.place][0] == 1 and self.arguments["isolate_questions"]:
            self.results = []
            self.before = self.memory.copy()

    def leave(self) -> None:
        if self.before is not None:
            self.memory, self.before = self.before, None

    def end(self) -> None:
        self.leave()
        self.over, self.looks_left, self.place = True, 0, len(self.positions)
        self.forfeited = [said is None for said in self.predictions]

    def found(self) -> list[tuple[int, int]]:
        """Return the id and the query's number of each entry that is shown."""
        shown: dict[int, int] = {}
        split = {id: tokens(content) for id, content in self.memory.entries.items()}
        split = {id: words for id, words in split.items() if words}
        if not split or self.over:
            return []
        index = BM25Plus(list(split.values()))
        for number, (query, k) in enumerate(self.memory.queries):
            asked = tokens(query)
            scores = dict(zip(split, index.get_scores(asked), strict=True))
            hits = [id for id, words in split.items() if set(words) & set(asked)]
            for id in sorted(hits, key=lambda id: (-round(scores[id], 9), id))[:k]:
                shown.setdefault(id, number)
        return list(shown.items())


# --- the two, side by side ----------------------------------------------------------------------------


def draw_arguments(draw: random.Random) -> dict[str, Any]:
    early = draw.random() < 0.3
    kinds = [kind for kind in KINDS[:4] if draw.random() < 0.9]
    return {
        "capacity": draw.choice((None, 1, 2, 4)),
        "overflow": draw.choice(("refuse", "evict_oldest")),
        "entry_tokens": draw.choice((None, 12, 60)),
        "scratchpad_tokens": draw.choice((None, 8, 1024)),
        "query_tokens": draw.choice((None, 6, 1024)),
        "operations": (*kinds, "answer"),
        "scratchpad": draw.random() < 0.85,
        "storage": draw.random() < 0.9,
        "max_looks": draw.choice((0, 1, 3)),
        "max_steps": draw.choice((None, None, 3, 9)),
        "early_answer": early,
        "questions_shown": "always" if early else draw.choice(("always", "when_asked")),
        "isolate_questions": draw.random() < 0.4,
        "reward_timing": draw.choice(("terminal", "immediate")),
        "top_k": draw.choice((1, 3, 6)),
        "num_questions": draw.choice((1, 2, 3)),
    }


def compare(env: MemoryEnv, model: Model, observation: Any) -> None:
    """Check that the observation, and the metrics so far, are the model's."""
    memory = model.memory
    at = (1, len(model.answers)) if model.over else model.positions[model.place]
    assert (observation["phase"], observation["cursor"]) == at
    assert observation["looks_left"] == model.looks_left
    assert list(observation["results"]) == model.results
    assert observation["scratchpad"] == memory.scratchpad
    assert list(observation["queries"]) == [query for query, _ in memory.queries]
    assert observation["memory_size"] == len(memory.entries)
    assert env.episode is not None
    assert env.episode.store.entries == memory.entries
    hits = observation["retrieved"]
    assert [(hit["id"], hit["query"]) for hit in hits] == model.found()
    assert all(hit["content"] == memory.entries[hit["id"]] for hit in hits)
    metrics = env.metrics()
    assert metrics["operations"] == model.operations
    assert metrics["refused"] == model.refused
    assert (metrics["steps"], metrics["looks"], metrics["memory_peak"]) == (
        model.steps,
        model.looks,
        model.peak,
    )
    assert [question["prediction"] for question in metrics["questions"]] == model.predictions
    assert [question["forfeited"] for question in metrics["questions"]] == model.forfeited


def play(seed: int) -> tuple[int, int]:
    """Play an episode of both; returns the numbers of steps and operations."""
    draw = random.Random(seed)
    arguments = draw_arguments(draw)
    env = MemoryEnv(DATA, num_docs=15, chunk_tokens=80, chunk_overlap=0, **arguments)
    observation, info = env.reset(seed=seed)
    answers = [list(gold["answers"]) for gold in info["gold"]]
    model = Model(arguments, answers, observation["num_chunks"])
    elements = 0
    compare(env, model, observation)
    while not model.over:
        if draw.random() < 0.1:  # a state goes back to what it was
            state = env.get_state()
            env.step([Create("x"), Update(0, "y"), Delete(1), Read("x"), Answer("z")])
            env.set_state(state)
        drawn = [draw_item(draw, answers[0]) for _ in range(draw.choice((0, 1, 1, 2, 5)))]
        if draw.random() < 0.15:
            drawn = [(Read("town"), "read", {"query": "town", "k": None})]
        action = [item for item, _, _ in drawn]
        observation, reward, terminated, truncated, _ = env.step(
            tuple(action) if draw.random() < 0.5 else action
        )
        expected = model.step([(kind, fields) for _, kind, fields in drawn])
        assert reward == pytest.approx(expected, abs=1e-12)
        assert (terminated, truncated) == (model.over and not model.truncated, model.truncated)
        compare(env, model, observation)
        elements += len(action)
    return model.steps, elements


def test_operations_do_what_the_plain_model_does(request: pytest.FixtureRequest) -> None:
    episodes = EPISODES * int(request.config.getoption("--faults"))
    steps = elements = 0
    for seed in range(episodes):
        try:
            played = play(seed)
        except Exception as error:
            raise AssertionError(f"seed {seed}: {type(error).__name__}: {error}") from error
        steps, elements = steps + played[0], elements + played[1]
    print(f"{episodes} episodes, {steps} steps, {elements} operations as the model has them")
    assert elements > episodes
