"""Loads one stored task as a plain torch module."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from taskbank.errors import InputError
from taskbank.model.load import load_model, load_recorded_backbone

if TYPE_CHECKING:
    from taskbank.bank.bank import Bank


@contextmanager
def attach(
    bank: Bank, ref: str, *, backbone: str | None = None, device: str | None = None
) -> Iterator[torch.nn.Module]:
    """Yield a plain torch module with one task's adapter and head on the frozen backbone.

    The module takes `input_ids`, `attention_mask` and, if the tokenizer produces them,
    `token_type_ids`, each of shape [batch, tokens]. It returns outputs of shape [batch, outputs],
    which are the logits for classes. For kinds that label words or find spans, the shape is
    [batch, tokens, outputs].

    Args:
        bank: an open bank.
        ref: `NAME`, `NAME@VERSION` or `NAME@ALIAS`.
        backbone: source to load the backbone from; None means the recorded source.
        device: `cpu` or `cuda`; None means a GPU if there is one.

    Raises:
        NotFoundError: if the bank has no such adapter.
        InputError: if it is an ensemble, which has several adapters and heads.
        BackboneMismatchError: if the backbone differs from the recorded one.
        DamagedError: if stored rows or bytes differ from what was recorded.
    """
    record = bank[ref]
    if record.ensemble > 1:
        raise InputError(
            f"{record.ref} is an ensemble of {record.ensemble} trainings, and a module has one "
            "adapter and head: predict with it, or attach a version of one training"
        )
    loaded = load_recorded_backbone(bank, bank.backbone(record.backbone), backbone, device)
    yield load_model(bank, record, loaded)
