"""Loads stored adapters onto the backbone they belong to.

No model is built before the backbone is shown to be the recorded one and the stored bytes to be
what was recorded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskbank import plugins
from taskbank.backbone.backbone import Backbone
from taskbank.backbone.load import load_backbone
from taskbank.bank.records import AdapterRecord, BackboneRecord
from taskbank.errors import BackboneMismatchError
from taskbank.model.task_model import TaskModel, task_model
from taskbank.runtime.device import pick_device

if TYPE_CHECKING:
    from taskbank.bank.bank import Bank
    from taskbank.data.encoded import Encoded
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


def model_of(bank: Bank, record: AdapterRecord, backbone: Backbone) -> TaskModel:
    """Return the model of a stored adapter, in evaluation mode.

    Args:
        bank: that stores it.
        record: the adapter.
        backbone: the one it belongs to; it stays as it is.

    Raises:
        DamagedError: if the stored tensors are gone or do not fit.
    """
    kind: Kind = plugins.load("kinds", record.kind)
    options = dict(record.options)
    model = task_model(backbone, kind, record.definition, record.method, options, seed=None)
    model.take_over(bank.state_dict(record))
    model.eval()
    return model
