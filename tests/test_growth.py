"""Work grows with the text and no faster, in everything that takes text from an agent, a model or a file.

Work is counted in plain passes over the same text, made in the same moment, and never in seconds: a function that
is linear takes as many of them for a text eight times as long, a quadratic one takes eight times as many.
A new function joins by being listed, with the texts that are hardest for it.
"""

from __future__ import annotations

import functools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from atommem_env.baselines.engines.answers import short_answer
from atommem_env.baselines.engines.rules.rules import RulesEngine
from atommem_env.baselines.engines.world import WorldEngine
from atommem_env.core import safe_text
from atommem_env.core.operations import Create, from_json
from atommem_env.core.render import render_text
from atommem_env.core.words import bare_title, content_stems
from atommem_env.data.custom import parse_row
from atommem_env.data.dates import iso_date
from atommem_env.data.reading import read_rows
from atommem_env.data.world.asked import senses
from atommem_env.data.world.chat_reading import ChatFacts, said
from atommem_env.data.world.statements import stated
from atommem_env.evidence import holds
from atommem_env.llm.endpoint import says_too_long
from atommem_env.llm.json_reply import read_list, read_object
from atommem_env.llm.secrets import mask
from atommem_env.protocols import JSONProtocol, ReleasedProtocol, XMLProtocol
from atommem_env.protocols.thinking import split_thinking
from atommem_env.retrieval import BM25
from atommem_env.runs.arguments import parse_argument, parse_env
from atommem_env.scoring import abstained, cover_em, exact_match, f1, substring_score
from atommem_env.tasks.documents import DocumentStitcher, escape, overlap, split_documents, unescape
from atommem_env.tasks.turns import read_turns, seem_turns
from atommem_env.text import PieceTokenizer, clean, sentence_spans, sentences, tokens, word_spans

SHORT = 4_200  # characters; the tokens of shorter texts are remembered
GROWTH = 8
MOST = 5.0  # times as many passes, where a quadratic function needs eight times as many

TEXTS: dict[str, Callable[[int], str]] = {
    "words": lambda n: "the river runs to the sea " * (n // 26),
    "dots": lambda n: "." * n + "x",
    "full stops": lambda n: "。" * n + "x",
    "quotes behind a stop": lambda n: "." + "'" * n + "x",
    "spaces": lambda n: " " * n + "x",
    "line breaks": lambda n: "\n" * n + "x",
    "one word": lambda n: "x" * n,
    "digits": lambda n: "7" * n,
    "marks on one letter": lambda n: "a" + "\u0301\u0323" * (n // 2),
    "brackets": lambda n: "(" * (n // 2) + ")" * (n // 2) + "x",
    "quoted brackets": lambda n: '["' + '\\"' * (n // 2),
    "braces": lambda n: "{" * n,
    "headers": lambda n: "Document 1:\n" * (n // 12),
    "tags": lambda n: "<create_memory>" * (n // 15),
    "keys": lambda n: '{"a":' * (n // 5),
    "objects that are none": lambda n: "[" + '{"a" 1},' * (n // 8),
    "quotes": lambda n: '{"a": "' + '" ' * (n // 2),
    "functions": lambda n: "<function=create><parameter=content>" * (n // 36),
    "calls": lambda n: 'create("' * (n // 8),
    "assignments": lambda n: 'create content="\\' * (n // 18),
    "lines of assignments": lambda n: "create content='x\n" * (n // 18),
    "thoughts": lambda n: "[THINK]" * (n // 7),
    "ends of thoughts": lambda n: "</think>" * (n // 8),
    "boxes": lambda n: "\\boxed{" * (n // 7),
    "labels": lambda n: "Answer:\n" * (n // 8),
    "surrogates": lambda n: "\ud800" * n,
}


def stitch(text: str) -> object:
    stitcher = DocumentStitcher()
    return stitcher.feed(text, False), stitcher.feed(text + "y", True)


def tried(function: Callable[[str], object]) -> Callable[[str], object]:
    """Return a function that may refuse its text."""

    def try_it(text: str) -> object:
        try:
            return function(text)
        except ValueError:
            return None

    return try_it


def index(text: str) -> object:
    """Do all that a store's index does with a text."""
    made = BM25()
    made.add(1, text)
    made.replace(1, text + " x")
    found = made.search(text, 3)
    made.remove(1)
    return found


def row(text: str) -> object:
    """Read a row of questions whose every text is this one."""
    document = {"title": text, "text": text}
    return parse_row(
        {"id": "a", "question": text, "answers": [text], "documents": [document], "supporting": []}
    )


def history(text: str) -> object:
    """Read a history whose every text is this one."""
    sessions = [{"date": "2024-01-01", "turns": [{"speaker": "a", "text": text, "id": "x"}]}]
    return parse_row({"id": "a", "sessions": sessions, "questions": [{"question": text, "answers": [text]}]})


def file(text: str, name: str) -> object:
    """Read a file of rows that says this and no more."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(text.encode(errors="replace"))
        return list(read_rows(path))


def shown(text: str) -> dict[str, Any]:
    """Return an observation whose every text is this one."""
    hit = {"id": 1, "content": text, "score": 1.0, "query": 0}
    return {
        "phase": 0, "questions": (text,), "chunk": text, "scratchpad": text, "queries": (text,), "retrieved": (hit,),
        "results": (), "cursor": 0, "num_chunks": 1, "num_questions": 1, "now": "", "memory_size": 1, "capacity": 0,
        "looks_left": 3,
    }  # fmt: skip


RULES, WORLD = RulesEngine(), WorldEngine()
ASKED = "On which river lies the town where Ada Vale was born?"
UNIT = "She was born in 1931 in Paris with a silver spoon."

FUNCTIONS: dict[str, Callable[[str], object]] = {
    "tokens": tokens,
    "sentences": sentences,
    "clean": clean,
    "count": PieceTokenizer().count,
    "starts": PieceTokenizer().starts,
    "bare_title": bare_title,
    "content_stems": content_stems,
    "split_documents": split_documents,
    "stitch": stitch,
    "short_answer": short_answer,
    "split_thinking": split_thinking,
    "read_object": lambda text: read_object(text, "answer"),
    "read_list": lambda text: read_list(text, "facts"),
    "calls": JSONProtocol().parse,
    "tags": XMLProtocol().parse,
    "released": ReleasedProtocol().parse,
    "operations of JSON": tried(from_json),
    "operations in tags": tried(lambda text: XMLProtocol().render_operations([Create(text)])),
    "operations in calls": tried(lambda text: JSONProtocol().render_operations([Create(text)])),
    "prompt": lambda text: XMLProtocol().render_prompt(shown(text)),
    "render": lambda text: render_text(shown(text), {1: text}, width=80),
    **{
        name: getattr(safe_text, name)
        for name in ("terminal", "one_line", "markup", "plot", "markdown", "csv", "html", "latex", "width")
    },
    "cut": lambda text: safe_text.cut(text, 80),
    "sentence_spans": sentence_spans,
    "word_spans": word_spans,
    "iso_date": iso_date,
    "escape": escape,
    "unescape": unescape,
    "overlap": lambda text: overlap(text, text + "x"),
    "turns": read_turns,
    "seem turns": seem_turns,
    "index": index,
    "row": tried(row),
    "history": tried(history),
    "file of JSON": tried(lambda text: file(text, "rows.json")),
    "file of lines": tried(lambda text: file(text, "rows.jsonl")),
    "env": tried(parse_env),
    "argument": tried(lambda text: parse_argument("--arg", f"a={text}", "a=1")),
    "exact match": lambda text: exact_match(text, [text]),
    "f1": lambda text: f1(text, [text + " y"]),
    "cover_em": lambda text: cover_em(text, ["x", text]),
    "substring": lambda text: substring_score(text, ["x", text]),
    "abstained": lambda text: abstained(text, "longmemeval"),
    "held in a text": lambda text: holds(text, UNIT, "Ada Vale"),
    "held in parts": lambda text: holds(
        text + "born in 1931 in Lyon. Paris " * (len(text) // 28), UNIT, "Ada Vale"
    ),
    "unit": lambda text: holds(UNIT, text, "Ada Vale"),
    "title": lambda text: holds(UNIT, UNIT, text),
    "mask": mask,
    "says too long": lambda text: says_too_long(400, text),
    "world's statements": lambda text: list(stated(text)),
    "world's questions": lambda text: list(senses(text)),
    "world's chat": said,
    "chat": lambda text: ChatFacts([text]).answer(text),
    "world": lambda text: WORLD.answer(ASKED, [text]),
    "world, asked": lambda text: WORLD.answer(text, [UNIT]),
    "rules": lambda text: RULES.answer(ASKED, [text]),
    "rules, asked": lambda text: RULES.answer(text, [UNIT]),
    "compress": lambda text: RULES.compress([ASKED], text, text, 100),
    "facts": lambda text: RULES.extract_facts([ASKED], text),
    "edits": lambda text: RULES.decide_edits([text], [text]),
    "note": RULES.describe_note,
    "evolve": lambda text: RULES.evolve(text, [text]),
    "keywords": RULES.keyword_query,
    "summary": lambda text: RULES.summarize(text, 30),
    "core": lambda text: RULES.manage_core([ASKED], text, text, 30),
    "importance": RULES.rate_importance,
    "focal questions": lambda text: RULES.focal_questions([text], 3),
    "insights": lambda text: RULES.insights(ASKED, [text], 3),
}

HARDEST = 4  # texts that are grown for each function: those over which it takes longest; with --faults all


@functools.cache
def made(hard: str, length: int) -> str:
    return TEXTS[hard](length)


def passes(function: Callable[[str], object], text: str, tries: int) -> float:
    """Return how many plain passes over ``text`` take as long as ``function`` of it: the least of some tries."""
    spent = min(_time(function, text) for _ in range(tries))
    return spent / min(_time(list, text) for _ in range(tries + 7))


def _time(function: Callable[[str], object], text: str) -> float:
    start = time.thread_time_ns()
    function(text)
    return max(time.thread_time_ns() - start, 1)


def growth(function: Callable[[str], object], texts: int) -> list[str]:
    """Return where the work of a function grows faster than the text, in words."""
    function("Ada Vale was born.")  # what is made with the first call is not work over a text
    first = {hard: passes(function, made(hard, SHORT), 1) for hard in TEXTS}
    return [
        said
        for hard in sorted(TEXTS, key=lambda hard: -first[hard])[:texts]
        if (said := _growth(function, hard))
    ]


def _growth(function: Callable[[str], object], hard: str) -> str:
    for tries in (1, 3, 7, 15):  # a machine that is busy with other work may disturb a try, not all
        less, more = (passes(function, made(hard, n), tries) for n in (SHORT, GROWTH * SHORT))
        if more <= MOST * max(less, 1.0):
            return ""
    return f"{hard}: {less:.1f} passes over a text, {more:.1f} over one {GROWTH} times as long"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_work_grows_with_the_text_and_no_faster(request: pytest.FixtureRequest, name: str) -> None:
    every = request.config.getoption("--faults") > 3
    assert not growth(FUNCTIONS[name], len(TEXTS) if every else HARDEST)


@pytest.mark.heavy
def test_work_that_grows_faster_is_found() -> None:
    def steep(text: str) -> int:
        places = range(0, len(text) if text.startswith("....") else 1, 40)
        return sum(sum(places) for _ in range(len(places) // 100 + 1) for _ in places)

    (found,) = growth(steep, HARDEST)
    assert found.startswith("dots: ")
