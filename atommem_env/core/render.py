"""A step as text for people: chunk, memory, looks and results, for ``render_mode`` and ``atommem show``."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from atommem_env.core.safe_text import cut, one_line, terminal
from atommem_env.core.types import Observation

_BOLD, _DIM, _RED, _GREEN, _CYAN, _OFF = "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[36m", "\x1b[0m"
_MOST_ENTRIES = 12


def result_text(result: Mapping[str, Any]) -> str:
    """Return the result of one operation in a few words, for example ``update 7 refused: unknown_id``."""
    what = one_line(str(result["op"] or "operation"))
    if result["id"] is not None:
        what += (
            " scratchpad"
            if result["id"] == 0 and result["op"] in ("update", "delete")
            else f" {result['id']}"
        )
    if not result["ok"]:
        return f"{what} refused: {result['reason']}"
    return what if result["evicted"] is None else f"{what} (evicted {result['evicted']})"


def render_text(
    observation: Observation, entries: Mapping[int, str], colour: bool = False, width: int | None = None
) -> str:
    """Return an observation, and the entries of the store, as a page of text.

    Args:
        observation: an environment's observation.
        entries: the store's entries by id.
        colour: whether to use ANSI colours.
        width: the number of columns; ``None`` asks the terminal.
    """
    columns = width or min(120, shutil.get_terminal_size((100, 24)).columns)
    page = _Page(columns, colour)
    reading = observation["phase"] == 0
    over = not reading and observation["cursor"] >= observation["num_questions"]
    if over:
        page.title("the episode is over")
    elif reading:
        page.title(f"reading chunk {observation['cursor'] + 1} of {observation['num_chunks']}")
    else:
        page.title(f"answering question {observation['cursor'] + 1} of {observation['num_questions']}")
    for question in observation["questions"]:
        page.line("?", question)
    if observation["chunk"]:
        page.block("chunk", observation["chunk"])
    page.head("results of the last action")
    for result in observation["results"]:
        page.line("+" if result["ok"] else "x", result_text(result), _GREEN if result["ok"] else _RED)
    bound = f" of {observation['capacity']}" if observation["capacity"] else ""
    page.head(f"memory: {observation['memory_size']}{bound} entries, looks left: {observation['looks_left']}")
    page.line("0", observation["scratchpad"] or "(the scratchpad is empty)")
    newest = sorted(entries)[-_MOST_ENTRIES:]
    if len(newest) < len(entries):
        page.line(" ", f"({len(entries) - len(newest)} older entries not shown)")
    for id in newest:
        page.line(str(id), entries[id])
    if observation["queries"]:
        page.head("retrieved")
        for number, query in enumerate(observation["queries"]):
            page.line("q", query)
            for row in observation["retrieved"]:
                if row["query"] == number:
                    page.line(f"  {row['id']}", f"({row['score']:.2f}) {row['content']}")
    return page.text()


class _Page:
    def __init__(self, width: int, colour: bool) -> None:
        self._width = width
        self._colour = colour
        self._lines: list[str] = []

    def title(self, text: str) -> None:
        self._lines += [self._paint(f"== {text} ".ljust(self._width, "="), _BOLD)]

    def head(self, text: str) -> None:
        self._lines += [self._paint(text, _CYAN)]

    def line(self, mark: str, text: str, style: str = "") -> None:
        self._lines.append(self._paint(f"  {mark} {cut(text, self._width - len(mark) - 3)}", style))

    def block(self, name: str, text: str, most: int = 8) -> None:
        self.head(f"{name} ({len(text)} characters)")
        lines = [
            line
            for part in terminal(text).splitlines()
            for line in textwrap.wrap(part, self._width - 2) or [""]
        ]
        kept: Sequence[str] = lines if len(lines) <= most else [*lines[: most - 3], "…", *lines[-2:]]
        self._lines += [self._paint(f"  {line}", _DIM) for line in kept]

    def text(self) -> str:
        return "\n".join(self._lines) + "\n"

    def _paint(self, text: str, style: str) -> str:
        return f"{style}{text}{_OFF}" if self._colour and style else text
