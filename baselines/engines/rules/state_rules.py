"""Summaries, states and searches without a model: stand-ins for the prompts of MemoryBank, MEM1 and MemGPT.

They choose sentences and compare words; none of them is the published system.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from atommem_env.baselines.common import blocks
from atommem_env.baselines.engines.engine import CoreEdit, State
from atommem_env.baselines.engines.rules.compression import Line, compress, lines_of, read_blocks, write_lines
from atommem_env.baselines.engines.rules.passages import read_passages
from atommem_env.baselines.engines.rules.spans import names
from atommem_env.baselines.entries import titled_text
from atommem_env.core.words import content_stems
from atommem_env.tasks.documents import split_documents
from atommem_env.text import Tokenizer, tokens

STATE_TOKENS: Final = 768
"""The most tokens of a MEM1 state: what is left of 1024 new tokens for the query or the answer."""

COVERED: Final = 0.75
"""The share of a question's content words that core memory and passages must hold to be answered from."""

_FEWEST_STEMS = 4
_NAMES_ONWARD = 3

Answerer = Callable[[str, Sequence[str]], str]


def summarize(text: str, budget_words: int) -> str:
    """Return the sentences of ``text`` whose content words are its most frequent, in order, as far as they fit.

    A document's title comes with its first sentence and counts as words.
    """
    lines = lines_of(_documents(text))
    stems = [content_stems(line.text) for line in lines]
    counts = Counter(stem for found in stems for stem in found)
    scores = [sum(counts[stem] for stem in found) / max(_FEWEST_STEMS, len(found)) for found in stems]
    kept: list[int] = []
    titled: set[int] = set()
    left = budget_words
    for number in sorted(range(len(lines)), key=lambda number: (-scores[number], number)):
        line = lines[number]
        cost = len(line.text.split()) + (0 if line.block in titled else len(line.title.split()))
        if cost <= left:
            kept.append(number)
            titled.add(line.block)
            left -= cost
    return write_lines([lines[number] for number in sorted(kept)])


def _documents(text: str) -> list[tuple[str, str]]:
    """Return the documents of a chunk, or of a memory as it is written, as (title, text)."""
    pieces = split_documents(text)
    if any(piece.number is not None for piece in pieces):
        return [titled_text(piece) for piece in pieces]
    return read_blocks(text)


def next_state(
    question: str | None,
    questions: Sequence[str],
    state: str,
    last_query: str,
    information: Sequence[str],
    may_search: bool,
    answer: Answerer,
    tokenizer: Tokenizer,
) -> State:
    """Make the next state and say what to do next.

    While reading, the state is what overlaps with the questions. While answering, it is what was just found,
    then as much of the state so far as fits; the first query is the question, the second the names that the
    best hit leads to, and then comes the answer.

    Args:
        answer: what answers a question from passages.
        tokenizer: what counts the tokens of the state.

    The other arguments are those of :meth:`atommem_env.baselines.engines.engine.Abilities.next_state`.
    """
    if question is None:
        return State(compress(questions, state, "\n\n".join(information), STATE_TOKENS, tokenizer))
    merged = _merge("\n\n".join(information), state, tokenizer)
    if may_search and last_query == "":
        return State(merged, query=question)
    if may_search and last_query == question:
        onward = _names_onward(question, information)
        if onward:
            return State(merged, query=onward)
    return State(merged, answer=answer(question, [*information, *blocks(merged)]))


def _merge(found: str, state: str, tokenizer: Tokenizer) -> str:
    """Return the sentences of ``found``, then those of ``state``, as far as they fit."""
    kept: list[Line] = []
    left = STATE_TOKENS
    for line in lines_of([*read_blocks(found), *read_blocks(state)]):
        left -= tokenizer.count(line.title) + tokenizer.count(line.text)
        if left < 0:
            break
        kept.append(line)
    return write_lines(kept)


def _names_onward(question: str, information: Sequence[str]) -> str:
    """Return names that the best passage for ``question`` leads to, ``""`` when it leads nowhere."""
    wanted = set(content_stems(question))
    passages = sorted(read_passages(information), key=lambda passage: -len(wanted & passage.stems))
    known = {word for passage in passages for word in passage.title_words} | set(tokens(question))
    onward = [
        name.text
        for passage in passages[:1]
        for name in names(passage.text)
        if not known.issuperset(tokens(name.text))
    ]
    return " ".join(list(dict.fromkeys(onward))[:_NAMES_ONWARD])


def manage_core(
    questions: Sequence[str], core: str, recent: str, budget_tokens: int, tokenizer: Tokenizer
) -> CoreEdit:
    """Archive every document of ``recent`` verbatim; core memory becomes what overlaps with the questions."""
    documents = _documents(recent)
    kept = compress(questions, "\n\n".join([core, *map(_block, documents)]), "", budget_tokens, tokenizer)
    archive = tuple(dict.fromkeys(text for text in map(_block, documents) if text.strip()))
    return CoreEdit(kept if kept and kept != core else None, archive)


def _block(document: tuple[str, str]) -> str:
    title, text = document
    return f"{title}\n{text}" if title else text


def answer_or_search(question: str, passages: Sequence[str], core: str, answer: Answerer) -> str | None:
    """Answer as soon as three quarters of the question's content words are among what is shown."""
    shown = [*passages, *blocks(core)]
    wanted = set(content_stems(question))
    held = {stem for text in shown for stem in content_stems(text)}
    if not shown or len(wanted & held) < COVERED * len(wanted):
        return None
    return answer(question, shown)
