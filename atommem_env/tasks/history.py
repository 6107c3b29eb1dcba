"""Tasks of histories: sessions in the order of time and questions about them; nothing is sampled or dropped."""

from __future__ import annotations

import bisect
import functools
import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, overload

import numpy as np
import numpy.typing as npt

from atommem_env.core.checks import at_least, one_of
from atommem_env.data.histories import sortable
from atommem_env.data.records import Question, Session
from atommem_env.data.table import HistoryRow
from atommem_env.evidence import turn_spans
from atommem_env.tasks.chunking import cut_chunks
from atommem_env.tasks.documents import SEPARATOR, session_header, session_title
from atommem_env.tasks.grouping import group_sizes
from atommem_env.tasks.permutation import Permutation
from atommem_env.tasks.streams import interleaved
from atommem_env.tasks.task import Position, Task, Unit, check_num_questions
from atommem_env.tasks.turns import turn_offset, write_turn
from atommem_env.text import PieceTokenizer, Tokenizer, digest

if TYPE_CHECKING:
    from atommem_env.data.dataset import QADataset

CHUNK_BY: Final = ("tokens", "document")
"""What a chunk is: so many tokens, or a document (a longer one is cut between its turns)."""

_PLAIN_BREAK: Final = 64
"""Within a turn a cut is moved back to white space, by at most so many tokens."""


_KEPT: Final = 2048
"""For a tokenizer that is not the built-in one, the tokens of so many sessions are remembered."""


_BODIES: Final = 32
"""So many sessions of a history are kept as text, since several units of evidence may be of one session."""

_UNITS: Final = 64
"""The units of evidence of so many tasks are remembered: of few histories, each is read again and again."""


class _Group(NamedTuple):
    """The questions of a task: ``size`` of a history's, from ``first`` on in the epoch's order of them."""

    history: int
    first: int
    size: int


class HistoryTasks:
    """The composer of histories: a task is one history's sessions and a group of its questions.

    Epoch e permutes the histories by (data hash, split, e), and, unless all questions of a history are asked
    together, the questions within each; a group never crosses histories, and a short last group is kept. A task costs
    in proportion to the number of its sessions, not to their text.

    Args:
        dataset: histories and their questions.
        num_docs: has no meaning for a history, which is read whole: only ``None`` is allowed.
        num_questions: questions in a task: ``None`` for all of a history's, in the file's order; an int from 1; or
            ``(low, high)``: low with probability 0.5, the others share 0.5 evenly. A history with fewer gives what
            it has.
        chunk_tokens: the largest number of tokens of a chunk.
        chunk_overlap: how many tokens of a chunk the one before shows already; 0 with ``chunk_by="document"``.
        chunk_by: ``"document"``: a session is a chunk, and a longer one is cut between turns; ``"tokens"``.
        tokenizer: what counts tokens; ``None`` for the built-in counter.
        abstain: the phrase that counts as abstaining where some question of the dataset is not answerable.
        stream: whether each question is asked at its date, after the last session that is not later, so that sessions
            follow it; one without a date is asked at the end. Questions of a task are in the order in which they are
            asked then.

    Raises:
        ValueError: when an argument is out of range, ``stream`` is on and chunks are not documents, or the dataset or
            its split holds no histories.
    """

    def __init__(
        self,
        dataset: QADataset,
        num_docs: int | None = None,
        num_questions: int | Sequence[int] | None = None,
        chunk_tokens: int = 4096,
        chunk_overlap: int = 0,
        chunk_by: str = "document",
        tokenizer: Tokenizer | None = None,
        abstain: str = "",
        stream: bool = False,
    ) -> None:
        if not dataset.num_histories:
            raise ValueError(
                f"{dataset.source} has no histories; expected a dataset of sessions and questions"
            )
        if num_docs is not None:
            raise ValueError(f"num_docs={num_docs!r}: a history is read whole; leave num_docs out")
        self.dataset = dataset
        self.chunk_tokens = at_least("chunk_tokens", chunk_tokens, 1)
        self.chunk_overlap = at_least("chunk_overlap", chunk_overlap, 0)
        self.chunk_by = one_of("chunk_by", chunk_by, CHUNK_BY)
        if chunk_by == "document" and chunk_overlap:
            raise ValueError(
                f"chunk_overlap={chunk_overlap}: chunks that are documents have none; pass 0, or chunk_by='tokens'"
            )
        if chunk_overlap >= chunk_tokens:
            raise ValueError(
                f"chunk_overlap={chunk_overlap}: expected less than chunk_tokens={chunk_tokens}, so that every chunk "
                "shows something new"
            )
        if stream and chunk_by != "document":
            raise ValueError(
                f"chunk_by={chunk_by!r}: a stream asks its questions between sessions, and such a chunk may show "
                "parts of several; pass chunk_by='document'"
            )
        self.stream = stream
        self.abstain = abstain if dataset.report["unanswerable"] else ""
        self._tokenizer = tokenizer
        self._starts: dict[str, npt.NDArray[np.int32]] = {}
        self._known_units: dict[tuple[int, ...], tuple[Unit, ...]] = {}
        self._size = None if num_questions is None else check_num_questions(num_questions, most=None)
        self._histories = _histories_of(dataset)
        self._num_tasks = len(_layout(dataset, self._histories, self._size, 0))

    @property
    def num_tasks(self) -> int:
        """The number of tasks of an epoch: together the first ``num_tasks`` indices ask every question once."""
        return self._num_tasks

    def build(self, index: int) -> Task:
        """Return task ``index`` (any int from 0)."""
        if index < 0:
            raise ValueError(f"task_index={index}: expected an int from 0")
        epoch, number = divmod(index, self._num_tasks)
        group = _layout(self.dataset, self._histories, self._size, epoch)[number]
        row = self.dataset.history(group.history)
        text, sessions = _HistoryText(self.dataset, row), _Sessions(self.dataset, row)
        chunks, sizes = self._cut(text)
        questions = self._questions(row, group, epoch)
        stream: tuple[Position, ...] = ()
        if self.stream:
            shown = [text.document_at(end - 1) for _, end in chunks]
            questions, stream = _in_time(questions, row.nows, shown)
        return Task(
            id=f"{self.dataset.name}/{self.dataset.split}/{self.dataset.hash[:8]}/{self._grouping()}/{index}",
            index=index,
            questions=questions,
            documents=sessions,
            content=text,
            chunks=chunks,
            chunk_sizes=sizes,
            units=self._units(row, questions, text, sessions),
            dates=tuple(row.nows[text.document_at(end - 1)] for _, end in chunks) if any(row.nows) else (),
            stream=stream,
            abstain=self.abstain,
            history=row.shared or row.id,
        )

    def _units(
        self, row: HistoryRow, questions: Sequence[Question], text: _HistoryText, sessions: Sequence[Session]
    ) -> tuple[Unit, ...]:
        """Return the units of evidence of a task."""
        asked = tuple([question.row for question in questions])
        units = self._known_units.get(asked)
        if units is None:
            if len(self._known_units) >= _UNITS:
                self._known_units.clear()
            units = self._known_units[asked] = _units(self.dataset, row, questions, text, sessions)
        return units

    def _grouping(self) -> str:
        asked = "-stream" if self.stream else ""
        if self._size is None:
            return f"all{asked}"
        low, high = self._size
        return f"q{low}{asked}" if low == high else f"q{low}-{high}{asked}"

    def _questions(self, row: HistoryRow, group: _Group, epoch: int) -> tuple[Question, ...]:
        places = np.arange(group.first, group.first + group.size)
        if self._size is not None:
            key = digest(
                "questions", self.dataset.hash, self.dataset.split, epoch, row.id, row.first_question
            )
            places = Permutation(row.num_questions, key).take(places)
        return tuple(self.dataset.question(row.first_question + place) for place in places.tolist())

    # --- chunks -------------------------------------------------------------------------------------

    def _cut(self, text: _HistoryText) -> tuple[tuple[tuple[int, int], ...], tuple[int, ...]]:
        if self.chunk_by == "tokens":
            starts = (
                _StoredStarts(text)
                if self._tokenizer is None
                else self._tokenizer.starts(text[0 : len(text)])
            )
            return cut_chunks(starts, len(text), self.chunk_tokens, self.chunk_overlap)
        spans: list[tuple[int, int]] = []
        sizes: list[int] = []
        for number in range(len(text.starts)):
            size = text.num_tokens(number) if self._tokenizer is None else len(self._counted(text, number))
            start, end = text.span(number)
            if size <= self.chunk_tokens:
                spans.append((start, end))
                sizes.append(size)
                continue
            borders = self._borders(text, number)
            places = [start, *(start + place for place, _ in borders), end]
            spans += itertools.pairwise(places)
            counts = [0, *(count for _, count in borders), size]
            sizes += [after - before for before, after in itertools.pairwise(counts)]
        return tuple(spans), tuple(sizes)

    def _counted(self, text: _HistoryText, number: int) -> npt.NDArray[np.int32]:
        """Return where the tokens of a session start, from its header on."""
        if self._tokenizer is None:
            return text.token_starts(number)
        start, end = text.span(number)
        session = text[start:end]
        starts = self._starts.get(session)
        if starts is None:
            if len(self._starts) >= _KEPT:
                self._starts.clear()
            starts = self._starts[session] = self._tokenizer.starts(session)
        return starts

    def _borders(self, text: _HistoryText, number: int) -> list[tuple[int, int]]:
        """Return where a session that is too long is cut: characters and tokens from its beginning."""
        tokens = self._counted(text, number)
        shift = len(text.headers[number])
        ends = text.turn_ends(number) + shift
        turn_starts = np.concatenate([[shift], ends[:-1] + 1])
        firsts = np.searchsorted(tokens, turn_starts, side="left")
        lasts = np.append(firsts[1:], len(tokens))
        borders: list[tuple[int, int]] = []
        begin = 0  # the first token of the part that is being filled
        for place, first, last in zip(turn_starts.tolist(), firsts.tolist(), lasts.tolist(), strict=True):
            if last - begin <= self.chunk_tokens:
                continue
            if first > begin and _holds_turns(first, begin, shift, tokens):
                borders.append((place, first))
                begin = first
            while last - begin > self.chunk_tokens:
                at = begin + self.chunk_tokens
                where, at = self._break(text, number, tokens, max(begin, first) + 1, at)
                borders.append((where, at))
                begin = at
        return borders

    def _break(
        self, text: _HistoryText, number: int, tokens: npt.NDArray[np.int32], low: int, at: int
    ) -> tuple[int, int]:
        """Return where to cut within a turn: at white space before token ``at`` or one of the tokens before it.

        The part that follows then begins with the white space, which says that it does not begin with a turn.
        """
        start = text.starts[number]
        lowest = max(low, at - _PLAIN_BREAK)
        window = text[start + int(tokens[lowest - 1]) : start + int(tokens[at])]
        base = int(tokens[lowest - 1])
        for token in range(at, lowest - 1, -1):
            place = int(tokens[token])
            before = window[: place - base]
            kept = len(before.rstrip())
            if kept < len(before):
                return base + kept, token
        return int(tokens[at]), at


def _holds_turns(first: int, begin: int, shift: int, tokens: npt.NDArray[np.int32]) -> bool:
    """Tell whether the part from token ``begin`` to ``first`` holds more than the session's header."""
    return begin > 0 or int(tokens[first - 1]) >= shift


# --- which histories, and their groups --------------------------------------------------------------


def _histories_of(dataset: QADataset) -> tuple[int, ...]:
    """Return the histories with questions of the dataset's split: all of them in ``test``.

    In the order of the hash of their ids, the first tenth (one at least) is ``validation``, the next ``train``.
    """
    rows = [(dataset.history(number), number) for number in range(dataset.num_histories)]
    asked = [(row.id, number) for row, number in rows if row.num_questions]
    if dataset.split == "test":
        return tuple(number for _, number in asked)
    tenth = max(1, len(asked) // 10)
    order = sorted((digest("split", id), number) for id, number in asked)
    first = 0 if dataset.split == "validation" else tenth
    chosen = sorted(number for _, number in order[first : first + tenth])
    if not chosen:
        raise ValueError(
            f"split={dataset.split!r}: {dataset.source} has only {len(asked)} histories with questions, too few for a "
            "training split; pass split='test', which is all of them"
        )
    return tuple(chosen)


@functools.lru_cache(maxsize=8)
def _layout(
    dataset: QADataset, histories: tuple[int, ...], size: tuple[int, int] | None, epoch: int
) -> tuple[_Group, ...]:
    """Return the groups of an epoch, one for each task."""
    key = digest("histories", dataset.hash, dataset.split, epoch)
    order = Permutation(len(histories), key).take(np.arange(len(histories)))
    groups: list[_Group] = []
    for place in order.tolist():
        number = histories[place]
        row = dataset.history(number)
        count = row.num_questions
        sizes = [count] if size is None else _sizes(dataset.hash, row.first_question, count, *size)
        first = 0
        for length in sizes:
            groups.append(_Group(number, first, length))
            first += length
    return tuple(groups)


def _sizes(data_hash: str, first_question: int, count: int, low: int, high: int) -> list[int]:
    """Return the sizes of the groups of ``count`` questions; the last is what is left."""
    drawn = group_sizes(digest("sizes", data_hash, first_question, low, high), -(-count // low), low, high)
    ends = np.minimum(np.cumsum(drawn), count)
    sizes = np.diff(ends, prepend=0)
    return [int(length) for length in sizes if length]


# --- the text ---------------------------------------------------------------------------------------


class _HistoryText:
    """A history's sessions as one text, of which only what is asked for is read."""

    def __init__(self, dataset: QADataset, row: HistoryRow) -> None:
        self._dataset = dataset
        self._rows = row.rows
        self._sizes = row.tokens
        self.headers = [session_header(number, date) for number, date in enumerate(row.dates, start=1)]
        lengths = [
            len(header) + chars + len(SEPARATOR)
            for header, chars in zip(self.headers, row.chars, strict=True)
        ]
        self.starts = [0, *itertools.accumulate(lengths[:-1])]
        self._length = self.starts[-1] + lengths[-1] - len(SEPARATOR)
        self._bodies: dict[int, str] = {}

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, part: slice, /) -> str:
        start, end, _ = part.indices(self._length)
        if start >= end:
            return ""
        first, last = self.document_at(start), self.document_at(end - 1)
        begin = self.starts[first] + len(self.headers[first])
        if first == last and begin <= start and end - begin <= len(self.body(first)):  # a part of one session
            return self.body(first)[start - begin : end - begin]
        text = SEPARATOR.join([self.headers[number] + self.body(number) for number in range(first, last + 1)])
        base = self.starts[first]
        if end - base > len(text):  # the blank line after the last session
            text += SEPARATOR
        return text[start - base : end - base]

    def body(self, number: int) -> str:
        """Return the turns of a session as they stand in the text."""
        body = self._bodies.get(number)
        if body is None:
            if len(self._bodies) >= _BODIES:
                self._bodies.clear()
            body = self._bodies[number] = self._dataset.document(self._rows[number]).text
        return body

    def document_at(self, offset: int) -> int:
        """Return the session that the character at ``offset`` belongs to; a blank line belongs to the one before it."""
        return bisect.bisect_right(self.starts, offset) - 1

    def span(self, number: int) -> tuple[int, int]:
        """Return where a session starts and ends, the blank line after it included."""
        after = number + 1
        return self.starts[number], self.starts[after] if after < len(self.starts) else self._length

    def turn_ends(self, number: int) -> npt.NDArray[np.int32]:
        """Return where the turns of a session end, counted from the end of its header."""
        return self._dataset.turn_ends(self._rows[number])

    def num_tokens(self, number: int) -> int:
        """Return the number of tokens of a session and its header, by the built-in counter."""
        return _header_tokens(self.headers[number]) + self._sizes[number]

    def token_starts(self, number: int) -> npt.NDArray[np.int32]:
        """Return where the tokens of a session start, from its header on, by the built-in counter."""
        header = self.headers[number]
        body = self._dataset.token_starts(self._rows[number])[1]
        return np.concatenate([PieceTokenizer().starts(header), body + np.int32(len(header))])


@functools.lru_cache(maxsize=1 << 14)
def _header_tokens(header: str) -> int:
    return PieceTokenizer().count(header)


class _StoredStarts:
    """Where the tokens of a history's text start, counted by the built-in counter, looked up when asked for."""

    def __init__(self, text: _HistoryText) -> None:
        self._text = text
        self._ends = list(itertools.accumulate(map(text.num_tokens, range(len(text.starts)))))

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, token: int, /) -> int:
        number = bisect.bisect_right(self._ends, token)
        within = token - (self._ends[number - 1] if number else 0)
        return self._text.starts[number] + int(self._text.token_starts(number)[within])


class _Sessions(Sequence[Session]):
    """A history's sessions, read where they are asked for."""

    def __init__(self, dataset: QADataset, row: HistoryRow) -> None:
        self._dataset = dataset
        self._row = row
        self._read: dict[int, Session] = {}

    def __len__(self) -> int:
        return len(self._row.rows)

    @overload
    def __getitem__(self, number: int) -> Session: ...

    @overload
    def __getitem__(self, number: slice) -> Sequence[Session]: ...

    def __getitem__(self, number: int | slice) -> Session | Sequence[Session]:
        if isinstance(number, slice):
            return [self[place] for place in range(*number.indices(len(self)))]
        place = range(len(self))[number]
        if place not in self._read:
            row = self._row
            turns = self._dataset.turns(row.rows[place])
            self._read[place] = Session(session_title(place + 1), turns, row.dates[place], row.nows[place])
        return self._read[place]


def _in_time(
    questions: Sequence[Question], nows: Sequence[str], shown: Sequence[int]
) -> tuple[tuple[Question, ...], tuple[Position, ...]]:
    """Return questions in the order in which they are asked, and the order of chunks and questions.

    Args:
        questions: the questions.
        nows: the date of each session.
        shown: for each chunk, the last session that it shows.
    """
    dates: list[str] = []
    for now in nows:
        dates.append(sortable(now) or (dates[-1] if dates else ""))
    after = []
    for question in questions:
        told = bisect.bisect_right(dates, sortable(question.now)) if question.now else len(dates)
        after.append(bisect.bisect_right(shown, told - 1) - 1)
    order = sorted(range(len(questions)), key=lambda place: (after[place], questions[place].now))
    return tuple(questions[place] for place in order), interleaved(
        len(shown), [after[place] for place in order]
    )


def _units(
    dataset: QADataset,
    row: HistoryRow,
    questions: Sequence[Question],
    text: _HistoryText,
    sessions: Sequence[Session],
) -> tuple[Unit, ...]:
    """Return the units of evidence: turns, and of a long turn the sentences that its question is about."""
    units = []
    for number, question in enumerate(questions):
        for place, turn, role, whole in question.turns:
            ends = dataset.turn_ends(row.rows[place])
            base = text.starts[place] + len(text.headers[place])
            base += int(ends[turn - 1]) + 1 if turn else 0
            said = sessions[place].turns[turn]
            if whole:
                last = base + len(write_turn(said))
                first = base + turn_offset(said, 0)
                units.append(Unit(number, place, first, last, role, turn, whole))
                continue
            for start, end in turn_spans(said.text, question.answers, dataset.word_shares):
                first, last = turn_offset(said, start), turn_offset(said, end)
                units.append(Unit(number, place, base + first, base + last, role, turn))
    return tuple(units)
