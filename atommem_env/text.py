"""What a word, a token and a sentence are: the text functions that everything else shares."""

from __future__ import annotations

import functools
import hashlib
import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from atommem_env.core.resolve import is_reference, resolve

# Han, kana, hangul syllables and bopomofo: scripts (or uses of them) without spaces, where one
# character is one word.
_CJK = (
    "\u2e80-\u2fdf\u3040-\u30ff\u3100-\u312f\u31a0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
    "\uf900-\ufaff\U00020000-\U0003ffff"
)
# What is not an ASCII letter, digit or underscore becomes a space: twice as fast to split as a pattern to match.
_ASCII_WORDS = bytes(
    ord(sign.lower()) if sign.isascii() and (sign.isalnum() or sign == "_") else 32
    for sign in map(chr, range(256))
)
_WORDS = bytes(sign if sign > 127 else _ASCII_WORDS[sign] for sign in range(256))
_ASCII = bytes(range(128))
_FEW_OTHERS = 32
_FIRST_CJK = "\u2e80"
# Every letter as an "a": what is left besides, and is not white space, is a token a sign.
_ASCII_LETTERS = bytes(97 if chr(sign).isascii() and chr(sign).isalpha() else 32 for sign in range(256))
_ASCII_UNCOUNTED = bytes(sign for sign in range(128) if chr(sign).isalpha() or chr(sign).isspace())
# The end of a run of so many letters, each of which begins another piece.
_ASCII_RUNS = tuple(b"a" * letters + b" " for letters in (9, 17, 25))
_IS_CJK = re.compile(f"[{_CJK}]").match
_WORD = re.compile(rf"[{_CJK}]|[^\W{_CJK}]+")
_PIECE = re.compile(rf"[{_CJK}]|[^\W\d_{_CJK}]{{1,8}}|\d|[^\w\s]|_")
_SPACE, _LETTER, _SIGN = 0, 1, 2
_PLANE = 1 << 16  # signs
_SHORT_TEXT = 300  # characters; in a shorter one pieces are found faster one by one
_LONG_TEXT = 4096  # characters; longer texts are not remembered
_PILE = re.compile(r"[^\w\s]{31,}")  # a combining mark is neither
_PILES_MATTER = 1024  # characters; in a shorter text they take no time
_FEW_MARKS = 30
_BELOW_MARKS = bytes(range(0xCC))  # no combining mark begins with such a byte in UTF-8
_SURROGATE = re.compile("[\ud800-\udfff]")


def clean(text: str) -> str:
    """Return ``text`` with lone surrogates replaced by U+FFFD, so that it can be encoded as UTF-8."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def digest(*parts: object) -> bytes:
    """Return 16 bytes that depend on ``parts`` (str, int, bytes or None) alone: the seed of everything."""
    pieces: list[bytes] = []
    for part in parts:
        data = part if isinstance(part, bytes) else repr(part).encode("utf-8", "backslashreplace")
        pieces += (len(data).to_bytes(8, "little"), data)
    return hashlib.blake2b(b"".join(pieces), digest_size=16).digest()


def tokens(text: str) -> list[str]:
    r"""Split ``text`` into search tokens.

    NFKC, then casefold, then runs of ``\w``; a CJK character is a separate token; no stemming and no
    stop words. Retrieval, evidence matching and overlap measures all use this one function; the latest texts
    are remembered, since each of them splits what an action writes.
    """
    return _split(text) if len(text) > _LONG_TEXT else list(_recently_split(text))


def distinct_tokens(text: str) -> set[str]:
    """Return the :func:`tokens` of a text that nothing else splits soon."""
    return set(_split(text))


def _split(text: str) -> list[str]:
    if text.isascii():
        return text.encode().translate(_ASCII_WORDS).decode().split()
    text = unicodedata.normalize("NFKC", _without_piles(text)).casefold()
    data = text.encode("utf-8", "surrogatepass")
    others = set(data.translate(None, _ASCII).decode("utf-8", "surrogatepass"))
    if len(others) > _FEW_OTHERS or any(sign >= _FIRST_CJK for sign in others):
        return _WORD.findall(text)
    # Few signs besides ASCII, and no character that is a word: once what is in no word is a space, words split faster.
    for sign in others:
        if not sign.isalnum():
            data = data.replace(sign.encode("utf-8", "surrogatepass"), b" ")
    return data.translate(_WORDS).decode("utf-8", "surrogatepass").split()


def _without_piles(text: str) -> str:
    """Return ``text`` with a joiner after every 30th mark in a row, as Unicode's stream-safe format has it.

    Normalisation orders the marks of a letter by comparing them, which takes time quadratic in their number.
    """
    if len(text) <= _PILES_MATTER:
        return text
    if len(text.encode("utf-8", "surrogatepass").translate(None, _BELOW_MARKS)) <= _FEW_MARKS:
        return text
    return _PILE.sub(lambda pile: "\u034f".join(_in_thirties(pile[0])), text)


def _in_thirties(signs: str) -> list[str]:
    if not any(map(unicodedata.combining, signs)):
        return [signs]
    return [signs[start : start + 30] for start in range(0, len(signs), 30)]


_recently_split = functools.lru_cache(maxsize=64)(_split)


def word_spans(text: str) -> list[tuple[int, int]]:
    """Return the ``(start, end)`` character spans of the words of ``text``, a CJK character being one."""
    return [match.span() for match in _WORD.finditer(text)]


# --- sentences --------------------------------------------------------------------------------------

_ABBREVIATIONS = frozenset(
    "mr mrs ms dr prof st sr jr vs etc inc ltd co corp no vol pp op fig gen col lt sgt capt rev hon mt ft approx "
    "est ca cf al dept univ jan feb mar apr jun jul aug sep sept oct nov dec e.g i.e u.s u.k a.m p.m".split()
)
_NOT_SPACE = re.compile(r"\S")
# Neither alternative can match in two ways, so that a text without an end of a sentence is passed over once.
_STOP = re.compile(r"([.!?。！？]+)[\"'”’)\]]*|\n+")
_FULL_STOPS = "。！？"  # they end a sentence without a space behind them


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Return the ``(start, end)`` character spans of the sentences of ``text``, white space stripped.

    A full stop after an abbreviation, an initial or before a lower-case letter does not end a sentence; a
    line break does.
    """
    spans: list[tuple[int, int]] = []
    start = 0
    for stop in _STOP.finditer(text):
        end = stop.end()
        signs = stop[1]
        if signs and end < len(text) and not text[end].isspace():
            for place, sign in enumerate(signs, start=stop.start() + 1):
                if sign in _FULL_STOPS:
                    _append_span(spans, text, start, place)
                    start = place
            continue
        if signs and signs[0] == "." and end < len(text):
            before = stop.start()
            near = max(start, before - 12)  # no abbreviation is longer
            word = text[
                max(near, text.rfind(" ", near, before) + 1, text.rfind("(", near, before) + 1) : before
            ]
            following = _NOT_SPACE.search(text, end)
            lower = following is not None and following.group().islower()
            inside = lower or word.lower() in _ABBREVIATIONS or (len(word) == 1 and word.isupper())
            if inside and text[end - 1] not in _FULL_STOPS:
                continue
        _append_span(spans, text, start, end)
        start = end
    _append_span(spans, text, start, len(text))
    return spans


def _append_span(spans: list[tuple[int, int]], text: str, start: int, end: int) -> None:
    piece = text[start:end]
    left = len(piece) - len(piece.lstrip())
    if left < len(piece):
        spans.append((start + left, start + len(piece.rstrip())))


def sentences(text: str) -> list[str]:
    """Return the sentences of ``text`` (see :func:`sentence_spans`)."""
    return [text[start:end] for start, end in sentence_spans(text)]


# --- counting tokens --------------------------------------------------------------------------------


@runtime_checkable
class Tokenizer(Protocol):
    """What measures text in tokens: the sizes of chunks and of memory contents."""

    name: str

    def starts(self, text: str) -> npt.NDArray[np.int32]:
        """Return the character offset at which each token of ``text`` starts, ascending."""
        ...

    def count(self, text: str) -> int:
        """Return the number of tokens of ``text``."""
        ...


def _starts_one_by_one(text: str) -> npt.NDArray[np.int32]:
    return np.fromiter(map(re.Match.start, _PIECE.finditer(text)), dtype=np.int32)


@functools.lru_cache(maxsize=4096)
def _like(sign: str) -> str:
    """Return a character of ASCII that is as much of a token as ``sign``."""
    if sign.isspace():
        return " "
    return "a" if sign.isalnum() and not sign.isdecimal() and not _IS_CJK(sign) else "."


@functools.cache
def _kinds_of_signs() -> npt.NDArray[np.uint8]:
    """Return what each sign of Unicode's first plane is to a piece: white space, a letter, or a piece of its own."""
    signs = "".join(map(chr, range(_PLANE)))
    kinds = np.full(_PLANE, _SIGN, np.uint8)
    for pattern, kind in ((r"\s+", _SPACE), (rf"[^\W\d_{_CJK}]+", _LETTER)):
        for run in re.finditer(pattern, signs):
            kinds[run.start() : run.end()] = kind
    return kinds


class PieceTokenizer:
    """The default tokenizer: pieces of at most eight letters, single digits, single signs.

    It needs no download and counts like a byte-pair vocabulary does on English text (about 140 tokens for a
    paragraph of HotpotQA). A token never spans white space, so counts of parts add up over line breaks.
    """

    name = "pieces"

    def starts(self, text: str) -> npt.NDArray[np.int32]:
        """Return the character offset at which each token of ``text`` starts, ascending."""
        if len(text) < _SHORT_TEXT:
            return _starts_one_by_one(text)
        signs = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
        if signs.max() >= _PLANE:
            return _starts_one_by_one(text)
        kinds = _kinds_of_signs()[signs]
        letters = kinds == _LETTER
        places = np.arange(len(kinds), dtype=np.int32)
        before = np.maximum.accumulate(np.where(letters, np.int32(-1), places))
        # Of a run of letters every eighth begins a piece, counted from the sign before the run.
        found: npt.NDArray[np.int32] = places[np.where(letters, (places - before) & 7 == 1, kinds == _SIGN)]
        return found

    def starts_of_each(self, texts: Sequence[str]) -> list[npt.NDArray[np.int32]]:
        """Return :meth:`starts` of each text, found together: many short texts take as long as one long one."""
        starts = self.starts("\n".join(texts))
        firsts = np.cumsum([0, *(len(text) + 1 for text in texts)], dtype=np.int32)[:-1]
        parts = np.split(starts, np.searchsorted(starts, firsts[1:]))
        return [part - first for part, first in zip(parts, firsts, strict=True)] if texts else []

    def count(self, text: str) -> int:
        """Return the number of tokens of ``text``."""
        if not text.isascii():
            others = set(
                text.encode("utf-8", "surrogatepass").translate(None, _ASCII).decode("utf-8", "surrogatepass")
            )
            if len(others) > _FEW_OTHERS:
                return len(_PIECE.findall(text))
            for sign in others:
                text = text.replace(sign, _like(sign))
        data = text.encode()
        letters = b" " + data.translate(_ASCII_LETTERS) + b" "
        pieces = len(data.translate(None, _ASCII_UNCOUNTED)) + letters.count(b" a")
        for run in _ASCII_RUNS:
            found = letters.count(run)
            if not found:
                return pieces
            pieces += found
        return pieces + sum([(len(word) - 25) >> 3 for word in letters.split() if len(word) > 32])


class HuggingFaceTokenizer:
    """Counts with a fast tokenizer of the ``transformers`` library, without special tokens.

    Args:
        name: a name on the hub, or the path of a folder or ``tokenizer.json``.
        encode: what turns a text into its tokens' character offsets.
    """

    def __init__(self, name: str, encode: Callable[[str], list[tuple[int, int]]]) -> None:
        self.name = name
        self._encode = encode

    def starts(self, text: str) -> npt.NDArray[np.int32]:
        """Return the character offset at which each token of ``text`` starts, ascending."""
        return np.fromiter((start for start, _ in self._encode(text)), dtype=np.int32)

    def count(self, text: str) -> int:
        """Return the number of tokens of ``text``."""
        return len(self._encode(text))

    def __reduce__(self) -> tuple[Callable[[str], HuggingFaceTokenizer], tuple[str]]:
        return hugging_face_tokenizer, (self.name,)

    def __deepcopy__(self, memo: dict[int, object]) -> HuggingFaceTokenizer:
        return self


@functools.lru_cache(maxsize=8)
def hugging_face_tokenizer(name: str) -> HuggingFaceTokenizer:
    """Load a Hugging Face tokenizer by ``name`` (hub name, folder, or path of a ``tokenizer.json``).

    Raises:
        ImportError: when the ``tokenizers`` library is missing; names the pip command.
        ValueError: when there is no such tokenizer; names what was tried.
    """
    import os

    try:
        import tokenizers
    except ImportError as error:
        raise ImportError(
            f"tokenizer={name!r} needs the tokenizers library: pip install 'atommem_env[tokenizers]'"
        ) from error
    path = os.path.join(name, "tokenizer.json") if os.path.isdir(name) else name
    try:
        if os.path.isfile(path):
            tokenizer = tokenizers.Tokenizer.from_file(path)
        else:
            tokenizer = tokenizers.Tokenizer.from_pretrained(name)
    except Exception as error:
        raise ValueError(
            f"tokenizer={name!r}: no fast Hugging Face tokenizer could be loaded from a file, a folder or the "
            f"hub ({error}). Give a hub name such as 'Qwen/Qwen3-8B', the folder of one, or None for the "
            "built-in counter."
        ) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return HuggingFaceTokenizer(
        name, lambda text: list(tokenizer.encode(text, add_special_tokens=False).offsets)
    )


def make_tokenizer(spec: str | Tokenizer | Callable[[], Tokenizer] | None) -> Tokenizer:
    """Return the tokenizer that an environment's ``tokenizer`` argument names.

    Args:
        spec: ``None`` for :class:`PieceTokenizer`; ``"module:name"``; a Hugging Face tokenizer's name or path;
            an instance; or a factory, called without arguments.

    Raises:
        ImportError: when a Hugging Face tokenizer is asked for and the library is missing.
        ValueError: when ``spec`` names none, or the object lacks ``starts`` and ``count``.
    """
    if spec is None:
        return PieceTokenizer()
    found: object = spec
    if isinstance(spec, str):
        if not is_reference(spec):
            return hugging_face_tokenizer(spec)
        found = resolve(spec)
    if callable(found) and (isinstance(found, type) or not isinstance(found, Tokenizer)):
        found = found()
    if not isinstance(found, Tokenizer):
        raise ValueError(
            f"tokenizer={spec!r}: expected an object with a name, starts(text) and count(text), got "
            f"{type(found).__name__}"
        )
    return found
