"""Reads a folder in taskbank's own format or another library's, told by its files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from taskbank import plugins
from taskbank.bank.bank import Bank
from taskbank.bank.new_records import NewAdapter
from taskbank.errors import BackboneMismatchError, ConflictError, DamagedError, InputError
from taskbank.interchange import peft_names, transformers_import, untrusted
from taskbank.interchange.checkpoint import Checkpoint
from taskbank.interchange.import_options import ImportOptions
from taskbank.interchange.sources import Source
from taskbank.interchange.task_file import read_json_file

# Either complete with its evidence, or to be scored.
Importer = Callable[[Bank, Path, ImportOptions], NewAdapter | Checkpoint]


def read_adapter(
    bank: Bank, source: Source, format: str | None, options: ImportOptions
) -> NewAdapter | Checkpoint:
    """Return the adapter that a folder holds, every value checked.

    Args:
        bank: an open bank.
        source: the folder and what is known of it.
        format: its format, one of the group `importers` of `taskbank.plugins`; None means that the
            source or the files tell it.
        options: what the import is asked for.

    Raises:
        InputError: if the format is unknown, or the folder does not hold an adapter in it that
            taskbank can compute.
        BackboneMismatchError: if the backbone is not that of the adapter.
        ConflictError: if the task exists and no new version is asked for.
    """
    told = format or source.format or _told_format(source.folder, source.shown)
    read: Importer = plugins.load("importers", told)
    try:
        return read(bank, source.folder, options)
    except (ConflictError, BackboneMismatchError):
        raise
    except (InputError, DamagedError) as error:
        raise InputError(f"{source.shown} cannot be imported: {error}") from None


def _told_format(folder: Path, shown: str) -> str:
    """Return the format that the files of a folder tell.

    Raises:
        InputError: if they tell none.
    """
    if (folder / untrusted.DESCRIPTION).exists():
        return "taskbank"
    path = folder / peft_names.CONFIG  # of the same name in AdapterHub's format
    if path.exists():
        config = read_json_file(path, peft_names.MAX_CONFIG_BYTES)
        if isinstance(config, dict):
            if "peft_type" in config:
                return "peft"
            if "config" in config:
                return "adapterhub"
    elif (folder / transformers_import.CONFIG).exists():
        return "transformers"
    raise InputError(
        f"{shown} is no folder of a known format: {untrusted.DESCRIPTION} is of taskbank, "
        f"{path.name} with peft_type of peft, and with config of AdapterHub, and "
        f"{transformers_import.CONFIG} of transformers; --format says which"
    )
