"""Reads folders that `datasets` saved, and data sets from the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from taskbank.data.memory import table_of_dataset
from taskbank.data.table import Table, reason_of
from taskbank.errors import DataError
from taskbank.runtime.hub_errors import hub_reason

HUB = "hf:"


def probe(check: Callable[[], bool]) -> bool:
    """Return the result of a file-system check; False if the system refuses access."""
    try:
        return check()
    except OSError:  # a name that is too long, or a folder without permission
        return False


def read_saved(source: str, folder: Path, split: str | None) -> Table:
    """Return a data set from a folder that `datasets` saved.

    Args:
        source: the source as the user wrote it, for errors.
        folder: the folder.
        split: the split to read; None for a folder of one data set, without splits.

    Raises:
        DataError: if the folder cannot be read or has no such split.
    """
    import datasets

    try:
        loaded = datasets.load_from_disk(str(folder))
    except Exception as error:  # datasets raises many types of error for one cause
        raise DataError(
            f"{folder} was not saved by save_to_disk of datasets: {reason_of(error)}"
        ) from None
    if isinstance(loaded, datasets.DatasetDict):
        return table_of_dataset(source, _select_split(source, loaded, split))
    if split is not None:
        raise DataError(f"{folder} holds one data set without splits: leave out ':{split}'")
    return table_of_dataset(source, loaded)


def _select_split(source: str, splits: Any, split: str | None) -> Any:
    if split not in splits:
        raise DataError(
            f"{source} has no split {split!r}: add one of {', '.join(splits)} after a colon"
        )
    return splits[split]


def read_hub(source: str) -> Table:
    """Return a data set from the hub.

    Args:
        source: `hf:NAME[/CONFIG]:SPLIT`.

    Raises:
        DataError: if the data set cannot be loaded.
    """
    import datasets

    datasets.disable_progress_bars()  # they are shown without a terminal, too
    name, _, split = source.removeprefix(HUB).partition(":")
    parts = name.split("/")
    if not 1 <= len(parts) <= 3 or not all([*parts, split]):
        raise DataError(f"{source!r} does not name a hub data set: write hf:NAME[/CONFIG][:SPLIT]")
    readings: list[tuple[str, str | None]]
    if len(parts) == 3:
        readings = [("/".join(parts[:2]), parts[2])]
    else:
        readings = [(name, None), *([(parts[0], parts[1])] if len(parts) == 2 else [])]
    problems = []
    for path, config in readings:
        _check_only_on_hub(source, path)
        try:
            loaded = datasets.load_dataset(path, config, split=split)
        except Exception as error:  # datasets raises many types: no network, no such name, …
            reason = hub_reason(error) or reason_of(error).rstrip(".")
            problems.append(f"{path}{f' with {config}' if config else ''}: {reason}")
        else:
            return table_of_dataset(source, loaded)
    raise DataError(
        f"{source} cannot be loaded from the hub ({'; '.join(problems)}): check the name, the "
        "split and the network, or give a file"
    )


def _check_only_on_hub(source: str, path: str) -> None:
    # `datasets` prefers a folder of that name to the hub, and takes names such as
    # `csv` to mean the files in the current folder.
    if probe(Path(path).exists):
        raise DataError(
            f"{source} names a data set on the hub, and {path} is also here: leave out {HUB!r} "
            "to read it, or run from another folder"
        )
    if path.isidentifier() and find_spec(f"datasets.packaged_modules.{path}"):
        raise DataError(
            f"{source} names a file format and not a data set on the hub: give the file itself"
        )
