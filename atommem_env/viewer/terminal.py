"""One episode, step by step, as lines for the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from atommem_env.core.render import result_text
from atommem_env.core.safe_text import cut, one_line, terminal
from atommem_env.core.types import Gold, Metrics, Observation, QuestionMetrics
from atommem_env.evidence import STAGES, EvidenceUnit, Matcher, WordShares, gold_units
from atommem_env.policies import Trace
from atommem_env.runs.errors import RunError
from atommem_env.tasks.documents import DocumentPiece, split_documents

Line = tuple[str, str]
"""A style, in the words of ``rich``, and a text."""

_MOST = 12
"""The operations of a step that are shown when the view is not full."""

_LABEL = 12


@dataclass(frozen=True)
class View:
    """How much of an episode to show.

    Attributes:
        width: the number of columns.
        full: whether to show texts and operations whole.
        gold: whether to show the gold answers and evidence first, number the units of evidence, and mark each
            text that holds one with its number.
        first: the first step shown, from 1.
        last: the last step shown, ``None``: the episode's last.
        word_shares: the environment's, or ``None``: every word is rare.
    """

    width: int = 120
    full: bool = False
    gold: bool = False
    first: int = 1
    last: int | None = None
    word_shares: WordShares | None = None


class _Marks:
    """Says which units of evidence a text holds, as ``[e1 e3]``; says nothing when there is none to look for."""

    def __init__(self, units: Sequence[EvidenceUnit], word_shares: WordShares | None) -> None:
        self._matcher = Matcher(units, word_shares)

    def of(self, text: str) -> str:
        held = self._matcher.held(text)
        return f"[{' '.join(f'e{unit + 1}' for unit in held)}] " if held else ""


def parse_steps(text: str) -> tuple[int, int | None]:
    """Return the first and last step that ``text`` names: ``3``, ``3:7``, ``3:`` or ``:7``, from 1.

    Raises:
        RunError: when it has another form.
    """
    first, colon, last = text.partition(":")
    try:
        low = int(first) if first else 1
        high = int(last) if last else (None if colon else low)
    except ValueError:
        low, high = 0, None
    if low < 1 or (high is not None and high < low) or not (first or last):
        raise RunError(f"steps {text!r}: expected a step such as 3, or a range such as 3:7, 3: or :7, from 1")
    return low, high


def episode_lines(trace: Trace, title: str, view: View) -> Iterator[Line]:
    """Yield the lines of an episode: what it asks, its steps, and how each question ended."""
    yield "bold", one_line(title)
    yield "dim", one_line(f"task {trace.task_index} ({trace.task_id})") + "  ·  " + one_line(trace.source)
    yield "", ""
    questions = trace.metrics["questions"]
    rules = trace.infos[0].get("rules")
    unseen = rules is not None and rules.questions_shown == "when_asked"
    if unseen:
        yield _labelled("questions", f"{len(questions)}, shown to the policy when they are asked")
    else:
        for number, question in enumerate(questions, 1):
            yield from _wrapped(f"question {number}", question["question"], view)
    gold = trace.infos[0]["gold"] if view.gold else []
    yield from _gold_lines(gold, view)
    marks = _Marks(gold_units(gold), view.word_shares)
    contents = _contents(trace)
    last = len(trace.actions) if view.last is None else min(view.last, len(trace.actions))
    for step in range(view.first, last + 1):
        yield "", ""
        yield from _step_lines(trace, step, view, marks, contents)
    hidden = len(trace.actions) - max(0, last - view.first + 1)
    if hidden:
        yield "", ""
        yield "dim", f"{hidden} of {len(trace.actions)} steps not shown"
    yield "", ""
    asked = _asked(trace, view.first, last) if unseen and hidden else set(range(len(questions)))
    yield from _outcome_lines(trace.metrics, view, asked)


def _asked(trace: Trace, first: int, last: int) -> set[int]:
    """Return the numbers, from 0, of the questions that steps ``first`` to ``last`` answer."""
    shown = (each for each in trace.observations[first - 1 : last] if isinstance(each, Mapping))
    return {observation["cursor"] for observation in shown if observation["phase"] == 1}


# --- a step -----------------------------------------------------------------------------------------


def _step_lines(
    trace: Trace, step: int, view: View, marks: _Marks, contents: Mapping[int, str]
) -> Iterator[Line]:
    observation = trace.observations[step - 1]
    if not isinstance(observation, Mapping):  # a wrapper's own form, such as the text of a protocol
        yield _rule(f"step {step}", view)
        yield from _wrapped("observation", str(observation), view)
    elif observation["phase"] == 0:
        yield _rule(
            f"step {step}: reading chunk {observation['cursor'] + 1} of {observation['num_chunks']}", view
        )
        yield from _chunk_lines(observation["chunk"], contents[observation["cursor"]], view)
        yield from _memory_lines(cast("Observation", observation), view, marks)
    else:
        number, total = observation["cursor"] + 1, observation["num_questions"]
        yield _rule(f"step {step}: answering question {number} of {total}", view)
        yield from _wrapped("question", observation["questions"][0], view)
        yield from _memory_lines(cast("Observation", observation), view, marks)
    yield from _action_lines(trace.actions[step - 1], trace.infos[step]["results"], view, marks)


def _contents(trace: Trace) -> dict[int, str]:
    """Return for each chunk by its number, from 0, which documents or sessions it shows, and of how many."""
    shown: dict[int, list[DocumentPiece]] = {}
    number = 0
    for observation in trace.observations:
        if (
            isinstance(observation, Mapping)
            and observation["phase"] == 0
            and observation["cursor"] not in shown
        ):
            pieces = split_documents(observation["chunk"])
            numbered = []
            for piece in pieces:  # one without a header goes on with the last
                number = number if piece.number is None else piece.number
                numbered.append(piece._replace(number=number))
            shown[observation["cursor"]] = numbered
    return {cursor: _content(pieces, number) for cursor, pieces in shown.items()}


def _content(pieces: Sequence[DocumentPiece], total: int) -> str:
    numbers = [piece.number for piece in pieces if piece.number]
    if not numbers:
        return ""
    what = "session" if pieces[0].turns else "document"
    if numbers[0] != numbers[-1]:
        return f", {what}s {numbers[0]} to {numbers[-1]} of {total}"
    date = f" ({pieces[0].date})" if pieces[0].date else ""
    return f", {what} {numbers[0]} of {total}{date}"


def _chunk_lines(chunk: str, content: str, view: View) -> Iterator[Line]:
    yield _labelled("chunk", f"{len(chunk)} characters{content}")
    if view.full:
        for line in terminal(chunk).splitlines():
            yield from _wrapped("", line, view, "dim")
    else:
        yield _labelled("", cut(chunk, view.width - _LABEL), "dim")


def _memory_lines(observation: Observation, view: View, marks: _Marks) -> Iterator[Line]:
    size, bound = observation["memory_size"], observation["capacity"]
    entries = f"{size} of {bound} entries" if bound else count_of(size, "entry", "entries")
    yield _labelled("memory", f"{entries}, {count_of(observation['looks_left'], 'look')} left")
    scratchpad = observation["scratchpad"]
    if scratchpad:
        yield from _text_lines("scratchpad", f"{marks.of(scratchpad)}{scratchpad}", view)
    for number, query in enumerate(observation["queries"]):
        found = [row for row in observation["retrieved"] if row["query"] == number]
        yield from _text_lines("query", query, view)
        if not found:
            yield _labelled("", "no entry found", "dim")
        for row in found:
            text = f"{row['id']} ({row['score']:.2f}): {marks.of(row['content'])}{row['content']}"
            yield from _text_lines("", text, view)


def _action_lines(
    action: str | Sequence[Mapping[str, Any]], results: Sequence[Any], view: View, marks: _Marks
) -> Iterator[Line]:
    if isinstance(action, str):
        yield from _text_lines("action", action, view)
        return
    counts: dict[str, int] = {}
    for operation in action:
        kind = str(operation["op"] or "malformed")
        counts[kind] = counts.get(kind, 0) + 1
    said = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    yield _labelled("action", said or "no operation", "" if said else "dim")
    written = [marks.of(operation.get("content", "")) for operation in action]
    shown = _shown(written, view)
    for number in shown:
        operation, result = action[number], results[number]
        mark, style = ("+", "green") if result.ok else ("x", "red")
        text = written[number] + operation.get("content", operation.get("query", ""))
        yield from _text_lines(
            "", f"{mark} {result_text(result.as_dict())}" + (f": {text}" if text else ""), view, style
        )
    if len(shown) < len(action):
        refused = sum(not results[number].ok for number in range(len(action)) if number not in shown)
        also = f", {refused} of them refused" if refused else ""
        yield _labelled("", f"and {len(action) - len(shown)} more{also}", "dim")


def _shown(marks: Sequence[str], view: View) -> list[int]:
    """Return which operations to show, in their order: all, or the first few and those that are marked."""
    numbers = list(range(len(marks)))
    if view.full or len(numbers) <= _MOST:
        return numbers
    return [number for number in numbers if number < _MOST - 2 or marks[number]]


# --- before and after the steps ---------------------------------------------------------------------


def _gold_lines(gold: Sequence[Gold], view: View) -> Iterator[Line]:
    unit_number = 0
    for number, answer in enumerate(gold, 1):
        yield "", ""
        yield from _wrapped(f"gold {number}", " | ".join(answer["answers"]), view, "green")
        for unit in answer["evidence"]:
            unit_number += 1
            chunks = [str(chunk + 1) for chunk in unit["chunks"]]
            where = f"chunk {chunks[0]}" if len(chunks) == 1 else f"chunks {', '.join(chunks)}"
            yield from _wrapped("", f"[e{unit_number}] {unit['title']} ({where}): {unit['sentence']}", view)


def _outcome_lines(metrics: Metrics, view: View, asked: set[int]) -> Iterator[Line]:
    yield _rule("outcome", view)
    for number, question in enumerate(metrics["questions"], 1):
        if number - 1 not in asked:
            continue
        right = question["em"] == 1.0
        yield from _wrapped(f"question {number}", question["question"], view)
        answer = "(forfeited)" if question["prediction"] is None else question["prediction"]
        yield from _wrapped("prediction", answer, view, "green" if right else "red")
        yield from _wrapped("gold", " | ".join(question["answers"]), view)
        yield _labelled(
            "scores", f"EM {question['em']:.0f}, F1 {question['f1']:.2f}, cover EM {question['cover_em']:.0f}"
        )
        yield _labelled("evidence", _funnel(question), "dim")
        yield "", ""
    if len(asked) < len(metrics["questions"]):
        yield (
            "dim",
            f"{len(metrics['questions']) - len(asked)} of {len(metrics['questions'])} questions not shown",
        )
        yield "", ""
    refused = {reason: count for reason, count in metrics["refused"].items() if count}
    yield (
        "bold",
        f"EM {100 * metrics['em']:.1f}  F1 {100 * metrics['f1']:.1f}  cover EM {100 * metrics['cover_em']:.1f}",
    )
    yield (
        "",
        f"{count_of(metrics['steps'], 'step')}, {count_of(metrics['looks'], 'look')}, "
        f"at most {count_of(metrics['memory_peak'], 'entry', 'entries')}, "
        f"{count_of(metrics['entries_shown'], 'entry', 'entries')} shown, refused: "
        + (", ".join(f"{count} {reason}" for reason, count in refused.items()) or "none"),
    )


def _funnel(question: QuestionMetrics) -> str:
    count = question["num_evidence"]
    if not count:
        return "not in the data"
    if question["evidence"]["seen"] is None:
        return "says nothing: the policy keeps text outside memory"
    reached = cast("Mapping[str, float]", question["evidence"])
    shares = [f"{stage} {reached[stage] * count:.0f}" for stage in STAGES]
    return f"of {count}: {', '.join(shares)}"


def count_of(number: int, one: str, many: str = "") -> str:
    """Return ``number`` with its noun, for example ``1 look`` or ``2 looks``."""
    return f"{number} {one if number == 1 else many or one + 's'}"


# --- lines ------------------------------------------------------------------------------------------


def _rule(text: str, view: View) -> Line:
    return "bold cyan", f"── {text} ".ljust(view.width, "─")


def _labelled(label: str, text: str, style: str = "") -> Line:
    return style, f"{label:<{_LABEL}}{one_line(text)}".rstrip()


def _text_lines(label: str, text: str, view: View, style: str = "") -> Iterator[Line]:
    """Yield ``text`` on one line, or whole when the view is full."""
    if view.full:
        yield from _wrapped(label, text, view, style)
    else:
        yield _labelled(label, cut(text, view.width - _LABEL), style)


def _wrapped(label: str, text: str, view: View, style: str = "") -> Iterator[Line]:
    lines = textwrap.wrap(one_line(text), max(20, view.width - _LABEL)) or [""]
    for number, line in enumerate(lines):
        yield _labelled("" if number else label, line, style)
