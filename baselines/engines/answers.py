r"""The short answer in a model's reply, however it is dressed.

Taken off, as often as they come, are: an ``<answer>`` tag, a ``\boxed{}``, a JSON object with an answer, a heading or
label (``### Answer``, ``**Final Answer**``, ``Short answer:``, ``So the answer is:``), a code fence, emphasis, and
quotes around the whole. What is an answer itself stays as it is: ``The Answer (novel)``, ``Answer Me!``, ``50%``.
Every function is linear in the text.
"""

from __future__ import annotations

import re
from typing import Any, Final

from atommem_env.llm.json_reply import read_object, texts
from atommem_env.protocols.thinking import split_thinking

KEYS: Final = ("answer", "final_answer", "short_answer", "finalAnswer", "Answer", "final answer")
"""The keys under which a JSON object gives an answer."""

_TAG = re.compile(
    r"<(?:final_|short_)?answer(?:\s[^<>]{0,80})?>|\[(?:final[ _])?answer\]:?|<\|begin_of_box\|>", re.I | re.A
)
_TAG_END = re.compile(
    r"</(?:final_|short_)?answer\s*>|\[/(?:final[ _])?answer\]|<\|end_of_box\|>", re.I | re.A
)
_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{")
_DRESS = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|textrm|mbox|text\w{2})\s*\{")
_BRACE = re.compile(r"\\[{}]|[{}]")
_FENCE = re.compile(r"^[ \t]*(?:```|~~~)[\w+-]*[ \t]*$", re.M)
_WORDS: Final = r"(?:(?:the|my|your|final|short|correct|best|direct|exact|concise)[ \t]+){0,4}"
_LABEL = re.compile(
    # a line that is a heading, with nothing after it on its line
    rf"^[ \t]*(?:#{{1,6}}[ \t]*|[*_]{{1,3}}[ \t]*|\d{{1,2}}[.)][ \t]*)+{_WORDS}answer[ \t]*[:：]?[ \t]*[*_]{{0,3}}"
    r"[ \t]*[:：]?[ \t]*#*[ \t]*(?=\n|\Z)"
    # a label before a colon or a dash
    rf"|^[ \t]*(?:[#>*_\-•`]{{1,6}}[ \t]*){{0,3}}(?:(?:so|therefore|thus|hence|and)[, \t]+)?{_WORDS}answer"
    r"[ \t]*[*_`]{0,3}[ \t]*(?:[:：=→]|[-–—=]>?(?=[ \t]))[ \t]*[*_`]{0,3}"
    rf"|^[ \t]*{_WORDS}answer[ \t]*(?=\n\s*\S)"
    r"|^[ \t]*(?:最终)?答案[ \t]*[:：][ \t]*"
    # a question said again before it
    r"|\A(?:q|question)[ \t]*[:：][^\n]{0,2000}\n\s*a(?:nswer)?[ \t]*[:：][ \t]*"
    # what leads over to it
    r"|(?:^|(?<=[.!?,;] ))[ \t]*here(?:['’]s| is| comes)[ \t]+(?:the|my|your)[ \t]+"
    r"(?:(?:final|short|correct|best)[ \t]+){0,2}answer[ \t]*[:：][ \t]*[*_]{0,3}[ \t]*"
    # a clause that says it
    r"|(?:^|(?<=[.!?,;:\n] )|(?<=\n))[ \t]*[*_]{0,3}"
    r"(?:(?:so|therefore|thus|hence|and|then|in conclusion|in short|overall)[, \t]+)?"
    r"(?:(?:i|we)[ \t]+(?:believe|think|conclude|would say)[ \t]+(?:that[ \t]+)?)?"
    r"(?:the|my)[ \t]+(?:(?:final|short|correct|best)[ \t]+){0,2}answer"
    r"(?:[ \t]+to[ \t]+(?:the|this|your)[ \t]+question)?"
    r"[ \t]*[*_]{0,3}[ \t]+(?:is|was|would be|should be)(?:[ \t]+that)?[ \t]*[:：]?[ \t]*",
    re.I | re.M,
)
_PAIRS: Final = {'"': '"', "'": "'", "“": "”", "‘": "’", "«": "»", "„": "“", "「": "」", "『": "』", "`": "`"}
_EMPHASIS = re.compile(r"\A(\*{1,3}|_{1,3}|~~|==)(?=\S)(.*?)(?<=\S)\1\Z", re.S)
_PREFIXES = re.compile(r"\A(?:[-•*>][ \t]+|#{1,6}[ \t]+|A:[ \t]*)(?=\S)")
_REMARK = re.compile(
    r"(?<=[.!?])[ \t]+\(?(?:explanation|reason(?:ing)?|justification|rationale|sources?)[ \t]*[:：]",
    re.I | re.A,
)
_ABBREVIATED = re.compile(r"\b\w\.\w?\.\Z|\b(?:[A-Z]|Jr|Sr|Inc|Ltd|Co|Corp|St|Dr|No)\.\Z")


def short_answer(reply: str) -> str:
    """Return the answer that ``reply`` gives; ``""`` when it gives none."""
    text = split_thinking(reply)[1].strip()
    for _ in range(4):
        said = _undressed(text)
        if said == text:
            break
        text = said
    return text


def _undressed(text: str) -> str:
    """Return ``text`` with one layer taken off, or as its first line."""
    inner = _tagged(text)
    if inner is None:
        inner = _boxed(text)
    if inner is None:
        inner = _in_json(text)
    if inner is not None:
        return inner.strip()
    said, clause = _labelled(text)
    line = _first_line(said)
    remark = _REMARK.search(line)
    if remark is not None:
        line, clause = line[: remark.start()], True
    if clause:
        line = line if _ABBREVIATED.search(line[-12:]) else line.removesuffix(".")
    return _bare(line)


def _tagged(text: str) -> str | None:
    last = None
    for opening in _TAG.finditer(text):
        last = opening
    if last is None:
        return None
    end = _TAG_END.search(text, last.end())
    return text[last.end() : len(text) if end is None else end.start()]


def _boxed(text: str) -> str | None:
    found, start = None, 0
    while (box := _BOX.search(text, start)) is not None:
        end = _brace_end(text, box.end())
        if end is None:
            break
        found, start = text[box.end() : end], end + 1
    if found is None:
        return None
    while (dress := _DRESS.match(found.strip())) is not None and found.strip().endswith("}"):
        found = found.strip()[dress.end() : -1]
    return found.replace("\\%", "%").replace("\\$", "$").replace("\\&", "&").replace("\\ ", " ")


def _brace_end(text: str, start: int) -> int | None:
    depth = 1
    for brace in _BRACE.finditer(text, start):
        depth += {"{": 1, "}": -1}.get(brace.group(), 0)
        if depth == 0:
            return brace.start()
    return None


def _in_json(text: str) -> str | None:
    if "{" not in text:
        return None
    found = read_object(text, *KEYS)
    if found is None:
        return None
    said: Any = next(found[key] for key in KEYS if key in found)
    answers = texts(said)
    return ", ".join(answers) if answers else None


def _labelled(text: str) -> tuple[str, bool]:
    """Return what follows the last label, and whether that was a clause, which ends in a full stop."""
    last = None
    for label in _LABEL.finditer(text):
        if text[label.end() :].strip(" \t\n*_`#.") or last is None:
            last = label
    if last is None or not text[last.end() :].strip(" \t\n*_`#."):
        return text, False
    return text[last.end() :], re.search(r"(?:is|was|be|that)[ \t]*[:：]?[ \t]*\Z", last.group()) is not None


def _first_line(text: str) -> str:
    lines = (line.strip() for line in text.splitlines())
    return next(
        (line for line in lines if line and not _FENCE.match(line) and line not in ("*", "**", "---")), ""
    )


def _bare(line: str) -> str:
    """Return ``line`` without marks around the whole of it."""
    for _ in range(6):
        before = line
        dress = _DRESS.match(line)
        if dress is not None and line.endswith("}"):
            line = line[dress.end() : -1]
        line = _PREFIXES.sub("", line.strip())
        emphasised = _EMPHASIS.match(line)
        if emphasised is not None and emphasised.group(1) not in emphasised.group(2):
            line = emphasised.group(2)
        for mark in ("**", "__", "`"):  # one that was opened before the label, or never closed
            if line.count(mark) == 1 and (line.startswith(mark) or line.endswith(mark)):
                line = line.removeprefix(mark).removesuffix(mark)
        closing = _PAIRS.get(line[:1])
        if closing is not None and len(line) > 1 and closing not in line[1:-1]:
            if line[-1] == closing:
                line = line[1:-1] if _ABBREVIATED.search(line[-13:-1]) else line[1:-1].removesuffix(".")
            elif line[-2:] in (f"{closing}.", f"{closing},"):
                line = line[1:-2]
        if line == before:
            break
    return line.strip()
