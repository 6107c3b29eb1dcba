"""What a token, a sentence and a count of tokens are."""

from __future__ import annotations

import itertools
import subprocess
import sys
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atommem_env import text as text_module
from atommem_env.text import (
    PieceTokenizer,
    Tokenizer,
    clean,
    digest,
    make_tokenizer,
    sentence_spans,
    sentences,
    tokens,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The Beatles' 1969 LP", ["the", "beatles", "1969", "lp"]),
        ("ＦＵＬＬ　width ﬁsh", ["full", "width", "fish"]),
        ("Straße ΣΊΣΥΦΟΣ", ["strasse", "σίσυφοσ"]),
        ("東京タワー1958", ["東", "京", "タ", "ワ", "ー", "1958"]),
        ("snake_case x-y", ["snake_case", "x", "y"]),
        ("?! ...", []),
    ],
)
def test_tokens(text: str, expected: list[str]) -> None:
    assert tokens(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("Dr. Vale met J. K. Brekke. He left.", ["Dr. Vale met J. K. Brekke.", "He left."]),
        ("It weighs 3.5 kg. Then e.g. this.", ["It weighs 3.5 kg.", "Then e.g. this."]),
        ('"Stop." She ran.', ['"Stop."', "She ran."]),
        ("a line\nanother line\n\nthird", ["a line", "another line", "third"]),
        ("東京は首都。川がある。", ["東京は首都。", "川がある。"]),
        ("  \n ", []),
        ("no stop", ["no stop"]),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@given(st.text(max_size=200))
def test_sentences_leave_nothing_out_and_do_not_overlap(text: str) -> None:
    spans = sentence_spans(text)
    assert all(left[1] <= right[0] for left, right in itertools.pairwise(spans))
    assert "".join("".join(text[a:b] for a, b in spans).split()) == "".join(text.split())
    assert all(text[a:b] == text[a:b].strip() != "" for a, b in spans)


@given(st.text(max_size=200))
def test_tokens_start_where_they_say_and_never_span_white_space(text: str) -> None:
    tokenizer = PieceTokenizer()
    starts = tokenizer.starts(text)
    assert len(starts) == tokenizer.count(text)
    assert (np.diff(starts) > 0).all()
    pieces = [text[a:b] for a, b in zip(starts, [*starts.tolist(), len(text)][1:], strict=True)]
    assert all(len(piece.split()) == 1 for piece in pieces)


@given(st.text(max_size=80), st.text(max_size=80))
def test_counts_add_up_over_line_breaks_and_token_borders(left: str, right: str) -> None:
    tokenizer = PieceTokenizer()
    assert tokenizer.count(f"{left}\n{right}") == tokenizer.count(left) + tokenizer.count(right)
    starts = tokenizer.starts(left)
    for cut in starts.tolist():
        assert tokenizer.count(left[:cut]) + tokenizer.count(left[cut:]) == len(starts)


def test_lone_surrogates_are_replaced() -> None:
    assert clean("a\ud800b\udfff") == "a\ufffdb\ufffd"
    assert clean("é😀") == "é😀"


def test_a_digest_depends_on_its_parts_alone() -> None:
    assert digest("a", "b") != digest("ab") != digest(b"ab")
    assert digest(1) != digest("1")
    script = "from atommem_env.text import digest; print(digest('x', 3, None, b'y').hex())"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == digest("x", 3, None, b"y").hex()


class Letters:
    """Counts letters: a user's own tokenizer."""

    name = "letters"

    def starts(self, text: str) -> np.ndarray:
        return np.arange(len(text), dtype=np.int32)

    def count(self, text: str) -> int:
        return len(text)


def test_a_tokenizer_is_a_name_an_instance_or_a_factory() -> None:
    assert isinstance(make_tokenizer(None), PieceTokenizer)
    for spec in (Letters, Letters(), lambda: Letters(), "atommem_env.text:PieceTokenizer"):
        made = make_tokenizer(spec)
        assert isinstance(made, Tokenizer)
        assert made.count("") == 0
    with pytest.raises(ValueError, match="tokenizer=3"):
        make_tokenizer(3)  # type: ignore[arg-type]


@pytest.mark.heavy
def test_a_hugging_face_tokenizer_counts_and_says_where_tokens_start(tmp_path: object) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({"red": 0, "stone": 1, "[UNK]": 2}, unk_token="[UNK]")
    )
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    path = f"{tmp_path}/tokenizer.json"
    tokenizer.save(path)
    for spec in (path, str(tmp_path)):
        made = make_tokenizer(spec)
        assert made.count("red stone, red") == 4
        assert made.starts("red stone, red").tolist() == [0, 4, 9, 11]
    with pytest.raises(ValueError, match="no fast Hugging Face tokenizer"):
        make_tokenizer(f"{tmp_path}/nowhere")


@given(st.lists(st.text(max_size=40) | st.text("ab1_. \n\u3000é水\U00020000", max_size=40), max_size=12))
def test_pieces_found_together_are_those_found_one_by_one(texts: list[str]) -> None:
    tokenizer = PieceTokenizer()
    reference = [[match.start() for match in text_module._PIECE.finditer(text)] for text in texts]
    assert [starts.tolist() for starts in tokenizer.starts_of_each(texts)] == reference
    for text in ("".join(texts * 20), " ".join(texts) * 20):
        found = [match.start() for match in text_module._PIECE.finditer(text)]
        assert tokenizer.starts(text).tolist() == found
        assert tokenizer.starts(text).dtype == np.int32


@given(st.text(st.characters(max_codepoint=127), max_size=200))
def test_counting_ascii_equals_listing_it(text: str) -> None:
    tokenizer = PieceTokenizer()
    assert tokenizer.count(text) == len(tokenizer.starts(text))


@given(st.text("aZ ", max_size=200), st.integers(0, 80))
def test_counting_runs_of_letters_equals_listing_them(text: str, run: int) -> None:
    tokenizer = PieceTokenizer()
    long = text + "b" * run
    assert tokenizer.count(long) == len(tokenizer.starts(long))


@pytest.mark.parametrize(
    "text",
    [
        "caf\u00e9 \u2013 na\u00efve\u2019s",
        "\u0661\u0662 \u4e2d\u6587 x",
        "a\u0301b\u2028c\x1cd",
        "\ud800x \ufb01t",
    ],
)
@given(st.data())
def test_texts_with_few_other_signs_are_split_and_counted_as_by_the_patterns(
    text: str, data: st.DataObject
) -> None:
    text += data.draw(st.text(max_size=40)) + text
    folded = unicodedata.normalize("NFKC", text).casefold()
    assert tokens(text) == text_module._WORD.findall(folded)
    assert PieceTokenizer().count(text) == len(text_module._PIECE.findall(text))
