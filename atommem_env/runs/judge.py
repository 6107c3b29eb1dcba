"""A language model as the judge of answers: an optional score next to exact match and F1.

The judge sees a question, its gold answers and the answer given (``llm/prompts/judge.txt``), never the text
or the memory. Its verdicts on a run stand in ``judgements.jsonl`` in the run's folder, and ``judge.json`` says
who judged. How far a judge agrees with exact match is part of every judgement: a judge that is much more
lenient may be right about paraphrases, or wrong.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from atommem_env.llm import Chat, ChatError, ChatSettings
from atommem_env.llm.json_reply import read_object
from atommem_env.llm.prompts import Prompts
from atommem_env.runs.errors import RunError
from atommem_env.runs.files import Appender, drop_torn_line, json_line, remove_temporaries, write_whole
from atommem_env.runs.folder import read_episodes, read_settings
from atommem_env.runs.forms import VerdictForm, read_json, read_lines
from atommem_env.runs.keys import Key, episode_key, in_order
from atommem_env.runs.lock import FolderLock
from atommem_env.runs.progress import progress_bar

JUDGEMENTS_FILE: Final = "judgements.jsonl"
JUDGE_FILE: Final = "judge.json"

_TRUE: Final = ("true", "yes", "correct", "right")
_FALSE: Final = ("false", "no", "incorrect", "wrong")
_EXCERPT: Final = 80

_Place: TypeAlias = tuple[str, str, int, int]
"""Which question: environment, policy, task index, number within its task from 0."""


@dataclass(frozen=True)
class Agreement:
    """What a judge says of a policy's answers, beside exact match.

    Attributes:
        policy: the policy's name.
        questions: how many there are.
        answered: how many of them got an answer; the others are wrong without a call.
        em: the share of the questions that are right by exact match.
        judged: the share that are right by the judge.
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
        settings: who judged: model, address, sampling, the templates' hash.
        verdicts: one per question: ``env``, ``policy``, ``task_index``, ``question`` (its number from 0),
            ``prediction``, ``em``, ``correct``, ``reason``, and ``read``: whether the judge's reply could be
            read (``null``: there was no answer, and it was not asked).
    """

    settings: Mapping[str, Any]
    verdicts: list[dict[str, Any]]

    def agreements(self) -> list[Agreement]:
        """Return one line per policy, and, where there are several, one over all, named ``all``."""
        policies = dict.fromkeys(verdict["policy"] for verdict in self.verdicts)
        lines = [
            _agreement(policy, [verdict for verdict in self.verdicts if verdict["policy"] == policy])
            for policy in policies
        ]
        return lines if len(lines) < 2 else [*lines, _agreement("all", self.verdicts)]


def judge(run: str | os.PathLike[str], settings: ChatSettings, progress: bool = False) -> Judgement:
    """Judge every answer of a run that is not judged yet.

    Verdicts are written as they come: the same call goes on where the last one stopped, and judges what has
    been added to the run since. At the end they are put in the order of the run.

    Args:
        run: the run's folder; it may be unfinished.
        settings: the judge. A temperature of 0 suits a judge.
        progress: whether to show a progress bar (on a terminal only).

    Returns:
        All verdicts, with those of earlier calls.

    Raises:
        RunError: when it is no run's folder, it is in use, another judge has judged it, or the judge cannot be
            asked; the verdicts so far are kept.
    """
    folder = Path(run)
    questions = _questions(folder)
    chat, prompts = Chat(settings), Prompts(settings.prompts)
    with _held(folder, settings) as (known, file):
        todo = [place for place, question in questions.items() if not _stands(known.get(place), question)]
        with (
            progress_bar(len(questions), len(questions) - len(todo), progress, "answers") as advance,
            ThreadPoolExecutor(settings.concurrency) as pool,
        ):
            asked = {pool.submit(_verdict, chat, prompts, questions[place]): place for place in todo}
            try:
                for future in as_completed(asked):
                    place = asked[future]
                    known[place] = {**_record(place, questions[place]), **future.result()}
                    file.append(json_line(known[place]))
                    advance()
            except ChatError as error:
                raise RunError(
                    f"{error}\n{sum(place in known for place in questions)} of {len(questions)} verdicts are in "
                    f"{folder}; the same command goes on"
                ) from error
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
        file.close()
        verdicts = [known[place] for place in questions]
        write_whole(folder / JUDGEMENTS_FILE, map(json_line, verdicts))
    return Judgement(settings.describe(), verdicts)


def read_judgements(
    folder: str | os.PathLike[str], episodes: Sequence[Mapping[str, Any]]
) -> dict[Key, list[bool]]:
    """Return the verdicts on the ``episodes`` of a run's folder, by key, in the order of the questions.

    An episode of which a question is not judged, or was answered otherwise when it was, is left out; without
    a judge, all are.
    """
    known = _read(Path(folder))
    found: dict[Key, list[bool]] = {}
    for episode in episodes:
        places = _places(episode)
        if all(_stands(known.get(place), question) for place, question in places.items()):
            found[episode_key(episode)] = [known[place]["correct"] for place in places]
    return found


# --- the questions of a run -------------------------------------------------------------------------


def _questions(folder: Path) -> dict[_Place, Mapping[str, Any]]:
    episodes = in_order(read_settings(folder), read_episodes(folder))
    if not episodes:
        raise RunError(f"{folder} has no finished episode yet: go on with `atommem run`, then judge it")
    return {place: question for episode in episodes for place, question in _places(episode).items()}


def _places(episode: Mapping[str, Any]) -> dict[_Place, Mapping[str, Any]]:
    questions = episode["metrics"]["questions"]
    return {(*episode_key(episode), number): question for number, question in enumerate(questions)}


def _stands(verdict: Mapping[str, Any] | None, question: Mapping[str, Any]) -> bool:
    """Return whether ``verdict`` is there, and is on the answer that was given."""
    return verdict is not None and verdict["prediction"] == question["prediction"]


def _record(place: _Place, question: Mapping[str, Any]) -> dict[str, Any]:
    env, policy, index, number = place
    return {
        "env": env,
        "policy": policy,
        "task_index": index,
        "question": number,
        "prediction": question["prediction"],
        "em": question["em"],
    }


# --- one verdict ------------------------------------------------------------------------------------


def _verdict(chat: Chat, prompts: Prompts, question: Mapping[str, Any]) -> dict[str, Any]:
    prediction = question["prediction"]
    if prediction is None or not prediction.strip():
        return {"correct": False, "reason": "no answer was given", "read": None}
    content = prompts.render(
        "judge",
        question=question["question"],
        answers="\n".join(f"- {answer}" for answer in question["answers"]),
        prediction=prediction,
    )
    reply = chat.complete([{"role": "user", "content": content}]).text
    found = read_object(reply, "correct") or {}
    said = str(found.get("correct")).strip().lower()
    if said not in (*_TRUE, *_FALSE):
        return {
            "correct": False,
            "reason": f"the verdict cannot be read: {reply[:_EXCERPT]!r}",
            "read": False,
        }
    return {"correct": said in _TRUE, "reason": str(found.get("reason") or ""), "read": True}


def _agreement(policy: str, verdicts: Sequence[Mapping[str, Any]]) -> Agreement:
    pairs = [(verdict["em"] > 0, verdict["correct"]) for verdict in verdicts]
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
        _share([correct for _, correct in pairs]) or 0.0,
        agreement,
        kappa,
        sum(verdict["read"] is False for verdict in verdicts),
    )


def _share(values: Sequence[bool]) -> float | None:
    return sum(values) / len(values) if values else None


# --- the files --------------------------------------------------------------------------------------


@contextlib.contextmanager
def _held(folder: Path, settings: ChatSettings) -> Iterator[tuple[dict[_Place, dict[str, Any]], Appender]]:
    """Hold the folder; yields the verdicts that are there, and the file to add to."""
    lock = FolderLock(folder)
    lock.acquire()
    file = Appender(folder / JUDGEMENTS_FILE)
    try:
        remove_temporaries(folder / JUDGEMENTS_FILE)
        drop_torn_line(folder / JUDGEMENTS_FILE)
        known = _read(folder, "remove the line and judge the run again")
        _check_judge(folder / JUDGE_FILE, settings.describe(), bool(known))
        yield known, file
    finally:
        file.close()
        lock.release()


def _check_judge(path: Path, described: dict[str, Any], judged: bool) -> None:
    """Check that the folder's judge is this one; where nothing is judged yet, it is from now on."""
    if not judged or not path.exists():
        write_whole(path, [f"{json.dumps(described, ensure_ascii=False, indent=2)}\n".encode()])
        return
    there = read_json(path, dict[str, Any], f"remove it and {JUDGEMENTS_FILE} to judge anew")
    names = [name for name in described if there.get(name) != described[name]]
    if names:
        changes = "; ".join(f"{name}: {there.get(name)!r} there, {described[name]!r} now" for name in names)
        raise RunError(
            f"{path.parent} was judged by another judge ({changes}): repeat its settings, or remove {path.name} and "
            f"{JUDGEMENTS_FILE} to judge anew"
        )


def _read(folder: Path, mend: str | None = None) -> dict[_Place, dict[str, Any]]:
    """Return the verdicts of a folder; of two on one question the later stands.

    Args:
        folder: the run's.
        mend: what mends a bad line; ``None``: it is left out, with a warning.
    """
    return {
        (verdict["env"], verdict["policy"], verdict["task_index"], verdict["question"]): verdict
        for _, verdict in read_lines(folder / JUDGEMENTS_FILE, VerdictForm, "verdict", mend)
    }
