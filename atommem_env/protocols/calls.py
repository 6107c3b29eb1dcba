r"""Finds calls of the operations in a text, in any of the ways in which models write calls.

- JSON (:mod:`atommem_env.protocols.loose_json`): operations, tool calls of all vendors (the name under ``name``,
  ``tool``, ``function``, ...; the arguments under ``arguments``, ``parameters``, ``args``, ``input``, ... or next to
  the name, as an object or encoded as a str), an object around them, arrays of them, a call under its own name.
- A name and then an object: ``create {"content": "x"}``, with any tokens between (``[TOOL_CALLS]``, ``[ARGS]``,
  ``<|tool_sep|>``, ``Action Input:``, a code fence).
- Python: ``create(content="x")``, ``[create("x"), read("y")]``.
- Tags: ``<function=create><parameter=content>x</parameter></function>``, ``<invoke name="create">...</invoke>``,
  ``<create><content>x</content></create>``, ``<create_memory>x</create_memory>``, ``<arg_key>``/``<arg_value>``.
- Lines: ``op: create`` and then ``content: x``; ``create content="x"`` at the beginning of one. Where a text has no
  other call, also ``create "x"``, ``create: x``, ``update 3: x``, ``delete 3`` on their own line.
- Arrays: ``["create", "x"]``, ``["update", 3, "x"]``. Three names of operations or more, and nothing else, are a list.

All of it in one pass over the text, outside of what a model thinks, so that the time is linear in its length.
A text in which nothing is found and that is escaped as a whole (as HTML, or as one str of JSON) is read again
without.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Generator, Iterator
from typing import Any, Final, NamedTuple, TypeAlias

from atommem_env.core.operations import KINDS
from atommem_env.protocols.base import FormError, Malformed, excerpt
from atommem_env.protocols.loose_json import Arguments, Broken, LooseReader, read_loosely
from atommem_env.protocols.thinking import CLOSE, NEVER_ENDS, OPEN, ending_of, reasoning_end, unended_thinking

MAIN: Final = {"create": "content", "read": "query", "update": "content", "delete": "id", "answer": "content"}
"""The field that is meant where a call gives one text without a name."""

_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "create": ("content",),
    "read": ("query", "k"),
    "update": ("id", "content"),
    "delete": ("id",),
    "answer": ("content",),
}
_NAMES: Final = (
    *(
        "op",
        "operation",
        "name",
        "tool",
        "tool_name",
        "toolName",
        "function",
        "function_name",
        "functionName",
    ),
    *("action", "type", "command", "method", "call", "kind", "recipient_name"),
)
_ARGUMENTS: Final = (
    *("arguments", "args", "parameters", "params", "input", "inputs", "kwargs", "action_input", "tool_input"),
    *("toolInput", "actionInput", "Action Input", "payload"),
)
_ALIASES: Final = {
    **dict.fromkeys(("entry_id", "memory_id", "entry", "memoryId", "entryId"), "id"),
    **dict.fromkeys(("text", "value", "new_content", "answer", "memory", "final_answer"), "content"),
    **dict.fromkeys(("q", "search", "question"), "query"),
    **dict.fromkeys(("top_k", "topk", "limit"), "k"),
}
_USUAL: Final = frozenset((*_NAMES, *_ARGUMENTS, "content", "query", "id", "k"))
_KIND: Final = "|".join(KINDS)
_NAME_FORM: Final = (
    rf"(?:[\w-]{{1,32}}[.:/])*(?:(?:functions?|tools?|memory|mcp|store)_{{1,2}}){{0,3}}(?P<kind>{_KIND})"
    r"(?:_(?:memory|entry|note|question|tool))?(?::\d{1,9})?"
)
_NAME = re.compile(_NAME_FORM, re.IGNORECASE | re.ASCII)
_TAG_NAME: Final = rf"(?:{_KIND})(?:_memory|_entry)?|scratchpad"
_SPACED_KEY: Final = r"""\s*(?:["'“”‘`]|[A-Za-z_]\w{0,40}\s*:|//|/\*)"""
_BEGINS: Final = (
    rf"(?:\{{(?={_SPACED_KEY})"
    rf"|\[(?=\s*(?:\[\s*)?(?:\{{{_SPACED_KEY}|[\"']\{{\s*\\?[\"']"
    rf"|[\"'](?:{_KIND})(?:_memory|_entry)?[\"']\s{{0,8}}[,\]])))"
)
_SPACE: Final = r"(?:[\w-]{1,24}:|[|\uff5c][\w-]{1,24}[|\uff5c]|[a-z]{1,16}_(?=tool_call|arg_))?"
"""What some models put before a tag's name."""
_LIKE_JSON = re.compile(_BEGINS)
_MARKS = re.compile(
    rf"(?P<thought>{OPEN})|(?P<thought_end>{CLOSE})|(?P<json>{_BEGINS})"
    rf"|<{_SPACE}(?P<tag>function|invoke|tool|tool_call|call|action|op|operation|command)"
    rf"(?:\s*=\s*[\"']?|\s+(?:name|tool|type|op|kind)\s*=\s*[\"']?|>\s*(?=[\w.:]{{1,64}}\s*<{_SPACE}arg_key))"
    rf"(?P<called>[\w.:/-]{{1,64}})[\"']?(?P<further>\s[^<>]{{0,4000}}?)?\s*(?P<nothing>/?)(?:>|(?=<{_SPACE}arg_key))"
    rf"|<(?P<element>op|operation|name|tool|tool_name|function_name|function|action|command)>\s{{0,8}}"
    rf"(?P<elementkind>{_KIND})(?:_memory)?\s{{0,8}}</(?P=element)>"
    r"(?=\s{0,8}<(?:content|query|id|k|parameters|arguments|args|input)>)"
    rf"|<(?P<plain>{_TAG_NAME})(?P<attributes>\s[^<>]{{0,4000}}?)?(?P<empty>/?)>"
    rf"|(?<![\w.])(?P<python>(?:[A-Za-z_]\w{{0,31}}\.)*?(?P<pykind>{_KIND})(?:_memory|_entry)?(?:\.call)?)"
    r"\((?=\s*(?:\)|[\"'“‘`{]|[A-Za-z_]\w{0,40}\s*[=:](?!=)|-?\d{1,18}\s*[,)]|f?r?[\"']))"
    rf"|^[ \t]*(?:[-*][ \t]*)?[\"']?(?P<lines>op|operation|action|tool|name|function|tool_name)[\"']?[ \t]*[:=][ \t]*"
    rf"[\"']?(?P<linekind>[\w.]{{0,40}}?(?:{_KIND})(?:_memory|_entry)?)[\"']?[ \t]*,?[ \t]*$"
    rf"|^[ \t]*(?:[-*][ \t]*)?(?P<keykind>{_KIND})(?:_memory)?[ \t]*:[ \t]*(?=\n[ \t]+(?:content|query|id|k)[ \t]*:)"
    r"|^[ \t]*(?:(?:[-*>`]|\d{1,3}[.)]|[A-Za-z]{1,12}:)[ \t]*)?"
    rf"(?P<assigned>{_KIND})(?:_memory|_entry)?[ \t]+(?=(?:content|query|id|k)[ \t]{{0,8}}=(?!=))",
    re.IGNORECASE | re.ASCII | re.MULTILINE,
)
_LINE = re.compile(
    r"[ \t]*[\"']?(?P<key>content|query|id|k|text|entry_id|memory_id|answer|arguments|args|parameters|params|input"
    r"|action[ _]input)[\"']?[ \t]*[:=][ \t]*(?P<value>[^\n]*)(?:\n|\Z)",
    re.IGNORECASE | re.ASCII,
)
_PAIR = re.compile(
    r"[ \t]*,?[ \t]*(?P<key>content|query|id|k)[ \t]{0,8}=[ \t]{0,8}(?:(?P<number>\#?\d{1,18})(?![^\s,`])"
    r"|(?P<quoted>\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.|'(?=\w))*')|“(?P<curly>[^”]*)”)",
    re.IGNORECASE | re.ASCII | re.DOTALL,
)
_OPENS = re.compile(r"\w{1,7}[ \t]{0,8}=[ \t]{0,8}[\"'“]")
_BLOCK_SCALAR = re.compile(r"[|>][-+]?[ \t]*\Z")
_CONTINUED = re.compile(r"([ \t]{2,})[^\n]*(?:\n|\Z)|[ \t]*\n")
_PARAMETER = re.compile(
    rf"<{_SPACE}(?:parameter|param|argument|arg)(?:\s*=\s*|\s+(?:name|key)\s*=\s*)[\"']?(?P<name>[\w.-]{{1,64}})[\"']?"
    rf"[^<>]{{0,80}}>(?P<value>.*?)(?:</{_SPACE}(?:parameter|param|argument|arg)(?:=[\w.-]{{1,64}})?>"
    rf"|(?=<{_SPACE}parameter[ =])|\Z)"
    rf"|<{_SPACE}arg_key>\s{{0,8}}(?P<key>[\w.-]{{1,64}})\s{{0,8}}</{_SPACE}arg_key>\s{{0,8}}<{_SPACE}arg_value>"
    rf"(?P<argument>.*?)(?:</{_SPACE}arg_value>|(?=<{_SPACE}arg_key>)|\Z)"
    r"|<(?P<field>content|query|id|k)>(?P<text>.*?)(?:</(?P=field)>|(?=<(?:content|query|id|k)>)|\Z)",
    re.IGNORECASE | re.ASCII | re.DOTALL,
)
_WRAPPER = re.compile(r"\s{0,8}<(?:parameters|arguments|args|input)>\s{0,8}", re.IGNORECASE | re.ASCII)
_FIELD = re.compile(
    r"\s{0,8}<(?P<field>content|query|id|k)>(?P<text>.*?)(?:</(?P=field)>|(?=<(?:content|query|id|k)>)|\Z)",
    re.IGNORECASE | re.ASCII | re.DOTALL,
)
_ATTRIBUTE = re.compile(
    r"(?<![^\s\"'])(id|k|content|query|text)\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s\"']+))", re.I | re.A
)
_WORD_BEFORE = re.compile(rf"(?<![A-Za-z]){_NAME_FORM}(?![A-Za-z])", re.IGNORECASE | re.ASCII)
_LOOKS_LIKE_CALL = re.compile(
    r"</?tool_?calls?\b|<function[=s_]|<invoke\b|\[TOOL_CALLS|<\|python_tag|tool[▁_ ]calls?[▁_ ]begin|<\|tool_call"
    rf"|(?<![\uff5b])[\"'`“]op[\"'`”]\s*:|\bop:\s*[\"']?(?:{_KIND})\b",
    re.IGNORECASE,
)
_THOUGHT = re.compile(OPEN, re.IGNORECASE | re.ASCII)
_ENTITY = re.compile(r"&(?:lt|gt|quot|apos|#34|#39|#x22|#x27);", re.IGNORECASE)
_QUOTE_TOKENS = re.compile(r"<\|\"\|>|</?escape>")
_ID = re.compile(
    r"[\s\[({#\"'<]*(?:(?:entry|memory|id|item|note|number|no|nr|record)\b[\s.:=#\[(\"']*){0,3}[#\[(]*"
    r"(?P<number>-?[0-9]{1,18})(?:\.0{0,18})?[\s\])}\"'>.,;:]*",
    re.IGNORECASE | re.ASCII,
)
_COMMAND = re.compile(
    r"^[ \t]*(?:(?:[-*>`]|\d{1,3}[.)])[ \t]*)?(?:(?:action|op|operation|tool)[ \t]*:[ \t]*)?[*`]{0,2}"
    rf"(?P<kind>{_KIND})(?:_memory|_entry)?[*`]{{0,2}}"
    r"(?:[ \t]*(?P<colon>:)[*`]{0,2}[ \t]*|[ \t]+)(?P<said>\S[^\n]*)$",
    re.IGNORECASE | re.ASCII | re.MULTILINE,
)
_NUMBERED = re.compile(
    r"(?:(?:entry|memory|id)[ \t]+)?[\[#]{0,2}(?P<id>\d{1,18})\]?(?:[ \t]*[:=,][ \t]*|[ \t]+(?=[\"'“]))",
    re.I | re.A,
)
_QUOTED = re.compile(r"\"([^\"]*)\"[.,;]?|'([^']*)'[.,;]?|“([^”]*)”[.,;]?")
_NOTHING: Final = ("", "none", "nothing", "no", "n/a", "null", "nil")
_GAP: Final = 200
_MOST_READINGS: Final = 3
_MOST_LEVELS: Final = 4
_ENCODE: Final = json.JSONEncoder(ensure_ascii=False).encode


class Call(NamedTuple):
    """A call: the operation's kind, its fields as they were given, and the text that it stands in."""

    kind: str
    fields: dict[str, Any]
    text: str


Found: TypeAlias = "Call | Malformed"


def find_calls(text: str, own_tags: bool = True) -> list[Found]:
    """Return the calls in ``text``, and what was meant as one and is none, in its order; no str raises.

    Args:
        text: what a model wrote.
        own_tags: whether the tags of the protocol ``atommem`` count; it looks for them itself.
    """
    if mark := unended_thinking(text):
        return [Malformed(excerpt(text.strip()), NEVER_ENDS.format(mark))]
    for _ in range(_MOST_READINGS):
        found = list(_Scan(text, own_tags).found())
        if found:
            return found
        again = _unescaped(text)
        if again is None:
            break
        text = again
    if looks_like_call(text):
        return [Malformed(excerpt(text.strip()), "it looks like a call, and none can be read in it")]
    lines = (line for piece in _outside_thoughts(text) for line in _COMMAND.finditer(piece))
    return [call for line in lines if (call := _command(line)) is not None]


def _command(line: re.Match[str]) -> Call | None:
    """Return the call that a line such as ``create: x`` or ``delete 3`` is, or ``None``."""
    kind, said = line["kind"].lower(), line["said"].strip().strip("`*").strip()
    if kind == "delete":
        return Call(kind, {"id": said}, line.group()) if _ID.fullmatch(said[:80]) else None
    entry = ""
    if kind == "update":
        numbered = _NUMBERED.match(said)
        if numbered is None:
            return None
        entry, said = numbered["id"], said[numbered.end() :]
    quoted = _QUOTED.fullmatch(said)
    if quoted is None and (not (entry or line["colon"]) or said.strip(" .-").lower() in _NOTHING):
        return None
    fields = {
        MAIN[kind]: said if quoted is None else next(part for part in quoted.groups() if part is not None)
    }
    return Call(kind, {"id": entry, **fields} if entry else fields, line.group())


def looks_like_call(text: str) -> bool:
    """Return whether ``text`` has a mark of a call, outside of what a model thinks."""
    return any(_LOOKS_LIKE_CALL.search(piece) for piece in _outside_thoughts(text))


def whole_number(value: Any) -> Any:
    """Return the whole number that ``value`` says (``3.0``, ``"#3"``, ``[3]``, ``"entry 3"``), else itself."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e18:
        return int(value)
    if isinstance(value, str) and len(value) <= 80:
        if value.strip().lower() == "scratchpad":
            return 0
        number = _ID.fullmatch(value)
        return value if number is None else int(number["number"])
    return value


def kind_called(name: object) -> str | None:
    """Return the kind of operation that ``name`` calls (``create``, ``functions.create``, ``create_memory``)."""
    found = _NAME.fullmatch(name.strip()) if isinstance(name, str) and len(name) <= 200 else None
    return None if found is None else found["kind"].lower()


def _unescaped(text: str) -> str | None:
    """Return ``text`` without the escapes that the whole of it has; ``None`` when it has none."""
    stripped = text.strip()
    if len(stripped) > 1 and stripped[0] == stripped[-1] == '"':
        try:
            inner = json.loads(stripped, strict=False)
        except (ValueError, RecursionError):
            inner = None
        if isinstance(inner, str):
            return inner
    if _ENTITY.search(text):
        return html.unescape(text)
    if '{\\"' in text or '{ \\"' in text:
        return text.replace('\\\\"', "\x00").replace('\\"', '"').replace("\x00", '\\"')
    return None


def _outside_thoughts(text: str) -> Iterator[str]:
    position = reasoning_end(text)
    while (thought := _THOUGHT.search(text, position)) is not None:
        end = ending_of(thought.group()).search(text, thought.end())
        if end is None:
            break
        yield text[position : thought.start()]
        position = end.end()
    yield text[position:]


class _Scan:
    """One pass over a text."""

    def __init__(self, text: str, own_tags: bool) -> None:
        self._own_tags = own_tags
        if _QUOTE_TOKENS.search(text):
            text = _QUOTE_TOKENS.sub('"', text)
        self._text = text
        self._reader = LooseReader(text)
        self._after = reasoning_end(text)  # where the last call ended
        self._unended: set[str] = set()  # what is not to be found any more

    def found(self) -> Iterator[Found]:
        position = self._after
        while (mark := _MARKS.search(self._text, position)) is not None:
            position = mark.end()
            if mark["thought"]:
                end = self._search(
                    f"thought {ending_of(mark.group()).pattern}", ending_of(mark.group()), position
                )
                if end is not None:
                    position = max(end.end(), position)
                continue
            if mark["thought_end"]:
                continue
            if mark["json"]:
                position = yield from self._json(mark.start())
            elif mark["element"]:
                position = yield from self._element(mark)
            elif mark["called"]:
                position = yield from self._called(mark)
            elif (
                mark["plain"]
                and not self._own_tags
                and mark["plain"].lower().endswith(("_memory", "pad", "answer"))
            ):
                continue
            elif mark["plain"]:
                position = yield from self._plain_tag(mark)
            elif mark["python"]:
                position = yield from self._python(mark)
            elif mark["assigned"]:
                position = yield from self._assigned(mark)
            else:
                position = yield from self._lines(mark)
            self._after = max(position, self._after)

    def _search(self, name: str, pattern: re.Pattern[str], start: int) -> re.Match[str] | None:
        """Search for what ends something; one that was not found once is not searched for again."""
        if name in self._unended:
            return None
        found = pattern.search(self._text, start)
        if found is None:
            self._unended.add(name)
        return found

    # --- JSON ---------------------------------------------------------------------------------------

    def _json(self, start: int) -> Generator[Found, None, int]:
        value, end = self._reader.read(start)
        named = self._name_before(start) if isinstance(value, dict) else None
        if named is not None and _field_names(value):
            yield Call(named, value, self._text[start:end])
        elif isinstance(value, Broken):
            yield from self._broken(value)
        else:
            yield from calls_of_value(value)
        return end

    def _name_before(self, start: int) -> str | None:
        """Return the kind that the text right before ``start`` calls."""
        gap = self._text[max(self._after, start - _GAP) : start]
        last = None
        for word in _WORD_BEFORE.finditer(gap):
            last = word
        return None if last is None else last["kind"].lower()

    @staticmethod
    def _broken(value: Broken) -> Iterator[Found]:
        """Yield the calls that are whole within a broken value; it is malformed itself when it was cut or has none."""
        if value.end is None:
            yield Malformed(excerpt(value.said), value.problem)
            yield from (found for piece in value.inner for found in _within(piece) if isinstance(found, Call))
        else:
            yield from calls_of_value(value)

    # --- other forms --------------------------------------------------------------------------------

    def _called(self, mark: re.Match[str]) -> Generator[Found, None, int]:
        name, tag = mark["called"], mark["tag"]
        attributes = _attributes(mark["further"] or "")
        if mark["nothing"]:
            found = kind_called(name)
            if found is None:
                yield Malformed(excerpt(mark.group()), f"{excerpt(repr(name))} is not an operation")
            else:
                yield Call(found, attributes, mark.group())
            return mark.end()
        closing = re.compile(rf"</{_SPACE}{tag}(?:=[\w.-]{{1,64}})?>|</[\w:-]{{0,32}}tool_call>", re.I | re.A)
        end = self._search(f"</{tag.lower()}>", closing, mark.end())
        body_end = len(self._text) if end is None else end.start()
        stop = len(self._text) if end is None else end.end()
        kind = kind_called(name)
        whole = self._text[mark.start() : stop]
        if kind is None:
            yield Malformed(
                excerpt(whole), f"{excerpt(repr(name))} is not an operation; choose from {', '.join(KINDS)}"
            )
            return stop
        fields = self._body(kind, mark.end(), body_end)
        if attributes:
            fields = {**attributes, **(fields or {})}
        if fields is None:
            yield Malformed(
                excerpt(whole), f"its arguments cannot be read: expected {', '.join(_FIELDS[kind])}"
            )
        else:
            yield Call(kind, fields, whole)
        return stop

    def _element(self, mark: re.Match[str]) -> Generator[Found, None, int]:
        """A name in its own element, and then its fields, each in one."""
        kind, end = mark["elementkind"].lower(), mark.end()
        wrapper = _WRAPPER.match(self._text, end)
        end = end if wrapper is None else wrapper.end()
        if self._text[end : end + 1] == "{":
            value, end = self._reader.read(end)
            if isinstance(value, dict):
                yield Call(kind, value, self._text[mark.start() : end])
            else:
                yield Malformed(excerpt(self._text[mark.start() : end]), value.problem)
            return end
        fields: dict[str, Any] = {}
        while (field := _FIELD.match(self._text, end)) is not None:
            fields[field["field"].lower()] = _trimmed(field["text"])
            end = field.end()
        yield Call(kind, fields, self._text[mark.start() : end])
        return end

    def _plain_tag(self, mark: re.Match[str]) -> Generator[Found, None, int]:
        tag = mark["plain"].lower()
        attributes = _attributes(mark["attributes"] or "")
        kind = "update" if tag == "scratchpad" else kind_called(tag) or ""
        if mark["empty"]:
            yield Call(kind, attributes, mark.group())
            return mark.end()
        end = self._search(f"</{tag}>", re.compile(rf"</{tag}\s*>", re.I | re.A), mark.end())
        if end is None:
            yield Malformed(
                excerpt(self._text[mark.start() : mark.start() + 200]), f"<{tag}> is not closed by </{tag}>"
            )
            return mark.end()
        whole = self._text[mark.start() : end.end()]
        body = self._text[mark.end() : end.start()].strip()
        if tag == "scratchpad":
            yield (
                Call("update", {"id": 0, "content": body}, whole)
                if body
                else Call("delete", {"id": 0}, whole)
            )
            return end.end()
        fields = self._body(kind, mark.end(), end.start())
        if fields is None:
            fields = {} if attributes.keys() & {MAIN[kind], "text"} else {MAIN[kind]: body}
        yield Call(kind, _with_head({**attributes, **fields}, kind), whole)
        return end.end()

    def _body(self, kind: str, start: int, end: int) -> dict[str, Any] | None:
        """Return the fields that the inside of a tag gives; ``None`` when it gives none."""
        inside = self._text[start:end]
        stripped = inside.strip()
        if stripped[:1] == "{":
            try:
                value = read_loosely(stripped)
            except ValueError:
                value = None
            if isinstance(value, dict):
                nested = next((value[key] for key in _ARGUMENTS if isinstance(value.get(key), dict)), value)
                return dict(nested)
        fields: dict[str, Any] = {}
        for found in _PARAMETER.finditer(inside):
            name = found["name"] or found["key"] or found["field"]
            value = next(v for v in (found["value"], found["argument"], found["text"]) if v is not None)
            fields[name.lower()] = _trimmed(value)
        return fields or (None if stripped or kind in MAIN else {})

    def _python(self, mark: re.Match[str]) -> Generator[Found, None, int]:
        value, end = self._reader.read(mark.end() - 1)
        whole = self._text[mark.start() : end]
        if isinstance(value, Arguments):
            kind = mark["pykind"].lower()
            yield Call(kind, {**_by_place(kind, value.positional), **value.named}, whole)
        else:
            yield Malformed(
                excerpt(whole), value.problem if isinstance(value, Broken) else "it is not a call"
            )
        return end

    def _assigned(self, mark: re.Match[str]) -> Generator[Found, None, int]:
        """A kind and its fields on a line, ``update id=3 content="x"``; texts are quoted."""
        fields: dict[str, Any] = {}
        position = mark.end()
        while "quote" not in self._unended and (pair := _PAIR.match(self._text, position)) is not None:
            fields[pair["key"].lower()] = pair["number"] or pair["curly"] or _scalar(pair["quoted"] or "")
            position = pair.end()
        whole = self._text[mark.start() : position]
        if fields:
            yield Call(mark["assigned"].lower(), fields, whole)
        else:
            if _OPENS.match(self._text, position):  # nor does any further quote end
                self._unended.add("quote")
            line = self._text[mark.start() : mark.start() + 200].strip().partition("\n")[0]
            yield Malformed(
                excerpt(line), "its fields cannot be read: a text stands in quotes, a number alone"
            )
        return position

    def _lines(self, mark: re.Match[str]) -> Generator[Found, None, int]:
        kind = kind_called(mark["linekind"] or mark["keykind"])
        text, position = self._text, min(mark.end() + 1, len(self._text))
        fields: dict[str, Any] = {}
        while (line := _LINE.match(text, position)) is not None:
            key, said = line["key"].lower().replace(" ", "_"), line["value"].strip()
            brace = line.start("value") + len(line["value"]) - len(line["value"].lstrip())
            if said[:1] == "{" and key not in ("content", "text", "query", "answer"):
                value, position = self._reader.read(brace)
                if isinstance(value, dict):
                    fields.update(value)
                rest = re.compile(r"[^\n]*(?:\n|\Z)").match(text, position)
                position = position if rest is None else rest.end()
                continue
            position = line.end()
            if _BLOCK_SCALAR.match(said) or (not said and key not in _ARGUMENTS):
                block_start = position
                while position < len(text) and (more := _CONTINUED.match(text, position)) is not None:
                    position = more.end()
                said = "\n".join(part.strip() for part in text[block_start:position].strip().split("\n"))
                fields[key] = said
                continue
            if said or key not in _ARGUMENTS:
                fields[key] = _scalar(said)
        if kind is None or not fields:
            return mark.end()
        plain = [key for key in fields if key in _ARGUMENTS]
        if len(plain) == 1 and MAIN[kind] not in fields:  # ``Action Input: x``
            fields[MAIN[kind]] = fields.pop(plain[0])
        yield Call(kind, _with_head(fields, kind), text[mark.start() : position])
        return position


# --- JSON values ------------------------------------------------------------------------------------


def calls_of_value(value: Any) -> Iterator[Found]:
    """Yield the calls that a JSON value holds, in order."""
    pending: list[tuple[Any, int]] = [(value, 0)]
    while pending:
        item, level = pending.pop()
        if isinstance(item, list):
            kinds = [kind_called(piece) for piece in item]
            if kinds and kinds[0] is not None:
                if len(kinds) < 3 or None in kinds:
                    yield Call(kinds[0], _by_place(kinds[0], item[1:]), _shown(item))
                continue
            pending.extend((piece, level) for piece in reversed(item))
            continue
        if item == {}:
            continue
        if isinstance(item, Broken):
            found: list[Found] = (
                [call for call in _within(item) if isinstance(call, Call)] if level < _MOST_LEVELS else []
            )
            yield from found or [Malformed(excerpt(item.said), item.problem)]
            continue
        if isinstance(item, str) and item.lstrip()[:1] in ("{", "[") and level < _MOST_LEVELS:
            try:
                pending.append((read_loosely(item), level + 1))
                continue
            except ValueError:
                pass
        if isinstance(item, dict):
            item = _folded(item)
        held = _held(item) if level < _MOST_LEVELS else None
        if held is not None:
            pending.extend((piece, level + 1) for piece in reversed(held))
            continue
        try:
            yield _call(item)
        except FormError as error:
            yield Malformed(_shown(item), str(error))


def _by_place(kind: str, values: list[Any]) -> dict[str, Any]:
    """Return the fields that values without names give, or the one object of them."""
    if len(values) == 1 and isinstance(values[0], dict):
        return dict(values[0])
    fields = dict(zip(_FIELDS[kind], values, strict=False))
    if len(values) > len(_FIELDS[kind]):
        fields["too many"] = values[len(_FIELDS[kind]) :]
    return fields


def _folded(item: dict[str, Any]) -> dict[str, Any]:
    """Return an object whose usual keys are in lower case."""
    if all(not isinstance(key, str) or key in _NAMES or key == key.lower() for key in item):
        return item
    lowered = {key: key.lower() for key in item if isinstance(key, str)}
    return {
        (lowered[key] if lowered.get(key) in _USUAL and lowered[key] not in item else key): value
        for key, value in item.items()
    }


def _within(value: Any) -> Iterator[Found]:
    """Yield the calls of a value, and of what is whole within broken ones."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, Broken):
            pending.extend(reversed(item.inner))
        else:
            yield from calls_of_value(item)


def _held(item: Any, levels: int = _MOST_LEVELS) -> list[Any] | None:
    """Return the calls that an object holds which is none itself, or ``None``."""
    if not levels or not isinstance(item, dict) or "op" in item or _name_of(item) is not None:
        return None
    held = [
        value
        for value in item.values()
        if (isinstance(value, str) and value.lstrip()[:2] in ("[{", '{"'))
        or (isinstance(value, list) and any(isinstance(piece, (dict, Broken)) for piece in value))
        or (isinstance(value, dict) and (_name_of(value) is not None or _held(value, levels - 1) is not None))
    ]
    if held:
        return held
    own = [(kind, value) for key, value in item.items() if (kind := kind_called(key)) is not None]
    if own and len(own) == len(item) and all(isinstance(value, (dict, str, list, int)) for _, value in own):
        return [{"op": kind, **_arguments_under(kind, value)} for kind, value in own]
    return None


def _arguments_under(kind: str, value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {MAIN[kind]: value}


def _name_of(item: dict[str, Any]) -> tuple[str, Any] | None:
    """Return the key under which an object names what it calls, and the name: a kind if one is there."""
    named = [(key, item[key]) for key in _NAMES if isinstance(item.get(key), str)]
    called = next(((key, name) for key, name in named if kind_called(name) is not None), None)
    if called is not None:
        return called
    return next(((key, name) for key, name in named if key in ("name", "tool", "tool_name")), None)


def _call(item: Any) -> Call:
    if not isinstance(item, dict):
        raise FormError("expected an object")
    if "op" in item:
        key, name = "op", item["op"]
    else:
        named = _name_of(item)
        if named is None:
            raise FormError("it names no operation: expected the key 'op' or 'name'")
        key, name = named
    kind = kind_called(name)
    if kind is None:
        raise FormError(f"{excerpt(repr(name))} is not an operation; choose from {', '.join(KINDS)}")
    under = next((argument for argument in _ARGUMENTS if argument in item and argument != key), None)
    if under is None:
        fields = {field: value for field, value in item.items() if field != key}
        if key != "op":  # what a tool call has next to its name
            identifier = fields.get("id")
            if isinstance(identifier, str) and _ID.fullmatch(identifier[:80]) is None:
                del fields["id"]
            fields = {name: value for name, value in fields.items() if name not in ("type", "index", "role")}
    else:
        fields = _decoded(item[under])
    return Call(kind, fields, "" if len(item) > 64 else _shown(item))


def _decoded(arguments: Any) -> dict[str, Any]:
    for _ in range(_MOST_READINGS):
        if not isinstance(arguments, str):
            break
        try:
            arguments = read_loosely(arguments) if arguments.strip() else {}
        except ValueError as error:
            raise FormError(f"its arguments are not JSON: {error}") from error
    if arguments is None:
        return {}
    if isinstance(arguments, Broken):
        raise FormError(f"its arguments are not JSON: {arguments.problem}")
    if not isinstance(arguments, dict):
        raise FormError("its arguments are not an object")
    return arguments


def settled_fields(kind: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of an operation: numbers as such, under their own names, without empty ones of others."""
    known = _FIELDS[kind]
    fields: dict[str, Any] = {}
    for name, value in given.items():
        own = name if name in known else _ALIASES.get(name, name)
        if own not in known:
            own = name
        if own not in known and (value is None or value == "" or value == [] or value == {}):
            continue
        if own in fields and own != name:
            continue
        if own == "k" and value in (None, ""):
            continue
        fields[own] = value
    for name in ("id", "k"):
        if name in fields:
            fields[name] = whole_number(fields[name])
    for name in ("content", "query"):
        value = fields.get(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            fields[name] = str(value)
    return fields


def _field_names(value: dict[str, Any]) -> bool:
    """Return whether an object has fields of an operation, and no name of one."""
    if "op" in value or _name_of(value) is not None or _held(value) is not None:
        return False
    return any(key in ("content", "query", "id") or key in _ALIASES for key in value)


def _with_head(fields: dict[str, Any], kind: str) -> dict[str, Any]:
    """Return ``fields``, an update's id taken from the head of its content where it stands there."""
    content = fields.get("content")
    if kind != "update" or "id" in fields or not isinstance(content, str):
        return fields
    head = re.match(
        r"\s*(?:id\s*[:=]?\s*|entry\s+)?[#\[\"']{0,2}(\d{1,18})[\]\"']{0,2}\s*[\n:,;]\s*",
        content,
        re.I | re.A,
    )
    if head is None:
        return fields
    return {**fields, "id": int(head.group(1)), "content": content[head.end() :]}


def _attributes(text: str) -> dict[str, str]:
    """Return the fields that a tag has as attributes."""
    return {
        found.group(1).lower(): next(value for value in found.groups()[1:] if value is not None)
        for found in _ATTRIBUTE.finditer(text)
    }


def _trimmed(value: str) -> str:
    """Return a tag's text without the line breaks that set it apart."""
    return value.removeprefix("\n").removesuffix("\n") if value.strip() else ""


def _scalar(said: str) -> Any:
    """Return what stands after a key on a line: a text, without its quotes."""
    if said[:1] in ('"', "'") and len(said) > 1 and said.rstrip(",")[-1] == said[0]:
        try:
            return json.loads(said.rstrip(","), strict=False) if said[0] == '"' else said.rstrip(",")[1:-1]
        except ValueError:
            return said.rstrip(",")[1:-1]
    return said


def _shown(item: Any) -> str:
    try:
        return excerpt(_ENCODE(item))
    except (ValueError, TypeError, RecursionError):
        return excerpt(str(type(item).__name__))
