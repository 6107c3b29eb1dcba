"""LoCoMo: very long conversations of two people, and questions about them."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from atommem_env.core.config import HistoryConfig, anything, flag, option
from atommem_env.data.benchmark import Benchmark
from atommem_env.data.histories import History, HistoryQuestion, read_date
from atommem_env.data.records import Session, TurnEvidence
from atommem_env.data.rows import (
    as_index,
    as_list,
    as_mapping,
    as_text,
    distinct,
    optional_text,
    require,
    text_field,
    wrong,
)
from atommem_env.env import HistoryEnv
from atommem_env.tasks.turns import Turn, speaker_problem
from atommem_env.text import digest

CATEGORIES: Final = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop", 5: "adversarial"}
"""The names of the benchmark's categories of questions; what the fifth asks, the conversation does not say."""

ABSTAIN: Final = "No information available"
"""The phrase that counts as abstaining; the official score accepts it."""

_CONVERSATIONS: Final = (26, 30, 41, 42, 43, 44, 47, 48, 49, 50)
"""The conversations (``conv-26``, ...) in the order of the official file, by which errata number them."""

_SESSION = re.compile(r"session_(\d{1,6})")
_TURN_ID = re.compile(r"D:?\s*(\d{1,6})\s*:\s*(\d{1,6})")

_Place = tuple[int, int]


@dataclass(frozen=True)
class LoCoMoRows:
    """Reads the rows of ``locomo10.json``; see https://github.com/snap-research/locomo.

    Evidence is a list of turn ids such as ``D3:11``. An entry may hold several, or be written a little differently
    (``D8:6; D9:17``, ``D:11:26``, ``D30:05``); one that names no turn is left out and counted.

    Args:
        captions: whether a turn says what the image shows that was shared with it.
    """

    captions: bool = True

    def __call__(self, row: Mapping[str, Any]) -> History:
        """Turn a row (``sample_id``, ``conversation``, ``qa``) into a history.

        Raises:
            ValueError: when a field is missing or of the wrong form.
        """
        id = text_field(row, "sample_id")
        conversation = as_mapping(require(row, "conversation"), "conversation")
        places: dict[_Place, _Place] = {}
        sessions: list[Session] = []
        for number, name in _session_names(conversation):
            field = f"conversation.{name}"
            turns: list[Turn] = []
            for index, value in enumerate(as_list(conversation[name], field)):
                turn, key = self._turn(value, f"{field}[{index}]", (number, index + 1))
                places.setdefault(key, (len(sessions), len(turns)))
                turns.append(turn)
            date, now = read_date(conversation.get(f"{name}_date_time"), f"{field}_date_time")
            sessions.append(Session("", tuple(turns), date, now))
        if not sessions:
            raise wrong("conversation", sorted(conversation), "sessions named session_1, session_2, ...")
        questions, malformed = [], 0
        for index, value in enumerate(as_list(require(row, "qa"), "qa")):
            question, unread = _question(value, f"qa[{index}]", f"{id}/qa{index}", places)
            questions.append(question)
            malformed += unread
        return History(id, tuple(sessions), tuple(questions), malformed)

    def _turn(self, value: object, field: str, place: _Place) -> tuple[Turn, _Place]:
        """Return a turn, and the session and number that its id says."""
        row = as_mapping(value, field)
        speaker = as_text(require(row, "speaker"), f"{field}.speaker").strip()
        problem = speaker_problem(speaker)
        if problem is not None:
            raise wrong(f"{field}.speaker", speaker, problem)
        text = as_text(require(row, "text"), f"{field}.text")
        caption = optional_text(row, "blip_caption").strip()
        if caption and self.captions:
            text = f"{text} [shared {caption}]".lstrip()
        id = optional_text(row, "dia_id")
        match = _TURN_ID.fullmatch(id.strip())
        return Turn(speaker, text, id), (int(match[1]), int(match[2])) if match else place


def _session_names(conversation: Mapping[str, Any]) -> list[tuple[int, str]]:
    """Return the numbers and names of the sessions, by number: as text, session 10 would stand before 2."""
    found = []
    for name in conversation:
        match = _SESSION.fullmatch(name)
        if match and conversation[name] is not None:
            found.append((int(match[1]), name))
    return sorted(found)


def _question(
    value: object, field: str, id: str, places: Mapping[_Place, _Place]
) -> tuple[HistoryQuestion, int]:
    """Return a question, and how many entries of its evidence name no turn."""
    row = as_mapping(value, field)
    category = as_index(require(row, "category"), f"{field}.category")
    if category not in CATEGORIES:
        raise wrong(f"{field}.category", category, "a category from 1 to 5")
    answerable = category != 5
    answers: tuple[str, ...] = ()
    if answerable:
        answer = require(row, "answer")
        text = str(answer) if isinstance(answer, int | float) else as_text(answer, f"{field}.answer")
        if not text.strip():
            raise wrong(f"{field}.answer", answer, "a text that is not blank")
        answers = (text,)
    evidence, malformed = read_evidence(
        [
            as_text(item, f"{field}.evidence")
            for item in as_list(row.get("evidence") or (), f"{field}.evidence")
        ],
        places,
    )
    question = HistoryQuestion(
        question=text_field(row, "question"),
        answers=answers,
        id=id,
        type=CATEGORIES[category],
        answerable=answerable,
        evidence=evidence,
    )
    return question, malformed


def read_evidence(
    entries: Iterable[str], places: Mapping[_Place, _Place]
) -> tuple[tuple[TurnEvidence, ...], int]:
    """Return the turns that the entries name, and how many references name none.

    Args:
        entries: turn ids, or texts with turn ids in them.
        places: the position of the session, and of the turn in it, for the numbers that an id has.
    """
    found: list[TurnEvidence] = []
    malformed = 0
    for entry in entries:
        named = [(int(session), int(turn)) for session, turn in _TURN_ID.findall(entry)]
        known = [places[key] for key in named if key in places]
        malformed += len(named) - len(known) if named else 1
        found += [TurnEvidence(*place) for place in known]
    return distinct(found), malformed


# --- errata -----------------------------------------------------------------------------------------


class Erratum(NamedTuple):
    """A correction of one question: its answer, its evidence, or both; ``None`` where it stays."""

    question: str
    answer: str | None
    evidence: tuple[str, ...] | None


@dataclass(frozen=True)
class Errata:
    """Corrections of the answer key, by the number of the conversation in the official file and of the question.

    Args:
        items: the corrections.
    """

    items: Mapping[str, Erratum]

    def __call__(self, number: int, history: History) -> History:
        """Return ``history``, row ``number`` of its file, with what is corrected.

        Raises:
            ValueError: when a correction is of another question than the one that it names.
        """
        ids = [f"conv-{conversation}" for conversation in _CONVERSATIONS]
        number = ids.index(history.id) if history.id in ids else number
        questions = list(history.questions)
        places = {
            (int(match[1]), int(match[2])): (session, turn)
            for session, known in enumerate(history.sessions)
            for turn, (_, _, id) in enumerate(known.turns)
            if (match := _TURN_ID.fullmatch(id.strip()))
        }
        for index, question in enumerate(questions):
            erratum = self.items.get(f"locomo_{number}_qa{index}")
            if erratum is None or not question.answerable:
                continue
            if erratum.question and erratum.question.split() != question.question.split():
                raise ValueError(
                    f"errata: locomo_{number}_qa{index} corrects {erratum.question!r}, but that question of "
                    f"{history.id} is {question.question!r}; the errata are of another file"
                )
            if erratum.answer is not None:
                question = dataclasses.replace(question, answers=(erratum.answer,))
            if erratum.evidence is not None:
                evidence, _ = read_evidence(erratum.evidence, places)
                question = dataclasses.replace(question, evidence=evidence)
            questions[index] = question
        return dataclasses.replace(history, questions=tuple(questions))


def read_errata(path: str | os.PathLike[str]) -> Errata:
    """Read a file of corrections: a JSON list of items with ``question_id`` (``locomo_0_qa1``).

    An item has ``correct_answer``, ``correct_evidence`` or both, and may have ``question``; a mapping from the ids to
    items is taken, too.

    Raises:
        ValueError: when the file has another form.
        FileNotFoundError: when there is no such file.
    """
    file = Path(path).expanduser()
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"errata={str(path)!r}: not a JSON file ({error})") from error
    if isinstance(found, Mapping):
        found = [{"question_id": id, **as_mapping(item, str(id))} for id, item in found.items()]
    items: dict[str, Erratum] = {}
    for number, value in enumerate(as_list(found, "errata")):
        field = f"errata[{number}]"
        item = as_mapping(value, field)
        answer, evidence = item.get("correct_answer"), item.get("correct_evidence")
        items[as_text(require(item, "question_id"), f"{field}.question_id")] = Erratum(
            question=optional_text(item, "question"),
            answer=None if answer in (None, "") else str(answer),
            evidence=None
            if evidence is None
            else tuple(as_text(id, f"{field}.correct_evidence") for id in as_list(evidence, field)),
        )
    return Errata(items)


# --- the environment --------------------------------------------------------------------------------

LOCOMO = Benchmark(
    name="locomo",
    title="LoCoMo",
    licence="CC BY-NC 4.0",
    homepage="https://github.com/snap-research/locomo",
    citation="Maharana et al., Evaluating Very Long-Term Conversational Memory of LLM Agents, ACL 2024",
    parse=LoCoMoRows(),
    file_patterns={"test": ("locomo10.json", "locomo*.json*")},
    histories=True,
    abstain=ABSTAIN,
)


def locomo(captions: bool = True, errata: str | os.PathLike[str] | None = None) -> Benchmark:
    """Return the benchmark as it is read with these settings; its source says which are not the usual ones.

    Args:
        captions: whether a turn says what the image shows that was shared with it.
        errata: the path of a file of corrections (:func:`read_errata`), or ``None``.
    """
    labels = [] if captions else ["captions=False"]
    amend = None
    if errata is not None:
        amend = read_errata(errata)
        labels.append(f"errata={digest(repr(sorted(amend.items.items()))).hex()[:8]}")
    return dataclasses.replace(LOCOMO, parse=LoCoMoRows(captions), label=",".join(labels), amend=amend)


@dataclass(frozen=True, kw_only=True)
class LoCoMoConfig(HistoryConfig):
    """The arguments of :class:`LoCoMoEnv`."""

    captions: bool = option(
        True, check=flag, help="whether a turn says what the image shows that was shared with it."
    )
    reward: Any = option(
        "official",
        check=anything,
        help="'official' (LoCoMo's own score by category), 'em', 'f1', 'cover_em', 'module:function' or a function of "
        "(prediction, answers).",
    )
    errata: Any = option(
        None, check=anything, help="the path of a JSON file of corrections of the answer key, or None."
    )


class LoCoMoEnv(HistoryEnv):
    """LoCoMo as a memory decision process.

    ## Description
    Ten conversations of two friends over months, 19 to 32 dated sessions each, and 1,986 questions about them: of one
    turn or several, about times, with common knowledge, and about what was never said (Maharana et al., ACL 2024).
    A task is a conversation, read session by session, and all its questions, which are not known while it is read.

    ## Action Space, Observation Space, Rewards, Starting State, Episode End, Information
    Those of :class:`atommem_env.MemoryEnv`.

    ## Arguments
    Args:
        **arguments: the fields of :class:`LoCoMoConfig`: ``captions``, ``errata``, those of every history
            (:class:`~atommem_env.core.config.HistoryConfig`) and of every environment.

    ## References
    https://github.com/snap-research/locomo; licence CC BY-NC 4.0.

    ## Version History
    - v0: initial version.
    """

    benchmark = LOCOMO
    config_class = LoCoMoConfig

    @classmethod
    def read_as(cls, config: LoCoMoConfig) -> Benchmark:
        """Return the benchmark as ``config`` has it read."""
        return locomo(config.captions, config.errata)
