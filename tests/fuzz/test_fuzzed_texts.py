"""Seeded texts, as agents, models and files might write them, through everything that reads one.

A text is grown from what a protocol, a model or a benchmark writes, and then spoiled. No reader raises; what it
returns is of its form. The quick suite reads some hundred texts; ``--faults N`` reads 40 N, with an engine 10 N.
"""

from __future__ import annotations

import contextlib
import random
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from atommem_env import Answer, Create, Delete, Read, TextProtocol, Update
from atommem_env.baselines.engines.answers import short_answer
from atommem_env.baselines.engines.rules.rules import RulesEngine
from atommem_env.baselines.engines.world import WorldEngine
from atommem_env.core import safe_text
from atommem_env.core.operations import from_json, parse
from atommem_env.core.render import render_text
from atommem_env.data.dates import iso_date
from atommem_env.evidence import holds
from atommem_env.llm.json_reply import integer, read_list, read_object, strings, texts
from atommem_env.protocols import PROTOCOLS
from atommem_env.protocols.thinking import split_thinking
from atommem_env.scoring import abstained, answer_scores, cover_em, exact_match, f1, normalize
from atommem_env.tasks.documents import DocumentStitcher, escape, split_documents, unescape
from atommem_env.tasks.turns import read_turns
from atommem_env.text import PieceTokenizer, clean, sentence_spans, tokens, word_spans
from small_data import dataset

TEXTS = 40  # for each fault that is asked for

RULES, WORLD = RulesEngine(), WorldEngine()
SEEDS = (
    "<create_memory>Ada Vale was born in Ambry0 in 1800.</create_memory><search_memory>Ada</search_memory>",
    "<think>I keep it.</think>\n<update_memory><Memory_id>3</Memory_id>Ambry0 lies on a river.</update_memory>",
    "<memory_id>1</memory_id> <delete_memory>2</delete_memory> <answer>River Ambry0</answer>",
    '{"name": "create", "arguments": {"content": "x", "k": 3}}\n{"name": "read", "arguments": "{\\"query\\": 1}"}',
    '```json\n[{"op": "update", "id": 1, "content": "caf\\u00e9 \\ud83d\\ude00"}, {"op": "delete", "id": 0}]\n```',
    "<tool_call>\n<function=create>\n<parameter=content>\nA town.\n</parameter>\n</function>\n</tool_call>",
    '{"facts": ["one", {"text": "two"}], "answer": null, "score": 7.5, "edits": [{"kind": "add", "text": "x"}]}',
    "The answer is: **Paris**.\nAnswer: \\boxed{42}\n\nFinal answer: yes",
    "Document 1:\nAda Vale\nAda Vale was a painter. Ada Vale was born in Ambry0 in 1800.\n\nDocument 2:\nAmbry0\nTown.",
    "Session 3 (2023-05-20 14:10):\nAda: I moved to Ambry0.\n  It rains.\nBram: When? Last Tues., e.g. the 3rd.",
    "Who was born first, Ada Vale (12 May 1800) or Dr. Bram Vale Jr. in the U.S. c. 1790?",
    '[THINK]hm[/THINK]create("note") read(\'note\', k=5) answer("1,024 km")',
    "水は流れる。本当に？はい！ Straße ﬁre e\u0301 \u202eעיר ١٢",
)
PIECES = (
    *("<", ">", "</", "/>", '"', "'", "\\", '\\"', "{", "}", "[", "]", "(", ")", ":", ",", ".", "\n", "\r\n", "\t"),
    *("\x00", "\x1b[31m", "\x1b]52;c;eA==\x07", "\x9b", "\u202e", "\u2066", "\ud800", "\udc00", "\ufeff", " "),
    *("null", "NaN", "1e999", "-0", "9" * 400, "true", "\\u0000", "\\ud800", "&lt;", "&#x41;", "<![CDATA[", "]]>"),
    *("</think>", "<think>", "[/THINK]", "Document 9:\n", "Session 1:\n", "\\Document 1:\n", "Answer:", "\\boxed{"),
    *("<answer>", "</answer>", "<create_memory>", "</create_memory>", "<parameter=", "<function=", "<tool_call>"),
    *("\u0301" * 40, "<!--", "```", '"op":', "٣", "²", "Ⅷ", "İ", "ß", "ﬃ", "\u3000", "\u2028", "\x85", "\x0b", "。"),
)  # fmt: skip


def grow(draw: random.Random) -> str:
    """Return a text: some of the seeds, with pieces cut, moved, doubled and thrown in."""
    text = draw.choice(("", "\n", " ")).join(draw.choices(SEEDS, k=draw.choice((1, 1, 2, 3))))
    for _ in range(draw.choice((0, 1, 3, 8, 20))):
        start = draw.randrange(len(text) + 1)
        end = min(len(text), start + draw.choice((0, 1, 5, 40)))
        piece = draw.choice(PIECES)
        made = {"put": piece, "cut": "", "double": text[start:end] * 2, "many": piece * draw.choice((2, 30))}
        text = text[:start] + made[draw.choice(sorted(made))] + text[end:]
    return text


def check_spans(text: str, spans: list[tuple[int, int]]) -> None:
    places = [place for span in spans for place in span]
    assert places == sorted(places)
    assert all(0 <= start < end <= len(text) for start, end in spans)


def read_protocols(text: str, other: str) -> None:
    shown = {"retrieved": ({"id": 7, "content": other, "score": 1.0, "query": 0},)}
    for make in PROTOCOLS.values():
        protocol = make()
        for observation in (None, shown):
            parsed = protocol.parse(text, observation)
            assert all(parse(operation) == operation for operation in parsed.operations)
            assert all(isinstance(piece.text, str) for piece in parsed.malformed)
        for operation in (Create(text), Read(text), Update(7, text), Delete(7), Answer(text)):
            try:
                said = protocol.render_operations([operation], shown)
            except ValueError:
                continue  # this protocol cannot write it, and says so
            (read,) = protocol.parse(said, shown).operations
            assert bare(read) == bare(operation)  # tags drop white space around a content


def bare(operation: Any) -> list[Any]:
    """Return an operation's kind and fields, without the white space around them."""
    fields = [getattr(operation, name) for name in operation.__struct_fields__]
    return [operation.op, *(field.strip() if isinstance(field, str) else field for field in fields)]


def read_replies(text: str, other: str) -> None:
    found = read_object(text, "answer")
    assert found is None or isinstance(found, dict)
    listed = read_list(text, "facts")
    for value in (found, *(listed or ())):
        assert all(isinstance(item, str) for item in (*texts(value, "text"), *strings(value)))
        assert isinstance(integer(value), int | None)
    assert isinstance(short_answer(text), str)
    said, reasoning = split_thinking(text)
    assert len(said) + len(reasoning) <= len(text)
    with contextlib.suppress(ValueError):
        assert all(parse(operation) for operation in from_json(text))


def read_documents(text: str, other: str) -> None:
    assert unescape(escape(text)) == text
    assert all(piece.number is None or piece.number >= 0 for piece in split_documents(text))
    stitcher = DocumentStitcher()
    stitched = [*stitcher.feed(text, False), *stitcher.feed(other, True)]
    assert all(isinstance(document.text, str) for document in stitched)
    assert isinstance(read_turns(text), tuple)
    check_spans(text, sentence_spans(text))
    check_spans(text, word_spans(text))
    assert PieceTokenizer().count(text) == len(PieceTokenizer().starts(text))
    clean(text).encode()
    date = iso_date(text)
    assert date is None or len(date) in (10, 16)


def read_answers(text: str, other: str) -> None:
    for score in (exact_match, f1, cover_em):
        assert 0.0 <= score(text, [other]) <= 1.0
        assert score(text, [text]) == 1.0 or not normalize(text)
    assert isinstance(abstained(text, "locomo"), bool)
    for benchmark in ("", "hotpotqa", "musique", "longmemeval"):
        assert isinstance(abstained(text, benchmark), bool)
        scored: Mapping[str, Any] = answer_scores(text, [other, text], benchmark)
        assert all(value is None or 0.0 <= value <= 1.0 for value in scored.values())
    assert isinstance(holds(text, other, "Ada Vale"), bool)
    if tokens(text):
        assert isinstance(holds(other, text, text), bool)


def read_engines(text: str, other: str) -> None:
    for engine in (RULES, WORLD):
        assert engine.answer(text, [other]).strip()
        assert engine.answer("On which river lies the town where Ada Vale was born?", [text, other]).strip()
        assert isinstance(engine.answer_or_search(text, [other], text), str | None)
    assert all(isinstance(fact, str) for fact in RULES.extract_facts([other], text))
    assert {edit.kind for edit in RULES.decide_edits([text], [other])} <= {"add", "update", "delete", "none"}
    assert isinstance(RULES.compress([other], text, other, 50), str)
    assert 1 <= RULES.rate_importance(text) <= 10
    assert isinstance(RULES.summarize(text, 20), str)
    RULES.describe_note(text), RULES.evolve(text, [other]), RULES.keyword_query(text)
    (
        RULES.manage_core([other], text, other, 50),
        RULES.focal_questions([text], 3),
        RULES.insights(other, [text], 2),
    )


def show(text: str, other: str) -> None:
    for name in ("terminal", "one_line", "markup", "plot", "markdown", "csv", "html", "latex"):
        shown = getattr(safe_text, name)(text)
        assert not [sign for sign in shown if steers(sign)], name
        if name in ("one_line", "markdown", "csv", "latex"):
            assert len(shown.splitlines()) <= 1, name
    assert not safe_text.csv(text).startswith(("=", "+", "-", "@"))
    assert not set("<>\"'") & set(safe_text.html(text))
    assert safe_text.width(safe_text.cut(text, 30)) <= 30


def steers(sign: str) -> bool:
    """Return whether a sign steers a terminal: but for line breaks and tabs, what is not text to Unicode."""
    control = unicodedata.category(sign) in ("Cc", "Cs") and sign not in "\n\t"
    return control or sign in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067"


READERS: tuple[Callable[[str, str], None], ...] = (
    read_protocols, read_replies, read_documents, read_answers, read_engines, show
)  # fmt: skip


@pytest.mark.parametrize("read", READERS, ids=lambda read: read.__name__)
def test_no_text_raises_and_what_is_read_has_its_form(
    request: pytest.FixtureRequest, read: Callable[[str, str], None]
) -> None:
    count = int(request.config.getoption("--faults")) * (10 if read is read_engines else TEXTS)
    draw = random.Random(read.__name__)
    other = SEEDS[0]
    for number in range(count):
        text = grow(draw)
        try:
            read(text, other)
        except Exception as error:
            raise AssertionError(f"text {number}: {type(error).__name__}: {error}: {text!r}") from error
        other = text
    print(f"{read.__name__}: {count} texts")


@pytest.mark.parametrize("protocol", sorted(PROTOCOLS))
@pytest.mark.parametrize("mode", ["reset", "append"])
def test_an_agent_of_any_text_comes_to_an_end(
    request: pytest.FixtureRequest, protocol: str, mode: str
) -> None:
    draw = random.Random(f"{protocol} {mode}")
    env = MemoryText(protocol, mode)
    for index in range(int(request.config.getoption("--faults"))):
        prompt, ended, steps = env.reset(index), False, 0
        while not ended:
            assert isinstance(prompt, str)
            prompt, ended = env.step(grow(draw))
            steps += 1
            assert steps < 200


class MemoryText:
    """A small environment of texts, drawn on a terminal after each step."""

    def __init__(self, protocol: str, mode: str) -> None:
        from atommem_env import MemoryEnv

        self.memory = MemoryEnv(DATA, num_docs=12, num_questions=2, chunk_tokens=200, chunk_overlap=20)
        self.env = TextProtocol(self.memory, protocol, prompt_mode=mode)

    def reset(self, index: int) -> str:
        return str(self.env.reset(options={"task_index": index})[0])

    def step(self, text: str) -> tuple[Any, bool]:
        prompt, _, terminated, truncated, info = self.env.step(text)
        assert self.memory.episode is not None
        page = render_text(self.memory.episode.observe(), self.memory.episode.store.entries, width=80)
        assert not [sign for sign in page if steers(sign)]
        assert all(piece.keys() == {"text", "reason"} for piece in info["malformed"])
        return prompt, terminated or truncated


DATA = dataset()
