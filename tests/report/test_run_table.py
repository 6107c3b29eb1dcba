"""A table says the same in each of its forms, and says what its numbers are of."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from atommem_env.report.formats import Column, Sheet, html_page
from atommem_env.report.question_types import by_type
from atommem_env.report.summary import summarise
from atommem_env.report.tables import format_of, ordered, table, terminal_lines
from atommem_env.runs import Run, RunError


def run(
    source: str = "generated:world(seed=0)#1", total: int = 2, buffer: bool = False, units: int = 1
) -> Run:
    share = None if buffer or not units else 0.5
    shares = dict.fromkeys(("seen", "written", "kept", "read"), share)
    question = {"num_evidence": units, "evidence": {**shares, "answered": 1.0}}
    episodes: list[dict[str, Any]] = [
        {
            "env": "AtomMem-HotpotQA-v0",
            "policy": policy,
            "engine": "rules" if policy == "rag" else None,
            "task_id": str(index),
            "task_index": index,
            "source": source,
            "metrics": {
                "em": float(index),
                "f1": 0.5,
                "cover_em": 1.0,
                "questions": [question],
                "refused": {"empty": 0},
                "memory_peak": 3,
                "entries_shown": 4,
                "steps": 5,
            },
        }
        for policy in ("rag", "random")
        for index in range(2)
    ]
    settings = {
        "atommem_env": "0",
        "envs": [{"name": "AtomMem-HotpotQA-v0", "id": "AtomMem-HotpotQA-v0", "arguments": {}}],
        "policies": [{"name": "rag"}, {"name": "random"}],
        "episodes": total,
        "seed": 0,
    }
    return Run(settings, episodes)


def test_markdown_has_a_row_for_each_policy_with_percentages() -> None:
    lines = table([run()], "markdown").splitlines()
    assert lines[0].startswith("| environment")
    assert set(lines[1]) <= set("|-: ")
    cells = [cell.strip() for cell in lines[2].strip("|").split("|")]
    assert cells[:7] == [
        "AtomMem-HotpotQA-v0 (generated)",
        "generated:world(seed=0)#1",
        "always",
        "rag",
        "rules",
        "2",
        "2",
    ]
    assert cells[7:9] == ["50.0 [0.0, 100.0]", "50.0 [50.0, 50.0]"]
    assert len({line.count("|") for line in lines[:4]}) == 1


def test_csv_has_fractions_in_columns_of_their_own() -> None:
    rows = list(csv.DictReader(io.StringIO(table([run()], "csv"))))
    assert [row["policy"] for row in rows] == ["rag", "random"]
    assert (rows[0]["em"], rows[0]["em_low"], rows[0]["em_high"]) == ("0.5", "0.0", "1.0")
    assert (rows[0]["env"], rows[0]["generated"]) == ("AtomMem-HotpotQA-v0 (generated)", "1")
    assert (rows[0]["engine"], rows[1]["engine"]) == ("rules", "")
    assert rows[0]["cover_em"] == "1.0"


def test_csv_leaves_empty_what_is_undefined() -> None:
    (row, _) = csv.DictReader(io.StringIO(table([run(buffer=True)], "csv")))
    assert (row["kept"], row["uses_buffer"]) == ("", "1")


@pytest.mark.parametrize("format", ["terminal", "markdown"])
def test_a_reader_is_told_what_the_numbers_are_of(format: str) -> None:
    text = table([run()], format)
    assert "AtomMem-HotpotQA-v0 (generated)" in text
    assert "say nothing about the benchmark" in text
    assert "stand-in for an LLM" in text
    assert "unfinished" not in text
    real = table([run(source="file:dev.json#1")], format)
    assert "(generated)" not in real
    assert "file:dev.json#1" in real


@pytest.mark.parametrize("format", ["terminal", "markdown"])
def test_a_buffer_and_missing_evidence_and_an_unfinished_run_are_marked(format: str) -> None:
    assert "rag †" in table([run(buffer=True)], format)
    assert "† keeps text outside memory" in table([run(buffer=True)], format)
    assert "2 questions of a row have no evidence" in table([run(units=0)], format)
    assert "unfinished: 4 of 10 episodes" in table([run(total=5)], format)


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("wide", [False, True])
def test_a_terminal_table_fits_and_shows_every_column(width: int, wide: bool) -> None:
    lines = [text for _, text in terminal_lines([run()], wide, width)]
    table_lines = lines[2:]
    assert max(map(len, table_lines)) <= width
    heads = " ".join(line for line in lines if line.startswith("policy"))
    assert {"engine", "EM", "F1", "kept", "read"} <= set(heads.split())
    assert ("cover" in heads.split()) is wide


def test_at_120_columns_the_plain_table_is_one_block() -> None:
    lines = [text for _, text in terminal_lines([run()], False, 120)]
    assert sum(line.startswith("policy") for line in lines) == 1


def test_a_table_that_no_terminal_shows_has_a_line_for_each_row() -> None:
    lines = table([run()], wide=True).splitlines()
    assert sum(line.startswith("policy") for line in lines) == 1
    assert max(len(line) for line in lines if line.startswith("rag")) > 120
    assert max(len(line) for line in lines[7:]) <= 120  # the notes


def test_a_benchmarks_own_score_has_a_column_where_it_repeats_no_other() -> None:
    def scored(official: str | float) -> Run:
        made = run()
        for episode in made.episodes:
            metrics = episode["metrics"]
            metrics["official"] = metrics[official] if isinstance(official, str) else official
        return made

    for format in ("terminal", "markdown"):
        assert "official" in table([scored(0.25)], format)
        for name, title in (("em", "EM"), ("f1", "F1")):
            repeated = table([scored(name)], format)
            assert "official" not in repeated
            assert (
                f"The benchmark's own score is {title} in every row of AtomMem-HotpotQA-v0 (generated)."
                in repeated
            )
    assert "official" in table([scored("em")], "csv")


def test_a_run_prints_as_its_table() -> None:
    assert str(run()) == table([run()], "terminal")
    assert "50.0 [0.0, 100.0]" in str(run())


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(RunError, match="format 'pdf': expected one of terminal, markdown, csv"):
        table([run()], "pdf")


HOSTILE = "rag [k=12]\x1b]52;c;eA==\x07\x9b2J\u202e|\n=cmd() $\\frac{$ \x00"


def hostile() -> Run:
    whole = run(source=f"file:{HOSTILE}#1")
    settings = {**whole.settings, "policies": [{"name": HOSTILE}, {"name": "random"}]}
    episodes = [
        {**episode, "policy": HOSTILE if episode["policy"] == "rag" else "random"}
        for episode in whole.episodes
    ]
    return Run(settings, episodes)


@pytest.mark.parametrize("format", ["terminal", "markdown", "csv"])
def test_names_of_others_neither_vanish_nor_steer(format: str) -> None:
    text = table([hostile()], format)
    assert "rag [k=12]" in text
    assert not set("\x1b\x07\x9b\u202e\x00") & set(text)


def test_a_name_with_a_line_break_and_a_bar_stays_in_its_cell() -> None:
    lines = table([hostile()], "markdown").splitlines()[:4]
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1


def test_a_name_that_a_spreadsheet_would_compute_is_text() -> None:
    whole = hostile()
    for episode in whole.episodes:
        episode["engine"] = "=cmd()"
    assert {row["engine"] for row in csv.DictReader(io.StringIO(table([whole], "csv")))} == {"'=cmd()"}


# --- formats, order, types ----------------------------------------------------------------------------


def test_json_reads_back_and_has_scores_by_name() -> None:
    data = json.loads(table([run()], "json"))
    (rag, _) = data["rows"]
    assert rag["scores"]["em"] == {"mean": 0.5, "low": 0.0, "high": 1.0}
    assert (rag["policy"], rag["engine"], rag["questions_shown"]) == ("rag", "rules", "always")
    assert any("bootstrap" in note for note in data["notes"])
    assert table([hostile()], "json").isascii()


def test_latex_has_as_many_columns_as_it_says_and_nothing_unescaped() -> None:
    text = table([hostile()], "latex")
    lines = text.splitlines()
    columns = len(re.search(r"\\begin\{tabular\}\{([lr]+)\}", text)[1])  # type: ignore[index]
    rows = [line for line in lines if line.endswith(r"\\")]
    assert len(rows) == 3
    assert {len(re.findall(r"(?<!\\)&", line)) + 1 for line in rows} == {columns}
    assert r"rag [k=12]" in text
    assert r"\$\textbackslash{}frac\{\$" in text


@pytest.mark.heavy
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="there is no pdflatex here")
@pytest.mark.parametrize("by", [None, "type"])
def test_latex_compiles(tmp_path: Path, by: str | None) -> None:
    body = table([hostile(), run(buffer=True)], "latex", wide=True, by=by)
    preamble = "\\documentclass{article}\n\\usepackage[paperwidth=60in,margin=1in]{geometry}\n"
    text = f"{preamble}\\begin{{document}}\n{body}\\end{{document}}\n"
    (tmp_path / "x.tex").write_text(text, encoding="utf-8")
    words = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "x.tex"]
    made = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert made.returncode == 0, made.stdout[-2000:]
    assert (tmp_path / "x.pdf").stat().st_size > 1000


def test_html_is_a_table_in_which_names_are_text() -> None:
    whole = hostile()
    for episode in whole.episodes:
        episode["engine"] = "<script>"
    text = table([whole], "html")
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    assert run()._repr_html_() == table([run()], "html")


def test_what_all_rows_of_a_page_say_stands_above_them_once() -> None:
    sheet = Sheet(
        "",
        [Column("env", left=True), Column("policy", left=True), Column("EM")],
        [["w", "a", "1"], ["w", "b", "1"]],
    )
    shown = html_page([sheet], [])
    assert "<caption>env w</caption>" in shown
    assert [shown.count(f">{text}<") for text in ("env", "policy", "1", "w")] == [0, 1, 2, 0]
    assert html_page([sheet._replace(cells=sheet.cells[:1])], []).count(">w<") == 1


@pytest.mark.parametrize(
    ("ending", "begins"),
    [("md", "| env"), ("csv", "env,"), ("json", "{"), ("tex", "\\begin"), ("html", "<table")],
)
def test_the_ending_of_a_files_name_says_the_format(ending: str, begins: str) -> None:
    assert table([run()], format_of(f"x.{ending}")).startswith(begins)


def test_an_ending_that_says_nothing_is_refused_with_those_that_do() -> None:
    with pytest.raises(RunError, match=r"x.xlsx: .* ends in one of .txt .*\.tex \(latex\)"):
        format_of("x.xlsx")


def test_rows_are_ordered_by_a_column_within_their_environment() -> None:
    whole = run()
    for episode in whole.episodes:
        if episode["policy"] == "random":
            episode["metrics"] = {**episode["metrics"], "em": 1.0}
    assert [row.policy for row in ordered(summarise([whole]), "em")] == ["random", "rag"]
    assert [row.policy for row in ordered(summarise([whole]), "policy")] == ["rag", "random"]
    with pytest.raises(RunError, match="sort 'size': expected one of policy, engine"):
        ordered(summarise([whole]), "size")


def typed(*questions: tuple[str, float]) -> Run:
    whole = run()
    (template,) = whole.episodes[0]["metrics"]["questions"]
    asked = [
        {**template, "type": kind, "em": em, "f1": em, "cover_em": em, "official": None}
        for kind, em in questions
    ]
    for episode in whole.episodes:
        episode["metrics"] = {**episode["metrics"], "questions": asked}
    return whole


def test_by_type_micro_weighs_questions_and_macro_types() -> None:
    whole = typed(("bridge", 1.0), ("bridge", 1.0), ("bridge", 0.0), ("count", 0.0))
    (row, _) = by_type(summarise([whole]), [whole])
    assert {kind: found.scores["em"] for kind, found in row.types.items()} == {
        "bridge": pytest.approx(2 / 3),
        "count": 0.0,
    }
    assert (row.micro["em"], row.macro["em"]) == (0.5, pytest.approx(1 / 3))
    line = next(line for line in table([whole], by="type").splitlines() if line.startswith("rag"))
    assert line.split() == ["rag", "EM", "66.7", "0.0", "50.0", "33.3"]
    lines = list(csv.DictReader(io.StringIO(table([whole], "csv", by="type"))))
    assert [line["type"] for line in lines[:4]] == ["bridge", "count", "micro", "macro"]
    with pytest.raises(RunError, match="score 'judge': expected one of em"):
        table([whole], by="type", score="judge")


def test_by_type_shows_beside_what_can_be_answered_and_what_cannot() -> None:
    whole = typed(("a", 1.0), ("a", 0.0), ("b", 0.0), ("b", 1.0))
    for episode in whole.episodes:
        for question in episode["metrics"]["questions"][2:]:
            question["answerable"] = False
        episode["metrics"]["questions"][2]["answerable"] = True
    (row, _) = by_type(summarise([whole]), [whole])
    assert {side: (found.questions, found.scores["em"]) for side, found in row.sides.items()} == {
        "answerable": (6, pytest.approx(1 / 3)),
        "unanswerable": (2, 1.0),
    }
    text = table([whole], by="type")
    assert "answerable (6)  unanswerable (2)" in text
    line = next(line for line in text.splitlines() if line.startswith("rag"))
    assert line.split() == ["rag", "EM", "50.0", "50.0", "50.0", "50.0", "33.3", "100.0"]
    lines = list(csv.DictReader(io.StringIO(table([whole], "csv", by="type"))))
    assert [line["type"] for line in lines[4:6]] == ["answerable", "unanswerable"]


def test_more_than_one_reply_in_a_hundred_that_cannot_be_read_has_a_line() -> None:
    whole = run()
    for episode in whole.episodes:
        episode["unreadable"] = {"facts": [2 if episode["policy"] == "rag" else 1, 100]}
    text = " ".join(table([whole]).split())
    assert (
        "rag on AtomMem-HotpotQA-v0 (generated): 2.0 % of its replies could not be read (facts 4 of 200)."
        in text
    )
    assert "random on" not in text


def test_questions_that_cannot_be_answered_have_a_table_of_their_own() -> None:
    whole = typed(("a", 1.0), ("b", 0.0))
    for episode in whole.episodes:
        for number, question in enumerate(episode["metrics"]["questions"]):
            question |= {"answerable": number == 1, "abstained": True}
    text = table([whole])
    line = [line for line in text.splitlines() if line.startswith("rag")][1]
    assert line.split() == ["rag", "0.0", "0", "2", "100.0", "0", "2"]
    (first, *_) = csv.DictReader(io.StringIO(table([whole], "csv")))
    assert (first["answerable"], first["unanswerable"], first["unanswerable_abstained"]) == (
        "0.0",
        "1.0",
        "2",
    )


def test_commands_in_the_notes_of_html_are_code_and_nothing_in_them_is_markup() -> None:
    page = html_page([], ["see `atommem judge <run>`", "a lone ` stays"])
    assert "<li>see <code>atommem judge &lt;run&gt;</code></li><li>a lone ` stays</li>" in page
