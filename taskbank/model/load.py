"""Loads stored adapters onto the backbone they belong to.

Before a model is built, the backbone's digests and the stored bytes are compared with the recorded
ones.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from taskbank import plugins
from taskbank.backbone.backbone import Backbone
from taskbank.backbone.load import load_backbone
from taskbank.bank.records import AdapterRecord, BackboneRecord
from taskbank.digests import canonical_json
from taskbank.errors import (
    BackboneMismatchError,
    BankError,
    DamagedError,
    NotWritableError,
)
from taskbank.model.ensemble import joined
from taskbank.model.stored_model import StoredModel
from taskbank.model.task_model import task_model
from taskbank.runtime.device import pick_device
from taskbank.specs import BackboneIdentity

if TYPE_CHECKING:
    from taskbank.bank.bank import Bank
    from taskbank.data.encoded import Encoded
    from taskbank.kinds.kind import Columns, Kind


def load_recorded_backbone(
    bank: Bank, recorded: BackboneRecord, spec: str | None = None, device: str | None = None
) -> Backbone:
    """Load a recorded backbone and verify its identity.

    Args:
        bank: the bank, which learns the tokenizer's settings if it does not know them yet.
        recorded: the bank's record of the backbone.
        spec: where to load it from. None means the recorded place.
        device: the device to compute on. None means the best available.

    Raises:
        InputError: if the backbone cannot be loaded.
        BackboneMismatchError: if the loaded backbone is not the recorded one.
    """
    own = recorded.identity
    source = own.spec if spec is None or own.is_from(spec) else spec
    backbone = load_backbone(source, pick_device(device))
    confirm_backbone(bank, backbone.identity, own)
    return backbone


def recorded_source(bank: Bank | None, spec: str | os.PathLike[str]) -> str | os.PathLike[str]:
    """Return where a backbone that a user names is loaded from.

    A hub id without a commit means the commit that the bank has recorded, if any: a branch may have
    moved since.

    Args:
        bank: an open bank; None if it does not exist yet.
        spec: the source as the user names it.
    """
    records = bank.backbones() if bank is not None else ()
    recorded = [one.identity.spec for one in records if one.identity.is_from(os.fspath(spec))]
    return recorded[-1] if recorded else spec


def confirm_backbone(bank: Bank, loaded: BackboneIdentity, expected: BackboneIdentity) -> None:
    """Raise unless a loaded backbone is the expected one; record what was not known of it.

    Raises:
        BackboneMismatchError: naming the parts that differ, with both values.
    """
    check_backbone(loaded, expected)
    if expected.settings is None:
        # A bank that cannot be written to is read all the same.
        with suppress(BankError, NotWritableError):
            bank.add_backbone(loaded)


def check_backbone(loaded: BackboneIdentity, expected: BackboneIdentity) -> None:
    """Raise unless a loaded backbone is the expected one.

    Raises:
        BackboneMismatchError: naming the parts that differ, with both values.
    """
    differing = [
        f"{part} is {getattr(loaded, part)}, recorded was {getattr(expected, part)}"
        for part in ("weights", "config", "tokenizer", "pooling")
        if getattr(loaded, part) != getattr(expected, part)
    ]
    settings = [] if differing else loaded.differing_settings(expected.settings)
    if settings:
        raise BackboneMismatchError(
            f"the backbone at {loaded.spec!r} has another tokenizer configuration than the one "
            f"recorded from {expected.spec!r}: {'; '.join(settings)}. Texts would become other "
            "tokens: put the recorded values back into its tokenizer_config.json, or use a bank of "
            "its own for it"
        )
    if differing:
        raise BackboneMismatchError(
            f"the backbone at {loaded.spec!r} is not the one recorded from {expected.spec!r}: "
            f"{'; '.join(differing)}. Give the recorded one with --backbone SPEC, or record this "
            "one beside it with taskbank init --backbone SPEC and train the tasks for it"
        )


def check_backbone_source(bank: Bank, backbone: Backbone) -> None:
    """Raise if a bank has recorded only other backbones from the place of a loaded one.

    Args:
        bank: an open bank.
        backbone: the loaded backbone.

    Raises:
        BackboneMismatchError: if every backbone that was recorded from there differs.
    """
    # The tasks of a recorded backbone cannot be used once its place holds another model.
    there = [one for one in bank.backbones() if one.identity.spec == backbone.identity.spec]
    if there and backbone.identity.fingerprint not in {one.fingerprint for one in there}:
        check_backbone(backbone.identity, there[-1].identity)
    for recorded in bank.backbones():  # with the same tokenizer settings, wherever it lies
        if recorded.fingerprint == backbone.identity.fingerprint:
            check_backbone(backbone.identity, recorded.identity)


def encode_for(record: AdapterRecord, backbone: Backbone, columns: Columns) -> Encoded:
    """Encode examples for a stored adapter's model.

    Args:
        record: the adapter.
        backbone: the adapter's backbone.
        columns: the examples' columns.

    Raises:
        InputError: if the adapter's `max_length` leaves too little room.
        DataError: naming an example that has no tokens.
    """
    kind: Kind = plugins.load("kinds", record.kind)
    length = record.training["max_length"]
    return kind.encode(backbone.tokenizer, columns, record.definition, length, labelled=False)


def load_model(
    bank: Bank, record: AdapterRecord, backbone: Backbone, unused: StoredModel | None = None
) -> StoredModel:
    """Load the model of a stored adapter, in evaluation mode.

    Args:
        bank: the bank that stores the adapter.
        record: the adapter.
        backbone: the adapter's backbone; it stays unchanged.
        unused: a model of the same `model_shape` that nobody uses any more. It gets the adapter's
            tensors, which is several times as fast as making a new model.

    Raises:
        DamagedError: if stored tensors are missing or do not fit the model.
    """
    if record.training["max_length"] > backbone.identity.max_length:
        raise DamagedError(
            f"{record.ref} reads inputs of {record.training['max_length']:,} tokens, but its "
            f"backbone reads at most {backbone.identity.max_length:,}: add the task again"
        )
    tensors = bank.state_dict(record)
    if unused is not None:
        unused.adopt_tensors(tensors)
        return unused
    kind: Kind = plugins.load("kinds", record.kind)
    options = dict(record.options)
    members = [
        task_model(backbone, kind, record.definition, record.method, options, seed=None)
        for _ in range(record.ensemble)
    ]
    model = joined(members, kind)
    model.adopt_tensors(tensors)
    model.eval()
    return model


def model_shape(record: AdapterRecord) -> str:
    """Return a text that is equal for adapters whose models differ in their tensors only."""
    kind: Kind = plugins.load("kinds", record.kind)
    return canonical_json(
        [
            record.method,
            dict(record.options),
            kind.per_token,
            kind.outputs(record.definition),
            record.ensemble,
        ]
    )
