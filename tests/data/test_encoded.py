"""Encoded texts become the batches that a model computes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from taskbank.data.encoded import Encoded
from taskbank.data.tokenization import encode
from tests.helpers.backbones import make_tokenizer
from tests.helpers.rows import sentences


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
    batch = encoded.batch(rows)
    assert torch.equal(batch.pad(batch.input_ids), expected["input_ids"])
    assert torch.equal(batch.pad(batch.token_type_ids), expected["token_type_ids"])
    assert torch.equal(batch.grid[1].long(), expected["attention_mask"])


def test_what_the_loss_is_told_is_padded_like_the_inputs(encoded: Encoded) -> None:
    """Values of inputs come by row, those of tokens by place; padding is nought, of their type."""
    told = replace(
        encoded,
        input_targets={"targets": np.arange(20)},
        token_targets={
            "place": np.arange(encoded.offsets[-1]) + 1,
            "there": np.ones(encoded.offsets[-1], bool),
            "several": np.arange(1, 2 * encoded.offsets[-1] + 1, dtype=np.float32).reshape(-1, 2),
        },
    )
    rows = np.array([7, 0, 13])
    found, inputs = told.supervision(rows), told.batch(rows)
    assert found["targets"].tolist() == [7, 0, 13]
    assert found["there"].dtype == torch.bool
    assert torch.equal(found["there"], inputs.grid[1])
    assert torch.equal((found["several"] > 0).all(dim=-1), inputs.grid[1])
    assert torch.equal(found["several"][..., 1], 2.0 * found["place"])
    for row, place in zip(rows, found["place"].tolist(), strict=True):
        start, end = encoded.offsets[row], encoded.offsets[row + 1]
        assert place == [*range(start + 1, end + 1), *[0] * (len(place) - end + start)]
