"""Full context: the control that keeps all chunks in its own buffer, and no memory.

Reading: an empty action at every chunk. Answering: the engine's answer from the whole text, without a look.
What is over the budget is cut when reading has ended: the last N tokens are kept (``keep="last"``), or the
first N/2 and the last N/2 (``keep="ends"``). A history is not cut: what does not fit is not applicable.
Source: AtomMem, arXiv 2601.08323, section 4 ("Full Context").
"""

from __future__ import annotations

from typing import Final

from atommem_env.baselines.common import Info, Observation, Operations, Workflow, document_text
from atommem_env.baselines.engines.engine import UNKNOWN, EngineSpec
from atommem_env.baselines.entries import session_name
from atommem_env.core.checks import at_least, one_of
from atommem_env.tasks.documents import overlap, split_documents
from atommem_env.text import PieceTokenizer, Tokenizer

KEEPS: Final = ("last", "ends")


class FullContext(Workflow):
    """Answers from all that it has read, as far as it fits its context.

    Its text is outside memory, so its evidence funnel says nothing (``uses_buffer``). A history is never cut: where it
    does not fit, the engine is not asked, and tables leave the episode out and say so (:meth:`not_applicable`).

    Args:
        engine: what does the language work: a name, an engine, or the settings of a chat endpoint.
        budget_tokens: the size of the context in tokens of the built-in counter, from 1. The default, 32768,
            is the context of the paper's model, Qwen3-8B, as it comes: about 200 documents and not 800.
        keep: what to keep when the text of a pooled task is over budget: ``"last"`` or ``"ends"``.

    Raises:
        ValueError: when ``budget_tokens`` is less than 1, or ``keep`` is neither.
    """

    name = "full-context"
    uses_buffer = True
    lasting = ("_passages", "_tokens")

    def __init__(self, engine: EngineSpec = "auto", budget_tokens: int = 32_768, keep: str = "last") -> None:
        super().__init__(engine)
        self.budget_tokens = at_least("budget_tokens", budget_tokens, 1)
        self.keep = one_of("keep", keep, KEEPS)
        self._text = ""
        self._whole = False
        self._tokens = 0
        self._passages: list[str] | None = None

    def reset(self, observation: Observation, info: Info) -> None:
        """Get ready for a new episode."""
        super().reset(observation, info)
        self._text = ""
        self._whole = "history" in info
        self._tokens = 0
        self._passages = None

    def not_applicable(self) -> dict[str, int] | None:
        """Return why the episode says nothing: the ``tokens`` of its text, and the ``budget_tokens`` they exceed."""
        if not self._whole or self._tokens <= self.budget_tokens:
            return None
        return {"tokens": self._tokens, "budget_tokens": self.budget_tokens}

    def read_chunk(self, observation: Observation) -> Operations:
        """Put what the chunk adds into the buffer."""
        chunk = observation["chunk"]
        self._text += chunk[overlap(self._text, chunk) :]
        self._passages = None
        return []

    def answer_question(self, observation: Observation) -> Operations:
        """Answer from the buffer."""
        if self._passages is None:
            if self._whole:
                self._tokens = PieceTokenizer().count(self._text)
            kept = cut(self._text, self.budget_tokens, self.keep, PieceTokenizer())
            self._passages = [
                document_text(session_name(piece.title, piece.date), piece.text)
                for part in kept
                for piece in split_documents(part)
            ]
        if self.not_applicable() is not None:
            return [self.say(UNKNOWN)]
        return self.answer(observation, self._passages)


def cut(text: str, budget: int, keep: str, tokenizer: Tokenizer) -> list[str]:
    """Return the parts of ``text`` that are kept: all of it, its last ``budget`` tokens, or both its ends.

    Args:
        text: the text.
        budget: how many tokens to keep, from 1.
        keep: ``"last"``, or ``"ends"``: the first half of the budget, rounded down, and the last.
        tokenizer: what counts tokens.
    """
    starts = tokenizer.starts(text)
    if len(starts) <= budget:
        return [text]
    first = budget // 2 if keep == "ends" else 0
    return [part for part in (text[: starts[first]], text[starts[len(starts) - (budget - first)] :]) if part]
