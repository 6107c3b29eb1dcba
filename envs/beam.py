"""BEAM: chats with an assistant of up to ten million tokens, and questions about them that a rubric scores."""

from __future__ import annotations

import ast
import dataclasses
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from atommem_env.core.config import HistoryConfig, choice, option
from atommem_env.data.benchmark import Benchmark
from atommem_env.data.histories import History, HistoryQuestion, read_date
from atommem_env.data.records import SUPERSEDED, SUPPORTING, Session, TurnEvidence
from atommem_env.data.rows import (
    as_label,
    as_list,
    as_mapping,
    as_text,
    optional_text,
    require,
    shorten,
    text_field,
    wrong,
)
from atommem_env.env import HistoryEnv
from atommem_env.tasks.turns import Turn, speaker_problem
from atommem_env.text import clean

VARIANTS: Final = ("100K", "500K", "1M", "10M")
"""How long a chat is, in tokens."""

ABSTAIN: Final = "There is no information"
"""The phrase that counts as abstaining, in few words what the ideal replies to unanswerable questions say."""

WHOLE_MESSAGES: Final = ("event_ordering", "instruction_following", "preference_following", "summarization")
"""The abilities whose answers are not said in a message, so that any telling sentence of it stands for the message."""

_ANSWERS: Final = (
    "answer", "ideal_response", "ideal_answer", "ideal_summary", "expected_answer", "expected_compliance",
)  # fmt: skip
_MARKER = re.compile(r"\s*->->[\s\d,/NA]*\Z")
_LARGEST_LITERAL: Final = 2_000_000  # characters; twenty questions with all that is said of them are a tenth
_LARGEST_FILE: Final = 1 << 28  # bytes; a chat of ten million tokens is a fifth of it
_DEEPEST: Final = 12

_Place = tuple[int, int]


def parse(row: Mapping[str, Any]) -> History:
    """Turn a chat with its questions into a history; see https://github.com/mohammadtavakoli78/BEAM.

    The chat (``chat``) is a list of batches: objects with ``turns``, lists of messages, as in the repository's files,
    or the messages themselves, as on the hub; or a list of plans, each ``{"plan-1": batches}``. A batch is a session.
    ``probing_questions`` is a mapping from abilities to questions, or the text of one. Evidence is the messages in
    ``source_chat_ids``; what is listed as ``original_info`` next to ``updated_info`` is superseded.

    Raises:
        ValueError: when a field is missing or of the wrong form.
    """
    number = as_label(require(row, "conversation_id"), "conversation_id")
    size = optional_text(row, "chat_size")
    sessions: list[Session] = []
    places: dict[str, _Place] = {}
    for field, batch in _batches(as_list(require(row, "chat"), "chat"), "chat"):
        turns: list[Turn] = []
        words, now = _date(batch, field)
        for place, message in enumerate(_messages(_turns_of(batch), field)):
            id, turn = _turn(message, f"{field}: message {place}")
            if id:
                places.setdefault(id, (len(sessions), len(turns)))
            turns.append(turn)
        if turns:
            sessions.append(Session("", tuple(turns), words, now))
    if not sessions:
        raise wrong("chat", row["chat"], "a list of batches of messages")
    id = f"{size}/{number}" if size else number
    questions, malformed = [], 0
    for ability, listed in as_mapping(
        _literal(require(row, "probing_questions"), "probing_questions"), ""
    ).items():
        for place, value in enumerate(as_list(listed, f"probing_questions.{ability}")):
            field = f"probing_questions.{ability}[{place}]"
            question, unread = _question(
                as_mapping(value, field), field, ability, f"{id}/{ability}_{place}", places
            )
            questions.append(question)
            malformed += unread
    return History(id, tuple(sessions), tuple(questions), malformed)


# --- the chat ---------------------------------------------------------------------------------------


def _batches(listed: Sequence[Any], field: str) -> Iterator[tuple[str, Any]]:
    """Yield the batches of a chat, those of its plans in their order, each with its place."""
    for number, value in enumerate(listed):
        where = f"{field}[{number}]"
        plans = [name for name in value if name.startswith("plan-")] if isinstance(value, Mapping) else []
        if not plans:
            yield where, value
        for name in plans:
            if value[name] is not None:  # a column has every plan in every row
                yield from _batches(as_list(value[name], f"{where}.{name}"), f"{where}.{name}")


def _turns_of(batch: Any) -> Any:
    return batch.get("turns", ()) if isinstance(batch, Mapping) and "content" not in batch else batch


def _messages(value: Any, field: str, depth: int = 0) -> Iterator[Mapping[str, Any]]:
    """Yield the messages in lists, and lists of lists, of them."""
    if isinstance(value, Mapping):
        yield value
        return
    if depth > _DEEPEST:
        raise wrong(field, value, "a list of messages")
    for item in as_list(value, field):
        yield from _messages(item, field, depth + 1)


def _date(batch: Any, field: str) -> tuple[str, str]:
    """Return the date of a batch, which stands on it or on the first of its messages that has one."""
    if isinstance(batch, Mapping) and batch.get("time_anchor"):
        return read_date(batch["time_anchor"], f"{field}.time_anchor")
    for message in _messages(_turns_of(batch), field):
        if message.get("time_anchor"):
            return read_date(message["time_anchor"], f"{field}.time_anchor")
    return "", ""


def _turn(message: Mapping[str, Any], field: str) -> tuple[str, Turn]:
    """Return the id of a message, and it as a turn, without the marker that ends it."""
    role = as_text(require(message, "role"), f"{field}.role").strip()
    problem = speaker_problem(role)
    if problem is not None:
        raise wrong(f"{field}.role", role, problem)
    content = as_text(require(message, "content"), f"{field}.content")
    id = "" if message.get("id") is None else as_label(message["id"], f"{field}.id")
    return id, Turn(role, _MARKER.sub("", content), id)


# --- the questions ----------------------------------------------------------------------------------


def _question(
    row: Mapping[str, Any], field: str, ability: str, id: str, places: Mapping[str, _Place]
) -> tuple[HistoryQuestion, int]:
    """Return a question, and how many references of its evidence name no message."""
    try:
        text = text_field(row, "question")
        rubric = _rubric(row)
        answers = [optional_text(row, name) for name in _ANSWERS if isinstance(row.get(name), str)]
    except ValueError as error:
        raise ValueError(f"{field}: {error}") from error
    answers = [answer for answer in answers if answer.strip()][:1] or ["; ".join(rubric)]
    if not answers[0]:
        raise ValueError(f"{field}: there is neither an answer ({', '.join(_ANSWERS)}) nor a rubric")
    units, malformed = read_evidence(row.get("source_chat_ids"), places, ability in WHOLE_MESSAGES)
    question = HistoryQuestion(
        question=text,
        answers=tuple(answers),
        id=id,
        type=ability,
        answerable=ability != "abstention",
        evidence=units,
        rubric=rubric,
    )
    return question, malformed


def _rubric(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the items of a rubric, which some rows hold as the text of a list."""
    value = row.get("rubric")
    if isinstance(value, str) and value.lstrip().startswith("["):
        value = _literal(value, "rubric")
    if value is None or isinstance(value, str):
        value = [value] if value else []
    items = (as_text(item, "rubric") for item in as_list(value, "rubric"))
    return tuple(item for item in items if item.strip())


def read_evidence(
    value: object, places: Mapping[str, _Place], whole: bool = False
) -> tuple[tuple[TurnEvidence, ...], int]:
    """Return the messages that ``source_chat_ids`` names, and how many references name none.

    Args:
        value: an id, or lists of ids to any depth, or a mapping from roles to these; ``None``: nothing.
        places: the position of the session, and of the message in it, by id.
        whole: whether any telling sentence stands for a message.
    """
    groups = value if isinstance(value, Mapping) else {"": value}
    updates = bool(list(_ids(groups.get("updated_info"))))
    roles: dict[_Place, str] = {}
    unknown = 0
    for name, listed in groups.items():
        role = SUPERSEDED if updates and name == "original_info" else SUPPORTING
        for id in dict.fromkeys(_ids(listed)):
            place = places.get(id)
            if place is None:
                unknown += 1
            elif roles.get(place) != SUPPORTING:
                roles[place] = role
    return tuple(TurnEvidence(*place, role, whole) for place, role in roles.items()), unknown


def _ids(value: object, depth: int = 0) -> Iterator[str]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if value is None or depth > _DEEPEST:
        return
    if isinstance(value, list | tuple) or hasattr(value, "tolist"):
        for item in as_list(value, "source_chat_ids"):
            yield from _ids(item, depth + 1)
    else:
        yield str(value)


def _literal(value: object, field: str) -> Any:
    """Return what the text of a Python literal, or of JSON, holds; anything else as it is.

    Raises:
        ValueError: when it is neither, or too long to be one.
    """
    if not isinstance(value, str):
        return value
    if len(value) > _LARGEST_LITERAL:
        raise ValueError(
            f"field '{field}' is a text of {len(value):,} characters; expected at most {_LARGEST_LITERAL:,}"
        )
    try:
        return ast.literal_eval(clean(value).strip())
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        pass
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise wrong(field, value, f"the text of a Python literal or of JSON ({error})") from None


# --- the repository's folders -----------------------------------------------------------------------

_CHATS: Final = (
    "chat_trunecated.json",
    "chat.json",
)  # the first, so spelt, is the one that is used where it exists
_QUESTIONS: Final = Path("probing_questions", "probing_questions.json")


def find_chats(folder: Path, size: str) -> tuple[Path, ...]:
    """Return the files of the chats of a size, and of their questions, in a copy of the repository.

    ``folder`` is the copy, its folder ``chats``, the one of the size in it, or that of a single chat.
    """
    if (folder / _QUESTIONS).is_file():
        return _files_of(folder)
    roots = [folder / "chats" / size, folder / "test_chats" / size, folder / size]
    if folder.name == size:
        roots.append(folder)
    for root in roots:
        numbered = [path for path in root.glob("*") if path.name.isdecimal() and path.is_dir()]
        found = [
            file for path in sorted(numbered, key=lambda path: int(path.name)) for file in _files_of(path)
        ]
        if found:
            return tuple(found)
    return ()


def _files_of(folder: Path) -> tuple[Path, ...]:
    chats = [folder / name for name in _CHATS if (folder / name).is_file()]
    return (chats[0], folder / _QUESTIONS) if chats and (folder / _QUESTIONS).is_file() else ()


def read_chat(file: Path) -> Sequence[Mapping[str, Any]] | None:
    """Return the row of a chat's file, with the questions that lie next to it, no row for theirs; else ``None``.

    Raises:
        ValueError: when one of them cannot be read.
    """
    folder = file.parent
    if file == folder.parent / _QUESTIONS:
        return ()
    if file.name not in _CHATS or not (folder / _QUESTIONS).is_file():
        return None
    row = {
        "chat_size": folder.parent.name if folder.parent.name in VARIANTS else "",
        "conversation_id": folder.name,
        "chat": _json(file),
        "probing_questions": _json(folder / _QUESTIONS),
    }
    return (row,)


def _json(file: Path) -> Any:
    size = file.stat().st_size
    if size > _LARGEST_FILE:
        raise ValueError(f"{file} has {size:,} bytes; expected at most {_LARGEST_FILE:,}")
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file} is not a JSON file ({shorten(str(error))})") from error


# --- the environment --------------------------------------------------------------------------------

BEAM = Benchmark(
    name="beam",
    title="BEAM",
    licence="none stated (derivatives say CC BY-SA 4.0)",
    homepage="https://github.com/mohammadtavakoli78/BEAM",
    citation="Tavakoli et al., Beyond a Million Tokens, arXiv 2510.27246",
    parse=parse,
    hub_id="Mohammadta/BEAM",
    hub_revision="3205395e897e7318c7b094ef4e6047b9b82dbb03",
    hub_files={size: (f"data/{size}-*.parquet",) for size in VARIANTS},
    file_patterns={size: (f"beam_{size.lower()}.json", f"*{size.lower()}*.json*") for size in VARIANTS},
    fields=("chat", "probing_questions"),
    histories=True,
    variants=VARIANTS,
    folders=find_chats,
    read_file=read_chat,
    abstain=ABSTAIN,
)

_LARGEST: Final = dataclasses.replace(
    BEAM, hub_id="Mohammadta/BEAM-10M", hub_revision="9b2096193fe74e2837e4713e483351e19817773c"
)


@dataclass(frozen=True, kw_only=True)
class BEAMConfig(HistoryConfig):
    """The arguments of :class:`BEAMEnv`."""

    variant: str | None = option(
        None,
        check=choice(*VARIANTS, None),
        help="how long a chat is, '100K', '500K', '1M' or '10M' tokens; None is the first, and any for the path of a "
        "file.",
    )


class BEAMEnv(HistoryEnv):
    """BEAM as a memory decision process.

    ## Description
    100 chats of a user with an assistant about one project or plan each, in dated batches of 100 thousand to ten
    million tokens, and 20 questions about each, two for every of ten abilities: extracting information, reasoning over
    sessions and times, updated knowledge, contradictions, the order of events, instructions and preferences, summaries,
    and what was never said (Tavakoli et al. 2025). A task is a chat, read batch by batch, and all its questions, which
    are not known while it is read.

    ## Action Space, Observation Space, Rewards, Starting State, Episode End, Information
    Those of :class:`atommem_env.MemoryEnv`. The official score is a judge's, item by item of a question's rubric
    (``atommem judge``); F1 here is none.

    ## Arguments
    Args:
        **arguments: the fields of :class:`BEAMConfig`: ``variant``, those of every history
            (:class:`~atommem_env.core.config.HistoryConfig`) and of every environment.

    ## References
    https://github.com/mohammadtavakoli78/BEAM; arXiv 2510.27246.

    ## Version History
    - v0: initial version.
    """

    benchmark = BEAM
    config_class = BEAMConfig

    @classmethod
    def read_as(cls, config: BEAMConfig) -> Benchmark:
        """Return the benchmark as ``config`` has it read; the largest chats have their own place on the hub."""
        return _LARGEST if config.variant == "10M" else BEAM
