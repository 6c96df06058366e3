"""Makes a bank and records a backbone in it."""

from __future__ import annotations

from taskbank.backbone.load import load_backbone
from taskbank.bank.open import bank_exists, create_bank
from taskbank.bank.records import BackboneRecord
from taskbank.pipeline.opening import check_recorded_place
from taskbank.runtime.device import pick_device


def init(
    url: str, backbone: str, *, blobs: str | None = None, device: str | None = None
) -> BackboneRecord:
    """Make a bank, or open the one that is there, and record a backbone in it.

    Args:
        url: of the bank.
        backbone: a hub id (optionally `@revision`), a folder, or `package:NAME/FOLDER`.
        blobs: where blobs go: a folder or an fsspec URL; none means into the catalog.
        device: to load the backbone on; none means the best there is.

    Raises:
        InputError: if a URL or the backbone is not usable.
        BackboneMismatchError: if the bank knows another backbone from the same place.
    """
    bank_exists(url)  # raises before the long load if the URL is not one of a bank
    loaded = load_backbone(backbone, pick_device(device))
    with create_bank(url, blobs) as bank:
        check_recorded_place(bank, loaded)
        return bank.add_backbone(loaded.identity)
