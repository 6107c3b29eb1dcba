"""MemoryAgentBench: a long text and questions about it; of two facts that differ the later holds."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from atommem_env.core.config import BY_SUBSET, HistoryConfig, anything, choice, option
from atommem_env.data.benchmark import Benchmark
from atommem_env.data.dates import iso_date
from atommem_env.data.histories import History, HistoryQuestion
from atommem_env.data.records import SUPERSEDED, Session, TurnEvidence
from atommem_env.data.rows import (
    as_label,
    as_list,
    as_mapping,
    as_text,
    distinct,
    require,
    text_field,
    wrong,
)
from atommem_env.env import HistoryEnv
from atommem_env.evidence import STOP_WORDS
from atommem_env.tasks.turns import Turn
from atommem_env.text import PieceTokenizer, digest, sentences, tokens

SUBSETS: Final = (
    "conflict_resolution",
    "accurate_retrieval",
    "test_time_learning",
    "long_range_understanding",
)
"""The benchmark's four parts, each a file."""

HOPS: Final = ("single", "multi")
LENGTHS: Final = ("6k", "32k", "64k", "262k")
"""How long a list of facts is, as its source says."""

RECOMMENDATION: Final = "redial"
"""What stands in the type of questions that ask for films to recommend."""

_FACT = re.compile(r"(\d{1,9})\. ?(.*)")
_SOURCE = re.compile(r"factconsolidation_(sh|mh)_(\w+)")
_BLANK_LINES = re.compile(r"\n[ \t]*\n\s*")
_LONGEST_TURN: Final = 2048  # tokens of a paragraph that is one turn; half of the usual chunk


# --- facts ------------------------------------------------------------------------------------------


class Fact(NamedTuple):
    """A numbered fact, without its number and its last full stop.

    Attributes:
        turn: the number of its turn in the list.
        text: what it says.
    """

    turn: int
    text: str

    def words(self) -> frozenset[str]:
        """Return its words without stop words."""
        return frozenset(tokens(self.text)) - STOP_WORDS


class FactEvidence(NamedTuple):
    """What a list of facts says of a question.

    Attributes:
        units: the fact that answers, and those that it replaces; empty where none is sure.
        conflicted: whether its key is stated with several objects; ``None`` where no fact answers.
    """

    units: tuple[TurnEvidence, ...]
    conflicted: bool | None


class Facts:
    """The facts of a list, looked up by how they begin and end.

    Args:
        facts: the facts, the oldest first.
    """

    def __init__(self, facts: Sequence[Fact]) -> None:
        self._ending: dict[str, list[Fact]] = {}
        self._by_start: dict[str, list[Fact]] = {}
        for fact in facts:
            words = fact.text.split(" ")
            for place in range(len(words)):
                self._ending.setdefault(" ".join(words[place:]).lower(), []).append(fact)
            for place in range(1, len(words)):
                self._by_start.setdefault(" ".join(words[:place]).lower(), []).append(fact)

    def evidence(self, question: str, answers: Sequence[str]) -> FactEvidence:
        """Return the evidence of a question of one hop.

        It is the last fact that ends with an answer, among those that share most words of names with the question.
        Its key is the fact without its object. Earlier facts of the key with another object are superseded; where a
        later one has another, nothing is evidence.
        """
        asked = frozenset(tokens(question)) - STOP_WORDS
        names = _names(question)
        found: list[tuple[int, int, Fact, str]] = []
        for answer in answers:
            plain = " ".join(answer.lower().split())
            for ending in dict.fromkeys((plain, plain.removesuffix("."))):
                found += [
                    (len(fact.words() & names), len(fact.words() & asked), fact, ending)
                    for fact in self._ending.get(ending, ())
                ]
        best = max((name for name, *_ in found), default=0)
        if not best:
            return FactEvidence((), None)
        alike = [candidate for candidate in found if candidate[0] == best]
        most = max(shared for _, shared, *_ in alike)
        _, _, gold, ending = max(
            (candidate for candidate in alike if candidate[1] == most), key=lambda one: one[2].turn
        )
        key = gold.text[: len(gold.text) - len(ending)].rstrip().lower()
        rivals = [
            fact
            for fact in self._by_start.get(key, ())
            if fact.text[len(key) :].strip().lower() != ending and fact.turn != gold.turn
        ]
        if any(fact.turn > gold.turn for fact in rivals):
            return FactEvidence((), True)
        units = [TurnEvidence(0, gold.turn), *(TurnEvidence(0, fact.turn, SUPERSEDED) for fact in rivals)]
        return FactEvidence(tuple(units), bool(rivals))


def _names(question: str) -> frozenset[str]:
    """Return the words of the names in a question: those with a capital or a digit, but for its first word."""
    words = re.findall(r"\w+", question)
    chosen = [word for word in words[1:] if word[0].isupper() or word[0].isdigit()]
    named = frozenset(tokens(" ".join(chosen))) - STOP_WORDS
    return named or frozenset(tokens(question)) - STOP_WORDS


# --- rows -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class MemoryAgentBenchRows:
    """Reads the rows of the benchmark's files; see https://github.com/HUST-AI-HYZ/MemoryAgentBench.

    A row is a text (``context``) with its ``questions``, their ``answers`` and ``metadata``, whose ``source`` says
    which data set it is of. A list of numbered facts becomes one document, a fact a turn; so does any other text, with
    its paragraphs as turns. A question's type is its source, and for the questions of one hop also whether the facts
    that answer it conflict (``factconsolidation_sh_6k_conflicted``).

    Args:
        hop: ``"single"`` or ``"multi"``: of the lists of facts those alone; ``None``: all.
        length: of the lists of facts those of this length alone, such as ``"6k"``; ``None``: all.
    """

    hop: str | None = None
    length: str | None = None

    def __call__(self, row: Mapping[str, Any]) -> History:
        """Turn a row into a history; one that is not asked for has no questions and no text.

        Raises:
            ValueError: when a field is missing or of the wrong form.
        """
        metadata = as_mapping(require(row, "metadata"), "metadata")
        source = text_field(metadata, "source")
        listed = _SOURCE.fullmatch(source)
        if (self.hop or self.length) and not self._wanted(listed):
            return History(source, (), ())
        context = text_field(row, "context")
        asked = _pairs(row)
        if listed is None:
            turns = tuple(Turn("", part, str(number)) for number, part in enumerate(_paragraphs(context)))
            id = f"{source}_{digest(context, *(text for text, _ in asked)).hex()[:8]}"
            return History(id, (Session("", turns),), tuple(_questions(metadata, source, asked)))
        turns = _fact_turns(context)
        questions = tuple(_questions(metadata, source, asked))
        lost = 0
        if listed[1] == "sh":
            facts = Facts(
                [
                    Fact(place, turn.text.partition(". ")[2].strip().removesuffix("."))
                    for place, turn in enumerate(turns)
                    if turn.id
                ]
            )
            known = [facts.evidence(question.question, question.answers) for question in questions]
            questions = tuple(map(_with_evidence, questions, known))
            lost = sum(not evidence.units for evidence in known)
        return History(source, (Session("", turns),), questions, lost, f"factconsolidation_{listed[2]}")

    def _wanted(self, listed: re.Match[str] | None) -> bool:
        if listed is None:
            return False
        hop = {"sh": "single", "mh": "multi"}[listed[1]]
        return self.hop in (None, hop) and self.length in (None, listed[2])


def _with_evidence(question: HistoryQuestion, found: FactEvidence) -> HistoryQuestion:
    if found.conflicted is None:
        return question
    kind = "conflicted" if found.conflicted else "unconflicted"
    return dataclasses.replace(question, evidence=found.units, type=f"{question.type}_{kind}")


def _fact_turns(context: str) -> tuple[Turn, ...]:
    """Return the lines of a list of facts; a fact's id is its number, a line that is none has no id."""
    turns = []
    for line in context.splitlines():
        match = _FACT.fullmatch(line.strip())
        if match or line.strip():
            turns.append(Turn("", line.strip(), match[1] if match else ""))
    if not any(turn.id for turn in turns):
        raise wrong("context", context, "a list of numbered facts, one a line")
    return tuple(turns)


def _pairs(row: Mapping[str, Any]) -> list[tuple[str, tuple[str, ...]]]:
    """Return the questions with their answers."""
    questions, answers = (
        as_list(require(row, "questions"), "questions"),
        as_list(require(row, "answers"), "answers"),
    )
    if len(questions) != len(answers):
        raise ValueError(f"there are {len(questions)} questions and {len(answers)} answers; expected as many")
    pairs = []
    for number, (question, value) in enumerate(zip(questions, answers, strict=True)):
        field = f"answers[{number}]"
        listed = [value] if isinstance(value, str | int) else as_list(value, field)
        gold = distinct(answer for answer in (as_label(item, field) for item in listed) if answer.strip())
        if not gold:
            raise wrong(field, value, "at least one answer that is not blank")
        text = as_text(question, f"questions[{number}]")
        if not text.strip():
            raise wrong(f"questions[{number}]", question, "a text that is not blank")
        pairs.append((text, gold))
    return pairs


def _questions(
    metadata: Mapping[str, Any], source: str, asked: Iterable[tuple[str, tuple[str, ...]]]
) -> Iterator[HistoryQuestion]:
    ids = as_list(metadata.get("qa_pair_ids") or metadata.get("question_ids") or (), "metadata.qa_pair_ids")
    dates = as_list(metadata.get("question_dates") or (), "metadata.question_dates")
    points = tuple(
        as_label(point, "metadata.keypoints")
        for point in as_list(metadata.get("keypoints") or (), "metadata.keypoints")
        if source.startswith("infbench")
    )
    for number, (text, answers) in enumerate(asked):
        date = str(dates[number]) if number < len(dates) and dates[number] else ""
        yield HistoryQuestion(
            question=text,
            answers=answers,
            id=as_label(ids[number], "metadata.qa_pair_ids") if number < len(ids) else "",
            type=source,
            date=date,
            now=iso_date(date) or "",
            rubric=points,
        )


def _paragraphs(text: str) -> Iterator[str]:
    """Yield the paragraphs of a text; of one that is too long its lines, and of a line its sentences, few together."""
    count = PieceTokenizer().count
    for paragraph in _BLANK_LINES.split(text.strip()):
        if count(paragraph) <= _LONGEST_TURN:
            yield paragraph
            continue
        for line in filter(str.strip, paragraph.split("\n")):
            yield from [line] if count(line) <= _LONGEST_TURN else sentences(line)


# --- the environment --------------------------------------------------------------------------------


def lacking(types: Collection[str]) -> str:
    """Return the file that the score of ReDial's questions needs and that is not read: the titles of all films."""
    return "entity2id.json" if any(RECOMMENDATION in type.lower() for type in types) else ""


def _patterns(subset: str) -> tuple[str, ...]:
    return f"{subset}.json", f"*{subset}*.json*"


MEMORYAGENTBENCH = Benchmark(
    name="memoryagentbench",
    title="MemoryAgentBench",
    licence="MIT",
    homepage="https://github.com/HUST-AI-HYZ/MemoryAgentBench",
    citation="Hu et al., Evaluating Memory in LLM Agents via Incremental Multi-Turn Interactions, 2025",
    parse=MemoryAgentBenchRows(),
    hub_id="ai-hyz/MemoryAgentBench",
    hub_revision="7ea066982b140a19337e17e60d45d4076e042faf",
    hub_files={subset: (f"data/{subset.title()}-*.parquet",) for subset in SUBSETS},
    file_patterns={subset: _patterns(subset) for subset in SUBSETS},
    fields=("context", "questions", "answers", "metadata"),
    generated_parts=SUBSETS[:1],
    histories=True,
    variants=SUBSETS,
    part_word="subset",
    lacking=lacking,
)


def memoryagentbench(hop: str | None = None, length: str | None = None) -> Benchmark:
    """Return the benchmark as it is read with these settings; its source says which lists of facts it is of.

    Args:
        hop: see :class:`MemoryAgentBenchRows`.
        length: see there.
    """
    labels = [f"{name}={value}" for name, value in (("hop", hop), ("length", length)) if value]
    return dataclasses.replace(
        MEMORYAGENTBENCH, parse=MemoryAgentBenchRows(hop, length), label=",".join(labels)
    )


@dataclass(frozen=True, kw_only=True)
class MemoryAgentBenchConfig(HistoryConfig):
    """The arguments of :class:`MemoryAgentBenchEnv`."""

    subset: str | None = option(
        None,
        check=choice(*SUBSETS, None),
        help="'conflict_resolution', 'accurate_retrieval', 'test_time_learning' or 'long_range_understanding'; None is "
        "the first, and any for the path of a file.",
    )
    hop: str | None = option(
        None, check=choice(*HOPS, None), help="of the lists of facts 'single' or 'multi' alone; None: all."
    )
    length: str | None = option(
        None,
        check=choice(*LENGTHS, None),
        help="of the lists of facts '6k', '32k', '64k' or '262k' alone; None: all.",
    )

    reward: Any = option(
        BY_SUBSET,
        check=anything,
        help="'by-subset': the benchmark's own score where no question of the subset needs a judge (lists of facts), "
        "else F1; 'em', 'f1', 'cover_em', 'official', 'module:function' or a function of (prediction, answers).",
    )

    @property
    def variant(self) -> str | None:
        """The benchmark's file."""
        return self.subset


class MemoryAgentBenchEnv(HistoryEnv):
    """MemoryAgentBench as a memory decision process.

    ## Description
    Long texts and the questions about each (Hu et al. 2025): lists of numbered facts of which the later holds where two
    differ (conflict resolution, of one hop and of several, with about 6, 32, 64 or 262 thousand tokens), documents and
    chats to find something in (accurate retrieval), examples to learn a task from (test-time learning), and novels
    (long-range understanding). A task is a text, read chunk by chunk, and all its questions, which are not known while
    it is read. Chunks end where facts or paragraphs end.

    ## Action Space, Observation Space, Rewards, Starting State, Episode End, Information
    Those of :class:`atommem_env.MemoryEnv`. The evidence of a question of one hop is the fact that answers it;
    earlier facts that it replaces are superseded evidence. The benchmark names none, and none is given for others.

    ## Arguments
    Args:
        **arguments: the fields of :class:`MemoryAgentBenchConfig`: ``subset``, ``hop``, ``length``, those of every
            history (:class:`~atommem_env.core.config.HistoryConfig`) and of every environment.

    ## References
    https://github.com/HUST-AI-HYZ/MemoryAgentBench; licence MIT.

    ## Version History
    - v0: initial version.
    """

    benchmark = MEMORYAGENTBENCH
    config_class = MemoryAgentBenchConfig

    @classmethod
    def read_as(cls, config: MemoryAgentBenchConfig) -> Benchmark:
        """Return the benchmark as ``config`` has it read."""
        return memoryagentbench(config.hop, config.length)
