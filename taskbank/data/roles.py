"""Chooses the split of a source by the role of the data, and refuses one source for two roles.

A folder that `datasets` saved, or a name of the hub, may have several splits. Without `:SPLIT`, the
split that is named like the role is read: `train`, `validation` or `test`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

from taskbank.data.hub import HUB, probe
from taskbank.errors import DataError, InputError

ROLES = ("train", "validation", "test")


def source_for(source: Any, role: str) -> Any:
    """Return a source with the split that a role takes, as in `FOLDER:test`.

    Args:
        source: the source of some data; one without splits, or with a split, is returned as it is.
        role: what the data is for: `train`, `validation`, `test`, or another word, for which no
            split is named.

    Raises:
        DataError: if the source has splits and none is named like the role; a single split is taken
            for data without such a role.
    """
    if not isinstance(source, str | os.PathLike):
        return source
    name = os.fsdecode(source)
    if name.startswith(HUB):
        if ":" in name.removeprefix(HUB):
            return source
        if role not in ROLES:
            raise DataError(f"{name} names no split: add one after a colon, such as {name}:test")
        return f"{name}:{role}"
    splits = _saved_splits(Path(name))
    if splits is None:
        return source
    if role in splits:
        return f"{name}:{role}"
    if len(splits) == 1 and role not in ROLES:
        return f"{name}:{splits[0]}"
    what = f"no split {role!r}" if role in ROLES else f"{len(splits)} splits"
    raise DataError(
        f"{name} has {what}: add one of {', '.join(splits)} after a colon, such as "
        f"{name}:{splits[0]}"
    )


def check_sources_differ(sources: Mapping[str, Any]) -> None:
    """Raise if one source has two roles, as a score on training data says nothing.

    Args:
        sources: the sources by role, with their splits; None for a role without data.

    Raises:
        InputError: naming the source and both roles.
    """
    given = [(role, source) for role, source in sources.items() if source is not None]
    for (role, source), (other_role, other) in combinations(given, 2):
        if _is_same(source, other):
            remedy = {
                "validation": "leave out --validation, and a part of train is held out",
                "test": "leave out --test, and the validation data gives the score",
            }[other_role]
            raise InputError(
                f"{role} and {other_role} are the same data, {_named(other)}: a score on data that "
                f"chose or trained the adapter says nothing about new inputs; {remedy}"
            )


def _saved_splits(folder: Path) -> list[str] | None:
    """Return the names of a saved data set's splits; None if the path is not such a folder."""
    if not probe(folder.is_dir):
        return None
    try:
        splits = json.loads((folder / "dataset_dict.json").read_bytes())["splits"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None
    if not isinstance(splits, list) or not splits or not all(isinstance(s, str) for s in splits):
        return None
    return splits


def _is_same(source: Any, other: Any) -> bool:
    if source is other:
        return True
    if not all(isinstance(one, str | os.PathLike) for one in (source, other)):
        return False
    one, two = os.fsdecode(source), os.fsdecode(other)
    return one == two or _place(one) == _place(two)


def _named(source: Any) -> str:
    if isinstance(source, str | os.PathLike):
        return os.fsdecode(source)
    return f"one {type(source).__name__}"


def _place(source: str) -> tuple[str, str]:
    """Return a source's resolved path and its split."""
    path, split = Path(source), ""
    if source.startswith(HUB):
        return source, split
    if not probe(path.exists):
        folder, _, split = source.rpartition(":")
        path = Path(folder or source)
    return os.path.realpath(path), split
