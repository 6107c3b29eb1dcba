"""Work grows with the text and no faster, in everything that takes text from an agent, a model or a file.

Work is counted in plain passes over the same text, made in the same moment, and never in seconds: a function that
is linear takes as many of them for a text eight times as long, a quadratic one takes eight times as many.
A new function joins by being listed, with the texts that are hardest for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from atommem_env.baselines.engines.answers import short_answer
from atommem_env.core.words import bare_title, content_stems
from atommem_env.llm.json_reply import read_list, read_object
from atommem_env.protocols import JSONProtocol, ReleasedProtocol, XMLProtocol
from atommem_env.protocols.thinking import split_thinking
from atommem_env.tasks.documents import DocumentStitcher, split_documents
from atommem_env.text import PieceTokenizer, clean, sentences, tokens

SHORT = 6_000  # characters
GROWTH = 8
MOST = 4.0  # times as many passes, where a quadratic function needs eight times as many

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
}


def passes(function: Callable[[str], object], text: str) -> float:
    """Return how many plain passes over ``text`` take as long as ``function`` of it: the least of some tries."""
    spent = [_time(function, text) for _ in range(4)]
    plain = [_time(list, text) for _ in range(4)]
    return min(spent) / min(plain)


def _time(function: Callable[[str], object], text: str) -> float:
    start = time.thread_time_ns()
    function(text)
    return max(time.thread_time_ns() - start, 1)


@pytest.mark.parametrize("hard", TEXTS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_work_grows_with_the_text_and_no_faster(name: str, hard: str) -> None:
    function, make = FUNCTIONS[name], TEXTS[hard]
    for _ in range(3):  # a machine that is busy with other work may disturb a try, not all
        less, more = (passes(function, make(n)) for n in (SHORT, GROWTH * SHORT))
        if more <= MOST * max(less, 1.0):
            return
    pytest.fail(
        f"{name} of {hard}: {less:.1f} passes over a text, {more:.1f} over one {GROWTH} times as long"
    )
