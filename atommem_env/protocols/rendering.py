"""Puts prompts together: from an observation, the environment's rules, and the data files in ``prompts/``.

A *template* is text with ``$name`` placeholders (``string.Template``; ``$$`` is a dollar sign). A paragraph
all of whose placeholders are empty, for example the scratchpad where there is none, is left out.
``prompts/prompt.txt`` is the template of a complete prompt and shows what can be said; ``prompts/turn.txt``
is that of the user turn, ``$turn``. The wording of the rest is in ``prompts/phrases.txt`` and, for a
protocol's own forms, in ``prompts/<protocol>.txt``.
"""

from __future__ import annotations

import abc
import functools
import importlib.resources
import os
import re
import string
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, cast

from atommem_env.core.operations import SCRATCHPAD, Answer, Create, Delete, Operation, Read, Update
from atommem_env.core.rules import DEFAULT_RULES, Rules
from atommem_env.core.types import Observation
from atommem_env.protocols.base import Malformed, Protocol

STANDING: Final = ("history", "memory", "operations", "forms", "moving", "reply")
"""The placeholders of the standing instructions."""

TURN: Final = (
    "position",
    "looks",
    "questions",
    "results",
    "size",
    "scratchpad",
    "queries",
    "retrieved",
    "chunk",
    "closing",
)
"""The placeholders of what an observation says; ``$turn`` is all of them."""

BRIEF: Final = "brief"
"""The name of the built-in prompt that gives the operations' forms and no word more: ``prompts/brief.txt``."""

_NEEDED: Final = ("looks", "questions", "results", "size", "scratchpad", "retrieved", "chunk")
_PARAGRAPH = re.compile(r"\n[ \t]*\n\s*")
_SECTION = re.compile(r"^\[([a-z_.]+)\]$", re.MULTILINE)


def placeholders(text: str, source: str) -> set[str]:
    """Return the names of the placeholders of a template.

    Args:
        text: the template.
        source: what to call it in errors.

    Raises:
        ValueError: when a ``$`` begins none; names the line.
    """
    names = set()
    for match in string.Template.pattern.finditer(text):
        if match["invalid"] is not None:
            line = text.count("\n", 0, match.start()) + 1
            raise ValueError(
                f"{source}, line {line}: a $ that begins no placeholder; write $$ for a dollar sign"
            )
        names.add(match["named"] or match["braced"] or "")
    return names - {""}


class PromptTemplate:
    """A checked template.

    Args:
        text: the template.
        source: what to call it in errors.
        allowed: the placeholders that there are.
        needed: those that must be there; ``$turn`` stands for all of them.

    Raises:
        ValueError: when a placeholder is unknown or missing, or a ``$`` begins none.
    """

    def __init__(self, text: str, source: str, allowed: Sequence[str], needed: Sequence[str] = ()) -> None:
        names = placeholders(text, source)
        unknown = sorted(names - set(allowed))
        if unknown:
            raise ValueError(f"{source}: unknown placeholder ${unknown[0]}; there are {_list(allowed)}")
        missing = [name for name in needed if name not in names and "turn" not in names]
        if missing:
            raise ValueError(
                f"{source}: the placeholder ${missing[0]} is missing; use $turn, or each of {_list(needed)}"
            )
        self._paragraphs = [paragraph for paragraph in _PARAGRAPH.split(text.strip()) if paragraph]

    def render(self, values: Mapping[str, str]) -> str:
        """Return the text with ``values`` in it, without the paragraphs that have nothing to say."""
        rendered = (_paragraph(paragraph, values) for paragraph in self._paragraphs)
        return "\n\n".join(paragraph for paragraph in rendered if paragraph is not None)


def _paragraph(paragraph: str, values: Mapping[str, str]) -> str | None:
    names = [m["named"] or m["braced"] for m in string.Template.pattern.finditer(paragraph)]
    used = [values[name] for name in names if name]
    if used and not any(used):
        return None
    return string.Template(paragraph).substitute(values).strip("\n")


def _list(names: Sequence[str]) -> str:
    return ", ".join(f"${name}" for name in names)


def read_template(template: str | os.PathLike[str] | None, default: str, argument: str) -> tuple[str, str]:
    """Return a template's text and what to call it.

    Args:
        template: the text itself (anything with a ``$`` or a line break in it), the path of a file, ``"brief"``
            for ``prompts/brief.txt``, or ``None`` for the data file ``default``.
        default: a file of ``prompts/``.
        argument: the name of the argument, for errors.

    Raises:
        ValueError: when there is no such file, and the argument is not text of a template either.
    """
    if template is None:
        return _data(default), f"prompts/{default}"
    if template == BRIEF:
        return _data(f"{BRIEF}.txt"), f"prompts/{BRIEF}.txt"
    if isinstance(template, str) and ("$" in template or "\n" in template):
        return template, argument
    try:
        return Path(template).read_text(encoding="utf-8"), f"{argument}={os.fspath(template)!r}"
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{argument}={template!r}: expected the path of a text file in UTF-8, or a text with "
            f"placeholders such as $turn ({error})"
        ) from error


@functools.lru_cache(maxsize=32)
def _data(name: str) -> str:
    return (importlib.resources.files("atommem_env.protocols") / "prompts" / name).read_text(encoding="utf-8")


@functools.lru_cache(maxsize=32)
def _sections(name: str) -> dict[str, str]:
    """Return the sections of a data file by name."""
    parts = _SECTION.split(_data(name))[1:]
    return {key: text.strip("\n") for key, text in zip(parts[::2], parts[1::2], strict=True)}


class TemplateProtocol(Protocol):
    """A protocol whose prompts are templates. A subclass adds its forms (``prompts/<name>.txt``) and parsing.

    Args:
        template: the complete prompt: the path of a file, or the text itself; ``None`` for the built-in one, and
            ``"brief"`` for the built-in short one.
        delta_template: the same for the user turn that is appended to a conversation.
        system: whether the standing instructions go into a separate message, with the role ``system``
            (``None``: as the protocol's agents are used to it). Such a prompt is a template's text before
            ``$turn``, so ``$turn`` must come last.

    Raises:
        ValueError: when a template has an unknown placeholder or lacks one, or cannot be split.
    """

    default_system: ClassVar[bool] = False

    def __init__(
        self,
        *,
        template: str | os.PathLike[str] | None = None,
        delta_template: str | os.PathLike[str] | None = None,
        system: bool | None = None,
    ) -> None:
        text, source = read_template(template, "prompt.txt", "template")
        self._prompt = PromptTemplate(text, source, (*STANDING, "turn", *TURN), _NEEDED)
        delta, delta_source = read_template(delta_template, "turn.txt", "delta_template")
        self._delta = PromptTemplate(delta, delta_source, ("turn", *TURN), _NEEDED)
        self._turn = PromptTemplate(_data("turn.txt"), "prompts/turn.txt", TURN)
        self._instructions = self._split(text, source, system)
        self._phrases = {**_sections("phrases.txt"), **_sections(f"{self.name}.txt")}

    def _split(self, text: str, source: str, system: bool | None) -> PromptTemplate | None:
        """Return the part of the template that goes into the system message, if there is to be one."""
        head, found, tail = text.rstrip().rpartition("$turn")
        splits = bool(found) and not tail and not re.search(rf"\$\{{?({'|'.join(('turn', *TURN))})\b", head)
        if system and not splits:
            raise ValueError(
                f"{source}: with system=True, $turn must come last and the facts of a turn nowhere else"
            )
        wanted = self.default_system if system is None else system
        return PromptTemplate(head, source, STANDING) if wanted and splits else None

    @abc.abstractmethod
    def labels(self) -> dict[str, str]:
        """Return how the prompt calls each kind of operation, and writing the ``scratchpad``."""

    def render_prompt(
        self,
        observation: Observation,
        rules: Rules = DEFAULT_RULES,
        *,
        history: bool = False,
        malformed: Sequence[Malformed] = (),
    ) -> list[dict[str, str]]:
        """Return the messages of a complete prompt: the user's and, before it, the system's if there is one."""
        facts = self._facts(observation, rules, malformed)
        standing = self._standing(observation, rules, history)
        if self._instructions is not None:
            return [
                {"role": "system", "content": self._instructions.render(standing)},
                {"role": "user", "content": facts["turn"]},
            ]
        values = {**facts, **standing}
        return [{"role": "user", "content": self._prompt.render(values)}]

    def render_delta(
        self,
        observation: Observation,
        rules: Rules = DEFAULT_RULES,
        *,
        malformed: Sequence[Malformed] = (),
    ) -> str:
        """Return the user turn for ``observation`` without the standing instructions.

        A chunk that the same position has shown before, as the looks left say, is not repeated.
        """
        again = int(observation["looks_left"]) < rules.max_looks and bool(observation["chunk"])
        return self._delta.render(self._facts(observation, rules, malformed, again))

    # --- the standing instructions ------------------------------------------------------------------

    def _standing(self, observation: Observation, rules: Rules, history: bool) -> dict[str, str]:
        labels = {role: f"`{label}`" for role, label in self.labels().items()}
        values = {name: str(value) for name, value in rules.as_dict().items()}
        values = {**values, **labels, "capacity": str(observation["capacity"])}
        lines = {
            "memory": self._memory_phrases(observation, rules),
            "moving": self._moving_phrases(rules),
        }
        texts = {
            name: "\n".join(self._say(phrase, values) for phrase in names) for name, names in lines.items()
        }
        return {
            **texts,
            "history": self._say("history.kept" if history else "history.none", {}),
            "forms": "\n".join(self._say(f"form.{role}", self.labels()) for role in rules.enabled),
            "operations": "\n\n".join(self._describe(role, values) for role in rules.enabled),
            "reply": self._say("reply", {**values, "example": self._example(observation, rules)}),
        }

    def _describe(self, role: str, values: Mapping[str, str]) -> str:
        form = self._say(f"form.{role}", self.labels())
        return self._say(f"operation.{role}", {**values, "form": form})

    @staticmethod
    def _memory_phrases(observation: Observation, rules: Rules) -> list[str]:
        phrases = []
        if rules.storage:
            phrases.append("memory.store")
            if rules.entry_tokens is not None:
                phrases.append("memory.entry_limit")
            if observation["capacity"]:
                phrases.append(f"memory.{rules.overflow}")
        if rules.scratchpad:
            phrases.append("memory.scratchpad")
            if rules.scratchpad_tokens is not None:
                phrases.append("memory.scratchpad_limit")
        return phrases or ["memory.nothing"]

    @staticmethod
    def _moving_phrases(rules: Rules) -> list[str]:
        phrases = ["moving.refused"]
        phrases += ["moving.look", "moving.on"] if rules.allows("read") else ["moving.on_always"]
        phrases += ["moving.early"] if rules.early_answer else []
        phrases += ["moving.stream"] if rules.stream else []
        return [*phrases, "moving.answer", "moving.limit"]

    def _example(self, observation: Observation, rules: Rules) -> str:
        """Return a reply, in this protocol's form, of operations that are enabled."""
        operations: list[Operation] = []
        if int(observation["phase"]):
            operations = [Answer("Ines Okafor")]
        else:
            if rules.allows("create"):
                operations.append(Create("The Harbour Bridge of Vantor was designed by Ines Okafor in 1931."))
            if rules.allows("update"):
                operations.append(Update(3, "Ines Okafor (1898-1970), engineer, born in Vantor."))
            if rules.scratchpad:
                operations.append(
                    Update(SCRATCHPAD, "1. Designer of the bridge: Ines Okafor. 2. Nothing yet.")
                )
            if not operations and rules.allows("read"):
                operations.append(Read("Harbour Bridge Vantor"))
            if not operations and rules.allows("delete"):
                operations.append(Delete(3))
        shown = cast("Observation", {"retrieved": [{"id": id} for id in (1, 2, 3)]})
        return self.render_operations(operations, shown)

    # --- what an observation says -------------------------------------------------------------------

    def _facts(
        self,
        observation: Observation,
        rules: Rules,
        malformed: Sequence[Malformed],
        again: bool = False,
    ) -> dict[str, str]:
        facts = {
            **self._place(observation, rules, again),
            "questions": self._questions(observation, rules),
            "results": self._results(observation, malformed),
            "size": self._size(observation, rules),
            "scratchpad": self._scratchpad(observation, rules),
            "queries": self._queries(observation, rules),
            "retrieved": self._retrieved(observation, rules),
            "chunk": "" if again else observation["chunk"],
        }
        return {**facts, "turn": self._turn.render(facts)}

    def _place(self, observation: Observation, rules: Rules, again: bool) -> dict[str, str]:
        if not observation["questions"] and int(observation["phase"]):
            return {"position": self._say("position.over", {}), "looks": "", "closing": ""}
        answering, left = bool(observation["phase"]), int(observation["looks_left"])
        phase = "answering" if answering else "reading"
        apart = answering and rules.isolate_questions
        searches = rules.allows("read")
        if answering:
            closing = "closing.answering" if left and searches else "closing.answering_last"
        else:
            closing = "closing.reading_again" if again else "closing.reading"
        looks = "looks.some" if left else f"looks.{phase}_none"
        counts = {key: str(observation[key]) for key in ("num_chunks", "num_questions", "looks_left")}
        place = "position.answering_apart" if apart else f"position.{phase}"
        return {
            "position": self._say(place, {**counts, "number": str(int(observation["cursor"]) + 1)}),
            "looks": self._say(looks, counts) if answering or searches else "",
            "closing": self._say(closing, {}),
        }

    def _questions(self, observation: Observation, rules: Rules) -> str:
        if (
            not observation["questions"]
            and not int(observation["phase"])
            and rules.questions_shown == "when_asked"
        ):
            return self._phrases["questions.between" if rules.stream else "questions.later"]
        if rules.isolate_questions and int(observation["phase"]):  # its number says what was asked before
            return "\n".join(observation["questions"])
        return _numbered(observation)

    def _results(self, observation: Observation, malformed: Sequence[Malformed]) -> str:
        lines = [self._result(result) for result in observation["results"]]
        lines += [
            self._say("not_understood", {"text": piece.text, "reason": piece.reason}) for piece in malformed
        ]
        if not lines:
            return self._phrases["results.none"]
        return "\n".join(f"{number}. {line}" for number, line in enumerate(lines, 1))

    def _result(self, result: Mapping[str, Any]) -> str:
        kind, id = result["op"], result["id"]
        on_scratchpad = kind in ("update", "delete") and id == SCRATCHPAD
        role = "scratchpad" if on_scratchpad else kind
        label = self._phrases["no_label"] if role is None else self.labels()[role]
        values = {"label": label, "id": str(id), "evicted": str(result["evicted"])}
        if not result["ok"]:
            values["reason"] = self._phrases[f"reason.{result['reason']}"]
            return self._say("refused" if on_scratchpad or id is None else "refused.entry", values)
        if on_scratchpad:
            return self._say(f"done.scratchpad_{'written' if kind == 'update' else 'cleared'}", values)
        return self._say("done.evicted" if result["evicted"] is not None else f"done.{kind}", values)

    def _size(self, observation: Observation, rules: Rules) -> str:
        size, capacity = int(observation["memory_size"]), int(observation["capacity"])
        if not rules.storage:
            return self._phrases["size.nothing"]
        phrase = "unbounded" if not capacity else "full" if size >= capacity else "bounded"
        return self._say(f"size.{phrase}", {"memory_size": str(size), "capacity": str(capacity)})

    def _scratchpad(self, observation: Observation, rules: Rules) -> str:
        if not rules.scratchpad:
            return ""
        return observation["scratchpad"] or self._phrases["scratchpad.empty"]

    def _queries(self, observation: Observation, rules: Rules) -> str:
        if not rules.allows("read"):
            return ""
        if not observation["queries"]:
            return self._phrases["queries.none"]
        return "\n".join(f"{number}. {query}" for number, query in enumerate(observation["queries"], 1))

    def _retrieved(self, observation: Observation, rules: Rules) -> str:
        if not rules.allows("read"):
            return ""
        lines = [
            self._say("retrieved.entry", {"rank": str(rank), "id": str(hit["id"]), "content": hit["content"]})
            for rank, hit in enumerate(observation["retrieved"], 1)
        ]
        return "\n".join(lines) or self._phrases["retrieved.none"]

    def _say(self, phrase: str, values: Mapping[str, str]) -> str:
        return string.Template(self._phrases[phrase]).substitute(values)


def _numbered(observation: Observation) -> str:
    """Return the questions, each with its number in the task."""
    first = int(observation["cursor"]) + 1 if int(observation["phase"]) else 1
    return "\n".join(
        f"{number}. {question}" for number, question in enumerate(observation["questions"], first)
    )
