"""Labels and inputs of examples as texts for people, short enough to be shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskbank.digests import Json
from taskbank.kinds.entities import entities_of, seqeval_names

if TYPE_CHECKING:
    from taskbank.kinds.definition import Definition
    from taskbank.kinds.kind import Columns, Kind

SHOWN_TEXT = 400  # characters of an example


def as_text(value: Json, between: str = " ") -> str:
    """Return a label or an input as text for people.

    Args:
        value: the value.
        between: what stands between the items of a list.
    """
    if isinstance(value, dict):
        value = value.get("text", "")
    if isinstance(value, list | tuple):
        return between.join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def shown_inputs(
    columns: Columns, label: str, row: int
) -> tuple[tuple[tuple[str, str], ...], int | None]:
    """Return an example's inputs as texts by name, shortened, and how long they are if they were.

    Args:
        columns: the examples' columns.
        label: the column to predict, which is not an input.
        row: the example's position.
    """
    texts = {name: as_text(values[row]) for name, values in columns.items() if name != label}
    shortened = any(len(text) > SHOWN_TEXT for text in texts.values())
    return (
        tuple((name, text[:SHOWN_TEXT]) for name, text in texts.items()),
        sum(map(len, texts.values())) if shortened else None,
    )


def shown_label(kind: Kind, columns: Columns, definition: Definition, row: int) -> str:
    """Return an example's label as answers of its kind are shown, shortened.

    Args:
        kind: the kind of task.
        columns: the examples' columns.
        definition: what the task predicts.
        row: the example's position.
    """
    value: Json = columns[kind.label.name][row]
    if kind.label.type == "tags":  # as answers are shown: the entities
        words = columns["words"][row]
        entities = ", ".join(
            f"{' '.join(words[first : last + 1])}{f' ({name})' if name else ''}"
            for name, first, last in entities_of(value, seqeval_names(definition))
        )
        return entities[:SHOWN_TEXT]
    return as_text(value, ", " if kind.label.type in ("classes", "answers") else " ")[:SHOWN_TEXT]
