"""Reads folders that `datasets` saved, and data sets of the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow as pa

from taskbank.data.readers import reason_of
from taskbank.errors import DataError

HUB = "hf:"


def is_path(question: Callable[[], bool]) -> bool:
    """Return the answer to a question about a path; no where the system refuses to look."""
    try:
        return question()
    except OSError:  # too long for a name, or in a folder that may not be entered
        return False


def read_saved(source: str, folder: Path, split: str | None) -> pa.Table:
    """Return the table of a folder that `datasets` saved.

    Args:
        source: as the user wrote it, for errors.
        folder: the folder.
        split: the split to read; none means `train`, or the only data set there is.

    Raises:
        DataError: if the folder cannot be read or has no such split.
    """
    import datasets

    try:
        found = datasets.load_from_disk(str(folder))
    except Exception as error:  # datasets raises many kinds for one reason
        raise DataError(
            f"{folder} is no folder that datasets saved with save_to_disk: {reason_of(error)}"
        ) from None
    if isinstance(found, datasets.DatasetDict):
        return _table(source, _chosen(source, found, split))
    if split is not None:
        raise DataError(f"{folder} holds one data set without splits: leave out ':{split}'")
    return _table(source, found)


def _chosen(source: str, splits: Any, split: str | None) -> Any:
    name = split or "train"
    if name not in splits:
        raise DataError(
            f"{source} has no split {name!r}: add one of {', '.join(splits)} after a colon"
        )
    return splits[name]


def read_hub(source: str) -> pa.Table:
    """Return the table of a data set of the hub.

    Args:
        source: `hf:NAME[/CONFIG][:SPLIT]`.

    Raises:
        DataError: if it cannot be loaded.
    """
    import datasets

    name, _, split = source.removeprefix(HUB).partition(":")
    parts = name.split("/")
    if not 1 <= len(parts) <= 3 or not all(parts):
        raise DataError(f"{source!r} is no hub data set: write hf:NAME[/CONFIG][:SPLIT]")
    readings: list[tuple[str, str | None]]
    if len(parts) == 3:
        readings = [("/".join(parts[:2]), parts[2])]
    else:
        readings = [(name, None), *([(parts[0], parts[1])] if len(parts) == 2 else [])]
    problems = []
    for path, config in readings:
        _check_only_on_hub(source, path)
        try:
            found = datasets.load_dataset(path, config, split=split or "train")
        except Exception as error:  # datasets raises many kinds: no network, no such name, …
            problems.append(f"{path}{f' with {config}' if config else ''}: {reason_of(error)}")
        else:
            return _table(source, found)
    raise DataError(
        f"{source} cannot be loaded from the hub ({'; '.join(problems)}): check the name, the "
        "split and the network, or give a file"
    )


def _check_only_on_hub(source: str, path: str) -> None:
    # `datasets` would rather read a folder of that name than the hub, and takes names such as
    # `csv` to mean: whatever files are here.
    if is_path(Path(path).exists):
        raise DataError(
            f"{source} names a data set on the hub, and {path} is also here: leave out {HUB!r} "
            "to read it, or run from another folder"
        )
    if path.isidentifier() and find_spec(f"datasets.packaged_modules.{path}"):
        raise DataError(
            f"{source} names a file format and not a data set on the hub: give the file itself"
        )


def _table(source: str, data: Any) -> pa.Table:
    try:
        table = data.with_format("arrow")[:] if len(data) else data.data.table
    except Exception as error:  # datasets raises many kinds for files that are cut or rewritten
        raise DataError(f"{source} cannot be read: {reason_of(error)}") from None
    return table.replace_schema_metadata(data.features.arrow_schema.metadata)
