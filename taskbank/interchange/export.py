"""Exports a stored adapter to a folder, in taskbank's own format or another library's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from taskbank import plugins
from taskbank.bank.bank import Bank
from taskbank.bank.records import AdapterRecord
from taskbank.errors import InputError
from taskbank.interchange.holding import check_holds
from taskbank.interchange.untrusted import DESCRIPTION, SIGNATURE
from taskbank.runtime.files import unwritable, write_folder
from taskbank.runtime.signatures import sign

Exporter = Callable[[Bank, AdapterRecord], dict[str, bytes]]  # the folder's files, by path in it


def export_adapter(
    bank: Bank,
    ref: str,
    folder: str | Path,
    *,
    format: str = "taskbank",
    key: str | Path | None = None,
) -> AdapterRecord:
    """Write one adapter into a new folder.

    Args:
        bank: an open bank.
        ref: `NAME`, `NAME@VERSION` or `NAME@ALIAS`.
        folder: the target folder, which must be empty or not exist yet.
        format: the format of the folder. Only `taskbank` has the evidence to verify the adapter;
            `transformers`, `sentence-transformers` and `onnx` are models that run without taskbank.
        key: the file of an SSH key to sign the format `taskbank` with; None means no signature.

    Raises:
        NotFoundError: if the adapter does not exist.
        DamagedError: if stored rows or bytes differ from what was recorded.
        InputError: if the format is unknown or cannot hold the adapter, if an exported model does
            not give the recorded predictions, if the folder is not empty or not writable, or if
            the key cannot sign.
        MissingExtraError: if the format needs a package that is not installed.
    """
    files_of: Exporter = plugins.load("exporters", format)
    if key is not None and format != "taskbank":
        raise InputError(f"an export to {format} cannot be signed: leave out --key")
    target = Path(folder)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(f"{target} is not empty: give a folder that does not exist yet")
    record = bank[ref]
    check_holds(record, bank.backbone(record.backbone).identity, format)
    files = files_of(bank, record)
    if key is not None:
        files = {SIGNATURE: sign(files[DESCRIPTION], Path(key)), **files}
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_folder(target, files)
    except OSError as error:
        raise unwritable(target, error) from None
    return record
