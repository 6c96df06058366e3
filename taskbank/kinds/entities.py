"""Entities of tagged words, scored by seqeval."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from taskbank.errors import MissingExtraError
from taskbank.kinds.definition import Definition

if TYPE_CHECKING:
    pass

ENTITY = re.compile(r"O|[BIESLU]-.+", re.DOTALL)
SEQEVAL_PREFIXES = {"L": "E", "U": "S"}  # seqeval calls last "end" and unit "single"


def seqeval_metrics() -> Any:
    """Return seqeval's metrics.

    Raises:
        MissingExtraError: if seqeval is not installed.
    """
    try:
        from seqeval import metrics
    except ModuleNotFoundError:
        raise MissingExtraError(
            "a task of kind 'tagging' needs seqeval: install it with pip install "
            "'taskbank[tagging]'"
        ) from None
    return metrics


def seqeval_tags(sentences: list[list[str]], definition: Definition) -> list[list[str]]:
    """Return tags in seqeval's form; tags of another form become entities of one word."""
    if all(ENTITY.fullmatch(label) for label in definition.labels):
        return [
            [SEQEVAL_PREFIXES.get(tag[0], tag[0]) + tag[1:] for tag in tags] for tags in sentences
        ]
    return [[tag if tag == "O" else f"S-{tag}" for tag in tags] for tags in sentences]


def entities_of(tags: list[str], definition: Definition) -> set[tuple[str, int, int]]:
    """Return the entities of a sentence: type, first word and last word of each."""
    from seqeval.metrics.sequence_labeling import get_entities

    return set(get_entities(seqeval_tags([tags], definition)[0]))
