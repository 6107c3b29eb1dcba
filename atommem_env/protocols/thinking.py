"""A model's thinking, and where its reply begins: the marks that models put around what they think.

Known are ``<think>``, ``<thinking>``, ``<thought>``, ``<reasoning>``, ``<analysis>`` and the like, with a prefix
(``<seed:think>``) and in other brackets (``[THINK]``, ``◁think▷``, ``<|think|>``), ``<|START_THINKING|>``,
``<|begin_of_thought|>``, the channels of harmony (``<|channel|>analysis<|message|>...<|end|>``) and of Gemma.
Every function is linear in the text.
"""

from __future__ import annotations

import re
from typing import Final

_NAME: Final = r"(?:think(?:ing)?|thoughts?|reason(?:ing)?|reflection|analysis|cot)"
_PREFIX: Final = r"(?:[a-z]{1,16}:)?"
_FLAGS: Final = re.IGNORECASE | re.ASCII

OPEN: Final = (
    rf"<{_PREFIX}{_NAME}(?:\s[^<>]{{0,80}})?>|\[{_NAME}\]|◁{_NAME}▷|<\|{_NAME}\|>|<\|START_{_NAME}\|>"
    rf"|<\|begin_of_{_NAME}\|>|<\|channel\|>\s*(?:analysis|commentary(?!\s+to=))[^<>]{{0,40}}<\|message\|>"
    r"|<\|channel>\s*thought"
)
"""A pattern of the marks that begin a thinking, for :data:`re.IGNORECASE` and :data:`re.ASCII`; no groups."""

CLOSE: Final = (
    rf"</{_PREFIX}{_NAME}\s*>|\[/{_NAME}\]|◁/{_NAME}▷|<\|/{_NAME}\|>|<\|END_{_NAME}\|>|<\|end_of_{_NAME}\|>"
)
"""A pattern of the marks that end one, other than those of channels."""

NEVER_ENDS: Final = "it is nothing but thinking: what {} begins never ends"
"""What is said of a text that :func:`unended_thinking` finds a mark in."""

_CHANNEL_END: Final = r"<\|(?:end|return|call)\|>|(?=<\|start\|>|<\|channel\|>)"
_MARK = re.compile(rf"(?P<close>{CLOSE})|(?P<open>{OPEN})", _FLAGS)
_OPEN = re.compile(rf"\s*({OPEN})", _FLAGS)
_CLOSE = re.compile(CLOSE, _FLAGS)
_ENDS: Final = {
    "<|channel|>": re.compile(_CHANNEL_END, _FLAGS),
    "<|channel>": re.compile(r"<channel\|>", _FLAGS),
}
_BARE_CHANNELS = re.compile(r"\s*analysis(?=[A-Z\s])(.*?)assistant(?=final)final", re.DOTALL)
_NEXT_ANALYSIS = re.compile(r"\s*<\|start\|>\s*\w{1,20}\s*(?=<\|channel\|>\s*analysis)", _FLAGS)
_FINAL = re.compile(
    r"\s*(?:<\|start\|>\s*\w{1,20}\s*)?<\|channel\|>\s*(?:final|response)[^<>]{0,40}<\|message\|>", _FLAGS
)
_LAST_MARK = re.compile(
    r"(?:<\|(?:im_end|im_start|end|endoftext|end_of_text|eot_id|eom_id|return|end_of_turn|user|assistant)\|>|</s>"
    r"|<eos>|<end_of_turn>|<end_of_utterance>|<\uff5cend\u2581of\u2581sentence\uff5c>|<\|END_RESPONSE\|>|\[/INST\])\Z",
    _FLAGS,
)
_FIRST_MARK = re.compile(r"\s*(?:<\|START_RESPONSE\|>|<\|im_start\|>assistant\s|<s>)", _FLAGS)


def reasoning_end(text: str) -> int:
    """Return where the reasoning ends that a text begins with, when its opening mark stood in the prompt."""
    first = _MARK.search(text)
    return first.end() if first is not None and first["close"] else 0


def unended_thinking(text: str) -> str:
    """Return the mark of a thinking that never ends, where a text begins with one (after others, that end); or ``""``.

    Such a text was cut off before its reply began, and is nothing but thinking.
    """
    position = reasoning_end(text)
    while (opening := _OPEN.match(text, position)) is not None:
        end = ending_of(opening.group(1)).search(text, opening.end())
        if end is None:
            return opening.group(1)
        start = _NEXT_ANALYSIS.match(text, end.end())
        position = end.end() if start is None else start.end()
    return ""


def ending_of(opening: str) -> re.Pattern[str]:
    """Return the pattern of what ends a thinking that the mark ``opening`` begins."""
    lowered = opening.lower()
    return next((pattern for mark, pattern in _ENDS.items() if lowered.startswith(mark)), _CLOSE)


def split_thinking(text: str) -> tuple[str, str]:
    """Return a model's thinking and its reply, where a text holds both: blocks of thinking at its head.

    The first opening mark may have stood in the prompt; a thinking that was cut off leaves an empty reply.
    Marks of a reply's end (``<|im_end|>``, ``</s>``) belong to neither.
    """
    bare = _BARE_CHANNELS.match(text)
    if bare is not None:  # harmony whose special tokens were dropped
        return bare.group(1).strip(), _without_marks(text[bare.end() :])
    thoughts: list[str] = []
    position = 0
    while position < len(text):
        opening = _OPEN.match(text, position)
        if opening is not None:
            end = ending_of(opening.group(1)).search(text, opening.end())
            thoughts.append(text[opening.end() : len(text) if end is None else end.start()])
            position = len(text) if end is None else end.end()
            continue
        start = _NEXT_ANALYSIS.match(text, position)
        if start is not None:
            position = start.end()
            continue
        first = _MARK.search(text, position)
        if first is None or first["open"]:
            break
        thoughts.append(text[position : first.start()])
        position = first.end()
    final = _FINAL.match(text, position)
    reply = _without_marks(text[position if final is None else final.end() :])
    return "\n".join(thought.strip() for thought in thoughts if thought.strip()), reply


def _without_marks(text: str) -> str:
    first = _FIRST_MARK.match(text)
    text = (text if first is None else text[first.end() :]).strip()
    while (last := _LAST_MARK.search(text[-64:])) is not None:
        text = text[: len(text) - len(last.group())].rstrip()
    return text
