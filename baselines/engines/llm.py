"""The engine with a language model: each ability is a prompt to an OpenAI-compatible endpoint.

The prompts are the files of ``prompts/``, any of which ``ChatSettings(prompts=FOLDER)`` replaces. Replies of
several parts are asked for as JSON and read leniently (:mod:`atommem_env.llm.json_reply`). A reply that cannot
be read, or is empty, never raises: each ability says what it returns then, and ``costs()`` counts it as
``unparsed``. An endpoint that fails raises :class:`atommem_env.llm.ChatError`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, cast

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
from atommem_env.llm import Chat, ChatSettings
from atommem_env.llm.json_reply import integer, read_list, read_object, strings
from atommem_env.llm.prompts import Prompts
from atommem_env.text import PieceTokenizer, Tokenizer, sentence_spans

UNKNOWN: Final = "unknown"
"""The answer where the model gave none."""

_COUNTS: Final = ("calls", "prompt_tokens", "completion_tokens", "cached", "unparsed")
_WORDS_PER_TOKEN: Final = 0.7
_KINDS: Final = ("add", "update", "delete", "none")
_NO_ANSWER: Final = ("search", "none", "null")
_LABEL = re.compile(r"^\W*(?:the )?(?:final )?answer(?: is\b|(?=\W*[:：]))\W*?[:：]?", re.I | re.M)
_BOXED = re.compile(r"\\boxed\{([^{}]*)\}")
_SCALE = re.compile(r"/\s*10\b|\b1\s*(?:to|-|–)\s*10\b|\bout of (?:10|ten)\b")
_IMPORTANCE = re.compile(r"(?<![\d.])(?:10|[1-9])(?!\d|\.\d)")
_MIDDLE: Final = 5


def make_llm_engine(settings: ChatSettings | None = None) -> Engine:
    """Return the engine for ``settings``: with all abilities, or, for a base model, with what it can do.

    Args:
        settings: the model and how it is asked; ``None``: ``$ATOMMEM_MODEL``, with the defaults.

    Raises:
        ImportError: when the ``openai`` library is not installed; names the pip command.
        ValueError: when there is no model, no key for OpenAI's own endpoint, or a bad template.
    """
    chosen = settings or ChatSettings.from_environment()
    return CompletionsEngine(chosen) if chosen.route == "completions" else LLMEngine(chosen)


class _ModelEngine:
    """Asks a model, and counts what that costs."""

    def __init__(self, settings: ChatSettings | None = None, tokenizer: Tokenizer | None = None) -> None:
        self.settings = settings or ChatSettings.from_environment()
        self.name = f"llm:{self.settings.model}"
        self._chat = Chat(self.settings)
        self._prompts = Prompts(self.settings.prompts)
        self._tokenizer = tokenizer or PieceTokenizer()
        self._counts = Counter[str]()

    def reset_costs(self) -> None:
        """Start counting anew, as at the start of an episode."""
        self._counts.clear()

    def costs(self) -> dict[str, int]:
        """Return what was asked since the last reset.

        Returns:
            ``calls`` to the model, kept replies included; ``prompt_tokens`` and ``completion_tokens``, as the
            server counted them (0 when it does not say; those of kept replies count as when they were made);
            ``cached``, how many replies were kept ones; ``unparsed``, how many could not be read.
        """
        return {name: self._counts[name] for name in _COUNTS}

    def _answer(self, name: str, question: str, passages: Sequence[str], stop: Sequence[str] = ()) -> str:
        text = self._ask(name, stop, question=question, passages=_numbered(passages))
        return _short_answer(text) or self._unparsed(UNKNOWN)

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
        return self._cut(text or self._unparsed(memory), budget_tokens)

    def _ask(self, prompt: str, stop: Sequence[str] = (), **values: object) -> str:
        """Return the model's reply to the template ``prompt``."""
        return self._complete([{"role": "user", "content": self._prompts.render(prompt, **values)}], stop)

    def _complete(self, messages: Sequence[Mapping[str, str]], stop: Sequence[str] = ()) -> str:
        reply = self._chat.complete(messages, stop)
        self._counts["calls"] += 1
        self._counts["prompt_tokens"] += reply.prompt_tokens
        self._counts["completion_tokens"] += reply.completion_tokens
        self._counts["cached"] += reply.cached
        return reply.text

    def _unparsed(self, fallback: Any) -> Any:
        self._counts["unparsed"] += 1
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
        found = integer((read_object(reply, "importance") or {}).get("importance"))
        if found is None:
            number = _IMPORTANCE.search(_SCALE.sub(" ", reply))
            found = int(number.group()) if number else self._unparsed(_MIDDLE)
        return min(10, max(1, found))

    def focal_questions(self, texts: Sequence[str], count: int) -> list[str]:
        """Return at most ``count`` questions; without any that can be read, none."""
        reply = self._ask("focal_questions", texts=_numbered(texts), count=count)
        return strings(self._list(reply, "questions"))[:count]

    def insights(self, question: str, texts: Sequence[str], count: int) -> list[Insight]:
        """Return at most ``count`` conclusions; without any that can be read, none."""
        reply = self._ask("insights", question=question, texts=_numbered(texts), count=count)
        return [
            Insight(text, _integers(item.get("evidence")))
            for item in _objects(self._list(reply, "insights"))
            if (text := _text(item, "text"))
        ][:count]

    def extract_facts(self, questions: Sequence[str], chunk: str) -> list[str]:
        """Return the facts; without any that can be read, none."""
        reply = self._ask("extract_facts", questions=_bullets(questions), chunk=chunk)
        return strings(self._list(reply, "facts"))

    def decide_edits(self, facts: Sequence[str], entries: Sequence[str]) -> list[Edit]:
        """Return the edits; without any that can be read, none.

        Entries are numbered from 0 in the prompt, and a number that the model makes up is kept as it is. Edits
        of an unknown kind are dropped, and so are additions and updates without a text.
        """
        reply = self._ask("decide_edits", facts=_bullets(facts), entries=_numbered(entries))
        edits = []
        for item in _objects(self._list(reply, "edits")):
            kind = _text(item, "kind").lower()
            text = _text(item, "text")
            if kind in _KINDS and (text or kind in ("delete", "none")):
                known = cast(Literal["add", "update", "delete", "none"], kind)
                edits.append(Edit(known, text, None if kind == "add" else integer(item.get("entry"))))
        return edits

    def describe_note(self, text: str) -> NoteDescription:
        """Return keywords, tags and context; what cannot be read is empty."""
        found = self._object(self._ask("describe_note", text=text), "keywords", "tags", "context")
        return NoteDescription(
            tuple(strings(found.get("keywords"))), tuple(strings(found.get("tags"))), _text(found, "context")
        )

    def evolve(self, note: str, neighbours: Sequence[str]) -> Evolution:
        """Return what the note changes; when that cannot be read, nothing. Neighbours are numbered from 0."""
        reply = self._ask("evolve", note=note, neighbours=_numbered(neighbours))
        found = self._object(reply, "strengthen", "tags", "neighbours")
        edits = {
            number: NeighbourEdit(tuple(strings(item.get("tags"))), _text(item, "context"))
            for item in _objects(found.get("neighbours"))
            if (number := integer(item.get("number"))) is not None
        }
        return Evolution(_integers(found.get("strengthen")), tuple(strings(found.get("tags"))), edits)

    def keyword_query(self, question: str) -> str:
        """Return the keywords of the reply's first line; without any, the question itself."""
        return _first_line(self._ask("keyword_query", question=question)) or self._unparsed(question)

    def summarize(self, text: str, budget_words: int) -> str:
        """Return the summary, cut after the last sentence that fits; without one, ``text`` so cut."""
        reply = self._ask("summarize", text=text, budget=budget_words)
        return cut(reply or self._unparsed(text), budget_words, _WordCounter())

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
            return State(_text(self._object(reply, "state"), "state") or state)
        name = "next_state_search" if may_search else "next_state_answer"
        reply = self._ask(name, question=question, last_query=last_query or "(none)", **shown)
        found = self._object(reply, "state", "answer", "query")
        new, answer, query = (_text(found, key) for key in ("state", "answer", "query"))
        if answer or not (query and may_search):
            return State(new or state, answer=_short_answer(answer) or UNKNOWN)
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
        new = self._cut(_text(found, "core"), budget_tokens)
        return CoreEdit(new or None, tuple(strings(found.get("archive"))))

    def answer_or_search(self, question: str, passages: Sequence[str], core: str) -> str | None:
        """Answer, or ``None`` for the next page: when the reply says so, or is empty."""
        reply = self._ask(
            "answer_or_search", question=question, passages=_numbered(passages), core=core or "(none)"
        )
        answer = _short_answer(reply) or self._unparsed("")
        return answer if answer and answer.rstrip(".").casefold() not in _NO_ANSWER else None

    def chat(self, messages: Sequence[Mapping[str, str]]) -> str:
        """Return the model's reply to ``messages``, without its thinking; may be empty."""
        return self._complete(messages)

    def _list(self, reply: str, key: str) -> list[Any]:
        found = read_list(reply, key)
        return self._unparsed([]) if found is None else found

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


def _bullets(texts: Sequence[str]) -> str:
    return "\n".join(f"- {text}" for text in texts) or "(none)"


def _short_answer(text: str) -> str:
    """Return the answer in ``text``: what was boxed, what follows the last "Answer:", or its first line."""
    boxed = _BOXED.findall(text)
    labels = list(_LABEL.finditer(text))
    said = boxed[-1] if boxed else text[labels[-1].end() :] if labels else text
    line = _first_line(said).strip("*`_ ")
    if len(line) > 1 and line[0] == line[-1] and line[0] in "\"'":
        line = line[1:-1].strip()
    return line


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def _text(found: Mapping[str, Any], key: str) -> str:
    value = found.get(key)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)  # a year as an answer
    return value.strip() if isinstance(value, str) else ""


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _integers(value: Any) -> tuple[int, ...]:
    items = value if isinstance(value, list) else []
    return tuple(number for item in items if (number := integer(item)) is not None)
