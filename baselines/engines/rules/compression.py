"""Compression without a model: keep the sentences that share most with the questions, in reading order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from atommem_env.baselines.entries import is_session_name, split_stamp, stamped_sentences, titled_text
from atommem_env.core.words import STOP_WORDS
from atommem_env.tasks.documents import split_documents
from atommem_env.text import Tokenizer, tokens

_BLANK = "\n\n"


class Line(NamedTuple):
    """A sentence, the title of the document it stands in, and which of the documents at hand that is."""

    block: int
    text: str
    title: str


def compress(
    questions: Sequence[str], memory: str, chunk: str, budget_tokens: int, tokenizer: Tokenizer
) -> str:
    """Return the sentences of ``memory`` and ``chunk`` with the highest question overlap that fit.

    Sentences are ranked by their best BM25 score against any one question, a document's title counting as
    part of each of its sentences; those without a word of a question are left out. While nothing is asked, those with
    the most names and numbers are kept, of equals the later. The memory is written as
    it is read: per document its title on a line, its kept sentences on the next, a blank line between
    documents.

    Args:
        questions: what the memory will be asked.
        memory: the memory so far, in the same form.
        chunk: what was just read.
        budget_tokens: the most tokens the result may have.
        tokenizer: what counts them.
    """
    lines = _lines(memory, chunk)
    scores = line_scores(questions, lines) if questions else [_importance(line) for line in lines]
    order = sorted(range(len(lines)), key=lambda place: (-scores[place], place if questions else -place))
    kept: set[int] = set()
    titled: set[int] = set()
    left = budget_tokens
    for place in order:
        if scores[place] <= 0 or left <= 0:
            break
        line = lines[place]
        cost = tokenizer.count(line.text)
        if line.block not in titled:
            cost += tokenizer.count(line.title)
        if cost <= left:
            kept.add(place)
            titled.add(line.block)
            left -= cost
    return write_lines([line for place, line in enumerate(lines) if place in kept])


def _lines(memory: str, chunk: str) -> list[Line]:
    """Return the sentences of both texts, each once, with the document they stand in."""
    return lines_of([*read_blocks(memory), *map(titled_text, split_documents(chunk))])


def read_blocks(memory: str) -> list[tuple[str, str]]:
    """Return the documents of a memory as :func:`compress` writes it, as (title, text)."""
    return [_block(text) for text in memory.split(_BLANK) if text.strip()]


def lines_of(blocks: Sequence[tuple[str, str]]) -> list[Line]:
    """Return the sentences of documents given as (title, text), each once; one title is one document."""
    numbers: dict[str, int] = {}
    lines: dict[tuple[str, str], Line] = {}
    for position, (title, text) in enumerate(blocks):
        block = numbers.setdefault(title, position) if title else position
        for sentence in stamped_sentences(text):
            lines.setdefault((title, sentence), Line(block, sentence, title))
    return sorted(lines.values(), key=lambda line: line.block)


def _block(text: str) -> tuple[str, str]:
    title, line_break, rest = text.partition("\n")
    return (title, rest) if line_break and not split_stamp(text)[0] else ("", text)


def _importance(line: Line) -> float:
    """Return the number of words that open with a capital or hold a digit, of the sentence alone."""
    text = split_stamp(line.text)[1]
    return sum(word[:1].isupper() or any(map(str.isdigit, word)) for word in text.split())


def line_scores(questions: Sequence[str], lines: Sequence[Line]) -> list[float]:
    """Return for each line its best BM25 score against any question, 0 without a shared content word."""
    from rank_bm25 import BM25Plus

    corpus = [tokens(line.title) + tokens(line.text) for line in lines]
    best = [0.0] * len(lines)
    if not any(corpus):
        return best
    index = BM25Plus([words or [""] for words in corpus])
    for question in questions:
        wanted = [word for word in tokens(question) if word not in STOP_WORDS]
        for place, score in enumerate(index.get_scores(wanted).tolist() if wanted else []):
            if score > best[place] and not set(wanted).isdisjoint(corpus[place]):
                best[place] = score
    return best


def write_lines(lines: Sequence[Line]) -> str:
    """Return ``lines`` as :func:`compress` writes a memory."""
    blocks: dict[int, list[Line]] = {}
    for line in lines:
        blocks.setdefault(line.block, []).append(line)
    return _BLANK.join(
        (f"{block[0].title}\n" if block[0].title else "") + _joined(block) for block in blocks.values()
    )


def _joined(block: Sequence[Line]) -> str:
    """Return the sentences of a document on a line; what was said in a conversation on a line each."""
    spoken = is_session_name(block[0].title) or split_stamp(block[0].text)[0]
    return ("\n" if spoken else " ").join(line.text for line in block)
