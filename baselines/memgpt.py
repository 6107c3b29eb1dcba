"""MemGPT: a window with a queue of what was read, a core memory in it, an archival memory outside of it.

Core memory is the scratchpad, archival memory is the store, and the queue of documents read is the policy's
own (``uses_buffer``; its evidence funnel is null). Reading: each document joins the queue. Once core memory
and queue fill more than 0.75 of the window, a *memory-pressure* turn: of the documents that no such turn has
seen, the engine writes what matters into core memory (``Update(SCRATCHPAD, ...)``) and archival memory
(``Create``). Once they overflow it, the oldest documents are *flushed*: about three quarters of the queue,
never the last 3 documents, give way to a summary of at most 100 words, which stands first. Answering: archival
search page by page, 5 entries a page, until the engine answers or 3 pages are spent; core memory, and as much of
the queue as fits, are in view. Source: arXiv 2310.08560, and the numbers of the system's public code.

How it differs from the system: a message is a document, or a turn of a conversation; there is no recall storage, so a
flush first runs a memory-pressure turn on documents that have seen none; the query is the question; the engine has no
other tools.

With the ``rules`` engine, a memory-pressure turn (archive every document verbatim, keep in core memory what
overlaps with the questions), a summary (the sentences with the most frequent words) and turning the page (while
less than three quarters of the question's content words are in view) are stand-ins that are not the published
system.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from atommem_env.baselines.common import (
    DocumentReader,
    Info,
    Observation,
    Operations,
    ScratchpadBudget,
    Workflow,
    blocks,
    document_text,
    shown_entries,
)
from atommem_env.baselines.engines.engine import EngineSpec
from atommem_env.core.checks import at_least
from atommem_env.core.operations import SCRATCHPAD, Create, Read, Update
from atommem_env.text import PieceTokenizer

PRESSURE: Final = 0.75
"""The share of the window from which on there is memory pressure."""
FLUSHED: Final = 0.75
"""The share of the queue that a flush takes out."""
KEPT: Final = 3
"""How many of the last documents a flush never takes."""
SUMMARY_WORDS: Final = 100
PAGE: Final = 5
PAGES: Final = 3


class _Message(NamedTuple):
    text: str
    tokens: int


class MemGPT(Workflow):
    """Moves what it reads between a window, a core memory and an archival memory.

    Args:
        engine: what does the language work: a name, an engine, or the settings of a chat endpoint.
        window_tokens: the size of the window, in tokens of the built-in counter, from 1. The chunk being read,
            instructions and the question are not counted.
        budget_tokens: the most tokens of core memory, from 1; less where the environment allows less (see
            :class:`~atommem_env.baselines.common.ScratchpadBudget`).

    Raises:
        ValueError: when an argument is out of range, or the engine lacks an ability.
    """

    name = "memgpt"
    uses_buffer = True
    needs = ("manage_core", "summarize", "answer_or_search")

    def __init__(
        self, engine: EngineSpec = "auto", window_tokens: int = 8192, budget_tokens: int = 1024
    ) -> None:
        super().__init__(engine)
        self.window_tokens = at_least("window_tokens", window_tokens, 1)
        self._budget = ScratchpadBudget(budget_tokens)
        self._tokenizer = PieceTokenizer()
        self._start()

    def _start(self) -> None:
        self._reader = DocumentReader(self._rules.entry_tokens)
        self._queue: list[_Message] = []
        self._summary = ""
        self._seen = 0
        """How many documents of the queue a memory-pressure turn has seen."""
        self._warned = False
        self._question = -1
        self._page = 0

    def reset(self, observation: Observation, info: Info) -> None:
        """Get ready for a new episode."""
        super().reset(observation, info)
        self._budget.reset(self._rules)
        self._start()

    # --- reading ------------------------------------------------------------------------------------

    def read_chunk(self, observation: Observation) -> Operations:
        """Queue the documents that the chunk completes, and make room for them."""
        self._budget.follow(observation)
        operations: Operations = []
        core = observation["scratchpad"]
        for document in self._reader.read(observation):
            text = document_text(document.title, document.text)
            if document.turns:  # blank lines part messages
                text = "\n".join(line for line in text.split("\n") if line.strip())
            self._queue.append(_Message(text, self._tokenizer.count(text)))
            used = self._count(core, self._summary) + sum(message.tokens for message in self._queue)
            if used > self.window_tokens:
                core = self._flush(observation, core, operations)
            elif used > PRESSURE * self.window_tokens and not self._warned:
                self._warned = True
                core = self._press(observation, core, operations, len(self._queue))
        return operations

    def _press(self, observation: Observation, core: str, operations: Operations, end: int) -> str:
        """Run a memory-pressure turn on the documents up to ``end`` that have seen none; return core memory."""
        recent = _joined(self._queue[self._seen : end])
        self._seen = end
        edit = self.engine.manage_core(observation["questions"], core, recent, self._budget.tokens)
        operations += [Create(text) for text in edit.archive]
        written = core if edit.core is None else self._budget.cut(edit.core)
        if not written.strip() or written == core:
            return core
        operations.append(Update(SCRATCHPAD, written))
        return written

    def _flush(self, observation: Observation, core: str, operations: Operations) -> str:
        """Let the oldest documents give way to a summary; return core memory."""
        enough = FLUSHED * sum(message.tokens for message in self._queue)
        end = taken = 0
        while taken < enough and end < len(self._queue) - KEPT:
            taken += self._queue[end].tokens
            end += 1
        if end > self._seen:
            core = self._press(observation, core, operations, end)
        if end:
            flushed = "\n\n".join(text for text in (self._summary, _joined(self._queue[:end])) if text)
            self._summary = self.engine.summarize(flushed, SUMMARY_WORDS)
            del self._queue[:end]
            self._seen -= end
            self._warned = False
        return core

    def _count(self, *texts: str) -> int:
        return sum(self._tokenizer.count(text) for text in texts)

    # --- answering ----------------------------------------------------------------------------------

    def answer_question(self, observation: Observation) -> Operations:
        """Turn the pages of archival memory until the engine answers."""
        if self._question != observation["cursor"]:
            self._question = observation["cursor"]
            self._page = 0
        question, core = observation["questions"][0], observation["scratchpad"]
        passages = self._in_view(observation)
        if self._may_turn(observation):
            answer = self.engine.answer_or_search(question, passages, core) if self._page else None
            if answer is not None and answer.strip():
                return [self.say(answer)]
            self._page += 1
            return [Read(question, PAGE * self._page)]
        return self.answer(observation, [*passages, *blocks(core)])

    def _may_turn(self, observation: Observation) -> bool:
        """Return whether there may be another page, and a look for it."""
        full = (
            len(observation["retrieved"]) == PAGE * self._page if self._page else observation["memory_size"]
        )
        return bool(full and observation["looks_left"] and self._page < PAGES)

    def _in_view(self, observation: Observation) -> list[str]:
        """Return the pages so far, the summary, and the last documents of the queue that fit the window."""
        pages = shown_entries(observation) if self._page else []
        left = self.window_tokens - self._count(observation["scratchpad"], self._summary, *pages)
        first = len(self._queue)
        while first and self._queue[first - 1].tokens <= left:
            first -= 1
            left -= self._queue[first].tokens
        texts = [*pages, self._summary, *(message.text for message in self._queue[first:])]
        return [text for text in texts if text.strip()]


def _joined(messages: list[_Message]) -> str:
    return "\n\n".join(message.text for message in messages)
