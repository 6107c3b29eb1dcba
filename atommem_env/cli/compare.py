"""``atommem compare``: two policies, or two runs, task by task."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from atommem_env.cli.common import Debug, OnlyEnvs, command, repeatable
from atommem_env.cli.console import output, print_lines, say
from atommem_env.core import safe_text
from atommem_env.core.safe_text import one_line
from atommem_env.report.comparisons import MEASURES, Difference, Side, compare
from atommem_env.report.formats import Column, Sheet, html_page, latex_page, markdown_page
from atommem_env.runs.errors import RunError
from atommem_env.runs.run import Run

_PAGES: Final = {".md": markdown_page, ".tex": latex_page, ".html": html_page}
_ENDINGS: Final = (".json", ".csv", *_PAGES)


@command("compare")
def compare_command(
    runs: Annotated[
        list[Path], typer.Argument(help="One run's folder, or two.", metavar="RUN [RUN]", show_default=False)
    ],
    policy: Annotated[
        list[str] | None,
        typer.Option(
            "--policy",
            help="The policy; given twice: the first against the second, which with two runs is of the other run.",
            metavar="NAME",
            show_default="of two runs, those that both have",
        ),
    ] = None,
    env: OnlyEnvs = None,
    measure: Annotated[
        list[str] | None,
        repeatable(
            "--measure", f"What is compared: {', '.join(MEASURES)}.", "NAME", default="all that both have"
        ),
    ] = None,
    tasks: Annotated[
        bool, typer.Option("--tasks", help="Show the difference of each task, or history.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            help=f"Write the differences to this file, in the format of its ending: {', '.join(_ENDINGS)}.",
            metavar="FILE",
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Show how much better one policy is than another on the same tasks, or one run than another.

    The difference is taken task by task; its 95 % interval is over tasks.

    [dim]Examples:[/dim]

      atommem compare runs/mine --policy rag --policy memagent

      atommem compare runs/a runs/b --measure em --measure kept

      atommem compare runs/a runs/b --policy rag --tasks
    """
    if out is not None and out.suffix.lower() not in _ENDINGS:
        raise RunError(f"--out {out}: the name of this file ends in one of {', '.join(_ENDINGS)}")
    for name in measure or ():
        if name not in MEASURES:
            raise RunError(f"--measure {name}: expected one of {', '.join(MEASURES)}")
    found = [
        (first, second, compare(first, second, measure or ()))
        for first, second in _sides([Run.load(path) for path in runs], list(policy or ()), list(env or ()))
    ]
    if out is None:
        console = output()
        for first, second, differences in found:
            print_lines(_lines(first, second, differences, tasks), console)
        print_lines(_notes([each for _, _, differences in found for each in differences]), console)
        return
    notes = [text for _, text in _notes([each for _, _, differences in found for each in differences])]
    if out.suffix.lower() in _PAGES:
        text = _PAGES[out.suffix.lower()]([_sheet(*each) for each in found], notes)
        out.write_text(text, encoding="utf-8")
        say(f"The differences are in {out}")
        return
    records = [
        {"env": first.env, "first": first.label, "second": second.label, **record}
        for first, second, differences in found
        for record in map(_record, differences)
    ]
    as_json = out.suffix.lower() == ".json"
    out.write_text(json.dumps(records, indent=2) + "\n" if as_json else _csv(records), encoding="utf-8")
    say(f"The differences are in {out}")


def _sides(runs: Sequence[Run], policies: list[str], envs: list[str]) -> list[tuple[Side, Side]]:
    """Return what is compared with what."""
    if len(runs) > 2 or len(policies) > 2:
        raise RunError("expected one run or two, and at most two policies")
    first, second = runs[0], runs[-1]
    known = [[policy["name"] for policy in run.settings["policies"]] for run in (first, second)]
    if len(policies) == 2:
        pairs = [(policies[0], policies[1])]
    elif len(runs) == 1:
        if policies or len(known[0]) != 2:
            raise RunError(
                f"one run: name the two policies to compare with --policy twice; it has {', '.join(known[0])}"
            )
        pairs = [(known[0][0], known[0][1])]
    elif not policies and len(known[0]) == len(known[1]) == 1:
        pairs = [(known[0][0], known[1][0])]
    else:
        pairs = [(name, name) for name in policies or known[0] if policies or name in known[1]]
    if not pairs:
        raise RunError(
            f"the runs have no policy in common ({', '.join(known[0])}; {', '.join(known[1])}): name one of each with "
            "--policy twice"
        )
    names = [
        env["name"]
        for env in first.settings["envs"]
        if env["name"] in {other["name"] for other in second.settings["envs"]}
    ]
    for name in envs:
        if name not in names:
            raise RunError(
                f"--env {name}: expected one that both have: {', '.join(names) or 'there is none'}"
            )
    if not names:
        raise RunError("the runs have no environment in common")
    return [
        (Side(first, name, one), Side(second, name, other)) for name in envs or names for one, other in pairs
    ]


def _sheet(first: Side, second: Side, differences: Sequence[Difference]) -> Sheet:
    heads = [Column("measure", left=True), *map(Column, ("first", "second", "difference", "+ / = / −"))]
    cells = [
        [each.measure, _percent(each.first), _percent(each.second), _difference(each), _signs(each)]
        for each in differences
    ]
    return Sheet(f"{_title(first, second)} ({_about(first, second)})", heads, cells)


def _title(first: Side, second: Side) -> str:
    return f"{first.label} less {second.label}, on {first.env}"


def _about(first: Side, second: Side) -> str:
    engines = [
        next((episode["engine"] for episode in side.episodes), None) or "none" for side in (first, second)
    ]
    return f"{first.episodes[0]['source']}, engine {' and '.join(dict.fromkeys(engines))}"


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"


def _difference(each: Difference) -> str:
    low, high = each.difference.bounds or (each.difference.mean, each.difference.mean)
    return f"{_signed(each.difference.mean)} [{_signed(low)}, {_signed(high)}]"


def _signs(each: Difference) -> str:
    return " / ".join(map(str, each.signs))


def _lines(
    first: Side, second: Side, differences: Sequence[Difference], tasks: bool
) -> list[tuple[str, str]]:
    lines = [
        ("bold", _title(first, second)),
        ("dim", one_line(_about(first, second))),
        ("", ""),
        ("bold", f"{'measure':<10}{'first':>8}{'second':>8}   {'difference':<24}{'+ / = / −':>12}"),
    ]
    for each in differences:
        means = f"{_percent(each.first):>8}{_percent(each.second):>8}"
        lines.append(
            ("", f"{each.measure:<10}{means}   {_difference(each):<24}{_signs(each):>12}"),
        )
        few = each.over.startswith("questions")
        if tasks or few:
            shown = each.by_history if each.by_history is not None else each.by_task
            lines += [("dim", f"    {one_line(task)}: {_signed(value)}") for task, value in shown.items()]
    return [*lines, ("", "")]


def _notes(differences: Sequence[Difference]) -> list[tuple[str, str]]:
    over = " or ".join(dict.fromkeys(each.over for each in differences))
    units = "histories" if any(each.by_history is not None for each in differences) else "tasks"
    return [
        (
            "dim",
            f"In percent, on the tasks that both have; [low, high]: 95 % bootstrap interval over {over}.",
        ),
        ("dim", f"+ / = / −: on how many {units} the first is better, equal, worse."),
    ]


def _signed(value: float) -> str:
    return f"{100 * value:+.1f}".replace("-", "−")


def _record(each: Difference) -> dict[str, Any]:
    better, equal, worse = each.signs
    return {
        **{name: value for name, value in asdict(each).items() if name != "difference"},
        "difference": each.difference.mean,
        "low": each.difference.low,
        "high": each.difference.high,
        "tasks": len(each.by_task),
        "better": better,
        "equal": equal,
        "worse": worse,
    }


def _csv(records: Sequence[dict[str, Any]]) -> str:
    file = io.StringIO()
    names = [name for name in records[0] if not name.startswith("by_")]
    writer = csv.DictWriter(file, names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for record in records:
        safe = {
            name: safe_text.csv(value) if isinstance(value, str) else value for name, value in record.items()
        }
        writer.writerow(safe)
    return file.getvalue()
