"""Packed batches: texts laid end to end."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from taskbank.backbone.backbone import Backbone
from taskbank.data.packed import Batch, join_batches
from tests.helpers.models import batch_of


def test_batches_are_joined_and_padded_as_they_are_written(backbone: Backbone) -> None:
    """Padding and taking it off again gives the same batch; joining keeps the order."""
    one, other = batch_of(backbone, 3, 0), batch_of(backbone, 2, 1)
    both = join_batches([one, other])
    assert len(both) == 5
    assert torch.equal(both.input_ids, torch.cat([one.input_ids, other.input_ids]))
    again = Batch.from_padded(both.pad(both.input_ids), both.grid[1], both.pad(both.token_type_ids))
    assert torch.equal(again.input_ids, both.input_ids)
    assert again.lengths.tolist() == both.lengths.tolist()
    left = Batch.from_padded(both.pad(both.input_ids).flip(1), both.grid[1].flip(1))
    assert left.lengths.tolist() == both.lengths.tolist()


@pytest.mark.parametrize("lengths", [[4], [4, 4, 4], [1, 9, 2, 9, 5], [60, 1, 1, 1], [2, 3, 4]])
def test_the_arrangement_for_attention_holds_every_token_once(lengths: list[int]) -> None:
    """Going there and back is the identity, and little of it is padding."""
    batch = Batch(torch.arange(sum(lengths)), np.array(lengths))
    layout = batch.layout
    cells = sum(group.inputs * group.width for group in layout.groups)
    assert cells <= 1.25 * sum(lengths)
    if layout.slot_tokens is None:
        assert layout.token_slots.tolist() == list(range(sum(lengths)))
    else:
        assert torch.equal(layout.slot_tokens[layout.token_slots], torch.arange(sum(lengths)))
        assert (layout.slot_tokens < sum(lengths)).sum() == sum(lengths)
