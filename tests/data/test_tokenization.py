"""Tokenization: every text keeps its tokens, and the tokenizer is left as it was."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast

from taskbank.data.tokenization import encode, encode_windows, truncate
from taskbank.errors import DataError, InputError
from tests.helpers.backbones import byte_tokenizer, make_tokenizer


def test_pairs_carry_their_token_types_and_are_cut_longest_first() -> None:
    """Both texts of a long pair keep tokens, and the second is of type 1."""
    columns = {"text_a": ["good " * 30], "text_b": ["bad " * 6]}
    found = encode(make_tokenizer(), columns, ("text_a", "text_b"), 16).batch(np.array([0]))
    assert found.lengths.tolist() == [16]
    assert found.token_type_ids.sum() == 7


@pytest.mark.parametrize(("names", "least"), [(("a",), 3), (("a", "b"), 5)])
def test_every_text_keeps_a_token(names: tuple[str, ...], least: int) -> None:
    """A length that would cut a text off whole is refused, with the least that is not."""
    columns = {name: ["good good good"] for name in names}
    assert encode(make_tokenizer(), columns, names, least).lengths.tolist() == [least]
    with pytest.raises(InputError, match=f"needs at least {least}"):
        encode(make_tokenizer(), columns, names, least - 1)


@pytest.mark.parametrize("set_before", [False, True])
def test_encoding_leaves_the_tokenizer_as_it_was(set_before: bool) -> None:
    """What a tokenizer saves, and so its identity, does not depend on what it has encoded."""
    tokenizer = make_tokenizer()
    if set_before:
        tokenizer.backend_tokenizer.enable_truncation(99)
        tokenizer.backend_tokenizer.enable_padding(length=99)
    before = tokenizer.backend_tokenizer.to_str()
    assert encode(tokenizer, {"text": ["good " * 30]}, ("text",), 8).lengths.tolist() == [8]
    assert len(encode_windows(tokenizer, ["good " * 30], 8, 2)[1]) == 7
    assert truncate(tokenizer, ["good " * 30], 2) == ["good good"]
    assert tokenizer.backend_tokenizer.to_str() == before


def test_a_text_without_tokens_is_refused() -> None:
    """An input that the model could not see is named by its row."""
    tokenizer = make_tokenizer()
    tokenizer.backend_tokenizer.post_processor = None
    with pytest.raises(DataError, match="row 2 has no tokens"):
        encode(tokenizer, {"text": ["good", "\u200b"]}, ("text",), 8)
    with pytest.raises(DataError, match="row 2 has no tokens"):
        encode_windows(tokenizer, ["good " * 30, "\u200b"], 8, 2)


def test_a_tokenizer_without_padding_is_refused() -> None:
    """Its error says what to set."""
    tokenizer = make_tokenizer()
    tokenizer.pad_token = None
    with pytest.raises(InputError, match="pad_token"):
        encode(tokenizer, {"text": ["a"]}, ("text",), 8)


# Windows


TEXTS = [
    "good",
    "good bad day",
    "a film was quite good and it was very warm here today",
    "xyz " * 20,
]


@pytest.mark.parametrize("before", [None, "is it"])
@pytest.mark.parametrize(("max_length", "overlap"), [(9, 0), (9, 2), (12, 3), (60, 8)])
def test_windows_hold_every_token_in_its_place(
    before: str | None, max_length: int, overlap: int
) -> None:
    """The windows of a text go over all of it, each as long as may be, and share what was said."""
    tokenizer = make_tokenizer()
    questions = None if before is None else [before] * len(TEXTS)
    encoded, windows = encode_windows(tokenizer, TEXTS, max_length, overlap, questions)
    assert encoded.lengths.max() <= max_length
    for number, text in enumerate(TEXTS):
        whole = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        own = [row for row, window in enumerate(windows) if window.example == number]
        seen = []
        for row in own:
            window = windows[row]
            ids = encoded.flat["input_ids"][encoded.offsets[row] : encoded.offsets[row + 1]]
            places = zip(window.starts[window.inside], window.ends[window.inside], strict=True)
            seen.append(list(zip(ids[window.inside], places, strict=True)))
            assert (window.starts[~window.inside] == -1).all()
            if before is not None:
                assert ids[1:3].tolist() == tokenizer(before, add_special_tokens=False)["input_ids"]
        for one, following in pairwise(seen):
            assert one[len(one) - overlap :] == following[:overlap]
        joined = seen[0] + [token for part in seen[1:] for token in part[overlap:]]
        assert [token for token, _ in joined] == whole["input_ids"]
        assert [tuple(map(int, place)) for _, place in joined] == whole["offset_mapping"]


@pytest.mark.parametrize("tokens", [0, 1, 2, 3, 5, 8, 60])
@pytest.mark.parametrize("make", [make_tokenizer, byte_tokenizer])
def test_a_text_is_cut_to_whole_characters_of_so_many_tokens(make: Any, tokens: int) -> None:
    """What is left is a beginning of the text, with no more tokens, and as many as there can be."""
    tokenizer = make()
    texts = [
        "was it good?",
        "a\U0001f642b\U0001f642\U0001f642",
        "ünïcödé xyz",
        "é" * 40,
        "",
        "\u4e2d\u6587",
    ]
    for text, kept in zip(texts, truncate(tokenizer, texts, tokens), strict=True):
        assert text.startswith(kept)
        count = len(tokenizer(kept, add_special_tokens=False)["input_ids"])
        assert count <= tokens
        longer = tokenizer(text[: len(kept) + 1], add_special_tokens=False)["input_ids"]
        assert kept == text or len(longer) > tokens or len(longer) == count


@pytest.mark.parametrize("names", [1, 2])
def test_windows_leave_room_for_every_text(names: int) -> None:
    """A window without a token of the text is refused, with the least length that is not."""
    before = ["is"] if names == 2 else None
    least = 2 * names + 1
    assert len(encode_windows(make_tokenizer(), ["good bad"], least, 0, before)[1]) == 2
    with pytest.raises(InputError, match=f"needs at least {least}"):
        encode_windows(make_tokenizer(), ["good bad"], least - 1, 0, before)


def test_a_tokenizer_that_cannot_say_where_its_tokens_stand_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its error names its class and says what to do."""
    monkeypatch.setattr(PreTrainedTokenizerFast, "is_fast", False)
    for refused in (lambda t: truncate(t, ["a"], 3), lambda t: encode_windows(t, ["a"], 8, 0)):
        with pytest.raises(
            InputError, match=r"tokenizer.*does not report token positions.*tokenizer\.json"
        ):
            refused(make_tokenizer())


def test_threads_that_truncate_to_different_lengths_do_not_meet() -> None:
    """Each thread gets the length that it asked for, although the tokenizer holds only one."""
    tokenizer = make_tokenizer()
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(4) as threads:
            lengths = [8, 16, 24, 32] * 50
            found = threads.map(
                lambda length: encode(tokenizer, {"text": ["good " * 40]}, ("text",), length),
                lengths,
            )
            assert [one.lengths.tolist() for one in found] == [[length] for length in lengths]
    finally:
        sys.setswitchinterval(before)
