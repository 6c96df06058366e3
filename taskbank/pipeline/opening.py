"""Opens the bank and loads the backbone for a command."""

from __future__ import annotations

import os
from contextlib import ExitStack

from taskbank.backbone.backbone import Backbone
from taskbank.backbone.load import load_backbone
from taskbank.bank.bank import Bank
from taskbank.bank.open import bank_exists, check_can_create
from taskbank.errors import InputError
from taskbank.model.load import load_recorded_backbone, recorded_source
from taskbank.runtime.device import pick_device


def open_if_exists(
    url: str, backbone: str | os.PathLike[str] | None, stack: ExitStack
) -> Bank | None:
    """Return the bank, or None if it does not exist and a backbone is given to create it for.

    Args:
        url: the bank's URL.
        backbone: the backbone's source, if one was given.
        stack: the exit stack that closes the bank.

    Raises:
        NotFoundError: if the bank does not exist and no backbone was given.
        InputError: if the bank does not exist and cannot be created.
    """
    if backbone is not None and not bank_exists(url):
        check_can_create(url)  # before anything is trained for it
        return None
    return stack.enter_context(Bank(url))


def resolve_backbone(
    bank: Bank | None, spec: str | os.PathLike[str] | None, device: str | None
) -> Backbone:
    """Load the given backbone, or by default the only backbone of a bank.

    Args:
        bank: an open bank; None if it does not exist yet.
        spec: the backbone's source; None means the only backbone of the bank.
        device: `cpu` or `cuda`; None means a GPU if there is one.

    Raises:
        InputError: if the backbone cannot be loaded, or if no source was given and the bank does
            not have exactly one backbone.
        BackboneMismatchError: if the bank's backbone differs from the recorded one.
    """
    if spec is not None:
        return load_backbone(recorded_source(bank, spec), pick_device(device))
    records = bank.backbones() if bank is not None else ()
    if bank is not None and len(records) == 1:
        return load_recorded_backbone(bank, records[0], device=device)
    if not records:
        raise InputError("the bank has no backbone yet: name one with --backbone SPEC")
    raise InputError(
        f"the bank has {len(records)} backbones"
        + "".join(f"\n  {record.identity.spec}" for record in records)
        + "\nchoose one with --backbone SPEC"
    )
