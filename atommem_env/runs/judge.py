"""A language model as the judge of answers: an optional score next to exact match and F1.

The judge sees a question, its gold answers (or the items of its rubric) and the answer given, never the text or the
memory; by which criteria it judges depends on the benchmark and the question's type (:mod:`atommem_env.runs.criteria`).
Its verdicts on a run stand in ``judgements.jsonl`` in the run's folder, and ``judge.json`` says who judged, by which
criteria, and how lenient that judge is (:mod:`atommem_env.runs.leniency`). How far a judge agrees with exact match is
part of every judgement: a judge that is much more lenient may be right about paraphrases, or wrong.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

from atommem_env.core.types import QuestionMetrics
from atommem_env.data.records import Question
from atommem_env.llm import Chat, ChatError, ChatSettings
from atommem_env.llm.prompts import Prompts
from atommem_env.registration import short_name
from atommem_env.runs.criteria import Asked, Judge, asked_of
from atommem_env.runs.errors import RunError
from atommem_env.runs.files import Appender, drop_torn_line, json_line, remove_temporaries, write_whole
from atommem_env.runs.folder import read_episodes, read_settings
from atommem_env.runs.forms import (
    JUDGEMENTS_FILE,
    EpisodeRecord,
    JudgeForm,
    VerdictRecord,
    read_json,
    read_lines,
)
from atommem_env.runs.keys import Key, episode_key, in_order
from atommem_env.runs.leniency import chosen, leniency, reworded_answer, vague_answer
from atommem_env.runs.lock import FolderLock
from atommem_env.runs.progress import progress_bar
from atommem_env.runs.variants import recorded_env
from atommem_env.scoring.rubric import check_variant

JUDGE_FILE: Final = "judge.json"

_RUBRICS: Final = ("beam", "memoryagentbench")
"""The benchmarks whose questions may have rubrics, or key points, which stand in the data and not in the run."""

_VAGUE: Final = "vague"
"""The policy whose answers are on topic and wrong."""

_QuestionKey: TypeAlias = tuple[str, str, int, int]
"""Which question: environment, policy, task index, number within its task from 0."""


@dataclass(frozen=True)
class Agreement:
    """What a judge says of a policy's answers, next to exact match.

    Attributes:
        policy: the policy's name.
        questions: how many there are.
        answered: how many of them got an answer; the others are wrong without a call.
        em: the share of the questions that are right by exact match.
        judged: the mean score by the judge: the share that are right, or of a rubric how much of it is.
        agreement: the share of the answered questions on which both say the same; ``None`` without any.
        kappa: Cohen's kappa over the answered questions: agreement beyond chance, at most 1; ``None`` when
            chance alone makes them agree (each says the same of all).
        unread: how many verdicts could not be read; they count as wrong.
    """

    policy: str
    questions: int
    answered: int
    em: float
    judged: float
    agreement: float | None
    kappa: float | None
    unread: int


@dataclass(frozen=True)
class Judgement:
    """A run's verdicts.

    Attributes:
        settings: who judged, as in ``judge.json``: model, address, sampling, the templates' hash, ``variant``, the
            ``criteria`` that were used, by benchmark, and the judge's ``leniency`` (``None``: not measured).
        verdicts: one per question: ``env``, ``policy``, ``task_index``, ``question`` (its number from 0),
            ``prediction``, ``em``, and what :meth:`atommem_env.runs.criteria.Judge.verdict` says.
    """

    settings: Mapping[str, Any]
    verdicts: list[VerdictRecord]

    def agreements(self) -> list[Agreement]:
        """Return one line per policy, and, where there are several, one over all, named ``all``."""
        policies = dict.fromkeys(verdict["policy"] for verdict in self.verdicts)
        lines = [
            _agreement(policy, [verdict for verdict in self.verdicts if verdict["policy"] == policy])
            for policy in policies
        ]
        return lines if len(lines) < 2 else [*lines, _agreement("all", self.verdicts)]


def judge(
    run: str | os.PathLike[str],
    settings: ChatSettings,
    progress: bool = False,
    variant: str = "paper",
    leniency: int = 0,
    trust: bool = False,
) -> Judgement:
    """Judge every answer of a run that is not judged yet.

    Verdicts are written as they come: the same call goes on where the last one stopped, and judges what has
    been added to the run since. At the end they are put in the order of the run.

    Args:
        run: the run's folder; it may be unfinished.
        settings: the judge. A temperature of 0 suits a judge.
        progress: whether to show a progress bar (on a terminal only).
        variant: how marks become BEAM's score, ``"paper"`` or ``"code"`` (:mod:`atommem_env.scoring.rubric`).
        leniency: on how many questions the judge's leniency is measured, once a folder; 0: it is not.
        trust: whether the run's record may name more than this package's own, where rubrics are in its data.

    Returns:
        All verdicts, with those of earlier calls.

    Raises:
        RunError: when it is not a run's folder, it is in use, another judge has judged it, the data with the rubrics is
            not what it was, or the judge cannot be asked; the verdicts so far are kept.
        ValueError: when the variant is unknown.
    """
    check_variant(variant)
    folder = Path(run)
    questions = _questions(folder)
    asked_for = _asked(folder, questions, trust)
    judge = Judge(Chat(settings), Prompts(settings.prompts), variant)
    described = {**settings.describe(), "variant": variant}
    with _held(folder, described) as (known, file):
        todo = [key for key, question in questions.items() if not _stands(known.get(key), question)]
        with (
            progress_bar(len(questions), len(questions) - len(todo), progress, "answers") as advance,
            ThreadPoolExecutor(settings.concurrency) as pool,
        ):
            asked = {pool.submit(judge.verdict, asked_for[key]): key for key in todo}
            try:
                for future in as_completed(asked):
                    key = asked[future]
                    known[key] = cast("VerdictRecord", {**_record(key, questions[key]), **future.result()})
                    file.append(json_line(known[key]))
                    advance()
            except ChatError as error:
                raise RunError(
                    f"{error}\n{sum(key in known for key in questions)} of {len(questions)} verdicts are in "
                    f"{folder}; the same command goes on"
                ) from error
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
        file.close()
        verdicts = [known[key] for key in questions]
        write_whole(folder / JUDGEMENTS_FILE, map(json_line, verdicts))
        measured = read_leniency(folder)
        if leniency and measured is None:
            measured = _leniency(folder, judge, asked_for, known, leniency, settings.concurrency)
        described = {**described, "criteria": _criteria(asked_for), "leniency": measured}
        _write_judge(folder / JUDGE_FILE, described)
    return Judgement(described, verdicts)


def read_judge(folder: str | os.PathLike[str]) -> str:
    """Return the model that judged a run, as its ``judge.json`` names it.

    Raises:
        RunError: when ``judge.json`` is missing or broken.
    """
    path = Path(folder) / JUDGE_FILE
    mend = f"remove it and {JUDGEMENTS_FILE} to judge again"
    try:
        return str(read_json(path, dict[str, Any], mend).get("model"))
    except FileNotFoundError:
        raise RunError(f"{path}: there is no such file, and the run is judged: {mend}") from None


def read_leniency(folder: str | os.PathLike[str]) -> dict[str, Any] | None:
    """Return how lenient the judge of a run is, as :func:`atommem_env.runs.leniency.leniency` says it.

    ``None``: nobody judged it, or it was not measured.

    Raises:
        RunError: when ``judge.json`` is broken.
    """
    path = Path(folder) / JUDGE_FILE
    if not path.exists():
        return None
    found: dict[str, Any] | None = read_json(
        path, JudgeForm, f"remove it and {JUDGEMENTS_FILE} to judge again"
    ).get("leniency")
    return found


def read_judgements(
    folder: str | os.PathLike[str], episodes: Sequence[EpisodeRecord]
) -> dict[Key, list[float]]:
    """Return the judge's scores of the ``episodes`` of a run's folder, by key, in the order of the questions.

    An episode of which a question is not judged, or was answered otherwise when it was, is left out; without
    a judge, all are.
    """
    known = _read(Path(folder))
    found: dict[Key, list[float]] = {}
    for episode in episodes:
        by_key = _by_key(episode)
        if all(_stands(known.get(key), question) for key, question in by_key.items()):
            found[episode_key(episode)] = [_score(known[key]) for key in by_key]
    return found


def read_variant(folder: str | os.PathLike[str]) -> str | None:
    """Return how marks became BEAM's score, ``"paper"`` or ``"code"``; ``None``: nobody judged rubrics.

    Raises:
        RunError: when ``judge.json`` is broken.
    """
    path = Path(folder) / JUDGE_FILE
    if not path.exists():
        return None
    found = read_json(path, JudgeForm, f"remove it and {JUDGEMENTS_FILE} to judge again")
    return found.get("variant") if "beam" in (found.get("criteria") or {}) else None


# --- the questions of a run -------------------------------------------------------------------------


def _questions(folder: Path) -> dict[_QuestionKey, QuestionMetrics]:
    episodes = in_order(read_settings(folder), read_episodes(folder))
    if not episodes:
        raise RunError(f"{folder} has no finished episode yet: go on with `atommem run`, then judge it")
    return {key: question for episode in episodes for key, question in _by_key(episode).items()}


def _by_key(episode: EpisodeRecord) -> dict[_QuestionKey, QuestionMetrics]:
    questions = episode["metrics"]["questions"]
    return {(*episode_key(episode), number): question for number, question in enumerate(questions)}


def _asked(
    folder: Path, questions: Mapping[_QuestionKey, QuestionMetrics], trust: bool
) -> dict[_QuestionKey, Asked]:
    """Return what is to be judged; rubrics are taken from the data that the run names."""
    settings = read_settings(folder)
    benchmarks = {env["name"]: short_name(env["id"]) for env in settings["envs"]}
    in_data: dict[str, dict[str, Question]] = {}
    for name in dict.fromkeys(key[0] for key in questions):
        if benchmarks[name] in _RUBRICS:
            data: Any = recorded_env(settings, name, trust).make().unwrapped
            asked = (data.dataset.question(number) for number in range(data.dataset.num_questions))
            in_data[name] = {question.id: question for question in asked}
    return {
        key: asked_of(question, benchmarks[key[0]], in_data.get(key[0], {}).get(question["id"]))
        for key, question in questions.items()
    }


def _criteria(asked: Mapping[_QuestionKey, Asked]) -> dict[str, list[str]]:
    """Return the names of the criteria, by benchmark."""
    found: dict[str, set[str]] = {}
    for question in asked.values():
        found.setdefault(question.benchmark, set()).add(question.criterion)
    return {benchmark: sorted(names) for benchmark, names in sorted(found.items())}


def _leniency(
    folder: Path,
    judge: Judge,
    asked: Mapping[_QuestionKey, Asked],
    known: Mapping[_QuestionKey, VerdictRecord],
    count: int,
    concurrency: int,
) -> dict[str, Any]:
    """Ask the judge about vague answers and reworded ones."""
    policies = {
        policy["name"] for policy in read_settings(folder)["policies"] if policy.get("policy") == _VAGUE
    }
    own = [known[key] for key, one in asked.items() if key[1] in policies and one.answerable]
    questions = chosen(asked.values(), count)
    vague = [] if own else [one._replace(prediction=vague_answer(one)) for one in questions]
    reworded = [one._replace(prediction=reworded_answer(one)) for one in questions]
    try:
        with ThreadPoolExecutor(concurrency) as pool:
            verdicts = list(pool.map(judge.verdict, [*vague, *reworded]))
    except ChatError as error:
        raise RunError(
            f"{error}\nthe verdicts are in {folder}, the judge's leniency is not; the same command goes on"
        ) from error
    return leniency(own or verdicts[: len(vague)], verdicts[len(vague) :])


def _stands(verdict: Mapping[str, Any] | None, question: Mapping[str, Any]) -> bool:
    """Return whether ``verdict`` is there, and is on the answer that was given."""
    return verdict is not None and verdict["prediction"] == question["prediction"]


def _record(key: _QuestionKey, question: QuestionMetrics) -> dict[str, Any]:
    env, policy, index, number = key
    return {
        "env": env,
        "policy": policy,
        "task_index": index,
        "question": number,
        "prediction": question["prediction"],
        "em": question["em"],
    }


# --- agreement ---------------------------------------------------------------------------------------


def _agreement(policy: str, verdicts: Sequence[Mapping[str, Any]]) -> Agreement:
    pairs = [(verdict["em"] > 0, verdict["correct"]) for verdict in verdicts]
    scores = [_score(verdict) for verdict in verdicts]
    answered = [pair for pair, verdict in zip(pairs, verdicts, strict=True) if verdict["read"] is not None]
    agreement = _share([matched == correct for matched, correct in answered])
    kappa = None
    if agreement is not None:
        right = [_share([pair[side] for pair in answered]) or 0.0 for side in (0, 1)]
        chance = right[0] * right[1] + (1 - right[0]) * (1 - right[1])
        kappa = None if chance == 1 else (agreement - chance) / (1 - chance)
    return Agreement(
        policy,
        len(pairs),
        len(answered),
        _share([matched for matched, _ in pairs]) or 0.0,
        sum(scores) / len(scores) if scores else 0.0,
        agreement,
        kappa,
        sum(verdict["read"] is False for verdict in verdicts),
    )


def _score(verdict: Mapping[str, Any]) -> float:
    return float(verdict.get("score", verdict["correct"]))


def _share(values: Sequence[bool]) -> float | None:
    return sum(values) / len(values) if values else None


# --- the files --------------------------------------------------------------------------------------


@contextlib.contextmanager
def _held(
    folder: Path, described: dict[str, Any]
) -> Iterator[tuple[dict[_QuestionKey, VerdictRecord], Appender]]:
    """Hold the folder; yields the verdicts that are there, and the file to add to."""
    lock = FolderLock(folder)
    lock.acquire()
    file = Appender(folder / JUDGEMENTS_FILE)
    try:
        remove_temporaries(folder / JUDGEMENTS_FILE)
        drop_torn_line(folder / JUDGEMENTS_FILE)
        known = _read(folder, "remove the line and judge the run again")
        _check_judge(folder / JUDGE_FILE, described, bool(known))
        yield known, file
    finally:
        file.close()
        lock.release()


def _check_judge(path: Path, described: dict[str, Any], judged: bool) -> None:
    """Check that the folder's judge is this one; where nothing is judged yet, it is from now on."""
    if not judged or not path.exists():
        _write_judge(path, described)
        return
    there = read_json(path, dict[str, Any], f"remove it and {JUDGEMENTS_FILE} to judge again")
    names = [name for name in described if there.get(name) != described[name]]
    if names:
        changes = "; ".join(f"{name}: {there.get(name)!r} there, {described[name]!r} now" for name in names)
        raise RunError(
            f"{path.parent} was judged by another judge ({changes}): repeat its settings, or remove {path.name} and "
            f"{JUDGEMENTS_FILE} to judge again"
        )


def _write_judge(path: Path, described: Mapping[str, Any]) -> None:
    write_whole(path, [f"{json.dumps(described, ensure_ascii=False, indent=2)}\n".encode()])


def _read(folder: Path, mend: str | None = None) -> dict[_QuestionKey, VerdictRecord]:
    """Return the verdicts of a folder; of two on one question the later stands.

    Args:
        folder: the run's.
        mend: what mends a bad line; ``None``: it is left out, with a warning.
    """
    return {
        (verdict["env"], verdict["policy"], verdict["task_index"], verdict["question"]): verdict
        for _, verdict in read_lines(folder / JUDGEMENTS_FILE, VerdictRecord, "verdict", mend)
    }
