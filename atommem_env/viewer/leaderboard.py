"""A leaderboard as one HTML page: methods by benchmarks and capacities, each number with what is behind it.

What cannot be compared does not stand side by side: real and generated data, questions known while reading and those
that nobody had asked yet, and scores of other engines or judges have their own tables.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from atommem_env._version import __version__
from atommem_env.evidence import STAGES, STALE_STAGES
from atommem_env.registration import CONTROLS, ENVS, short_name
from atommem_env.report.footnotes import ENGINES, data_notes
from atommem_env.report.panels import Panel, label_of, panel_of
from atommem_env.report.summary import Row, summarise
from atommem_env.report.tables import SCORE_TITLES, repeated_score
from atommem_env.runs.errors import RunError
from atommem_env.runs.judge import read_judge, read_leniency
from atommem_env.runs.leniency import leniency_text
from atommem_env.runs.recorded import RecordedRun
from atommem_env.scoring.official import JUDGED
from atommem_env.viewer.page import page
from atommem_env.viewer.view import view_page

_STYLES: Final = ("base.css", "leaderboard.css")
_SCRIPTS: Final = ("base", "leaderboard")
_NUMBERS: Final = ("episodes", "questions", "histories", "memory_peak", "steps", "refused", "unread")


@dataclass(frozen=True)
class _Section:
    """What may stand in one section of the page."""

    generated: bool
    questions_shown: str
    stream: bool

    @property
    def title(self) -> str:
        data = "Generated data" if self.generated else "Real data"
        shown = "questions known while reading"
        if self.questions_shown != "always":
            shown = "questions that nobody has asked yet while reading"
        return f"{data}: {shown}{', asked between chunks' if self.stream else ''}"


@dataclass(frozen=True)
class _Place:
    """Where a row stands: its section, its engine and judge, and its column."""

    section: _Section
    engine: str | None
    judge: str | None
    panel: Panel
    capacity: int | None


def leaderboard_page(
    runs: Sequence[RecordedRun],
    title: str = "Leaderboard",
    views: Mapping[int, str] | None = None,
    first_tasks: Mapping[int, tuple[str, int]] | None = None,
) -> str:
    """Return the page of ``runs``: one HTML document, which needs no other file and no network.

    Args:
        runs: the runs; they may be unfinished, which the page then says.
        title: what heads the page.
        views: by the place of a run among ``runs`` the address of its own page.
        first_tasks: the same of a page of its first task on generated data, and that task's index (see
            :func:`first_task_page`), where the numbers lead that have no page of all.

    Raises:
        RunError: when no episode has ended yet.
    """
    rows = summarise(runs)
    if not rows:
        raise RunError(
            "there is no finished episode yet: go on with `atommem run`, then ask for the leaderboard"
        )
    judges = [_judge(run) for run in runs]
    placed = [(row, _place(row, runs[row.run], judges[row.run])) for row in rows]
    data = {
        "title": title,
        "version": __version__,
        "scores": SCORE_TITLES,
        "stages": [*STAGES],
        "runs": [
            {**_run(run), "view": (views or {}).get(number), "first_task": (first_tasks or {}).get(number)}
            for number, run in enumerate(runs)
        ],
        "blocks": _blocks(placed, runs),
        "notes": data_notes(rows, runs),
    }
    return page(f"{title}: atommem", data, scripts=_SCRIPTS, styles=_STYLES)


def first_task_page(run: RecordedRun) -> tuple[str, int] | None:
    """Return the page of the first task of what a run has on generated data, and its index; ``None``: it has none.

    Generated data is anybody's, and so such a page may be shown where a benchmark's questions and texts may not.
    """
    made = [episode for episode in run.episodes if (episode["source"] or "").startswith("generated")]
    if run.folder is None or not made:
        return None
    envs = list(dict.fromkeys(episode["env"] for episode in made))
    first = min(episode["task_index"] for episode in made)
    return view_page([run], envs, task_index=first), first


def view_address(folder: Path, page: Path) -> str | None:
    """Return the address, as seen from ``page``, of the page that ``atommem view`` has made in a run's folder."""
    view = folder / "view.html"
    if not view.is_file():
        return None
    return Path(os.path.relpath(view.resolve(), page.resolve().parent)).as_posix()


def _judge(run: RecordedRun) -> str | None:
    """Return who judged a run, and how leniently."""
    if run.folder is None or not run.judgements:
        return None
    return f"{read_judge(run.folder)}: {leniency_text(read_leniency(run.folder))}"


def _run(run: RecordedRun) -> dict[str, Any]:
    settings = run.settings
    return {
        "name": "a run in memory" if run.folder is None else run.folder.name,
        "recipe": settings.get("recipe"),
        "version": settings["atommem_env"],
        "seed": settings["seed"],
        "episodes": len(run.episodes),
        "total": run.total,
    }


def _place(row: Row, run: RecordedRun, judge: str | None) -> _Place:
    panel, capacity = panel_of(row, run, "capacity")
    version = ("atommem_env", str(run.settings["atommem_env"]))
    panel = panel._replace(settings=(*panel.settings, version))
    generated = row.source.startswith("generated")
    section = _Section(generated, row.questions_shown, row.stream)
    return _Place(section, row.engine, judge if "judge" in row.scores else None, panel, capacity)


def _blocks(placed: Sequence[tuple[Row, _Place]], runs: Sequence[RecordedRun]) -> list[dict[str, Any]]:
    """Return the tables of the page: real data first, questions that are known first."""
    keys: dict[tuple[_Section, str | None, str | None], None] = dict.fromkeys(
        (place.section, place.engine, place.judge) for _, place in placed if place.engine is not None
    )
    alone = {place.section for _, place in placed} - {section for section, _, _ in keys}
    keys |= dict.fromkeys((section, None, None) for section in alone)
    order = sorted(
        keys, key=lambda key: (key[0].generated, key[0].questions_shown != "always", key[0].stream)
    )
    return [_block(*key, placed, runs) for key in order]


def _block(
    section: _Section,
    engine: str | None,
    judge: str | None,
    placed: Sequence[tuple[Row, _Place]],
    runs: Sequence[RecordedRun],
) -> dict[str, Any]:
    own = [
        (row, place)
        for row, place in placed
        if place.section == section and place.engine == engine and place.judge == judge
    ]
    panels = {place.panel for _, place in own}
    own += [
        (row, place)
        for row, place in placed
        if engine is not None and place.engine is None and place.section == section and place.panel in panels
    ]  # who has no engine is compared with all
    everywhere = list(dict.fromkeys(place.panel for _, place in placed if place.section == section))
    ranks = {panel: rank for rank, panel in enumerate(everywhere)}
    columns = sorted(
        dict.fromkeys((place.panel, place.capacity) for _, place in own),
        key=lambda column: (_rank_of(column[0].id), ranks[column[0]], _size_of(column[1])),
    )
    numbers = {column: number for number, column in enumerate(columns)}
    by_column: dict[tuple[Panel, int | None], list[Row]] = {}
    for row, place in own:
        by_column.setdefault((place.panel, place.capacity), []).append(row)
    repeated = {number: repeated_score(by_column[column]) for column, number in numbers.items()}
    return {
        "section": section.title,
        "generated": section.generated,
        "engine": engine,
        "engine_text": _engine_text(engine, {row.run for row, _ in own}, runs),
        "judge": judge,
        "columns": [
            _column(*column, everywhere, by_column[column][0], repeated[number])
            for column, number in numbers.items()
        ],
        "cells": [
            _cell(row, number, repeated[number] is not None)
            for row, place in own
            for number in [numbers[place.panel, place.capacity]]
        ],
    }


def _rank_of(id: str) -> tuple[int, str]:
    known = list(ENVS)
    return known.index(id) if id in known else len(known), id


def _size_of(capacity: int | None) -> float:
    return float("inf") if capacity is None else capacity


def _column(
    panel: Panel,
    capacity: int | None,
    others: Sequence[Panel],
    row: Row,
    repeated: str | None,
) -> dict[str, Any]:
    _, _, differing = label_of(panel, others).partition(", ")
    return {
        "benchmark": panel.id.removeprefix("AtomMem-").removesuffix("-v0"),
        "stand_in": panel.generated,
        "settings": differing,
        "capacity": capacity,
        "source": row.source,
        "own": repeated or _own_score(panel.id, row),
    }


def _own_score(id: str, row: Row) -> str:
    """Return the score that a benchmark is read by: its own where it is known, else exact match."""
    if short_name(id) in JUDGED and "judge" in row.scores:
        return "judge"
    return "official" if "official" in row.scores else "em"


def _engine_text(engine: str | None, numbers: set[int], runs: Sequence[RecordedRun]) -> str:
    if engine is None:
        return "no engine"
    if engine in ENGINES:
        return ENGINES[engine].rstrip(".")
    records = [runs[number].settings.get("engine") for number in sorted(numbers)]
    said = {
        ", ".join(f"{name} {record[name]}" for name in ("temperature", "top_p", "seed") if name in record)
        for record in records
        if isinstance(record, Mapping)
    }
    return f"a language model{', ' if said else ''}{'; '.join(sorted(said))}"


def _cell(row: Row, column: int, repeats: bool) -> dict[str, Any]:
    found = row.abstention
    return {
        "column": column,
        "policy": row.name,
        "control": row.policy.partition("[")[0] in CONTROLS,  # never the best of a column
        "scores": {
            name: [score.mean, score.low, score.high]
            for name, score in row.scores.items()
            if not (repeats and name == "official")
        },
        "funnel": dict(row.funnel),
        "stale": {name: row.stale[name] for name in STALE_STAGES},
        "answerable": None if found is None else [found.answerable, found.unanswerable],
        "buffer": row.uses_buffer,
        **{name: getattr(row, name) for name in _NUMBERS},
        "calls": row.calls,
        "run": row.run,
        "filter": {"env": row.env, "policy": row.policy},
    }
