"""The engines with a language model: each ability is a prompt to an OpenAI-compatible endpoint, or to a model here.

The prompts are the files of ``prompts/``, any of which ``ChatSettings(prompts=FOLDER)`` replaces. Replies of
several parts are asked for as JSON and read leniently (:mod:`atommem_env.llm.json_reply`). A reply that cannot
be read, or is empty, never raises: each ability says what it returns then, ``costs()`` counts it as
``unparsed``, and ``unreadable()`` says how many of each ability's were. ``take_said()`` hands out what was said.
An endpoint that fails raises :class:`atommem_env.llm.ChatError`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, cast

from atommem_env.baselines.engines.answers import short_answer
from atommem_env.baselines.engines.engine import (
    CoreEdit,
    Edit,
    Engine,
    Evolution,
    Insight,
    NeighbourEdit,
    NoteDescription,
    State,
)
from atommem_env.llm import ChatSettings, LocalSettings, ModelSettings, open_chat
from atommem_env.llm.json_reply import integer, one_text, read_list, read_object, strings, texts
from atommem_env.llm.prompts import Prompts
from atommem_env.text import PieceTokenizer, Tokenizer, sentence_spans

UNKNOWN: Final = "unknown"
"""The answer where the model gave none."""

_COUNTS: Final = ("calls", "prompt_tokens", "completion_tokens", "cached_tokens", "cached", "unparsed")
_WORDS_PER_TOKEN: Final = 0.7
_KINDS: Final = ("add", "update", "delete", "none")
_KIND_KEYS: Final = ("kind", "event", "action", "op", "operation", "type", "edit")
_SAME_KINDS: Final = {
    "noop": "none",
    "no change": "none",
    "keep": "none",
    "remove": "delete",
    "insert": "add",
    "modify": "update",
}
_TEXT_KEYS: Final = ("text", "new_text", "content", "fact", "memory", "new_memory", "data", "value")
_ENTRY_KEYS: Final = ("entry", "id", "number", "entry_id", "index", "memory_id")
_FENCED = re.compile(r"```[\w+-]*[ \t]*\n(.*?)\n?[ \t]*```", re.DOTALL)
_NO_ANSWER: Final = ("search", "none", "null")
_SCALE = re.compile(r"/\s*10\b|\b1\s*(?:to|-|–)\s*10\b|\bout of (?:10|ten)\b")
_IMPORTANCE = re.compile(r"(?<![\d.])(?:10|[1-9])(?!\d|\.\d)")
_MIDDLE: Final = 5


def make_llm_engine(settings: ChatSettings | None = None) -> Engine:
    """Return the engine for ``settings``: with all abilities, or, for a base model, with what it can do.

    Args:
        settings: the model and how it is asked; ``None``: ``$ATOMMEM_MODEL``, with the defaults.

    Raises:
        ValueError: when there is no model, no key for OpenAI's own endpoint, or a bad template.
    """
    chosen = settings or ChatSettings.from_environment()
    return CompletionsEngine(chosen) if chosen.route == "completions" else LLMEngine(chosen)


def make_local_engine(settings: LocalSettings | None = None) -> Engine:
    """Return the engine for a model in this process.

    Args:
        settings: the model and how it writes; ``None``: ``$ATOMMEM_MODEL``, with the defaults.

    Raises:
        ValueError: when there is no such model, or a bad template.
        ImportError: when a library is missing; names the pip command.
    """
    return LLMEngine(settings or LocalSettings.from_environment())


class _ModelEngine:
    """Asks a model, and counts what that costs."""

    def __init__(self, settings: ModelSettings | None = None, tokenizer: Tokenizer | None = None) -> None:
        self.settings: ModelSettings = settings or ChatSettings.from_environment()
        self.name = self.settings.name
        self._chat = open_chat(self.settings)
        self._prompts = Prompts(self.settings.prompts)
        self._tokenizer = tokenizer or PieceTokenizer()
        self._counts = Counter[str]()
        self._asked, self._unread = Counter[str](), Counter[str]()
        self._ability = ""
        self._said: list[dict[str, Any]] = []

    def reset_costs(self) -> None:
        """Start counting again, as at the start of an episode."""
        for counter in (self._counts, self._asked, self._unread):
            counter.clear()
        self._said = []

    def unreadable(self) -> dict[str, list[int]]:
        """Return how many replies of each ability could not be read since the last reset, and of how many."""
        return {ability: [self._unread[ability], count] for ability, count in sorted(self._asked.items())}

    def take_said(self) -> list[dict[str, Any]]:
        """Return what the model said since this was last called, in order.

        Returns:
            One object a call: ``ability``; ``reply`` as it came; ``reasoning`` where the server gave it apart;
            ``prompt_tokens`` and ``completion_tokens``; ``finish`` where it is not ``"stop"``; ``read``, false, where
            it could not be read; with ``ChatSettings(keep_prompts=True)`` also ``prompt``, the messages.
        """
        said, self._said = self._said, []
        return said

    def costs(self) -> dict[str, int]:
        """Return what was asked since the last reset.

        Returns:
            ``calls`` to the model, kept replies included; ``prompt_tokens`` and ``completion_tokens``, as the
            server counted them (0 when it does not say; those of kept replies count as when they were made);
            ``cached_tokens``, those of ``prompt_tokens`` that the server had cached;
            ``cached``, how many replies were kept ones; ``unparsed``, how many could not be read.
        """
        return {name: self._counts[name] for name in _COUNTS}

    def _answer(self, name: str, question: str, passages: Sequence[str], stop: Sequence[str] = ()) -> str:
        text = self._ask(name, stop, question=question, passages=_numbered(passages))
        return short_answer(text) or self._unparsed(UNKNOWN)

    def _compress(
        self,
        name: str,
        questions: Sequence[str],
        memory: str,
        chunk: str,
        budget_tokens: int,
        stop: Sequence[str] = (),
    ) -> str:
        text = self._ask(
            name,
            stop,
            questions=_bullets(questions),
            memory=memory or "(none)",
            chunk=chunk,
            budget=_words(budget_tokens),
        )
        return self._cut(
            _prose(text, "note", "memory", "notes", "new_note") or self._unparsed(memory), budget_tokens
        )

    def _ask(self, prompt: str, stop: Sequence[str] = (), **values: object) -> str:
        """Return the model's reply to the template ``prompt``."""
        ability = prompt.rpartition("/")[2]
        ability = "next_state" if ability.startswith("next_state") else ability
        return self._complete(
            ability, [{"role": "user", "content": self._prompts.render(prompt, **values)}], stop
        )

    def _complete(self, ability: str, messages: Sequence[Mapping[str, str]], stop: Sequence[str] = ()) -> str:
        reply = self._chat.complete(messages, stop)
        self._ability = ability
        self._asked[ability] += 1
        said = {
            "ability": ability,
            **({"prompt": [dict(message) for message in messages]} if self.settings.keep_prompts else {}),
            "reply": reply.raw,
            **({"reasoning": reply.reasoning} if reply.reasoning else {}),
            "prompt_tokens": reply.prompt_tokens,
            "completion_tokens": reply.completion_tokens,
            **({} if reply.finish_reason == "stop" else {"finish": reply.finish_reason}),
        }
        self._said.append(said)
        self._counts["calls"] += 1
        self._counts["prompt_tokens"] += reply.prompt_tokens
        self._counts["completion_tokens"] += reply.completion_tokens
        self._counts["cached_tokens"] += reply.cached_tokens
        self._counts["cached"] += reply.cached
        return reply.text

    def _unparsed(self, fallback: Any) -> Any:
        self._counts["unparsed"] += 1
        self._unread[self._ability] += 1
        if self._said:
            self._said[-1]["read"] = False
        return fallback

    def _cut(self, text: str, budget_tokens: int) -> str:
        """Return the beginning of ``text`` that fits: whole sentences, of a single longer one as much as fits."""
        return cut(text, budget_tokens, self._tokenizer)


class CompletionsEngine(_ModelEngine):
    """The abilities of a base model, which goes on with few-shot texts (``prompts/completions/``).

    Args:
        settings: the model, with ``route="completions"``.
        tokenizer: what budgets are counted with; the built-in counter by default.
    """

    def answer(self, question: str, passages: Sequence[str]) -> str:
        """Answer ``question`` from ``passages`` with the first line that the model writes; else ``unknown``."""
        return self._answer("completions/answer", question, passages, ("\n",))

    def compress(self, questions: Sequence[str], memory: str, chunk: str, budget_tokens: int) -> str:
        """Return the new memory, cut after the last sentence that fits; without one, the memory as it was."""
        joined = " ".join(chunk.split())
        return self._compress("completions/compress", questions, memory, joined, budget_tokens, ("\n",))


class LLMEngine(_ModelEngine):
    """All abilities, by a chat model.

    Args:
        settings: the model and how it is asked; ``None``: ``$ATOMMEM_MODEL``, with the defaults.
        tokenizer: what budgets are counted with; the built-in counter by default.
    """

    def answer(self, question: str, passages: Sequence[str]) -> str:
        """Answer ``question`` from ``passages``: the first line of the reply, or what follows "Answer:".

        Without one: ``unknown``.
        """
        return self._answer("answer", question, passages)

    def compress(self, questions: Sequence[str], memory: str, chunk: str, budget_tokens: int) -> str:
        """Return the new memory, cut after the last sentence that fits; without one, the memory as it was."""
        return self._compress("compress", questions, memory, chunk, budget_tokens)

    def rate_importance(self, text: str) -> int:
        """Return the importance of ``text``, 1 to 10; without a number, 5."""
        reply = self._ask("rate_importance", text=text)
        given = (read_object(reply, "importance", "rating", "score") or {"": None}).copy()
        found = next(
            (n for key in ("importance", "rating", "score") if (n := _rated(given.get(key))) is not None),
            None,
        )
        if found is None:
            number = _IMPORTANCE.search(_SCALE.sub(" ", reply))
            found = int(number.group()) if number else self._unparsed(_MIDDLE)
        return min(10, max(1, found))

    def focal_questions(self, texts: Sequence[str], count: int) -> list[str]:
        """Return at most ``count`` questions; without any that can be read, none."""
        reply = self._ask("focal_questions", texts=_numbered(texts), count=count)
        return self._texts(reply, "questions", "question")[:count]

    def insights(self, question: str, texts: Sequence[str], count: int) -> list[Insight]:
        """Return at most ``count`` conclusions; without any that can be read, none."""
        reply = self._ask("insights", question=question, texts=_numbered(texts), count=count)
        items = self._list(reply, "insights")
        found = [
            Insight(text, _integers(item.get("evidence") if isinstance(item, dict) else None))
            for item in [item for item in items if isinstance(item, dict)] or items
            if (text := one_text(item, "text", "insight", "conclusion"))
        ]
        return (found or (self._unparsed([]) if any(items) else []))[:count]

    def extract_facts(self, questions: Sequence[str], chunk: str) -> list[str]:
        """Return the facts; without any that can be read, none."""
        reply = self._ask("extract_facts", questions=_bullets(questions), chunk=chunk)
        return self._texts(reply, "facts", "fact")

    def decide_edits(self, facts: Sequence[str], entries: Sequence[str]) -> list[Edit]:
        """Return the edits; without any that can be read, none.

        Entries are numbered from 0 in the prompt, and a number that the model makes up is kept as it is. Edits
        of an unknown kind are dropped, and so are additions and updates without a text.
        """
        reply = self._ask("decide_edits", facts=_bullets(facts), entries=_numbered(entries))
        items = self._list(reply, "edits", "memory", "operations")
        edits = []
        for item in items:
            edit = _edit(item)
            if edit is not None:
                edits.append(edit)
        return edits or (self._unparsed([]) if any(items) else [])

    def describe_note(self, text: str) -> NoteDescription:
        """Return keywords, tags and context; what cannot be read is empty."""
        found = self._object(self._ask("describe_note", text=text), "keywords", "tags", "context")
        return NoteDescription(
            tuple(_listed(found.get("keywords"))), tuple(_listed(found.get("tags"))), _text(found, "context")
        )

    def evolve(self, note: str, neighbours: Sequence[str]) -> Evolution:
        """Return what the note changes; when that cannot be read, nothing. Neighbours are numbered from 0."""
        reply = self._ask("evolve", note=note, neighbours=_numbered(neighbours))
        found = self._object(reply, "strengthen", "tags", "neighbours")
        edits = {
            number: NeighbourEdit(tuple(_listed(item.get("tags"))), _text(item, "context"))
            for given, item in _by_number(found.get("neighbours"))
            if (number := integer(item.get("number", item.get("id", given)))) is not None
        }
        return Evolution(_integers(found.get("strengthen")), tuple(_listed(found.get("tags"))), edits)

    def keyword_query(self, question: str) -> str:
        """Return the keywords of the reply's first line; without any, the question itself."""
        reply = self._ask("keyword_query", question=question)
        found = read_object(reply, "keywords", "query") or {}
        listed = _listed(found.get("keywords", found.get("query")))
        return ", ".join(listed) or short_answer(reply) or self._unparsed(question)

    def summarize(self, text: str, budget_words: int) -> str:
        """Return the summary, cut after the last sentence that fits; without one, ``text`` so cut."""
        reply = self._ask("summarize", text=text, budget=budget_words)
        return cut(_prose(reply, "summary") or self._unparsed(text), budget_words, _WordCounter())

    def next_state(
        self,
        question: str | None,
        questions: Sequence[str],
        state: str,
        last_query: str,
        information: Sequence[str],
        may_search: bool,
    ) -> State:
        """Return the next state, with a query or an answer when there is a question.

        When the reply cannot be read, the state stays. A reply to a question that has neither an answer nor a
        query that may be carried out answers ``unknown``.
        """
        shown = {"state": state or "(none)", "information": _numbered(information)}
        if question is None:
            reply = self._ask("next_state_reading", questions=_bullets(questions), **shown)
            found = self._object(reply, "state")
            new = _text(found, "state") or "\n".join(strings(found.get("state")))
            return State(new or (self._unparsed(state) if found else state))
        name = "next_state_search" if may_search else "next_state_answer"
        reply = self._ask(name, question=question, last_query=last_query or "(none)", **shown)
        found = self._object(reply, "state", "answer", "query")
        new, answer, query = (_text(found, key) for key in ("state", "answer", "query"))
        new = new or "\n".join(strings(found.get("state")))
        answer = answer or ", ".join(strings(found.get("answer")))
        if found and not answer and not query:
            self._unparsed("")
        if answer or not (query and may_search):
            return State(new or state, answer=short_answer(answer) or UNKNOWN)
        return State(new or state, query=query)

    def manage_core(self, questions: Sequence[str], core: str, recent: str, budget_tokens: int) -> CoreEdit:
        """Return the new core memory, cut after the last sentence that fits, and what goes into the archive.

        When the reply cannot be read, nothing.
        """
        reply = self._ask(
            "manage_core",
            questions=_bullets(questions),
            core=core or "(none)",
            recent=recent,
            budget=_words(budget_tokens),
        )
        found = self._object(reply, "core", "archive")
        new = self._cut(_text(found, "core") or "\n".join(strings(found.get("core"))), budget_tokens)
        return CoreEdit(new or None, tuple(strings(found.get("archive"))))

    def answer_or_search(self, question: str, passages: Sequence[str], core: str) -> str | None:
        """Answer, or ``None`` for the next page: when the reply says so, or is empty."""
        reply = self._ask(
            "answer_or_search", question=question, passages=_numbered(passages), core=core or "(none)"
        )
        answer = short_answer(reply) or self._unparsed("")
        return answer if answer and answer.rstrip(".").casefold() not in _NO_ANSWER else None

    def chat(self, messages: Sequence[Mapping[str, str]]) -> str:
        """Return the model's reply to ``messages``, without its thinking; may be empty."""
        return self._complete("chat", messages)

    def _list(self, reply: str, *keys: str) -> list[Any]:
        """Return the items of the list that a reply gives; one that cannot be read is counted and gives none."""
        found = next((items for key in keys if (items := read_list(reply, key)) is not None), None)
        return self._unparsed([]) if found is None else found

    def _texts(self, reply: str, key: str, item_key: str) -> list[str]:
        """Return the texts of the list that a reply gives, one of each item."""
        items = self._list(reply, key)
        found = [text for item in items if (text := one_text(item, item_key, "text"))]
        return found or (self._unparsed([]) if any(items) else [])

    def _object(self, reply: str, *keys: str) -> dict[str, Any]:
        found = read_object(reply, *keys)
        return self._unparsed({}) if found is None else found


def cut(text: str, budget: int, tokenizer: Tokenizer) -> str:
    """Return ``text`` itself when it has at most ``budget`` tokens, else its beginning that has.

    It ends after a sentence; where even the first is too long, after a token.
    """
    if tokenizer.count(text) <= budget:
        return text
    fitting = ""
    for _, end in sentence_spans(text):
        if tokenizer.count(text[:end]) > budget:
            break
        fitting = text[:end]
    return fitting or text[: int(tokenizer.starts(text)[budget])].rstrip()


class _WordCounter:
    """Counts words between white space."""

    name = "words"

    def starts(self, text: str) -> Any:
        return [match.start() for match in re.finditer(r"\S+", text)]

    def count(self, text: str) -> int:
        return len(text.split())


def _words(budget_tokens: int) -> int:
    return max(1, int(budget_tokens * _WORDS_PER_TOKEN))


def _numbered(texts: Sequence[str]) -> str:
    return "\n\n".join(f"[{number}] {text}" for number, text in enumerate(texts)) or "(none)"


_NOT_YET: Final = (
    "(not known yet: they come after the reading, and may be about anything that is said, by whom and when)"
)


def _bullets(texts: Sequence[str]) -> str:
    return "\n".join(f"- {text}" for text in texts) or _NOT_YET


def _text(found: Mapping[str, Any], key: str) -> str:
    """Return the one text under ``key``, also within an object or a list; a year may be a number."""
    value = found.get(key)
    return "" if isinstance(value, bool) else one_text(value, key)


def _prose(reply: str, *keys: str) -> str:
    """Return the text of a reply that was to be text alone: without a fence around it, or JSON."""
    fenced = _FENCED.fullmatch(reply.strip())
    text = (fenced.group(1) if fenced is not None else reply).strip()
    if text[:1] == "{":
        found = read_object(text, *keys)
        if found is not None:
            return next((said for key in keys if (said := "\n".join(strings(found.get(key))))), "")
    return text


def _listed(value: Any) -> list[str]:
    """Return the texts of a list, or of one text with commas."""
    if isinstance(value, str):
        return [part for piece in re.split(r"[,;\n]", value) if (part := piece.strip())]
    return texts(value)


def _edit(item: Any) -> Edit | None:
    """Return the edit that an item says, in the forms that models give it; ``None`` when it says none."""
    if isinstance(item, str):
        kind, _, text = item.partition(":")
        item = {"kind": kind, "text": text}
    if not isinstance(item, dict):
        return None
    kind = next((str(item[key]).strip().lower() for key in _KIND_KEYS if isinstance(item.get(key), str)), "")
    kind = _SAME_KINDS.get(kind, kind)
    if not kind:
        held = next((key for key in item if str(key).lower() in _KINDS), None)
        if held is None:
            return None
        kind = str(held).lower()
        item = item[held] if isinstance(item[held], dict) else {"text": item[held]}
    text = next((said for key in _TEXT_KEYS if (said := one_text(item.get(key)))), "")
    entry = next((n for key in _ENTRY_KEYS if (n := integer(item.get(key))) is not None), None)
    if kind not in _KINDS or not (text or kind in ("delete", "none")):
        return None
    return Edit(
        cast(Literal["add", "update", "delete", "none"], kind), text, None if kind == "add" else entry
    )


def _by_number(value: Any) -> list[tuple[Any, dict[str, Any]]]:
    """Return the objects of a list, or of an object by its keys, each with its key."""
    if isinstance(value, dict):
        return [(key, item) for key, item in value.items() if isinstance(item, dict)]
    return [(None, item) for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _rated(value: Any) -> int | None:
    if isinstance(value, float) and value == value and abs(value) < 100:
        return round(value)
    if isinstance(value, str) and (number := re.match(r"\s*(\d{1,3})(?:\.\d+)?\s*(?:/|out of|\Z)", value)):
        return int(number.group(1))
    return integer(value)


def _integers(value: Any) -> tuple[int, ...]:
    items = (
        value
        if isinstance(value, list)
        else re.split(r"[,;\s]+", value)
        if isinstance(value, str)
        else [value]
    )
    return tuple(number for item in items if (number := integer(item)) is not None)
