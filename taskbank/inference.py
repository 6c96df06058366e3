"""Uses stored tasks: makes the model of an adapter on its backbone, and predicts with it.

Nothing is predicted before the backbone was shown to be the recorded one and the stored
bytes to be what was recorded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from taskbank import plugins
from taskbank.backbone import Backbone, load_backbone
from taskbank.catalog.records import AdapterRecord, BackboneRecord
from taskbank.environment import pick_device
from taskbank.errors import BackboneMismatchError, DamagedError, DataError
from taskbank.evaluate import predict_examples
from taskbank.model import TaskModel, task_model
from taskbank.specs import Json

if TYPE_CHECKING:
    from taskbank.bank import Bank
    from taskbank.data.batches import Encoded
    from taskbank.kinds.kind import Columns, Kind


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


def encoded_for(record: AdapterRecord, backbone: Backbone, columns: Columns) -> Encoded:
    """Return examples as a stored adapter's model takes them.

    Args:
        record: the adapter.
        backbone: the one it belongs to.
        columns: of the examples.

    Raises:
        InputError: if the adapter's `max_length` leaves too little room.
        DataError: naming an example that has no tokens.
    """
    kind: Kind = plugins.load("kinds", record.kind)
    length = record.training["max_length"]
    return kind.encode(backbone.tokenizer, columns, record.definition, length, labelled=False)


def model_of(record: AdapterRecord, backbone: Backbone) -> TaskModel:
    """Return the model of a stored adapter, in evaluation mode.

    Args:
        record: the adapter.
        backbone: the one it belongs to; it stays as it is.

    Raises:
        DamagedError: if the stored tensors are gone or do not fit.
    """
    kind: Kind = plugins.load("kinds", record.kind)
    model = task_model(
        backbone, kind, record.definition, record.method, dict(record.options), seed=0
    )
    model.load_trained(record.state_dict())
    model.eval()
    return model


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
    loaded = load_recorded(bank.backbone(record.backbone), backbone, device)
    yield model_of(record, loaded)


def predict(
    bank: Bank,
    ref: str,
    inputs: Sequence[Json],
    *,
    backbone: str | None = None,
    device: str | None = None,
) -> list[dict[str, Json]]:
    """Predict with a stored task.

    Args:
        bank: an open bank.
        ref: `NAME`, `NAME@VERSION` or `NAME@ALIAS`.
        inputs: texts; pairs of them where the task takes two, such as a question and its
            context; texts or lists of words where it tags words.
        backbone: where to load the backbone from, if not from where it was recorded.
        device: to compute on; none means the best there is.

    Returns:
        a dictionary an input: `text` (and `text_pair`), `label`, `score` and what else the kind
        says: `probabilities` by label for classes, `value` for a number, `labels` for several,
        `answer`, `start` and `end` for a span, `entities` with their places for words.

    Raises:
        NotFoundError: if there is no such adapter.
        DataError: if the inputs do not fit the task's kind.
        BackboneMismatchError: if the backbone is not the recorded one.
        DamagedError: if stored rows or bytes are not what was recorded.
    """
    record = bank[ref]
    kind: Kind = plugins.load("kinds", record.kind)
    rows = [one if isinstance(one, tuple) else (one,) for one in inputs]
    if not rows:
        raise DataError("there is nothing to predict: give at least one text")
    columns = kind.parse(rows, record.definition)
    loaded = load_recorded(bank.backbone(record.backbone), backbone, device)
    encoded = encoded_for(record, loaded, columns)
    predictions = predict_examples(model_of(record, loaded), kind, encoded)
    # What is no number is a change even from itself.
    broken = kind.changes(predictions, predictions, columns, record.definition).changed
    if broken.any():
        raise DamagedError(
            f"{record.ref} predicts what is no number for input {broken.argmax() + 1}: "
            f"run taskbank verify-all --task {record.ref}"
        )
    answers = kind.answers(predictions, columns, record.definition)
    return [
        dict(zip(("text", "text_pair"), row, strict=False)) | answer
        for row, answer in zip(rows, answers, strict=True)
    ]
