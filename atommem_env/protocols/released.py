r"""The protocol ``released``: the tags of the agent that was released with the paper (RUCBM/AtomMem).

=====================================================  ==========================================
text                                                   operation
=====================================================  ==========================================
``<add_memory>content</add_memory>``                   ``Create("content")``
``<update_query>query</update_query>``                 ``Read("query")``
``<modify_memory>Memory 2: content</modify_memory>``   ``Update`` of the second entry shown
``<delete_memory>Memory 2</delete_memory>``            ``Delete`` of the second entry shown
``<update_memory>text</update_memory>``                ``Update(0, "text")``: the scratchpad
``<update_memory></update_memory>``                    ``Delete(0)``
``<final_answer>\boxed{text}</final_answer>``          ``Answer("text")``
=====================================================  ==========================================

Entries are addressed by their rank, from 1, in the list last shown (``observation["retrieved"]``), with or
without the word ``Memory``; what follows the number of a delete is ignored, as in the released agent. A rank
that was not shown is malformed. Several queries in one text are several Reads, where the released agent keeps
the last. Of several boxes the last counts, ``\text{...}`` right around an answer is taken off, an answer
without a box is taken as it stands, and an unclosed box is malformed. What else a text may hold, and what
then counts, is said in :mod:`atommem_env.protocols.tags`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

from atommem_env.core.operations import Delete, Operation, Update
from atommem_env.core.types import Observation
from atommem_env.protocols.base import FormError
from atommem_env.protocols.tagged import TagProtocol
from atommem_env.protocols.tags import Tag

_NUMBERED = re.compile(r"(?:Memory\s*)?#?([0-9]{1,18})\s*:", re.IGNORECASE | re.ASCII)
_NUMBER = re.compile(r"(?:Memory\s*)?#?([0-9]{1,18})(?![0-9])", re.IGNORECASE | re.ASCII)
_BOX = re.compile(r"\\boxed\s*\{")
_TEXT = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf)\s*\{")
_BRACE = re.compile(r"[{}]")


class ReleasedProtocol(TagProtocol):
    """The released agent's tags. Entries are addressed by their rank in the list last shown."""

    name = "released"
    default_system = True
    default_tags: ClassVar[Mapping[str, str]] = {
        "create": "add_memory",
        "read": "update_query",
        "update": "modify_memory",
        "delete": "delete_memory",
        "scratchpad": "update_memory",
        "answer": "final_answer",
    }

    def _parse_update(self, tag: Tag, observation: Observation | None) -> Operation:
        head = _NUMBERED.match(tag.content)
        if head is None:
            raise FormError("it does not begin with the number of a memory shown, such as 'Memory 2:'")
        return Update(_id(int(head.group(1)), observation), tag.content[head.end() :].strip())

    def _parse_delete(self, tag: Tag, observation: Observation | None) -> Operation:
        head = _NUMBER.match(tag.content)
        if head is None:
            raise FormError("it does not begin with the number of a memory shown, such as 'Memory 2'")
        return Delete(_id(int(head.group(1)), observation))

    def _parse_answer(self, content: str) -> str:
        return _boxed(content)

    def _entry_text(self, operation: Update | Delete, observation: Observation | None) -> str:
        ids = _shown(observation)
        if operation.id not in ids:
            raise ValueError(
                f"the protocol {self.name!r} cannot write {operation!r}: entries are addressed by their rank "
                f"among those shown, and these are {ids}; Read the entry first, or use another protocol"
            )
        rank = ids.index(operation.id) + 1
        if isinstance(operation, Delete):
            return self._wrap("delete", f"Memory {rank}")
        return self._wrap("update", f"Memory {rank}: {operation.content}")

    def _answer_text(self, content: str) -> str:
        boxed = f"\\boxed{{{content}}}"
        try:
            return boxed if _boxed(boxed) == content else content
        except FormError:
            return content


def _shown(observation: Observation | None) -> list[int]:
    return [int(hit["id"]) for hit in observation["retrieved"]] if observation is not None else []


def _id(rank: int, observation: Observation | None) -> int:
    ids = _shown(observation)
    if not 1 <= rank <= len(ids):
        raise FormError(f"there is no memory {rank} among the {len(ids)} shown")
    return ids[rank - 1]


def _boxed(content: str) -> str:
    """Return what the last box of ``content`` holds, or ``content`` when it has none."""
    start = 0
    answer = content
    while (box := _BOX.search(content, start)) is not None:
        end = _brace_end(content, box.end())
        if end is None:
            raise FormError("\\boxed{ is not closed by }")
        answer, start = content[box.end() : end].strip(), end + 1
    wrapped = _TEXT.match(answer) if start else None
    if wrapped is not None and _brace_end(answer, wrapped.end()) == len(answer) - 1:
        return answer[wrapped.end() : -1].strip()
    return answer


def _brace_end(text: str, start: int) -> int | None:
    """Return the position of the brace that closes the one before ``start``, or ``None``."""
    depth = 1
    for brace in _BRACE.finditer(text, start):
        depth += 1 if brace.group() == "{" else -1
        if depth == 0:
            return brace.start()
    return None
