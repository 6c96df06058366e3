"""Creates a bank and records a backbone in it."""

from __future__ import annotations

from taskbank.backbone.load import load_backbone
from taskbank.bank.open import check_can_create, create_bank
from taskbank.bank.records import BackboneRecord
from taskbank.model.load import check_backbone_source
from taskbank.runtime.device import pick_device


def init(
    url: str, backbone: str, *, blobs: str | None = None, device: str | None = None
) -> BackboneRecord:
    """Create a bank, or open an existing one, and record a backbone in it.

    Args:
        url: the bank's URL.
        backbone: a hub id (optionally `@revision`), a folder, or `package:NAME/FOLDER`.
        blobs: the folder or fsspec URL to store blobs in; None stores them in the catalog.
        device: `cpu` or `cuda`; None means a GPU if there is one.

    Raises:
        InputError: if a URL is invalid or the backbone cannot be loaded.
        BackboneMismatchError: if the bank has recorded another backbone from the same source.
    """
    check_can_create(url, blobs)  # raises before the slow load
    loaded = load_backbone(backbone, pick_device(device))
    with create_bank(url, blobs) as bank:
        check_backbone_source(bank, loaded)
        return bank.add_backbone(loaded.identity)
