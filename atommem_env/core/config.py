"""The arguments of an environment: what they are called, their defaults, what they mean, and which values they take.

:class:`EnvConfig` is read by ``gym.make``, by the command line, by a run's record, by wrappers and by the
documentation. An environment with more arguments extends it.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from atommem_env.core.checks import at_least, between, one_of, positive_or_none
from atommem_env.core.memory import OVERFLOWS
from atommem_env.core.operations import KINDS, MAX_K
from atommem_env.core.rules import Rules

if TYPE_CHECKING:
    from typing_extensions import Self

Check = Callable[[str, Any], Any]
"""Takes an argument's name and a value; returns the value as it is kept, or raises a ``ValueError``."""

RENDER_MODES: Final = (None, "ansi", "human")
REQUIRED: Final = dataclasses.MISSING
"""The default of an argument that has none."""

_YES: Final = ("true", "yes", "on")
_NO: Final = ("false", "no", "off")
_NONE: Final = ("none", "null")


# --- kinds of values ----------------------------------------------------------------------------------


def flag(name: str, value: Any) -> bool:
    """Return a bool: true, yes, on, false, no and off (in any case) are words for one.

    Raises:
        ValueError: when ``value`` is anything else.
    """
    word = value.lower() if isinstance(value, str) else value
    if type(value).__name__ in ("bool", "bool_") or word in (*_YES, *_NO):
        return word in _YES if isinstance(word, str) else bool(word)
    raise ValueError(f"{name}={value!r}: expected True or False (yes and no will do)")


def whole(low: int, high: int | None = None) -> Check:
    """Return the check of an int from ``low`` (to ``high``)."""

    def check(name: str, value: Any) -> int:
        return at_least(name, value, low) if high is None else between(name, value, low, high)

    return check


def share(name: str, value: Any) -> float:
    """Return a float from 0 to 1.

    Raises:
        ValueError: when ``value`` is anything else.
    """
    number = value if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan
    if not 0 <= number <= 1:
        raise ValueError(f"{name}={value!r}: expected a number from 0 to 1")
    return float(number)


def text(name: str, value: Any) -> str:
    """Return a str.

    Raises:
        ValueError: when ``value`` is anything else.
    """
    if not isinstance(value, str):
        raise ValueError(f"{name}={value!r}: expected a text")
    return value


def choice(*choices: Any) -> Check:
    """Return the check of one among ``choices``."""

    def check(name: str, value: Any) -> Any:
        value = None if None in choices and value in _NONE else value
        return one_of(name, value, choices)

    return check


def optional(check: Check) -> Check:
    """Return ``check``, or ``None``, for which none and null are words."""

    def check_or_none(name: str, value: Any) -> Any:
        is_none = value is None or (isinstance(value, str) and value.lower() in _NONE)
        return None if is_none else check(name, value)

    return check_or_none


limit: Final = optional(positive_or_none)
"""The check of a bound: an int from 1, or ``None`` for no bound."""


def pair(low: int, high: int) -> Check:
    """Return the check of an ascending pair of ints from ``low`` to ``high``; an int stands for a pair of it."""

    def check(name: str, value: Any) -> tuple[int, int]:
        both = value if isinstance(value, (tuple, list)) else (value, value)
        try:
            first, second = (between(name, number, low, high) for number in both)
            if first <= second:
                return first, second
        except ValueError:
            pass
        raise ValueError(
            f"{name}={value!r}: expected an int from {low} to {high}, or a pair (low, high) of these such as "
            f"({low}, {high})"
        )

    return check


def subset(choices: Sequence[str]) -> Check:
    """Return the check of a list of some of ``choices``; it is kept as a tuple in their order."""

    def check(name: str, value: Any) -> tuple[str, ...]:
        given = list(value) if isinstance(value, (tuple, list)) else []
        unknown = [item for item in given if item not in choices] if given else [value]
        if unknown:
            raise ValueError(
                f"{name}={value!r}: {unknown} is not among {tuple(choices)}; pass a list of these"
            )
        return tuple(item for item in choices if item in given)

    return check


def anything(name: str, value: Any) -> Any:
    """Return ``value``: what it names is found out where it is used."""
    return None if isinstance(value, str) and value.lower() in _NONE else value


def option(default: Any = REQUIRED, *, check: Check, help: str) -> Any:
    """Return the field of a configuration: an argument's default, the check of its values, and what it means."""
    return dataclasses.field(default=default, metadata={"check": check, "help": help})


def _tokens_alone(name: str, value: Any) -> str:
    if value != "tokens":
        raise ValueError(
            f"{name}={value!r}: the documents of a pooled task are read in chunks of so many tokens; pass 'tokens' (a "
            "document a chunk is for histories), or a small chunk_tokens"
        )
    return "tokens"


def _operations(name: str, value: Any) -> tuple[str, ...]:
    operations = tuple(subset(KINDS)(name, value))
    if "answer" not in operations:
        raise ValueError(f"{name}={value!r}: 'answer' cannot be removed, add it")
    return operations


# --- the configuration --------------------------------------------------------------------------------


class Argument(NamedTuple):
    """An argument of an environment.

    Attributes:
        name: its name.
        default: its default, or :data:`REQUIRED`.
        help: what it means, on one line.
        check: returns a value as it is kept, or raises a ``ValueError``.
    """

    name: str
    default: Any
    help: str = ""
    check: Check = anything


@dataclass(frozen=True, kw_only=True)
class EnvConfig:
    """The arguments of every environment, checked; each field's metadata has its ``help`` and its ``check``.

    Raises:
        ValueError: when a value is out of range, or two of them do not go together.
    """

    num_docs: int = option(200, check=whole(1), help="documents in a task.")
    num_questions: tuple[int, int] = option(
        (1, 10),
        check=pair(1, 10),
        help="questions in a task: an int from 1 to 10, or (low, high): low with probability 0.5, the others share "
        "0.5 evenly.",
    )
    chunk_tokens: int = option(
        4096, check=whole(1), help="the largest number of tokens of a chunk, overlap included."
    )
    chunk_overlap: int = option(
        100, check=whole(0), help="how many tokens of a chunk the one before showed already."
    )
    chunk_by: str = option(
        "tokens",
        check=_tokens_alone,
        help="'tokens': a chunk is so many tokens; histories have another choice.",
    )
    tokenizer: Any = option(
        None,
        check=anything,
        help="None for the built-in counter, a Hugging Face tokenizer's name or path, 'module:name', an instance or a "
        "factory.",
    )
    retriever: Any = option(
        "bm25",
        check=anything,
        help="'bm25', 'dense', 'hybrid', 'random', 'module:name', an instance or a factory.",
    )
    encoder: Any = option(None, check=anything, help="what a dense retriever embeds with.")
    fusion_weights: Sequence[float] | None = option(
        None, check=anything, help="the weights of a hybrid retriever's parts."
    )
    top_k: int = option(
        6, check=whole(1, MAX_K), help="the number of entries that a Read without k asks for."
    )
    capacity: int | None = option(None, check=limit, help="the largest number of entries, or None.")
    overflow: str = option("refuse", check=choice(*OVERFLOWS), help="'refuse' or 'evict_oldest'.")
    entry_tokens: int | None = option(
        None, check=limit, help="the largest number of tokens of an entry, or None."
    )
    scratchpad_tokens: int | None = option(
        1024, check=limit, help="the largest number of tokens of the scratchpad, or None."
    )
    query_tokens: int | None = option(
        1024, check=limit, help="the largest number of tokens of a Read's query, or None."
    )
    operations: tuple[str, ...] = option(
        KINDS,
        check=_operations,
        help="the kinds of operations allowed on stored entries, and 'answer'.",
    )
    scratchpad: bool = option(True, check=flag, help="whether the scratchpad may be written.")
    storage: bool = option(True, check=flag, help="whether there is a store besides the scratchpad.")
    max_looks: int = option(3, check=whole(0), help="the looks that a position allows.")
    max_steps: int | None = option(
        None, check=limit, help="the number of steps after which an episode is truncated, or None."
    )
    early_answer: bool = option(
        False, check=flag, help="whether an Answer while reading answers question 0 and ends reading."
    )
    reward: Any = option(
        "em",
        check=anything,
        help="'em', 'f1', 'cover_em', 'official' (the benchmark's own score), 'module:function' or a function of "
        "(prediction, answers).",
    )
    reward_timing: str = option(
        "terminal", check=choice("terminal", "immediate"), help="'terminal' or 'immediate'."
    )
    questions_shown: str = option(
        "always",
        check=choice("always", "when_asked"),
        help="'always', or 'when_asked': no question is shown while reading.",
    )
    isolate_questions: bool = option(
        False,
        check=flag,
        help="whether every question starts from the memory as it was when reading ended.",
    )
    render_mode: str | None = option(None, check=choice(*RENDER_MODES), help="None, 'ansi' or 'human'.")

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = field.metadata["check"](field.name, getattr(self, field.name))
            object.__setattr__(self, field.name, value)
        if self.chunk_overlap >= self.chunk_tokens:
            raise ValueError(
                f"chunk_overlap={self.chunk_overlap}: expected less than chunk_tokens={self.chunk_tokens}, so that "
                "every chunk shows something new"
            )
        if self.early_answer and self.questions_shown == "when_asked":
            raise ValueError(
                "early_answer=True with questions_shown='when_asked': no question is known while reading; leave one "
                "of the two out"
            )

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> Self:
        """Return the configuration that ``arguments`` make.

        Raises:
            TypeError: when one is unknown or missing; names the nearest.
            ValueError: when a value is out of range.
        """
        known = cls.arguments()
        for name in arguments:
            if name not in known:
                raise TypeError(
                    f"unknown argument {name!r}{close_match(name, known)}; the arguments are {', '.join(known)}"
                )
        return cls(**arguments)

    @classmethod
    def arguments(cls) -> dict[str, Argument]:
        """Return the arguments by name, in the order in which they are listed."""
        return {
            field.name: Argument(field.name, field.default, field.metadata["help"], field.metadata["check"])
            for field in dataclasses.fields(cls)
        }

    def as_dict(self) -> dict[str, Any]:
        """Return the values by name."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    @property
    def rules(self) -> Rules:
        """What an agent may know of it."""
        return Rules(
            **{
                field.name: getattr(self, field.name)
                for field in dataclasses.fields(Rules)
                if field.name not in ("abstain", "stream")  # a task says these
            }
        )


@dataclass(frozen=True, kw_only=True)
class BenchmarkConfig(EnvConfig):
    """The arguments of an environment over a benchmark."""

    split: str = option("validation", check=text, help="'train', 'validation' or 'test'.")
    source: Any = option(
        "auto",
        check=anything,
        help="'auto', 'hub', 'generated', the path of an official file or folder, or a QADataset.",
    )


BY_SUBSET: Final = "by-subset"
"""As a reward: the benchmark's own score where no chosen question needs a judge, else F1."""


def any_number(name: str, value: Any) -> int | tuple[int, int]:
    """Return an int from 1, or an ascending pair of these.

    Raises:
        ValueError: when ``value`` is anything else.
    """
    both = value if isinstance(value, (tuple, list)) else (value, value)
    try:
        first, second = (at_least(name, number, 1) for number in both)
        if first <= second:
            return first if first == second else (first, second)
    except (TypeError, ValueError):
        pass
    raise ValueError(
        f"{name}={value!r}: expected an int from 1, a pair (low, high) of these, or None for all of a history's"
    )


def _no_documents(name: str, value: Any) -> None:
    if value is not None:
        raise ValueError(f"{name}={value!r}: a history is read whole; leave {name} out")


@dataclass(frozen=True, kw_only=True)
class HistoryConfig(BenchmarkConfig):
    """The arguments of an environment over histories, whose defaults are their authors' way of evaluation."""

    num_docs: Any = option(None, check=_no_documents, help="not for histories, which are read whole.")
    num_questions: Any = option(
        None,
        check=optional(any_number),
        help="questions in a task: None for all of a history's, an int from 1, or (low, high): low with probability "
        "0.5, the others share 0.5 evenly.",
    )
    chunk_overlap: int = option(
        0, check=whole(0), help="how many tokens of a chunk the one before showed already."
    )
    chunk_by: str = option(
        "document",
        check=choice("document", "tokens"),
        help="'document': a session is a chunk, and a longer one is cut between turns; 'tokens': so many tokens are.",
    )
    questions_shown: str = option(
        "when_asked",
        check=choice("always", "when_asked"),
        help="'always', or 'when_asked': no question is shown while reading.",
    )
    isolate_questions: bool = option(
        True,
        check=flag,
        help="whether every question starts from the memory as it was when reading ended.",
    )
    reward: Any = option(
        "f1",
        check=anything,
        help="'em', 'f1', 'cover_em', 'official' (the benchmark's own score), 'module:function' or a function of "
        "(prediction, answers).",
    )
    split: str = option(
        "test",
        check=text,
        help="'test', which is all; for training 'train' or 'validation', a tenth of the histories each.",
    )


def no_early_answer(stream: bool, early_answer: bool) -> None:
    """Refuse an early answer in a stream.

    Raises:
        ValueError: when both are asked for.
    """
    if stream and early_answer:
        raise ValueError(
            "early_answer=True with stream=True: questions are asked between chunks, so that there is no end of "
            "reading to bring forward; leave one of the two out"
        )


def close_match(word: str, known: Iterable[str]) -> str:
    """Return ``" (did you mean 'x'?)"`` for the nearest of ``known``, or ``""`` when none is near."""
    by_lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), list(by_lower), n=1, cutoff=0.5)
    return f" (did you mean {by_lower[near[0]]!r}?)" if near else ""
