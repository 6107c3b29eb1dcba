"""Text that is not ours, made safe for each medium that shows it.

Questions, documents, names, replies of servers and messages of exceptions may hold anything: signs that steer a
terminal, marks of a markup language, a formula for a spreadsheet. Whatever shows them calls the function of its
medium. All take time in proportion to the text.
"""

from __future__ import annotations

import html as _html
import re
import unicodedata
from typing import Final

_BREAKS: Final = re.compile("\r\n|[\r\v\f\x85\u2028\u2029]")
_STEERING: Final = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""C0 (ESC and NUL among them) and C1, embeddings, overrides and isolates of direction, lone surrogates."""

_MARKUP_TAG: Final = re.compile(r"(?<!\\)(\\*)(\[[a-z#/@][^[]*?\])|\\\[")
_MARKDOWN: Final = re.compile(r"[\\`*<>|&~]|\](?=[(\[:])|(?<!\w)_|_(?!\w)|^(?=[#+-])")
_LATEX: Final = {
    **{sign: f"\\{sign}" for sign in "{}$&#_%"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "–": "--",
    "−": "$-$",
    "†": r"\textdagger{}",
    "·": r"\textperiodcentered{}",
    "…": r"\ldots{}",
}
_FORMULA: Final = tuple("=+-@＝＋－＠")


def _shown(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    return "\ufffd" if 0xD800 <= code < 0xE000 else f"<U+{code:04X}>"


def terminal(text: str) -> str:
    """Return ``text`` with every sign that steers a terminal in a form that can be seen; line breaks and tabs stay."""
    return text if text.isascii() and text.isprintable() else _STEERING.sub(_shown, _BREAKS.sub("\n", text))


def one_line(text: str) -> str:
    """Return ``text``, safe for a terminal, on one line with single spaces."""
    return " ".join(terminal(text).split())


def markup(text: str) -> str:
    """Return ``text`` for rich's markup: a name such as ``rag [k=12]`` does not vanish as a tag."""
    safe = _MARKUP_TAG.sub(_escaped, terminal(text))
    return safe + "\\" * (len(safe) - len(safe.rstrip("\\")))  # else they would escape a tag that follows


def _escaped(match: re.Match[str]) -> str:
    return f"\\{match[0]}" if match[2] is None else f"{match[1] * 2}\\{match[2]}"


def plot(text: str) -> str:
    """Return ``text`` for a picture, line by line: no sign that fonts lack because it is none.

    Pictures are drawn with Matplotlib's ``text.parse_math`` off, so that ``$`` is a dollar.
    """
    return _STEERING.sub(lambda match: f"<U+{ord(match[0]):04X}>", _BREAKS.sub("\n", text)).replace("\t", " ")


def markdown(text: str) -> str:
    """Return ``text`` for Markdown, one line, also within a table."""
    return _MARKDOWN.sub(lambda match: f"\\{match[0]}", one_line(text))


def csv(text: str) -> str:
    """Return ``text`` for a cell of a CSV file: one that a spreadsheet would take for a formula gets a ``'``."""
    line = one_line(text)
    return f"'{line}" if line.startswith(_FORMULA) else line


def html(text: str) -> str:
    """Return ``text`` for HTML, also within an attribute's quotes."""
    return _html.escape(terminal(text))


def latex(text: str) -> str:
    """Return ``text`` for LaTeX, one line, outside formulas; no sign that its fonts lack because it is none."""
    return "".join(_LATEX.get(sign, sign) for sign in " ".join(plot(text).split()))


def width(text: str) -> int:
    """Return how many columns of a terminal ``text`` takes: two for a wide sign, none for one that combines."""
    if text.isascii():
        return len(text)
    return sum(
        0
        if unicodedata.combining(sign) or unicodedata.category(sign) in ("Cf", "Me")
        else 2
        if unicodedata.east_asian_width(sign) in "WF"
        else 1
        for sign in text
    )


def cut(text: str, columns: int) -> str:
    """Return ``text`` on one line of at most ``columns`` columns of a terminal, with ``…`` where it was cut."""
    line = one_line(text)
    if width(line) <= columns:
        return line
    taken, kept = 0, 0
    for sign in line:
        taken += width(sign)
        if taken > columns - 1:
            break
        kept += 1
    return line[:kept] + "…"
