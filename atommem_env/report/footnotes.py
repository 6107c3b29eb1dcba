"""What a reader of scores must know, in sentences that tables and plots share."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from atommem_env.registration import ENVS, short_name
from atommem_env.report.summary import Row
from atommem_env.runs.arguments import env_arguments, find_spec
from atommem_env.runs.engines import MOST_UNREADABLE
from atommem_env.runs.jsonable import to_jsonable
from atommem_env.scoring.official import JUDGED

if TYPE_CHECKING:
    from atommem_env.runs.forms import TooLong
    from atommem_env.runs.recorded import RecordedRun

BUFFER_MARK: Final = "†"
"""Stands behind the name of a policy that uses a buffer."""

ENGINES: Final = {
    "rules": "fixed rules without a model, a stand-in for an LLM.",
    "world": "reads the generated world's sentences exactly, so that scores measure memory alone.",
}
"""What engines are that are no language model."""


def data_notes(rows: Sequence[Row], runs: Sequence[RecordedRun]) -> list[str]:
    """Return what there is to say of arguments, generated data, engines, buffers, evidence and unfinished runs."""
    notes = _arguments(runs)
    if any(row.generated for row in rows):
        notes.append(
            "(generated): the generated world in the benchmark's schema; these scores say nothing about the "
            "benchmark itself."
        )
    judged = dict.fromkeys(
        row.env.partition("[")[0] for row in rows if short_name(row.env.partition("[")[0]) in JUDGED
    )
    if judged:
        notes.append(
            f"{', '.join(judged)}: the benchmark's own score is a judge's (`atommem judge`); EM, F1 and cover EM are "
            "none."
        )
    notes += _policy_arguments(rows, runs)
    engines = list(dict.fromkeys(row.engine for row in rows if row.engine))
    notes += [f"engine {engine}: {ENGINES[engine]}" for engine in engines if engine in ENGINES]
    notes += _models(runs)
    notes += [_unread(row) for row in rows if row.unread is not None and row.unread > MOST_UNREADABLE]
    if any(row.uses_buffer for row in rows):
        notes.append(f"{BUFFER_MARK} keeps text outside memory, so that its evidence says nothing.")
    lacking = max((row.without_evidence for row in rows), default=0)
    if lacking:
        notes.append(
            f"Up to {lacking} questions of a row have no evidence in the data; its evidence leaves them out."
        )
    notes += [note for run in runs for note in _not_applicable(run)]
    return [*notes, *(_unfinished(run) for run in runs if len(run.episodes) < run.total)]


def _unread(row: Row) -> str:
    """Return what share of a policy's replies could not be read, and which."""
    parts = ", ".join(
        f"{ability} {unread} of {replies}" for ability, (unread, replies) in row.unread_by.items()
    )
    return f"{row.name} on {row.label}: {100 * (row.unread or 0):.1f} % of its replies could not be read ({parts})."


def _not_applicable(run: RecordedRun) -> list[str]:
    """Return, for each policy whose text did not fit its context in some episodes, how many are left out."""
    found: dict[tuple[str, str], list[TooLong]] = {}
    for episode in run.episodes:
        if "not_applicable" in episode:
            found.setdefault((episode["policy"], episode["env"]), []).append(episode["not_applicable"])
    return [
        f"{policy} on {env}: n/a in {len(why)} episodes, which are left out: their text has up to "
        f"{max(each['tokens'] for each in why):,} tokens, and budget_tokens is {why[0]['budget_tokens']:,}."
        for (policy, env), why in found.items()
    ]


def _unfinished(run: RecordedRun) -> str:
    name = "A run" if run.folder is None else str(run.folder)
    return f"{name} is unfinished: {len(run.episodes)} of {run.total} episodes."


def _arguments(runs: Sequence[RecordedRun]) -> list[str]:
    """Return, as one note or none, what all environments of ``runs`` have in place of the defaults."""
    found: list[set[str]] = []
    for run in runs:
        for env in run.settings["envs"]:
            known = (
                env_arguments(find_spec(env["id"])) if env["id"] in ENVS else {}
            )  # another's would be code
            found.append(
                {
                    f"{name}={json.dumps(value, ensure_ascii=False)}"
                    for name, value in env["arguments"].items()
                    if name in known and name != "source" and value != to_jsonable(known[name].default)
                }
            )
    common = sorted(set.intersection(*found)) if found else []
    return [f"Arguments: {', '.join(common)}; otherwise the defaults."] if common else []


def _policy_arguments(rows: Sequence[Row], runs: Sequence[RecordedRun]) -> list[str]:
    """Return the arguments of policies whose names do not say them."""
    found: dict[str, None] = {}
    for row in rows:
        for policy in runs[row.run].settings["policies"]:
            given = policy.get("arguments")
            if policy["name"] == row.policy and given and "[" not in row.name:
                said = ", ".join(
                    f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in given.items()
                )
                found[f"{row.name}: {said}"] = None
    return [f"Policies' arguments: {'; '.join(found)}."] if found else []


def _models(runs: Sequence[RecordedRun]) -> list[str]:
    """Return the language models that were the engines of ``runs``."""
    engines = [run.settings.get("engine") for run in runs]
    models: dict[str, dict[str, None]] = {}
    for engine in engines:
        if isinstance(engine, Mapping) and "model" in engine:
            said = [str(engine[part]) for part in ("model", "adapter") if engine.get(part)]
            models.setdefault(str(engine.get("name", "llm")), {})[" with ".join(said)] = None
    return [f"engine {name}: {', '.join(told)}." for name, told in models.items()]
