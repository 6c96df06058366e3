"""Gives one stored task as a plain torch module."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from taskbank.model.load import load_model, load_recorded_backbone

if TYPE_CHECKING:
    from taskbank.bank.bank import Bank


@contextmanager
def attach(
    bank: Bank, ref: str, *, backbone: str | None = None, device: str | None = None
) -> Iterator[torch.nn.Module]:
    """Give a plain torch module with one task's adapter and head on the frozen backbone.

    The module takes `input_ids`, `attention_mask` and, where the tokenizer makes them,
    `token_type_ids`, each of shape [batch, tokens], and gives outputs of shape
    [batch, outputs]: for classes the logits. Where the kind labels words or finds spans they
    are of shape [batch, tokens, outputs].

    Args:
        bank: an open bank.
        ref: `NAME`, `NAME@VERSION` or `NAME@ALIAS`.
        backbone: where to load the backbone from, if not from where it was recorded.
        device: to compute on; none means the best there is.

    Raises:
        NotFoundError: if there is no such adapter.
        BackboneMismatchError: if the backbone is not the recorded one.
        DamagedError: if stored rows or bytes are not what was recorded.
    """
    record = bank[ref]
    loaded = load_recorded_backbone(bank.backbone(record.backbone), backbone, device)
    yield load_model(bank, record, loaded)
