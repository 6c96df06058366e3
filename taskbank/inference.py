"""Uses stored tasks: puts an adapter of a bank onto its backbone, and predicts with it.

Nothing is predicted before the backbone was shown to be the recorded one and the stored
bytes to be what was recorded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from taskbank import plugins
from taskbank.backbone import Backbone, load_backbone
from taskbank.catalog.records import AdapterRecord, BackboneRecord
from taskbank.data.batches import encode
from taskbank.environment import pick_device
from taskbank.errors import BackboneMismatchError, DamagedError, DataError
from taskbank.evaluate import predict_logits
from taskbank.model import TaskModel, task_model
from taskbank.specs import check_text

if TYPE_CHECKING:
    from taskbank.bank import Bank
    from taskbank.kinds.kind import Kind


def load_recorded(
    recorded: BackboneRecord, spec: str | None = None, device: str | None = None
) -> Backbone:
    """Load a backbone that a bank knows, and make sure that it is that one.

    Args:
        recorded: what the bank says of it.
        spec: where to load it from, if not from where it was recorded.
        device: to compute on; none means the best there is.

    Raises:
        InputError: if it cannot be loaded.
        BackboneMismatchError: if what was loaded is another backbone.
    """
    backbone = load_backbone(spec or recorded.identity.spec, pick_device(device))
    check_backbone(backbone, recorded)
    return backbone


def check_backbone(backbone: Backbone, recorded: BackboneRecord) -> None:
    """Raise unless a loaded backbone is the one that was recorded.

    Raises:
        BackboneMismatchError: naming the part that differs, and both digests.
    """
    found, wanted = backbone.identity, recorded.identity
    differing = [
        f"{part} is {getattr(found, part)}, recorded was {getattr(wanted, part)}"
        for part in ("weights", "config", "tokenizer", "pooling")
        if getattr(found, part) != getattr(wanted, part)
    ]
    if differing:
        raise BackboneMismatchError(
            f"the backbone at {found.spec!r} is not the one recorded from {wanted.spec!r}: "
            f"{'; '.join(differing)}. Give the recorded one with --backbone SPEC, or record this "
            "one beside it with taskbank init --backbone SPEC and train the tasks for it"
        )


@contextmanager
def attached(record: AdapterRecord, backbone: Backbone) -> Iterator[TaskModel]:
    """Put a stored adapter and its head onto a loaded backbone, and take them off at the end.

    Args:
        record: the adapter.
        backbone: the one it belongs to; it is exactly as before afterwards.

    Raises:
        DamagedError: if the stored tensors are gone or do not fit.
    """
    kind: Kind = plugins.load("kinds", record.kind)
    with task_model(
        backbone, kind, len(record.labels), record.method, dict(record.options), seed=0
    ) as model:
        model.load_trained(record.state_dict())
        model.eval()
        yield model


@contextmanager
def attach(
    bank: Bank, ref: str, *, backbone: str | None = None, device: str | None = None
) -> Iterator[torch.nn.Module]:
    """Give a plain torch module with one task's adapter and head on the frozen backbone.

    The module takes `input_ids`, `attention_mask` and, where the tokenizer makes them,
    `token_type_ids`, each of shape [batch, tokens], and gives logits of shape
    [batch, labels].

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
    loaded = load_recorded(bank.backbone(record.backbone), backbone, device)
    with attached(record, loaded) as model:
        yield model


def predict(
    bank: Bank,
    ref: str,
    texts: Sequence[str | tuple[str, ...]],
    *,
    backbone: str | None = None,
    device: str | None = None,
) -> list[dict[str, Any]]:
    """Predict the label of texts with a stored task.

    Args:
        bank: an open bank.
        ref: `NAME`, `NAME@VERSION` or `NAME@ALIAS`.
        texts: the texts; pairs of them where the task's kind is `pair`.
        backbone: where to load the backbone from, if not from where it was recorded.
        device: to compute on; none means the best there is.

    Returns:
        a dictionary a text: `text` (and `text_pair`), `label`, `score` (its probability) and
        `probabilities` by label.

    Raises:
        NotFoundError: if there is no such adapter.
        DataError: if the texts do not fit the task's kind.
        BackboneMismatchError: if the backbone is not the recorded one.
        DamagedError: if stored rows or bytes are not what was recorded.
    """
    record = bank[ref]
    kind: Kind = plugins.load("kinds", record.kind)
    columns = _columns(kind, texts)
    loaded = load_recorded(bank.backbone(record.backbone), backbone, device)
    encoded = encode(loaded.tokenizer, columns, kind.columns, record.training["max_length"])
    with attached(record, loaded) as model:
        logits = predict_logits(model, encoded)
    broken = np.flatnonzero(~np.isfinite(logits).all(axis=1))
    if len(broken):
        raise DamagedError(
            f"{record.ref} predicts what is no number for input {broken[0] + 1}: "
            f"run taskbank verify-all --task {record.ref}"
        )
    probabilities = kind.probabilities(logits)
    return [
        _prediction({name: columns[name][row] for name in kind.columns}, record, shares)
        for row, shares in enumerate(probabilities)
    ]


def _prediction(
    inputs: Mapping[str, str], record: AdapterRecord, shares: np.ndarray
) -> dict[str, Any]:
    keys = ("text", "text_pair")
    best = int(shares.argmax())
    return dict(zip(keys, inputs.values(), strict=False)) | {
        "label": record.labels[best],
        "score": float(shares[best]),
        "probabilities": {
            label: float(share) for label, share in zip(record.labels, shares, strict=True)
        },
    }


def _columns(kind: Kind, texts: Sequence[str | tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    width = len(kind.columns)
    rows = [(text,) if isinstance(text, str) else tuple(text) for text in texts]
    for number, row in enumerate(rows, start=1):
        if len(row) != width or not all(
            isinstance(t, str) and check_text(t, "text").strip() for t in row
        ):
            wanted = "one text" if width == 1 else f"{width} texts"
            raise DataError(
                f"input {number} is {texts[number - 1]!r}: a task of kind {kind.name!r} takes "
                f"{wanted} that is not empty"
            )
    if not rows:
        raise DataError("there is no text to predict: give at least one")
    return dict(zip(kind.columns, zip(*rows, strict=True), strict=True))
