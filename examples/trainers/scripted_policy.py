"""A text policy without a model: it sits in the agent's chair where adapters are tested and shown.

It does what the baseline ``rag`` does, from the text of a prompt alone: it stores every document, searches with
the question, and lets an engine without a model answer. Where its scores appear they are those of rules, not of a
model.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from atommem_env.baselines.engines.engine import get_engine
from atommem_env.core.operations import Answer, Create, Operation, Read
from atommem_env.integrations.text_episode import Message
from atommem_env.protocols import Protocol, get_protocol
from atommem_env.tasks.documents import split_documents
from atommem_env.text import digest

_SECTION: Final = re.compile(r"^## (.+)\n", re.MULTILINE)
_ITEM: Final = re.compile(r"^\d+\. ", re.MULTILINE)
_ENTRY: Final = re.compile(r"^\[id: \d+\] ", re.MULTILINE)
_CLOSING: Final = re.compile(r"\n\n[^\n]+\Z")


class ScriptedPolicy:
    """Maps a conversation, in either prompt mode, to a text of operations.

    The same last message gives the same text, whatever the process.

    Args:
        protocol: how operations are written: ``"atommem"`` or ``"json"``, whose prompts it can read.
        forget: the share of documents that it does not store, in [0, 1], so that the rollouts of a group
            can differ.
        seed: which documents these are.
        engine: what answers; ``"world"`` reads the generated world, ``"rules"`` is for other data.

    Raises:
        ValueError: when an argument is out of range.
    """

    def __init__(
        self,
        protocol: str | Protocol = "atommem",
        forget: float = 0.0,
        seed: int = 0,
        engine: str = "world",
    ) -> None:
        if not 0 <= forget <= 1:
            raise ValueError(f"forget={forget!r}: expected a share in [0, 1]")
        self.protocol = get_protocol(protocol)
        self._forget, self._seed = forget, seed
        self._engine: Any = get_engine(engine)

    def __call__(self, messages: Sequence[Mapping[str, str]]) -> str:
        """Return the text that answers ``messages``."""
        return self.protocol.render_operations(self.operations(messages))

    def operations(self, messages: Sequence[Mapping[str, str]] | Sequence[Message]) -> list[Operation]:
        """Return the operations that answer ``messages``, of which only the last is read."""
        return self.answer_view(messages[-1]["content"])

    def answer_view(self, text: str) -> list[Operation]:
        """Return the operations that answer the prompt, or the turn, ``text``."""
        view = _sections(text)
        if "Text of this chunk" in view:
            return self._read(view["Text of this chunk"])
        question = _ITEM.split(view["What is asked"])[-1].strip()
        standing = [item.strip() for item in _ITEM.split(view.get("Standing queries", ""))[1:]]
        if question not in standing:
            return [Read(question)]
        passages = [item.strip() for item in _ENTRY.split(view.get("Entries found", ""))[1:]]
        return [Answer(self._engine.answer(question, passages) or "unknown")]

    def _read(self, chunk: str) -> list[Operation]:
        kept = []
        for piece in split_documents(chunk):
            content = f"{piece.title}\n{piece.text}".strip()
            draw = random.Random(digest(f"{self._seed}\n{content}")).random()
            if content and draw >= self._forget:
                kept.append(Create(content))
        return list(kept)


def _sections(text: str) -> dict[str, str]:
    """Return the sections of a turn by their headings; the chunk comes last, so that it may hold any line."""
    begin = text.rfind("\n# Now: ") + 1
    chunk_heading = text.find("\n## Text of this chunk\n", begin)
    view = text[begin:] if chunk_heading < 0 else text[begin:chunk_heading]
    parts = _SECTION.split(f"{view}\n")
    found = {name: _CLOSING.sub("", body) if chunk_heading < 0 else body for name, body in _pairs(parts[1:])}
    if chunk_heading >= 0:
        body = text[chunk_heading:].split("\n", 2)[2]
        found["Text of this chunk"] = _CLOSING.sub("", body)
    return found


def _pairs(parts: Sequence[str]) -> list[tuple[str, str]]:
    return list(zip(parts[::2], parts[1::2], strict=True))
