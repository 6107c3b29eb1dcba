"""One episode as a sequence of choices among a fixed number of actions, and the operations that they mean.

While reading, the documents that a chunk completes are candidates, one after the other, or the turns
of the sessions, each with who said it and when; one over the environment's limit for an entry is several, of whole
sentences. Turns that nobody says (a list's facts, a text's paragraphs) are offered together, as many in a row as fit an
entry, where entries have a limit. For each candidate, one action is chosen:

=====================  ========================================================================
action                 meaning
=====================  ========================================================================
0                      skip: on to the next candidate
1                      create: the candidate becomes an entry, in the first free slot
2 ... 1+S              replace slot j: the candidate takes the place of the entry in it
2+S ... 1+2S           delete slot j: its entry goes; the candidate stays to be decided on
2+2S ...               query q: search with the q-th query of the generator
=====================  ========================================================================

The choices over a chunk are collected, and after its last candidate they are one action of the environment: first
the Deletes, then the Updates (a replaced entry keeps its id), then the Creates. What is undone
within a chunk never reaches the environment. Where a chunk completes no document, or is shown again after a look,
there is no candidate, and skip goes on.

While answering there is no candidate: a query is a look, and skip answers the question from what is shown.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from gymnasium.error import InvalidAction

from atommem_env.core.checks import one_of
from atommem_env.core.operations import SCRATCHPAD, Answer, Create, Delete, Operation, Read, Update
from atommem_env.core.rules import Rules
from atommem_env.core.types import Observation
from atommem_env.discrete.blind import BLIND_FEATURES, BlindNotes, compare
from atommem_env.discrete.features import TEXT_FEATURES
from atommem_env.discrete.notes import Array, Note, Notes, bridges
from atommem_env.tasks.documents import DocumentStitcher, StitchedDocument, in_parts, turn_texts
from atommem_env.tasks.turns import Turn

QUERIES: Final = ("question", "bridge")
"""The query generator: the question as it stands; and, as a second look, the titles of entries that are not shown and
that an entry that is shown mentions."""

SLOT_FEATURES: Final = ("filled", "age", "shown")
"""What is said of a slot: whether it holds an entry, since when (share of the text), whether that is shown."""

STATE_FEATURES: Final = (
    "answering",
    "read",  # the share of the text that has been read
    "chunk_left",  # the share of the chunk's candidates that come after this one
    "last",  # whether no candidate comes after this one
    "filled",  # how many slots hold an entry, over 20
    "questions",  # how many there are, over 10
    "fits",  # whether the candidate is within the entries' limit
    "looks_left",  # over 3
    "asked",  # whether a query was made for this question
)
"""What is said of the episode."""

SKIP: Final = 0
CREATE: Final = 1
_FIRST_SLOT: Final = 2
_AT_ONCE: Final = 64
_UNKNOWN: Final = "unknown"

Answerer = Callable[[str, Sequence[str]], str]
Compressor = Callable[[Sequence[str], str, str, int], str]


@dataclass(slots=True, eq=False)
class _Candidate:
    content: str
    note: Note


@dataclass(slots=True, eq=False)
class _Slot:
    """What a slot holds with the choices so far.

    Attributes:
        id: the entry's id; ``None``: the entry is to be created.
        note: the note of what it holds.
        since: the share of the text that had been read when that was chosen.
        content: what is to be written; ``None``: it has been.
    """

    id: int | None
    note: Note
    since: float
    content: str | None = None


class Decisions:
    """Goes through one episode after the other, choice by choice.

    It notes numbers about each entry, never what the entry says; of the text it keeps the current chunk and
    one unfinished document. For each action of the environment: :meth:`choose` until it returns operations, then
    :meth:`observe` what became of them.

    Args:
        slots: S, the most entries to hold.
        answer: what answers a question from the entries shown; its ``unknown`` is said in the task's words for that.
        max_questions: Q, the most questions of an episode.
        queries: which of :data:`QUERIES` can be chosen.
        compress: writes each chunk into the scratchpad, from the questions, the scratchpad, the chunk and a number
            of tokens, next to what is chosen; ``None``: the scratchpad stays empty.
        blind: whether texts are seen without the questions (:mod:`atommem_env.discrete.blind`): Q is 1 then.

    Attributes:
        look: how many entries a look with the question asks for, and no fewer of which are left by deleting; ``None``:
            the environment's ``top_k``, and any number is deleted. It may be changed between episodes.

    Raises:
        ValueError: when an argument is out of range.
    """

    def __init__(
        self,
        slots: int,
        answer: Answerer,
        max_questions: int = 10,
        queries: Sequence[str] = ("question",),
        compress: Compressor | None = None,
        blind: bool = False,
    ) -> None:
        if slots < 1 or max_questions < 1:
            raise ValueError(f"slots={slots}, max_questions={max_questions}: expected at least 1 of each")
        if not queries:
            raise ValueError(f"queries=(): choose at least one of {', '.join(QUERIES)}")
        self.num_slots, self.max_questions = slots, 1 if blind else max_questions
        self.blind = blind
        self.look: int | None = None
        self.queries = tuple(one_of("queries", query, QUERIES) for query in queries)
        self.num_actions = _FIRST_SLOT + 2 * slots + len(self.queries)
        self._answer = answer
        self._compress = compress

    # --- the environment's side -----------------------------------------------------------------------

    def begin(self, observation: Observation, rules: Rules) -> None:
        """Start an episode.

        Args:
            observation: the environment's first.
            rules: what it does not say, ``info["rules"]``.

        Raises:
            ValueError: when it asks more than ``max_questions`` questions.
        """
        questions = observation["questions"]
        if not self.blind and len(questions) > self.max_questions:
            raise ValueError(
                f"the task asks {len(questions)} questions, more than max_questions={self.max_questions}: raise that"
            )
        self._notes = BlindNotes() if self.blind else Notes(questions or ("",))
        self._stitcher = DocumentStitcher(turns=True)
        self._limit: float = rules.entry_tokens or math.inf
        self._abstain = rules.abstain
        self._allowed = frozenset(rules.operations if rules.storage else ())
        self._budget = (rules.scratchpad_tokens or 1024) if rules.scratchpad else 0
        self._room = min(self.num_slots, observation["capacity"] or self.num_slots)
        self._slots: list[_Slot | None] = [None] * self.num_slots
        self._entries: dict[int, Note] = {}
        self._next_id = 1
        self._sent: list[tuple[Operation, int]] = []
        self._position: tuple[int, int] | None = None
        self.observe(observation)

    def observe(self, observation: Observation) -> None:
        """Take in what the environment shows after the operations that :meth:`choose` returned."""
        self._observation = observation
        self._follow(observation["results"])
        self._place = 0
        self._candidates: list[_Candidate] = []
        position = (observation["phase"], observation["cursor"])
        if position == self._position:
            return
        self._position = position
        self._asked: list[int] = []
        self._reads: list[Read] = []
        if not self.answering:
            self._candidates = self._read()
            self._compare()

    def _compare(self) -> None:
        """Compare the entries with the candidates that come next."""
        held = [slot.note for slot in self._slots if slot is not None]
        at_hand = self._candidates[self._place : self._place + _AT_ONCE] if self.blind else self._candidates
        compared = [*held, *(candidate.note for candidate in at_hand)]
        self._compared = compare(self._notes, compared)
        self._rows = {note: row for row, note in enumerate(compared)}

    def _read(self) -> list[_Candidate]:
        last = self._observation["cursor"] == self._observation["num_chunks"] - 1
        documents = self._stitcher.feed(self._observation["chunk"], last)
        return [candidate for document in documents for candidate in self._offered(document)]

    def _offered(self, document: StitchedDocument) -> list[_Candidate]:
        """Return the candidates of a document or a session."""
        if not document.turns:
            title = document.title
            texts = self._parts(title, document.text)
            return [_Candidate(f"{title}\n{text}", self._notes.take(title, text)) for text in texts]
        spoken = [
            (turn, text)
            for turn in document.turns
            for text in turn_texts(turn, document.date, self._fits_text)
        ]
        if self._limit < math.inf:
            spoken = _packed(spoken, document.title, self._fits_text)
        return [_Candidate(text, self._notes.take("", text, turn)) for turn, text in spoken]

    def _fits_text(self, text: str) -> bool:
        return self._notes.size("", text) <= self._limit

    def _parts(self, title: str, text: str) -> list[str]:
        """Return the texts that a document is offered as: itself; in parts of whole sentences where it is too long."""
        return in_parts(text, lambda part: self._notes.size(title, part) <= self._limit)

    def _follow(self, results: Sequence[Mapping[str, Any]]) -> None:
        """Take in the result of the operations sent: a refused write leaves what was there.

        Of what was sent before the first of isolated questions nothing is told there: it counts as accepted.
        """
        if not results:
            results = [{"ok": True, "reason": None, "id": None, "evicted": None}] * len(self._sent)
        for (operation, number), result in zip(self._sent, results, strict=False):
            self._drop(result["evicted"])
            if isinstance(operation, Update) and operation.id == SCRATCHPAD:
                self._budget = self._budget if result["ok"] else max(1, self._budget * 3 // 4)
                continue
            slot = self._slots[number]
            if isinstance(operation, Delete):
                self._entries.pop(operation.id, None)
            elif isinstance(operation, Create | Update) and slot is not None:
                if isinstance(operation, Create):
                    slot.id, self._next_id = self._next_id, self._next_id + 1
                if result["reason"] == "too_long":
                    self._limit = min(self._limit, slot.note.size - 1)
                if result["ok"] and slot.id is not None:
                    self._entries[slot.id] = slot.note
                    slot.content = None
                else:
                    before = self._entries.get(operation.id) if isinstance(operation, Update) else None
                    self._slots[number] = None if before is None else _Slot(slot.id, before, slot.since)
        self._sent = []

    def _drop(self, id: int | None) -> None:
        """Forget an entry that the environment pushed out."""
        if id is not None:
            self._entries.pop(id, None)
            self._slots = [None if slot is not None and slot.id == id else slot for slot in self._slots]

    # --- the agent's side -----------------------------------------------------------------------------

    @property
    def features(self) -> tuple[str, ...]:
        """The names of what is said of a text."""
        return BLIND_FEATURES if self.blind else TEXT_FEATURES

    @property
    def answering(self) -> bool:
        """Whether the questions are being asked."""
        return bool(self._observation["phase"])

    @property
    def answered(self) -> int:
        """How many questions have been answered."""
        return int(self._observation["cursor"]) if self.answering else 0

    @property
    def due(self) -> bool:
        """Whether, while reading, no candidate is left."""
        return not self.answering and self._place >= len(self._candidates)

    @property
    def candidate(self) -> str | None:
        """The content that is to be decided on; ``None`` when there is none."""
        return None if self.answering or self.due else self._candidates[self._place].content

    @property
    def notes(self) -> list[Note | None]:
        """The note of what each slot holds with the choices so far."""
        return [None if slot is None else slot.note for slot in self._slots]

    @property
    def candidate_note(self) -> Note | None:
        """The note of the candidate."""
        return None if self.answering or self.due else self._candidates[self._place].note

    @property
    def slots(self) -> list[int | None]:
        """The id of the entry in each slot with the choices so far; 0 for one to be created."""
        return [None if slot is None else slot.id or 0 for slot in self._slots]

    def choose(self, action: int) -> list[Operation] | None:
        """Make a choice; return the environment's action when it completes one.

        Raises:
            InvalidAction: when the action is not one of :meth:`action_masks`; says what it would mean.
        """
        if not 0 <= action < self.num_actions or not self.action_masks()[action]:
            raise InvalidAction(
                f"action {action} ({self.describe(action)}) is not possible here: take one that action_masks() allows"
            )
        query = action - _FIRST_SLOT - 2 * self.num_slots
        if query >= 0:
            self._asked.append(query)
            self._reads += self._query(query)
            return self._send([(read, 0) for read in self._reads])
        if self.answering:
            question = self._observation["questions"][0]
            shown = [entry["content"] for entry in self._observation["retrieved"]]
            if self._observation["scratchpad"]:
                shown.append(self._observation["scratchpad"])
            said = self._answer(question, shown)
            return self._send([(Answer(self._abstain or said if said == _UNKNOWN else said), 0)])
        kind, number = divmod(action - _FIRST_SLOT, self.num_slots)
        if action >= _FIRST_SLOT and kind == 1:
            self._slots[number] = None
            return None
        if action != SKIP:
            candidate = self._candidates[self._place]
            number = self._slots.index(None) if action == CREATE else number
            before = self._slots[number]
            id = None if before is None else before.id
            self._slots[number] = _Slot(id, candidate.note, self._progress(), candidate.content)
        self._place += 1
        if self.due:
            return self._collected()
        if self.blind and not self._place % _AT_ONCE:
            self._compare()
        return None

    def _collected(self) -> list[Operation]:
        """Return the operations of the choices made since the environment's last action."""
        writes = [
            (number, slot, slot.content)
            for number, slot in enumerate(self._slots)
            if slot is not None and slot.content is not None
        ]
        if "update" not in self._allowed:
            for _, slot, _ in writes:
                slot.id = None
        held = {slot.id for slot in self._slots if slot is not None}
        sent: list[tuple[Operation, int]] = [(Delete(id), 0) for id in sorted(self._entries.keys() - held)]
        sent += [(Update(slot.id, text), number) for number, slot, text in writes if slot.id is not None]
        sent += [(Create(text), number) for number, slot, text in writes if slot.id is None]
        if self._compress is not None and self._budget:
            text = self._compress(
                self._observation["questions"],
                self._observation["scratchpad"],
                self._observation["chunk"],
                self._budget,
            )
            sent.append((Update(SCRATCHPAD, text) if text else Delete(SCRATCHPAD), 0))
        return self._send(sent)

    def _send(self, operations: list[tuple[Operation, int]]) -> list[Operation]:
        """Note the operations, each with the slot that it writes, until :meth:`observe` tells what became of them."""
        self._sent = operations
        return [operation for operation, _ in operations]

    def action_masks(self) -> npt.NDArray[np.bool_]:
        """Return which actions are possible, of shape (:attr:`num_actions`,)."""
        masks = np.zeros(self.num_actions, np.bool_)
        queries = masks[_FIRST_SLOT + 2 * self.num_slots :]
        if self.answering and "read" in self._allowed and self._observation["looks_left"] > 0:
            queries[:] = True
            queries[self._asked] = False
            if "bridge" in self.queries and not self._bridges():
                queries[self.queries.index("bridge")] = False
        if self.answering:
            masks[SKIP] = bool(self._asked) or not queries.any()
            return masks
        masks[SKIP] = True
        if self.due:
            return masks
        filled = np.array([slot is not None for slot in self._slots])
        if self._fits():
            create = "create" in self._allowed
            masks[CREATE] = create and filled.sum() < self._room
            moves = "update" in self._allowed or (create and "delete" in self._allowed)
            masks[_FIRST_SLOT : _FIRST_SLOT + self.num_slots] = filled & moves
        deletes = "delete" in self._allowed and filled.sum() > (self.look or 0)
        masks[_FIRST_SLOT + self.num_slots : _FIRST_SLOT + 2 * self.num_slots] = filled & deletes
        return masks

    def describe(self, action: int) -> str:
        """Return what an action means, in words."""
        if not 0 <= action < self.num_actions:
            return f"none: expected 0 to {self.num_actions - 1}"
        if action < _FIRST_SLOT:
            return ("skip", "create")[action]
        kind, number = divmod(action - _FIRST_SLOT, self.num_slots)
        if kind < 2:
            return f"{('replace', 'delete')[kind]} slot {number}"
        return f"query {self.queries[action - _FIRST_SLOT - 2 * self.num_slots]}"

    def view(self) -> dict[str, Array]:
        """Return what can be known before the choice, as arrays of float32 in [0, 1].

        ``candidate`` (Q, F) and ``slots`` (S, Q, F) say how well each text serves each question (F is the
        number of :attr:`features`), ``slot_state`` (S, 3) has :data:`SLOT_FEATURES`, ``questions`` (Q,) tells
        which questions there are (while answering, which is asked), ``state`` has :data:`STATE_FEATURES`.
        Unused rows are zero.
        """
        count = len(self._notes.questions)
        width = len(self.features)
        view = {
            "candidate": np.zeros((self.max_questions, width), np.float32),
            "slots": np.zeros((self.num_slots, self.max_questions, width), np.float32),
            "slot_state": np.zeros((self.num_slots, len(SLOT_FEATURES)), np.float32),
            "questions": np.zeros(self.max_questions, np.float32),
            "state": self._state(),
        }
        filled = [(number, slot) for number, slot in enumerate(self._slots) if slot is not None]
        numbers = [number for number, _ in filled]
        held = [self._rows[slot.note] for _, slot in filled]
        view["slots"][numbers, :count] = self._compared.beside(held, held)
        shown = {entry["id"] for entry in self._observation["retrieved"]}
        progress = self._progress()
        view["slot_state"][numbers] = [
            (1, max(progress - slot.since, 0), slot.id in shown) for _, slot in filled
        ] or np.zeros((0, len(SLOT_FEATURES)))
        if self.answering and not self.blind:
            view["questions"][self._observation["cursor"] : self._observation["cursor"] + 1] = 1
        else:
            view["questions"][:count] = 1
            note = self.candidate_note
            if note is not None:
                view["candidate"][:count] = self._compared.beside([self._rows[note]], held)[0]
        return view

    def _state(self) -> Array:
        left = 0.0 if self.due or self.answering else 1 - (self._place + 1) / len(self._candidates)
        ending = not self.answering and self._observation["cursor"] == self._observation["num_chunks"] - 1
        filled = sum(slot is not None for slot in self._slots)
        return np.array(
            [
                self.answering,
                self._progress(),
                left,
                ending and not left,
                min(filled / 20, 1),
                min(self._observation["num_questions"] / 10, 1),
                self._fits(),
                min(self._observation["looks_left"] / 3, 1),
                bool(self._asked),
            ],
            np.float32,
        )

    def _progress(self) -> float:
        if self.answering:
            return 1.0
        share = self._place / len(self._candidates) if self._candidates else 1.0
        return float((self._observation["cursor"] + share) / self._observation["num_chunks"])

    def _fits(self) -> bool:
        if self.answering or self.due:
            return False
        return self._candidates[self._place].note.size <= self._limit

    def _query(self, number: int) -> list[Read]:
        if self.queries[number] == "bridge":
            return self._bridges()
        return [Read(str(self._observation["questions"][0]), self.look)]

    def _bridges(self) -> list[Read]:
        shown = self._observation["retrieved"]
        ids = {entry["id"] for entry in shown}
        return bridges(shown, {slot.note.title for slot in self._slots if slot and slot.id not in ids})


def _packed(
    spoken: Iterable[tuple[Turn, str]], title: str, fits: Callable[[str], bool]
) -> list[tuple[Turn, str]]:
    """Return texts of turns, those that nobody says (a list's facts) together, as many in a row as fit an entry.

    Several begin with the session's title on a line, as in every entry of more than one turn.
    """
    packed: list[tuple[Turn, str]] = []
    for turn, text in spoken:
        last = packed[-1][0] if packed else None
        joined = "" if last is None else f"{last.text}\n{text}"
        if last is not None and not (turn.speaker or last.speaker) and fits(f"{title}\n{joined}"):
            packed[-1] = (Turn("", joined), f"{title}\n{joined}")
        else:
            packed.append((turn if turn.speaker else Turn("", text), text))
    return packed
