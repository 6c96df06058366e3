"""Tokenising once, and batches of similar length."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from taskbank.data.batches import Encoded, encode, evaluation_batches, training_batches
from taskbank.errors import DataError, InputError
from tests.tiny import make_tokenizer, sentences

LENGTHS = np.random.default_rng(0).integers(3, 60, size=1000)


@pytest.fixture
def encoded() -> Encoded:
    """Twenty encoded sentences."""
    texts = [row["text"] for row in sentences(20)]
    return encode(make_tokenizer(), {"text": texts}, ("text",), 12)


def test_a_batch_is_what_the_tokenizer_itself_would_pad(encoded: Encoded) -> None:
    """Ids, mask and types equal those of a padding call, in the order asked for."""
    texts = [row["text"] for row in sentences(20)]
    rows = np.array([7, 0, 13])
    expected = make_tokenizer()(
        [texts[row] for row in rows],
        truncation=True,
        max_length=12,
        padding=True,
        return_tensors="pt",
    )
    found = encoded.batch(rows)
    assert set(found) == set(expected)
    assert all(torch.equal(found[name], expected[name]) for name in found)


def test_pairs_carry_their_token_types_and_are_cut_longest_first() -> None:
    """Both texts of a long pair keep tokens, and the second is of type 1."""
    columns = {"text_a": ["good " * 30], "text_b": ["bad " * 6]}
    found = encode(make_tokenizer(), columns, ("text_a", "text_b"), 16).batch(np.array([0]))
    assert found["input_ids"].shape == (1, 16)
    assert found["token_type_ids"].sum() == 7


@pytest.mark.parametrize("batch_size", [1, 7, 32])
def test_training_batches_hold_every_example_once(batch_size: int) -> None:
    """No example is left out or seen twice in an epoch, and no batch is too large."""
    batches = training_batches(LENGTHS, batch_size, seed=0, epoch=1)
    assert sorted(np.concatenate(batches)) == list(range(len(LENGTHS)))
    assert max(map(len, batches)) == batch_size


def test_training_batches_depend_on_seed_and_epoch_alone() -> None:
    """The same seed and epoch give the same batches; another of either gives others."""

    def flat(seed: int, epoch: int) -> list[int]:
        return list(np.concatenate(training_batches(LENGTHS, 32, seed, epoch)))

    assert flat(0, 1) == flat(0, 1)
    assert flat(0, 1) != flat(0, 2) != flat(1, 2)


def test_batches_waste_little_on_padding_and_stay_random() -> None:
    """Buckets cut padding to a few percent, and which examples meet changes between epochs."""

    def padded(batches: list[np.ndarray]) -> float:
        cells = sum(len(rows) * LENGTHS[rows].max() for rows in batches)
        return float(cells / LENGTHS.sum())

    assert padded(training_batches(LENGTHS, 32, 0, 1)) < 1.1
    assert padded(evaluation_batches(LENGTHS, 32)) < 1.05
    first, second = ({frozenset(b) for b in training_batches(LENGTHS, 4, 0, e)} for e in (1, 2))
    assert len(first & second) < len(first) / 2


def test_evaluation_batches_hold_every_example_once() -> None:
    """No example is left out or seen twice."""
    assert sorted(np.concatenate(evaluation_batches(LENGTHS, 64))) == list(range(len(LENGTHS)))


@pytest.mark.parametrize(("names", "least"), [(("a",), 3), (("a", "b"), 5)])
def test_every_text_keeps_a_token(names: tuple[str, ...], least: int) -> None:
    """A length that would cut a text off whole is refused, with the least that is not."""
    columns = {name: ["good good good"] for name in names}
    assert encode(make_tokenizer(), columns, names, least).lengths.tolist() == [least]
    with pytest.raises(InputError, match=f"needs at least {least}"):
        encode(make_tokenizer(), columns, names, least - 1)


@pytest.mark.parametrize("cut", [False, True])
def test_encoding_leaves_the_tokenizer_as_it_was(cut: bool) -> None:
    """What a tokenizer saves, and so its identity, does not depend on what it has encoded."""
    tokenizer = make_tokenizer()
    if cut:
        tokenizer.backend_tokenizer.enable_truncation(99)
        tokenizer.backend_tokenizer.enable_padding(length=99)
    before = tokenizer.backend_tokenizer.to_str()
    assert encode(tokenizer, {"text": ["good " * 30]}, ("text",), 8).lengths.tolist() == [8]
    assert tokenizer.backend_tokenizer.to_str() == before


def test_a_text_without_tokens_is_refused() -> None:
    """An input that the model could not see is named by its row."""
    tokenizer = make_tokenizer()
    tokenizer.backend_tokenizer.post_processor = None
    with pytest.raises(DataError, match="row 2 has no tokens"):
        encode(tokenizer, {"text": ["good", "\u200b"]}, ("text",), 8)


def test_a_tokenizer_without_padding_is_refused() -> None:
    """Its error says what to set."""
    tokenizer = make_tokenizer()
    tokenizer.pad_token = None
    with pytest.raises(InputError, match="pad_token"):
        encode(tokenizer, {"text": ["a"]}, ("text",), 8)
