"""Checks that an adapter from elsewhere fits a backbone that was loaded here.

An adapter names the backbone it was trained on by digests. Only a backbone of those digests that
the bank knows, or that the user names, is accepted; the place that the adapter names is not used.
"""

from __future__ import annotations

import numpy as np
from safetensors.numpy import load as load_arrays
from safetensors.torch import load

from taskbank import plugins
from taskbank.backbone.backbone import Backbone
from taskbank.backbone.load import load_backbone
from taskbank.bank.bank import Bank
from taskbank.bank.new_records import NewAdapter
from taskbank.data.fields import preview
from taskbank.errors import DamagedError, InputError
from taskbank.interchange.base_names import names_backbone
from taskbank.model.ensemble import split_tensors
from taskbank.model.load import (
    check_backbone,
    check_backbone_source,
    load_recorded_backbone,
    recorded_source,
)
from taskbank.model.task_model import task_model
from taskbank.specs import BackboneIdentity


def backbone_for(bank: Bank, identity: BackboneIdentity, spec: str | None) -> Backbone:
    """Load the backbone that an adapter from elsewhere was trained on.

    Args:
        bank: an open bank.
        identity: the backbone's identity according to the adapter.
        spec: where to load it from; None means the place that the bank has recorded.

    Raises:
        InputError: if the bank does not know the backbone and no place is given, or if it cannot
            be loaded.
        BackboneMismatchError: if the backbone there is another one.
    """
    for recorded in bank.backbones():
        if recorded.fingerprint == identity.fingerprint:
            backbone = load_recorded_backbone(bank, recorded, spec, "cpu")
            check_backbone(
                backbone.identity, identity
            )  # its tokenizer may have been set otherwise there
            return backbone
    if spec is None:
        raise InputError(
            "the bank does not know the backbone of this adapter, which was called "
            f"{preview(identity.spec)} where it was exported: name your copy of it with "
            "--backbone SPEC"
        )
    backbone = load_backbone(spec, "cpu")
    check_backbone(backbone.identity, identity)
    check_backbone_source(bank, backbone)
    return backbone


def check_fit(new: NewAdapter, backbone: Backbone) -> None:
    """Raise unless an adapter's tensors are those of its method and kind for a backbone.

    Raises:
        InputError: naming tensors that are missing, unexpected, of another shape, or not finite,
            or a length that the backbone cannot read.
    """
    longest = backbone.identity.max_length
    if new.training.max_length > longest:
        raise InputError(
            f"training.max_length is {new.training.max_length:,}: the backbone reads at most "
            f"{longest:,} tokens"
        )
    for name, array in load_arrays(new.weights).items():
        if not np.isfinite(array).all():
            raise InputError(f"tensor {name!r} has a value that is NaN or infinite")
    kind = plugins.load("kinds", new.kind)
    model = task_model(
        backbone, kind, new.definition, new.method.name, new.method.options, seed=None
    )
    try:
        for own in split_tensors(load(new.weights), new.training.ensemble):
            model.adopt_tensors(own)  # the members have equal shapes
    except DamagedError as error:
        raise InputError(str(error)) from None


def named_backbone(
    bank: Bank, base: str | None, revision: str | None, spec: str | None
) -> Backbone:
    """Load the backbone that a checkpoint of another library names.

    Other libraries store a name and no digest. It must be the name of one of the bank's backbones,
    or the user says which backbone is meant.

    Args:
        bank: an open bank.
        base: the name or folder of the base in the checkpoint; None if it has none.
        revision: its revision; None if it is not known.
        spec: the backbone that the user says it is; None means the bank's of that name.

    Raises:
        InputError: if the bank has no backbone of that name and the user names none, or if it
            cannot be loaded.
        BackboneMismatchError: if the backbone there is another one than the bank has recorded.
    """
    if spec is not None:
        backbone = load_backbone(recorded_source(bank, spec), "cpu")
        check_backbone_source(bank, backbone)
        return backbone
    known = bank.backbones()
    for recorded in known:
        if base is not None and names_backbone(recorded.identity.spec, base, revision):
            return load_recorded_backbone(bank, recorded, None, "cpu")
    told = "names no base model" if base is None else f"is for the base model {preview(base)}"
    at = "" if revision is None else f" at revision {preview(revision)}"
    listed = ", ".join(recorded.identity.spec for recorded in known) or "none"
    raise InputError(
        f"it {told}{at}, and the bank's backbones are {listed}: if one of them, or another that "
        "you have, is that model, name it with --backbone SPEC"
    )
