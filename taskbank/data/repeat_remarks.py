"""Sentences about inputs that repeat in a task's data, from what the bank recorded of them.

The record is `repeats` in the course of a training: `in_train`, the number of rows by split whose
input is also in train, and `contradictions`, as `repeats.Contradictions` describes. Older trainings
have none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taskbank.data.fields import preview
from taskbank.digests import Json


def describe_split(split: str, rows: int, origin: str, course: Mapping[str, Json]) -> str:
    """Return the size and the origin of a split, and how many of its inputs are also in train.

    Args:
        split: the split's name.
        rows: its number of rows.
        origin: the source of its examples.
        course: the course of the training.
    """
    remark = in_train_remark(split, rows, course)
    return f"{rows:,} examples of {origin}" + (f"; {remark}" if remark else "")


def in_train_remark(split: str, rows: int, course: Mapping[str, Json]) -> str | None:
    """Return how many of a split's inputs are also in train; None if none are."""
    repeated = course.get("repeats", {}).get("in_train", {}).get(split, 0)
    if not repeated:
        return None
    if repeated == rows:
        return "all of their inputs are also in train: scores tell nothing about new inputs"
    return f"{repeated:,} of their inputs are also in train"


def contradictions_remark(course: Mapping[str, Json]) -> str | None:
    """Return which equal inputs have different labels; None if none have."""
    found = course.get("repeats", {}).get("contradictions", {"inputs": 0})
    if not found["inputs"]:
        return None
    listed = "; ".join(
        ", ".join(f"{_place(place)} {preview(place['label'])}" for place in places)
        for places in found["first"]
    )
    more = "; …" if found["inputs"] > len(found["first"]) else ""
    inputs = "1 input has" if found["inputs"] == 1 else f"{found['inputs']:,} inputs have"
    return f"{inputs} different labels: {listed}{more}"


def _place(place: Mapping[str, Any]) -> str:
    return f"{place['split']} row {place['row']:,}"
