"""Opens the bank and loads the backbone that a command names."""

from __future__ import annotations

from contextlib import ExitStack

from taskbank.backbone.backbone import Backbone
from taskbank.backbone.load import load_backbone
from taskbank.bank.bank import Bank
from taskbank.bank.open import bank_exists
from taskbank.errors import InputError
from taskbank.model.load import check_backbone, load_recorded_backbone
from taskbank.runtime.device import pick_device


def open_if_there(url: str, backbone: str | None, stack: ExitStack) -> Bank | None:
    """Return a bank, or none if it is not there and can be made for a backbone.

    Args:
        url: of the bank.
        backbone: where the backbone is, if it was said.
        stack: that closes the bank.

    Raises:
        NotFoundError: if there is no bank, and no backbone to make one for.
    """
    if backbone is not None and not bank_exists(url):
        return None
    return stack.enter_context(Bank(url))


def backbone_for(bank: Bank | None, spec: str | None, device: str | None) -> Backbone:
    """Load the backbone that was named, or the only one that a bank knows.

    Raises:
        InputError: if none was named and there is not exactly one, or it cannot be loaded.
        BackboneMismatchError: if the only one is not what was recorded.
    """
    if spec is not None:
        return load_backbone(spec, pick_device(device))
    known = bank.backbones() if bank is not None else ()
    if len(known) == 1:
        return load_recorded_backbone(known[0], device=device)
    raise InputError(
        f"the bank knows {len(known)} backbones"
        + "".join(f"\n  {one.identity.spec}" for one in known)
        + "\nname the one to use with --backbone SPEC"
    )


def check_recorded_place(bank: Bank, backbone: Backbone) -> None:
    """Raise if a bank knows another backbone from the place that a backbone was loaded from.

    Raises:
        BackboneMismatchError: if so.
    """
    # The same place holding another model would make the older one's tasks unusable.
    for recorded in bank.backbones():
        if recorded.identity.spec == backbone.identity.spec:
            check_backbone(backbone, recorded)
