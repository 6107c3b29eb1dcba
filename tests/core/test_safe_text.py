"""Text of others does nothing to what shows it: a terminal, markup, a table, a spreadsheet, a page, a picture."""

from __future__ import annotations

import csv
import html as html_reader
import io
import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text

from atommem_env.core import safe_text

HOSTILE = (
    "\x1b[2J\x1b]52;c;cGF5bG9hZA==\x07",
    "\x1b]8;;http://a.b\x1b\\link\x1b]8;;\x1b\\",
    "\x9b31m",
    "\x90q\x9c",
    "a\rb",
    "a\x08\x08b",
    "nul\x00nul",
    "\u202egnp.exe",
    "\u2066isolate",
    "rag [k=12]",
    "[/] [bold] [link=http://a.b]x[/link]",
    "$\\frac{$",
    "a|b\nc|d",
    "=cmd()",
    "+1+1",
    "-2+3",
    "@SUM(A1)",
    "<script>alert(1)</script>",
    "\" onload='x'",
    "[a](javascript:x) ![b](http://a.b) `c` *d* _e_",
    "\\end{tabular}\\input{x} % & # _ ~ ^",
    "\ud800 alone",
    "\x85\u2028\u2029",
)
TEXTS = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(
        st.one_of(st.characters(), st.sampled_from("[]\\$|\n\r\x1b\x9b\x00\u202e=+-@<>&\"'`*_{}^~%#")),
        max_size=60,
    ),
)


def steers(text: str) -> bool:
    return any(
        (unicodedata.category(sign) in ("Cc", "Cs") and sign not in "\n\t")
        or unicodedata.bidirectional(sign) in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
        for sign in text
    )


@given(TEXTS)
def test_no_medium_lets_a_steering_sign_through(text: str) -> None:
    for made in (safe_text.terminal, safe_text.one_line, safe_text.markup, safe_text.plot):
        assert not steers(made(text))
    for made in (safe_text.markdown, safe_text.csv, safe_text.html, safe_text.latex):
        assert not steers(made(text))


@given(TEXTS)
def test_safe_text_is_its_own_safe_text(text: str) -> None:
    for made in (safe_text.terminal, safe_text.one_line, safe_text.plot):
        assert made(made(text)) == made(text)


@pytest.mark.parametrize(
    "text", ["Ambry 12, \u05e9\u05dc\u05d5\u05dd", "\u65e5\u672c", "tab\there\nnext", "e\u0301"]
)
def test_ordinary_text_of_any_tongue_stays(text: str) -> None:
    assert safe_text.terminal(text) == text


@given(TEXTS)
@example("\\[")
@example("\\\\[[b]\\")
def test_markup_prints_as_the_text_that_it_was_made_of(text: str) -> None:
    shown = Text.from_markup(safe_text.markup(text) + "[bold]!").plain
    assert shown == safe_text.terminal(text) + "!"


def test_a_name_with_brackets_does_not_vanish_from_a_console() -> None:
    console = Console(file=io.StringIO(), width=80)
    console.print(f"[bold]{safe_text.markup('rag [k=12]')}[/bold]")
    assert console.file.getvalue() == "rag [k=12]\n"  # type: ignore[attr-defined]


@given(TEXTS)
def test_markdown_stays_in_its_cell(text: str) -> None:
    cell = safe_text.markdown(text)
    assert "\n" not in cell
    assert not re.search(r"(?<!\\)(?:\\\\)*[|<`*]", cell)
    assert not re.search(r"(?<!\\)(?:\\\\)*\]\(", cell)


@given(TEXTS)
def test_csv_holds_no_formula_and_reads_back_as_one_cell(text: str) -> None:
    cell = safe_text.csv(text)
    assert not cell.startswith(("=", "+", "-", "@"))
    file = io.StringIO()
    csv.writer(file).writerow([cell, "next"])
    assert next(csv.reader(io.StringIO(file.getvalue()))) == [cell, "next"]


@given(TEXTS)
def test_html_reads_back_as_the_text(text: str) -> None:
    made = safe_text.html(text)
    assert not set("<>\"'") & set(made)
    assert html_reader.unescape(made) == safe_text.terminal(text)


@given(TEXTS)
def test_latex_opens_nothing_and_closes_nothing(text: str) -> None:
    made = safe_text.latex(text)
    bare = re.sub(r"\\[a-z]+\{\}|\$-\$|\\[{}$&#_%]", "", made)
    assert not set("\\{}$&#_%^~") & set(bare)


@given(TEXTS, st.integers(2, 40))
def test_a_cut_text_fits(text: str, columns: int) -> None:
    assert safe_text.width(safe_text.cut(text, columns)) <= columns


@pytest.mark.heavy
@pytest.mark.parametrize(
    "unit", ["\\", "[", "[a", "]", "\x1b", "\u202e", "\r", "_", "a_", "\\[b", "=", " ", "$", "e\u0301"]
)
def test_a_long_text_stays_in_proportion(unit: str) -> None:
    for made in (safe_text.markup, safe_text.markdown, safe_text.csv, safe_text.html, safe_text.latex):
        assert len(made(unit * 200_000)) <= 40 * 200_000 * len(unit)
