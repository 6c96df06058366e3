"""Abstention as people read it, without numpy, which takes long to import."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taskbank.digests import Json


def describe_abstention(settings: Mapping[str, Json]) -> str | None:
    """Return when a version answers, for people; None if it always does."""
    value = settings.get("abstain")
    if value is None:
        return None
    rule, threshold = f"{value['rule']}={value['level']:g}", value["threshold"]
    if threshold is None:
        return f"always: no threshold gives {rule} on validation; lower the level or add rows to it"
    unless = "one label alone has a" if value["rule"] == "alpha" else "its answer has a"
    return f"unless {unless} probability of {threshold:.4f} or more ({rule})"


def shown_label(answer: Mapping[str, Any]) -> str:
    """Return the label of an answer for people; of a withheld one, what it would have been."""
    if answer["label"] is not None:
        return str(answer["label"])
    return f"(abstains: {' or '.join(one['label'] for one in answer['candidates'][:2])})"
